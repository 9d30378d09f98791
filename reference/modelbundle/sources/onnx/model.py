"""ONNX models, with external data beside them where they have it.

Initialisers, those of subgraphs too, are listed: at their byte ranges where they have one, else in
a derived safetensors file. A subgraph's initialiser is named after the node that it belongs to. The
graph is walked for operators and its inputs and outputs; nothing else of it is kept in memory.
Layout: onnx/onnx.proto

    artifact = read(Tree("net.onnx", {"net.onnx": blob}))
    artifact.signatures[0].inputs
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import PurePosixPath
from typing import Any

from modelbundle.core.dtypes import is_known
from modelbundle.core.findings import BundleError, checks, refuse
from modelbundle.core.limits import LIMITS
from modelbundle.sources.artifact import (
    Artifact,
    ArtifactFile,
    ArtifactTensor,
    Component,
    Port,
    Requirements,
    Signature,
    Tree,
)
from modelbundle.sources.derived_tensors import DerivedTensor, derived_file
from modelbundle.sources.onnx.tensors import (
    DTYPES,
    OnnxTensor,
    Range,
    external_data,
    external_path,
    read_tensor,
)
from modelbundle.sources.onnx.values import Decoded
from modelbundle.sources.protobuf_wire import MESSAGE, SIZE, TEXT, UINT, Message, WireError, message

MEDIA_TYPE = "application/octet-stream"
_DEFAULT_DOMAINS = frozenset({"", "ai.onnx"})
_IR_VERSION, _GRAPH = 1, 7
_MODEL_FIELDS = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26})
_HEAD_FIELDS = 4096
"""How many fields of a file are looked at to recognise it."""
_DEPTH = 16
"""Graphs inside one another."""
_NODE, _GRAPH_NAME, _INITIALISER, _INPUT, _OUTPUT, _SPARSE_INITIALISER = 1, 2, 5, 11, 12, 15
"""Fields of a GraphProto."""

_MODEL = {
    1: ("ir_version", SIZE),
    2: ("producer", TEXT),
    3: ("producer_version", TEXT),
    7: ("graph", MESSAGE),
    8: ("opsets", {1: ("domain", TEXT), 2: ("version", SIZE)}, True),
    25: ("functions", MESSAGE, True),
}
_DIMENSION = {1: ("size", SIZE), 2: ("symbol", TEXT)}
_TENSOR_TYPE = {1: ("dtype", UINT), 2: ("shape", {1: ("dims", _DIMENSION, True)})}
_VALUE = {1: ("name", TEXT), 2: ("type", {1: ("tensor", _TENSOR_TYPE)})}
_SPARSE = {1: ("values", MESSAGE), 2: ("indices", MESSAGE)}
_OPERATOR = {
    3: ("name", TEXT),
    4: ("op", TEXT),
    5: ("attributes", MESSAGE, True),
    7: ("domain", TEXT),
}
_ATTRIBUTE = {1: ("name", TEXT), 6: ("graph", MESSAGE), 11: ("graphs", MESSAGE, True)}
_FUNCTION = {1: ("name", TEXT), 7: ("nodes", MESSAGE, True), 10: ("domain", TEXT)}
_NAME = {8: ("name", TEXT)}


@dataclass(slots=True)
class _Walk:
    """What a walk through graphs has come across."""

    tensors: dict[str, Message] = field(default_factory=dict)
    """TensorProtos of initialisers, by the name that each has in the whole model."""
    ops: set[str] = field(default_factory=set)
    name: str = ""
    inputs: list[Message] = field(default_factory=list)
    outputs: list[Message] = field(default_factory=list)


def recognise(tree: Tree) -> bool:
    """Whether the source is a file that begins as an ONNX model does, by its fields."""
    blob = tree.files.get(tree.root)
    if blob is None:
        return False
    seen = {}
    try:
        for number, value in islice(Message.of(blob), _HEAD_FIELDS):
            seen[number] = value
            if number == _GRAPH:
                break
    except WireError:
        return False
    version, graph = seen.get(_IR_VERSION), seen.get(_GRAPH)
    return isinstance(version, int) and isinstance(graph, Message) and seen.keys() <= _MODEL_FIELDS


def companions(tree: Tree) -> tuple[str, ...]:
    """Names of the files beside the model that hold its data; raises BundleError (ONX-01, -02)."""
    try:
        _, walk = _walk_model(tree)
        named = {(external_data(source), source.start) for source in walk.tensors.values()}
    except WireError as error:
        raise _malformed(tree.root, error) from None
    for name, start in named:
        if name is not None:
            external_path(name, tree.root, f"{tree.root}@{start}")
    return tuple(sorted({str(PurePosixPath(name)) for name, _ in named if name is not None}))


def read(tree: Tree) -> Artifact:
    """The source as an artifact; raises BundleError (ONX-01 to ONX-03)."""
    try:
        model, walk = _walk_model(tree)
        listed = {
            name: read_tensor(row, tree.files, tree.root) for name, row in walk.tensors.items()
        }
        signature = _signature(tree.root, walk)
    except WireError as error:
        raise _malformed(tree.root, error) from None
    derived_files, derived_components, ranges = _derived(tree.root, listed)
    usable = all(map(_is_usable, chain(signature.inputs, signature.outputs)))
    properties = _properties(model) | ({} if usable else {"omitted_signatures": [signature.name]})
    files = tuple(ArtifactFile(path, blob, MEDIA_TYPE) for path, blob in sorted(tree.files.items()))
    paths = tuple(file.path for file in files)
    return Artifact(
        files=(*files, *derived_files),
        tensors=tuple(_tensor(name, each, ranges[name]) for name, each in listed.items()),
        components=(Component(tree.root, "onnx", paths, None, properties), *derived_components),
        signatures=(signature,) if usable else (),
        requirements=Requirements(ops=frozenset(walk.ops)),
    )


@checks("ONX-01")
def _malformed(path: str, error: WireError) -> BundleError:
    return refuse("ONX-01", f"{path}@{error.offset}", "an ONNX model", str(error))


def _walk_model(tree: Tree) -> tuple[dict[str, Any], _Walk]:
    source = Message.of(tree.files[tree.root])
    model = source.decode(_MODEL)
    if "graph" not in model:
        raise WireError(source.start, "a model without a graph")
    walk = _Walk()
    functions = [function.decode(_FUNCTION) for function in model.get("functions", ())]
    for function in functions:
        for position, node in enumerate(function.get("nodes", ())):
            _walk_node(walk, node, f"{function.get('name', '')}/{position}", 1)
    _walk_graph(walk, model["graph"], "", 0)
    walk.ops -= {_op(row.get("domain", ""), row.get("name", "")) for row in functions}
    return model, walk


def _op(domain: str, name: str) -> str:
    return name if domain in _DEFAULT_DOMAINS else f"{domain}::{name}"


def _walk_graph(walk: _Walk, graph: Message, prefix: str, depth: int) -> None:
    """Note what `graph` has; `prefix` is where it stands, "" for the model's own graph."""
    if depth > _DEPTH:
        raise WireError(graph.start, f"graphs {depth} deep")
    nodes = 0
    for number, value in graph:
        if number == _NODE:
            _walk_node(walk, message(value), f"{prefix}{nodes}", depth)
            nodes += 1
        elif number == _INITIALISER:
            _add(walk, prefix, message(value), "")
        elif number == _SPARSE_INITIALISER:
            _add_sparse(walk, prefix, message(value))
        elif not prefix and number == _GRAPH_NAME:
            walk.name = message(value).text()
        elif not prefix and number == _INPUT:
            walk.inputs.append(message(value))
        elif not prefix and number == _OUTPUT:
            walk.outputs.append(message(value))


def _walk_node(walk: _Walk, node: Message, place: str, depth: int) -> None:
    row = node.decode(_OPERATOR)
    walk.ops.add(_op(row.get("domain", ""), row.get("op", "")))
    for attribute in row.get("attributes", ()):
        found = attribute.decode(_ATTRIBUTE)
        graphs = [found["graph"]] if "graph" in found else []
        for position, graph in enumerate((*graphs, *found.get("graphs", ()))):
            name = f"{row.get('name') or place}/{found.get('name', '')}/{position}/"
            _walk_graph(walk, graph, name, depth + 1)


def _add(walk: _Walk, prefix: str, source: Message, suffix: str, name: str | None = None) -> None:
    if name is None:
        name = source.decode(_NAME).get("name", "")
    full = f"{prefix}{name}{suffix}"
    if full in walk.tensors:
        raise WireError(source.start, f"a second initialiser {full!r}")
    walk.tensors[full] = Message(source.blob, source.start, source.end)


def _add_sparse(walk: _Walk, prefix: str, source: Message) -> None:
    row = source.decode(_SPARSE)
    if row.keys() != {"values", "indices"}:
        raise WireError(source.start, "a sparse initialiser without values or indices")
    name = row["values"].decode(_NAME).get("name", "")
    _add(walk, prefix, row["values"], "/values", name)
    _add(walk, prefix, row["indices"], "/indices", name)


def _properties(model: dict[str, Any]) -> dict[str, Any]:
    opsets = {
        row.get("domain") or "ai.onnx": row.get("version", 0) for row in model.get("opsets", ())
    }
    producer = " ".join(filter(None, (model.get("producer"), model.get("producer_version"))))
    properties = {"ir_version": model.get("ir_version", 0), "opsets": opsets}
    return properties | ({"producer": producer} if producer else {})


def _signature(root: str, walk: _Walk) -> Signature:
    """Inputs and outputs of the model's graph; an initialiser that is listed as input is none."""
    inputs = tuple(port for port in map(_port, walk.inputs) if port.name not in walk.tensors)
    return Signature(walk.name or "main", root, inputs, tuple(map(_port, walk.outputs)))


def _port(source: Message) -> Port:
    row = source.decode(_VALUE)
    tensor = row.get("type", {}).get("tensor", {})
    dims = tensor["shape"].get("dims", ()) if "shape" in tensor else None
    shape = None if dims is None else tuple(map(_dimension, dims))
    return Port(row.get("name", ""), DTYPES.get(tensor.get("dtype", 0), "unknown"), shape)


def _dimension(row: dict[str, Any]) -> int | str | None:
    size = row.get("size")
    return row.get("symbol") or (None if size is None or size < 0 else size)


def _is_usable(port: Port) -> bool:
    return is_known(port.dtype) and len(port.shape or ()) <= LIMITS.rank


def _derived(
    root: str, listed: dict[str, OnnxTensor]
) -> tuple[tuple[ArtifactFile, ...], tuple[Component, ...], dict[str, Range]]:
    """The derived file for what is no range, if anything is, and every tensor's range by name."""
    ranges = {name: each.data for name, each in listed.items() if isinstance(each.data, Range)}
    decoded = [
        DerivedTensor(name, each.dtype, each.shape, each.data.length, each.data.decode)
        for name, each in listed.items()
        if isinstance(each.data, Decoded)
    ]
    if not decoded:
        return (), (), ranges
    file, component, places = derived_file(root, decoded)
    ranges |= {name: Range(file.path, *place) for name, place in places.items()}
    return (file,), (component,), ranges


def _tensor(name: str, tensor: OnnxTensor, where: Range) -> ArtifactTensor:
    place = where.path, where.offset, where.length
    return ArtifactTensor(name, tensor.dtype, tensor.shape, *place, names={"onnx": name})
