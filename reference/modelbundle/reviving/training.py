"""How an old model was compiled, in the words of Keras 3: optimizer, losses, metrics, schedules.

    found = translate_training(old.training, "2.2.4", outputs=1)
    found.document["compile_config"], found.lost

What Keras 3 has no word for is left out and told in `lost`: the model runs without it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelbundle.bundle import Tensor
from modelbundle.reviving import rows
from modelbundle.sources.keras.builtins import is_function
from modelbundle.sources.keras.captured import TRAINING_MARK, VERSION

Config = dict[str, Any]

_ITERATIONS = frozenset({"iter", "iteration", "iterations"})
_REDUCTIONS = {"auto": "sum_over_batch_size"}


@dataclass(frozen=True, slots=True)
class Training:
    """`training.json` of the new model, and what of the old training it does not have."""

    document: Config
    lost: tuple[str, ...]

    @property
    def optimizer(self) -> Config:
        """The serialised optimizer; empty without one."""
        found: Config = self.document["compile_config"].get("optimizer") or {}
        return found


class _LostError(ValueError):
    """Something that Keras 3 has no word for."""


def translate_training(old: Mapping[str, Any], keras_version: str, outputs: int) -> Training | None:
    """Translate a `training_config` of HDF5 or a `compile_config`; None where there is none.

    `outputs` is the number of outputs of the model.
    """
    given = dict(old.get("compile_config") or old)
    optimizer = given.pop("optimizer_config", given.pop("optimizer", None))
    if optimizer is None:
        return None
    lost: list[str] = []
    config: Config = {}
    parts: dict[str, Callable[[], Any]] = {
        "optimizer": lambda: _optimizer(optimizer, keras_version),
        "loss": lambda: _losses(given.get("loss")),
        "loss_weights": lambda: given.get("loss_weights"),
        "metrics": lambda: _metrics(given.get("metrics"), outputs),
        "weighted_metrics": lambda: _metrics(given.get("weighted_metrics"), outputs),
    }
    for key, make in parts.items():
        try:
            config[key] = make()
        except _LostError as error:
            lost.append(f"{key}: {error}")
    if "optimizer" not in config or "loss" not in config:
        return None
    built = dict.fromkeys(("optimizer", "loss", "metrics"), False)
    document = {TRAINING_MARK: VERSION, "compile_config": config, "built": built}
    return Training(document, tuple(lost))


# Optimizers


def _optimizer(value: Any, keras_version: str) -> Config:
    if isinstance(value, str):
        value = {"class_name": value, "config": {}}
    name = str(value["class_name"]).rpartition(">")[2]
    name = {known.lower(): known for known in _optimizers()}.get(name.lower(), name)
    config = dict(value["config"])
    if name == "LossScaleOptimizer":
        config["inner_optimizer"] = _optimizer(config["inner_optimizer"], keras_version)
    row = next((row for row in rows.optimizer_rows() if row.fits(name, "", config)), None)
    known = rows.arguments("optimizers", name)
    if row is None or known is None:
        raise _LostError(f"Keras 3 has no optimizer {name}")
    made = rows.apply(row, config).config
    made["learning_rate"] = _rate(made.get("learning_rate"), config.get("decay"), name)
    if _is_multi_backend(keras_version) and made.get("clipnorm"):
        made["global_clipnorm"] = made.pop("clipnorm")
    kept = {key: item for key, item in made.items() if key in known and item is not None}
    return _object("keras.optimizers", name, kept)


def _optimizers() -> list[str]:
    return [name for row in rows.optimizer_rows() for name in row.classes]


def _rate(rate: Any, decay: Any, name: str) -> Any:
    """A learning rate: a number, a schedule, or what `decay` made of it: rate / (1 + decay·n).

    Nadam kept the decay of its momentum under that name.
    """
    if isinstance(rate, dict):
        schedule = str(rate["class_name"]).rpartition(">")[2]
        known = rows.arguments("optimizers.schedules", schedule)
        if known is None:
            raise _LostError(f"Keras 3 has no schedule {schedule}")
        given = rate["config"].items()
        kept = {key: item for key, item in given if key in known and item is not None}
        return _object("keras.optimizers.schedules", schedule, kept)
    if not decay or name == "Nadam":
        return rate
    config = {"initial_learning_rate": rate, "decay_steps": 1, "decay_rate": decay}
    return _object("keras.optimizers.schedules", "InverseTimeDecay", config)


def _is_multi_backend(version: str) -> bool:
    """Whether `clipnorm` was the norm of all gradients together, as in Keras before 2.4."""
    found = re.fullmatch(r"(\d+)\.(\d+)\.\d+", version)
    return found is not None and (int(found[1]), int(found[2])) < (2, 4)


# Losses and metrics


def _losses(value: Any) -> Any:
    if isinstance(value, dict) and "class_name" not in value:
        return {key: _losses(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_losses(item) for item in value]
    return _resolved("losses", value)


def _metrics(value: Any, outputs: int) -> Any:
    """Metrics; of a single output, the list within the list that tf_keras writes."""
    if isinstance(value, dict) and "class_name" not in value:
        return {key: _metrics(item, 2) for key, item in value.items()}
    if isinstance(value, list):
        made = [_metrics(item, 2) for item in value]
        return made[0] if outputs == 1 and len(made) == 1 and isinstance(made[0], list) else made
    return _resolved("metrics", value)


def _resolved(room: str, value: Any) -> Any:
    """A loss or metric: a name, a serialised object, or none."""
    if value is None:
        return None
    if isinstance(value, str):
        name = rows.functions().get(value, value)
        if (
            rows.arguments(room, name) is None
            and not is_function(name, None)
            and name not in _WORDS
        ):
            raise _LostError(f"{value} is a function of somebody's own")
        return name
    name = str(value["class_name"]).rpartition(">")[2]
    if name == "function":
        return _resolved(room, value["config"])
    known = rows.arguments(room, name) or _WRAPPERS.get(name)
    if known is None:
        raise _LostError(f"Keras 3 has no {name}")
    config = {key: item for key, item in value["config"].items() if key in known}
    if "reduction" in config:
        config["reduction"] = _REDUCTIONS.get(config["reduction"], config["reduction"])
    if isinstance(function := config.get("fn"), str):
        name_ = rows.functions().get(function, function)
        if not is_function(name_, None):
            raise _LostError(f"{function} is a function of somebody's own")
        config["fn"] = _object("builtins", "function", name_, "function")
    return _object(f"keras.{room}", name, config)


_WORDS = frozenset({"accuracy", "acc", "crossentropy", "ce"})
_WRAPPERS = {
    "MeanMetricWrapper": frozenset({"name", "dtype", "fn"}),
    "LossFunctionWrapper": frozenset({"name", "reduction", "fn"}),
}


def _object(module: str, name: str, config: Any, registered: str | None = None) -> Config:
    return {
        "module": module,
        "class_name": name,
        "config": config,
        "registered_name": registered,
    }


# State of the optimizer


def slot_names(
    training: Training, old: Mapping[str, Tensor], bound: Mapping[str, str]
) -> dict[str, str]:
    """Variables of the new optimizer to names of old tensors, where the names tell both.

    `bound` are the weights: variable of the new model to the name of its old tensor. Empty where
    not every slot of the old optimizer has a place: half a state is none.
    """
    slots = rows.slots(training.optimizer.get("class_name", ""))
    weights = {name: variable for variable, name in bound.items()}
    found: dict[str, str] = {}
    for name in old:
        if name.rpartition("/")[2] in _ITERATIONS:
            found["optimizer/iteration"] = name
        elif (place := _slot(name, slots, weights)) is not None:
            found[place] = name
        elif name.rpartition("/")[2] not in _SCALARS:
            return {}
    return found


_SCALARS = frozenset({"learning_rate", "decay", "beta_1", "beta_2", "rho", "momentum"})
"""Hyperparameters that SavedModels keep as variables; the config has them."""


def _slot(name: str, slots: Mapping[str, str], weights: Mapping[str, str]) -> str | None:
    """`Adam/m/dense/kernel` and `training/Adam/dense/kernel/m` as `optimizer/momentum/…`."""
    for slot, weight in _readings(name.split("/")):
        if slot in slots and weight in weights:
            return f"optimizer/{slots[slot]}/{weights[weight]}"
    return None


def _readings(steps: list[str]) -> Iterator[tuple[str, str]]:
    """Ways to read a name: the slot, and the weight that it serves."""
    for at in range(len(steps) - 1):
        yield steps[at], "/".join(steps[at + 1 :])
        yield steps[-1], "/".join(steps[at:-1])
