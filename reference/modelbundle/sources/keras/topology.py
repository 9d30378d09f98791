"""A Keras config as a layer graph in one dialect (`schemas/topology.schema.json`).

A layer has a name, its class, its config and, where it is a model, its own `layers`, `nodes`,
`inputs` and `outputs`. The config is kept as it is, with four exceptions: values that JSON has no
word for are tagged (`keras_values`), layers inside the config become `sublayers` and leave a
`$layer` tag, the keys that make up the graph are left out, and shared objects are renumbered. Every
tensor comes from a node: inputs have one without inputs, and a Sequential that was never told its
input gets an `implied` InputLayer. Nodes stand in an order in which they can be run.

    >>> build({"class_name": "ReLU", "config": {"name": "r"}}, "layer", "keras2", "r.json")["class"]
    'ReLU'
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import rfc8785

from modelbundle.core.limits import LIMITS
from modelbundle.sources.keras.calls import Call, CalledLayer, Scope, ends, in_order, node, offsets
from modelbundle.sources.keras.config_json import malformed, measure, within
from modelbundle.sources.keras.objects import (
    Dialect,
    Form,
    KerasObject,
    describe,
    is_object,
    model_form,
)
from modelbundle.sources.keras.values import KEEP, Document, Values

VERSION = "1.0-draft"

Record = dict[str, Any]

_GRAPH_KEYS = frozenset({"layers", "input_layers", "output_layers"})
_GRAPH_KINDS = frozenset({"layer", "model", "operation"})


def build(value: Any, form: Form, dialect: Dialect, place: str) -> Record:
    """The topology of a whole config; raises BundleError (KCF-01 to KCF-03).

    `value` is the parsed config, `form` what `keras_objects.root_form` says of it.
    """
    builder = _Builder(dialect, place)
    builder.document.number_shared(value)
    record = builder.layer(_as_object(value, form), "#", ())
    return {"topology": VERSION, "dialect": dialect, **record, "form": form}


def dump(record: Record, place: str) -> bytes:
    """The canonical JSON of a topology; refuses (KCF-02) what a bundle's JSON may not be."""
    data = rfc8785.dumps(record)
    found = measure(data)
    within(LIMITS.json_depth, found.depth, "levels in its topology", place)
    within(LIMITS.json_values, found.values, "values in its topology", place)
    return data


def _as_object(value: Any, form: Form) -> dict[str, Any]:
    """A bare config with the class that its form implies, where it implies one."""
    if is_object(value):
        return value
    implied = {"sequential": "Sequential", "functional": "Functional"}.get(form, "")
    return {"class_name": implied, "config": value}


class _Builder:
    """Makes records; holds what one document shares: its dialect, place and object numbers."""

    def __init__(self, dialect: Dialect, place: str) -> None:
        self.dialect = dialect
        self.place = place
        self.document = Document(place)
        self.layers = 0

    def layer(
        self, value: dict[str, Any], at: str, path: tuple[str, ...], slot: str = ""
    ) -> Record:
        """The record of a serialised layer or model found at JSON pointer `at`."""
        self._count(at, path)
        config = value["config"] if value["config"] is not None else {}
        found = describe(value, slot)
        form = model_form(value["class_name"] or None, config)
        if form is None and not isinstance(config, dict):
            raise malformed(self.place + at, "a config object", type(config).__name__)
        left_out = _GRAPH_KEYS if form else frozenset()
        return {
            "path": "/".join(path),
            **_facts(config),
            **_identity(value, found),
            **self._settings(value, left_out, at, path),
            **(self._graph(config, form, at, path) if form else {}),
        }

    def _count(self, at: str, path: tuple[str, ...]) -> None:
        """Refuse (KCF-02) layers nested too deeply, too many of them, and paths too long."""
        self.layers += 1
        place = self.place + at
        within(LIMITS.config_layer_depth, len(path), "layers inside one another", place)
        within(LIMITS.config_layers, self.layers, "layers", place)
        within(LIMITS.path_bytes, len("/".join(path)), "characters in a layer's path", place)

    def _settings(
        self, value: dict[str, Any], left_out: frozenset[str], at: str, path: tuple[str, ...]
    ) -> Record:
        """The config of a layer, without the keys `left_out`, and what stands beside it."""
        config = value["config"] if isinstance(value["config"], dict) else {}
        values = _Config(self, f"{at}/config", path)
        kept = {key: item for key, item in config.items() if key not in left_out}
        record: Record = {"config": values.encode(kept)}
        if values.sublayers:
            record["sublayers"] = values.sublayers
        if (build_config := value.get("build_config")) is not None:
            record["build_config"] = Values(self.document).encode(build_config)
        if type(shared := value.get("shared_object_id")) is int:
            record["shared"] = self.document.number(shared)
        return record

    def _graph(self, config: Any, form: Form, at: str, path: tuple[str, ...]) -> Record:
        """The layers of a model, the nodes that connect them, its inputs and outputs."""
        at = f"{at}/config" if isinstance(config, list) else f"{at}/config/layers"
        items = config if isinstance(config, list) else config.get("layers")
        if not isinstance(items, list) or not all(map(is_object, items)):
            raise malformed(self.place + at, "a list of layers", type(items).__name__)
        records = []
        for number, item in enumerate(items):
            if (name := _name_of(item) or _numbered(item, form, number)) is None:
                raise malformed(f"{self.place}{at}/{number}", "a layer with a name", "none")
            made = self.layer(item, f"{at}/{number}", (*path, name))
            records.append({**made, "name": name})
        if form == "sequential":
            return {"form": form, **self._chain(config, records, "/".join(path), at)}
        return {"form": form, **self._functional(config, items, records, at)}

    def _chain(self, config: Any, records: list[Record], path: str, at: str) -> Record:
        """The graph of a Sequential: every layer feeds the next one."""
        if records and records[0]["class"] != "InputLayer":
            records = [_implied_input(config, records, path), *records]
        layers: dict[str, Record] = {}
        calls: Counter[str] = Counter()
        nodes: list[Record] = []
        last: list[Record] = []
        for item in records:
            name = item["name"]
            if layers.setdefault(name, item)["config"] != item["config"]:
                raise malformed(self.place + at, "layers with names of their own", name)
            args = [{"$tensor": 0}] if last else []
            nodes.append(
                {"layer": name, "node": calls[name], "inputs": last, "args": args, "kwargs": {}}
            )
            last = [{"layer": name, "node": calls[name], "tensor": 0}]
            calls[name] += 1
        first = [{**last[0], "layer": records[0]["name"], "node": 0}] if last else []
        structure = {"$tensor": 0} if last else None
        return {
            "layers": list(layers.values()),
            "nodes": nodes,
            **{"inputs": first, "input_structure": structure},
            **{"outputs": last, "output_structure": structure},
        }

    def _functional(
        self, config: dict[str, Any], items: list[Any], records: list[Record], at: str
    ) -> Record:
        """The graph of a Functional model: the calls that its config lists."""
        calls: dict[str, list[Any]] = {}
        for number, (item, made) in enumerate(zip(items, records, strict=True)):
            found = item.get("inbound_nodes", [])
            if not isinstance(found, list) or made["name"] in calls:
                expected = "a name of its own and a list of inbound_nodes"
                raise malformed(f"{self.place}{at}/{number}", expected, made["name"])
            calls[made["name"]] = found
        known = {made["name"]: _called(made, calls[made["name"]]) for made in records}
        scope = offsets(known, calls, [config["input_layers"], config["output_layers"]])
        graph: Record = {"layers": records, "nodes": self._nodes(records, calls, scope, at)}
        for end in ("input", "output"):
            place = f"{self.place}{at.removesuffix('layers')}{end}_layers"
            unwrap = self.dialect != "keras3"
            tensors, structure = ends(config[f"{end}_layers"], scope, unwrap, self.document, place)
            graph |= {f"{end}s": tensors, f"{end}_structure": structure}
        return graph

    def _nodes(
        self, records: list[Record], calls: dict[str, list[Any]], scope: Scope, at: str
    ) -> list[Record]:
        nodes = []
        for position, made in enumerate(records):
            place = f"{self.place}{at}/{position}/inbound_nodes"
            name = made["name"]
            if not calls[name]:
                nodes.append({"layer": name, "node": 0, "inputs": [], "args": [], "kwargs": {}})
            for number, call in enumerate(calls[name]):
                where = Call(name, made["class"], number, f"{place}/{number}")
                nodes.append(node(where, call, scope, self.document))
        return in_order(nodes, self.place + at)


class _Config(Values):
    """Encodes a layer's config; layers inside it become sublayers."""

    def __init__(self, builder: _Builder, at: str, path: tuple[str, ...]) -> None:
        super().__init__(builder.document)
        self.sublayers: list[Record] = []
        self._builder = builder
        self._at = at
        self._path = path

    def special(self, value: dict[str, Any] | list[Any], slot: str) -> Any:
        if not is_object(value) or describe(value, slot).kind not in _GRAPH_KINDS:
            return KEEP
        name = _name_of(value) or slot
        record = self._builder.layer(value, self._at, (*self._path, name), slot)
        self.sublayers.append({**record, "name": name, "slot": slot})
        return {"$layer": len(self.sublayers) - 1}


def _identity(value: Mapping[str, Any], found: KerasObject) -> Record:
    """The class of a record; absent where the config does not tell it."""
    if not value["class_name"]:
        return {"custom": False}
    record: Record = {"class": found.class_name, "custom": found.custom}
    if (module := found.public_module) is not None:
        record["module"] = module
    if found.custom and found.registered_name:
        record["registered_name"] = found.registered_name
    return record


def _facts(config: Any) -> Record:
    """What every dialect says about a layer under another key or in another form."""
    if not isinstance(config, dict):
        return {}
    shape = config.get("batch_shape", config.get("batch_input_shape"))
    facts = {
        "name": _text(config.get("name")),
        "trainable": config.get("trainable") if isinstance(config.get("trainable"), bool) else None,
        "dtype": _policy(config.get("dtype")),
        "batch_shape": _shape(shape),
    }
    return {key: value for key, value in facts.items() if value is not None}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _shape(shape: Any) -> Any:
    """A shape, or several in a structure; None for what is neither."""
    return Values().encode(shape) if isinstance(shape, dict | list) else None


def _policy(dtype: Any) -> str | None:
    """The name of a dtype policy, which newer configs serialise as an object."""
    if not is_object(dtype) or not isinstance(inner := dtype["config"], dict):
        return _text(dtype)
    mode, source = _text(inner.get("mode")), _text(inner.get("source_name"))
    return _text(inner.get("name")) if None in (mode, source) else f"{mode}_from_{source}"


def _name_of(value: Mapping[str, Any]) -> str | None:
    """A layer's name: beside its class in Functional models, else in its config."""
    inner = value["config"].get("name") if isinstance(value["config"], dict) else None
    return _text(value.get("name")) or _text(inner)


def _numbered(value: Mapping[str, Any], form: Form, number: int) -> str | None:
    """The name of a layer that has none: Keras 1 leaves out those of nested Sequentials."""
    return f"{value['class_name'].lower()}_{number}" if form == "sequential" else None


def _called(record: Record, calls: list[Any]) -> CalledLayer:
    return CalledLayer(max(1, len(calls)), record.get("form"), not calls)


def _input_shape(record: Record) -> Any:
    """The batch shape that a layer states, or the first layer of a Sequential."""
    while record.get("form") == "sequential" and record["layers"]:
        record = record["layers"][0]
    return record.get("batch_shape")


def _implied_input(config: Any, records: list[Record], path: str) -> Record:
    """The InputLayer that a Sequential without one implies, with its shape where it is known."""
    taken = {item["name"] for item in records}
    name = f"{records[0]['name']}_input"
    while name in taken:
        name += "_"
    built = config.get("build_input_shape") if isinstance(config, dict) else None
    shape = _input_shape(records[0]) or _shape(built)
    return {
        "name": name,
        "path": f"{path}/{name}" if path else name,
        "class": "InputLayer",
        "module": "keras.layers",
        "custom": False,
        "implied": True,
        "config": {},
        **({"batch_shape": shape} if shape is not None else {}),
    }
