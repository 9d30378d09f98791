"""The distinct ranges of a tensor index and their digests, as columns.

    ranges = distinct(index.file, index.offset, index.length)
    list(ranges.spans(ranges.within(0)))         # offset and length of those in the first file

Rows that share a range share its digest, so each range is hashed once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelbundle.core.digests import DIGEST_BYTES, EMPTY

_BLOCK = 1 << 14
"""Ranges that are numbers of Python at a time."""


@dataclass(frozen=True, slots=True)
class Ranges:
    """Ranges that are not empty, ascending by file, offset and length; offset and length in bytes.

    `of_row` has the number of each row's range, and the number of ranges for a row that is empty.
    """

    file: NDArray[np.uint32]
    offset: NDArray[np.uint64]
    length: NDArray[np.uint64]
    of_row: NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.file)

    def within(self, code: int) -> slice:
        """The numbers of the ranges of file `code`."""
        ends = np.array([code, code + 1], self.file.dtype)
        return slice(*self.file.searchsorted(ends).tolist())

    def spans(self, numbers: slice) -> Iterator[tuple[int, int]]:
        """Offset and length of the ranges `numbers`."""
        for start in range(numbers.start, numbers.stop, _BLOCK):
            block = slice(start, min(start + _BLOCK, numbers.stop))
            yield from zip(self.offset[block].tolist(), self.length[block].tolist(), strict=True)


def distinct(
    file: NDArray[np.uint32], offset: NDArray[np.uint64], length: NDArray[np.uint64]
) -> Ranges:
    """The ranges of rows that are given by columns."""
    order = np.lexsort((length, offset, file)).astype(np.uint32)
    order = order[length[order] > 0]
    columns = file[order], offset[order], length[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    of_row = np.full(len(file), np.count_nonzero(new), np.uint32)
    of_row[order] = np.cumsum(new, dtype=np.uint32) - np.uint32(1)
    return Ranges(columns[0][new], columns[1][new], columns[2][new], of_row)


class RangeDigests:
    """The sha256 of each of `ranges`, noted file by file; `files` are the paths of their codes."""

    def __init__(self, ranges: Ranges, files: Sequence[str]) -> None:
        self._ranges = ranges
        self._code: Mapping[str, int] = {path: code for code, path in enumerate(files)}
        self._raw: NDArray[np.uint8] = np.zeros((len(ranges) + 1, DIGEST_BYTES), np.uint8)
        self._raw[-1] = np.frombuffer(EMPTY, np.uint8)

    def spans(self, path: str) -> Iterator[tuple[int, int]]:
        """Offset and length of each range in the file, disjoint and ascending."""
        return self._ranges.spans(self._numbers(path))

    def note(self, path: str, raw: bytes | bytearray) -> None:
        """The digests of these ranges are `raw`, 32 bytes each."""
        self._raw[self._numbers(path)] = np.frombuffer(raw, np.uint8).reshape(-1, DIGEST_BYTES)

    def column(self) -> bytes:
        """The digest of each row."""
        return self._raw[self._ranges.of_row].tobytes()

    def differing(self, column: bytes | memoryview) -> Iterator[tuple[int, bytes]]:
        """The rows that have another digest than `column` has for them, with what they have."""
        stated = np.frombuffer(column, np.uint8).reshape(-1, DIGEST_BYTES)
        for start in range(0, len(stated), _BLOCK):
            rows = slice(start, start + _BLOCK)
            found = self._raw[self._ranges.of_row[rows]]
            for at in np.flatnonzero((found != stated[rows]).any(axis=1)).tolist():
                yield start + at, found[at].tobytes()

    def _numbers(self, path: str) -> slice:
        code = self._code.get(path)
        return slice(0, 0) if code is None else self._ranges.within(code)
