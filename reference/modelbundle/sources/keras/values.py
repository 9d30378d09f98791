"""Values of a Keras config as values of a topology: plain JSON, tagged where JSON has no word.

A tagged value is an object with one key that begins with `$`; a key of the config that begins so
gets a second `$`. Dialects write the same thing differently; here it has one form:

| tag | payload |
|---|---|
| `$float` | `NaN`, `Infinity`, `-Infinity` or `-0` |
| `$int` | decimal digits of an integer beyond 2^53 - 1 |
| `$tuple` | list of values |
| `$dict` | pairs of key and value, of a dictionary whose keys are not all strings |
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
from dataclasses import dataclass, field
from operator import is_
from typing import Any, Final

from modelbundle.core.limits import LIMITS
from modelbundle.sources.keras.config_json import within

KEEP: Final = object()
"""What `Values.special` returns for a value that needs no special form."""
_INTEGERS_END = 1e21
"""Below it canonical JSON writes whole numbers as integers."""


@dataclass(slots=True)
class Document:
    """What the values of one topology share: the numbers of shared objects, and a count.

    `shared_object_id` is a memory address in Keras 3; here it is the order of appearance.
    """

    place: str
    numbers: dict[int, int] = field(default_factory=dict)
    calls: int = 0

    def number(self, shared_object_id: int) -> int:
        """The number of a shared object."""
        return self.numbers.setdefault(shared_object_id, len(self.numbers))

    def number_shared(self, value: Any) -> None:
        """Number the shared objects of a config in order of appearance, but for how it trains."""
        stack = [("", value)]
        while stack:
            key, item = stack.pop()
            if isinstance(item, dict):
                members = [pair for pair in item.items() if pair[0] != "compile_config"]
                stack.extend(reversed(members))
            elif isinstance(item, list):
                stack.extend(("", member) for member in reversed(item))
            elif key == "shared_object_id" and type(item) is int:
                self.number(item)

    def count(self) -> None:
        """Count a call, a tensor or a tagged value; refuse (KCF-02) too many."""
        self.calls += 1
        within(LIMITS.config_calls, self.calls, "calls, tensors and tagged values", self.place)


class Values:
    """Encodes values; a subclass gives some of them a form of their own."""

    def __init__(self, document: Document | None = None) -> None:
        self.document = Document("topology") if document is None else document

    def encode(self, value: Any, slot: str = "") -> Any:
        """`value` with tags, itself where none are needed; `slot` is the nearest key above it."""
        if not isinstance(value, dict | list):
            return self._scalar(value, slot)
        if (special := self.special(value, slot)) is not KEEP:
            return special
        if isinstance(value, list):
            items = []
            for item in value:
                items.append(self.encode(item, slot))  # a frame less per level
            return value if all(map(is_, items, value)) else items
        if (tagged := _tagged(value)) is not None:
            self.document.count()
            ((key, payload),) = tagged.items()
            return {key: self.encode(payload)}
        result = {}
        for key, item in value.items():
            result[escaped(key)] = self.encode(item, key)
        same = all(map(is_, result, value)) and all(map(is_, result.values(), value.values()))
        return value if same else result

    def special(self, value: dict[str, Any] | list[Any], slot: str) -> Any:
        """The form of `value` where it has one of its own, else KEEP."""
        return KEEP

    def _scalar(self, value: Any, slot: str) -> Any:
        if isinstance(value, float):
            tagged = _float(value)
        elif not isinstance(value, int) or isinstance(value, bool):
            return value
        elif slot == "shared_object_id":
            return self.document.number(value)
        else:
            tagged = None if abs(value) <= LIMITS.safe_integer else {"$int": str(value)}
        if tagged is None:
            return value
        self.document.count()
        return tagged


def escaped(key: str) -> str:
    """A key of the config as a key of the topology, where `$` begins a tag."""
    return "$" + key if key.startswith("$") else key


def _float(value: float) -> dict[str, str] | None:
    """The tag of a number that JSON lacks, or that its canonical form would change."""
    if math.isnan(value):
        return {"$float": "NaN"}
    if math.isinf(value):
        return {"$float": "Infinity" if value > 0 else "-Infinity"}
    if value.is_integer() and LIMITS.safe_integer < abs(value) < _INTEGERS_END:
        return {"$int": str(int(value))}
    return {"$float": "-0"} if value == 0 and math.copysign(1, value) < 0 else None


def _tagged(value: Mapping[str, Any]) -> dict[str, Any] | None:
    """A tag and its payload, where the config marks `value` as something that JSON lacks."""
    class_name = value.get("class_name")
    rule = _TAGS.get(class_name) if isinstance(class_name, str) else None
    return rule(value) if rule else None


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
    "__float__": lambda value: {"$float": value.get("value")},
    "__dict__": lambda value: {"$dict": value.get("items")},
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
