"""Rules about the archive layout, byte by byte (ARC).

The manifest determines the archive but for its checksums, so each header is compared with the
one it has to be, and the first difference names the rule. Data is not read here; `integrity`
holds the checksums against it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from modelbundle.core.archive_layout import LOCAL_BYTES, Member
from modelbundle.core.blobs import Blob
from modelbundle.core.findings import Finding, checks, clip
from modelbundle.core.manifest import Manifest
from modelbundle.storage.layouts import layout_of

_CENTRAL_BYTES = 46


@dataclass(frozen=True, slots=True)
class _Field:
    """Bytes `start` to `stop` of a header, the rule about them and what they are."""

    start: int
    stop: int
    rule: str
    what: str


_LOCAL_FIELDS = (
    _Field(0, 4, "ARC-06", "a local header right after the data before it"),
    _Field(6, 10, "ARC-02", "method stored and flags 0x0800"),
    _Field(26, 28, "ARC-05", "the name of the next stored file of the manifest"),
    _Field(4, 6, "ARC-08", "version 4.5"),
    _Field(10, 14, "ARC-08", "1980-01-01 00:00"),
    _Field(18, 26, "ARC-11", "the size in the manifest"),
)
_CENTRAL_FIELDS = (
    _Field(8, 12, "ARC-02", "method stored and flags 0x0800"),
    _Field(28, 30, "ARC-05", "the name of the next stored file of the manifest"),
    _Field(4, 8, "ARC-08", "version 4.5, host 0"),
    _Field(12, 16, "ARC-08", "1980-01-01 00:00"),
    _Field(32, 42, "ARC-08", "no comment, disk 0 and attributes 0"),
    _Field(16, 20, "ARC-03", "the checksum of the local header"),
    _Field(20, 28, "ARC-11", "the size in the manifest"),
    _Field(42, 46, "ARC-04", "the offset of the local header"),
)


def check(archive: Blob, manifest_size: int, manifest: Manifest) -> Iterator[Finding]:
    """Findings about the headers of `archive`: the first one, since the rest follows from it."""
    layout = layout_of(manifest_size, manifest.stored)
    crc32s = []
    for member in layout.members:
        header = _read(archive, member.header_offset, member.data_offset - member.header_offset)
        crc32 = int.from_bytes(header[14:18], "little")
        if finding := _check_local(header, member, crc32):
            yield finding
            return
        crc32s.append(crc32)
    tail = layout.tail(crc32s)
    found = _read(archive, layout.central_offset, len(tail))
    if found != tail:
        yield _check_tail(found, tail, layout.members, crc32s, layout.central_offset)
    elif archive.size != layout.size:
        yield _check_end(archive.size, layout.size)


def _read(archive: Blob, offset: int, length: int) -> bytes:
    return (
        archive.read(offset, max(min(length, archive.size - offset), 0))
        if offset < archive.size
        else b""
    )


@checks("ARC-02", "ARC-05", "ARC-06", "ARC-08", "ARC-09", "ARC-11")
def _check_local(header: bytes, member: Member, crc32: int) -> Finding | None:
    wanted = member.local_header(crc32)
    place = f"archive@{member.header_offset}"
    if header == wanted:
        return None
    if len(header) < len(wanted):
        return Finding(
            "ARC-07",
            place,
            f"the local header of {clip(member.path)}",
            "the end of the archive",
            "the archive is truncated: copy it again",
        )
    if finding := _difference(header, wanted, _LOCAL_FIELDS, place, member.path):
        return finding
    name_end = LOCAL_BYTES + len(member.name)
    return _check_variable(header, wanted, name_end, place, member.path)


def _difference(
    header: bytes, wanted: bytes, fields: tuple[_Field, ...], place: str, path: str
) -> Finding | None:
    for part in fields:
        found = header[part.start : part.stop]
        if found != wanted[part.start : part.stop]:
            return Finding(
                part.rule, place, f"{part.what} ({clip(path)})", found.hex() or "nothing"
            )
    return None


def _check_variable(header: bytes, wanted: bytes, name_end: int, place: str, path: str) -> Finding:
    """The finding for headers that differ in name or extra fields."""
    fixed = LOCAL_BYTES if wanted[:4] == b"PK\3\4" else _CENTRAL_BYTES
    if header[fixed:name_end] != wanted[fixed:name_end]:
        return Finding("ARC-05", place, f"the name {clip(path)}", clip(header[fixed:name_end]))
    if wanted[name_end : name_end + 2] == b"\1\0" or header[name_end : name_end + 2] == b"\1\0":
        return Finding(
            "ARC-09",
            place,
            "zip64 fields where sizes need them, and true",
            header[name_end:][:32].hex(),
        )
    return Finding(
        "ARC-06", place, "the padding that aligns the data, all zero", header[name_end:][:70].hex()
    )


@checks("ARC-03", "ARC-04")
def _check_tail(
    found: bytes, tail: bytes, members: tuple[Member, ...], crc32s: list[int], offset: int
) -> Finding:
    at = 0
    for member, crc32 in zip(members, crc32s, strict=True):
        wanted = member.central_header(crc32)
        header = found[at : at + len(wanted)]
        place = f"archive@{offset + at}"
        if header[:4] == b"PK\3\4":
            return Finding(
                "ARC-05", place, "no member that the manifest does not list", "another member"
            )
        if header[:4] != b"PK\1\2" or len(header) < len(wanted):
            return Finding(
                "ARC-07",
                place,
                f"the central header of {clip(member.path)}",
                header[:4].hex() or "nothing",
                "the archive is truncated or has other data before its directory",
            )
        if header != wanted:
            return _difference(
                header, wanted, _CENTRAL_FIELDS, place, member.path
            ) or _check_variable(
                found[at:], wanted, _CENTRAL_BYTES + len(member.name), place, member.path
            )
        at += len(wanted)
    if found[at : at + 4] == b"PK\1\2":
        return Finding(
            "ARC-05", f"archive@{offset + at}", "the end of the directory", "another member"
        )
    rule = "ARC-09" if b"PK\6\6" in (found[at : at + 4], tail[at : at + 4]) else "ARC-07"
    return Finding(
        rule,
        f"archive@{offset + at}",
        "the end records that the layout determines",
        found[at : at + 32].hex() or "nothing",
    )


def _check_end(size: int, wanted: int) -> Finding:
    return Finding(
        "ARC-07",
        f"archive@{wanted}",
        "the end of the archive",
        f"{size - wanted} more bytes",
        "remove what follows the end record",
    )
