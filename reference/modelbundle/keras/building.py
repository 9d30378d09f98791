"""Keras objects from configs, their variables still without values.

Keras runs the initialiser of every variable that it makes, and who loads a model throws all of
those numbers away. Within `without_values` Keras makes variables that know their shape, dtype and
initialiser and hold nothing; `assigning` gives each its value, once.

Some classes cannot be built so: their constructors make variables from values, or compute on
them. `build` then builds in the ordinary way, which is slower and otherwise the same.

    model = build(lambda: keras.saving.deserialize_keras_object(config))
    [variable.path for variable in model.variables if is_empty(variable)]
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

_Made = TypeVar("_Made")

_WAITING = "uninitialized_variables"
"""Where Keras remembers variables that have no value yet."""

_GENERATOR = "global_seed_generator"
"""Where Keras keeps the random generator of operations that were given none."""


@contextmanager
def without_values() -> Iterator[None]:
    """Within it, Keras makes variables whose initialisers have not run.

    Keras is not left to remember them: it would run their initialisers later, over the values.
    The random generator of all of Keras, which a layer can be the first to use, gets its state.
    """
    from keras import StatelessScope
    from keras.src.backend.common import global_state

    waiting = list(global_state.get_global_attribute(_WAITING) or ())
    try:
        with StatelessScope(initialize_variables=False):
            yield
    finally:
        global_state.set_global_attribute(_WAITING, waiting)
        generator = global_state.get_global_attribute(_GENERATOR)
        if generator is not None:
            initialise([generator.state])


def build(make: Callable[[], _Made], *, undo: Callable[[], None] = lambda: None) -> _Made:
    """What `make` makes, without values where its classes allow that, else with them.

    `undo` takes back what a first attempt that failed has changed, before the second one.
    """
    try:
        with without_values():
            return make()
    except Exception:  # whatever a constructor does: the ordinary build says what is wrong
        undo()
    return make()


@contextmanager
def uncollected() -> Iterator[None]:
    """Within it, Python looks for no garbage: a model being built is many objects and none."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def is_empty(variable: Any) -> bool:
    """Whether a variable has no value yet."""
    return variable._value is None


@contextmanager
def as_made(layers: Iterable[Any]) -> Iterator[None]:
    """Within it, weights that were frozen after they were made get values as before that.

    TensorFlow fixes with the value whether gradients reach a variable at all, and Keras freezes
    a layer by a flag of its own that can be taken back.
    """
    made = (variable for layer in layers for variable in layer._trainable_variables)
    frozen = [variable for variable in made if is_empty(variable) and not variable.trainable]
    try:
        for variable in frozen:
            variable.trainable = True
        yield
    finally:
        for variable in frozen:
            variable.trainable = False


def initialise(variables: Iterable[Any]) -> None:
    """Run the initialisers of those variables that have no value yet."""
    for variable in variables:
        if is_empty(variable):
            variable._deferred_initialize()


@contextmanager
def surroundings(
    *, dtype_policy: Any = None, floatx: str | None = None, image_data_format: str | None = None
) -> Iterator[None]:
    """Keras's global settings as they were when a model was captured, and as before afterwards."""
    import keras

    config = keras.config
    settings = (
        (config.dtype_policy, config.set_dtype_policy, dtype_policy),
        (config.floatx, config.set_floatx, floatx),
        (config.image_data_format, config.set_image_data_format, image_data_format),
    )
    with ExitStack() as stack:
        for get, put, value in settings:
            if value is not None:
                stack.callback(put, get())
                put(value)
        yield
