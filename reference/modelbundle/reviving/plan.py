"""What becomes of an old model: the new config, and for each new variable where it comes from.

plan = make_plan(old)
plan.problems, plan.bound["dense_1/kernel"]
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from modelbundle.bundle import Tensor
from modelbundle.reviving.layouts import CONVOLUTIONS, LAYOUTS, Array, flipped
from modelbundle.reviving.old_model import OldModel
from modelbundle.reviving.training import Training, slot_names, translate_training
from modelbundle.reviving.translation import LayerChange, Problem, translate
from modelbundle.reviving.weights import Match, Part, match, parts
from modelbundle.sources.keras import exact_values


@dataclass(frozen=True, slots=True)
class Plan:
    """A revived model: bytes of the old bundle under new names, and what had to be rearranged."""

    config: bytes
    layers: tuple[LayerChange, ...]
    bound: Mapping[str, str]
    """Variable of the new model to the row of the bundle that has its bytes."""
    made: Mapping[str, Array]
    """Variables whose values stand in another arrangement now."""
    problems: tuple[Problem, ...]
    training: bytes | None = None
    """How the model was compiled, as `training.json` has it."""
    lost: tuple[str, ...] = ()
    """What of the training is not in it."""


def make_plan(old: OldModel) -> Plan:
    """Translate, and match variables with tensors; nothing is raised for what does not fit."""
    translation = translate(old.topology)
    value = exact_values.encode(translation.config, lambda item: False)
    config = exact_values.dump(value)
    found = match(old.weights, json.dumps(value).encode(), translation.layers)
    problems = _problems(translation.problems, found, old)
    bound: dict[str, str] = {}
    made: dict[str, Array] = {}
    for part in parts(config, translation.layers):
        tensors = {
            variable: old.weights[found.bound[f"{part.name}/{variable}"]]
            for variable in part.reads
            if f"{part.name}/{variable}" in found.bound
        }
        if _is_rearranged(part, old.backend):
            made |= _rearranged(part, tensors, old.backend)
        else:
            bound |= {f"{part.name}/{part.new_name(v)}": t.name for v, t in tensors.items()}
    names = {name: tensor.name for name, tensor in old.optimizer.items()}
    training = translate_training(old.training, old.version, len(old.topology["outputs"]))
    if training is None:
        return Plan(config, translation.layers, bound, made, tuple(problems))
    slots = slot_names(training, old.optimizer, _old_names(old, bound))
    made |= _rate(training, slots)
    bound |= {name: names[tensor] for name, tensor in slots.items()}
    training.document["built"]["optimizer"] = bool(slots)
    text = exact_values.dump(exact_values.encode(training.document, lambda item: False))
    lost = training.lost if slots else (*training.lost, "the state of the optimizer")
    return Plan(config, translation.layers, bound, made, tuple(problems), text, lost)


def _old_names(old: OldModel, bound: Mapping[str, str]) -> dict[str, str]:
    """Variables of the new model to the names that the old model had for their tensors."""
    names = {tensor.name: name for name, tensor in old.weights.items()}
    return {variable: names[row] for variable, row in bound.items()}


def _rate(training: Training, slots: Mapping[str, str]) -> dict[str, Array]:
    """The learning rate of an optimizer whose state is kept: Keras 3 stores it with the state."""
    import numpy as np

    rate = training.optimizer["config"].get("learning_rate")
    if not slots or not isinstance(rate, int | float):
        return {}
    return {"optimizer/learning_rate": np.asarray(rate, np.float32)}


def _problems(told: Iterable[Problem], found: Match, old: OldModel) -> list[Problem]:
    """All problems: of the config, those of layers without a class with their tensors; of names."""
    problems, left = [], set(found.unexpected)
    for problem in told:
        leaf = problem.layer.rpartition("/")[2]
        own = sorted(name for name in left if leaf and leaf in name.split("/"))
        left -= set(own)
        weights = tuple(
            f"{name} {old.weights[name].dtype}{list(old.weights[name].shape)}" for name in own
        )
        problems.append(replace(problem, weights=weights))
    for name in found.missing:
        problems.append(
            Problem(name.rpartition("/")[0], "no tensor of the file is this variable", name)
        )
    problems += [Problem("", "no layer has this tensor of the file", name) for name in sorted(left)]
    return problems


def _is_rearranged(part: Part, backend: str) -> bool:
    return bool(part.layout) or (backend == "theano" and part.class_name in CONVOLUTIONS)


def _rearranged(part: Part, tensors: Mapping[str, Tensor], backend: str) -> dict[str, Array]:
    """The new variables of one part by full name; none where an old one is missing."""
    import numpy as np

    optional = {"b", "bias"}
    if not set(part.reads) - optional <= tensors.keys():
        return {}
    arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in tensors.items()}
    if part.layout:
        arrays = LAYOUTS[part.layout].make(arrays)
    else:
        arrays = {part.new_name(name): array for name, array in arrays.items()}
    if backend == "theano" and part.class_name in CONVOLUTIONS:
        arrays = {name: flipped(name, array) for name, array in arrays.items()}
    return {f"{part.name}/{name}": np.ascontiguousarray(each) for name, each in arrays.items()}
