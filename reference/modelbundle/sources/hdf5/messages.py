"""Messages that describe a dataset: dataspace, layout, filters, fill value (Specification, IV.A.2).

read_dataspace(cursor)      # Dataspace(dims=(3, 4), largest=(3, None))
"""

from __future__ import annotations

from dataclasses import dataclass

from modelbundle.core.findings import checks, refuse
from modelbundle.core.limits import LIMITS
from modelbundle.sources.hdf5.source import Cursor

DEFLATE, SHUFFLE, FLETCHER32 = 1, 2, 3
_FILTERS = {
    4: "szip",
    5: "nbit",
    6: "scale-offset",
    32000: "lzf",
    32001: "blosc",
    32004: "lz4",
    32015: "zstd",
}
_MOST_FILTERS = 32


@dataclass(frozen=True, slots=True)
class Dataspace:
    """Extent of a dataset; `dims` is None for the null dataspace, () for a scalar.

    In `largest`, None is an unlimited dimension.
    """

    dims: tuple[int, ...] | None
    largest: tuple[int | None, ...] = ()


def read_dataspace(cursor: Cursor) -> Dataspace:
    """Read a dataspace message; raises BundleError (HDF-08)."""
    version, rank, flags = cursor.version(1, 2), cursor.uint(1), cursor.uint(1)
    if rank > LIMITS.rank:
        raise cursor.malformed(f"at most {LIMITS.rank} dimensions", rank)
    if version == 1:
        cursor.take(5)
    elif cursor.uint(1) == 2:
        return Dataspace(None)
    dims = tuple(cursor.length() for _ in range(rank))
    if not flags & 1:
        return Dataspace(dims, dims)
    unlimited = (1 << 8 * cursor.source.length_bytes) - 1
    sizes = (cursor.length() for _ in range(rank))
    return Dataspace(dims, tuple(None if size == unlimited else size for size in sizes))


@dataclass(frozen=True, slots=True)
class Contiguous:
    """Data as one range; `address` is None where none was written, `size` None where not stated."""

    address: int | None
    size: int | None


@dataclass(frozen=True, slots=True)
class Chunked:
    """Data in chunks of `dims` elements; `index` says how they are found.

    0 is a version 1 B-tree, 1 to 5 are the indexes of layout version 4. `parameters` are that
    index's own numbers.
    """

    address: int | None
    dims: tuple[int, ...]
    element_bytes: int
    index: int = 0
    parameters: tuple[int, ...] = ()
    plain_edges: bool = False
    """Chunks that reach over the edge of the dataset are stored without filters."""


_COMPACT, _CONTIGUOUS, _CHUNKED, _VIRTUAL = range(4)
SINGLE, IMPLICIT, FIXED_ARRAY, EXTENSIBLE_ARRAY, TREE_V2 = range(1, 6)
_INDEX_PARAMETERS = {
    IMPLICIT: (),
    FIXED_ARRAY: (1,),
    EXTENSIBLE_ARRAY: (1, 1, 1, 1, 1),
    TREE_V2: (4, 1, 1),
}


def read_layout(cursor: Cursor, path: str) -> Contiguous | Chunked:
    """Read a data layout message; compact data becomes a range inside the message.

    Raises BundleError (HDF-04, HDF-08).
    """
    if cursor.version(1, 2, 3, 4, 5) < 3:
        return _layout_v1(cursor)
    kind = cursor.uint(1)
    if kind == _COMPACT:
        size = cursor.uint(2)
        return _compact(cursor, size)
    if kind == _CONTIGUOUS:
        return Contiguous(cursor.offset(), cursor.length())
    _check_not_virtual(cursor, kind, path)
    if kind != _CHUNKED:
        raise cursor.malformed("a layout class 0 to 3", kind)
    return _chunked_v3(cursor) if cursor.data[0] == 3 else _chunked_v4(cursor)


@checks("HDF-04")
def _check_not_virtual(cursor: Cursor, kind: int, path: str) -> None:
    if kind == _VIRTUAL:
        raise refuse(
            "HDF-04",
            f"{cursor.source.place}@{cursor.address}",
            "data stored in this file",
            f"{path!r} is a virtual dataset",
            "repack the file with h5repack",
        )


def _layout_v1(cursor: Cursor) -> Contiguous | Chunked:
    rank, kind = cursor.uint(1), cursor.uint(1)
    cursor.take(5)
    address = None if kind == _COMPACT else cursor.offset()
    if kind == _CHUNKED:
        dims, element_bytes = _chunk_shape(cursor, rank, 4)
        return Chunked(address, dims, element_bytes)
    cursor.take(4 * rank)
    if kind == _CONTIGUOUS:
        return Contiguous(address, None)
    if kind != _COMPACT:
        raise cursor.malformed("a layout class 0 to 2", kind)
    return _compact(cursor, cursor.uint(4))


def _compact(cursor: Cursor, size: int) -> Contiguous:
    address = cursor.address + cursor.at
    cursor.take(size)
    return Contiguous(address, size)


def _chunked_v3(cursor: Cursor) -> Chunked:
    rank = cursor.uint(1)
    address = cursor.offset()
    dims, element_bytes = _chunk_shape(cursor, rank, 4)
    return Chunked(address, dims, element_bytes)


def _chunked_v4(cursor: Cursor) -> Chunked:
    flags, rank, width = cursor.uint(1), cursor.uint(1), cursor.uint(1)
    if not 1 <= width <= 8:
        raise cursor.malformed("dimensions of 1 to 8 bytes", width)
    dims, element_bytes = _chunk_shape(cursor, rank, width)
    index, parameters = cursor.uint(1), list[int]()
    if index == SINGLE:
        parameters = [cursor.length(), cursor.uint(4)] if flags & 2 else []
    elif index in _INDEX_PARAMETERS:
        parameters = [cursor.uint(width) for width in _INDEX_PARAMETERS[index]]
    else:
        raise cursor.malformed("a chunk index of type 1 to 5", index)
    return Chunked(cursor.offset(), dims, element_bytes, index, tuple(parameters), bool(flags & 1))


def _chunk_shape(cursor: Cursor, rank: int, width: int) -> tuple[tuple[int, ...], int]:
    """Elements of a chunk along each axis, and bytes of an element, which stand last."""
    *dims, element_bytes = (cursor.uint(width) for _ in range(max(rank, 1)))
    if not dims or not all(dims):
        raise cursor.malformed("chunks of at least one dimension and some size", dims)
    return tuple(dims), element_bytes


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter of the pipeline and its client data."""

    id: int
    values: tuple[int, ...]


def read_filters(cursor: Cursor, path: str) -> tuple[Filter, ...]:
    """Read a filter pipeline message; raises BundleError (HDF-05, HDF-08)."""
    version, count = cursor.version(1, 2), cursor.uint(1)
    if count > _MOST_FILTERS:
        raise cursor.malformed(f"at most {_MOST_FILTERS} filters", count)
    cursor.take(6 if version == 1 else 0)
    return tuple(_read_filter(cursor, version, path) for _ in range(count))


@checks("HDF-05")
def _read_filter(cursor: Cursor, version: int, path: str) -> Filter:
    number = cursor.uint(2)
    name_bytes = cursor.uint(2) if version == 1 or number >= 256 else 0
    cursor.take(2)
    count = cursor.uint(2)
    cursor.take(name_bytes + (-name_bytes % 8 if version == 1 else 0))
    values = tuple(cursor.uint(4) for _ in range(count))
    cursor.take(4 if version == 1 and count % 2 else 0)
    if number not in (DEFLATE, SHUFFLE, FLETCHER32):
        raise refuse(
            "HDF-05",
            f"{cursor.source.place}@{cursor.address}",
            "filters deflate, shuffle, fletcher32",
            f"filter {number} ({_FILTERS.get(number, 'unknown')}) on {path!r}",
            "repack the file with `h5repack -f NONE`",
        )
    return Filter(number, values)


def read_fill_value(cursor: Cursor) -> bytes | None:
    """The fill value's bytes as stored, or None for zeros; raises BundleError (HDF-08)."""
    version = cursor.version(1, 2, 3)
    if version == 3:
        defined = cursor.uint(1) & 0x20
    else:
        cursor.take(2)
        defined = cursor.uint(1) or version == 1
    size = cursor.uint(4) if defined else 0
    return cursor.take(size) or None


def read_old_fill_value(cursor: Cursor) -> bytes | None:
    """The same from a message of type 4."""
    return cursor.take(cursor.uint(4)) or None
