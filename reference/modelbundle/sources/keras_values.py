"""Values of a Keras config as values of a topology: plain JSON, tagged where JSON has no word.

A tagged value is an object with one key that begins with `$`; a key of the config that begins so
gets a second `$`. Dialects write the same thing differently; here it has one form:

| tag | payload |
|---|---|
| `$float` | `NaN`, `Infinity`, `-Infinity` or `-0` |
| `$int` | decimal digits of an integer beyond 2^53 - 1 |
| `$tuple` | list of values |
| `$bytes` | text whose UTF-8 encoding the bytes are |
| `$slice` | start, stop and step |
| `$ellipsis` | true |
| `$array` | `dtype` (may be absent) and `value`, nested lists |
| `$typespec`, `$lambda` | what the config holds; a lambda's bytecode is carried, never run |
| `$tensor` | place in the call's `inputs` |
| `$layer` | place in the layer's `sublayers` |

    >>> Values().encode([float("nan"), {"$a": 1}])
    [{'$float': 'NaN'}, {'$$a': 1}]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from modelbundle.core.limits import LIMITS

KEEP: Final = object()
"""What `Values.special` returns for a value that needs no special form."""


class Values:
    """Encodes values; a subclass gives some of them a form of their own.

    `shared` renumbers `shared_object_id` in order of appearance: Keras 3 writes memory addresses.
    """

    def __init__(self, shared: dict[int, int] | None = None) -> None:
        self.shared: dict[int, int] = {} if shared is None else shared

    def encode(self, value: Any, slot: str = "") -> Any:
        """`value` with tags; `slot` is the nearest key above it."""
        if not isinstance(value, dict | list):
            return self._scalar(value, slot)
        if (special := self.special(value, slot)) is not KEEP:
            return special
        if isinstance(value, list):
            items = []
            for item in value:
                items.append(self.encode(item, slot))  # a frame less per level
            return items
        tag = value.get("class_name")
        if isinstance(tag, str) and (rule := _TAGS.get(tag)):
            ((key, payload),) = rule(value).items()
            return {key: self.encode(payload)}
        result = {}
        for key, item in value.items():
            result["$" + key if key.startswith("$") else key] = self.encode(item, key)
        return result

    def special(self, value: dict[str, Any] | list[Any], slot: str) -> Any:
        """The form of `value` where it has one of its own, else KEEP."""
        return KEEP

    def _scalar(self, value: Any, slot: str) -> Any:
        if isinstance(value, bool):
            return value
        if isinstance(value, int):
            return self.number(value) if slot == "shared_object_id" else _integer(value)
        return _float(value) if isinstance(value, float) else value

    def number(self, shared_object_id: int) -> int:
        """The number of a shared object, in order of appearance."""
        return self.shared.setdefault(shared_object_id, len(self.shared))


def _integer(value: int) -> Any:
    return value if abs(value) <= LIMITS.safe_integer else {"$int": str(value)}


def _float(value: float) -> Any:
    if math.isfinite(value):
        return value if value or math.copysign(1, value) > 0 else {"$float": "-0"}
    return {"$float": "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}


def _typespec(value: Mapping[str, Any]) -> dict[str, Any]:
    return {"$typespec": {key: item for key, item in value.items() if key != "class_name"}}


def _items(value: Mapping[str, Any]) -> dict[str, Any]:
    return {"$tuple": value.get("items")}


def _bytes(value: Mapping[str, Any]) -> dict[str, Any]:
    return {"$bytes": _inner(value).get("value")}


def _slice(value: Mapping[str, Any]) -> dict[str, Any]:
    return {"$slice": [_inner(value).get(key) for key in ("start", "stop", "step")]}


def _array(value: Mapping[str, Any]) -> dict[str, Any]:
    return {"$array": _inner(value)}


def _inner(value: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = value.get("config")
    return inner if isinstance(inner, dict) else {}


_TAGS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "__tuple__": _items,
    "TensorShape": _items,
    "__bytes__": _bytes,
    "__slice__": _slice,
    "__ellipsis__": lambda value: {"$ellipsis": True},
    "__tensor__": _array,
    "__numpy__": _array,
    "__typespec__": _typespec,
    "TypeSpec": _typespec,
    "__lambda__": lambda value: {"$lambda": value.get("config")},
}
