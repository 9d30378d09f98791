"""Object headers: the messages that describe a group or a dataset (Specification, IV.A).

header = read_header(source, address)
layout = header.first(LAYOUT)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from modelbundle.sources.hdf5.source import Cursor, Source

DATASPACE = 0x01
LINK_INFO = 0x02
DATATYPE = 0x03
FILL_VALUE_OLD = 0x04
FILL_VALUE = 0x05
LINK = 0x06
EXTERNAL_FILES = 0x07
LAYOUT = 0x08
FILTERS = 0x0B
ATTRIBUTE = 0x0C
SHARED_TABLE = 0x0F
CONTINUATION = 0x10
SYMBOL_TABLE = 0x11
ATTRIBUTE_INFO = 0x15

_LAST_KNOWN = 0x17
_SHARED = 0x02
_FAIL_IF_UNKNOWN = 0x80

_MESSAGE_V1 = struct.Struct("<HHB3x")


@dataclass(frozen=True, slots=True)
class Message:
    """A header message: its type, its bytes and where they lie; `shared` bytes are a reference."""

    kind: int
    data: bytes
    address: int
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Header:
    """The messages of one object, in the order in which they are stored."""

    address: int
    messages: tuple[Message, ...]

    def first(self, kind: int) -> Message | None:
        """The first message of a kind, or None."""
        for message in self.messages:
            if message.kind == kind:
                return message
        return None

    def all(self, kind: int) -> Iterator[Message]:
        """Every message of a kind."""
        return (message for message in self.messages if message.kind == kind)


def read_header(source: Source, address: int) -> Header:
    """Read the object header at `address`, of version 1 or 2.

    Raises BundleError (HDF-08).
    """
    start = source.read(address, 4)
    messages = _messages_v2(source, address) if start == b"OHDR" else _messages_v1(source, address)
    return Header(address, tuple(messages))


def _messages_v1(source: Source, address: int) -> Iterator[Message]:
    cursor = source.cursor(address, 16)
    cursor.version(1)
    cursor.take(1)
    left = cursor.uint(2)
    cursor.take(4)
    blocks = [(address + 16, cursor.uint(4))]
    for start, size in blocks:
        data = source.read(start, size)
        at = 0
        while left and at + 8 <= size:
            kind, length, flags = _MESSAGE_V1.unpack_from(data, at)
            at += 8
            if at + length > size:
                raise source.malformed(
                    start + at, f"a message of {length} bytes", f"{size - at} bytes"
                )
            left -= 1
            message = Message(kind, data[at : at + length], start + at, bool(flags & _SHARED))
            if kind == CONTINUATION:
                blocks.append(_continuation(source, message))
            elif _is_wanted(source, message, flags):
                yield message
            at += length


def _messages_v2(source: Source, address: int) -> Iterator[Message]:
    cursor = source.cursor(address, 6)
    cursor.expect(b"OHDR", "signature")
    cursor.version(2)
    flags = cursor.uint(1)
    prefix = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
    width = 1 << (flags & 3)
    size = int.from_bytes(source.read(address + prefix, width), "little")
    prefix += width
    blocks = [(address, prefix, prefix + size + 4)]
    for start, skipped, length in blocks:
        cursor = source.checked(start, length)
        if skipped == 4:
            cursor.expect(b"OCHK", "signature")
        cursor.at = skipped
        for message, message_flags in _block_v2(cursor, tracked=bool(flags & 4)):
            if message.kind == CONTINUATION:
                start_of_next, size_of_next = _continuation(source, message)
                blocks.append((start_of_next, 4, size_of_next))
            elif _is_wanted(source, message, message_flags):
                yield message


def _block_v2(cursor: Cursor, tracked: bool) -> Iterator[tuple[Message, int]]:
    """Messages of one block; what is left at its end and too small for a message is a gap."""
    header = 6 if tracked else 4
    while cursor.left >= header:
        kind, length, flags = cursor.uint(1), cursor.uint(2), cursor.uint(1)
        cursor.take(header - 4)
        address = cursor.address + cursor.at
        yield Message(kind, cursor.take(length), address, bool(flags & _SHARED)), flags


def _continuation(source: Source, message: Message) -> tuple[int, int]:
    cursor = Cursor(source, message.data, message.address)
    return cursor.defined(), cursor.length()


def _is_wanted(source: Source, message: Message, flags: int) -> bool:
    if message.kind > _LAST_KNOWN and flags & _FAIL_IF_UNKNOWN:
        raise source.malformed(message.address, "a message of a known type", hex(message.kind))
    return 0 < message.kind <= _LAST_KNOWN
