"""Keras weights and models in HDF5: legacy `.h5`, `.weights.h5`, sharded weights; and plain HDF5.

A legacy whole model keeps its config and training config in attributes of the root; they become
derived files, byte for byte. Sharded weights are a `.weights.json` that names `.weights.h5` files.

    artifact = read(Tree("net.h5", {"net.h5": blob}))
    artifact.components[0].properties["layout"]      # "keras-model"
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from modelbundle.core.blobs import Blob, BytesBlob
from modelbundle.core.findings import BundleError, checks, clip, refuse
from modelbundle.sources import keras_json, keras_shards
from modelbundle.sources.artifact import Artifact, ArtifactFile, ArtifactTensor, Component, Requirements, Tree
from modelbundle.sources.hdf5.superblock import find_signature
from modelbundle.sources.hdf5_contents import MEDIA_TYPE, Contents, Label, Tensors, read_contents, tensors_of
from modelbundle.sources.keras_config import config_component
from modelbundle.sources.keras_weights import KerasConfig, is_structural, legacy_labels, split_strings, structural_labels

_WEIGHTS = "model_weights"


def recognise(tree: Tree) -> bool:
    """Whether the source is one HDF5 file, or an index of sharded weights, by content."""
    if keras_shards.recognise(tree):
        return True
    blob = tree.single
    return blob is not None and find_signature(blob) is not None


def companions(tree: Tree) -> tuple[str, ...]:
    """Names of the shards that an index of sharded weights names."""
    return keras_shards.companions(tree) if keras_shards.recognise(tree) else ()


def read(tree: Tree) -> Artifact:
    """The source as an artifact; raises BundleError (HDF, KHF-01 to KHF-03, KCF)."""
    if keras_shards.recognise(tree):
        return keras_shards.read(tree)
    blob = tree.files[tree.root]
    return read_file(tree.root, blob)


def read_file(root: str, blob: Blob) -> Artifact:
    """The artifact of the one HDF5 file `root`."""
    contents = read_contents(blob, root)
    config, training = _config_of(contents, "model_config"), _config_of(contents, "training_config")
    layout = layout_of(contents, has_config=config is not None)
    labels = labels_of(contents, layout, KerasConfig(config) if config is not None else None)
    tensors = tensors_of(contents, labels)
    files = [ArtifactFile(root, blob, MEDIA_TYPE), *tensors.files]
    components = [Component(root, "hdf5", (root,), None, properties_of(contents, layout)), *tensors.components]
    requirements = Requirements()
    if config is not None:
        more, component, requirements = config_component(root, config, derived_from=root)
        files.extend(more)
        components.append(component)
    if training is not None:
        file, component = _training(root, training)
        files.append(file)
        components.append(component)
    return Artifact(tuple(files), tensors.rows, tuple(components), requirements=requirements)
