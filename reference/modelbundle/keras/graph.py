"""The traced graph of a live model: a SavedModel, which runs where the model's classes are lost.

Keras writes it (`model.export`), with every weight twice; in a bundle beside the captured model
its weights are composed, so that they are not stored again.

    artifact = traced(model, "model", folder)
    artifact.components[0].id        # "model.graph"
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelbundle.sources import recognition
from modelbundle.sources.artifact import Artifact
from modelbundle.storage.tree import read_tree

SUFFIX = ".graph"


def traced(model: Any, root: str, folder: Path) -> Artifact:
    """Write the SavedModel of `model` below `folder`, which has to stay until it was packed.

    Raises `ValueError` for a layer, and for a model that Keras cannot trace: of another backend
    than TensorFlow, or never called.
    """
    import keras

    if not isinstance(model, keras.Model):
        raise ValueError(f"graph=True is for models, which {model.name} is not")
    if (backend := keras.backend.backend()) != "tensorflow":
        raise ValueError(f"graph=True needs the tensorflow backend of Keras, not {backend}")
    path = folder / f"{root}{SUFFIX}"
    try:
        model.export(path, format="tf_saved_model", verbose=False)
    except Exception as error:  # whatever a call of somebody else does when it is traced
        raise ValueError(f"graph=True: Keras cannot trace {model.name}: {error}") from error
    return recognition.read(read_tree(path))
