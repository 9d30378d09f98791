"""Many strings in one buffer: what a document says a million times without a million objects.

`Texts` is a sequence of `str` that makes each when it is asked for; checks work on its bytes.
Strings in UTF-8 are in the order of their bytes when they are in that of their code points.

    >>> texts = Texts(b"..kernelbias")
    >>> texts.add(2, 8), texts.add(8, 12)
    (None, None)
    >>> list(texts), texts.ascending_up_to()
    (['kernel', 'bias'], 1)
"""

from __future__ import annotations

import operator
from array import array
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from typing import overload

_BLOCK = 1024
"""Strings of a block."""


class Texts(Sequence[str]):
    """Strings that stand in `data`, in UTF-8; `add` says where the next one is."""

    __slots__ = ("_data", "_ends", "_starts")

    def __init__(self, data: bytes = b"") -> None:
        self._data = data
        self._starts, self._ends = array("Q"), array("Q")

    def add(self, start: int, end: int) -> None:
        """The next string is at bytes `start` to `end`."""
        self._starts.append(start)
        self._ends.append(end)

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

    def pieces(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The bytes of each string."""
        starts, ends = self._starts, self._ends
        if start or stop is not None:
            starts, ends = starts[start:stop], ends[start:stop]
        return map(self._data.__getitem__, map(slice, starts, ends))

    def spans(self, start: int = 0) -> Iterator[tuple[int, int]]:
        """Where each string begins and ends in the buffer."""
        return zip(self._starts[start:], self._ends[start:], strict=True)

    def blocks(self) -> Iterator[tuple[int, bytes]]:
        """The bytes of many strings at a time with blanks in between; number of the first."""
        for start in range(0, len(self), _BLOCK):
            yield start, b" ".join(self.pieces(start, start + _BLOCK))

    def lengths(self) -> Iterator[int]:
        """The length of each string in bytes."""
        return map(operator.sub, self._ends, self._starts)

    def ascending_up_to(self) -> int:
        """How many strings from the first on ascend strictly."""
        ascends = map(operator.lt, self.pieces(), islice(self.pieces(), 1, None))
        return next((at for at, ok in enumerate(ascends, 1) if not ok), len(self))

    def repeats(self) -> bool:
        """Whether a string occurs twice; takes a number for each string, not its text."""
        if self.ascending_up_to() == len(self):
            return False
        hashes = array("q", map(hash, self.pieces()))
        ordered = sorted(hashes)
        twice = {one for one, two in pairwise(ordered) if one == two}
        alike = [
            piece for piece, found in zip(self.pieces(), hashes, strict=True) if found in twice
        ]
        return len(set(alike)) != len(alike)
