"""What a checkpoint's keys mean: full names, roles, optimizer slots and the variables they serve.

Told by the object graph where there is one (`by_graph`), else by how TensorFlow 1 named things
(`by_name`). Only what graph or names say for certain is said: everything else is role "other".

    described = by_graph(graph)
    described["model/layer_with_weights-0/kernel/.ATTRIBUTES/VARIABLE_VALUE"].full_name
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from modelbundle.sources.artifact import TensorRole
from modelbundle.sources.tensorflow.object_graph import Graph, Node

VALUE_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
"""How the key of a variable's own value ends."""

_TRAINABLE = frozenset({"trainable_variables", "_trainable_variables"})
_NON_TRAINABLE = frozenset({"non_trainable_variables", "_non_trainable_variables"})
_STATISTICS = frozenset({"moving_mean", "moving_variance"})
_KERAS_EDGES = frozenset({"keras_api", "_functional", "_operations", "_all_variables"})
_KERAS_LAYER = re.compile(r"layer(_with_weights)?-\d+")
_GENERATOR = re.compile(r"(^|/)(seed_generator_state|seed_generator(_\d+)?/state|StateVar)$")
_GENERATOR_EDGES = frozenset({"_state_var", "seed_generator_state"})
_OPTIMIZER_EDGES = (
    frozenset({"_variables", "_iterations"}),  # Keras 3 and Keras 2.11 on
    frozenset({"iter", "learning_rate"}),  # Keras 2
    frozenset({"beta1_power", "beta2_power"}),  # tf.compat.v1.train
)
_TF1_SLOT = re.compile(
    r"(?P<variable>.+)/(?P<slot>Adam|Adam_1|Momentum|RMSProp|RMSProp_1|Adagrad|Adadelta|"
    r"Adadelta_1|Ftrl|Ftrl_1|ExponentialMovingAverage)"
)
_TF1_AVERAGE = "ExponentialMovingAverage"
_TF1_OPTIMIZER = re.compile(r"(.*/)?(beta1_power|beta2_power)(_\d+)?")


@dataclass(frozen=True, slots=True)
class Variable:
    """What is known of a key.

    `slot` and `of`: an optimizer keeps it, so named, for key `of`. `keras`: the full name is one
    that Keras made, of a layer or an optimizer and its variable.
    """

    full_name: str = ""
    role: TensorRole = "other"
    slot: str = ""
    of: str = ""
    keras: bool = False


def by_graph(graph: Graph) -> dict[str, Variable]:
    """What the object graph says of each key that it names."""
    roles = _roles(graph)
    keras = any(map(_is_keras, graph))
    described = {
        value.key: _variable(value.full_name, roles.get(number, "other"), keras)
        for number, node in enumerate(graph)
        for value in node.values
    }
    for key, slot, of in (*_named_slots(described), *_slots(graph)):
        described[key] = replace(described[key], role="optimizer", slot=slot, of=of)
        if described[of].role == "other":
            described[of] = replace(described[of], role="trainable")
    return described


def _variable(full_name: str, role: TensorRole, keras: bool) -> Variable:
    return Variable(full_name, role, keras=keras and ("/" in full_name or role == "optimizer"))


def _is_keras(node: Node) -> bool:
    return any(name in _KERAS_EDGES or _KERAS_LAYER.fullmatch(name) for name in node.children)


def _roles(graph: Graph) -> dict[int, TensorRole]:
    """Roles by node; where several are told, the last of this list is the surest."""
    told: tuple[tuple[TensorRole, Iterable[int]], ...] = (
        ("trainable", (i for i, node in enumerate(graph) if node.facts.get("trainable"))),
        ("non-trainable", _targets(graph, _STATISTICS)),
        ("non-trainable", _members(graph, _NON_TRAINABLE)),
        ("optimizer", _optimizer_variables(graph)),
        ("trainable", _members(graph, _TRAINABLE)),
        ("metric", _metric_variables(graph)),
        ("rng", _generators(graph)),
    )
    return {node: role for role, nodes in told for node in nodes}


def _targets(graph: Graph, names: frozenset[str]) -> Iterator[int]:
    """Nodes that an edge of one of `names` leads to."""
    for node in graph:
        for name in names & node.children.keys():
            yield node.children[name]


def _members(graph: Graph, names: frozenset[str]) -> Iterator[int]:
    """Members of the lists that an edge of one of `names` leads to."""
    for target in set(_targets(graph, names)):
        yield from graph[target].children.values()


def _optimizer_variables(graph: Graph) -> Iterator[int]:
    for node in graph:
        if node.slots or any(edges <= node.children.keys() for edges in _OPTIMIZER_EDGES):
            yield from node.children.values()
            yield from (slot.value for slot in node.slots)
            if "_variables" in node.children:
                yield from graph[node.children["_variables"]].children.values()


def _metric_variables(graph: Graph) -> Iterator[int]:
    for target in set(_members(graph, frozenset({"metrics"}))):
        yield from graph[target].children.values()


def _generators(graph: Graph) -> Iterator[int]:
    yield from _targets(graph, _GENERATOR_EDGES)
    for number, node in enumerate(graph):
        if any(_GENERATOR.search(value.full_name) for value in node.values):
            yield number


def _slots(graph: Graph) -> Iterator[tuple[str, str, str]]:
    """Key, slot name and variable's key, where the graph lists slots."""
    for node in graph:
        for slot in node.slots:
            for value in graph[slot.value].values[:1]:
                for variable in graph[slot.variable].values[:1]:
                    yield value.key, slot.slot, variable.key


def _named_slots(described: Mapping[str, Variable]) -> Iterator[tuple[str, str, str]]:
    """The same, where only full names tell: `Adam/m/dense/kernel`, `adam/dense_kernel_momentum`."""
    variables = _unique(
        (variable.full_name, key)
        for key, variable in described.items()
        if variable.role not in ("optimizer", "metric", "rng")
    )
    mangled = _unique((name.replace("/", "_"), key) for name, key in variables.items())
    for key, variable in described.items():
        if variable.role == "optimizer":
            _, _, rest = variable.full_name.partition("/")
            slot, _, name = rest.partition("/")
            if name in variables:
                yield key, slot, variables[name]
            elif found := _mangled_slot(rest, mangled):
                yield key, *found


def _mangled_slot(text: str, mangled: Mapping[str, str]) -> tuple[str, str] | None:
    """Slot and key for `dense_kernel_momentum`: the longest variable that it starts with."""
    name, separator, slot = text.rpartition("_")
    tail = slot
    while separator:
        if name in mangled:
            return tail, mangled[name]
        name, separator, slot = name.rpartition("_")
        tail = f"{slot}_{tail}"
    return None


def _unique(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The pairs whose first member occurs once and is not empty."""
    listed = list(pairs)
    counts = Counter(first for first, _ in listed)
    return {first: second for first, second in listed if first and counts[first] == 1}


def by_name(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Variable]:
    """What the keys of a TensorFlow 1 checkpoint say, given each key's shape."""
    described = {}
    for key, shape in shapes.items():
        match = _TF1_SLOT.fullmatch(key)
        if match and shapes.get(match["variable"]) == shape:
            averaged = match["slot"] == _TF1_AVERAGE
            role: TensorRole = "non-trainable" if averaged else "optimizer"
            described[key] = Variable(key, role, match["slot"], match["variable"])
        else:
            role = "optimizer" if _TF1_OPTIMIZER.fullmatch(key) else "other"
            described[key] = Variable(key, role)
    return described
