"""The classes and functions that Keras itself resolves, as a table.

The table of the standard, `schemas/keras_names.json`, is generated from Keras 3, tf_keras and the
names of Keras 1; it is read at the first question. One name can be of several kinds: `Hinge` is a
loss and a metric.

    >>> sorted(kinds("Identity")), is_builtin("Dense", "my_package.layers")
    (['initializer', 'layer'], False)
"""

from __future__ import annotations

import json
from functools import cache
from typing import Literal

from modelbundle.core.schemas import folder

Kind = Literal[
    "activation",
    "constraint",
    "initializer",
    "layer",
    "loss",
    "metric",
    "model",
    "op_function",
    "operation",
    "optimizer",
    "other",
    "policy",
    "quantizer",
    "regularizer",
    "schedule",
]

_HOMES = (
    "keras",
    "tf_keras",
    "tensorflow.keras",
    "tensorflow.python.keras",
    "tensorflow_core.keras",
)
_FUNCTION_KINDS = frozenset(
    {"activation", "constraint", "initializer", "loss", "metric", "op_function", "regularizer"}
)


@cache
def _table() -> dict[str, frozenset[str]]:
    text = (folder() / "keras_names.json").read_text(encoding="utf-8")
    by_name: dict[str, set[str]] = {}
    for kind, names in json.loads(text)["kinds"].items():
        for name in names:
            by_name.setdefault(name, set()).add(kind)
    return {name: frozenset(found) for name, found in by_name.items()}


def kinds(name: str) -> frozenset[str]:
    """The kinds of built-in objects that have this bare name; empty for an unknown name."""
    return _table().get(name, frozenset())


def is_home(module: str) -> bool:
    """Whether `module` is a module of Keras itself, whatever the version."""
    return any(module == home or module.startswith(home + ".") for home in _HOMES)


def is_builtin(name: str, module: str | None) -> bool:
    """Whether a class of this name in `module` is Keras's own; None is a config without modules."""
    return bool(kinds(name)) and (module is None or is_home(module))


def is_function(name: str, module: str | None) -> bool:
    """Whether Keras resolves `name` as a function for modelling: an activation, a loss, an op.

    Functions of Keras that download, save or load are none, though Keras exports them. Keras 3
    writes `builtins` for a function of any module, and looks for no op there.
    """
    if module not in (None, "builtins") and not (module and is_home(module)):
        return False
    if module and ".utils" in module:
        return False
    looked_for = _FUNCTION_KINDS - {"op_function"} if module == "builtins" else _FUNCTION_KINDS
    return not looked_for.isdisjoint(kinds(name))
