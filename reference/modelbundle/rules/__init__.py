"""Validation: every rule that a bundle on hand can break, found and reported.

    report = validate("net.modelbundle")
    report.ok, report.findings

Stages follow one another: storage and manifest, index, compositions, bytes, contents. A stage
collects what it finds; the next ones run only on what the earlier ones have made safe to read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from modelbundle.core import digests
from modelbundle.core import manifest as manifests
from modelbundle.core.findings import MAX_FINDINGS, UNSUPPORTED, BundleError, Finding
from modelbundle.core.manifest import Manifest
from modelbundle.rules import archive, directory, hashing
from modelbundle.storage.layouts import ArchiveStorage, DirectoryStorage, Storage, open_storage
from modelbundle.storage.scan import Progress, Scan, Scanner, scanner

if TYPE_CHECKING:
    from modelbundle.bundle import Bundle
    from modelbundle.core.compositions import Compositions
    from modelbundle.core.tensor_index import TensorIndex

_T = TypeVar("_T")

Checked = Literal["structure", "all"]


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome: the bundle's digest where its manifest could be read, and what was found."""

    digest: str | None
    findings: tuple[Finding, ...]
    checked: Checked

    @property
    def ok(self) -> bool:
        """Whether no rule with severity error is broken."""
        return not self._errors

    @property
    def unsupported(self) -> bool:
        """Whether all that speaks against it is that it asks for more than is known here."""
        return bool(self._errors) and all(finding.rule in UNSUPPORTED for finding in self._errors)

    @property
    def _errors(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == "error"]


def validate(
    bundle: Bundle | str | Path, *, structure: bool = False, progress: Progress | None = None
) -> Report:
    """Validate a bundle; with `structure`, without reading the data of its files.

    `progress` is called with bytes done. Raises `OSError` where the bundle cannot be read at all;
    everything else is a finding.
    """
    if not isinstance(bundle, str | Path):
        return _validate(bundle.storage, structure, progress)
    try:
        storage = open_storage(bundle)
    except BundleError as error:
        return Report(None, error.findings, "structure" if structure else "all")
    try:
        return _validate(storage, structure, progress)
    finally:
        storage.close()


def _validate(storage: Storage, structure: bool, progress: Progress | None) -> Report:
    with scanner(progress, once=storage.remote) as scans:
        return _Validation(storage, structure, scans).run()


class _Validation:
    """One run over one bundle."""

    def __init__(self, storage: Storage, structure: bool, scans: Scanner) -> None:
        self._storage = storage
        self._structure = structure
        self._scans = scans
        self._findings: list[Finding] = []
        self._digest: str | None = None

    def run(self) -> Report:
        manifest = self._open()
        if manifest is not None:
            begun = {} if self._structure else hashing.begin(self._storage, manifest, self._scans)
            self._examine(begun)
        checked: Checked = "structure" if self._structure else "all"
        return Report(self._digest, tuple(self._findings), checked)

    def _open(self) -> Manifest | None:
        """Manifest first; then the layout, whose findings say more than a failed opening."""
        try:
            data = self._storage.read_manifest()
            self._digest = digests.of_bytes(data)
            manifest = manifests.decode(data)
        except BundleError as error:
            self._findings += error.findings
            return None
        if isinstance(self._storage, ArchiveStorage):
            self._findings += _collected(archive.check(self._storage.archive, len(data), manifest))
        elif isinstance(self._storage, DirectoryStorage):
            self._findings += _collected(directory.check(self._storage.root, manifest))
        if self._findings:
            return None
        self._storage.place(len(data), manifest.stored)
        return manifest

    def _examine(self, begun: Mapping[str, Scan]) -> None:
        """Hashing goes on while documents and sources are read; if it finds something, what they
        say does not count."""
        from modelbundle.bundle import Bundle  # with numpy: while the first files are hashed

        bundle = self._try(lambda: Bundle(self._storage, verify=False))
        if bundle is None:
            return
        index = self._try(lambda: bundle.index)
        composed = self._try(lambda: bundle.compositions)
        hashed = self._try(lambda: self._hash(bundle, index, composed, begun)) or ()
        readable = not self._findings and index is not None and composed is not None
        later = _collected(self._check_contents(bundle)) if readable else []
        self._findings += _collected(hashed)
        self._findings += [] if self._findings else later

    def _hash(
        self,
        bundle: Bundle,
        index: TensorIndex | None,
        composed: Compositions | None,
        begun: Mapping[str, Scan],
    ) -> Iterable[Finding]:
        from modelbundle.rules import integrity

        if self._structure:
            return ()
        return integrity.check(bundle, index, composed, self._scans, begun)

    def _check_contents(self, bundle: Bundle) -> Iterator[Finding]:
        from modelbundle.rules import contents, schemas

        found = _collected(schemas.check(bundle))
        yield from found
        if not (found or self._structure):
            yield from contents.check(bundle)

    def _try(self, step: Callable[[], _T]) -> _T | None:
        try:
            return step()
        except BundleError as error:
            self._findings += error.findings
            return None


def _collected(findings: Iterable[Finding]) -> list[Finding]:
    """Findings up to the limit; an error raised on the way is their last."""
    found: list[Finding] = []
    try:
        found.extend(islice(findings, MAX_FINDINGS))
    except BundleError as error:
        found += error.findings
    return found
