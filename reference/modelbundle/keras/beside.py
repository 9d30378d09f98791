"""What of a live model neither its config nor its variables tell, and putting it back.

- `settings`: by path of a layer, what calls of methods changed after it was made (`lora_alpha`);
- `optimizers`: by path of an optimizer, the variables that it serves, in order, and those that
  `exclude_from_weight_decay` spares.

    facts = {"settings": settings_of(model), "optimizers": optimizers_of(model, names)}
    put_back_settings(restored, facts)
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from modelbundle.keras.building import build
from modelbundle.keras.holding import arrays
from modelbundle.keras.variables import (
    OPTIMIZER,
    inner_optimizers,
    layers,
    leaves,
    optimizers,
    owned,
)
from modelbundle.sources.keras.builtins import is_home


class NotCaptured(UserWarning):
    """Something of a live model that a bundle does not hold, or that cannot be put back."""


def settings_of(target: Any) -> dict[str, dict[str, float]]:
    """By path of a layer: `lora_alpha`, which Keras forgets when it builds the layer again."""
    return {
        path: {"lora_alpha": layer.lora_alpha}
        for path, layer in layers(target).items()
        if getattr(layer, "lora_enabled", False) and layer.lora_alpha != layer.lora_rank
    }


def optimizers_of(target: Any, names: Mapping[int, str]) -> dict[str, dict[str, list[str]]]:
    """By path: the names of the variables served, in order, and of those without weight decay.

    `names` are those of captured variables by identity. An optimizer that was not built serves
    none yet; its exclusions are those of the trainable variables of the model. What the optimizer
    of `compile` serves stands in `training.json`.
    """
    found = {}
    for path, optimizer in _all(target):
        served = list(getattr(optimizer, "_trainable_variables", ()))
        candidates = served if optimizer.built else target.trainable_variables
        kept = [v for v in candidates if not optimizer._use_weight_decay(v)]
        is_compiled = path.split("/")[0] == OPTIMIZER
        lists = {"serves": [] if is_compiled else served, "no_weight_decay": kept}
        if entry := {key: _named(items, names) for key, items in lists.items() if items}:
            found[path] = entry
    return found


def _named(variables: Any, names: Mapping[int, str]) -> list[str]:
    return [names[id(variable)] for variable in variables if id(variable) in names]


def _all(target: Any) -> Iterator[tuple[str, Any]]:
    """Every optimizer of a model by path, those within others too."""
    pending = list(optimizers(target).items())
    while pending:
        path, optimizer = pending.pop(0)
        yield path, optimizer
        pending += [(f"{path}/{name}", inner) for name, inner in inner_optimizers(optimizer)]


def put_back_settings(target: Any, facts: Mapping[str, Any]) -> None:
    """Give layers their settings again."""
    found = layers(target)
    for path, settings in facts.get("settings", {}).items():
        if path in found and "lora_alpha" in settings:
            found[path].lora_alpha = settings["lora_alpha"]


def put_back_optimizers(target: Any, facts: Mapping[str, Any]) -> None:
    """Build the optimizers that only attributes hold, and exclude variables from weight decay."""
    by_name = {item.name: item.variable for item in owned(target, training=False)}
    told = facts.get("optimizers", {})
    for path, optimizer in list(_all(target)):
        entry = told.get(path, {})
        served = [by_name[name] for name in entry.get("serves", ()) if name in by_name]
        if served and not optimizer.built:
            build(lambda made=optimizer, of=served: made.build(of))  # type: ignore[misc]
        if kept := entry.get("no_weight_decay"):
            spared = {optimizer._var_key(by_name[name]) for name in kept if name in by_name}
            optimizer._exclude_from_weight_decay = spared
            optimizer._exclude_from_weight_decay_cache = {}


def report(target: Any) -> None:
    """Warn of what is not captured, or cannot be put back, with layer and attribute."""
    for line in (*_arrays(target), *_late(target)):
        warnings.warn(line, NotCaptured, stacklevel=2)


def _arrays(target: Any) -> Iterator[str]:
    for path, layer in layers(target).items():
        for attribute in arrays(layer, leaves(layer)):
            what = f"{type(layer).__name__} {path or layer.name!r}, attribute {attribute}"
            yield (
                f"not captured: the array in {what}. A constant that its constructor makes is "
                "fine; use add_weight for state"
            )


def _late(target: Any) -> Iterator[str]:
    """Weights added to a Functional or Sequential model, which its config does not tell."""
    from keras import Sequential
    from keras.src.models.functional import Functional

    for path, layer in layers(target).items():
        made = type(layer)
        is_plain = is_home(made.__init__.__module__) and is_home(made.build.__module__)
        own = [*layer._trainable_variables, *layer._non_trainable_variables]
        if isinstance(layer, Functional | Sequential) and is_plain and own:
            names = ", ".join(variable.name for variable in own)
            yield (
                f"{made.__name__} {path or layer.name!r} got weights after it was made ({names}): "
                "its config does not tell them, so to_keras() will refuse; hold them in a layer, "
                "or add them in the constructor or build() of the class"
            )
