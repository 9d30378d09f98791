"""What differs between two bundles: files, configs, tensors with norms, the manifest.

What the digests say is compared, not whether the data has them: that is for `validate`. Equal ones
answer at once. Tensors are matched by name; only those that changed are read, and verified.

    answer = diff("before.modelbundle", "after.modelbundle")
    answer.same, [change.name for change in answer.tensors.changed]
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from modelbundle.bundle import Bundle, open_bundle
from modelbundle.comparing.json_changes import Change, Changes, changes, keyed
from modelbundle.comparing.tensor_values import Norms, norms
from modelbundle.core import manifest as manifests
from modelbundle.core.as_json import as_json
from modelbundle.core.manifest import FileEntry, Manifest
from modelbundle.core.tensor_index import TensorIndex
from modelbundle.sources.keras import config_json as keras_json
from modelbundle.storage.scan import Progress

_CONFIG_KIND = "keras.config"
_CUSTOM_KEY = ("registeredName", "className", "component")


@dataclass(frozen=True, slots=True)
class FileSide:
    """A file on one side: its size (bytes), digest, role, and whether it is stored or composed."""

    size: int
    digest: str
    role: str
    storage: str


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that only one bundle has, or that is another one in each."""

    path: str
    change: Literal["added", "removed", "changed"]
    a: FileSide | None
    b: FileSide | None


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """What changed between the Keras configs at path `a` and path `b`."""

    a: str
    b: str
    changes: tuple[Change, ...]
    omitted: int


@dataclass(frozen=True, slots=True)
class TensorSide:
    """A tensor on one side."""

    dtype: str
    shape: tuple[int, ...]
    role: str


@dataclass(frozen=True, slots=True)
class NamedTensor:
    """A tensor that only one bundle has."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    role: str


@dataclass(frozen=True, slots=True)
class TensorChange:
    """A tensor of one name that is another one in each bundle.

    `norms` is None where the values are the same, or are no numbers of one shape.
    """

    name: str
    a: TensorSide
    b: TensorSide
    value_changed: bool
    norms: Norms | None


@dataclass(frozen=True, slots=True)
class TensorChanges:
    """Tensors by what happened to them, ascending by name, and how many stayed as they are."""

    added: tuple[NamedTensor, ...] = ()
    removed: tuple[NamedTensor, ...] = ()
    changed: tuple[TensorChange, ...] = ()
    unchanged: int = 0


@dataclass(frozen=True, slots=True)
class Difference:
    """The answer: `a` and `b` are the bundle digests; `manifest` has changes of name, metadata,
    components, signatures, requirements and extensions."""

    a: str
    b: str
    files: tuple[FileChange, ...]
    configs: tuple[ConfigChange, ...]
    tensors: TensorChanges
    manifest: Changes

    @property
    def same(self) -> bool:
        """Whether the bundles are one and the same content."""
        return self.a == self.b

    def to_json(self) -> dict[str, Any]:
        """The answer as `schemas/answers/diff.schema.json` has it."""
        answer: dict[str, Any] = as_json(self)
        return {"same": self.same, **answer}


def diff(
    a: Bundle | str | Path, b: Bundle | str | Path, *, progress: Progress | None = None
) -> Difference:
    """Compare two bundles, open or at paths or URLs.

    `progress` is called with bytes done. Raises as `open` does, and `BundleError` where what has
    to be read is damaged.
    """
    with ExitStack() as stack:
        one, two = (_opened(bundle, stack) for bundle in (a, b))
        if one.digest == two.digest:
            unchanged = TensorChanges(unchanged=one.manifest.tensor_count)
            return Difference(one.digest, two.digest, (), (), unchanged, Changes((), 0))
        return Difference(
            one.digest,
            two.digest,
            tuple(_files(one.manifest, two.manifest)),
            tuple(_configs(one, two)),
            _tensors(one, two, progress),
            changes(_described(one.manifest), _described(two.manifest)),
        )


def _opened(bundle: Bundle | str | Path, stack: ExitStack) -> Bundle:
    return bundle if isinstance(bundle, Bundle) else stack.enter_context(open_bundle(bundle))


def _files(a: Manifest, b: Manifest) -> Iterator[FileChange]:
    for path in sorted(a.by_path.keys() | b.by_path.keys()):
        one, two = a.by_path.get(path), b.by_path.get(path)
        if one != two:
            change: Literal["added", "removed", "changed"] = (
                "added" if one is None else "removed" if two is None else "changed"
            )
            yield FileChange(path, change, _side(one), _side(two))


def _side(entry: FileEntry | None) -> FileSide | None:
    if entry is None:
        return None
    return FileSide(entry.size, entry.digest, entry.role, entry.storage)


def _configs(a: Bundle, b: Bundle) -> Iterator[ConfigChange]:
    """Configs of the same path; those left over, if there is one on each side."""
    ours, theirs = _config_paths(a), _config_paths(b)
    pairs = [(path, path) for path in sorted(ours & theirs)]
    if len(ours - theirs) == len(theirs - ours) == 1:
        pairs.append(((ours - theirs).pop(), (theirs - ours).pop()))
    for one, two in pairs:
        if a.manifest.by_path[one].digest != b.manifest.by_path[two].digest:
            found = changes(_config(a, one), _config(b, two))
            yield ConfigChange(one, two, found.listed, found.omitted)


def _config(bundle: Bundle, path: str) -> Any:
    return keras_json.parse(bundle.read(path), path).value


def _config_paths(bundle: Bundle) -> set[str]:
    kinds = (c.id for c in bundle.manifest.components if c.kind == _CONFIG_KIND)
    return {path for path in kinds if path in bundle.manifest.by_path}


def _tensors(a: Bundle, b: Bundle, progress: Progress | None) -> TensorChanges:
    ours, theirs = a.index.position, b.index.position
    common = [name for name in a.index.names if name in theirs]
    differing = [
        name
        for name in common
        if _identity(a.index, ours[name]) != _identity(b.index, theirs[name])
    ]
    return TensorChanges(
        added=tuple(_named(b.index, theirs[name]) for name in b.index.names if name not in ours),
        removed=tuple(_named(a.index, ours[name]) for name in a.index.names if name not in theirs),
        changed=tuple(_changed(a, b, name, progress) for name in differing),
        unchanged=len(common) - len(differing),
    )


def _identity(index: TensorIndex, number: int) -> tuple[bytes, str, str, bytes]:
    """Everything that makes a tensor but its place and its names."""
    start, stop = index.shape_start[number : number + 2]
    return (
        index.raw_digest(number),
        index.dtypes[index.dtype[number]],
        index.roles[index.role[number]],
        index.shape[start:stop].tobytes(),
    )


def _named(index: TensorIndex, number: int) -> NamedTensor:
    row = index.row(number)
    return NamedTensor(row.name, row.dtype, row.shape, row.role)


def _changed(a: Bundle, b: Bundle, name: str, progress: Progress | None) -> TensorChange:
    one, two = (bundle.index.row(bundle.index.position[name]) for bundle in (a, b))
    before, after = (TensorSide(row.dtype, row.shape, row.role) for row in (one, two))
    value_changed = one.digest != two.digest
    found = norms((a, one), (b, two), progress) if value_changed else None
    return TensorChange(name, before, after, value_changed, found)


def _described(manifest: Manifest) -> Mapping[str, Any]:
    """What the manifest says besides files and totals; its sets as objects by key."""
    document = json.loads(manifests.encode(manifest))
    needs = document["requirements"]
    kept = ("modelbundle", "name", "metadata", "directories", "extensions")
    return {
        **{key: document[key] for key in kept if key in document},
        "components": keyed(document["components"], "id"),
        "signatures": keyed(document["signatures"], "name", "component"),
        "requirements": {
            **{key: dict.fromkeys(needs[key], True) for key in ("layers", "ops", "dtypes")},
            "customObjects": keyed(needs["customObjects"], *_CUSTOM_KEY),
        },
    }
