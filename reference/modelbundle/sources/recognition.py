"""Which kind of source a tree of files is, by content.

artifact = read(tree)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from modelbundle.core.findings import checks, refuse
from modelbundle.sources import (
    checkpoint,
    keras_archive,
    keras_config,
    keras_hdf5,
    onnx,
    safetensors,
    saved_model,
    tflite,
)
from modelbundle.sources.artifact import Artifact, Tree


class SourceFormat(Protocol):
    """What each source module offers."""

    recognise: Callable[[Tree], bool]
    read: Callable[[Tree], Artifact]


FORMATS: tuple[SourceFormat, ...] = (
    keras_archive,
    keras_hdf5,
    saved_model,
    checkpoint,
    safetensors,
    tflite,
    keras_config,
    onnx,
)
"""Source formats in the order in which they are asked; the vaguer content tests come last."""


@checks("SRC-01")
def recognise(tree: Tree) -> SourceFormat:
    """The format of `tree`; raises `BundleError` (SRC-01) where none knows it."""
    for source_format in FORMATS:
        if source_format.recognise(tree):
            return source_format
    head = _head(tree) if tree.files else "no files"
    raise refuse(
        "SRC-01",
        tree.root,
        "a Keras, TensorFlow, safetensors, ONNX or TFLite artifact",
        head,
        "see `modelbundle pack --help` for the formats that can be packed",
    )


def _head(tree: Tree) -> str:
    path, blob = next(iter(tree.files.items()))
    return f"{path} begins {blob.read(0, min(16, blob.size)).hex() or 'with nothing'}"


def companions(tree: Tree) -> Iterable[str]:
    """Names of files beside a single-file source that belong to it."""
    named = getattr(recognise(tree), "companions", None)
    return named(tree) if named else ()


def read(tree: Tree) -> Artifact:
    """The artifact that `tree` holds, its own checksums verified where the format has them.

    Raises `BundleError` where it is malformed, damaged or of no known kind.
    """
    source_format = recognise(tree)
    artifact = source_format.read(tree)
    if source_format in (checkpoint, saved_model):
        checkpoint.verify_checksums(tree)
    return artifact
