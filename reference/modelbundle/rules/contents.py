"""Rules about what the files hold: source formats read again and held against the index (COM-06).

The code that reads a source when packing reads it here from the bundle, so every rule of a source
format holds for a bundle too, whoever wrote it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from modelbundle.bundle import Bundle
from modelbundle.core import dtypes, strings
from modelbundle.core.blobs import SliceBlob, walk
from modelbundle.core.findings import BundleError, Finding, checks, clip
from modelbundle.core.manifest import Component
from modelbundle.core.tensor_index import Row
from modelbundle.sources import recognition
from modelbundle.sources.artifact import Artifact, ArtifactTensor, Tree

SOURCE_KINDS = frozenset(
    {
        "hdf5", "keras.archive", "keras.config", "onnx", "safetensors", "tensorflow.checkpoint",
        "tensorflow.saved_model", "tflite",
    }
)  # fmt: skip
"""Kinds whose component, where it derives from no other, is a source artifact."""


def check(bundle: Bundle) -> Iterator[Finding]:
    """Findings about elements of tensors and about every source that the bundle holds."""
    yield from _check_elements(bundle)
    for component in bundle.manifest.components:
        if component.kind in SOURCE_KINDS and component.derived_from is None:
            yield from _check_source(bundle, component)


def _check_elements(bundle: Bundle) -> Iterator[Finding]:
    index = bundle.index
    watched = [code for code, name in enumerate(index.dtypes) if name in (dtypes.STRING, "bool")]
    for number in np.flatnonzero(np.isin(index.dtype, watched)).tolist():
        row = index.row(number)
        check_row = _check_string if row.dtype == dtypes.STRING else _check_bool
        yield from check_row(bundle, row)


def _check_string(bundle: Bundle, row: Row) -> Iterator[Finding]:
    data = bundle.storage.blob(row.file).read(row.offset, row.length)
    try:
        strings.decode(data, row.shape, row.name)
    except BundleError as error:
        yield from error.findings


@checks("TEN-14")
def _check_bool(bundle: Bundle, row: Row) -> Iterator[Finding]:
    blob = SliceBlob(bundle.storage.blob(row.file), row.offset, row.length)
    largest = max((max(chunk) for chunk in walk(blob)), default=0)
    if largest > 1:
        yield Finding("TEN-14", f"{row.file}@{row.offset}", "elements 0 and 1", f"{largest} in {clip(row.name)}")


def _check_source(bundle: Bundle, component: Component) -> Iterator[Finding]:
    entries = bundle.manifest.by_path
    given = [path for path in component.files if entries[path].role == "source"]
    tree = Tree(
        component.id,
        {path: bundle.file(path) for path in given},
        tuple(d for d in bundle.manifest.directories if d.startswith(f"{component.id}/")),
    )
    try:
        artifact = recognition.read(tree)
    except BundleError as error:
        yield from error.findings
        return
    yield from _check_tensors(bundle, component, artifact)


@checks("COM-06")
def _check_tensors(bundle: Bundle, component: Component, artifact: Artifact) -> Iterator[Finding]:
    rows = {
        (space.system, name): row
        for space in bundle.index.namespaces
        if space.component == component.id
        for name, row in zip(space.names, space.tensors.tolist(), strict=True)
    }
    place = clip(component.id)
    known = {pair for tensor in artifact.tensors for pair in tensor.names.items()}
    for system, name in sorted(rows.keys() - known):
        yield Finding("COM-06", place, "a tensor that the source holds", clip(f"{name} ({system})"))
    for tensor in artifact.tensors:
        numbers = {rows.get(pair) for pair in tensor.names.items()}
        number = numbers.pop()
        if number is None or numbers:
            yield Finding("COM-06", place, f"a row for {clip(tensor.name)}", "none, or several")
        elif not _is_same(bundle, tensor, bundle.index.row(number)):
            row = bundle.index.row(number)
            found = f"{row.dtype} {list(row.shape)} at {row.file}@{row.offset}"
            expected = f"{tensor.name}: {tensor.dtype} {list(tensor.shape)} at {tensor.path}@{tensor.offset}"
            yield Finding("COM-06", place, clip(expected), clip(found), "the index does not describe the source")


def _is_same(bundle: Bundle, tensor: ArtifactTensor, row: Row) -> bool:
    if (tensor.dtype, tensor.shape, tensor.length) != (row.dtype, row.shape, row.length):
        return False
    if not tensor.length or (tensor.path, tensor.offset) == (row.file, row.offset):
        return True
    if tensor.path not in bundle.manifest.by_path:
        return False
    stated = SliceBlob(bundle.file(tensor.path), tensor.offset, tensor.length)
    indexed = SliceBlob(bundle.storage.blob(row.file), row.offset, row.length)
    return all(one == two for one, two in zip(walk(stated), walk(indexed), strict=True))
