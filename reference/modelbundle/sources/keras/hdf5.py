"""Keras weights and models in HDF5: legacy `.h5`, `.weights.h5`, sharded weights; and plain HDF5.

A legacy whole model keeps its config and training config in attributes of the root; they become
derived files, byte for byte. Sharded weights are a `.weights.json` that names `.weights.h5` files.

    artifact = read(Tree("net.h5", {"net.h5": blob}))
    artifact.components[0].properties["layout"]      # "keras-model"
"""

from __future__ import annotations

from typing import Any

from modelbundle.core.blobs import Blob, BytesBlob
from modelbundle.core.findings import BundleError, checks, refuse
from modelbundle.sources.artifact import Artifact, ArtifactFile, Component, Tree
from modelbundle.sources.hdf5.contents import MEDIA_TYPE, Contents, read_contents, tensors_of
from modelbundle.sources.hdf5.superblock import find_signature
from modelbundle.sources.keras import config_json as keras_json
from modelbundle.sources.keras import shards as keras_shards
from modelbundle.sources.keras.config import config_component
from modelbundle.sources.keras.weights import (
    LEGACY_MODEL,
    MODEL_WEIGHTS,
    joined_strings,
    labels_of,
    layout_of,
)

JSON = "application/json"


def recognise(tree: Tree) -> bool:
    """Whether the source is one HDF5 file, or an index of sharded weights, by content."""
    blob = tree.single
    is_hdf5 = blob is not None and find_signature(blob) is not None
    return is_hdf5 or keras_shards.recognise(tree)


def companions(tree: Tree) -> tuple[str, ...]:
    """Names of the shards that an index of sharded weights names."""
    return keras_shards.companions(tree) if keras_shards.recognise(tree) else ()


def read(tree: Tree) -> Artifact:
    """The source as an artifact; raises BundleError (HDF, KHF-01 to KHF-03, KCF)."""
    if keras_shards.recognise(tree):
        return keras_shards.read(tree)
    return read_file(tree.files[tree.root], tree.root)


def read_file(
    blob: Blob, root: str, derived_from: str | None = None, config: bytes | None = None
) -> Artifact:
    """The artifact of the one HDF5 file at bundle path `root`.

    `config` is that of the model whose weights these are, where it is stored elsewhere.
    """
    contents = read_contents(blob, root)
    layout = layout_of([contents])
    model = Artifact((), (), ())
    if layout == LEGACY_MODEL:
        config = _json_attribute(contents, "model_config") or b""
        model = _read_model(contents, config)
    tensors = tensors_of(contents, labels_of([contents], layout, config))
    component = Component(root, "hdf5", (root,), derived_from, _properties(contents, layout))
    return Artifact(
        (ArtifactFile(root, blob, MEDIA_TYPE), *tensors.files, *model.files),
        tensors.rows,
        (component, *tensors.components, *model.components),
        requirements=model.requirements,
    )


def _properties(contents: Contents, layout: str) -> dict[str, Any]:
    """The layout and, where the file says so, who wrote it."""
    found = {"layout": layout}
    for name in ("keras_version", "backend"):
        for group in (MODEL_WEIGHTS, ""):
            if (text := contents.text(group, name)) is not None:
                found[name] = text
    return found


def _read_model(contents: Contents, config: bytes) -> Artifact:
    """Config and training config of a legacy model, each a derived file and a component."""
    root = contents.path
    training = _json_attribute(contents, "training_config")
    files, component, requirements = config_component(root, config, derived_from=root)
    components = [component]
    if training is not None:
        path = f"{root}.derived/training.json"
        files = (*files, ArtifactFile(path, BytesBlob(training), JSON, "derived"))
        components.append(Component(path, "training", (path,), derived_from=root))
    return Artifact(files, (), tuple(components), requirements=requirements)


@checks("KHF-02")
def _json_attribute(contents: Contents, name: str) -> bytes | None:
    """The bytes of an attribute that holds JSON text; None where it is not there."""
    data = joined_strings(contents, "", name)
    try:
        if data is not None:
            keras_json.parse(data, name)
    except BundleError as error:
        raise refuse(
            "KHF-02",
            f"{contents.path}#/{name}",
            "an attribute that holds JSON text",
            error.findings[0].found,
            "save the model again",
        ) from None
    return data
