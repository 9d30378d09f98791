"""Which optimizer a state belongs to: slots of one class mean nothing to another.

classes_of(model.optimizer)      # ("LossScaleOptimizer", "Adam")
classes_in(bundle, family)       # the same, as the training config of a bundle tells
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from modelbundle.bundle import Bundle
from modelbundle.sources.keras import config_json

_KEYS = ("optimizer", "optimizer_config")


def classes_of(optimizer: Any) -> tuple[str, ...]:
    """The class of an optimizer, then that of the one it wraps; empty without one."""
    if optimizer is None:
        return ()
    inner = getattr(optimizer, "inner_optimizer", None)
    return (type(optimizer).__name__, *classes_of(inner))


def classes_in(bundle: Bundle, family: Collection[str]) -> tuple[str, ...] | None:
    """The same from the training config of a bundle; None where it tells none, or several."""
    told = {
        found
        for component in bundle.manifest.components
        if component.id in family and component.kind == "training"
        for found in _optimizers(_json(bundle, component.files[0]))
    }
    return told.pop() if len(told) == 1 else None


def _json(bundle: Bundle, path: str) -> Any:
    return config_json.parse(bundle.read(path), path).value


def _optimizers(value: Any) -> Iterator[tuple[str, ...]]:
    """Class names of each serialised optimizer that is not within another."""
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        if key in _KEYS and (names := _serialised(item)):
            yield names
        else:
            yield from _optimizers(item)


def _serialised(item: Any) -> tuple[str, ...]:
    if not isinstance(item, dict) or not isinstance(name := item.get("class_name"), str):
        return ()
    config = item.get("config")
    inner = config.get("inner_optimizer") if isinstance(config, dict) else None
    return (name.rpartition(">")[2], *_serialised(inner))
