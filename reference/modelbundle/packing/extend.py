"""Adding to a bundle: what it has and new artifacts, as a new bundle (rule WRT-08).

Files, rows, names, components and signatures of the old bundle stay as they are, byte for byte;
the new files are stored whole, and their tensors become rows of their own. A `Binding` gives a
tensor that the bundle has already one more name, in a naming system of a new component.

    digest = extend("net.modelbundle", [artifact], "more.modelbundle")
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbundle.bundle import Bundle, check_digest, open_bundle
from modelbundle.core import digests, paths, tensor_index
from modelbundle.core import manifest as manifests
from modelbundle.core.blobs import Blob, BytesBlob, SliceBlob
from modelbundle.core.findings import Finding, checks, refuse, settle
from modelbundle.core.manifest import FileEntry, Manifest, Requirements
from modelbundle.core.tensor_index import U1, U4, U8, Namespace, TensorIndex
from modelbundle.packing.packer import check_paths, unbound
from modelbundle.sources.artifact import Artifact, ArtifactFile, ArtifactTensor
from modelbundle.storage.scan import Progress, Range, Scanner, scanner
from modelbundle.storage.writing import Writer, open_writer

_RowDigests = Mapping[tuple[str, Range], bytes]


@dataclass(frozen=True, slots=True)
class Binding:
    """The tensor whose row is called `tensor`, an old or a new one, is `name` to `component`."""

    component: str
    system: str
    name: str
    tensor: str


def extend(
    bundle: Bundle | str | Path,
    artifacts: Sequence[Artifact],
    destination: str | Path,
    *,
    bindings: Iterable[Binding] = (),
    metadata: Mapping[str, Any] | None = None,
    directory: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> str:
    """Write `bundle` with `artifacts` added to `destination`, and return the new digest.

    `metadata` is added to that of the manifest.

    `bundle` itself is not changed; `destination` can be its own path where `overwrite` is set.
    Raises `BundleError` where a file of the bundle is damaged, an artifact is refused, two files
    have one path (SRC-05) or the bundle is of a newer version (WRT-08), `KeyError` for a binding
    to a tensor that it does not have, and `FileExistsError` as `pack` does.
    """
    if not isinstance(bundle, Bundle):
        with open_bundle(bundle) as opened:
            return extend(
                opened,
                artifacts,
                destination,
                bindings=bindings,
                metadata=metadata,
                directory=directory,
                overwrite=overwrite,
                progress=progress,
            )
    draft = _draft(bundle, artifacts, tuple(bindings), metadata or {})
    for artifact in artifacts:
        if artifact.verify:
            artifact.verify()
    with scanner(progress) as scans, open_writer(Path(destination), directory, overwrite) as writer:
        return _write(bundle, draft, writer, scans)


@dataclass(frozen=True)
class _Draft:
    """The bundle to be, without the digests of what is new."""

    manifest: Manifest
    index: _NewIndex
    files: Mapping[str, ArtifactFile]

    def ranges_of(self, path: str) -> list[Range]:
        """Ranges of the tensors of a new file, each once, ascending."""
        spans = {(t.offset, t.length) for t in self.index.tensors if t.path == path and t.length}
        return sorted(spans)


def _draft(
    bundle: Bundle,
    artifacts: Sequence[Artifact],
    bindings: Sequence[Binding],
    metadata: Mapping[str, Any],
) -> _Draft:
    old = bundle.manifest
    _check_version(old)
    files = [file for artifact in artifacts for file in artifact.files]
    kept = [entry for entry in old.files if entry.role != "index"]
    empty = BytesBlob(b"")
    check_paths([*files, *(ArtifactFile(entry.path, empty, "") for entry in kept)])
    settle(_unbound(artifacts, bindings))
    new = _NewIndex(bundle.index, artifacts, bindings)
    index = new.build({})
    data = tensor_index.encode(index)
    entries = [_placeholder(file) for file in files]
    entries += [
        replace(entry, size=len(data)) if entry.path == paths.TENSORS else entry
        for entry in old.files
    ]
    manifest = replace(
        old,
        files=tuple(entries),
        tensor_count=len(index),
        tensor_bytes=index.distinct_bytes(),
        components=(*old.components, *(c for a in artifacts for c in a.components)),
        signatures=(*old.signatures, *(s for a in artifacts for s in a.signatures)),
        requirements=_requirements(old.requirements, artifacts, index),
        directories=(*old.directories, *(d for a in artifacts for d in a.directories)),
        metadata={**old.metadata, **metadata},
    )
    manifests.decode(manifests.encode(manifest))
    tensor_index.decode(data)
    stored = {entry.path: entry.size for entry in manifest.stored}
    ids = frozenset(component.id for component in manifest.components)
    settle(tensor_index.check_against(index, stored, ids))
    return _Draft(manifest, new, {file.path: file for file in files})


def _unbound(artifacts: Iterable[Artifact], bindings: Sequence[Binding]) -> Iterator[Finding]:
    """Findings for tensors that an artifact names and no binding gives it."""
    for artifact in artifacts:
        component = artifact.components[0].id
        given = {(each.system, each.name) for each in bindings if each.component == component}
        yield from unbound(artifact, given)


@checks("WRT-08")
def _check_version(manifest: Manifest) -> None:
    """What a newer version may say of a bundle would be lost."""
    if manifest.newer:
        hint = "use an implementation of that version"
        raise refuse("WRT-08", paths.MANIFEST, manifests.VERSION, manifest.version, hint)


def _placeholder(file: ArtifactFile) -> FileEntry:
    size = file.blob.size
    return FileEntry(file.path, size, digests.PLACEHOLDER, file.media_type, file.role)


def _requirements(
    old: Requirements, artifacts: Sequence[Artifact], index: TensorIndex
) -> Requirements:
    needs = [old, *(artifact.requirements for artifact in artifacts)]
    return Requirements(
        frozenset().union(*(need.layers for need in needs)),
        frozenset().union(*(need.custom_objects for need in needs)),
        frozenset().union(*(need.ops for need in needs)),
        frozenset(index.dtypes),
    )


class _NewIndex:
    """The old rows and the new tensors as one index, rows ascending by name."""

    def __init__(
        self, old: TensorIndex, artifacts: Sequence[Artifact], bindings: Sequence[Binding]
    ) -> None:
        self._old = old
        pairs = [(a.components[0].id, t) for a in artifacts for t in a.tensors]
        self.tensors = [tensor for _, tensor in pairs]
        self._names = [*old.names, *_new_names(old, pairs)]
        self._order = np.array(sorted(range(len(self._names)), key=self._names.__getitem__), int)
        self._spaces = self._collect(pairs, bindings)

    def _collect(
        self, pairs: Sequence[tuple[str, ArtifactTensor]], bindings: Sequence[Binding]
    ) -> dict[tuple[str, str], dict[int, str]]:
        """Names by (system, component) and by number in the order old rows, new tensors."""
        spaces = {
            (space.system, space.component): dict(
                zip(space.tensors.tolist(), space.names, strict=True)
            )
            for space in self._old.namespaces
        }
        for number, (component, tensor) in enumerate(pairs, len(self._old)):
            for system, name in tensor.names.items():
                spaces.setdefault((system, component), {})[number] = name
        position = {name: number for number, name in enumerate(self._names)}
        for binding in bindings:
            number = position[binding.tensor]
            spaces.setdefault((binding.system, binding.component), {})[number] = binding.name
        return spaces

    def build(self, found: _RowDigests) -> TensorIndex:
        """The index; new rows have the digest that `found` has for them, or zeros."""
        old, new, order = self._old, self.tensors, self._order
        names = {
            "dtypes": [*(old.dtypes[code] for code in old.dtype), *(t.dtype for t in new)],
            "files": [*(old.files[code] for code in old.file), *(t.path for t in new)],
            "roles": [*(old.roles[code] for code in old.role), *(t.role for t in new)],
        }
        tables = {column: sorted(set(values)) for column, values in names.items()}
        codes = {column: _codes(values, tables[column]) for column, values in names.items()}
        shapes = [*_shapes(old), *(t.shape for t in new)]
        raw = [*_raw_digests(old), *(_raw(t, found) for t in new)]
        offset = np.concatenate([old.offset, np.array([t.offset for t in new], U8)])
        length = np.concatenate([old.length, np.array([t.length for t in new], U8)])
        place = np.argsort(order)
        return TensorIndex(
            names=[self._names[number] for number in order],
            dtypes=tables["dtypes"],
            files=tables["files"],
            roles=tables["roles"],
            dtype=codes["dtypes"][order].astype(U1),
            rank=np.array([len(shapes[number]) for number in order], U1),
            shape=np.array([dim for number in order for dim in shapes[number]], U8),
            file=codes["files"][order].astype(U4),
            offset=offset[order],
            length=length[order],
            digest=b"".join(raw[number] for number in order),
            role=codes["roles"][order].astype(U1),
            namespaces=[_namespace(*key, self._spaces[key], place) for key in sorted(self._spaces)],
            attributes=self._attributes(place),
        )

    def _attributes(self, place: NDArray[np.int64]) -> dict[int, Mapping[str, str]]:
        kept = {int(place[row]): values for row, values in self._old.attributes.items()}
        new = {
            int(place[number]): tensor.attributes
            for number, tensor in enumerate(self.tensors, len(self._old))
            if tensor.attributes
        }
        return dict(sorted((kept | new).items()))


def _new_names(old: TensorIndex, pairs: Iterable[tuple[str, ArtifactTensor]]) -> Iterator[str]:
    """A name for each new tensor that no row has: its own, with its component where that is
    taken, and a number where that is taken too."""
    taken = set(old.names)
    for component, tensor in pairs:
        name = tensor.names.get("keras", tensor.name)
        if name in taken:
            name = f"{component}:{tensor.name}"
        unique, number = name, 1
        while unique in taken:
            number += 1
            unique = f"{name}#{number}"
        taken.add(unique)
        yield unique


def _codes(values: Sequence[str], table: Sequence[str]) -> NDArray[np.int64]:
    position = {entry: at for at, entry in enumerate(table)}
    return np.array([position[value] for value in values], np.int64)


def _shapes(index: TensorIndex) -> Iterator[tuple[int, ...]]:
    shape, starts = index.shape.tolist(), index.shape_start.tolist()
    return (tuple(shape[starts[at] : starts[at + 1]]) for at in range(len(index)))


def _raw_digests(index: TensorIndex) -> Iterator[bytes]:
    width = digests.DIGEST_BYTES
    return (bytes(index.digest[at * width : (at + 1) * width]) for at in range(len(index)))


def _raw(tensor: ArtifactTensor, found: _RowDigests) -> bytes:
    if not tensor.length:
        return digests.EMPTY
    span = (tensor.offset, tensor.length)
    return found.get((tensor.path, span), bytes(digests.DIGEST_BYTES))


def _namespace(
    system: str, component: str, names: Mapping[int, str], place: NDArray[np.int64]
) -> Namespace:
    ordered = sorted((int(place[number]), name) for number, name in names.items())
    rows = np.array([row for row, _ in ordered], U4)
    return Namespace(component, system, rows, [name for _, name in ordered])


def _write(bundle: Bundle, draft: _Draft, writer: Writer, scans: Scanner) -> str:
    """Old files as they are, each held against its digest; new files; index and manifest."""
    manifest = draft.manifest
    writer.begin(len(manifests.encode(manifest)), manifest.stored, manifest.directories)
    made: dict[str, str] = {}
    for entry in manifest.stored:
        if entry.path == paths.TENSORS:
            continue
        new = draft.files.get(entry.path)
        blob = new.blob if new else bundle.storage.blob(entry.path)
        digest = _copy(entry.path, blob, writer, scans)
        if new:
            made[entry.path] = digest
        else:
            settle(check_digest(entry, digest))
    found = {
        (path, span): digests.raw_of_blob(SliceBlob(file.blob, *span))
        for path, file in draft.files.items()
        for span in draft.ranges_of(path)
    }
    index = BytesBlob(tensor_index.encode(draft.index.build(found)))
    made[paths.TENSORS] = _copy(paths.TENSORS, index, writer, scans)
    entries = (replace(e, digest=made.get(e.path, e.digest)) for e in manifest.files)
    data = manifests.encode(replace(manifest, files=tuple(entries)))
    writer.finish(data)
    return digests.of_bytes(data)


def _copy(path: str, blob: Blob, writer: Writer, scans: Scanner) -> str:
    """Write a file, and give its digest."""
    with writer.member(path) as sink:
        scan = scans.scan(blob, sink=sink, crc=writer.needs_crc32)
    writer.record(path, scan.crc32)
    return scan.digest
