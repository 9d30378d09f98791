"""The component kinds of the standard: the files and properties that each asks for (COM-05).

faults({"id": "a", "kind": "hdf5", "files": ["a"]})    # no property "layout"
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

_Test = Callable[[Any], bool]

Fault = tuple[str, str, str]
"""JSON pointer within the component, what was expected, what was found."""


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_text_lists(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_texts, value))


def _are_hazards(value: Any) -> bool:
    members = {"layer", "kind", "detail"}
    return isinstance(value, list) and all(
        isinstance(item, dict) and item.keys() == members and all(map(_is_text, item.values()))
        for item in value
    )


def _one_of(*choices: str) -> _Test:
    return lambda value: value in choices


def _is_true(value: Any) -> bool:
    return value is True


@dataclass(frozen=True, slots=True)
class _Kind:
    main: str | None = ""
    """What follows the id in the path of the main file; None where any file will do."""
    required: dict[str, _Test] = field(default_factory=dict)
    optional: dict[str, _Test] = field(default_factory=dict)


_LAYOUTS = _one_of(
    "keras-model", "keras-weights", "keras-weights-v3", "keras-weights-sharded", "plain"
)
_VERSIONS: dict[str, _Test] = {"keras_version": _is_text, "backend": _is_text}

_KINDS = {
    "assets": _Kind(None),
    "golden": _Kind(optional={"vectors": _is_count}),
    "hdf5": _Kind(required={"layout": _LAYOUTS}, optional=_VERSIONS),
    "keras.archive": _Kind(optional={"keras_version": _is_text}),
    "keras.config": _Kind(
        required={
            "dialect": _one_of("keras1", "keras2", "keras3"),
            "form": _one_of("sequential", "functional", "subclassed", "layer"),
        },
        optional={
            **_VERSIONS,
            "name": _is_text,
            "parameters_need_build": _is_boolean,
            "non_finite": _is_true,
            "hazards": _are_hazards,
        },
    ),
    "keras.model": _Kind(
        "/model.json",
        required={"selection": _is_texts},
        optional={
            **_VERSIONS,
            "class_name": _is_text,
            "module": _is_text,
            "registered_name": _is_text,
        },
    ),
    "onnx": _Kind(
        optional={
            "ir_version": _is_count,
            "opsets": _is_object,
            "producer": _is_text,
            "omitted_signatures": _is_texts,
        }
    ),
    "safetensors": _Kind(optional={"metadata": _is_object, "shards": _is_count}),
    "stablehlo": _Kind(required={"format_version": _is_text}, optional={"platforms": _is_texts}),
    "tensorflow.checkpoint": _Kind(
        None,
        optional={
            "keys": _one_of("object", "name"),
            "shards": _is_count,
            "prefix": _is_text,
            "prefixes": _is_texts,
        },
    ),
    "tensorflow.saved_model": _Kind(
        "/saved_model.pb",
        optional={
            "tags": _is_text_lists,
            "shards": _is_count,
            "assets": _is_texts,
            "tensorflow_version": _is_text,
            "keras_version": _is_text,
            "omitted_signatures": _is_texts,
        },
    ),
    "tflite": _Kind(optional={"version": _is_count}),
    "training": _Kind(None, optional={"pointer": _is_text}),
}

KINDS = frozenset(_KINDS)
"""Component kinds that the standard defines."""


def faults(component: dict[str, Any]) -> Iterator[Fault]:
    """What a component of a known kind lacks or has wrong; nothing for other kinds."""
    kind = _KINDS.get(component["kind"])
    if kind is None:
        return
    yield from _file_faults(component, kind)
    properties = component.get("properties", {})
    for name, fits in (kind.required | kind.optional).items():
        if name in properties and not fits(properties[name]):
            expected = f"a value of the type that {component['kind']} gives {name}"
            yield f"/properties/{name}", expected, str(properties[name])[:400]
        elif name in kind.required and name not in properties:
            yield "/properties", f"the property {name} of a {component['kind']}", "none"


def _file_faults(component: dict[str, Any], kind: _Kind) -> Iterator[Fault]:
    name, files = component["kind"], component["files"]
    if kind.main is not None and component["id"] + kind.main not in files:
        yield "/files", f"the file {component['id']}{kind.main}", str(files)[:400]
    elif not files:
        yield "/files", f"a file of the {name}", "none"
    elif name == "tensorflow.checkpoint" and not any(path.endswith(".index") for path in files):
        yield "/files", "a file that ends in .index", str(files)[:400]
