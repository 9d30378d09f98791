"""What Keras 2 computed under a name that means something else in Keras 3.

A revived config names these functions as `modelbundle>NAME`. `to_keras` registers them.

    register()
    keras.saving.get_registered_object("modelbundle>hard_sigmoid")
"""

from __future__ import annotations

from typing import Any

PACKAGE = "modelbundle"


def hard_sigmoid(x: Any) -> Any:
    """clip(0.2 x + 0.5, 0, 1), as `keras.activations.hard_sigmoid` was until Keras 2."""
    from keras import ops

    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)


FUNCTIONS = {f"{PACKAGE}>{function.__name__}": function for function in (hard_sigmoid,)}
"""By registered name."""


def register() -> None:
    """Have Keras find the functions by their registered names."""
    import keras

    for name, function in FUNCTIONS.items():
        if keras.saving.get_registered_object(name) is not function:
            keras.saving.register_keras_serializable(PACKAGE, function.__name__)(function)
