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
from dataclasses import dataclass, field

from modelbundle.reviving.layouts import LAYOUTS
from modelbundle.reviving.translation import LayerChange
from modelbundle.sources.keras.variables import layer_paths, plain_variables


@dataclass(frozen=True, slots=True)
class Match:
    """Names of variables to names of tensors, and what is left on either side."""

    bound: Mapping[str, str]
    """Path of the part and old variable (`lstm_1/lstm_cell/W_i`) to name of the tensor."""
    missing: tuple[str, ...]
    """Variables of the new model that no tensor, or more than one, is called like."""
    unexpected: tuple[str, ...]
    """Tensors that no variable is called like."""


@dataclass(frozen=True, slots=True)
class Part:
    """A layer of the new model, or a part of one, that has variables."""

    name: str
    class_name: str
    leaf: str
    """What the old model calls the layer."""
    old_path: tuple[str, ...]
    """Names of layers and parts, as the old model calls them."""
    reads: tuple[str, ...]
    """Variables that the old part has."""
    layout: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    """Old variable to new, where they differ."""

    def new_name(self, variable: str) -> str:
        """What Keras 3 calls an old variable."""
        return self.names.get(variable, variable)


def parts(config: bytes, layers: Sequence[LayerChange]) -> Iterator[Part]:
    """All that has variables in the model that Keras 3 makes from `config`, a translated config."""
    by_path = {change.new_path: change for change in layers}
    seen: set[str] = set()
    for ref in layer_paths(config).values():
        change, above = _above(ref.name, by_path)
        new = plain_variables(ref.class_name, ref.config)
        if change is None or not new or ref.class_name == "SeedGenerator" or ref.name in seen:
            continue
        seen.add(ref.name)
        old_path = (*change.old_path.split("/")[:-1], _leaf(change, above))
        below = ref.name.removeprefix(above).strip("/")
        path = (*old_path, *filter(None, below.split("/")))
        old = {name: variable for variable, name in change.weights.items()}
        reads = tuple(old.get(name, name) for name in new)
        if change.layout:
            lacking = set() if len(new) > 1 and "bias" in new else {"b", "bias"}
            reads = tuple(name for name in LAYOUTS[change.layout].reads if name not in lacking)
        yield Part(
            ref.name, ref.class_name, old_path[-1], path, reads, change.layout, change.weights
        )


def match(tensors: Iterable[str], config: bytes, layers: Sequence[LayerChange]) -> Match:
    """Match the tensors of a file, by name, with the variables of a translated config."""
    given = {name: tuple(name.split("/")) for name in tensors}
    bound: dict[str, str] = {}
    taken: set[str] = set()
    wanted = [(part, name) for part in parts(config, layers) for name in part.reads]
    for part, variable in wanted:
        scores = {name: _score(part, variable, path) for name, path in given.items()}
        best = max(scores.values(), default=0)
        fitting = [name for name, score in scores.items() if score == best and score > 0]
        if len(fitting) == 1 and fitting[0] not in taken:
            bound[f"{part.name}/{variable}"] = fitting[0]
            taken.add(fitting[0])
    names = [f"{part.name}/{variable}" for part, variable in wanted]
    missing = tuple(name for name in names if name not in bound)
    return Match(bound, missing, tuple(sorted(given.keys() - taken)))


def _above(path: str, by_path: Mapping[str, LayerChange]) -> tuple[LayerChange | None, str]:
    """The layer that a path names, or that its owner is a part of, and the layer's own path.

    Of the two copies that Bidirectional makes of its layer, the config has the layer.
    """
    steps = path.split("/")
    for length in range(len(steps), 0, -1):
        owner = "/".join(steps[:length])
        copied = "/".join((*steps[: length - 1], _undirected(steps[length - 1])))
        if found := by_path.get(owner) or by_path.get(copied):
            return found, owner
    return None, ""


def _undirected(name: str) -> str:
    return name.removeprefix("forward_").removeprefix("backward_")


def _leaf(change: LayerChange, path: str) -> str:
    """The old name of a layer; that of a copy in Bidirectional is the name of the copy."""
    leaf = path.rsplit("/", 1)[-1]
    old = change.old_path.rsplit("/", 1)[-1]
    return leaf if leaf in (f"forward_{old}", f"backward_{old}") else old


def _score(part: Part, variable: str, path: tuple[str, ...]) -> int:
    """How much of the path an old name shares with a variable; 0 where it is another's."""
    last = path[-1].removeprefix(f"{part.leaf}_")
    if last != variable or not (part.leaf in path[:-1] or last != path[-1]):
        return 0
    return 1 + _common(part.old_path, path[:-1])


def _common(left: Sequence[str], right: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(right) + 1)
    for item in left:
        previous = row[:]
        for at, other in enumerate(right):
            row[at + 1] = previous[at] + 1 if item == other else max(row[at], previous[at + 1])
    return row[-1]
