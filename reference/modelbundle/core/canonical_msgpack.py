"""Canonical MessagePack: one map, shortest forms, keys ascending, no types beyond what we use.

    >>> encode({"b": 1, "a": b""}).hex()
    '82a161c400a16201'
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgpack

from modelbundle.core.findings import checks, refuse
from modelbundle.core.limits import LIMITS

_ALLOWED = frozenset({dict, list, str, bytes, int})


def encode(value: Any) -> bytes:
    """`value` (maps, arrays, str, bytes, unsigned integers) in canonical form."""
    data: bytes = msgpack.packb(_sorted(value), use_bin_type=True)
    return data


@checks("MSG-01")
def decode(data: bytes, place: str) -> dict[str, Any]:
    """The map that `data` holds; raises `BundleError` (MSG-01 to MSG-04)."""
    value = _unpack(data, place)
    _check_types(value, place)
    if encode(value) != data:
        raise refuse("MSG-01", place, "canonical MessagePack: shortest forms, keys ascending and unique, nothing after",
                     "another form", "encode again with sorted keys")
    if not isinstance(value, dict):
        raise refuse("MSG-02", place, "a map", type(value).__name__)
    return value


@checks("MSG-03", "MSG-04")
def _unpack(data: bytes, place: str) -> Any:
    try:
        return msgpack.unpackb(data, raw=False, strict_map_key=False)
    except msgpack.ExtraData as error:
        raise refuse("MSG-01", f"{place}@{len(data) - len(error.extra)}", "the end of the file", "more bytes") from None
    except (msgpack.StackError, RecursionError):
        raise refuse("MSG-03", place, f"at most {LIMITS.msgpack_depth} levels", "many more") from None
    except (ValueError, TypeError, OverflowError) as error:
        rule = "MSG-03" if "exceeds max" in str(error) else "MSG-04"
        raise refuse(rule, place, "well-formed MessagePack within its own bytes", error) from None


@checks("MSG-02")
def _check_types(value: Any, place: str) -> None:
    level: list[Any] = [value]
    for _ in range(LIMITS.msgpack_depth):
        foreign = set(map(type, level)) - _ALLOWED
        if foreign or any(type(item) is int and item < 0 for item in level):
            names = ", ".join(sorted(kind.__name__ for kind in foreign)) or "a negative integer"
            raise refuse("MSG-02", place, "map, array, str, bin and unsigned integer only", names)
        level = [child for item in level if type(item) in (dict, list) for child in _children(item)]
        if not level:
            return
    raise refuse("MSG-03", place, f"at most {LIMITS.msgpack_depth} levels", "more")


def _children(value: dict[Any, Any] | list[Any]) -> Iterable[Any]:
    return [*value.keys(), *value.values()] if isinstance(value, dict) else value


def _sorted(value: Any) -> Any:
    """`value` with the keys of every map ascending; code point order is UTF-8 byte order."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, list) and value and type(value[0]) in (dict, list):
        return [_sorted(item) for item in value]
    return value
