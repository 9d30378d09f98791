"""TensorFlow checkpoints, by prefix (`ckpt-1`) or by directory, with one or many shards.

Every tensor of the index is a range of a data shard. The object graph, where the checkpoint has
one, names variables and binds optimizer slots (`checkpoint_variables`) and is kept as JSON. A
tensor whose slices are no single range is put together in a derived safetensors file.

`read` reads the index and the object graph only; `verify_checksums` reads the data, here and in
the variables of a SavedModel.

    artifact = read(tree)           # tree.root: "ckpt-1" or the directory
    verify_checksums(tree)          # TFC-03
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelbundle.core.blobs import Blob, BytesBlob
from modelbundle.core.findings import checks, refuse
from modelbundle.sources.artifact import Artifact, ArtifactFile, ArtifactTensor, Component, Tree
from modelbundle.sources.protobuf_wire import Message, WireError
from modelbundle.sources.tensorflow.checkpoint_tensors import locate, name_tensors
from modelbundle.sources.tensorflow.checkpoint_variables import Variable, by_graph, by_name
from modelbundle.sources.tensorflow.leveldb_table import is_table
from modelbundle.sources.tensorflow.object_graph import Graph, read_trackable, to_json
from modelbundle.sources.tensorflow.sliced_tensors import assemble
from modelbundle.sources.tensorflow.tensor_bundle import (
    INDEX_SUFFIX,
    SHARD_MARK,
    Bundle,
    check_crc32c,
    read_bundle,
    string_scalar,
    verify,
)

GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
"""The key under which a checkpoint keeps its object graph."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One checkpoint, read: its index, its object graph, and what is known of each key."""

    bundle: Bundle
    graph: Graph
    variables: Mapping[str, Variable]

    @property
    def properties(self) -> dict[str, Any]:
        """What the component says of it."""
        return {"keys": "object" if self.graph else "name", "shards": len(self.bundle.shards)}


def recognise(tree: Tree) -> bool:
    """Whether the source is a checkpoint or a directory of them, by content."""
    return bool(prefixes(tree)) and f"{tree.root}/saved_model.pb" not in tree.files


def prefixes(tree: Tree) -> tuple[str, ...]:
    """The prefixes of all checkpoints in the tree, sorted: an index, or what has shards beside."""
    with_shards = {path.rpartition(SHARD_MARK)[0] for path in tree.files}
    found = {
        path.removesuffix(INDEX_SUFFIX): is_table(blob)
        for path, blob in tree.files.items()
        if path.endswith(INDEX_SUFFIX)
    }
    return tuple(sorted(prefix for prefix in found if found[prefix] or prefix in with_shards))


def verify_checksums(tree: Tree) -> None:
    """Read all tensors of all checkpoints in the tree; raises BundleError (TFC-03)."""
    for prefix in prefixes(tree):
        verify(tree.files, read_bundle(tree.files, prefix))


def read(tree: Tree) -> Artifact:
    """The source as an artifact; raises BundleError (TFC-01 to TFC-08)."""
    found = {prefix: read_checkpoint(tree.files, prefix) for prefix in prefixes(tree)}
    folders = {prefix: _relative(tree, prefix) if len(found) > 1 else "" for prefix in found}
    derived = assemble(tree, {folders[prefix]: each.bundle for prefix, each in found.items()})
    tensors: list[ArtifactTensor] = []
    graphs = {}
    for prefix, each in found.items():
        places = locate(each.bundle) | dict(derived.places.get(folders[prefix], {}))
        tensors += name_tensors(places, each.variables, "tensorflow.checkpoint", folders[prefix])
        if each.graph:
            graphs[prefix] = graph_file(tree.root, each.graph, folders[prefix])
    files = (*source_files(tree), *graphs.values(), *derived.files)
    components = (*_components(tree, found, graphs), *derived.components)
    return Artifact(files, tuple(tensors), components, directories=tree.directories)


def _components(
    tree: Tree, found: Mapping[str, Checkpoint], graphs: Mapping[str, ArtifactFile]
) -> list[Component]:
    """The source; and where a directory has several checkpoints, each of them as well."""
    kind = "tensorflow.checkpoint"
    files = (*sorted(tree.files), *(graph.path for graph in graphs.values()))
    if len(found) == 1:
        ((prefix, checkpoint),) = found.items()
        properties = {"prefix": _relative(tree, prefix)} | checkpoint.properties
        return [Component(tree.root, kind, files, None, properties)]
    names = [_relative(tree, prefix) for prefix in found]
    components = [Component(tree.root, kind, files, None, {"prefixes": names})]
    for prefix, each in found.items():
        own = each.bundle.paths + ((graphs[prefix].path,) if prefix in graphs else ())
        components.append(Component(each.bundle.index, kind, own, tree.root, each.properties))
    return components


def _relative(tree: Tree, prefix: str) -> str:
    return prefix.removeprefix(tree.root).lstrip("/")


def source_files(tree: Tree) -> list[ArtifactFile]:
    """The files of the source, as they are."""
    media_type = "application/octet-stream"
    return [ArtifactFile(path, blob, media_type) for path, blob in sorted(tree.files.items())]


def graph_file(root: str, graph: Graph, folder: str = "") -> ArtifactFile:
    """The object graph as a derived file, under `folder` where an artifact has several."""
    path = "/".join(filter(None, (f"{root}.derived", folder, "object_graph.json")))
    return ArtifactFile(path, BytesBlob(to_json(graph)), "application/json", "derived")


def read_checkpoint(files: Mapping[str, Blob], prefix: str) -> Checkpoint:
    """The checkpoint at `prefix`; raises BundleError (TFC-01 to TFC-08)."""
    bundle = read_bundle(files, prefix)
    graph = _object_graph(files, bundle)
    if graph:
        return Checkpoint(bundle, graph, by_graph(graph))
    shapes = {key: entry.shape for key, entry in bundle.entries.items()}
    shapes |= {key: whole.shape for key, whole in bundle.sliced.items()}
    return Checkpoint(bundle, graph, by_name(shapes))


@checks("TFC-07")
def _object_graph(files: Mapping[str, Blob], bundle: Bundle) -> Graph:
    """The object graph, its bytes held to their crc32c; empty where the checkpoint has none."""
    if GRAPH_KEY not in bundle.entries:
        return ()
    entry = bundle.entries[GRAPH_KEY]
    path = bundle.shards[entry.shard]
    check_crc32c(files[path], entry, path)
    try:
        start, end = string_scalar(files[path], entry)
        graph = read_trackable(Message(files[path], start, end))
    except WireError as error:
        place = f"{path}@{error.offset}"
        raise refuse("TFC-07", place, "a TrackableObjectGraph", str(error)) from None
    return graph
