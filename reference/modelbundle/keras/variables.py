"""The variables that a live Keras object owns, each under a name that outlives the process.

Keras numbers what nobody named (`dense_7`, `variable_3`) over the whole process, so those names
are no key. Here a name is the path of names from the object inwards:

- a layer within a class of Keras's own is called as the config calls it (`backbone/conv1/kernel`),
  and where its constructor makes it and nobody names it, as the attribute that holds it;
- a layer within a class of somebody else is called as the attribute that holds it (`blocks/0`),
  since its constructor makes it anew, and Keras numbers it anew; so are numbers in a model of
  Keras's that it holds counted within that model (`inner/dense_1`);
- a variable is called as Keras calls it, and by its attribute where Keras only numbered it.

Two processes that build one model give equal names in equal order; no name occurs twice. A
variable that several layers share has the first of its names.

    for item in owned(model):
        print(item.name, item.role, item.variable.shape)
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from modelbundle.keras.holding import outside
from modelbundle.sources.artifact import TensorRole

OPTIMIZER = "optimizer"
METRICS = "metrics"
"""First names of what training keeps beside the layers."""


@dataclass(frozen=True, slots=True)
class Owned:
    """A variable and what it is called."""

    name: str
    owner: str
    """Path of the layer, metric or optimizer that made it; empty for the object itself."""
    role: TensorRole
    variable: Any
    """A `keras.Variable`."""
    slot: str = ""
    """Of an optimizer's variable: the slot that it is (`momentum`)."""
    of: str = ""
    """Of an optimizer's variable: the name of the variable that the slot serves."""


def owned(target: Any, *, training: bool = True) -> tuple[Owned, ...]:
    """All variables of a layer or model, each once: weights, state of random generators, metrics.

    With `training`, those of the optimizer and the compiled metrics too, as far as they are built.
    """
    trained = {id(variable) for variable in target.trainable_variables}
    found = list(_of_layer(target, "", trained, set()))
    if training:
        weights = {id(item.variable): item.name for item in found}
        for path, optimizer in optimizers(target).items():
            found += _of_optimizer(optimizer, path, weights)
        found += _of_compiled_metrics(target)
    return tuple(_distinct(found))


def layers(target: Any) -> dict[str, Any]:
    """All layers of a layer or model by path, itself under the empty one, each once."""
    return dict(_layers(target, "", set()))


def optimizers(target: Any) -> dict[str, Any]:
    """The optimizers of a model by path: that of `compile`, and those that attributes hold."""
    from keras import Model
    from keras.optimizers import Optimizer

    own = getattr(target, "optimizer", None)
    found = {} if own is None else {OPTIMIZER: own}
    seen = {id(own), *(id(inner) for _, inner in inner_optimizers(own))}
    for path, item in leaves(target) if isinstance(target, Model) else ():
        if isinstance(item, Optimizer) and id(item) not in seen:
            seen.add(id(item))
            found[path] = item
    return found


def shared(target: Any) -> list[tuple[str, ...]]:
    """The paths of each layer with weights that several models of a config hold apart.

    What a class of somebody else holds, its constructor makes, and shares as it did.
    """
    found: dict[int, list[str]] = {}
    waiting, entered = [("", target)], set[int]()
    for path, layer in waiting:
        if id(layer) in entered or not _is_keras(layer):
            continue
        entered.add(id(layer))
        for name, child in _children(layer, told=True):
            waiting.append((_join(path, name), child))
            if hasattr(layer, "layers") and child.variables:
                found.setdefault(id(child), []).append(_join(path, name))
    return [tuple(names) for names in found.values() if len(names) > 1]


def _layers(layer: Any, path: str, seen: set[int], told: bool = True) -> Iterator[tuple[str, Any]]:
    """`told`: a config has the names here; a constructor of somebody else numbers anew."""
    if id(layer) in seen:
        return
    seen.add(id(layer))
    yield path, layer
    told = told and _is_keras(layer)
    for name, child in _children(layer, told):
        yield from _layers(child, _join(path, name), seen, told)


def _of_layer(layer: Any, path: str, trained: set[int], seen: set[int]) -> Iterator[Owned]:
    for owner, item in _layers(layer, path, set()):
        own = [*item._trainable_variables, *item._non_trainable_variables]
        for name, variable in _variable_names(item, own):
            if id(variable) not in seen:
                seen.add(id(variable))
                role: TensorRole = "trainable" if id(variable) in trained else "non-trainable"
                yield Owned(_join(owner, name), owner, role, variable)
        for name, generator in _named(item, item._seed_generators):
            if id(generator.state) not in seen:
                seen.add(id(generator.state))
                place = _join(owner, name)
                yield Owned(_join(place, generator.state.name), place, "rng", generator.state)
        for name, metric in _named(item, item._metrics):
            yield from _of_metric(metric, _join(owner, name), seen)
    for owner, item in _layers(layer, path, set()):
        for name, role, identity, variable in outside(item, leaves(item)):
            if identity not in seen:
                seen.add(identity)
                yield Owned(_join(owner, name), owner, role, variable)


def _of_metric(metric: Any, path: str, seen: set[int]) -> Iterator[Owned]:
    for name, variable in _variable_names(metric, metric._variables):
        if id(variable) not in seen:
            seen.add(id(variable))
            yield Owned(_join(path, name), path, "metric", variable)
    for name, child in _named(metric, metric._metrics):
        yield from _of_metric(child, _join(path, name), seen)


def _of_compiled_metrics(target: Any) -> Iterator[Owned]:
    seen: set[int] = set()
    for path, metric in compiled_metrics(target):
        yield from _of_metric(metric, path, seen)


def compiled_metrics(target: Any) -> Iterator[tuple[str, Any]]:
    """What `compile` made, by path: `metrics/loss`, single losses, `metrics/OUTPUT/NAME`."""
    if (tracker := getattr(target, "_loss_tracker", None)) is not None:
        yield _join(METRICS, "loss"), tracker
    for metric in getattr(getattr(target, "_compile_loss", None), "metrics", ()):
        yield _join(METRICS, metric.name), metric
    compiled = getattr(target, "_compile_metrics", None)
    if compiled is not None and compiled.built:
        for group in (*compiled._flat_metrics, *compiled._flat_weighted_metrics):
            for metric in group.metrics if group else ():
                yield _join(METRICS, group.output_name or "", metric.name), metric


def layer_metrics(target: Any) -> Iterator[tuple[str, Any]]:
    """What layers keep as metrics of their own, by path."""
    for owner, layer in layers(target).items():
        for name, metric in _named(layer, layer._metrics):
            yield _join(owner, name), metric


def _of_optimizer(optimizer: Any, path: str, weights: Mapping[int, str]) -> Iterator[Owned]:
    if optimizer is None:
        return
    slots = dict(_slots(optimizer))
    for name, variable in _variable_names(optimizer, optimizer._variables):
        if id(variable) in slots:
            slot, served = slots[id(variable)]
            of = weights.get(id(served), served.path)
            yield Owned(_join(path, slot, of), path, "optimizer", variable, slot, of)
        else:
            yield Owned(_join(path, name), path, "optimizer", variable)
    for name, inner in inner_optimizers(optimizer):
        yield from _of_optimizer(inner, _join(path, name), weights)


def inner_optimizers(optimizer: Any) -> Iterator[tuple[str, Any]]:
    """The optimizers that an optimizer wraps, by attribute."""
    from keras.optimizers import Optimizer

    for attribute, value in () if optimizer is None else vars(optimizer).items():
        if isinstance(value, Optimizer):
            yield attribute.strip("_"), value


def _slots(optimizer: Any) -> Iterator[tuple[int, tuple[str, Any]]]:
    """By variable: the slot, and the variable that it serves.

    An optimizer keeps its slots in lists as long as the list of variables that it trains, and
    names a slot after the variable: `PATH_momentum`.
    """
    trained = optimizer._trainable_variables
    own = {id(variable) for variable in optimizer._variables}
    for value in vars(optimizer).values():
        if isinstance(value, list) and len(value) == len(trained) and value is not trained:
            for slot, served in zip(value, trained, strict=True):
                if id(slot) in own:
                    prefix = f"{served.path.replace('/', '_')}_"
                    yield id(slot), (slot.name.removeprefix(prefix), served)


def _children(layer: Any, told: bool) -> Iterator[tuple[str, Any]]:
    children = layer._flatten_layers(include_self=False, recursive=False)
    if not told and _is_keras(layer) and hasattr(layer, "layers"):
        return _in_turn(children)
    return _named(layer, children, told=told)


def _in_turn(children: Any) -> Iterator[tuple[str, Any]]:
    """Layers of a model that a constructor of somebody else makes: numbered within the model."""
    used: Counter[str] = Counter()
    for child in children:
        name = _snake(type(child).__name__) if _is_automatic(child) else child.name
        yield _numbered(name, used), child


def _named(parent: Any, children: Any, *, told: bool = True) -> Iterator[tuple[str, Any]]:
    """Children that have a name of their own, under names that differ from one another."""
    if not (children := list(children)):
        return
    foreign, stated = not _is_keras(parent), told and _names_children(parent)
    held = cache(lambda: _held(parent))  # costly, and seldom needed
    used: Counter[str] = Counter()
    for child in children:
        if _is_keras(child) and hasattr(child, "state"):  # a seed generator: always numbered
            own = held().get(id(child)) if foreign and not stated else None
            name = own or "seed_generator"
        else:
            is_automatic = _is_automatic(child) or child.name == parent.name
            is_automatic = is_automatic or (not told and _is_direction(child))
            own = held().get(id(child)) if not stated and (is_automatic or foreign) else None
            is_told = stated or not is_automatic
            name = own or (child.name if is_told else _snake(type(child).__name__))
        yield _numbered(name, used), child


def _names_children(parent: Any) -> bool:
    """Whether the config of `parent` holds those of its children, with their names."""
    from keras import layers

    wrappers = (layers.Wrapper, layers.Bidirectional, layers.RNN, layers.StackedRNNCells)
    return _is_keras(parent) and (isinstance(parent, wrappers) or hasattr(parent, "layers"))


def _variable_names(owner: Any, variables: Any) -> Iterator[tuple[str, Any]]:
    found = list(variables)
    numbered = [item for item in found if re.fullmatch(r"variable(_\d+)?", item.name)]
    held = _held(owner) if numbered else {}
    automatic = {id(item) for item in numbered}
    used: Counter[str] = Counter()
    for variable in found:
        is_automatic = id(variable) in automatic
        name = held.get(id(variable), "variable") if is_automatic else variable.name
        yield _numbered(name, used), variable


def _held(owner: Any) -> dict[int, str]:
    """What the attributes of an object hold, at any depth of lists and dicts, by identity."""
    found: dict[int, str] = {}
    for path, item in leaves(owner):
        found.setdefault(id(item), path)
    return found


def leaves(owner: Any) -> Iterator[tuple[str, Any]]:
    """What the attributes of an object hold, at any depth of lists and dicts, by path."""
    for attribute, value in vars(owner).items():
        if not attribute.startswith("_self_") and attribute not in _BOOKS:
            yield from _leaves(value, attribute.strip("_"))


_BOOKS = frozenset(
    {"_layers", "_metrics", "_seed_generators", "_trainable_variables", "_non_trainable_variables",
     "_variables", "_tracker", "_obj_reference_counts_dict", "_functional"}
)  # fmt: skip
"""Attributes in which Keras keeps the books on all others."""


def _leaves(value: Any, path: str, depth: int = 0) -> Iterator[tuple[str, Any]]:
    items: Any = ()
    if depth < 8 and isinstance(value, list | tuple):
        items = enumerate(value)
    elif depth < 8 and isinstance(value, dict):
        items = value.items()
    else:
        yield path, value
    for key, item in items:
        yield from _leaves(item, f"{path}/{key}", depth + 1)


def _is_keras(item: Any) -> bool:
    return type(item).__module__.split(".")[0] == "keras"


def _is_automatic(child: Any) -> bool:
    return (
        re.fullmatch(rf"{re.escape(_snake(type(child).__name__))}(_\d+)?", child.name) is not None
    )


def automatic_name(layer: Any) -> str:
    """What Keras calls a layer that nobody named, without the number."""
    return _snake(type(layer).__name__)


def _is_direction(child: Any) -> bool:
    """Whether a layer is called after one that has a number: `forward_lstm_3`."""
    stem = child.name.removeprefix("forward_").removeprefix("backward_")
    return re.fullmatch(rf"{re.escape(_snake(type(child).__name__))}(_\d+)?", stem) is not None


def _snake(name: str) -> str:
    """A class name as Keras makes the name of an object from it (`keras.utils.naming`)."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _numbered(name: str, used: Counter[str]) -> str:
    used[name] += 1
    return name if used[name] == 1 else f"{name}_{used[name] - 1}"


def _distinct(items: list[Owned]) -> Iterator[Owned]:
    used: Counter[str] = Counter()
    for item in items:
        name = _numbered(item.name, used)
        yield item if name == item.name else replace(item, name=name)


def _join(*names: str) -> str:
    return "/".join(name for name in names if name)
