"""What differs between two JSON values: where, and what it was and became.

Lists of named objects (the layers of a config) are matched by name, so that one more layer is one
change; other lists by position. Every answer is bounded, and tells how much it leaves out.

    changes({"units": 3}, {"units": 4}).listed      # (Change("/units", "3", "4"),)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import Any

from modelbundle.core.findings import clip

MAX_CHANGES = 200
"""Changes listed; the others are counted."""

TEXT_LENGTH = 200
"""Characters of a value that are shown."""

_ABSENT = object()
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(", ", ": "))


@dataclass(frozen=True, slots=True)
class Change:
    """`pointer` is a JSON pointer (RFC 6901). `old` and `new` are JSON texts, clipped; None where
    there is nothing."""

    pointer: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class Changes:
    """The first changes, and how many more there are."""

    listed: tuple[Change, ...]
    omitted: int


def changes(old: Any, new: Any, limit: int = MAX_CHANGES) -> Changes:
    """What differs between two values; pointers are into `new`, of what is gone into `old`."""
    found = _walk(old, new)
    first = islice(found, limit)
    listed = tuple(Change(pointer, _text(before), _text(after)) for pointer, before, after in first)
    return Changes(listed, sum(1 for _ in found))


def _walk(old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """Unequal values with nothing in them to look into, in document order; without recursion."""
    stack: list[tuple[str, Any, Any]] = [("", old, new)]
    while stack:
        pointer, one, two = stack.pop()
        pairs = _pairs(one, two)
        if pairs is not None:
            inner = [(f"{pointer}/{_escape(key)}", before, after) for key, before, after in pairs]
            stack.extend(reversed(inner))
        elif not _equal(one, two):
            yield pointer, one, two


def _pairs(one: Any, two: Any) -> list[tuple[str, Any, Any]] | None:
    """Members of two objects or items of two lists that belong together; None for other values."""
    if isinstance(one, dict) and isinstance(two, dict):
        return [(key, one.get(key, _ABSENT), two.get(key, _ABSENT)) for key in {**one, **two}]
    if not (isinstance(one, list) and isinstance(two, list)):
        return None
    before, after = _by_name(one), _by_name(two)
    if before is None or after is None:
        pairs = zip_longest(one, two, fillvalue=_ABSENT)
        return [(str(number), *pair) for number, pair in enumerate(pairs)]
    nothing = (None, _ABSENT)
    kept = [(str(n), before.get(name, nothing)[1], item) for name, (n, item) in after.items()]
    gone = [(str(n), item, _ABSENT) for name, (n, item) in before.items() if name not in after]
    return kept + gone


def _by_name(items: list[Any]) -> dict[str, tuple[int, Any]] | None:
    """Position and item by name; None unless all are objects with names of their own."""
    found = {name: (n, item) for n, item in enumerate(items) if (name := _name(item)) is not None}
    return found if len(found) == len(items) else None


def _name(item: Any) -> str | None:
    if not isinstance(item, dict):
        return None
    config = item.get("config")
    name = item.get("name", config.get("name") if isinstance(config, dict) else None)
    return name if isinstance(name, str) else None


def _equal(one: Any, two: Any) -> bool:
    """Equality that tells true from 1, and takes NaN for itself."""
    return type(one) is type(two) and (one == two or (one != one and two != two))  # noqa: PLR0124


def _escape(key: str) -> str:
    return clip(key.replace("~", "~0").replace("/", "~1"))


def _text(value: Any) -> str | None:
    """The beginning of `value` as JSON, made no further than it is shown."""
    if value is _ABSENT:
        return None
    pieces = ("null",) if value is None else _ENCODER.iterencode(value)
    return clip("".join(islice(pieces, TEXT_LENGTH)), TEXT_LENGTH)


def keyed(items: list[Any], *members: str) -> Mapping[str, Any]:
    """A list of objects as an object, by the texts of some members: for lists that are sets."""
    return {"@".join(str(item.get(member, "")) for member in members): item for item in items}
