"""Many strings in one buffer: what a document says a million times without a million objects.

`Texts` is a sequence of `str` that makes each when it is asked for; checks work on its bytes.
Strings in UTF-8 are in the order of their bytes when they are in that of their code points.

    >>> texts = Texts(b"..kernel.bias", array("Q", [2, 9]), array("Q", [8, 13]))
    >>> list(texts), texts.ascending_up_to()
    (['kernel', 'bias'], 1)
"""

from __future__ import annotations

import operator
from array import array
from collections.abc import Iterator, Sequence
from itertools import pairwise, starmap
from typing import overload

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1 << 16
"""Strings of a block."""
_BLANK = ord(" ")


class Texts(Sequence[str]):
    """Strings in `data`, in UTF-8, each from one of `starts` to one of `ends`.

    They stand one after another, at least one byte apart.
    """

    __slots__ = ("_data", "_ends", "_starts")

    def __init__(
        self, data: bytes = b"", starts: Sequence[int] = (), ends: Sequence[int] = ()
    ) -> None:
        self._data = data
        self._starts, self._ends = array("Q", starts), array("Q", ends)

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, at: int) -> str: ...

    @overload
    def __getitem__(self, at: slice) -> list[str]: ...

    def __getitem__(self, at: int | slice) -> str | list[str]:
        if isinstance(at, slice):
            return [self[each] for each in range(len(self))[at]]
        return self._data[self._starts[at] : self._ends[at]].decode()

    def __iter__(self) -> Iterator[str]:
        return map(bytes.decode, self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """The bytes of each string."""
        return map(self._data.__getitem__, map(slice, self._starts, self._ends))

    def spans(self) -> Iterator[tuple[int, int]]:
        """Where each string begins and ends in the buffer."""
        return zip(self._starts, self._ends, strict=True)

    def blocks(self) -> Iterator[bytes]:
        """The bytes of many strings at a time, with blanks in between."""
        data, (starts, ends) = np.frombuffer(self._data, np.uint8), self._columns()
        for at in range(0, len(self), _BLOCK):
            begin, end = starts[at : at + _BLOCK], ends[at : at + _BLOCK]
            block = data[begin[0] : end[-1]].copy()
            gaps = begin[1:] - end[:-1]
            for back in range(1, int(gaps.max(initial=0)) + 1):
                block[begin[1:][gaps >= back] - begin[0] - np.uint64(back)] = _BLANK
            yield block.tobytes()

    def lengths(self) -> NDArray[np.uint64]:
        """The length of each string in bytes."""
        starts, ends = self._columns()
        return ends - starts

    def ascending_up_to(self) -> int:
        """How many strings from the first on ascend strictly."""
        ascends = starmap(operator.lt, pairwise(self.pieces()))
        return next((at for at, ok in enumerate(ascends, 1) if not ok), len(self))

    def repeats(self) -> bool:
        """Whether a string occurs twice; takes a number for each string, not its text."""
        if self.ascending_up_to() == len(self):
            return False
        hashes = np.fromiter(map(hash, self.pieces()), np.int64, len(self))
        ordered = np.sort(hashes)
        twice = frozenset(ordered[1:][ordered[1:] == ordered[:-1]].tolist())
        alike = [piece for piece in self.pieces() if hash(piece) in twice] if twice else []
        return len(set(alike)) != len(alike)

    def _columns(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        return np.frombuffer(self._starts, np.uint64), np.frombuffer(self._ends, np.uint64)
