"""SavedModel directories: Keras 2, Keras 3 exports, plain TensorFlow 2 and TensorFlow 1.

`saved_model.pb` says what graphs there are, their tags, signatures, ops and assets; the object
graph, where there is one, what the variables belong to. Weights are the checkpoint under
`variables/`. A Keras config, wherever Keras put it, is kept as a file of its own. No graph is run
and large constants in a graph are stepped over.
Layout: tensorflow/core/protobuf/saved_model.proto and meta_graph.proto

    artifact = read(tree)
    artifact.signatures[0].inputs
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelbundle.core.blobs import Blob, BytesBlob
from modelbundle.core.dtypes import is_known
from modelbundle.core.findings import checks, refuse
from modelbundle.sources import keras_metadata
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
from modelbundle.sources.checkpoint import Checkpoint, graph_file, read_checkpoint, source_files
from modelbundle.sources.checkpoint_tensors import locate, name_tensors
from modelbundle.sources.checkpoint_variables import by_graph
from modelbundle.sources.keras_config import config_component
from modelbundle.sources.object_graph import (
    Graph,
    aligned,
    dtype_name,
    read_saved,
    shape_of,
    with_values,
)
from modelbundle.sources.protobuf_wire import INT, MESSAGE, TEXT, UINT, Message, WireError, message
from modelbundle.sources.sliced_tensors import assemble
from modelbundle.sources.tensor_bundle import INDEX_SUFFIX, SHAPE

FILE = "saved_model.pb"
VARIABLES = "variables/variables"
"""The checkpoint's prefix within the directory."""
KIND = "tensorflow.saved_model"

_TENSOR_INFO = {2: ("dtype", UINT), 3: ("shape", SHAPE)}
_PORTS = {1: ("name", TEXT), 2: ("info", _TENSOR_INFO)}
_SIGNATURE = {1: ("inputs", _PORTS, True), 2: ("outputs", _PORTS, True)}
_META_INFO = {4: ("tags", TEXT, True), 5: ("version", TEXT)}
_META_GRAPH = {
    1: ("info", _META_INFO),
    2: ("graph", MESSAGE),
    5: ("signatures", {1: ("name", TEXT), 2: ("signature", _SIGNATURE)}, True),
    6: ("assets", {2: ("filename", TEXT)}, True),
    7: ("objects", MESSAGE),
}
_LIBRARY, _NODE, _FUNCTION, _FUNCTION_NODE, _NODE_OP = 2, 1, 1, 3, 2
"""GraphDef.library, .node; FunctionDefLibrary.function; FunctionDef.node_def; NodeDef.op."""


@dataclass(frozen=True, slots=True)
class MetaGraph:
    """One graph of a SavedModel and what it says of itself."""

    tags: tuple[str, ...]
    version: str
    ops: frozenset[str]
    assets: tuple[str, ...]
    signatures: Mapping[str, Mapping[str, Any]]
    objects: Graph = field(repr=False)
    functions: frozenset[str] = frozenset()


def recognise(tree: Tree) -> bool:
    """Whether the source is a directory with a SavedModel's protobuf in it."""
    blob = tree.files.get(f"{tree.root}/{FILE}")
    if blob is None:
        return f"{tree.root}/saved_model.pbtxt" in tree.files
    try:
        return any(number == 2 for number, _ in Message.of(blob))
    except WireError:
        return True


def read(tree: Tree) -> Artifact:
    """The source as an artifact; raises BundleError (SVM-01 to SVM-04, and TFC rules)."""
    graphs = _meta_graphs(tree)
    _check_assets(tree, graphs)
    checkpoint = _checkpoint(tree, graphs)
    ...
