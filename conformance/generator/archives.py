"""Archives of stored files, member by member and field by field, right unless a case changes them.

data = archive(stored, "members", lambda members: members[::-1])
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

from generator.raw import Change, Stored


@dataclass
class Member:
    """A member of an archive; the fields stand as they are written, right unless changed."""

    name: bytes
    data: bytes
    before: bytes = b""
    """Bytes between the member before and this one's header."""
    version: int = 45
    flags: int = 0x0800
    method: int = 0
    extra_before_padding: bytes = b""
    size: int | None = None
    """The size of the data before any compression."""
    central_extra: bytes = b""
    listed: bool = True
    """Whether the central directory has it."""


def archive(stored: Stored, stage: str = "", change: Change | None = None) -> bytes:
    """The archive of `stored`, with `change` applied to its `members` or to the whole."""
    members = [Member(path.encode(), data) for path, data in stored.items()]
    if stage == "members" and change is not None:
        members = change(members) or members
    data = _emit(members)
    return change(data) if stage == "archive" and change is not None else data


def _emit(members: Sequence[Member]) -> bytes:
    out, central = bytearray(), bytearray()
    for each in members:
        out += each.before
        at = len(out)
        pad = -(at + 34 + len(each.name) + len(each.extra_before_padding)) % 64
        extra = each.extra_before_padding + struct.pack("<2H", 0x424D, pad) + bytes(pad)
        size = len(each.data) if each.size is None else each.size
        fields = struct.pack(
            "<4H3L", each.flags, each.method, 0, 0x0021, crc32(each.data), len(each.data), size
        )
        lengths = struct.pack("<2H", len(each.name), len(extra))
        head = b"PK\3\4" + struct.pack("<H", each.version) + fields + lengths
        out += head + each.name + extra + each.data
        if each.listed:
            lengths = struct.pack("<5H2L", len(each.name), len(each.central_extra), 0, 0, 0, 0, at)
            head = b"PK\1\2" + struct.pack("<2H", 45, each.version) + fields + lengths
            central += head + each.name + each.central_extra
    return bytes(out + central) + end_records(
        sum(m.listed for m in members), len(central), len(out)
    )


def end_records(count: int, size: int, offset: int) -> bytes:
    """The end record, with the zip64 records before it where `count` needs them."""
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, *[min(count, 0xFFFF)] * 2, size, offset, 0)
    if count < 0xFFFF:
        return end
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, offset)
    return end64 + struct.pack("<4sLQL", b"PK\6\7", 0, offset + size, 1) + end
