"""Rules about what the files hold: source formats read again and held against the index (COM-06).

The code that reads a source when packing reads it here from the bundle, so every rule of a source
format holds for a bundle too, whoever wrote it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache

import numpy as np

from modelbundle.bundle import Bundle, check_bool
from modelbundle.core import dtypes, paths, strings
from modelbundle.core.blobs import Blob, ComposedBlob, SliceBlob, walk
from modelbundle.core.digests import of_raw, raw_of_blob
from modelbundle.core.findings import BundleError, Finding, checks, clip
from modelbundle.core.manifest import Component, Requirements
from modelbundle.core.tensor_index import Row
from modelbundle.rules import golden, stablehlo
from modelbundle.sources import golden as golden_vectors
from modelbundle.sources import recognition
from modelbundle.sources import stablehlo as portable_graphs
from modelbundle.sources.artifact import Artifact, ArtifactFile, ArtifactTensor, Tree
from modelbundle.sources.keras import captured
from modelbundle.sources.keras import model as captured_models
from modelbundle.storage.layouts import ArchiveStorage

SOURCE_KINDS = frozenset(
    {
        "golden", "hdf5", "keras.archive", "keras.config", "keras.model", "onnx", "safetensors",
        "stablehlo", "tensorflow.checkpoint", "tensorflow.saved_model", "tflite",
    }
)  # fmt: skip
"""Kinds whose component, where it derives from no other, is a source artifact."""


def check(bundle: Bundle) -> Iterator[Finding]:
    """Findings about elements of tensors and about every source that the bundle holds."""
    yield from _check_elements(bundle)
    found: list[Requirements] = []
    roots = [each for each in bundle.manifest.components if each.derived_from is None]
    for component in roots:
        if component.kind in SOURCE_KINDS:
            yield from _check_source(bundle, component, found)
    yield from _check_requirements(bundle.manifest.requirements, found, len(roots))


def _check_elements(bundle: Bundle) -> Iterator[Finding]:
    index = bundle.index
    watched = [code for code, name in enumerate(index.dtypes) if name in (dtypes.STRING, "bool")]
    for number in np.flatnonzero(np.isin(index.dtype, watched)).tolist():
        row = index.row(number)
        check_row = _check_string if row.dtype == dtypes.STRING else _check_bool
        yield from check_row(bundle, row)


def _check_string(bundle: Bundle, row: Row) -> Iterator[Finding]:
    blob = SliceBlob(bundle.storage.blob(row.file), row.offset, row.length)
    try:
        strings.check(blob, row.shape, f"{row.file}@{row.offset}")
    except BundleError as error:
        yield from error.findings


def _check_bool(bundle: Bundle, row: Row) -> Iterator[Finding]:
    blob = SliceBlob(bundle.storage.blob(row.file), row.offset, row.length)
    largest = max((int(np.frombuffer(chunk, np.uint8).max()) for chunk in walk(blob)), default=0)
    yield from check_bool(row, largest)


def _check_source(
    bundle: Bundle, component: Component, requirements: list[Requirements]
) -> Iterator[Finding]:
    """Findings about one source; what it requires is added to `requirements`."""
    entries = bundle.manifest.by_path
    given = [path for path in component.files if entries[path].role == "source"]
    tree = Tree(
        component.id,
        {path: bundle.file(path) for path in given},
        tuple(d for d in bundle.manifest.directories if d.startswith(f"{component.id}/")),
    )
    try:
        artifact = recognition.read(tree)
        yield from _verify(bundle, artifact)
    except BundleError as error:
        yield from error.findings
        return
    requirements.append(artifact.requirements)
    found = artifact.components[0].kind
    if found != component.kind:
        yield Finding("COM-06", clip(component.id), f"files of a {component.kind}", found)
    elif component.kind == golden_vectors.KIND:
        yield from golden.check(bundle, component)
    elif component.kind == portable_graphs.KIND:
        yield from stablehlo.check(bundle, component, artifact)
    elif component.kind == captured_models.KIND:
        names = bundle.tensors.named(component.id, "keras")
        lacking = {name for _, name in artifact.bound} - names.keys()
        yield from captured.unbound(sorted(lacking), clip(component.id))
    yield from _check_tensors(bundle, component, artifact)
    yield from _check_derived(bundle, artifact)


def _verify(bundle: Bundle, artifact: Artifact) -> Iterator[Finding]:
    """Hold a source to its own checksums, by those of the archive where it has them all."""
    stated = artifact.stated
    storage = bundle.storage
    known = {entry.path for entry in bundle.manifest.stored}
    if isinstance(storage, ArchiveStorage) and stated and stated.keys() <= known:
        yield from artifact.disproved({path: storage.crc32(path) for path in stated})
    elif artifact.verify:
        artifact.verify()


def _check_derived(bundle: Bundle, artifact: Artifact) -> Iterator[Finding]:
    """Findings (COM-06) where a part or a derived file is not what the source gives."""
    for file in artifact.files:
        entry = bundle.manifest.by_path.get(file.path)
        if entry is None or file.role == "source" or _is_whole_segment(bundle, artifact, file):
            continue
        if entry.digest != of_raw(raw_of_blob(file.blob)):
            hint = "the file does not follow from the source"
            found = f"other bytes ({entry.digest})"
            yield Finding("COM-06", file.path, "what the source gives", found, hint)


def _is_whole_segment(bundle: Bundle, artifact: Artifact, file: ArtifactFile) -> bool:
    """Whether a source is composed of the file, so that nothing needs to be read."""
    segment = (file.path, 0, file.blob.size)
    composed = {entry.path for entry in bundle.manifest.composed}
    return any(
        segment in bundle.compositions.segments_of(source.path)
        for source in artifact.files
        if source.path in composed and file.path in {part.path for part in source.parts}
    )


@checks("REQ-03")
def _check_requirements(
    stated: Requirements, found: list[Requirements], sources: int
) -> Iterator[Finding]:
    """Findings where sources need what is not stated or, all being known, the reverse."""
    for field, name in _REQUIRED.items():
        listed: frozenset[object] = getattr(stated, field)
        needed: frozenset[object] = frozenset().union(*(getattr(each, field) for each in found))
        extra = listed - needed if len(found) == sources else frozenset()
        place = f"{paths.MANIFEST}#/requirements/{name}"
        if missing := needed - listed:
            yield Finding("REQ-03", place, clip(sorted(map(str, missing))), "none")
        if extra:
            expected = "only what the sources use"
            yield Finding("REQ-03", place, expected, clip(sorted(map(str, extra))))


_REQUIRED = {"layers": "layers", "custom_objects": "customObjects", "ops": "ops"}


@checks("COM-06")
def _check_tensors(bundle: Bundle, component: Component, artifact: Artifact) -> Iterator[Finding]:
    file = cache(bundle.file)
    rows = {
        space.system: dict(zip(space.names, space.tensors.tolist(), strict=True))
        for space in bundle.index.namespaces
        if space.component == component.id
    }
    held = {system: bytearray(len(bundle.index)) for system in rows}
    place = clip(component.id)
    for tensor in artifact.tensors:
        numbers = {_held(rows, held, pair) for pair in tensor.names.items()}
        number = numbers.pop() if numbers else None
        if number is None or numbers:
            yield Finding("COM-06", place, f"a row for {clip(tensor.name)}", "none, or several")
        elif not _is_same(file, bundle, tensor, bundle.index.row(number)):
            row = bundle.index.row(number)
            found = f"{row.dtype} {list(row.shape)} at {row.file}@{row.offset}"
            what = f"{tensor.name}: {tensor.dtype} {list(tensor.shape)}"
            expected = clip(f"{what} at {tensor.path}@{tensor.offset}")
            hint = "the index does not describe the source"
            yield Finding("COM-06", place, expected, clip(found), hint)
    for system, numbered in rows.items():
        for name, number in numbered.items():
            if not held[system][number] and (system, name) not in artifact.bound:
                found = clip(f"{name} ({system})")
                yield Finding("COM-06", place, "a tensor that the source holds", found)


def _held(
    rows: Mapping[str, Mapping[str, int]], held: Mapping[str, bytearray], pair: tuple[str, str]
) -> int | None:
    """The row with this naming system and name, noted as one that the source has."""
    system, name = pair
    number = rows.get(system, {}).get(name)
    if number is not None:
        held[system][number] = 1
    return number


def _is_same(file: Callable[[str], Blob], bundle: Bundle, tensor: ArtifactTensor, row: Row) -> bool:
    if (tensor.dtype, tensor.shape, tensor.length) != (row.dtype, row.shape, row.length):
        return False
    if not tensor.length or (tensor.path, tensor.offset) == (row.file, row.offset):
        return True
    if tensor.path not in bundle.manifest.by_path:
        return False
    stated = _slice(file(tensor.path), tensor.offset, tensor.length)
    indexed = _slice(file(row.file), row.offset, row.length)
    if stated == indexed:  # composed of the very bytes that the index names: nothing to read
        return True
    return all(one == two for one, two in zip(walk(stated), walk(indexed), strict=True))


def _slice(blob: Blob, offset: int, length: int) -> SliceBlob:
    """A range of a file, of the stored file that it lies in where it lies in one."""
    direct = blob.one_slice(offset, length) if isinstance(blob, ComposedBlob) else None
    return direct or SliceBlob(blob, offset, length)
