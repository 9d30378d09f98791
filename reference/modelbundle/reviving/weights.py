"""Which tensor of an old file is which variable of the translated model: by name, never by order.

An old name is a path: scopes, the layer, sometimes a cell, the variable (`model_1/lstm/lstm_cell/
kernel`, `lstm_1/kernel`, `dense_1/dense_1_W`). It fits a variable of the new model where the last
part names the variable and the layer's name stands before it; among several that fit, the one that
shares most of the path is taken, and a tie is no match.

    found = match(["dense_1/kernel", "dense_1/bias"], config, layers)
    found.bound["dense_1/kernel"]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from modelbundle.reviving.translation import LayerChange
from modelbundle.sources.keras.variables import layer_paths, plain_variables


@dataclass(frozen=True, slots=True)
class Match:
    """Names of variables to names of tensors, and what is left on either side."""

    bound: Mapping[str, str]
    missing: tuple[str, ...]
    """Variables of the new model that no tensor, or more than one, is called like."""
    unexpected: tuple[str, ...]
    """Tensors that no variable is called like."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A variable of the new model, and where the old one would have it."""

    name: str
    layer: LayerChange
    old_path: tuple[str, ...]
    """Names of layers and parts, as the old model calls them."""
    old_variable: str


def expected(config: bytes, layers: Sequence[LayerChange]) -> Iterator[Expected]:
    """The variables that Keras 3 makes from `config`, a translated config as JSON."""
    seen: set[str] = set()
    by_path = {change.new_path: change for change in layers}
    for ref in layer_paths(config).values():
        change = _above(ref.name, by_path)
        if change is None or ref.class_name == "SeedGenerator":
            continue
        below = ref.name.removeprefix(change.new_path).strip("/")
        path = tuple("/".join(filter(None, (change.old_path, below))).split("/"))
        old = {new: name for name, new in change.weights.items()}
        for variable in plain_variables(ref.class_name, ref.config):
            if (name := f"{ref.name}/{variable}") not in seen:
                seen.add(name)
                yield Expected(name, change, path, old.get(variable, variable))


def match(tensors: Iterable[str], config: bytes, layers: Sequence[LayerChange]) -> Match:
    """Match the tensors of a file, by name, with the variables of a translated config."""
    given = {name: tuple(name.split("/")) for name in tensors}
    bound: dict[str, str] = {}
    wanted = list(expected(config, layers))
    for item in wanted:
        scores = {name: _score(item, parts) for name, parts in given.items()}
        best = max(scores.values(), default=0)
        fitting = [name for name, score in scores.items() if score == best and score > 0]
        if len(fitting) == 1 and fitting[0] not in bound.values():
            bound[item.name] = fitting[0]
    missing = tuple(item.name for item in wanted if item.name not in bound)
    return Match(bound, missing, tuple(sorted(given.keys() - set(bound.values()))))


def _above(path: str, by_path: Mapping[str, LayerChange]) -> LayerChange | None:
    """The layer that a path names, or that its owner is a part of."""
    parts = path.split("/")
    above = ("/".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((by_path[name] for name in above if name in by_path), None)


def _score(item: Expected, parts: tuple[str, ...]) -> int:
    """How much of the path an old name shares with a variable; 0 where it is another's."""
    leaf = item.layer.old_path.rsplit("/", 1)[-1]
    last = parts[-1].removeprefix(f"{leaf}_")
    if last != item.old_variable or not (leaf in parts[:-1] or last != parts[-1]):
        return 0
    return 1 + _common(item.old_path, parts[:-1])


def _common(left: Sequence[str], right: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(right) + 1)
    for item in left:
        previous = row[:]
        for at, other in enumerate(right):
            row[at + 1] = previous[at] + 1 if item == other else max(row[at], previous[at + 1])
    return row[-1]
