"""Configs with the arguments that Keras leaves out of them.

Some of Keras's classes take an argument and do not write it: `Huber` its `delta`, `Identity` its
`gain`, `SparseTopKCategoricalAccuracy` its `from_sorted_ids`. Within `completed`, what Keras
serialises has every argument of such a class whose value differs from its default, so that
`from_config` gives the object as it was. Classes that are not Keras's own write their configs
themselves and are left alone.

    with completed():
        keras.saving.serialize_keras_object(keras.losses.Huber(0.3))["config"]["delta"]    # 0.3
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import RLock
from typing import Any

from modelbundle.sources.keras.builtins import is_home

_lock = RLock()
_UNKNOWN = object()
_DERIVED = frozenset(
    {("AUC", "thresholds"), ("Embedding", "weights"), ("Bidirectional", "weights"),
     ("InputLayer", "input_tensor")}
)  # fmt: skip
"""Attributes that have the name of an argument and hold something else."""


@contextmanager
def completed() -> Iterator[None]:
    """Within it, Keras serialises its own objects with all arguments that are not the default."""
    from keras.src.saving import serialization_lib as keras_lib

    with _lock:
        plain = keras_lib._get_class_or_fn_config

        def whole(value: Any) -> Any:
            config = plain(value)
            return {**config, **left_out(value, config)} if isinstance(config, dict) else config

        keras_lib._get_class_or_fn_config = whole
        try:
            yield
        finally:
            keras_lib._get_class_or_fn_config = plain


def left_out(value: Any, config: dict[str, Any]) -> dict[str, Any]:
    """The arguments of an object of Keras's own that its config lacks, and their values."""
    import keras

    made: Any = type(value)
    if not is_home(made.__module__) or isinstance(value, keras.Model):
        return {}
    found = {}
    for name, default in _arguments(made):
        if name in config or (made.__name__, name) in _DERIVED:
            continue
        current = _current(value, name)
        if current is not _UNKNOWN and not _is_default(current, default, name):
            found[name] = keras.saving.serialize_keras_object(current)
    return found


@cache
def _arguments(made: Any) -> tuple[tuple[str, Any], ...]:
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    own = list(inspect.signature(made.__init__).parameters.values())[1:]
    return tuple((item.name, item.default) for item in own if item.kind not in several)


def _current(value: Any, name: str) -> Any:
    """The value of an argument where Keras keeps it: an attribute, or what goes to a function."""
    if name == "dtype":
        policy = getattr(value, "_dtype_policy", None)
        return _UNKNOWN if policy is None else policy.name
    held = getattr(value, "__dict__", {})
    arguments = held.get("_fn_kwargs")
    for place in (held, arguments, vars(held["cell"]) if "cell" in held else None):
        for key in (name, f"_{name}"):
            if isinstance(place, dict) and key in place:
                return place[key]
    return _UNKNOWN


def _is_default(current: Any, default: Any, name: str) -> bool:
    import keras

    if name == "dtype":
        return bool(current == keras.config.floatx())
    return current is default or bool(type(current) is type(default) and current == default)
