"""The sorted-string table that TensorFlow keeps a checkpoint's index in (LevelDB's table format).

    blocks … | metaindex block | index block | footer: two handles, padding, magic (48 bytes)

A block is prefix-compressed entries, restart offsets, a type byte and a masked crc32c. Every block
is checked before it is read; keys must rise strictly. Tables are read block by block, so memory is
bounded by the largest block and by what the caller keeps.
Layout: https://github.com/google/leveldb/blob/main/doc/table_format.md

    for key, value in entries(blob):
        ...
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import google_crc32c

from modelbundle.core.blobs import Blob
from modelbundle.core.limits import LIMITS
from modelbundle.sources.protobuf_wire import WireError, varint

MAGIC = 0xDB4775248B80FB57
_FOOTER_BYTES = 48
_TRAILER_BYTES = 5
_BLOCK_BYTES = 32 << 20
"""The largest block taken into memory; TensorFlow writes blocks of 256 KiB (bytes)."""
_KEY_RATIO = 64
"""Bytes of all keys together, at most this many times the table: prefix compression multiplies."""
_CRC_DELTA = 0xA282EAD8


class TableError(ValueError):
    """The bytes at `offset` of the table break its format."""

    def __init__(self, offset: int, expected: str, found: str, hint: str = "") -> None:
        super().__init__(found)
        self.offset, self.expected, self.hint = offset, expected, hint


@dataclass(frozen=True, slots=True)
class _Handle:
    offset: int
    size: int


def unmask(crc: int) -> int:
    """The crc32c that was stored masked (rotated, and a constant added)."""
    rotated = (crc - _CRC_DELTA) & 0xFFFFFFFF
    return (rotated >> 17 | rotated << 15) & 0xFFFFFFFF


def is_table(blob: Blob) -> bool:
    """Whether `blob` ends in the magic number of a table."""
    return blob.size >= _FOOTER_BYTES and blob.read(blob.size - 8, 8) == struct.pack("<Q", MAGIC)


def entries(blob: Blob) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values in order; raises `TableError` on a malformed table."""
    if not is_table(blob):
        raise TableError(max(blob.size - 8, 0), "the magic number of a table", "other bytes")
    previous, budget = None, _KEY_RATIO * blob.size
    meta, index = _handles(blob)
    if any(_block(blob, meta)):
        raise TableError(meta.offset, "an empty metaindex", "entries")
    for _, value in _block(blob, index):
        handle = _handle(value, 0, blob.size)[0]
        for key, entry in _block(blob, handle):
            budget -= len(key)
            if previous is not None and key <= previous:
                raise TableError(handle.offset, "keys in rising order", repr(key[:80]))
            if len(key) > LIMITS.name_bytes or budget < 0:
                raise TableError(handle.offset, "keys within the limits", f"{len(key)} bytes")
            previous = key
            yield key, entry


def _handles(blob: Blob) -> tuple[_Handle, _Handle]:
    """The handles of the metaindex block and the index block."""
    start = blob.size - _FOOTER_BYTES
    footer = blob.read(start, _FOOTER_BYTES)
    meta, at = _handle(footer, 0, blob.size, start)
    index, at = _handle(footer, at, blob.size, start)
    if any(footer[at:-8]):
        raise TableError(start + at, "zeros up to the magic number", "other bytes")
    return meta, index


def _handle(data: bytes, at: int, size: int, place: int = 0) -> tuple[_Handle, int]:
    """The block handle at `at` of `data` and the offset after it; `size` is the table's."""
    try:
        offset, at = varint(data, at, len(data))
        length, at = varint(data, at, len(data))
    except WireError as error:
        raise TableError(place + error.offset, "a block handle", str(error)) from None
    if offset + length + _TRAILER_BYTES > size - _FOOTER_BYTES:
        found = f"block {offset} to {offset + length} of {size} bytes"
        raise TableError(place, "a block inside the table", found)
    return _Handle(offset, length), at


def _block(blob: Blob, handle: _Handle) -> Iterator[tuple[bytes, bytes]]:
    """The entries of one block, its checksum and restart array checked first."""
    if not 4 <= handle.size <= _BLOCK_BYTES:
        raise TableError(handle.offset, f"a block of 4 to {_BLOCK_BYTES} bytes", str(handle.size))
    data = blob.read(handle.offset, handle.size + _TRAILER_BYTES)
    kind, crc = struct.unpack("<BI", data[-_TRAILER_BYTES:])
    if unmask(crc) != google_crc32c.value(data[: handle.size + 1]):
        raise TableError(handle.offset, "the block that its crc32c describes", "other bytes")
    if kind:
        hint = "Save the checkpoint again with TensorFlow, which writes uncompressed tables."
        raise TableError(handle.offset, "an uncompressed block", f"compression type {kind}", hint)
    restarts = struct.unpack_from("<I", data, handle.size - 4)[0]
    end = handle.size - 4 - 4 * restarts
    if end < 0:
        raise TableError(handle.offset, "restart offsets inside the block", f"{restarts} restarts")
    yield from _entries(data, end, handle.offset)


def _entries(data: bytes, end: int, place: int) -> Iterator[tuple[bytes, bytes]]:
    key, at = b"", 0
    while at < end:
        start = at
        try:
            shared, at = varint(data, at, end)
            unshared, at = varint(data, at, end)
            length, at = varint(data, at, end)
        except WireError as error:
            raise TableError(place + start, "a table entry", str(error)) from None
        if shared > len(key) or at + unshared + length > end:
            found = f"{shared} shared, {unshared} own and {length} value bytes"
            raise TableError(place + start, "an entry inside its block", found)
        key = key[:shared] + data[at : at + unshared]
        at += unshared + length
        yield key, data[at - length : at]
