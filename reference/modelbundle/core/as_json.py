"""Frozen dataclasses as JSON objects: camelCase members, absent ones left out.

A member that is None, or a number that JSON does not have, is left out. Mappings keep their keys.

    >>> from dataclasses import make_dataclass
    >>> as_json(make_dataclass("Norms", ["max_abs", "relative"])(0.5, float("nan")))
    {'maxAbs': 0.5}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from math import isfinite
from typing import Any


def as_json(value: Any) -> Any:
    """`value` with dataclasses and mappings as objects, tuples and lists as arrays."""
    if is_dataclass(value):
        value = {_camel(field.name): getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: as_json(item) for key, item in value.items() if not _is_absent(item)}
    return [as_json(item) for item in value] if isinstance(value, list | tuple) else value


def _is_absent(value: Any) -> bool:
    return value is None or (isinstance(value, float) and not isfinite(value))


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))
