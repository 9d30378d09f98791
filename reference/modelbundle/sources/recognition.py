"""Which kind of source a tree of files is, by content.

artifact = read(tree)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Protocol, cast

from modelbundle.core.findings import checks, clip, refuse
from modelbundle.sources.artifact import Artifact, Tree


class SourceFormat(Protocol):
    """What each source module offers."""

    def recognise(self, tree: Tree) -> bool:
        """Whether the tree is of this format, by content; never raises on bad input."""
        ...

    def read(self, tree: Tree) -> Artifact:
        """The artifact; raises `BundleError` on bad input."""
        ...


FORMATS = (
    "keras.archive",
    "keras.hdf5",
    "keras.model",
    "tensorflow.saved_model",
    "tensorflow.checkpoint",
    "safetensors",
    "tflite",
    "golden",
    "stablehlo",
    "keras.config",
    "onnx.model",
)
"""Modules of the source formats in the order in which they are asked, vaguer content tests last.

A module is imported when its turn comes, so that packing one format does not load them all."""

_SEVERAL = ("keras.model", "tensorflow.")
"""Formats that are several files."""


def _in_turn(tree: Tree) -> list[str]:
    """`FORMATS`, those of several files first where there are several: no answer depends on it,
    but formats that cannot be meant are not imported."""
    several = tree.single is None
    return sorted(FORMATS, key=lambda name: several and not name.startswith(_SEVERAL))


@checks("SRC-01")
def recognise(tree: Tree) -> SourceFormat:
    """The format of `tree`; raises `BundleError` (SRC-01) where none knows it."""
    for name in _in_turn(tree):
        source_format = cast("SourceFormat", import_module(f"modelbundle.sources.{name}"))
        if source_format.recognise(tree):
            return source_format
    head = _head(tree) if tree.files else "no files"
    raise refuse(
        "SRC-01",
        tree.root,
        "a Keras, TensorFlow, safetensors, ONNX, TFLite or StableHLO artifact",
        head,
        _hint(tree),
    )


_MAIN_FILES = (".safetensors.index.json", ".safetensors", ".onnx", ".keras", ".h5", ".tflite")
"""Endings of files that are sources of their own, the likeliest to be meant first."""


def _hint(tree: Tree) -> str:
    """What to give instead of a directory that holds sources."""
    below = [path.removeprefix(f"{tree.root}/") for path in tree.files]
    for ending in _MAIN_FILES:
        if likely := sorted(path for path in below if path.endswith(ending) and path != tree.root):
            more = f", or others of {len(likely)} like it" if len(likely) > 1 else ""
            return f"a directory of files is no source: give {clip(likely[0])} in it{more}"
    return "see `modelbundle pack --help` for the formats that can be packed"


def _head(tree: Tree) -> str:
    path, blob = next(iter(tree.files.items()))
    return f"{path} begins {blob.read(0, min(16, blob.size)).hex() or 'with nothing'}"


def companions(tree: Tree) -> Iterable[str]:
    """Names of files beside a single-file source that belong to it."""
    named = getattr(recognise(tree), "companions", None)
    return named(tree) if named else ()


def read(tree: Tree) -> Artifact:
    """The artifact that `tree` holds; raises `BundleError` where it is malformed or unknown.

    Data is not read but by the `verify` of the artifact, where the format has checksums.
    """
    source_format = recognise(tree)
    artifact = source_format.read(tree)
    verify = getattr(source_format, "verify_checksums", None)
    return replace(artifact, verify=partial(verify, tree)) if verify else artifact
