"""JSON text read once from left to right, through a window: memory does not grow with the text.

    scanner = Scanner(blob, 8, length, longest=1 << 23)
    for key in scanner.members(1000):      # of the object that comes next
        value = scanner.value(4096)        # the caller takes each value in between
    scanner.finish()

Raises `ValueError`, with the character that it is about, where the text is not what was asked for.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any

from modelbundle.core.blobs import Blob

_CHUNK_BYTES = 1 << 16
_BLANKS = re.compile(r"[ \t\n\r]*")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError(f"a key twice among {[key for key, _ in pairs]}")
    return result


def _constant(name: str) -> None:
    raise ValueError(f"the number {name}")


_JSON = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_constant)


class Scanner:
    """The JSON text in `size` bytes of `blob` from `offset` on, in UTF-8.

    `longest`: characters of a string at most, as written with its quotes.
    """

    def __init__(self, blob: Blob, offset: int, size: int, longest: int) -> None:
        self._blob, self._offset, self._end = blob, offset, offset + size
        self._longest = longest
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._text, self._at, self._before = "", 0, 0

    def _fill(self, wanted: int) -> None:
        """Have `wanted` characters at hand, or all that are left."""
        if len(self._text) - self._at >= wanted:
            return
        pieces = [self._text[self._at :]]
        self._before += self._at
        self._at, ready = 0, len(pieces[0])
        while ready < wanted and self._offset < self._end:
            chunk = self._blob.read(self._offset, min(_CHUNK_BYTES, self._end - self._offset))
            self._offset += len(chunk)
            pieces.append(self._decode(chunk, self._offset == self._end))
            ready += len(pieces[-1])
        self._text = "".join(pieces)

    def _skip(self) -> None:
        """Step over blanks, and have a character at hand unless the text ends."""
        while True:
            self._fill(1)
            if self._text[self._at : self._at + 1] not in (" ", "\t", "\n", "\r"):
                return
            self._at = _BLANKS.match(self._text, self._at).end()  # type: ignore[union-attr]

    def _wrong(self, missing: str) -> ValueError:
        return ValueError(f"{missing} at character {self._before + self._at}")

    def take(self, mark: str) -> bool:
        """Step over the character `mark` where it comes next."""
        self._skip()
        found = self._text.startswith(mark, self._at)
        self._at += found
        return found

    def need(self, mark: str) -> None:
        """Step over `mark`, which must come next."""
        if not self.take(mark):
            raise self._wrong(f"no `{mark}`")

    def string(self) -> str:
        """The string that comes next; it must be Unicode text."""
        self._skip()
        if not self._text.startswith('"', self._at):
            raise self._wrong("no string")
        value, self._at = self._string()
        value.encode()
        return value

    def _string(self) -> tuple[str, int]:
        """The string at hand and where it ends, in a window that grows until it holds all."""
        limit = self._longest
        while True:
            ready = len(self._text) - self._at
            try:
                value, end = _JSON.raw_decode(self._text, self._at)
            except ValueError:
                if self._offset == self._end or ready >= limit:
                    raise
                self._fill(min(2 * ready + _CHUNK_BYTES, limit))
            else:
                if end - self._at > limit:
                    raise self._wrong(f"a string of more than {limit} characters")
                return str(value), end

    def members(self, limit: int) -> Iterator[str]:
        """The keys of the object that comes next; the caller takes each value in between."""
        self.need("{")
        seen: set[str] = set()
        more = not self.take("}")
        while more:
            key = self.string()
            if key in seen:
                raise ValueError(f"the key {key!r} twice")
            if len(seen) == limit:
                raise ValueError(f"an object of more than {limit} members")
            seen.add(key)
            self.need(":")
            yield key
            more = self.take(",")
            if not more:
                self.need("}")

    def value(self, limit: int) -> Any:
        """The value that comes next, `limit` characters at most."""
        self._skip()
        self._fill(limit)
        value, length = _JSON.raw_decode(self._text[self._at : self._at + limit])
        self._at += length
        return value

    def finish(self) -> None:
        """Nothing but blanks may come next."""
        self._skip()
        if self._at != len(self._text):
            raise self._wrong("more text after the object")
