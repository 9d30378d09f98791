"""Strict, canonical JSON (RFC 8785) for every JSON document of the standard.

>>> encode({"b": 1, "a": [True, None]})
b'{"a":[true,null],"b":1}'
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from math import isfinite
from typing import Any

import rfc8785

from modelbundle.core.findings import BundleError, checks, clip, refuse
from modelbundle.core.limits import LIMITS

_EMPTY = re.compile(r"\[[ \t\n\r]*\]|\{[ \t\n\r]*\}")
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_INTEGER_DIGITS = 16


def encode(value: Any) -> bytes:
    """`value` in canonical form. Raises `ValueError` for what JSON cannot hold exactly."""
    return rfc8785.dumps(value)


@checks("JSN-07")
def decode(data: bytes, place: str) -> Any:
    """The value of canonical JSON bytes; raises `BundleError` (JSN-01 to JSN-08)."""
    value = decode_lenient(data, place)
    try:
        canonical = encode(value) == data
    except (ValueError, RecursionError):
        canonical = False
    if not canonical:
        raise refuse(
            "JSN-07",
            place,
            "the canonical form of RFC 8785",
            "another form of the same value",
            "sort the names, remove white space and write numbers in shortest form",
        )
    return value


@checks("JSN-01", "JSN-04", "JSN-08")
def decode_lenient(data: bytes, place: str, depth: int = LIMITS.json_depth) -> Any:
    """The value of JSON bytes in any form, with every rule but JSN-07 in force."""
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise refuse(
            "JSN-01", place, "UTF-8 without a byte-order mark", data[:3].hex(), "remove the mark"
        )
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise refuse(
            "JSN-01", f"{place}@{error.start}", "UTF-8", data[error.start : error.start + 4].hex()
        ) from None
    _check_count(text, place)
    try:
        value = _Decoder(place).decode(text)
    except json.JSONDecodeError as error:
        at = len(text[: error.pos].encode())
        raise refuse("JSN-08", f"{place}@{at}", "one JSON value", error.msg) from None
    except RecursionError:
        raise refuse("JSN-04", place, f"at most {depth} levels", "many more") from None
    _check_tree(value, place, depth)
    return value


def _check_count(text: str, place: str) -> None:
    """Refuse a document of very many values before they are made: each takes 60 bytes or more."""
    if _count(text) <= LIMITS.json_values:
        return
    bare = _STRING.sub('"', text)
    if _count(bare) - len(_EMPTY.findall(bare)) > LIMITS.json_values:
        raise refuse("JSN-04", place, f"at most {LIMITS.json_values} values", "more")


def _count(text: str) -> int:
    """Members and items, and 1 for each object or array that is empty."""
    return sum(map(text.count, ",[{"))


class _Decoder(json.JSONDecoder):
    """The standard decoder with the laxities of Python's taken out."""

    def __init__(self, place: str) -> None:
        self._place = place
        super().__init__(
            object_pairs_hook=self._members,
            parse_constant=self._constant,
            parse_int=self._integer,
            parse_float=self._float,
        )

    @checks("JSN-02")
    def _members(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            counts = Counter(name for name, _ in pairs)
            name = next(name for name, count in counts.items() if count > 1)
            raise refuse(
                "JSN-02", self._place, "each name once in an object", f"{clip(name)!r} twice"
            )
        return members

    @checks("JSN-03")
    def _constant(self, name: str) -> Any:
        raise refuse(
            "JSN-03", self._place, "a number that JSON has", name, "write null or a string"
        )

    def _integer(self, digits: str) -> int:
        if len(digits.lstrip("-")) > _MAX_INTEGER_DIGITS or abs(int(digits)) > LIMITS.safe_integer:
            raise self._number(digits)
        return int(digits)

    def _float(self, digits: str) -> float:
        value = float(digits)
        if not isfinite(value):
            raise self._number(digits)
        return value

    @checks("JSN-05")
    def _number(self, digits: str) -> BundleError:
        return refuse(
            "JSN-05",
            self._place,
            "a number that a double holds, an integer within 2^53 - 1",
            digits,
            "write large integers as strings",
        )


def _check_tree(value: Any, place: str, depth: int) -> None:
    """Depth (JSN-04) and strings (JSN-06), level by level, so that no recursion is needed."""
    level: list[Any] = [value]
    for _ in range(depth):
        _check_strings(level, place)
        level = [child for item in level for child in _children(item)]
        if not level:
            return
    if any(isinstance(item, dict | list) for item in level):
        raise refuse("JSN-04", place, f"at most {depth} levels", "more")
    _check_strings(level, place)


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    return value if isinstance(value, list) else ()


@checks("JSN-06")
def _check_strings(values: list[Any], place: str) -> None:
    for text in values:
        if isinstance(text, str) and _SURROGATE.search(text):
            raise refuse("JSN-06", place, "Unicode text", "a lone surrogate in a string")
