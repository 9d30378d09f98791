"""How a live model was compiled and how far its training got, as `training.json` holds it.

Keras builds optimizer, losses and metrics late, from the first data that they see. What is built is
described here as it stands, so that it can be made again without data:

- `compile_config`: the arguments of `compile`, as Keras serialises them;
- `optimizer`: the optimizer in use, which can wrap the one that was given (loss scaling);
- `trained`: the names of the variables that the optimizer was built for, in its order;
- `losses`, `loss_metrics`: for each built loss its place among the outputs, name, weight and
  object; the names of the trackers of single losses;
- `metrics`: for each output its metrics and weighted metrics, built;
- `built`: which of `optimizer`, `loss` and `metrics` are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modelbundle.core.findings import BundleError, Finding, checks, clip
from modelbundle.keras.completing import completed
from modelbundle.keras.config import exact
from modelbundle.keras.variables import owned
from modelbundle.sources.keras.captured import TRAINING_MARK, VERSION


def training_of(target: Any, place: str) -> bytes | None:
    """The JSON of a model's training; None where it was not compiled.

    Raises BundleError (KMD-08, KMD-09) where something of it has no config.
    """
    if not getattr(target, "compiled", False):
        return None
    from keras.src.saving.serialization_lib import ObjectSharingScope

    optimizer, losses = target.optimizer, getattr(target, "_compile_loss", None)
    metrics = getattr(target, "_compile_metrics", None)
    with ObjectSharingScope(), completed():
        found = {
            TRAINING_MARK: VERSION,
            "compile_config": _serialized(target.get_compile_config, "compile", place),
            "optimizer": None if optimizer is None else _object(optimizer, "optimizer", place),
            "built": {
                "optimizer": bool(getattr(optimizer, "built", False)),
                "loss": bool(getattr(losses, "built", False)),
                "metrics": bool(getattr(metrics, "built", False)),
            },
            "trained": _trained(target),
            "losses": _losses(losses, place),
            "loss_metrics": [metric.name for metric in getattr(losses, "metrics", ())],
            "metrics": _metrics(metrics, place),
        }
    return exact({key: value for key, value in found.items() if value is not None}, place)


def _trained(target: Any) -> list[str] | None:
    """What the optimizer trains, which freezing a layer does not change; None where not built."""
    trained = getattr(target.optimizer, "_trainable_variables", ())
    names = {id(item.variable): item.name for item in owned(target, training=False)}
    if not trained or any(id(variable) not in names for variable in trained):
        return None
    return [names[id(variable)] for variable in trained]


def _losses(losses: Any, place: str) -> list[dict[str, Any]]:
    return [
        {
            "path": list(loss.path),
            "name": loss.name,
            "weight": None if loss.loss_weights is None else float(loss.loss_weights),
            "object": None if loss.loss is None else _object(loss.loss, f"loss {loss.name}", place),
        }
        for loss in (getattr(losses, "_flat_losses", None) or ())
    ]


def _metrics(metrics: Any, place: str) -> dict[str, list[Any]]:
    """By argument of `compile`, one entry an output: none, or its name and metrics."""
    if metrics is None or not metrics.built:
        return {}
    lists = {"metrics": metrics._flat_metrics, "weighted_metrics": metrics._flat_weighted_metrics}
    return {
        argument: [
            item
            and {
                "output": item.output_name,
                "metrics": [_object(each, f"metric {each.name}", place) for each in item.metrics],
            }
            for item in found
        ]
        for argument, found in lists.items()
    }


def _object(value: Any, what: str, place: str) -> Any:
    import keras

    return _serialized(lambda: keras.saving.serialize_keras_object(value), what, place)


def _serialized(make: Callable[[], Any], what: str, place: str) -> Any:
    try:
        return make()
    except Exception as error:  # whatever a get_config of somebody else does
        raise BundleError([_unserialized(what, place, error)]) from error


@checks("KMD-09")
def _unserialized(what: str, place: str, error: Exception) -> Finding:
    hint = "define get_config, or pack without training: include=('architecture', 'weights')"
    return Finding("KMD-09", place, f"a config of the {what}", clip(str(error)), hint)
