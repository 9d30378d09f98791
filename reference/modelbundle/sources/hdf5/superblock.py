"""The superblock: where an HDF5 file says how it is laid out (File Format Specification, II.A).

source = Source(blob, "net.h5")
root = read_superblock(source).root      # address of the root group's object header
"""

from __future__ import annotations

from dataclasses import dataclass

from modelbundle.core.blobs import Blob
from modelbundle.sources.hdf5.source import Cursor, Source

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_LARGEST_USER_BLOCK = 1 << 26
_WIDTHS = (2, 4, 8)


@dataclass(frozen=True, slots=True)
class Superblock:
    """Addresses of the root group's header and, where there is one, the superblock extension."""

    root: int
    extension: int | None = None


def find_signature(blob: Blob) -> int | None:
    """Where the superblock stands: at 0, 512, 1024, 2048 and so on; None where it does not.

    The first 64 MiB are looked at; that is more than any user block in use.
    """
    at = 0
    while at + len(SIGNATURE) <= min(blob.size, _LARGEST_USER_BLOCK):
        if blob.read(at, len(SIGNATURE)) == SIGNATURE:
            return at
        at = at * 2 or 512
    return None


def read_superblock(source: Source) -> Superblock:
    """Read the superblock and set the base and the widths of `source`.

    Raises BundleError (HDF-08), also where the file is shorter than it says that it is.
    """
    start = find_signature(source.blob)
    if start is None:
        raise source.malformed(0, "the HDF5 signature", "none at 0, 512, 1024, …")
    source.base = start
    cursor = source.cursor(0, min(128, source.size - start))
    cursor.at = len(SIGNATURE)
    return _read_old(cursor) if cursor.version(0, 1, 2, 3) < 2 else _read_new(cursor)


def _read_old(cursor: Cursor) -> Superblock:
    first = cursor.data[cursor.at - 1] == 0
    cursor.take(4)
    _set_widths(cursor)
    cursor.take(9 if first else 13)
    base = cursor.defined()
    cursor.offset()
    _check_end(cursor, base)
    cursor.offset()
    cursor.take(cursor.source.offset_bytes)
    return Superblock(cursor.defined())


def _read_new(cursor: Cursor) -> Superblock:
    _set_widths(cursor)
    cursor.take(1)
    base = cursor.defined()
    extension = cursor.offset()
    _check_end(cursor, base)
    root = cursor.defined()
    cursor.source.checked(0, cursor.at + 4)
    return Superblock(root, extension)


def _set_widths(cursor: Cursor) -> None:
    offset_bytes, length_bytes = cursor.uint(1), cursor.uint(1)
    if offset_bytes not in _WIDTHS or length_bytes not in _WIDTHS:
        raise cursor.malformed(
            f"addresses and lengths of {_WIDTHS} bytes", (offset_bytes, length_bytes)
        )
    cursor.source.set_widths(offset_bytes, length_bytes)


def _check_end(cursor: Cursor, base: int) -> None:
    """A file shorter than its end-of-file address was cut off.

    The address counts from where the file began when `base` was the superblock's own place.
    """
    source = cursor.source
    end = cursor.defined() - base + source.base
    if end > source.size:
        expected = f"a file of {end} bytes"
        raise cursor.malformed(expected, f"{source.size}: it was cut off")
