"""The filter pipeline backwards: from a stored chunk to its elements.

Chunks of any size pass through in pieces: small ones in memory, large ones by way of temporary
files. What comes out must have exactly the size that the chunk's shape states.

    chunk = unfilter(stored, filters, mask, chunk_bytes, place)     # a Blob
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from modelbundle.core.blobs import Blob, SliceBlob, walk
from modelbundle.sources.hdf5.checksum import Fletcher32
from modelbundle.sources.hdf5.messages import DEFLATE, FLETCHER32, SHUFFLE, Filter
from modelbundle.sources.hdf5.source import mismatch
from modelbundle.sources.spool import collect

_PIECE_BYTES = 4 << 20


def unfilter(
    stored: Blob, filters: Sequence[Filter], mask: int, chunk_bytes: int, place: str
) -> Blob:
    """The elements of a chunk; raises BundleError (HDF-09) where they are not what is declared."""
    applied = [each for number, each in enumerate(filters) if not mask >> number & 1]
    for position in reversed(range(len(applied))):
        size = chunk_bytes + 4 * sum(each.id == FLETCHER32 for each in applied[:position])
        stored = _UNDO[applied[position].id](stored, applied[position], size, place)
    if stored.size != chunk_bytes:
        raise mismatch(place, f"{chunk_bytes} bytes of chunk", stored.size)
    return stored


def _inflate(stored: Blob, _: Filter, size: int, place: str) -> Blob:
    return collect(_inflated(stored, size, place), size)


def _inflated(stored: Blob, size: int, place: str) -> Iterator[bytes]:
    """Inflated pieces, never more than `size` bytes in all, nor many at once."""
    stream = zlib.decompressobj()
    left = size
    for piece in walk(stored, _PIECE_BYTES):
        rest = piece
        while rest and not stream.eof:
            try:
                data = stream.decompress(rest, min(left, _PIECE_BYTES) or 1)
            except zlib.error as error:
                raise mismatch(place, "deflated data", str(error)) from None
            left -= len(data)
            if left < 0:
                raise mismatch(place, f"{size} bytes when inflated", "more")
            rest = stream.unconsumed_tail
            yield data
    if left or not stream.eof:
        raise mismatch(place, f"{size} bytes when inflated", f"{size - left}")


def _unshuffle(stored: Blob, shuffle: Filter, _: int, place: str) -> Blob:
    """Bring together the bytes of each element; a rest of less than an element was left alone."""
    width = shuffle.values[0] if shuffle.values else 0
    if not width:
        raise mismatch(place, "a shuffle filter that states the size of an element", shuffle.values)
    if width == 1 or stored.size < width:
        return stored
    return collect(_unshuffled(stored, width), stored.size)


def _unshuffled(stored: Blob, width: int) -> Iterator[bytes]:
    count = stored.size // width
    step = max(_PIECE_BYTES // width, 1)
    for start in range(0, count, step):
        held = min(step, count - start)
        planes = b"".join(stored.read(plane * count + start, held) for plane in range(width))
        yield np.frombuffer(planes, np.uint8).reshape(width, held).T.tobytes()
    yield stored.read(count * width, stored.size - count * width)


def _verify(stored: Blob, _: Filter, size: int, place: str) -> Blob:
    """Take off the Fletcher-32 checksum; some old writers swapped its halves' bytes."""
    if stored.size < 4:
        raise mismatch(place, "a checksum behind the chunk", f"{stored.size} bytes")
    data = SliceBlob(stored, 0, stored.size - 4)
    checksum = Fletcher32()
    for piece in walk(data, _PIECE_BYTES):
        checksum.update(piece)
    found = stored.read(data.size, 4)
    value = checksum.value
    swapped = (value & 0x00FF00FF) << 8 | (value & 0xFF00FF00) >> 8
    if int.from_bytes(found, "little") not in (value, swapped):
        raise mismatch(place, "the checksum stored with the chunk", "other data")
    return data


_UNDO: dict[int, Callable[[Blob, Filter, int, str], Blob]] = {
    DEFLATE: _inflate,
    SHUFFLE: _unshuffle,
    FLETCHER32: _verify,
}
