"""What layers hold outside the books that Keras keeps: states, variables of other libraries.

Keras lists the variables that `add_weight` and attributes give it. Not listed are the states of
stateful recurrent layers, a `tf.Variable` and a `torch.nn.Parameter`; they hold state all the same
and are captured by the attribute that holds them. An array of JAX is a constant or is not: nothing
tells, and it is reported.

    for path, role, variable in outside(layer, leaves):
        print(path, role, variable.shape)
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

from modelbundle.sources.artifact import TensorRole
from modelbundle.sources.keras.builtins import is_home


class HeldVariable:
    """A `tf.Variable` or `torch.nn.Parameter` with the members of a `keras.Variable` used here."""

    def __init__(self, variable: Any, name: str) -> None:
        import keras

        self._value = variable
        self._dtype = str(keras.backend.standardize_dtype(variable.dtype))
        self.dtype = self._dtype
        self.shape = tuple(int(size) for size in variable.shape)
        self.name = self.path = name
        self.trainable = bool(getattr(variable, "trainable", False) or _learns(variable))

    @property
    def value(self) -> Any:
        """What the layer holds."""
        return self._value

    def numpy(self) -> Any:
        """The value as an array."""
        import keras

        return keras.ops.convert_to_numpy(self._value)

    def assign(self, value: Any) -> None:
        """Give it the value of an array of its shape."""
        if hasattr(self._value, "assign"):
            self._value.assign(value)
            return
        import torch

        with torch.no_grad():
            self._value.copy_(torch.as_tensor(value))


def outside(
    layer: Any, leaves: Iterable[tuple[str, Any]]
) -> Iterator[tuple[str, TensorRole, int, Any]]:
    """Path of attributes, role, identity and variable of what Keras may not have listed.

    `leaves` are what the attributes of the layer hold. Among them are variables that Keras knows.
    """
    is_foreign = not is_home(type(layer).__module__)
    is_stateful = bool(getattr(layer, "stateful", False)) and not is_foreign
    for path, item in leaves:
        if is_stateful and path.startswith("states/") and _is_variable(item):
            yield path, "other", id(item), item
        elif is_foreign and _is_variable(item):
            yield path, "non-trainable", id(item), item
        elif is_foreign and _is_of(item, "tensorflow", "Variable") and item.dtype.is_numeric:
            yield path, "non-trainable", id(item), HeldVariable(item, path)
        elif is_foreign and _is_of(item, "torch.nn", "Parameter"):
            name = path.removeprefix("parameters/")
            yield name, "non-trainable", id(item), HeldVariable(item, name)


def arrays(layer: Any, leaves: Iterable[tuple[str, Any]]) -> Iterator[str]:
    """The attributes of somebody else's layer that hold state in a form that is not captured."""
    if is_home(type(layer).__module__):
        return
    for path, item in leaves:
        is_text = _is_of(item, "tensorflow", "Variable") and not item.dtype.is_numeric
        if is_text or _is_of(item, "jax", "Array"):
            yield path


def _is_variable(item: Any) -> bool:
    return _is_of(item, "keras", "Variable") and hasattr(item, "_value")


def _is_of(item: Any, library: str, name: str) -> bool:
    """Whether it is of a class of a library, which is not imported for that."""
    made = getattr(sys.modules.get(library), name, None)
    return isinstance(made, type) and isinstance(item, made)


def _learns(variable: Any) -> bool:
    return bool(getattr(variable, "requires_grad", False))
