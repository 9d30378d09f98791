"""Chunk indexes: where each chunk of a dataset lies (Specification, III.A, VII).

Five kinds are in use besides the old B-tree; all become one table, whose columns are the number
of the chunk in C order of the chunk grid, its address, its stored size and its filter mask.

    table = read_chunks(source, dataset)
    table.numbers, table.addresses, table.sizes, table.masks
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from math import prod

from modelbundle.sources.hdf5.arrays import extensible_array, fixed_array
from modelbundle.sources.hdf5.btrees import CHUNK_NODES, leaves_v1, records_v2
from modelbundle.sources.hdf5.file import Dataset
from modelbundle.sources.hdf5.messages import (
    EXTENSIBLE_ARRAY,
    FIXED_ARRAY,
    IMPLICIT,
    SINGLE,
    TREE_V2,
    Chunked,
)
from modelbundle.sources.hdf5.source import Cursor, Source

_MOST_CHUNKS = 1 << 21
_RECORDS, _FILTERED_RECORDS = 10, 11

Entry = tuple[Sequence[int], int | None, int, int]
"""Position in the chunk grid, address, stored size and filter mask."""


class ChunkTable:
    """The chunks of one dataset that are stored."""

    def __init__(self, dataset: Dataset, layout: Chunked) -> None:
        self.grid = tuple(
            -(-size // chunk) for size, chunk in zip(dataset.shape, layout.dims, strict=True)
        )
        self.chunk_bytes = prod(layout.dims) * layout.element_bytes
        self.numbers = array("Q")
        self.addresses = array("Q")
        self.sizes = array("Q")
        self.masks = array("L")

    def add(self, position: Sequence[int], address: int, size: int, mask: int) -> None:
        """Add a chunk; one outside the dataset's extent is left out, as it has no elements."""
        number = 0
        for at, count in zip(position, self.grid, strict=True):
            if at >= count:
                return
            number = number * count + at
        self.numbers.append(number)
        self.addresses.append(address)
        self.sizes.append(size)
        self.masks.append(mask)


def read_chunks(source: Source, dataset: Dataset, layout: Chunked) -> ChunkTable:
    """The table of a chunked dataset; raises BundleError (HDF-08)."""
    table = ChunkTable(dataset, layout)
    if layout.address is None:
        return table
    for position, address, size, mask in _entries(source, dataset, layout, table):
        if address is not None:
            table.add(position, address, size, mask)
        if len(table.numbers) > _MOST_CHUNKS:
            raise source.malformed(dataset.address, f"at most {_MOST_CHUNKS} chunks", "more")
    if len(set(table.numbers)) != len(table.numbers):
        raise source.malformed(dataset.address, "each chunk once", "two at one position")
    return table


def _entries(
    source: Source, dataset: Dataset, layout: Chunked, table: ChunkTable
) -> Iterator[Entry]:
    address = layout.address
    assert address is not None
    if layout.index == SINGLE:
        size, mask = layout.parameters or (table.chunk_bytes, 0)
        yield (0,) * len(table.grid), address, size, mask
    elif layout.index == IMPLICIT:
        yield from _implicit(address, dataset, layout, table)
    elif layout.index == FIXED_ARRAY:
        elements = fixed_array(source, address, table.chunk_bytes)
        yield from _numbered(elements, _strides(dataset, layout, source), None)
    elif layout.index == EXTENSIBLE_ARRAY:
        elements = extensible_array(source, address, table.chunk_bytes)
        unlimited = dataset.space.largest.index(None) if None in dataset.space.largest else 0
        yield from _numbered(elements, _strides(dataset, layout, source, unlimited), unlimited)
    elif layout.index == TREE_V2:
        yield from _tree_v2(source, address, table)
    else:
        yield from _tree_v1(source, address, layout)


def _tree_v1(source: Source, address: int, layout: Chunked) -> Iterator[Entry]:
    rank = len(layout.dims)
    for key, chunk in leaves_v1(source, address, CHUNK_NODES, 8 + 8 * (rank + 1)):
        cursor = Cursor(source, key, address)
        size, mask = cursor.uint(4), cursor.uint(4)
        offsets = [cursor.uint(8) for _ in range(rank)]
        if any(offset % dim for offset, dim in zip(offsets, layout.dims, strict=True)):
            raise cursor.malformed("chunks at multiples of their shape", offsets)
        yield (
            [offset // dim for offset, dim in zip(offsets, layout.dims, strict=True)],
            chunk,
            size,
            mask,
        )


def _tree_v2(source: Source, address: int, table: ChunkTable) -> Iterator[Entry]:
    rank = len(table.grid)
    for kind, record in records_v2(source, address, (_RECORDS, _FILTERED_RECORDS)):
        cursor = Cursor(source, record, address)
        chunk, size, mask = cursor.offset(), table.chunk_bytes, 0
        if kind == _FILTERED_RECORDS:
            width = cursor.left - 4 - 8 * rank
            if not 1 <= width <= 8:
                raise cursor.malformed("chunk sizes of 1 to 8 bytes", width)
            size, mask = cursor.uint(width), cursor.uint(4)
        yield [cursor.uint(8) for _ in range(rank)], chunk, size, mask


def _implicit(
    address: int, dataset: Dataset, layout: Chunked, table: ChunkTable
) -> Iterator[Entry]:
    """Chunks one after another, as many as the largest extent has."""
    counts = [
        -(-(size or 0) // dim) for size, dim in zip(dataset.space.largest, layout.dims, strict=True)
    ]
    for number in range(prod(table.grid)):
        position = _position(number, table.grid)
        stored = _number(position, counts)
        yield position, address + stored * table.chunk_bytes, table.chunk_bytes, 0


def _strides(
    dataset: Dataset, layout: Chunked, source: Source, unlimited: int | None = None
) -> list[int]:
    """Chunks along each axis of the largest extent, in the order in which an array numbers them.

    The one unlimited axis of an extensible array varies slowest, wherever it stands.
    """
    counts = [
        1 if size is None else -(-size // dim)
        for size, dim in zip(dataset.space.largest, layout.dims, strict=True)
    ]
    if unlimited is not None:
        counts.insert(0, counts.pop(unlimited))
    if not all(counts):
        raise source.malformed(
            dataset.address, "a largest extent that is not empty", dataset.space.largest
        )
    return counts


def _numbered(
    elements: Iterator[tuple[int, int | None, int, int]], counts: list[int], unlimited: int | None
) -> Iterator[Entry]:
    """Elements of an array by number, as entries by position."""
    for number, address, size, mask in elements:
        position = _position(number, counts)
        if unlimited is not None:
            position.insert(unlimited, position.pop(0))
        yield position, address, size, mask


def _position(number: int, counts: Sequence[int]) -> list[int]:
    """Position of a number in C order; the first axis takes whatever is left."""
    position = []
    for count in reversed(counts[1:]):
        number, at = divmod(number, count)
        position.append(at)
    return [number, *reversed(position)]


def _number(position: Sequence[int], counts: Sequence[int]) -> int:
    number = 0
    for at, count in zip(position, counts, strict=True):
        number = number * count + at
    return number
