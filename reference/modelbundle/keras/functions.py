"""Where the custom functions of a live model come from: Keras writes their names alone.

modules_of(model, {"double"})     # {'double': 'my_package.layers'}
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from types import FunctionType
from typing import Any

from modelbundle.keras.variables import layers

_DEPTH = 6
"""How many attributes, lists and dictionaries inside one another are looked into."""


def modules_of(target: Any, names: Collection[str]) -> dict[str, str]:
    """The modules of functions by the names that a config has for them, as far as they are found.

    Looked into are registered functions, what layers hold, and how the model was compiled.
    A function of the main program has no module that another process could use.
    """
    import keras

    found: dict[str, str] = {}
    if not names:
        return found
    for name in names:
        if isinstance(registered := keras.saving.get_registered_object(name), FunctionType):
            found[name] = registered.__module__
    seen: set[int] = set()
    roots = [*layers(target).values(), getattr(target, "_compile_config", None)]
    for function in (each for root in roots for each in _functions(root, _DEPTH, seen)):
        for name in (keras.saving.get_registered_name(function), function.__name__):
            if name in names:
                found.setdefault(name, function.__module__)
    return {name: found[name] for name in sorted(found) if found[name] != "__main__"}


def _functions(value: Any, depth: int, seen: set[int]) -> Iterator[FunctionType]:
    """The functions that a value holds: itself, or those of its items and attributes."""
    if isinstance(value, FunctionType):
        yield value
        return
    if not depth or id(value) in seen or isinstance(value, str | bytes):
        return
    seen.add(id(value))
    items: Any = ()
    if isinstance(value, dict):
        items = value.values()
    elif isinstance(value, list | tuple):
        items = value
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        items = vars(value).values()
    for item in list(items):
        yield from _functions(item, depth - 1, seen)
