"""What a SavedModel's protobuf says: tags, ops, signatures, assets, object graph.

The graph itself is walked for the names of its ops, those of its function library included, and
left where it is: constants, which can be gigabytes, are stepped over.
Layout: tensorflow/core/protobuf/saved_model.proto, meta_graph.proto, framework/graph.proto

    for graph in meta_graphs(Message.of(blob)):
        graph.tags, graph.ops
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from modelbundle.core.dtypes import is_known
from modelbundle.core.limits import LIMITS
from modelbundle.sources.artifact import Port, Signature
from modelbundle.sources.protobuf_wire import (
    BOOL,
    BYTES,
    MESSAGE,
    TEXT,
    UINT,
    Message,
    WireError,
    message,
)
from modelbundle.sources.tensorflow.object_graph import Graph, dtype_name, read_saved, shape_of
from modelbundle.sources.tensorflow.tensor_bundle import SHAPE

_META_GRAPHS = 2
"""SavedModel.meta_graphs."""
_NODE, _LIBRARY = 1, 2
"""GraphDef.node and .library."""
_FUNCTION = 1
"""FunctionDefLibrary.function."""
_SIGNATURE, _NODE_DEF = 1, 3
"""FunctionDef.signature, whose first field is the function's name, and .node_def."""
_NAME, _OP = 1, 2
"""NodeDef.op, and the name of an OpDef."""
_INTERNAL = "__saved_model_"
"""How the names of TensorFlow's own signatures, such as its initialiser, start."""

_PORT = {1: ("name", TEXT), 2: ("info", {2: ("dtype", UINT), 3: ("shape", SHAPE)})}
_PORTS = {1: ("inputs", _PORT, True), 2: ("outputs", _PORT, True)}
_COLLECTION = {1: ("name", TEXT), 2: ("list", {2: ("bytes", {1: ("values", BYTES, True)})})}
_META_GRAPH = {
    1: ("info", {4: ("tags", TEXT, True), 5: ("version", TEXT)}),
    2: ("graph", MESSAGE),
    4: ("collections", _COLLECTION, True),
    5: ("signatures", {1: ("name", TEXT), 2: ("ports", _PORTS)}, True),
    6: ("assets", {2: ("filename", TEXT)}, True),
    7: ("objects", MESSAGE),
}
_VARIABLE = {1: ("name", TEXT), 7: ("trainable", BOOL)}
"""VariableDef, in TensorFlow 1's collections."""


@dataclass(frozen=True, slots=True)
class MetaGraph:
    """One graph of a SavedModel. `trainable`: names that TensorFlow 1 collected as such."""

    tags: tuple[str, ...]
    version: str
    ops: frozenset[str]
    assets: tuple[str, ...]
    signatures: Mapping[str, tuple[tuple[Port, ...], tuple[Port, ...]]]
    objects: Graph
    trainable: frozenset[str]


def meta_graphs(source: Message) -> tuple[MetaGraph, ...]:
    """The graphs of a SavedModel message; raises `WireError` where there is none."""
    found = tuple(_meta_graph(message(value)) for number, value in source if number == _META_GRAPHS)
    if not found:
        raise WireError(source.start, "no graph")
    return found


def _meta_graph(source: Message) -> MetaGraph:
    row = source.decode(_META_GRAPH)
    info = row.get("info", {})
    signatures = {
        signature.get("name", ""): _signature(signature.get("ports", {}))
        for signature in row.get("signatures", ())
    }
    return MetaGraph(
        tuple(sorted(info.get("tags", ()))),
        info.get("version", ""),
        _ops(row["graph"]) if "graph" in row else frozenset(),
        tuple(asset.get("filename", "") for asset in row.get("assets", ())),
        {name: ports for name, ports in signatures.items() if not name.startswith(_INTERNAL)},
        read_saved(row["objects"]) if "objects" in row else (),
        frozenset(_trainable(row)),
    )


def _ops(graph: Message) -> frozenset[str]:
    """Ops that the graph and its functions use; a call of one of its functions is none."""
    ops, functions = set(), set()
    for number, value in graph:
        if number == _NODE:
            ops.add(_first(message(value), _OP))
        elif number == _LIBRARY:
            for function in _all(message(value), _FUNCTION):
                for signature in _all(function, _SIGNATURE):
                    functions.add(_first(signature, _NAME))
                ops.update(_first(node, _OP) for node in _all(function, _NODE_DEF))
    return frozenset(ops - functions - {""})


def _all(source: Message, wanted: int) -> Iterator[Message]:
    return (message(value) for number, value in source if number == wanted)


def _first(source: Message, wanted: int) -> str:
    """The text of the first field `wanted`; what follows it is not looked at."""
    return next((value.text() for value in _all(source, wanted)), "")


def _signature(row: Mapping[str, Any]) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    return _ports(row.get("inputs", ())), _ports(row.get("outputs", ()))


def _ports(rows: Any) -> tuple[Port, ...]:
    """Ports by name: the map that they stand in has no order."""
    ports = {row.get("name", ""): _port(row) for row in rows}
    return tuple(ports[name] for name in sorted(ports))


def _port(row: Mapping[str, Any]) -> Port:
    info = row.get("info", {})
    shape = info.get("shape", {"unknown_rank": True})
    known = None if shape.get("unknown_rank") else tuple(shape_of(shape))
    return Port(row.get("name", ""), dtype_name(info.get("dtype", 0)), known)


def _is_usable(port: Port) -> bool:
    return is_known(port.dtype) and len(port.shape or ()) <= LIMITS.rank


def _trainable(row: Mapping[str, Any]) -> Iterator[str]:
    for collection in row.get("collections", ()):
        if collection.get("name") == "trainable_variables":
            for value in collection.get("list", {}).get("bytes", {}).get("values", ()):
                name: str = Message.of(value).decode(_VARIABLE).get("name", "")
                yield name.removesuffix(":0")


def signatures(
    component: str, graphs: tuple[MetaGraph, ...]
) -> tuple[tuple[Signature, ...], tuple[str, ...]]:
    """The signatures, and the names of those with a port that has no dtype of the standard.

    Where two graphs have one of the same name, that of the later is `TAG+TAG/NAME`.
    """
    named: dict[str, tuple[tuple[Port, ...], tuple[Port, ...]]] = {}
    for graph in graphs:
        for name, ports in sorted(graph.signatures.items()):
            named.setdefault("+".join(graph.tags) + "/" + name if name in named else name, ports)
    usable = {name for name, ports in named.items() if all(map(_is_usable, chain(*ports)))}
    kept = tuple(Signature(name, component, *named[name]) for name in sorted(usable))
    return kept, tuple(sorted(named.keys() - usable))
