"""SavedModel directories: Keras 2, Keras 3 exports, plain TensorFlow 2 and TensorFlow 1.

`saved_model.pb` tells tags, signatures, ops, assets and objects (`meta_graph`); the weights are
the checkpoint under `variables/`; Keras 2 adds its configs (`keras_metadata`), which become files
of their own. `checkpoint.verify_checksums` holds the data of a SavedModel to its checksums too.

    artifact = read(tree)
    artifact.requirements.ops
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from modelbundle.core.blobs import BytesBlob
from modelbundle.core.findings import checks, refuse
from modelbundle.sources.artifact import (
    Artifact,
    ArtifactFile,
    ArtifactTensor,
    Component,
    Requirements,
    Tree,
)
from modelbundle.sources.keras import metadata as keras_metadata
from modelbundle.sources.keras.config import config_component
from modelbundle.sources.protobuf_wire import Message, WireError
from modelbundle.sources.tensorflow.checkpoint import (
    Checkpoint,
    graph_file,
    read_checkpoint,
    source_files,
    verify_checksums,
)
from modelbundle.sources.tensorflow.checkpoint_tensors import locate, name_tensors
from modelbundle.sources.tensorflow.checkpoint_variables import by_graph
from modelbundle.sources.tensorflow.meta_graph import MetaGraph, meta_graphs, signatures
from modelbundle.sources.tensorflow.object_graph import Graph, aligned, with_values
from modelbundle.sources.tensorflow.sliced_tensors import Assembled, assemble
from modelbundle.sources.tensorflow.tensor_bundle import INDEX_SUFFIX

__all__ = ["read", "recognise", "verify_checksums"]

KIND = "tensorflow.saved_model"
FILE = "saved_model.pb"
TEXT_FILE = "saved_model.pbtxt"
VARIABLES = "variables/variables"
"""The prefix of the checkpoint within the directory."""
ASSETS = "assets"


@dataclass(frozen=True, slots=True)
class _Keras:
    """What Keras 2 metadata adds to the artifact."""

    files: tuple[ArtifactFile, ...] = ()
    components: tuple[Component, ...] = ()
    requirements: Requirements = field(default_factory=Requirements)
    version: str = ""


def recognise(tree: Tree) -> bool:
    """Whether the source is a directory with a SavedModel's protobuf in it."""
    return not {f"{tree.root}/{FILE}", f"{tree.root}/{TEXT_FILE}"}.isdisjoint(tree.files)


def read(tree: Tree) -> Artifact:
    """The source as an artifact; raises BundleError (SVM-01 to -04, and those of checkpoints)."""
    graphs = _graphs(tree)
    _check_assets(tree, graphs)
    checkpoint = _checkpoint(tree, graphs)
    objects = _objects(graphs, checkpoint)
    kept = (graph_file(tree.root, objects),) if objects else ()
    keras = _keras(tree, graphs)
    derived = assemble(tree, {"": checkpoint.bundle} if checkpoint else {})
    named, omitted = signatures(tree.root, graphs)
    files = (*source_files(tree), *kept)
    properties = _properties(graphs, checkpoint, keras.version, omitted)
    component = Component(tree.root, KIND, tuple(file.path for file in files), None, properties)
    ops = frozenset[str]().union(*(graph.ops for graph in graphs))
    return Artifact(
        files=(*files, *keras.files, *derived.files),
        tensors=tuple(_tensors(checkpoint, objects, graphs, derived)) if checkpoint else (),
        components=(component, *keras.components, *derived.components),
        signatures=named,
        requirements=replace(keras.requirements, ops=keras.requirements.ops | ops),
        directories=tree.directories,
    )


def _properties(
    graphs: tuple[MetaGraph, ...],
    checkpoint: Checkpoint | None,
    keras_version: str,
    omitted: tuple[str, ...],
) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "tags": [list(graph.tags) for graph in graphs],
        "shards": len(checkpoint.bundle.shards) if checkpoint else 0,
        "assets": sorted({name for graph in graphs for name in graph.assets}),
        "tensorflow_version": graphs[0].version,
        "keras_version": keras_version,
        "omitted_signatures": list(omitted),
    }
    always = ("tags", "shards", "assets")
    return {name: value for name, value in properties.items() if value or name in always}


def _objects(graphs: tuple[MetaGraph, ...], checkpoint: Checkpoint | None) -> Graph:
    """The object graph of the first graph that has one, with the keys of its variables."""
    saved = next((graph.objects for graph in graphs if graph.objects), ())
    if checkpoint is None or not checkpoint.graph:
        return saved
    if not saved:
        return checkpoint.graph
    pairs = aligned(checkpoint.graph, saved)
    return with_values(saved, {pairs[i]: checkpoint.graph[i].values for i in pairs})


def _tensors(
    checkpoint: Checkpoint, objects: Graph, graphs: tuple[MetaGraph, ...], derived: Assembled
) -> list[ArtifactTensor]:
    collected = frozenset[str]().union(*(graph.trainable for graph in graphs))
    variables = dict(checkpoint.variables)
    for key, found in by_graph(objects).items():
        if variables.get(key, found).role == "other":
            variables[key] = found
    for key in collected & variables.keys():
        variables[key] = replace(variables[key], role="trainable")
    return name_tensors(
        locate(checkpoint.bundle) | dict(derived.places.get("", {})), variables, KIND
    )


def _keras(tree: Tree, graphs: tuple[MetaGraph, ...]) -> _Keras:
    """The configs of Keras 2, wherever it put them."""
    path = f"{tree.root}/{keras_metadata.FILE}"
    objects = next((graph.objects for graph in graphs if graph.objects), ())
    place = path if path in tree.files else f"{tree.root}/{FILE}"
    members = keras_metadata.model_members(tree.files.get(path), objects, place)
    if not members:
        return _Keras()
    config = members[keras_metadata.MODEL_CONFIG].encode()
    files, component, requirements = config_component(tree.root, config, derived_from=tree.root)
    training = _training(tree.root, members.get(keras_metadata.TRAINING_CONFIG, "null"))
    return _Keras(
        (*files, *training.files),
        (component, *training.components),
        requirements,
        keras_metadata.version(members),
    )


def _training(root: str, text: str) -> _Keras:
    if text == "null":
        return _Keras()
    path = f"{root}.derived/training.json"
    file = ArtifactFile(path, BytesBlob(text.encode()), "application/json", "derived")
    return _Keras((file,), (Component(path, "training", (path,), derived_from=root),))


@checks("SVM-01")
def _graphs(tree: Tree) -> tuple[MetaGraph, ...]:
    """The graphs of the SavedModel's protobuf."""
    path = f"{tree.root}/{FILE}"
    if path not in tree.files:
        hint = "Load it with TensorFlow and save it again, which writes the binary form."
        raise refuse("SVM-01", f"{tree.root}/{TEXT_FILE}", FILE, "the text form only", hint)
    try:
        return meta_graphs(Message.of(tree.files[path]))
    except WireError as error:
        place = f"{path}@{error.offset}"
        raise refuse("SVM-01", place, "a SavedModel message", str(error)) from None


@checks("SVM-02")
def _check_assets(tree: Tree, graphs: tuple[MetaGraph, ...]) -> None:
    """Every asset that a graph names is a file under `assets/`."""
    for name in sorted({name for graph in graphs for name in graph.assets}):
        inside = not {"", ".", ".."} & set(name.split("/")) and "\\" not in name
        if not inside or f"{tree.root}/{ASSETS}/{name}" not in tree.files:
            found = "no such file" if inside else name or "an empty name"
            place = f"{tree.root}/{FILE}#{name}"
            raise refuse("SVM-02", place, f"a file below {ASSETS}/", found)


@checks("SVM-03")
def _checkpoint(tree: Tree, graphs: tuple[MetaGraph, ...]) -> Checkpoint | None:
    """The weights; None where there are none and no object graph lists a variable."""
    prefix = f"{tree.root}/{VARIABLES}"
    if prefix + INDEX_SUFFIX in tree.files:
        return read_checkpoint(tree.files, prefix)
    listed = sum(node.kind == "variable" for graph in graphs for node in graph.objects)
    if listed:
        hint = "Give the whole directory, `variables/` included."
        place = prefix + INDEX_SUFFIX
        raise refuse("SVM-03", place, f"the values of {listed} variables", "no such file", hint)
    return None
