"""Canonical MessagePack: one map, shortest forms, keys ascending, no types beyond what we use.

Bytes are checked before a value is made of them: each declared length against the bytes that
remain, the form against the only one allowed, the number of values against the limits. So what is
decoded takes memory in proportion to its bytes, and with `views` little beyond them.
Layout: https://github.com/msgpack/msgpack

    >>> encode({"b": 1, "a": b""}).hex()
    '82a161c400a16201'
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, Literal

import msgpack

from modelbundle.core.findings import BundleError, checks, refuse
from modelbundle.core.limits import LIMITS
from modelbundle.core.texts import Texts

_Kind = Literal["int", "str", "bin", "array", "map", "signed", "foreign"]

_FORMS: dict[int, tuple[_Kind, int, int]] = {
    0xC4: ("bin", 1, 0), 0xC5: ("bin", 2, 1 << 8), 0xC6: ("bin", 4, 1 << 16),
    0xCC: ("int", 1, 1 << 7), 0xCD: ("int", 2, 1 << 8), 0xCE: ("int", 4, 1 << 16),
    0xCF: ("int", 8, 1 << 32),
    0xD0: ("signed", 1, 0), 0xD1: ("signed", 2, 0), 0xD2: ("signed", 4, 0), 0xD3: ("signed", 8, 0),
    0xD9: ("str", 1, 1 << 5), 0xDA: ("str", 2, 1 << 8), 0xDB: ("str", 4, 1 << 16),
    0xDC: ("array", 2, 1 << 4), 0xDD: ("array", 4, 1 << 16),
    0xDE: ("map", 2, 1 << 4), 0xDF: ("map", 4, 1 << 16),
}  # fmt: skip
"""First byte to what follows it: the kind, bytes of the number, and the least number for which
this is the shortest form. The number is the value of an integer, else a length."""

_CONTAINERS = frozenset({dict, list})
_FOREIGN = "nil, a boolean, a float or an extension"


def encode(value: Any) -> bytes:
    """`value` (maps, arrays, str, bytes, unsigned integers) in canonical form."""
    data: bytes = msgpack.packb(_sorted(value), use_bin_type=True)
    return data


def _sorted(value: Any) -> Any:
    """`value` with the keys of every map ascending; code point order is UTF-8 byte order."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list) and not _CONTAINERS.isdisjoint(map(type, value)):
        return [_sorted(item) for item in value]
    return value


def decode(data: bytes, place: str, *, views: bool = False) -> dict[str, Any]:
    """The map that `data` holds; raises `BundleError` (MSG-01 to MSG-04).

    With `views`, a `bin` is a memoryview of `data`, and an array of strings, one at least, is
    `Texts` over it.
    """
    return _Decoder(data, place, views).run()


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except ValueError:
        return False
    return True


class _Decoder:
    """One walk over the bytes of a document."""

    def __init__(self, data: bytes, place: str, views: bool) -> None:
        self._data = data
        self._place = place
        self._views = views
        self._room = LIMITS.msgpack_values + len(data) // 8

    @checks("MSG-01", "MSG-02", "MSG-03")
    def run(self) -> dict[str, Any]:
        """The document; raises `BundleError` unless it is a map in canonical form."""
        if not self._data:
            raise self._refuse("MSG-04", 0, "a map", "no bytes")
        if self._head(0)[0] != "map":
            raise self._refuse("MSG-02", 0, "a map", f"0x{self._data[0]:02x}")
        value, end = self._value(0, 0)
        if end != len(self._data):
            raise self._refuse("MSG-01", end, "the end of the file", "more bytes")
        document: dict[str, Any] = value
        return document

    def _value(self, at: int, depth: int) -> tuple[Any, int]:
        """The value at `at`, inside `depth` others, and where it ends."""
        kind, number, start = self._head(at)
        if kind == "int":
            return number, start
        if kind in ("str", "bin"):
            end = self._within(at, start + number)
            return (self._text(start, end) if kind == "str" else self._bytes(start, end)), end
        if depth >= LIMITS.msgpack_depth:
            raise self._refuse("MSG-03", at, f"at most {LIMITS.msgpack_depth} levels", "more")
        self._room -= number
        if self._room < 0:
            raise self._refuse("MSG-03", at, "fewer values: one for 8 bytes, and 65,536", "more")
        if kind == "map":
            self._within(at, start + 2 * number)
            return self._map(start, number, depth + 1)
        self._within(at, start + number)
        return self._array(start, number, depth + 1)

    def _bytes(self, start: int, end: int) -> bytes | memoryview:
        return memoryview(self._data)[start:end] if self._views else self._data[start:end]

    @checks("MSG-04")
    def _text(self, start: int, end: int) -> str:
        try:
            return self._data[start:end].decode()
        except ValueError as error:
            raise self._refuse("MSG-04", start, "a string in UTF-8", error) from None

    def _array(self, at: int, count: int, depth: int) -> tuple[Sequence[Any], int]:
        texts, at = self._texts(at, count)
        if self._views and texts and len(texts) == count:
            return texts, at
        items: list[Any] = list(texts)
        for _ in range(count - len(items)):
            item, at = self._value(at, depth)
            items.append(item)
        return items, at

    def _texts(self, at: int, count: int) -> tuple[Texts, int]:
        """The strings that an array of `count` items at `at` begins with, and where they end."""
        data, last = self._data, len(self._data) - 1
        starts, ends = array("Q"), array("Q")
        for _ in range(count):
            head = data[at] if at < last else 0
            if 0xA0 <= head <= 0xBF:  # names, by far the most there is: no call for each
                start, end = at + 1, at + head - 0x9F
            elif head == 0xD9 and data[at + 1] >= 0x20:
                start, end = at + 2, at + data[at + 1] + 2
            else:
                kind, length, start = self._head(at)
                if kind != "str":
                    break
                end = start + length
            starts.append(start)
            ends.append(end)
            at = end
        self._within(at, at)
        texts = Texts(data, starts, ends)
        if not all(map(_is_utf8, texts.blocks())):
            for start, end in texts.spans():
                self._text(start, end)
        return texts, at

    def _map(self, at: int, count: int, depth: int) -> tuple[dict[str, Any], int]:
        previous = None
        found: dict[str, Any] = {}
        for _ in range(count):
            kind, length, start = self._head(at)
            if kind != "str":
                raise self._refuse("MSG-02", at, "a str as key", f"0x{self._data[at]:02x}")
            end = self._within(at, start + length)
            key = self._data[start:end]
            if previous is not None and key <= previous:
                raise self._refuse("MSG-01", at, "unique keys that ascend", key)
            previous = key
            found[self._text(start, end)], at = self._value(end, depth)
        return found, at

    def _head(self, at: int) -> tuple[_Kind, int, int]:
        """What begins at `at`: its kind, its number, and where what it holds begins."""
        if self._within(at, at) == len(self._data):
            raise self._refuse("MSG-04", at, "a value", "the end of the file")
        head = self._data[at]
        if head < 0x80:
            return "int", head, at + 1
        if head < 0xC0:
            kind: _Kind = "map" if head < 0x90 else "array" if head < 0xA0 else "str"
            return kind, head & (0x1F if kind == "str" else 0x0F), at + 1
        return self._long_head(at, head)

    def _long_head(self, at: int, head: int) -> tuple[_Kind, int, int]:
        if head == 0xC1:
            raise self._refuse("MSG-04", at, "a value", "0xc1, which is never used")
        if head >= 0xE0:
            raise self._refuse("MSG-02", at, "an unsigned integer", "a negative one")
        kind, width, least = _FORMS.get(head, ("foreign", 0, 0))
        if kind == "foreign":
            raise self._refuse("MSG-02", at, "map, array, str, bin or integer", _FOREIGN)
        start = at + 1 + width
        if start > len(self._data):
            raise self._refuse("MSG-04", at, f"{width} more bytes", "the end of the file")
        number = int.from_bytes(self._data[at + 1 : start])
        if kind == "signed" and self._data[at + 1] >= 0x80:
            raise self._refuse("MSG-02", at, "an unsigned integer", "a negative one")
        if kind == "signed" or number < least:
            raise self._refuse("MSG-01", at, "the shortest form", f"0x{head:02x} for {number}")
        return kind, number, start

    def _within(self, at: int, end: int) -> int:
        if end > len(self._data):
            found = f"{end - len(self._data)} bytes too many"
            raise self._refuse("MSG-03", at, "a length within the bytes that remain", found)
        return end

    def _refuse(self, rule: str, at: int, expected: str, found: object) -> BundleError:
        return refuse(rule, f"{self._place}@{at}", expected, found)
