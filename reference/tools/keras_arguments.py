"""Write `reviving/arguments.json`: what the constructors of Keras 3 take, class by class.

    python reference/tools/keras_arguments.py

A config key that stands in no such list is one that Keras 3 would refuse.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import keras

TARGET = Path(__file__).parents[1] / "modelbundle" / "reviving" / "arguments.json"
_ROOMS = {
    "layers": keras.layers.Layer,
    "initializers": keras.initializers.Initializer,
    "regularizers": keras.regularizers.Regularizer,
    "constraints": keras.constraints.Constraint,
    "losses": keras.losses.Loss,
    "metrics": keras.metrics.Metric,
    "optimizers": keras.optimizers.Optimizer,
    "optimizers.schedules": keras.optimizers.schedules.LearningRateSchedule,
}
_EVERY_LAYER = {"name", "trainable", "dtype", "activity_regularizer", "autocast"}


def arguments(cls: type) -> list[str]:
    """Names of the arguments that a class takes, those that it hands to its bases included."""
    found: set[str] = set()
    for base in cls.__mro__:
        if base is keras.layers.Layer:
            return sorted(found | _EVERY_LAYER)
        if "__init__" not in vars(base):
            continue
        parameters = list(inspect.signature(base.__init__).parameters.values())[1:]
        plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        found |= {item.name for item in parameters if item.kind in plain}
        if not any(item.kind is inspect.Parameter.VAR_KEYWORD for item in parameters):
            break
    return sorted(found)


def tables() -> dict[str, Any]:
    """By room of Keras 3: its classes with their arguments."""
    made: dict[str, Any] = {}
    for room, base in _ROOMS.items():
        home = keras
        for part in room.split("."):
            home = getattr(home, part)
        classes = {
            name: item
            for name, item in vars(home).items()
            if inspect.isclass(item) and issubclass(item, base) and item is not base
        }
        made[room] = {name: arguments(item) for name, item in sorted(classes.items())}
    return made


if __name__ == "__main__":
    document = {
        "generated": f"by reference/tools/keras_arguments.py from Keras {keras.__version__}",
        **tables(),
    }
    TARGET.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(f"{TARGET.name}: {sum(map(len, tables().values()))} classes")
