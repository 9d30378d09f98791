"""What a Keras config asks of whoever builds it: layer classes, custom objects, and hazards.

A hazard is what could run code or reach outside the model when the config is built: bytecode,
pickles, modules and functions outside Keras, paths and URLs. It is reported, never executed and
never a reason to refuse: old models hold such things and must be carried. Custom functions are
found as objects (Keras 3) and as names under the keys that take functions (all dialects).

    >>> tree = {"class_name": "Dense", "config": {"activation": "my_relu"}}
    >>> [item.class_name for item in survey(tree, "c.json").requirements.custom_objects]
    ['my_relu']
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelbundle.sources.artifact import CustomObject, Requirements
from modelbundle.sources.keras.builtins import is_function, is_home, kinds
from modelbundle.sources.keras.objects import KerasObject, describe, is_object

HAZARDS = 100
"""How many hazards are listed; one more says how many were left out."""
_TEXT = 200
"""The most characters of a text in a hazard."""

_MARKERS = frozenset(
    {"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__slice__", "__ellipsis__",
     "__tuple__", "__typespec__", "__lambda__", "TensorShape", "TypeSpec", "function"}
)  # fmt: skip
_GRAPH_CLASSES = {"layer": "", "model": "", "operation": "ops."}
_PICKLES = frozenset({"TorchModuleWrapper", "FlaxLayer", "JaxLayer"})
_PATH_KEYS = frozenset({"filepath", "vocabulary", "model_path", "file_path", "idf_weights"})
_URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://")
_RUNS_IO = re.compile(r"^(io|raw_ops|saved_model|py_func|numpy_function|load_|sysconfig|data\.)")
_SLOT = re.compile(
    r"(^|_)(activation|initializer|regularizer|constraint)$|^(init|inner_init|inner_activation)$"
)
_COMPILED = frozenset({"loss", "metrics", "weighted_metrics"})


@dataclass(frozen=True, slots=True)
class Hazard:
    """Something in a layer's config that a loader must not follow unasked.

    Kinds: `lambda`, `pickle`, `module`, `function`, `operation`, `path`, `registered-name`.
    """

    layer: str
    kind: str
    detail: str

    def to_json(self) -> dict[str, str]:
        """The hazard as a component's properties have it."""
        return {"layer": self.layer, "kind": self.kind, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class Survey:
    """What a config needs and what it holds."""

    requirements: Requirements
    hazards: tuple[Hazard, ...]

    def listed_hazards(self) -> list[dict[str, str]]:
        """The first `HAZARDS` of them as JSON, and how many more there are."""
        listed = [hazard.to_json() for hazard in self.hazards[:HAZARDS]]
        if (rest := len(self.hazards) - len(listed)) > 0:
            listed.append({"layer": "", "kind": "more", "detail": f"{rest} more"})
        return listed


@dataclass(frozen=True, slots=True)
class _Place:
    """A dictionary of the config, the key above it and the layer it belongs to."""

    value: dict[str, Any]
    slot: str
    layer: str


def survey(tree: Any, component: str) -> Survey:
    """Requirements and hazards of a parsed config, which `component` holds."""
    layers: set[str] = set()
    custom: set[CustomObject] = set()
    hazards: dict[Hazard, None] = {}
    for place in _dictionaries(tree):
        hazards |= dict.fromkeys(_hazards(place))
        for found in _custom_functions(place):
            custom.add(CustomObject(found[1] or found[0], found[0], found[2], component))
        if not is_object(place.value) or place.value["class_name"] in _MARKERS:
            continue
        described = describe(place.value, place.slot)
        if described.custom:
            name, module = described.class_name, described.module
            custom.add(CustomObject(described.identity, name, module, component))
        elif described.kind in _GRAPH_CLASSES:
            layers.add(_GRAPH_CLASSES[described.kind] + described.class_name)
    requirements = Requirements(frozenset(layers), frozenset(custom))
    return Survey(requirements, tuple(hazards))


def hazards(tree: Any) -> list[dict[str, str]]:
    """The hazards of a parsed config as a component's properties list them."""
    return survey(tree, "").listed_hazards()


def _dictionaries(tree: Any) -> Iterator[_Place]:
    """Every dictionary of a config, outermost first, without recursion."""
    stack: list[tuple[Any, str, str]] = [(tree, "", "")]
    while stack:
        value, slot, layer = stack.pop()
        if isinstance(value, list):
            stack.extend((item, slot, layer) for item in reversed(value))
        elif isinstance(value, dict):
            layer = _layer_name(value) or layer
            yield _Place(value, slot, layer)
            stack.extend((item, key, layer) for key, item in reversed(value.items()))


def _layer_name(value: Mapping[str, Any]) -> str | None:
    if not is_object(value) or not isinstance(value["config"], dict):
        return None
    name = value["config"].get("name")
    return _shortened(name) if isinstance(name, str) and "trainable" in value["config"] else None


def _shortened(text: str) -> str:
    """A text of a hazard: its first 199 characters and an ellipsis where it has more than 200."""
    return text if len(text) <= _TEXT else text[: _TEXT - 1] + "…"


Function = tuple[str, str | None, str | None]
"""A function's name, registered name and module."""


def _custom_functions(place: _Place) -> Iterator[Function]:
    """The functions of a dictionary that Keras does not resolve."""
    value = place.value
    if value.get("class_name") == "function" and isinstance(value.get("config"), str):
        name, module = value["config"], _text(value.get("module"))
        if not is_function(name, module or "__main__"):
            yield name.rsplit(">", 1)[-1], name, module
    for name in _function_names(value, place.slot):
        if not kinds(name):
            yield name.rsplit(">", 1)[-1], name, None
    if value.get("function_type") == "function" and isinstance(value.get("function"), str):
        yield value["function"], None, _text(value.get("module"))


def _function_names(value: dict[str, Any], slot: str) -> Iterator[str]:
    """The texts that stand where Keras looks a function up by name."""
    for key, item in value.items():
        if isinstance(item, str) and item and _SLOT.search(key):
            yield item
    stack = [value.get(key) for key in _COMPILED] if slot == "compile_config" else []
    while stack:
        item = stack.pop()
        if isinstance(item, str) and item:
            yield item
        elif isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, dict) and "class_name" not in item:
            stack.extend(item.values())


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _hazards(place: _Place) -> Iterator[Hazard]:
    value, layer = place.value, place.layer
    if "class_name" in value and isinstance(value["class_name"], str):
        for kind, detail in _object_hazards(value, place.slot):
            yield Hazard(layer, kind, _shortened(detail))
    if value.get("function_type") == "lambda" or value.get("output_shape_type") == "lambda":
        yield Hazard(layer, "lambda", "bytecode of a Python lambda")
    for key, item in value.items():
        if isinstance(item, str) and item and (key in _PATH_KEYS or _URL.match(item)):
            yield Hazard(layer, "path", _shortened(f"{key}: {item}"))


def _object_hazards(value: dict[str, Any], slot: str) -> Iterator[tuple[str, str]]:
    name = value["class_name"]
    if name == "__lambda__":
        yield "lambda", "bytecode of a Python lambda"
    elif name == "function":
        function, module = (
            _text(value.get("config")) or "",
            _text(value.get("module")) or "builtins",
        )
        registered = ">" in function and module == "builtins"
        if not registered and not is_function(function, module):
            yield "function", f"{module}.{function}"
    elif is_object(value) and name not in _MARKERS:
        yield from _class_hazards(describe(value, slot), value)


def _class_hazards(found: KerasObject, value: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if found.module and not is_home(found.module):
        yield "module", f"{found.module}.{found.class_name}"
    elif found.module and not kinds(found.class_name):
        yield "function", f"{found.module}.{found.class_name}"
    elif found.registered_name and kinds(found.class_name) and found.module:
        yield "registered-name", f"{found.registered_name} for {found.class_name}"
    if found.custom:
        return
    if found.class_name in _PICKLES:
        yield "pickle", f"a {found.class_name} holds a serialised foreign module"
    if found.class_name == "Lambda":
        yield "lambda", "a Lambda layer calls a function that the config names or holds"
    config = value["config"] if isinstance(value["config"], dict) else {}
    function = config.get("function")
    if found.class_name == "TFOpLambda" and isinstance(function, str) and _RUNS_IO.match(function):
        yield "operation", f"tf.{function}"
    elif found.class_name == "TensorFlowOpLayer":
        yield "operation", "a serialised graph node"
