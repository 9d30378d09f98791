"""The rows of `table.json`, and what they do to the config of one layer.

A row is data: which class of which dialect it is for, and what becomes of the arguments. Nothing
here knows a class by name.

    row = layer_row("LeakyReLU", "keras2", {})
    apply(row, {"alpha": 0.1})       # Outcome({"negative_slope": 0.1}, ())
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

Config = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """What one class of an old dialect is in Keras 3; the fields are those of `table.json`."""

    classes: tuple[str, ...]
    source: str
    dialects: tuple[str, ...] = ()
    when: Mapping[str, Any] = field(default_factory=dict)
    absent: Mapping[str, Any] = field(default_factory=dict)
    unwrap: tuple[str, ...] = ()
    join: Mapping[str, list[str]] = field(default_factory=dict)
    map: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    rename: Mapping[str, str] = field(default_factory=dict)
    drop: Mapping[str, Any] = field(default_factory=dict)
    allow: Mapping[str, Any] = field(default_factory=dict)
    set: Mapping[str, Any] = field(default_factory=dict)
    to: str = ""
    layout: str = ""
    weights: Mapping[str, str] = field(default_factory=dict)
    unsupported: str = ""

    def fits(self, class_name: str, dialect: str, config: Mapping[str, Any]) -> bool:
        """Whether the row is for this class, dialect and config."""
        if class_name not in self.classes or dialect not in (self.dialects or (dialect,)):
            return False
        return all(config.get(key) == value for key, value in self.when.items())


@dataclass(frozen=True, slots=True)
class Outcome:
    """A config of Keras 3, and the arguments that it could not take over."""

    config: Config
    refused: tuple[tuple[str, Any], ...]


@cache
def _document(name: str) -> Mapping[str, Any]:
    text = files("modelbundle.reviving").joinpath(name).read_text(encoding="utf-8")
    found: Mapping[str, Any] = json.loads(text)
    return found


@cache
def rows() -> tuple[Row, ...]:
    """All rows for layers, in the order in which they are tried."""
    return tuple(map(_row, _document("table.json")["layers"]))


@cache
def every_layer() -> Row:
    """The row for what layers of any class have."""
    return _row({"class": [], **_document("table.json")["every_layer"]})


@cache
def functions() -> Mapping[str, str]:
    """Functions that Keras 3 has under another name, or not at all: old name to new."""
    return {row["function"]: row["to"] for row in _document("table.json")["functions"]}


def object_class(name: str) -> str:
    """What Keras 3 calls the class of an initialiser, regulariser or constraint."""
    return str(_document("table.json")["objects"].get(name, name))


def arguments(room: str, class_name: str) -> frozenset[str] | None:
    """The arguments that a class of Keras 3 takes; None where Keras 3 has no such class."""
    found = _document("arguments.json")[room].get(class_name)
    return None if found is None else frozenset(found)


@cache
def optimizer_rows() -> tuple[Row, ...]:
    """All rows for optimizers."""
    return tuple(map(_row, _document("table.json")["optimizers"]))


def slots(optimizer: str) -> Mapping[str, str]:
    """The slots of an optimizer, old name to new; empty for one that Keras 3 does not have."""
    found: Mapping[str, str] = _document("table.json")["slots"].get(optimizer, {})
    return found


@cache
def keras_version() -> str:
    """The version of Keras 3 that the arguments are of."""
    return str(_document("arguments.json")["generated"]).rsplit(" ", 1)[-1]


def _row(data: Mapping[str, Any]) -> Row:
    facts = {key: value for key, value in data.items() if key not in ("class", "dialects")}
    classes = data["class"] if isinstance(data["class"], list) else [data["class"]]
    return Row(classes=tuple(classes), dialects=tuple(data.get("dialects", ())), **facts)


def layer_row(class_name: str, dialect: str, config: Mapping[str, Any]) -> Row | None:
    """The first row for a class, or None: the class is in Keras 3 what it was."""
    return next((row for row in rows() if row.fits(class_name, dialect, config)), None)


def apply(row: Row, config: Mapping[str, Any]) -> Outcome:
    """What `row` makes of a config."""
    made = {**row.absent, **{key: value for key, value in config.items() if key not in row.when}}
    for key in row.unwrap:
        if isinstance(made.get(key), list) and len(made[key]) == 1:
            made[key] = made[key][0]
    for key, parts in row.join.items():
        if all(part in made for part in parts):
            made[key] = [made.pop(part) for part in parts]
    for key, values in row.map.items():
        if key in made and isinstance(made[key], str):
            made[key] = values.get(made[key], made[key])
    made = {row.rename.get(key, key): value for key, value in made.items()}
    refused = tuple(_refused(row, made))
    kept = {key: value for key, value in made.items() if key not in row.drop}
    return Outcome({**kept, **row.set}, refused)


def _refused(row: Row, config: Config) -> Iterator[tuple[str, Any]]:
    for key, allowed in row.drop.items():
        if key in config and allowed is not True and config[key] not in allowed:
            yield key, config[key]
    for key, allowed in row.allow.items():
        if key in config and config[key] not in allowed:
            yield key, config[key]
