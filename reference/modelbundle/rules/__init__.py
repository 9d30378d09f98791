"""Validation: every rule that a bundle on hand can break, found and reported.

    report = validate("net.modelbundle")
    report.ok, report.findings

Stages follow one another: storage and manifest, index, compositions, bytes, contents. A stage
collects what it finds; the next ones run only on what the earlier ones have made safe to read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from modelbundle.bundle import Bundle
from modelbundle.core import digests
from modelbundle.core import manifest as manifests
from modelbundle.core.findings import MAX_FINDINGS, UNSUPPORTED, BundleError, Finding
from modelbundle.rules import archive, contents, directory, integrity, schemas
from modelbundle.storage.layouts import ArchiveStorage, DirectoryStorage, Storage, open_storage
from modelbundle.storage.scan import Progress

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
    if isinstance(bundle, Bundle):
        return _Validation(bundle.storage, structure, progress).run()
    try:
        storage = open_storage(bundle)
    except BundleError as error:
        return Report(None, error.findings, "structure" if structure else "all")
    try:
        return _Validation(storage, structure, progress).run()
    finally:
        storage.close()


class _Validation:
    """One run over one bundle."""

    def __init__(self, storage: Storage, structure: bool, progress: Progress | None) -> None:
        self._storage = storage
        self._structure = structure
        self._progress = progress
        self._findings: list[Finding] = []
        self._digest: str | None = None

    def run(self) -> Report:
        bundle = self._open()
        if bundle is not None:
            self._examine(bundle)
        checked: Checked = "structure" if self._structure else "all"
        return Report(self._digest, tuple(self._findings), checked)

    def _open(self) -> Bundle | None:
        """Manifest first; then the layout, whose findings say more than a failed opening."""
        try:
            data = self._storage.read_manifest()
            self._digest = digests.of_bytes(data)
            manifest = manifests.decode(data)
        except BundleError as error:
            self._findings += error.findings
            return None
        if isinstance(self._storage, ArchiveStorage):
            self._collect(archive.check(self._storage.archive, len(data), manifest))
        elif isinstance(self._storage, DirectoryStorage):
            self._collect(directory.check(self._storage.root, manifest))
        if self._findings:
            return None
        return self._try(lambda: Bundle(self._storage, verify=False))

    def _examine(self, bundle: Bundle) -> None:
        index = self._try(lambda: bundle.index)
        composed = self._try(lambda: bundle.compositions)
        if not self._structure:
            with ThreadPoolExecutor(1) as beside:  # hashing leaves the interpreter to others
                beside.submit(schemas.prepare)
                self._collect(integrity.check(bundle, index, composed, self._progress))
        if self._findings or index is None or composed is None:
            return
        self._collect(schemas.check(bundle))
        if not self._structure:
            self._collect(contents.check(bundle))

    def _collect(self, findings: Iterable[Finding]) -> None:
        """Findings up to the limit; an error raised on the way is their last."""
        iterator: Iterator[Finding] = iter(findings)
        room = MAX_FINDINGS
        try:
            for finding in iterator:
                self._findings.append(finding)
                room -= 1
                if not room:
                    return
        except BundleError as error:
            self._findings += error.findings

    def _try(self, step: Callable[[], _T]) -> _T | None:
        try:
            return step()
        except BundleError as error:
            self._findings += error.findings
            return None
