"""A config of Keras 1 or 2 as one of Keras 3: over the layer graph alone, with no framework.

The topology of a config says in one form what every dialect says in its own (section 8.2 of the
standard). What is left to translate is each layer's class and arguments, by the rows of
`table.json`, and the names that Keras 3 refuses. What no row covers is collected, all at once.

    found = translate(topology)
    found.config["class_name"], found.problems
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from modelbundle.core.findings import clip
from modelbundle.reviving import rows
from modelbundle.sources.keras.builtins import kinds

Record = Mapping[str, Any]
Config = dict[str, Any]

_FUNCTIONAL = "keras.src.models.functional"
_MOST = 4000
"""Characters of a config in an answer."""
_ROOMS = ("initializers", "regularizers", "constraints", "losses", "metrics", "optimizers")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something of the old config that Keras 3 has no word for."""

    layer: str
    """Path of the layer."""
    what: str
    found: str
    inputs: tuple[str, ...] = ()
    """Of a layer that needs a class: the layers that feed it."""
    outputs: tuple[str, ...] = ()
    """Of a layer that needs a class: the layers that it feeds."""
    weights: tuple[str, ...] = ()
    """Of a layer that needs a class: its tensors, with dtype and shape."""

    def __str__(self) -> str:
        text = f"{self.layer or 'the model'}: {self.what} ({clip(self.found)})"
        around = (("from", self.inputs), ("to", self.outputs), ("with", self.weights))
        return text + "".join(f", {word} {', '.join(names)}" for word, names in around if names)

    def to_json(self) -> dict[str, Any]:
        """The problem as an answer of `revive` has it; empty lists are left out."""
        told = {"layer": self.layer, "what": self.what, "found": clip(self.found, _MOST)}
        around = {"inputs": self.inputs, "outputs": self.outputs, "weights": self.weights}
        return {**told, **{key: list(names) for key, names in around.items() if names}}


@dataclass(frozen=True, slots=True)
class LayerChange:
    """A layer that is called, made or stored otherwise than before; paths are those of layers."""

    old_path: str
    new_path: str
    old_class: str
    new_class: str
    weights: Mapping[str, str] = field(default_factory=dict)
    """Names of variables, old to new, where they differ."""
    layout: str = ""
    """How values must be rearranged; empty: not at all."""


@dataclass(frozen=True, slots=True)
class Translation:
    """A config of Keras 3, what became of each layer, and what could not be translated."""

    config: Config
    layers: tuple[LayerChange, ...]
    problems: tuple[Problem, ...]


def translate(topology: Record) -> Translation:
    """Translate the topology of a Sequential or Functional model of Keras 1 or 2, or of a layer.

    Nothing is raised for what cannot be translated: it stands in `problems`.
    """
    translator = _Translator(str(topology["dialect"]))
    config = _unshared(translator.layer(topology, "", ""))
    return Translation(config, tuple(translator.layers), tuple(translator.problems))


class _Translator:
    """Holds what one document shares: its dialect, and what was found on the way."""

    def __init__(self, dialect: str) -> None:
        self.dialect = dialect
        self.layers: list[LayerChange] = []
        self.problems: list[Problem] = []
        self.around: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
        """By path of a layer: the layers that feed it, and those that it feeds."""

    def layer(self, record: Record, name: str, above: str) -> Config:
        """The serialised object of Keras 3 for a layer or model called `name`."""
        path = f"{above}/{name}" if above else name
        if record.get("form") in ("sequential", "functional"):
            return self._model(record, name, path)
        old = str(record.get("class", ""))
        settings = dict(record["config"])
        row = rows.layer_row(old, self.dialect, settings)
        new = (row.to if row else "") or old
        self.layers.append(
            LayerChange(
                record["path"],
                path,
                old,
                new,
                row.weights if row else {},
                row.layout if row else "",
            )
        )
        if record.get("custom"):
            return self._custom(record, name, path)
        if row and row.unsupported:
            self._problem(record, row.unsupported, old)
        config = self._arguments(record, new, self._applied(record, settings, row))
        config["name"] = name or record.get("name", "")
        return {
            "module": "keras.layers",
            "class_name": new,
            "config": self._values(record, config, path),
            "registered_name": None,
            **self._built(record, path),
        }

    def _applied(self, record: Record, settings: Config, row: rows.Row | None) -> Config:
        config = settings
        for each in (row, rows.every_layer() if record.get("class") != "InputLayer" else None):
            if each is not None:
                outcome = rows.apply(each, config)
                config = outcome.config
                for key, value in outcome.refused:
                    self._problem(record, f"Keras 3 has no argument {key!r}", repr(value))
        if "batch_shape" in record and record.get("class") == "InputLayer":
            config["batch_shape"] = record["batch_shape"]
        return config

    def _arguments(self, record: Record, class_name: str, config: Config) -> Config:
        known = rows.arguments("layers", class_name)
        if known is None:
            self._problem(record, "Keras 3 has no such layer", class_name)
            return config
        for key in sorted(
            config.keys() - known - {"trainable"}
        ):  # those without it have no weights
            self._problem(
                record, f"Keras 3's {class_name} has no argument {key!r}", repr(config[key])
            )
        return {key: value for key, value in config.items() if key in known}

    def _custom(self, record: Record, name: str, path: str) -> Config:
        registered = record.get("registered_name") or record["class"]
        told = json.dumps(record["config"], sort_keys=True)
        around = self.around.get(record["path"], ((), ()))
        what = f"needs a class of somebody's own: {record['class']}"
        self.problems.append(Problem(record["path"], what, told, *around))
        config = {**record["config"], "name": name}
        return {
            "module": record.get("module"),
            "class_name": record["class"],
            "config": self._values(record, config, path),
            "registered_name": registered,
        }

    def _built(self, record: Record, path: str) -> Config:
        if (build_config := record.get("build_config")) is None:
            return {}
        return {"build_config": self._values(record, build_config, path)}

    def _problem(self, record: Record, what: str, found: str) -> None:
        self.problems.append(Problem(record["path"], what, found))

    # Models

    def _model(self, record: Record, name: str, path: str) -> Config:
        names = new_names(layer["name"] for layer in record["layers"])
        self.around |= _neighbours(record)
        made = {
            layer["name"]: self.layer(layer, names[layer["name"]], path)
            for layer in record["layers"]
        }
        facts = {key: record[key] for key in ("trainable",) if key in record}
        own = {"name": name or record.get("name") or "model", **facts}
        if record["form"] == "sequential":
            layers = [made[node["layer"]] for node in record["nodes"]]
            return _serialised("keras", "Sequential", {**own, "layers": _with_shape(layers)}, None)
        nested = {item["name"] for item in record["layers"] if item.get("form") == "functional"}
        layers = [
            {**made[old], "name": names[old], "inbound_nodes": self._calls(record, old, names)}
            for old in made
        ]
        ends = {
            f"{end}_layers": _structure(
                record[f"{end}_structure"],
                [_reference(tensor, names, nested) for tensor in record[f"{end}s"]],
            )
            for end in ("input", "output")
        }
        return _serialised(
            _FUNCTIONAL, "Functional", {**own, "layers": layers, **ends}, "Functional"
        )

    def _calls(self, record: Record, layer: str, names: Mapping[str, str]) -> list[Config]:
        """The calls of a layer in the form of Keras 3; an input has none."""
        found = sorted(
            (node for node in record["nodes"] if node["layer"] == layer),
            key=lambda node: int(node["node"]),
        )
        return [
            {
                "args": self._called(record, node, node["args"], names),
                "kwargs": self._called(record, node, node["kwargs"], names),
            }
            for node in found
            if node["inputs"]
        ]

    def _called(self, record: Record, node: Record, value: Any, names: Mapping[str, str]) -> Any:
        tensors = [
            {
                "class_name": "__keras_tensor__",
                "config": {
                    "shape": [None],
                    "dtype": "float32",
                    "keras_history": _reference(tensor, names, frozenset()),
                },
            }
            for tensor in node["inputs"]
        ]
        return _decoded(value, tensors)

    # Values

    def _values(self, record: Record, config: Any, path: str) -> Any:
        sublayers = [self.layer(item, item["name"], path) for item in record.get("sublayers", ())]
        plain = _decoded(config, (), sublayers)
        return self._objects(record, plain)

    def _objects(self, record: Record, value: Any, key: str = "") -> Any:
        """Initialisers, regularisers, constraints and functions among the arguments."""
        if isinstance(value, str):
            return _function(value) if key.endswith("activation") else _object_name(value, key)
        if isinstance(value, list):
            return [self._objects(record, item) for item in value]
        if not isinstance(value, dict):
            return value
        if "class_name" in value and "config" in value and "module" not in value:
            return self._object(record, value, key)
        if value.get("module") == "keras.layers":
            return value
        return {name: self._objects(record, item, name) for name, item in value.items()}

    def _object(self, record: Record, value: Config, key: str) -> Config:
        name = rows.object_class(value["class_name"])
        for room in _ROOMS:
            known = rows.arguments(room, name)
            if known is not None and isinstance(value["config"], dict):
                self._check_lost(record, room, name, value["config"].keys() - known)
                kept = {item: value["config"][item] for item in value["config"] if item in known}
                return _serialised(f"keras.{room}", name, kept, None)
        if not kinds(value["class_name"]):
            return {**value, "module": None, "registered_name": value["class_name"]}
        self._problem(record, f"Keras 3 has no {value['class_name']} for {key!r}", repr(value))
        return value

    def _check_lost(self, record: Record, room: str, name: str, lost: Set[str]) -> None:
        """Arguments that Keras 3 has no word for; what a weight began as does not matter now."""
        for key in sorted(lost) if room != "initializers" else ():
            self._problem(record, f"Keras 3's {name} has no argument {key!r}", name)


def _neighbours(record: Record) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """By path of a layer: names of those that feed it and of those that it feeds, in one model."""
    edges = [(t["layer"], node["layer"]) for node in record["nodes"] for t in node["inputs"]]
    return {
        layer["path"]: (
            tuple(dict.fromkeys(one for one, other in edges if other == layer["name"])),
            tuple(dict.fromkeys(other for one, other in edges if one == layer["name"])),
        )
        for layer in record["layers"]
    }


def _unshared(value: Any) -> Any:
    """A config without numbers of shared objects: layers are shared by the graph."""
    if isinstance(value, list):
        return [_unshared(item) for item in value]
    if isinstance(value, dict):
        return {key: _unshared(item) for key, item in value.items() if key != "shared_object_id"}
    return value


def _serialised(module: str, class_name: str, config: Any, registered: str | None) -> Config:
    return {
        "module": module,
        "class_name": class_name,
        "config": config,
        "registered_name": registered,
    }


def _with_shape(layers: list[Config]) -> list[Config]:
    """The layers of a Sequential; an implied input whose shape nobody knows is left out."""
    first = layers[0] if layers else None
    unknown = first and first["class_name"] == "InputLayer" and "batch_shape" not in first["config"]
    return layers[1:] if unknown else layers


def new_names(old: Iterator[str]) -> dict[str, str]:
    """Names of layers as Keras 3 takes them: without slashes, each once in its model."""
    given = list(old)
    made: dict[str, str] = {}
    taken = {name for name in given if "/" not in name}
    for name in given:
        new = name.replace("/", "_")
        while name not in taken and new in taken:
            new += "_"
        made[name] = new
        taken.add(new)
    return made


def _reference(tensor: Record, names: Mapping[str, str], nested: Any) -> list[Any]:
    """`[layer, node, tensor]`; Keras counts the calls of a nested Functional from 1 at the ends."""
    number = tensor["node"] + (1 if tensor["layer"] in nested else 0)
    return [names[tensor["layer"]], number, tensor["tensor"]]


def _structure(structure: Any, references: list[list[Any]]) -> Any:
    if isinstance(structure, dict) and set(structure) == {"$tensor"}:
        return references[structure["$tensor"]]
    if isinstance(structure, dict):
        return {key: _structure(item, references) for key, item in structure.items()}
    if isinstance(structure, list):
        return [_structure(item, references) for item in structure]
    return structure


def _decoded(value: Any, tensors: Any = (), sublayers: Any = ()) -> Any:
    """A value of a topology as Keras 3 writes it."""
    if isinstance(value, list):
        return [_decoded(item, tensors, sublayers) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((key, payload),) = value.items()
        if key in _TAGS:
            return _TAGS[key](payload)
        if key == "$tensor":
            return tensors[payload]
        if key == "$layer":
            return sublayers[payload]
    return {
        key[1:] if key.startswith("$$") else key: _decoded(item, tensors, sublayers)
        for key, item in value.items()
    }


_TAGS: Mapping[str, Any] = {
    "$float": float,
    "$int": int,
    "$tuple": lambda items: [_decoded(item) for item in items],
    "$bytes": lambda text: {"class_name": "__bytes__", "config": {"value": text}},
    "$slice": lambda items: {
        "class_name": "__slice__",
        "config": dict(zip(("start", "stop", "step"), map(_decoded, items), strict=True)),
    },
    "$ellipsis": lambda _: {"class_name": "__ellipsis__", "config": {}},
    "$array": lambda inner: {"class_name": "__numpy__", "config": _decoded(inner)},
}


def _function(name: str) -> Any:
    new = rows.functions().get(name, name)
    if ">" not in new:
        return new
    return {
        "module": "builtins",
        "class_name": "function",
        "config": new,
        "registered_name": "function",
    }


def _object_name(name: str, key: str) -> str:
    ends = ("initializer", "regularizer", "constraint")
    return rows.object_class(name) if key.endswith(ends) else name
