"""The members of a simple zip file, each proved to lie where the file's two directories say.

Simple: no data before, between or behind members, no comment, local and central headers that
agree, names that a bundle can hold, methods stored and deflate. What passes reads the same in
every zip library. Layout: PKWARE APPNOTE 6.3; zip64 included.

    for member in read_members(blob, "net.keras"):
        member.name, member.offset, member.stored_bytes
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from modelbundle.core import paths
from modelbundle.core.blobs import Blob, SliceBlob, walk
from modelbundle.core.findings import BundleError, checks, clip, refuse
from modelbundle.core.limits import LIMITS
from modelbundle.sources.spool import collect

STORED, DEFLATED = 0, 8

_END = struct.Struct("<4s4H2IH")
_LOCATOR = struct.Struct("<4sIQI")
_END64 = struct.Struct("<4sQ2H2I4Q")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_LOCAL = struct.Struct("<4s5H3I2H")
_MOST_DIRECTORY_BYTES = 64 << 20
_ENCRYPTED = 0x0001 | 0x0040 | 0x2000
_HAS_DESCRIPTOR = 0x0008
_UTF8 = 0x0800
_PIECE_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Member:
    """A file in the archive: its data lies at `offset`, `stored_bytes` long."""

    name: str
    method: int
    flags: int
    crc: int
    stored_bytes: int
    size: int
    header: int
    offset: int = 0

    @property
    def is_directory(self) -> bool:
        """Whether the entry only stands for a directory."""
        return self.name.endswith("/")


def looks_like_zip(blob: Blob) -> bool:
    """Whether the file begins as a zip file with members does."""
    return blob.size >= _LOCAL.size and blob.read(0, 4) == b"PK\3\4"


def first_name(blob: Blob) -> bytes:
    """Name of the member whose local header begins a zip file; empty where the file ends before."""
    if blob.size < _LOCAL.size:
        return b""
    length = int.from_bytes(blob.read(26, 2), "little")
    return blob.read(_LOCAL.size, min(length, blob.size - _LOCAL.size))


def read_members(blob: Blob, place: str) -> list[Member]:
    """The members in the order of their data, directories left out.

    Raises BundleError (KAR-01 to KAR-05).
    """
    start, length, count = _find_directory(blob, place)
    members = sorted(
        _read_directory(blob, place, start, length, count), key=lambda member: member.header
    )
    _check_sizes(members, place, blob.size)
    at, located = 0, []
    for member in members:
        offset, end = _locate(blob, place, member, at)
        located.append(
            Member(
                member.name,
                member.method,
                member.flags,
                member.crc,
                member.stored_bytes,
                member.size,
                member.header,
                offset,
            )
        )
        at = end
    if at != start:
        raise malformed(
            f"{place}@{at}", "the central directory behind the last member", f"it at {start}"
        )
    files = [member for member in located if not member.is_directory]
    _check_names(files, place)
    return files


@checks("KAR-01")
def malformed(place: str, expected: str, found: object) -> BundleError:
    """The finding for an archive that is no simple zip file; the caller raises it."""
    return refuse(
        "KAR-01", place, expected, found, "save the model again, or repack it with `zip -0 -X`"
    )


def _find_directory(blob: Blob, place: str) -> tuple[int, int, int]:
    """Offset, length and number of entries of the central directory, which ends the file."""
    at = blob.size - _END.size
    signature, disk, first_disk, here, count, length, start, comment = _END.unpack(
        _read(blob, place, at, _END.size)
    )
    if signature != b"PK\5\6" or comment:
        raise malformed(
            f"{place}@{max(at, 0)}",
            "an end record at the end of the file, without comment",
            "none: the file was cut off or extended",
        )
    located = at - _LOCATOR.size
    if located >= 0 and blob.read(located, 4) == b"PK\6\7":
        at, here, count, length, start, disk, first_disk = _read_end64(blob, place, located)
    if disk or first_disk or here != count:
        raise malformed(f"{place}@{at}", "an archive in one file", f"disks {disk} and {first_disk}")
    if start + length != at or length > _MOST_DIRECTORY_BYTES or count > LIMITS.archive_members:
        raise malformed(
            f"{place}@{at}",
            f"a directory of at most {LIMITS.archive_members} members that ends here",
            f"{length} bytes at {start} with {count} members",
        )
    return start, length, count


def _read_end64(blob: Blob, place: str, located: int) -> tuple[int, int, int, int, int, int, int]:
    _, locator_disk, at, disks = _LOCATOR.unpack(blob.read(located, _LOCATOR.size))
    fields = _END64.unpack(_read(blob, place, at, _END64.size))
    signature, size, _, _, disk, first_disk, here, count, length, start = fields
    if (
        signature != b"PK\6\6"
        or locator_disk
        or disks > 1
        or size != _END64.size - 12
        or at + _END64.size != located
    ):
        raise malformed(f"{place}@{at}", "a zip64 end record before its locator", signature)
    return at, here, count, length, start, disk, first_disk


def _read_directory(
    blob: Blob, place: str, start: int, length: int, count: int
) -> Iterator[Member]:
    data, at = blob.read(start, length), 0
    for _ in range(count):
        if at + _CENTRAL.size > length:
            raise malformed(f"{place}@{start + at}", f"{count} entries", "the directory's end")
        fields = _CENTRAL.unpack_from(data, at)
        signature, _, _, flags, method, _, _, crc, stored, size, *rest = fields
        name_bytes, extra_bytes, comment_bytes, disk, _, _, header = rest
        at += _CENTRAL.size
        end = at + name_bytes + extra_bytes + comment_bytes
        if signature != b"PK\1\2" or end > length:
            raise malformed(f"{place}@{start + at}", "a directory entry", signature)
        name = _decode(data[at : at + name_bytes], flags)
        extra = data[at + name_bytes : at + name_bytes + extra_bytes]
        size, stored, header, disk = _zip64(
            extra, (size, stored, header, disk), f"{place}@{start + at}"
        )
        if disk:
            raise malformed(f"{place}@{start + at}", "an archive in one file", f"disk {disk}")
        _check_method(name, method, flags, place)
        yield Member(name, method, flags, crc, stored, size, header)
        at = end
    if at != length:
        raise malformed(
            f"{place}@{start + at}", "the end of the directory", f"{length - at} more bytes"
        )


def _decode(name: bytes, flags: int) -> str:
    if flags & _UTF8:
        return name.decode(errors="surrogateescape")
    return name.decode("cp437")


def _zip64(extra: bytes, values: tuple[int, ...], place: str) -> tuple[int, ...]:
    """Sizes, offset and disk, those that are all ones replaced from the zip64 extra field."""
    field = _extra_field(extra, 1, place)
    widths = (8, 8, 8, 4)
    found, at = [], 0
    for value, width, short in zip(values, widths, (4, 4, 4, 2), strict=False):
        if field is not None and value == (1 << 8 * short) - 1:
            if at + width > len(field):
                raise malformed(
                    place, "a zip64 field with every size that is too large", f"{len(field)} bytes"
                )
            found.append(int.from_bytes(field[at : at + width], "little"))
            at += width
        else:
            found.append(value)
    return tuple(found)


def _extra_field(extra: bytes, wanted: int, place: str) -> bytes | None:
    at, found = 0, None
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if at + 4 + length > len(extra) or (kind == wanted and found is not None):
            raise malformed(
                place, "extra fields that end within the entry, each kind once", extra[:40].hex()
            )
        if kind == wanted:
            found = extra[at + 4 : at + 4 + length]
        at += 4 + length
    return found


@checks("KAR-04")
def _check_method(name: str, method: int, flags: int, place: str) -> None:
    if flags & _ENCRYPTED or method not in (STORED, DEFLATED):
        found = "encryption" if flags & _ENCRYPTED else f"method {method}"
        raise refuse(
            "KAR-04",
            f"{place}#{clip(name)}",
            "members stored or deflated",
            found,
            "repack with `zip -0`",
        )


def _locate(blob: Blob, place: str, member: Member, at: int) -> tuple[int, int]:
    """Where the member's data begins and where everything of it ends."""
    here = f"{place}@{member.header}"
    if member.header != at:
        raise malformed(
            here,
            f"member {clip(member.name)!r} right behind what is before it, at {at}",
            member.header,
        )
    fields = _LOCAL.unpack(_read(blob, place, at, _LOCAL.size))
    signature, _, flags, method, _, _, crc, stored, size, name_bytes, extra_bytes = fields
    rest = _read(blob, place, at + _LOCAL.size, name_bytes + extra_bytes)
    size, stored = _zip64(rest[name_bytes:], (size, stored), here)
    name = _decode(rest[:name_bytes], flags)
    late = bool(flags & _HAS_DESCRIPTOR)
    told = (crc, stored, size)
    declared = (member.crc, member.stored_bytes, member.size)
    agrees = told == declared or (late and not any(told))
    if (
        signature != b"PK\3\4"
        or (name, method, flags) != (member.name, member.method, member.flags)
        or not agrees
    ):
        raise malformed(
            here,
            f"a local header that says what the directory says: {clip(member.name)!r} {declared}",
            f"{clip(name)!r} {told}",
        )
    offset = at + _LOCAL.size + name_bytes + extra_bytes
    end = offset + member.stored_bytes
    if late:
        end += _descriptor_bytes(blob, place, member, end)
    if end > blob.size:
        raise malformed(here, "a member within the file", f"its end at {end}")
    return offset, end


def _descriptor_bytes(blob: Blob, place: str, member: Member, at: int) -> int:
    """Length of the data descriptor at `at`, in whichever of its four forms it is."""
    found = _read(blob, place, at, min(24, max(blob.size - at, 0)))
    for signature in (b"PK\7\x08", b""):
        for form in ("<IQQ", "<III"):
            fits = max(member.stored_bytes, member.size) < 1 << 32 or form == "<IQQ"
            if fits:
                expected = signature + struct.pack(
                    form, member.crc, member.stored_bytes, member.size
                )
                if found.startswith(expected):
                    return len(expected)
    raise malformed(f"{place}@{at}", "a descriptor that says what the directory says", found.hex())


def _read(blob: Blob, place: str, at: int, length: int) -> bytes:
    if at < 0 or at + length > blob.size:
        raise malformed(
            f"{place}@{max(at, 0)}", f"{length} more bytes", f"a file of {blob.size} bytes"
        )
    return blob.read(at, length)


@checks("KAR-02", "KAR-03")
def _check_names(members: Sequence[Member], place: str) -> None:
    """Names that a bundle can hold, each once, on every file system."""
    for member in members:
        for finding in paths.check_path(member.name, place):
            raise refuse(
                "KAR-02",
                f"{place}@{member.header}",
                finding.expected,
                clip(member.name),
                "rename the member",
            )
    for finding in paths.check_collisions([member.name for member in members], place):
        raise refuse(
            "KAR-03", place, "each member once", finding.found, "remove the one that is not meant"
        )
    if len({member.name for member in members}) != len(members):
        raise refuse(
            "KAR-03",
            place,
            "each member once",
            "two of one name",
            "remove the one that is not meant",
        )


def _check_sizes(members: Iterable[Member], place: str, archive_bytes: int) -> None:
    """Declared sizes are possible, and together within the limit."""
    limit, total = LIMITS.archive_inflated_ratio * archive_bytes, 0
    for member in members:
        total += member.size
        if member.method == STORED and member.size != member.stored_bytes:
            raise _wrong(place, member, f"{member.size} bytes stored", f"{member.stored_bytes}")
        if total > limit:
            raise _wrong(place, member, f"at most {limit} bytes inflated", f"{total} and more")


@checks("KAR-05")
def _wrong(place: str, member: Member, expected: str, found: str) -> BundleError:
    return refuse(
        "KAR-05",
        f"{place}@{member.header}",
        expected,
        f"{clip(member.name)!r}: {found}",
        "the archive is damaged; fetch or save it again",
    )


def content(blob: Blob, member: Member, place: str) -> Blob:
    """The bytes of a member: a range of the archive, or inflated (in a temporary file if large).

    Raises BundleError (KAR-05); what was inflated has been held to its checksum.
    """
    stored = SliceBlob(blob, member.offset, member.stored_bytes)
    if member.method == STORED:
        return stored
    return collect(_checked(_inflate(stored, member, place), member, place), member.size)


def verify(blob: Blob, member: Member, place: str) -> None:
    """Hold a stored member to its checksum; raises BundleError (KAR-05)."""
    for _ in _checked(walk(SliceBlob(blob, member.offset, member.stored_bytes)), member, place):
        pass


def _checked(pieces: Iterable[bytes], member: Member, place: str) -> Iterator[bytes]:
    """`pieces`, and at their end the proof of size and CRC-32."""
    size = crc = 0
    for piece in pieces:
        size, crc = size + len(piece), zlib.crc32(piece, crc)
        if size > member.size:
            break
        yield piece
    if (size, crc) != (member.size, member.crc):
        raise _wrong(
            place,
            member,
            f"{member.size} bytes with CRC-32 {member.crc:08x}",
            f"{size} with {crc:08x}",
        )


def _inflate(stored: Blob, member: Member, place: str) -> Iterator[bytes]:
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    for piece in walk(stored, _PIECE_BYTES):
        rest = piece
        while rest and not stream.eof:
            try:
                yield stream.decompress(rest, _PIECE_BYTES)
            except zlib.error as error:
                raise _wrong(place, member, "deflated data", str(error)) from None
            rest = stream.unconsumed_tail
    if not stream.eof or stream.unused_data:
        raise _wrong(place, member, "deflated data up to the member's end", "an end elsewhere")
