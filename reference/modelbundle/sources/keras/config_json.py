"""The JSON of Keras configs: strict, with the one liberty that Keras takes.

Python writes `NaN`, `Infinity` and `-Infinity` into JSON, so real configs hold them; they are
accepted and reported. Everything else that JSON forbids or leaves open is refused: duplicate keys,
a byte-order mark, lone surrogates, trailing text. Size, depth and the number of values are bounded
before the parser runs, so that no input exhausts the stack or the memory.

    >>> parse(b'{"rate": NaN}', "config.json").non_finite
    True
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any

from modelbundle.core.findings import BundleError, checks, refuse
from modelbundle.core.limits import LIMITS

_STRING = re.compile(rb'"[^"]*+"')
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_HINT = "A Keras config is what to_json() or get_config() returns, as UTF-8 JSON"


@dataclass(frozen=True, slots=True)
class ParsedJson:
    """A JSON value, and whether it holds NaN or infinities."""

    value: Any
    non_finite: bool


class _Constants:
    """Turns the number texts that JSON lacks into floats, and remembers that there were any."""

    def __init__(self) -> None:
        self.seen = False

    def constant(self, text: str) -> float:
        self.seen = True
        return float(text)

    def number(self, text: str) -> float:
        value = float(text)
        self.seen |= math.isinf(value)
        return value


@checks("KCF-02")
def within(limit: int, found: int, what: str, place: str) -> None:
    """Refuse (KCF-02) more of something than the limits allow."""
    if found > limit:
        raise refuse("KCF-02", place, f"at most {limit} {what}", found)


def check_limits(data: bytes, place: str) -> None:
    """Refuse (KCF-02) a config that is too large, too deep or of too many values."""
    within(LIMITS.config_bytes, len(data), "bytes", place)
    escapes = data.count(b"\\") - data.count(b"\\u") + data.count(b"\\u00")
    within(LIMITS.config_values, escapes, "escapes", place)
    found = measure(data)
    within(LIMITS.config_values, found.values + found.keys, "keys and values", place)
    within(LIMITS.config_depth, found.depth, "levels of nesting", place)


@dataclass(frozen=True, slots=True)
class Measure:
    """How many values and keys a JSON text has, and how deep they are nested."""

    values: int
    keys: int
    depth: int


def measure(data: bytes) -> Measure:
    """Measure a JSON text without parsing it; what is no JSON measures as something."""
    bare = _STRING.sub(b"", data.replace(b"\\\\", b"").replace(b'\\"', b""))
    deepest = depth = 0
    for bracket in bare.translate(None, _NOT_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return Measure(sum(map(bare.count, (b",", b"[", b"{"))), bare.count(b":"), deepest)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key that occurs twice in one object")
    return found


@checks("KCF-01")
def parse(data: bytes, place: str) -> ParsedJson:
    """The value of `data`; raises BundleError (KCF-01, KCF-02)."""
    check_limits(data, place)
    constants = _Constants()
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=constants.constant,
            parse_float=constants.number,
        )
        if _SURROGATE.search(data):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeError as error:
        raise malformed(place, "UTF-8 text without lone surrogates", error) from None
    except RecursionError:
        raise refuse("KCF-02", place, "nesting that the stack has room for", "none left") from None
    except ValueError as error:
        raise malformed(place, "strict JSON", error) from None
    return ParsedJson(value, constants.seen)


def malformed(place: str, expected: str, found: object) -> BundleError:
    """The refusal (KCF-01) of a config that has no known form; the caller raises it."""
    return refuse("KCF-01", place, expected, str(found), _HINT)
