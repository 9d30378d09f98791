"""What a config may resolve to: Keras's own, and what the caller gives; nothing else, ever.

Keras resolves names of a config in its own modules, in the objects registered or in scope, and,
for some packages, by importing the module that the config names. Here a config is held against
the table of Keras's own classes and functions before Keras sees it. Whatever the table does not
have must be given: in `custom_objects=`, by an enclosing `custom_object_scope`, or by
`register_keras_serializable`. Nothing is imported, and nothing of the config runs.

What would run code or open files that the config holds or names (bytecode of a Lambda, pickled
modules, vocabulary files) is refused unless the caller allows it.

    settle(check_resolvable(config, "model/config.json", given({"Scale": Scale})))
    settle(check_harmless(config, "model/config.json"))
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelbundle.core.findings import Finding, checks, clip
from modelbundle.sources.keras.builtins import is_function, kinds
from modelbundle.sources.keras.objects import is_object
from modelbundle.sources.keras.requirements import survey

_PICKLES = frozenset({"TorchModuleWrapper", "FlaxLayer", "JaxLayer"})
_FILES = {"TFSMLayer": "filepath"}
_FILE_KEYS = frozenset({"vocabulary", "idf_weights"})
_VALUES = frozenset(
    {"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__slice__", "__ellipsis__",
     "__lambda__", "function"}
)  # fmt: skip
"""Classes of a config that are values, or looked at on their own."""


_WAY_OUT = (
    "pass custom_objects={name: class or function}, or register it with "
    "keras.saving.register_keras_serializable before loading; without the code, a bundle packed "
    "with graph=True runs by its graph"
)


def given(custom_objects: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """By name, what Keras would find: what is passed, in an enclosing scope, and registered."""
    import keras
    from keras.src.backend.common import global_state

    scope = global_state.get_global_attribute("custom_objects_scope_dict", {})
    return {**(custom_objects or {}), **scope, **keras.saving.get_custom_objects()}


@dataclass(frozen=True, slots=True)
class _Place:
    """A dictionary of a config, and the name of the layer that it belongs to."""

    value: dict[str, Any]
    layer: str


@checks("SEC-03")
def check_resolvable(config: Any, place: str, known: Mapping[str, Any]) -> Iterator[Finding]:
    """Findings for each class and function that is neither Keras's own nor in `known`.

    `place` is the path of the config in its bundle. What is missing comes in the order of names.
    """
    missing: dict[str, str] = {}
    for item in survey(_lists(config), place).requirements.custom_objects:
        if item.registered_name not in known and item.class_name not in known:
            where = f" from {item.module}" if item.module else ""
            missing[item.registered_name] = f"{clip(item.registered_name)}{clip(where)}"
    for found in _dictionaries(config):
        if (name := _unknown_builtin(found.value, known)) is not None:
            missing.setdefault(name.removeprefix("builtins."), clip(name))
    for name in sorted(missing):
        yield Finding("SEC-03", place, "classes and functions at hand", missing[name], _WAY_OUT)


def _lists(value: Any) -> Any:
    """`value` with its tuples as lists, as JSON has them, and keys of dictionaries as text."""
    if isinstance(value, list | tuple):
        return [_lists(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _lists(item) for key, item in value.items()}
    return value


def _unknown_builtin(value: Mapping[str, Any], known: Mapping[str, Any]) -> str | None:
    """The name of a class or function that the table has and this Keras would not find as one."""
    if not is_object(value) or (value["class_name"] in _VALUES - {"function"}):
        return None
    is_call = value["class_name"] == "function"
    name = value["config"] if is_call else value["class_name"]
    module, registered = value.get("module"), value.get("registered_name")
    if not isinstance(name, str) or name in known or registered in known or not module:
        return None
    if value["class_name"] == "__typespec__":
        return str(value.get("spec_name"))
    is_fine = _is_function(module, name) if is_call else _is_class(module, name)
    return None if is_fine else f"{module}.{name}"


def _is_class(module: str, name: str) -> bool:
    """Whether Keras finds a class of its own under this name, one that a config may make."""
    found = _symbol(module, name)
    return isinstance(found, type) and bool(kinds(name)) and hasattr(found, "from_config")


def _is_function(module: str, name: str) -> bool:
    """Whether Keras finds a function for modelling under this name."""
    if not is_function(name, module):
        return False
    from keras.src.saving.serialization_lib import BUILTIN_MODULES

    homes = [f"keras.{home}" for home in BUILTIN_MODULES] if module == "builtins" else [module]
    return any(callable(_symbol(home, name)) for home in homes)


def _symbol(module: str, name: str) -> Any:
    """What Keras exports under a name, or what one of its loaded modules defines."""
    from keras.src import api_export

    if module != "keras" and not module.startswith("keras."):
        return None
    exported = api_export.get_symbol_from_name(f"{module}.{name}")
    return exported or vars(sys.modules.get(module, object)).get(name)


@checks("SEC-04")
def check_harmless(config: Any, place: str, *, layers: bool = True) -> Iterator[Finding]:
    """Findings for each place where loading would run code or open a file of the config's choice.

    Bytecode of Lambda layers, pickled modules, files and addresses; the layer is named. Without
    `layers` there are none: each danger is told once.
    """
    told: set[tuple[str, str]] = set()
    for found in _dictionaries(config):
        for what in _dangers(found.value):
            where = found.layer if layers else ""
            if (where, what) in told:
                continue
            told.add((where, what))
            expected = f"{where or 'an object'} to be loaded without running code from files"
            hint = "pass allow_unsafe=True if you trust whoever made this bundle"
            at = f"{place}#{where}" if layers else place
            yield Finding("SEC-04", at, clip(expected), clip(what), hint)


def _dangers(value: dict[str, Any]) -> Iterator[str]:
    name, inner = value.get("class_name"), value.get("config")
    settings = inner if isinstance(inner, dict) else {}
    if name == "__lambda__" or any(value.get(key) == "lambda" for key in _LAMBDA_KEYS):
        yield "bytecode of a Python lambda"
    elif name == "Lambda" and not _is_named(settings.get("function")):
        yield "a Lambda layer whose function is bytecode"
    elif name in _PICKLES:
        yield f"a {name}, which holds a pickled module"
    elif name in _FILES:
        yield f"a {name}, which runs the model in the file {settings.get(_FILES[name])!r}"
    for key in _FILE_KEYS & settings.keys():
        if isinstance(settings[key], str):
            yield f"{key}: the file {settings[key]!r}"


_LAMBDA_KEYS = ("function_type", "output_shape_type", "mask_type")


def _is_named(function: Any) -> bool:
    """Whether the function of a Lambda is looked up by name; bytecode has its own finding."""
    return isinstance(function, dict) and isinstance(function.get("class_name"), str)


def _dictionaries(config: Any) -> Iterator[_Place]:
    """Every dictionary of a config, outermost first, each with the layer that it is in."""
    stack: list[tuple[Any, str]] = [(config, "")]
    while stack:
        value, layer = stack.pop()
        if isinstance(value, list | tuple):
            stack.extend((item, layer) for item in reversed(value))
        elif isinstance(value, dict):
            inner = value.get("config")
            name = inner.get("name") if is_object(value) and isinstance(inner, dict) else None
            layer = name if isinstance(name, str) else layer
            yield _Place(value, layer)
            stack.extend((item, layer) for item in reversed(list(value.values())))
