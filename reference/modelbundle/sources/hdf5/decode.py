"""Decoding: the little-endian, C-order bytes of a dataset that are no plain range of its file.

Chunked data is put together box by box: a box is as many chunks along one axis, and all of the
extent along the axes after it, as stay below 32 MiB. Memory stays near that whatever the dataset.

    check_decodable(source, dataset)          # what can be said before reading data
    decode(source, dataset, put)              # put(offset, bytes), until all is there
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from modelbundle.core.blobs import Blob, SliceBlob
from modelbundle.sources.hdf5.chunks import ChunkTable, read_chunks
from modelbundle.sources.hdf5.datatypes import PAD_NUL, PAD_NUL_TERMINATED, Datatype
from modelbundle.sources.hdf5.file import Dataset
from modelbundle.sources.hdf5.filters import unfilter
from modelbundle.sources.hdf5.messages import Chunked
from modelbundle.sources.hdf5.source import Source, mismatch
from modelbundle.sources.spool import MEMORY_BYTES

if TYPE_CHECKING:
    import numpy as np

    Bytes = np.ndarray[Any, np.dtype[np.uint8]]

Put = Callable[[int, bytes], None]

_BOX_BYTES = 32 << 20
_INFLATION = 1100
"""More than deflate can make of a byte; a stored chunk that is smaller than that is no chunk."""


def check_decodable(source: Source, dataset: Dataset) -> None:
    """Refuse (HDF-09) chunks that cannot be decoded within bounds, before any data is read."""
    layout = dataset.layout
    if not isinstance(layout, Chunked) or not dataset.size:
        return
    chunk_bytes = prod(layout.dims) * layout.element_bytes
    after = _row_axis(layout) + 1
    pairs = zip(layout.dims[after:], dataset.shape[after:], strict=True)
    rows_are_whole = all(chunk >= size for chunk, size in pairs)
    row_bytes = prod(layout.dims[after:]) * layout.element_bytes
    if chunk_bytes > MEMORY_BYTES and (not rows_are_whole or row_bytes > MEMORY_BYTES):
        raise mismatch(
            _place(source, dataset),
            f"chunks of at most {MEMORY_BYTES} bytes, or of whole rows",
            f"{dataset.path!r} with chunks of shape {layout.dims}",
        )


def decode(source: Source, dataset: Dataset, put: Put) -> None:
    """Put the dataset's bytes, as `Put` takes them.

    Raises BundleError (HDF-08, HDF-09) where the data is not what the dataset declares.
    """
    layout = dataset.layout
    if not isinstance(layout, Chunked):
        _decode_contiguous(source, dataset, put)
        return
    table = read_chunks(source, dataset, layout)
    _check_stored(source, dataset, layout, table)
    if table.chunk_bytes > MEMORY_BYTES:
        _decode_rows(source, dataset, layout, table, put)
    else:
        _decode_boxes(source, dataset, layout, table, put)


def _place(source: Source, dataset: Dataset) -> str:
    return f"{source.place}@{source.base + dataset.address}"


def _check_stored(source: Source, dataset: Dataset, layout: Chunked, table: ChunkTable) -> None:
    """Stored sizes must be possible, and the bytes of no chunk stand for two."""
    filtered = bool(dataset.filters)
    at = 0
    for address, size in sorted(zip(table.addresses, table.sizes, strict=True)):
        fits = size * _INFLATION >= table.chunk_bytes if filtered else size == table.chunk_bytes
        if not fits or address < at or source.base + address + size > source.size:
            raise mismatch(
                f"{source.place}@{source.base + address}",
                "chunks apart from each other in the file, "
                f"each of about {table.chunk_bytes} bytes",
                f"{size} bytes",
            )
        at = address + size


def _decode_contiguous(source: Source, dataset: Dataset, put: Put) -> None:
    """Swapped or padded elements, or a dataset that was never written."""
    address = getattr(dataset.layout, "address", None)
    element = dataset.datatype.size
    step = max(MEMORY_BYTES // element, 1) * element
    for offset in range(0, dataset.size, step):
        length = min(step, dataset.size - offset)
        if address is None:
            data = _filled(dataset, length)
        else:
            data = source.blob.read(source.base + address + offset, length)
        put(offset, to_plain(data, dataset.datatype))


def _filled(dataset: Dataset, length: int) -> bytes:
    fill = dataset.fill_value
    return bytes(length) if fill is None else fill * (length // len(fill))


def to_plain(data: bytes, datatype: Datatype) -> bytes:
    """Whole elements as stored, to little-endian and NUL-padded."""
    if datatype.swapped:
        return np.frombuffer(data, np.uint8).reshape(-1, datatype.swapped)[:, ::-1].tobytes()
    if datatype.padding == PAD_NUL:
        return data
    text = np.frombuffer(data, np.uint8).reshape(-1, datatype.size)
    if datatype.padding == PAD_NUL_TERMINATED:
        kept = np.logical_and.accumulate(text != 0, axis=1)
    else:
        kept = np.logical_or.accumulate((text != ord(" "))[:, ::-1], axis=1)[:, ::-1]
    return (text * kept).tobytes()


def _chunk(source: Source, dataset: Dataset, layout: Chunked, table: ChunkTable, at: int) -> Blob:
    """The elements of the chunk in row `at` of the table."""
    address, size = table.addresses[at], table.sizes[at]
    position = _position(table.numbers[at], table.grid)
    is_edge = any(
        (p + 1) * chunk > size
        for p, chunk, size in zip(position, layout.dims, dataset.shape, strict=True)
    )
    stored = SliceBlob(source.blob, source.base + address, size)
    filters = () if layout.plain_edges and is_edge else dataset.filters
    return unfilter(
        stored,
        filters,
        table.masks[at],
        table.chunk_bytes,
        f"{source.place}@{source.base + address}",
    )


def _position(number: int, grid: tuple[int, ...]) -> tuple[int, ...]:
    position = []
    for count in reversed(grid):
        number, at = divmod(number, count)
        position.append(at)
    return tuple(reversed(position))


def _row_axis(layout: Chunked) -> int:
    """The first axis along which a chunk has more than one element, or the last one."""
    long = (axis for axis, size in enumerate(layout.dims) if size > 1)
    return next(long, len(layout.dims) - 1)


def _decode_rows(
    source: Source, dataset: Dataset, layout: Chunked, table: ChunkTable, put: Put
) -> None:
    """Large chunks that follow each other in the dataset, each a few rows at a time."""
    axis = _row_axis(layout)
    by_number = {number: at for at, number in enumerate(table.numbers)}
    row_bytes = prod(dataset.shape[axis + 1 :]) * dataset.datatype.size
    for number in range(prod(table.grid)):
        before, column = divmod(number, table.grid[axis])
        first = column * layout.dims[axis]
        count = min(layout.dims[axis], dataset.shape[axis] - first)
        at = by_number.get(number)
        chunk = None if at is None else _chunk(source, dataset, layout, table, at)
        offset = (before * dataset.shape[axis] + first) * row_bytes
        for rows in _rows(dataset, layout, axis, count, chunk):
            put(offset, to_plain(rows, dataset.datatype))
            offset += len(rows)


def _rows(
    dataset: Dataset, layout: Chunked, axis: int, count: int, chunk: Blob | None
) -> Iterator[bytes]:
    """The first `count` rows of a chunk, cut to the dataset's extent; the fill value for None."""
    element, extent = dataset.datatype.size, dataset.shape[axis + 1 :]
    stored = prod(layout.dims[axis + 1 :]) * element
    kept = (slice(None), *(slice(size) for size in extent))
    step = max(MEMORY_BYTES // stored, 1)
    for start in range(0, count, step):
        held = min(step, count - start)
        if chunk is None:
            yield _filled(dataset, held * prod(extent) * element)
        else:
            rows = np.frombuffer(chunk.read(start * stored, held * stored), np.uint8)
            yield rows.reshape(held, *layout.dims[axis + 1 :], element)[kept].tobytes()


def _decode_boxes(
    source: Source, dataset: Dataset, layout: Chunked, table: ChunkTable, put: Put
) -> None:
    axis, step = _box(dataset, layout)
    chunks = _by_box(table, axis, step)
    grid = (*table.grid[:axis], -(-table.grid[axis] // step))
    for number, corner in enumerate(product(*map(range, grid))):
        first, sizes = _extent(corner, axis, step, layout, dataset.shape)
        box = np.frombuffer(_filled(dataset, prod(sizes) * dataset.datatype.size), np.uint8)
        box = box.reshape(*sizes, dataset.datatype.size).copy()
        for at in chunks.get(number, ()):
            chunk = _chunk(source, dataset, layout, table, at)
            elements = np.frombuffer(chunk.read(0, chunk.size), np.uint8).reshape(*layout.dims, -1)
            _place_chunk(box, first, _position(table.numbers[at], table.grid), elements)
        _put_box(box, first, axis, dataset, put)


def _box(dataset: Dataset, layout: Chunked) -> tuple[int, int]:
    """The axis along which a box has more than one chunk, and how many it has there."""
    element, shape = dataset.datatype.size, dataset.shape
    chunk = [min(dim, size) for dim, size in zip(layout.dims, shape, strict=True)]
    for axis in range(len(shape)):
        unit = prod(chunk[: axis + 1]) * prod(shape[axis + 1 :]) * element
        if unit <= _BOX_BYTES:
            return axis, max(_BOX_BYTES // unit, 1)
    return len(shape) - 1, 1


def _by_box(table: ChunkTable, axis: int, step: int) -> dict[int, list[int]]:
    """Rows of the table by the number of their box."""
    grid = table.grid
    below = prod(grid[axis + 1 :])
    per_line = -(-grid[axis] // step)
    found: dict[int, list[int]] = {}
    for at, number in enumerate(table.numbers):
        line, column = divmod(number // below, grid[axis])
        found.setdefault(line * per_line + column // step, []).append(at)
    return found


def _extent(
    corner: tuple[int, ...], axis: int, step: int, layout: Chunked, shape: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """First element and size of a box along each axis."""
    first, sizes = [], []
    for number, (dim, size) in enumerate(zip(layout.dims, shape, strict=True)):
        length = dim * step if number == axis else dim if number < axis else size
        start = corner[number] * length if number <= axis else 0
        first.append(start)
        sizes.append(min(length, size - start))
    return tuple(first), tuple(sizes)


def _place_chunk(
    box: Bytes, first: tuple[int, ...], position: tuple[int, ...], elements: Bytes
) -> None:
    """Copy the part of a chunk that lies in the box, which is all of it but for the edges."""
    target, taken = [], []
    for p, dim, start, size in zip(position, elements.shape, first, box.shape, strict=False):
        begin = p * dim - start
        target.append(slice(begin, min(begin + dim, size)))
        taken.append(slice(0, min(dim, size - begin)))
    box[tuple(target)] = elements[tuple(taken)]


def _put_box(box: Bytes, first: tuple[int, ...], axis: int, dataset: Dataset, put: Put) -> None:
    """Put the runs of a box that lie together in the dataset: all axes from `axis` on."""
    for inner in product(*map(range, box.shape[:axis])):
        offset = 0
        for number, size in enumerate(dataset.shape):
            offset = offset * size + first[number] + (inner[number] if number < axis else 0)
        put(offset * dataset.datatype.size, to_plain(box[inner].tobytes(), dataset.datatype))
