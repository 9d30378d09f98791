"""The archive layout: a zip file that its manifest determines byte by byte, but for checksums.

Given the members in order with their sizes and CRC-32s, there is exactly one archive. The same
code writes headers, finds offsets without reading the central directory, and tells a validator
what every header byte has to be. Layout: PKWARE APPNOTE 6.3.10, sections 4.3 to 4.5.

    layout = ArchiveLayout([("manifest.json", 120), ("tensors.msgpack", 300)])
    layout.members[1].data_offset % 64    # 0
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

ALIGNMENT = 64
LOCAL_BYTES = 30
U4_MAX = 0xFFFFFFFF
U2_MAX = 0xFFFF

_VERSION = 45
_FLAGS = 0x0800
_DATE = 0x0021
_ZIP64 = 0x0001
_PADDING = 0x424D
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64 = struct.Struct("<4sLQL")
_END = struct.Struct("<4s4H2LH")


@dataclass(frozen=True, slots=True)
class Member:
    """A member: where its local header and its data begin (bytes from the start of the archive)."""

    path: str
    size: int
    header_offset: int

    @property
    def name(self) -> bytes:
        """The path as it stands in the headers."""
        return self.path.encode()

    @property
    def data_offset(self) -> int:
        """Where the data begins: a multiple of 64."""
        return -(-(self.header_offset + self._unpadded) // ALIGNMENT) * ALIGNMENT

    @property
    def end(self) -> int:
        """Where the data ends."""
        return self.data_offset + self.size

    @property
    def _unpadded(self) -> int:
        return LOCAL_BYTES + len(self.name) + len(self._local64) + 4

    @property
    def _local64(self) -> bytes:
        if self.size < U4_MAX:
            return b""
        return struct.pack("<2H2Q", _ZIP64, 16, self.size, self.size)

    def local_header(self, crc32: int) -> bytes:
        """The local header, its name and its extra fields: all bytes up to the data."""
        padding = self.data_offset - self.header_offset - self._unpadded
        extra = self._local64 + struct.pack("<2H", _PADDING, padding) + bytes(padding)
        size = min(self.size, U4_MAX)
        fixed = _LOCAL.pack(
            b"PK\3\4", _VERSION, _FLAGS, 0, 0, _DATE, crc32, size, size, len(self.name), len(extra)
        )
        return fixed + self.name + extra

    def central_header(self, crc32: int) -> bytes:
        """The entry of the central directory."""
        large = [value for value in (self.size, self.size, self.header_offset) if value >= U4_MAX]
        extra = struct.pack(f"<2H{len(large)}Q", _ZIP64, 8 * len(large), *large) if large else b""
        size = min(self.size, U4_MAX)
        fixed = _CENTRAL.pack(
            b"PK\1\2", _VERSION, _VERSION, _FLAGS, 0, 0, _DATE, crc32, size, size,
            len(self.name), len(extra), 0, 0, 0, 0, min(self.header_offset, U4_MAX),
        )  # fmt: skip
        return fixed + self.name + extra


class ArchiveLayout:
    """Where everything is in the archive of `files`: (path, size in bytes) in archive order."""

    def __init__(self, files: Iterable[tuple[str, int]]) -> None:
        members = []
        offset = 0
        for path, size in files:
            member = Member(path, size, offset)
            members.append(member)
            offset = member.end
        self.members = tuple(members)
        self.central_offset = offset

    @cached_property
    def by_path(self) -> dict[str, Member]:
        """The members by their paths."""
        return {member.path: member for member in self.members}

    @cached_property
    def size(self) -> int:
        """Size of the whole archive (bytes)."""
        return self.central_offset + len(self.tail([0] * len(self.members)))

    def tail(self, crc32s: Sequence[int]) -> bytes:
        """The central directory and the end records, for the members' checksums in order."""
        pairs = zip(self.members, crc32s, strict=True)
        central = b"".join(member.central_header(crc32) for member, crc32 in pairs)
        return central + self._end_records(len(central))

    def _end_records(self, central_size: int) -> bytes:
        count, offset = len(self.members), self.central_offset
        end = _END.pack(
            b"PK\5\6", 0, 0, min(count, U2_MAX), min(count, U2_MAX),
            min(central_size, U4_MAX), min(offset, U4_MAX), 0,
        )  # fmt: skip
        if count < U2_MAX and central_size < U4_MAX and offset < U4_MAX:
            return end
        end64 = _END64.pack(
            b"PK\6\6",
            _END64.size - 12,
            _VERSION,
            _VERSION,
            0,
            0,
            count,
            count,
            central_size,
            offset,
        )
        return end64 + _LOCATOR64.pack(b"PK\6\7", 0, offset + central_size, 1) + end


def parse_local(header: bytes) -> tuple[int, int, int] | None:
    """Sizes of data, name and extra fields that a local header declares, if it is one."""
    if len(header) < LOCAL_BYTES or header[:4] != b"PK\3\4":
        return None
    fields = _LOCAL.unpack(header[:LOCAL_BYTES])
    return fields[8], fields[9], fields[10]
