"""Python values of a Keras config in JSON, exactly: tagged where Keras's own JSON has no word.

Keras writes a tuple as a list, an integer key as a string and infinity as no JSON at all, and says
nothing. Here each has a form of its own, an object with a `class_name` that no class has:

| value | form |
|---|---|
| tuple | `{"class_name": "__tuple__", "items": [...]}` |
| NaN, infinities | `{"class_name": "__float__", "value": "NaN"}`, `"Infinity"`, `"-Infinity"` |
| dictionary with other keys than strings | `{"class_name": "__dict__", "items": [[1, "a"], ...]}` |

    >>> decode(encode({1: (float("inf"),)}))
    {1: (inf,)}
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

TUPLE, FLOAT, DICTIONARY = "__tuple__", "__float__", "__dict__"
TAGS = frozenset({TUPLE, FLOAT, DICTIONARY})

_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_DEPTH = 200


class InexactError(ValueError):
    """A value that JSON cannot hold in any of these forms; `keys` lead to it."""

    def __init__(self, keys: tuple[str, ...], what: str) -> None:
        super().__init__(f"{'/'.join(keys)}: {what}")
        self.keys, self.what = keys, what


def encode(value: Any, tagged: Callable[[Any], bool] = lambda value: True) -> Any:
    """`value` as JSON values with tags; raises `InexactError`.

    `tagged` is asked of each Keras object (a dictionary with `class_name` and `config`) whether
    tuples in its `config` are tagged; what it says holds down to the next object. What Keras itself
    writes beside a config, such as `inbound_nodes`, is not tagged.
    """
    return _Encoder(tagged).encode(value, True, ())


def dump(value: Any) -> bytes:
    """The JSON text of encoded values: no white space, members in the order in which they are."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode()


class _Encoder:
    def __init__(self, tagged: Callable[[Any], bool]) -> None:
        self._tagged = tagged

    def encode(self, value: Any, tuples: bool, keys: tuple[str, ...]) -> Any:
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, str):
            return _text(value, keys)
        if isinstance(value, float):
            return value if math.isfinite(value) else _tag(FLOAT, value=_name(value))
        if len(keys) > _DEPTH:
            raise InexactError(keys[:3], f"more than {_DEPTH} levels")
        if isinstance(value, list | tuple):
            items = [self.encode(item, tuples, (*keys, str(at))) for at, item in enumerate(value)]
            return _tag(TUPLE, items=items) if tuples and isinstance(value, tuple) else items
        if isinstance(value, dict):
            return self._dictionary(value, tuples, keys)
        raise InexactError(keys, f"a {type(value).__name__}")

    def _dictionary(self, value: dict[Any, Any], tuples: bool, keys: tuple[str, ...]) -> Any:
        if _is_tag(value):
            raise InexactError(keys, f"a class_name that is reserved: {value['class_name']}")
        is_object = "class_name" in value and "config" in value
        if is_object:
            tuples = self._tagged(value)
        if all(isinstance(key, str) for key in value):
            return {
                _text(key, keys): self.encode(
                    item, tuples and (key == "config" or not is_object), (*keys, key)
                )
                for key, item in value.items()
            }
        items = [
            [self.encode(key, True, keys), self.encode(item, tuples, (*keys, str(key)))]
            for key, item in value.items()
        ]
        return _tag(DICTIONARY, items=items)


def _text(value: str, keys: tuple[str, ...]) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InexactError(keys, "text with a lone surrogate") from None
    return str(value)


def _tag(name: str, **payload: Any) -> dict[str, Any]:
    return {"class_name": name, **payload}


def _name(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def decode(value: Any) -> Any:
    """The Python values of parsed JSON with tags; raises `ValueError` for a malformed tag."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if _is_tag(value):
        return _untag(value)
    return {key: decode(item) for key, item in value.items()}


def _is_tag(value: dict[Any, Any]) -> bool:
    name = value.get("class_name")
    return isinstance(name, str) and name in TAGS


def _untag(value: dict[str, Any]) -> Any:
    name = value["class_name"]
    key = "value" if name == FLOAT else "items"
    payload = value.get(key)
    if value.keys() == {"class_name", key}:
        if name == FLOAT and isinstance(payload, str) and payload in _FLOATS:
            return _FLOATS[payload]
        if name == TUPLE and isinstance(payload, list):
            return tuple(decode(item) for item in payload)
        if name == DICTIONARY and isinstance(payload, list):
            return _pairs(payload)
    raise ValueError(f"a malformed {name}")


def _pairs(items: list[Any]) -> dict[Any, Any]:
    if not all(isinstance(item, list) and len(item) == 2 for item in items):
        raise ValueError("a __dict__ whose items are not pairs")
    try:
        found = {decode(key): decode(item) for key, item in items}
    except TypeError:
        raise ValueError("a __dict__ with a key that is no key") from None
    if len(found) != len(items):
        raise ValueError("a __dict__ with a key twice")
    return found
