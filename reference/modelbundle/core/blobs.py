"""Blobs: byte sequences that are read by range, whatever holds them.

A blob has a `size` and a `read(offset, length)` that returns exactly `length` bytes or raises.
Blobs compose: a slice of a blob is a blob, and so is a list of segments of other blobs.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol, runtime_checkable

CHUNK_BYTES = 4 << 20
"""How much is read at a time when a whole blob is walked (bytes)."""


@runtime_checkable
class Blob(Protocol):
    """Bytes that can be read by range."""

    @property
    def size(self) -> int:
        """Length in bytes."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset`; raises `EOFError` where the blob is shorter."""
        ...


def check_range(size: int, offset: int, length: int) -> None:
    """Raise `EOFError` unless `offset` and `length` describe a range of `size` bytes."""
    if offset < 0 or length < 0 or offset + length > size:
        raise EOFError(f"bytes {offset} to {offset + length} of {size}")


@dataclass(frozen=True, slots=True)
class BytesBlob:
    """A blob in memory."""

    data: bytes

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self.data)

    def read(self, offset: int, length: int) -> bytes:
        """See `Blob.read`."""
        check_range(len(self.data), offset, length)
        return self.data[offset : offset + length]


@dataclass(frozen=True, slots=True)
class SliceBlob:
    """A range of another blob."""

    blob: Blob
    start: int
    size: int

    def __post_init__(self) -> None:
        check_range(self.blob.size, self.start, self.size)

    def read(self, offset: int, length: int) -> bytes:
        """See `Blob.read`."""
        check_range(self.size, offset, length)
        return self.blob.read(self.start + offset, length)

    def view(self, offset: int, length: int) -> memoryview:
        """See `view`."""
        check_range(self.size, offset, length)
        return view(self.blob, self.start + offset, length)

    def read_into(self, offset: int, target: memoryview) -> None:
        """See `read_into`."""
        check_range(self.size, offset, len(target))
        read_into(self.blob, self.start + offset, target)

    def resident(self, offset: int, length: int) -> memoryview | None:
        """See `resident`."""
        check_range(self.size, offset, length)
        return resident(self.blob, self.start + offset, length)


class ComposedBlob:
    """Slices of other blobs, one after another."""

    def __init__(self, slices: Sequence[SliceBlob]) -> None:
        self._slices = [piece for piece in slices if piece.size]
        self._ends = list(accumulate(piece.size for piece in self._slices))

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self._ends[-1] if self._ends else 0

    def read(self, offset: int, length: int) -> bytes:
        """See `Blob.read`."""
        pieces = [piece.read(start, taken) for piece, start, taken in self._cut(offset, length)]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read_into(self, offset: int, target: memoryview) -> None:
        """See `read_into`."""
        at = 0
        for piece, start, taken in self._cut(offset, len(target)):
            piece.read_into(start, target[at : at + taken])
            at += taken

    def _cut(self, offset: int, length: int) -> Iterator[tuple[SliceBlob, int, int]]:
        """The slices that a range lies in, each with where it begins there and how long it is."""
        check_range(self.size, offset, length)
        at = bisect_right(self._ends, offset)
        while length:
            piece = self._slices[at]
            start = offset - (self._ends[at] - piece.size)
            taken = min(length, piece.size - start)
            yield piece, start, taken
            offset, length, at = offset + taken, length - taken, at + 1

    def resident(self, offset: int, length: int) -> memoryview | None:
        """See `resident`."""
        piece = self.one_slice(offset, length)
        return None if piece is None else piece.resident(0, length)

    def one_slice(self, offset: int, length: int) -> SliceBlob | None:
        """The range as a slice of the one blob that it lies in; None where it lies in several."""
        check_range(self.size, offset, length)
        at = bisect_right(self._ends, offset)
        if not length or offset + length > self._ends[at]:
            return None
        piece = self._slices[at]
        start = piece.start + offset - (self._ends[at] - piece.size)
        return SliceBlob(piece.blob, start, length)


def view(blob: Blob, offset: int, length: int) -> memoryview:
    """Bytes of `blob`, without copying them where it can show its own (`view` of its own)."""
    show = getattr(blob, "view", None)
    return memoryview(blob.read(offset, length)) if show is None else show(offset, length)


def read_into(blob: Blob, offset: int, target: memoryview) -> None:
    """Fill `target` with bytes of `blob`, by `read_into` of its own where it has one."""
    fill = getattr(blob, "read_into", None)
    if fill is None:
        target[:] = blob.read(offset, len(target))
    else:
        fill(offset, target)


def resident(blob: Blob, offset: int, length: int) -> memoryview | None:
    """Bytes of `blob` where they lie in memory already (`resident` of its own), else None."""
    show = getattr(blob, "resident", None)
    return None if show is None else show(offset, length)


def walk(blob: Blob, chunk: int = CHUNK_BYTES) -> Iterator[bytes]:
    """The whole blob, `chunk` bytes at a time."""
    for offset in range(0, blob.size, chunk):
        yield blob.read(offset, min(chunk, blob.size - offset))
