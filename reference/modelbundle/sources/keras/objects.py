"""Serialised Keras objects: the `{"class_name": …, "config": …}` objects of every dialect.

Keras 1 and 2 write the class alone, registered classes as `package>Class`; Keras 3 (and the
`.keras` files of tf_keras) add `module` and `registered_name`. Nothing here imports what a config
names: classes are compared with the table of `builtins`.

    >>> describe({"class_name": "mine>Norm", "config": {"name": "n", "trainable": True}}).kind
    'layer'
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard

from modelbundle.sources.keras.builtins import is_builtin, kinds

Form = Literal["sequential", "functional", "subclassed", "layer"]
Dialect = Literal["keras1", "keras2", "keras3"]

PUBLIC_MODULES = {"layer": "keras.layers", "model": "keras.models", "operation": "keras.ops"}
"""Where the built-in classes of a graph live, under one name for all dialects."""

_PACKAGES = {
    "layers": "layer",
    "models": "model",
    "ops": "operation",
    "initializers": "initializer",
    "losses": "loss",
    "metrics": "metric",
    "optimizers": "optimizer",
    "regularizers": "regularizer",
    "constraints": "constraint",
}
_LAYER_SLOTS = frozenset(
    {"layer", "forward_layer", "backward_layer", "cell", "cells", "layers", "branches"}
)
_FUNCTIONAL_KEYS = frozenset({"layers", "input_layers", "output_layers"})


_MAJOR = re.compile(r"(\d+)(\.|$)", re.ASCII)
_SIGNS: tuple[tuple[Dialect, frozenset[str]], ...] = (
    ("keras1", frozenset({"nb_filter", "W_regularizer", "inner_init", "border_mode"})),
    ("keras3", frozenset({"batch_shape", "keras_history"})),
    ("keras2", frozenset({"batch_input_shape"})),
    ("keras3", frozenset({"module"})),
)
"""Keys that only one dialect writes, in the order in which they decide."""


@dataclass(frozen=True, slots=True)
class KerasObject:
    """The class of a serialised object; `kind` is `custom` where nothing tells what it is."""

    class_name: str
    module: str | None
    registered_name: str | None
    custom: bool
    kind: str

    @property
    def public_module(self) -> str | None:
        """The module to name in a topology: one for all dialects where the class is built in."""
        return self.module if self.custom else PUBLIC_MODULES.get(self.kind, self.module)

    @property
    def identity(self) -> str:
        """What a custom class must be registered as."""
        return self.registered_name or self.class_name


def is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether `value` has the form of a serialised object."""
    if not isinstance(value, dict) or "config" not in value:
        return False
    return isinstance(name := value.get("class_name"), str) and name != ""


def describe(value: Mapping[str, Any], slot: str = "") -> KerasObject:
    """The class of a serialised object; `slot` is the key under which it was found."""
    raw = value["class_name"]
    module = _text(value.get("module"))
    registered = _text(value.get("registered_name")) or (raw if ">" in raw else None)
    name = raw.rsplit(">", 1)[-1] or raw
    custom = (
        (registered is not None and ">" in registered)
        or ("module" in value and module is None)
        or not is_builtin(name, module)
    )
    kind = _custom_kind(value, slot) if custom else _builtin_kind(name, module, value["config"])
    return KerasObject(name, module, registered if registered != name else None, custom, kind)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _builtin_kind(name: str, module: str | None, config: Any) -> str:
    found = kinds(name)
    for package in (module or "").split("."):
        if _PACKAGES.get(package) in found:
            return _PACKAGES[package]
    if "layer" in found and len(found) > 1 and not _names_itself(config):
        found -= {"layer"}
    return next(kind for kind in ("model", "layer", *sorted(found)) if kind in found)


def _custom_kind(value: Mapping[str, Any], slot: str) -> str:
    config = value["config"]
    is_layer = (
        slot in _LAYER_SLOTS
        or "inbound_nodes" in value
        or (isinstance(config, dict) and "trainable" in config)
    )
    return "layer" if is_layer or model_form(value["class_name"], config) else "custom"


def _names_itself(config: Any) -> bool:
    return isinstance(config, dict) and "name" in config


def model_form(class_name: str | None, config: Any) -> Form | None:
    """`sequential` or `functional` where `config` describes a graph of layers, else None.

    Keras 1 writes a Sequential's config as a bare list. A subclass of Functional is recognised by
    its keys, one of Sequential by the input shape that Keras 3 stores once it was built.
    """
    if isinstance(config, list):
        return "sequential" if config and all(map(is_object, config)) else None
    if not isinstance(config, dict):
        return None
    if config.keys() >= _FUNCTIONAL_KEYS:
        return "functional"
    named = class_name is not None and class_name.rsplit(">", 1)[-1] == "Sequential"
    return "sequential" if named or config.keys() >= {"layers", "build_input_shape"} else None


def root_form(value: Any) -> Form | None:
    """The form of a whole config (bare or serialised); None where it is no Keras config.

    A class that is neither built in nor a graph is taken for a model where `to_json` or a compiled
    model left its marks, else for a layer.
    """
    if isinstance(value, list):
        return model_form(None, value)
    if is_object(value):
        return model_form(value["class_name"], value["config"]) or _classed_form(value)
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return None
    if isinstance(layers := value.get("layers"), list) and all(map(is_object, layers)):
        return model_form("Sequential", value)
    return "layer" if "dtype" in value or isinstance(value.get("trainable"), bool) else None


def _classed_form(value: Mapping[str, Any]) -> Form | None:
    if not isinstance(value["config"], dict):
        return None
    found = describe(value)
    if found.kind == "model":
        return "subclassed"
    if found.custom and not value.keys().isdisjoint({"keras_version", "backend", "compile_config"}):
        return "subclassed"
    return "layer" if found.kind in ("layer", "operation") or found.custom else None


def dialect_of(value: Any, keras_version: str | None) -> Dialect:
    """Which Keras wrote a config: by its version where it says so, else by what only one writes."""
    if stated := _MAJOR.match(keras_version or ""):
        return ("keras1", "keras1", "keras2", "keras3")[min(int(stated[1]), 3)]
    if isinstance(value, list) or isinstance(value.get("config"), list):
        return "keras1"
    keys = _keys(value)
    return next((name for name, signs in _SIGNS if not signs.isdisjoint(keys)), "keras2")


def _keys(value: Any) -> set[str]:
    """All keys of a config."""
    found: set[str] = set()
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            found.update(item)
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    return found
