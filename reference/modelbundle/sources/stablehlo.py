"""Portable graphs: a StableHLO artifact, what its arguments are, and its constants.

    NAME                           the portable artifact, MLIR bytecode of a stated version
    NAME.arguments.json            each argument: an input, or a tensor by name; each result
    NAME.constants.safetensors     tensors that only the graph has; absent where there are none

The weights of a graph are arguments, and their values are tensors of the bundle: those in the
constants, and others, that the namespace `stablehlo` of the component binds (rule SHL-03).
Layout: https://openxla.org/stablehlo/bytecode and https://mlir.llvm.org/docs/BytecodeFormat.

    graph = read_arguments(data, "net.stablehlo")
    graph.arguments[0].input        # "x", or None where it is a tensor
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelbundle.core import canonical_json, dtypes
from modelbundle.core.blobs import Blob
from modelbundle.core.findings import BundleError, Finding, checks, clip, refuse, settle
from modelbundle.core.limits import LIMITS
from modelbundle.sources import safetensors
from modelbundle.sources.artifact import (
    Artifact,
    ArtifactFile,
    ArtifactTensor,
    Component,
    Port,
    Signature,
    Tree,
)

KIND = "stablehlo"
ARGUMENTS = ".arguments.json"
CONSTANTS = ".constants.safetensors"
MEDIA_TYPE = "application/octet-stream"
VERSION = "1.0-draft"

_MAGIC = b"ML\xefR"
_HEAD_BYTES = 64
_PRODUCER = re.compile(rb"[\x01-\xff]StableHLO_v([0-9]{1,6}\.[0-9]{1,6}\.[0-9]{1,6})\0")
"""The version of the bytecode, then who wrote it: for a portable artifact, its version."""

_MEMBERS = {"stablehlo_arguments", "signature", "arguments", "results"}
_OPTIONAL = {"platforms"}


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument or a result of a graph: a port of the signature or, of arguments only, a tensor.

    A dimension is a size or, for a port, the name of a symbol.
    """

    port: str | None
    tensor: str | None
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """What the arguments file says: `platforms` are those it is bound to, empty for any."""

    signature: str
    arguments: tuple[Argument, ...]
    results: tuple[Argument, ...]
    platforms: tuple[str, ...] = ()

    @property
    def tensors(self) -> dict[str, Argument]:
        """The arguments that are tensors, by name."""
        return {each.tensor: each for each in self.arguments if each.tensor is not None}

    def as_signature(self, component: str) -> Signature:
        """The signature that the graph implements."""
        return Signature(self.signature, component, _ports(self.arguments), _ports(self.results))

    def to_json(self) -> dict[str, Any]:
        """As the arguments file has it."""
        platforms = {"platforms": list(self.platforms)} if self.platforms else {}
        return {
            "stablehlo_arguments": VERSION,
            "signature": self.signature,
            **platforms,
            "arguments": [_to_json(each, "input") for each in self.arguments],
            "results": [_to_json(each, "output") for each in self.results],
        }


def _ports(arguments: Iterable[Argument]) -> tuple[Port, ...]:
    return tuple(Port(a.port, a.dtype, a.shape) for a in arguments if a.port is not None)


def _to_json(argument: Argument, side: str) -> dict[str, Any]:
    name = {"tensor": argument.tensor} if argument.port is None else {side: argument.port}
    return {**name, "dtype": argument.dtype, "shape": list(argument.shape)}


def recognise(tree: Tree) -> bool:
    """Whether the source is MLIR bytecode, by content."""
    blob = tree.files.get(tree.root)
    return blob is not None and blob.read(0, min(len(_MAGIC), blob.size)) == _MAGIC


def companions(tree: Tree) -> tuple[str, ...]:
    """Names of the files beside the graph that belong to it."""
    return tree.root + ARGUMENTS, tree.root + CONSTANTS


def read(tree: Tree) -> Artifact:
    """The source as an artifact; raises BundleError (SHL-01, -02, -04, and of safetensors)."""
    version = read_version(tree.files[tree.root], tree.root)
    graph = arguments_of(tree)
    paths = sorted({tree.root, *companions(tree)} & tree.files.keys())
    constants = _constants(tree, graph)
    rows = {tensor.names[KIND]: (tensor.dtype, tensor.shape) for tensor in constants}
    settle(_different(graph, rows, tree.root))
    properties: dict[str, Any] = {"format_version": version}
    if graph.platforms:
        properties["platforms"] = list(graph.platforms)
    component = Component(tree.root, KIND, tuple(paths), None, properties)
    bound = frozenset(graph.tensors) - {tensor.names[KIND] for tensor in constants}
    return Artifact(
        tuple(_file(tree, path) for path in paths),
        constants,
        (component,),
        (graph.as_signature(tree.root),),
        bound=frozenset((KIND, name) for name in bound),
    )


def _file(tree: Tree, path: str) -> ArtifactFile:
    types = {ARGUMENTS: "application/json", CONSTANTS: safetensors.MEDIA_TYPE}
    media_type = types.get(path.removeprefix(tree.root), MEDIA_TYPE)
    return ArtifactFile(path, tree.files[path], media_type)


def read_version(blob: Blob, path: str) -> str:
    """The version of StableHLO that a portable artifact states; raises BundleError (SHL-01)."""
    head = blob.read(0, min(_HEAD_BYTES, blob.size))
    match = _PRODUCER.match(head, len(_MAGIC))
    if not head.startswith(_MAGIC) or match is None:
        raise _no_artifact(path, head)
    return match[1].decode()


@checks("SHL-01")
def _no_artifact(path: str, head: bytes) -> BundleError:
    expected = "MLIR bytecode that StableHLO serialised as a portable artifact"
    hint = "serialise it with `serialize_portable_artifact`, which states a version"
    return refuse("SHL-01", f"{path}@0", expected, f"bytes {head[:24].hex()}", hint)


def arguments_of(tree: Tree) -> Graph:
    """What the arguments file beside the graph says; raises BundleError (JSN, SHL-02)."""
    path = tree.root + ARGUMENTS
    blob = tree.files.get(path)
    if blob is None:
        raise _wrong(tree.root, f"the file {path} beside it", "none")
    if blob.size > LIMITS.config_bytes:
        raise _wrong(path, f"at most {LIMITS.config_bytes} bytes", str(blob.size))
    return read_arguments(blob.read(0, blob.size), path)


def read_arguments(data: bytes, path: str) -> Graph:
    """The graph that an arguments file describes; raises BundleError (JSN, SHL-02)."""
    value = canonical_json.decode_lenient(data, path)
    if not isinstance(value, dict) or not _MEMBERS <= value.keys() <= _MEMBERS | _OPTIONAL:
        raise _wrong(path, f"an object of {', '.join(sorted(_MEMBERS))}", clip(value))
    if value["stablehlo_arguments"] != VERSION:
        raise _wrong(path, f"version {VERSION}", clip(value["stablehlo_arguments"]))
    name, platforms = value["signature"], value.get("platforms", [])
    if not isinstance(name, str) or not name or not _are_texts(platforms):
        raise _wrong(path, "the name of a signature, and names of platforms", clip(name))
    graph = Graph(
        name,
        tuple(_items(value["arguments"], f"{path}#/arguments", "input")),
        tuple(_items(value["results"], f"{path}#/results", "output")),
        tuple(platforms),
    )
    _check_ports(graph, path)
    return graph


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and item for item in value)


def _items(values: Any, place: str, side: str) -> Iterator[Argument]:
    if not isinstance(values, list):
        raise _wrong(place, "an array", clip(values))
    names = {side, "tensor"} if side == "input" else {side}
    for number, value in enumerate(values):
        keys = value.keys() - {"dtype", "shape"} if isinstance(value, dict) else set()
        if len(keys) != 1 or not keys <= names or len(value) != 3:
            expected = f"an object of dtype, shape and one of {', '.join(sorted(names))}"
            raise _wrong(f"{place}/{number}", expected, clip(value))
        (kind,) = keys
        if not _is_typed(value, kind):
            raise _wrong(f"{place}/{number}", "a name, a dtype and a shape", clip(value))
        port, tensor = (None, value[kind]) if kind == "tensor" else (value[kind], None)
        yield Argument(port, tensor, value["dtype"], tuple(value["shape"]))


def _is_typed(value: dict[str, Any], kind: str) -> bool:
    name, dtype, shape = value[kind], value["dtype"], value["shape"]
    texts = isinstance(name, str) and name != "" and isinstance(dtype, str)
    if not texts or dtype not in dtypes.BITS or not isinstance(shape, list):
        return False
    return len(shape) <= LIMITS.rank and all(
        (type(dim) is int and 0 <= dim <= LIMITS.safe_integer)
        or (kind != "tensor" and isinstance(dim, str) and dim != "")
        for dim in shape
    )


def _check_ports(graph: Graph, path: str) -> None:
    """Each input and output once; a tensor that is two arguments is alike in both."""
    for side in (graph.arguments, graph.results):
        count = Counter(each.port for each in side if each.port is not None)
        for name, times in count.items():
            if times > 1:
                raise _wrong(path, f"the port {clip(name)} once", f"{times} times")
    tensors = graph.tensors
    for each in graph.arguments:
        if each.tensor is not None and tensors[each.tensor] != each:
            expected = f"one dtype and shape of the tensor {clip(each.tensor)}"
            raise _wrong(path, expected, f"{each.dtype} {list(each.shape)}, and others")


@checks("SHL-02")
def _wrong(place: str, expected: str, found: str) -> BundleError:
    return refuse("SHL-02", place, expected, found)


def _constants(tree: Tree, graph: Graph) -> tuple[ArtifactTensor, ...]:
    """The tensors that only the graph has; raises BundleError (STF, SHL-02)."""
    path = tree.root + CONSTANTS
    if path not in tree.files:
        return ()
    header = safetensors.read_header(tree.files[path], path)
    found = []
    for tensor in safetensors.tensors(header, path):
        if tensor.name not in graph.tensors:
            raise _wrong(f"{path}#{tensor.name}", "tensors that are arguments", "another")
        found.append(_renamed(tensor, tree.root))
    return tuple(found)


def _renamed(tensor: ArtifactTensor, root: str) -> ArtifactTensor:
    return ArtifactTensor(
        f"{root}/{tensor.name}",
        tensor.dtype,
        tensor.shape,
        tensor.path,
        tensor.offset,
        tensor.length,
        "non-trainable",
        {KIND: tensor.name},
    )


Rows = Mapping[str, tuple[str, Sequence[int]]]
"""Dtype and shape of the tensors that a namespace binds, by name."""


def binding_findings(graph: Graph, rows: Rows, place: str) -> Iterator[Finding]:
    """Findings where `rows` do not give each argument its tensor (SHL-03, SHL-04)."""
    yield from unbound(sorted(graph.tensors.keys() - rows.keys()), place)
    yield from _different(graph, rows, place)


@checks("SHL-03")
def unbound(names: Iterable[str], place: str) -> Iterator[Finding]:
    """Findings for arguments of a graph that no tensor of the bundle is bound to."""
    for name in names:
        hint = "lower the graph again from the model that the bundle holds"
        yield Finding("SHL-03", place, f"a tensor for the argument {clip(name)}", "none", hint)


@checks("SHL-04")
def _different(graph: Graph, rows: Rows, place: str) -> Iterator[Finding]:
    for name, argument in graph.tensors.items():
        dtype, shape = rows.get(name, (argument.dtype, argument.shape))
        if (dtype, tuple(shape)) != (argument.dtype, argument.shape):
            expected = f"{clip(name)}: {argument.dtype} {list(argument.shape)}"
            yield Finding("SHL-04", place, expected, f"{dtype} {list(shape)}")
