"""Packing: foreign artifacts into one bundle, in a directory or an archive.

The plan comes first: what is stored, what is composed, how long each file is. The manifest's
length does not depend on its digests, so every offset is known before a byte is written; file
data is then read once, hashed and written, and the index and manifest are written last. Nothing
stands under the final name until it is complete.

    digest = pack("old_model.h5", "old.modelbundle")
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import Future
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from modelbundle.core import compositions, digests, paths, tensor_index
from modelbundle.core import manifest as manifests
from modelbundle.core.blobs import Blob, BytesBlob
from modelbundle.core.findings import Finding, checks, refuse, settle
from modelbundle.core.manifest import FileEntry, Manifest, Requirements
from modelbundle.core.ranges import RangeDigests
from modelbundle.core.tensor_index import TensorIndex
from modelbundle.packing import given, merge
from modelbundle.packing.compose import Plan, compose
from modelbundle.sources import stablehlo
from modelbundle.sources.artifact import Artifact, ArtifactFile
from modelbundle.sources.keras import captured, model
from modelbundle.storage.files import FileBlob
from modelbundle.storage.scan import Progress, Range, Scan, Scanner, scanner
from modelbundle.storage.writing import Writer, open_writer

INDEX_TYPE = "application/vnd.modelbundle.tensor-index.v1+msgpack"
COMPOSITIONS_TYPE = "application/vnd.modelbundle.compositions.v1+msgpack"
RESIDUE_TYPE = "application/octet-stream"


def pack(
    sources: Any,
    destination: str | Path,
    *,
    include: Iterable[str] | None = None,
    graph: bool = False,
    directory: bool = False,
    name: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> str:
    """Pack `sources` into one bundle at `destination` and return its digest.

    A source is the path of a `.keras`, HDF5, safetensors, ONNX, TFLite or Keras config file, of a
    SavedModel or checkpoint directory, or a checkpoint prefix; or a live Keras model or layer.
    Several live ones come as a mapping whose keys name them. `include` says what of them is
    packed, of "architecture", "weights" and "training": all of it, unless said. With `graph`, its
    traced graph (a SavedModel) stands beside it, so that it runs without its classes, which then
    need no `get_config`. No framework is imported.
    `progress` is called with bytes done. Raises `BundleError` where a source is refused and
    `FileExistsError` where `destination` exists and `overwrite` is not set.
    """
    with given.graph_folder(graph) as graphs:
        return pack_artifacts(
            list(given.artifacts(sources, include, graphs)),
            Path(destination),
            directory=directory,
            name=name,
            metadata=metadata,
            overwrite=overwrite,
            progress=progress,
        )


def pack_artifacts(
    artifacts: Sequence[Artifact],
    destination: Path,
    *,
    directory: bool = False,
    name: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> str:
    """Pack artifacts that were read before; as `pack`."""
    if not artifacts:
        raise ValueError("nothing to pack: give at least one source")
    ordered = sorted(artifacts, key=lambda artifact: artifact.components[0].id)
    settle(_unbound(ordered))
    draft = _draft(ordered, name, metadata)
    with scanner(progress) as scans, open_writer(destination, directory, overwrite) as writer:
        pending = [scans.beside(verify) for verify in _verifications(ordered, draft, writer)]
        digest = _write(draft, writer, scans, pending)
        _check_unchanged(draft.originals.values())
    return digest


def _verifications(
    artifacts: Iterable[Artifact], draft: _Draft, writer: Writer
) -> Iterator[Callable[[], None]]:
    """What holds sources to their own checksums where writing their files does not."""
    for artifact in artifacts:
        stated = artifact.stated
        scanned = writer.needs_crc32 and stated and stated.keys() <= draft.plan.stored.keys()
        if artifact.verify and not scanned:
            yield artifact.verify


def _check_unchanged(blobs: Iterable[Blob]) -> None:
    """Refuse (SRC-02) files that changed since they were opened: they were read in several passes.

    Their descriptors are given back.
    """
    for blob in blobs:
        if isinstance(blob, FileBlob):
            blob.check_unchanged()
            blob.close()


@dataclass(frozen=True)
class _Draft:
    """A bundle without its digests."""

    manifest: Manifest
    index: TensorIndex
    plan: Plan
    artifacts: Sequence[Artifact]
    originals: Mapping[str, Blob]


def _draft(
    artifacts: Sequence[Artifact], name: str | None, metadata: Mapping[str, Any] | None
) -> _Draft:
    files = [file for artifact in artifacts for file in artifact.files]
    check_paths(files)
    ranges = _ranges(artifacts)
    plan = compose(files, ranges)
    index = merge.build(merge.merge(artifacts, plan))
    data = tensor_index.encode(index)
    tensor_index.decode(data)  # what an index cannot hold is refused before anything is written
    manifest = Manifest(
        files=tuple(_entries(files, plan, data)),
        tensor_count=len(index),
        tensor_bytes=index.distinct_bytes(),
        components=tuple(component for artifact in artifacts for component in artifact.components),
        signatures=tuple(s for artifact in artifacts for s in artifact.signatures),
        requirements=_requirements(artifacts, index.dtypes),
        directories=tuple(d for artifact in artifacts for d in artifact.directories),
        name=name,
        metadata=metadata or {},
    )
    originals = {file.path: file.blob for file in files}
    return _Draft(manifest, index, plan, artifacts, originals)


def _unbound(artifacts: Iterable[Artifact]) -> Iterator[Finding]:
    """Findings for tensors that an artifact only names: names alone bind to nothing."""
    for artifact in artifacts:
        yield from unbound(artifact, frozenset())


def unbound(artifact: Artifact, given: Set[tuple[str, str]]) -> Iterator[Finding]:
    """Findings (SHL-03, KMD-12) for names that an artifact has no tensors for and nobody gave."""
    source = artifact.components[0]
    names = sorted(name for _, name in artifact.bound - given)
    check = captured.unbound if source.kind == model.KIND else stablehlo.unbound
    yield from check(names, source.id)


@checks("SRC-05")
def check_paths(files: Sequence[ArtifactFile]) -> None:
    """Two sources cannot have one path, nor one that the bundle itself needs."""
    for path, count in Counter(file.path for file in files).items():
        if count > 1:
            raise refuse(
                "SRC-05",
                path,
                "each file once",
                f"{count} files of this name",
                "rename one of the sources, or pack each only once",
            )
        if path in paths.INDEX_FILES or path == paths.MANIFEST:
            raise refuse(
                "SRC-05",
                path,
                "a name that the bundle does not use itself",
                path,
                "rename the source",
            )
    own = sorted({paths.MANIFEST, *paths.INDEX_FILES})
    settle(paths.check_collisions([*own, *(file.path for file in files)], "sources"))


def _ranges(artifacts: Sequence[Artifact]) -> dict[str, list[Range]]:
    """Each file's tensor ranges, each once, ascending; raises `BundleError` where they overlap."""
    found: dict[str, set[Range]] = {}
    for artifact in artifacts:
        for tensor in artifact.tensors:
            if tensor.length:
                found.setdefault(tensor.path, set()).add((tensor.offset, tensor.length))
    ranges = {path: sorted(spans) for path, spans in found.items()}
    for path, spans in ranges.items():
        for (start, length), (following, _) in pairwise(spans):
            if start + length > following:
                raise refuse(
                    "TEN-09",
                    f"{path}@{following}",
                    "ranges that are the same or apart",
                    f"two that overlap, the first {start}+{length}",
                )
    return ranges


def _entries(files: Sequence[ArtifactFile], plan: Plan, index: bytes) -> Iterable[FileEntry]:
    for file in files:
        storage: manifests.Storage = "composed" if file.path in plan.composed else "stored"
        size = file.blob.size
        yield FileEntry(file.path, size, digests.PLACEHOLDER, file.media_type, file.role, storage)
    yield FileEntry(paths.TENSORS, len(index), digests.PLACEHOLDER, INDEX_TYPE, "index")
    if paths.RESIDUE in plan.stored:
        size = plan.stored[paths.RESIDUE].size
        yield FileEntry(paths.RESIDUE, size, digests.PLACEHOLDER, RESIDUE_TYPE, "index")
    if plan.composed:
        data = compositions.encode(compositions.from_segments(plan.composed))
        yield FileEntry(
            paths.COMPOSITIONS, len(data), digests.PLACEHOLDER, COMPOSITIONS_TYPE, "index"
        )


def _requirements(artifacts: Sequence[Artifact], dtypes: Iterable[str]) -> Requirements:
    needs = [artifact.requirements for artifact in artifacts]
    return Requirements(
        frozenset().union(*(need.layers for need in needs)),
        frozenset().union(*(need.custom_objects for need in needs)),
        frozenset().union(*(need.ops for need in needs)),
        frozenset(dtypes),
    )


def _write(draft: _Draft, writer: Writer, scans: Scanner, pending: Iterable[Future[None]]) -> str:
    """Write files, then index and manifest; returns the bundle's digest (rule WRT-03).

    `pending` is what has to end well before the manifest is written.
    """
    manifest = draft.manifest
    writer.begin(len(manifests.encode(manifest)), manifest.stored, manifest.directories)
    tensors = RangeDigests(draft.index.ranges, draft.index.files)
    composed = {e.path: scans.digest_later(draft.originals[e.path]) for e in manifest.composed}
    file_digests = _write_stored(draft, writer, scans, tensors)
    file_digests |= {path: digest.result() for path, digest in composed.items()}
    for check in pending:
        check.result()
    small = {paths.TENSORS: tensor_index.encode(replace(draft.index, digest=tensors.column()))}
    if draft.plan.composed:
        small[paths.COMPOSITIONS] = compositions.encode(
            compositions.from_segments(draft.plan.composed)
        )
    for path, data in small.items():
        file_digests[path] = _copy(path, BytesBlob(data), (), writer, scans).digest
    files = tuple(replace(entry, digest=file_digests[entry.path]) for entry in manifest.files)
    data = manifests.encode(replace(manifest, files=files))
    manifests.decode(data)
    writer.finish(data)
    return digests.of_bytes(data)


def _write_stored(
    draft: _Draft, writer: Writer, scans: Scanner, tensors: RangeDigests
) -> dict[str, str]:
    file_digests, crc32s = {}, {}
    for entry in draft.manifest.stored:
        if entry.path in (paths.TENSORS, paths.COMPOSITIONS):
            continue
        known = [draft.plan.known.get((entry.path, span)) for span in tensors.spans(entry.path)]
        spans = zip(tensors.spans(entry.path), known, strict=True)
        unknown = (span for span, raw in spans if raw is None)
        scan = _copy(entry.path, draft.plan.stored[entry.path], unknown, writer, scans)
        computed = digests.split(scan.ranges)
        tensors.note(entry.path, b"".join(raw or next(computed) for raw in known))
        file_digests[entry.path] = scan.digest
        if writer.needs_crc32:
            crc32s[entry.path] = scan.crc32
    settle(finding for artifact in draft.artifacts for finding in artifact.disproved(crc32s))
    return file_digests


def _copy(path: str, blob: Blob, spans: Iterable[Range], writer: Writer, scans: Scanner) -> Scan:
    with writer.member(path) as sink:
        scan = scans.scan(blob, spans, sink, crc=writer.needs_crc32)
    writer.record(path, scan.crc32)
    return scan
