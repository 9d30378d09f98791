"""Rules about the bytes themselves: digests of files and tensors, checksums of the archive.

begun = hashing.begin(storage, manifest, scans)              # before this module is loaded
findings = check(bundle, index, compositions, scans, begun)  # hashing goes on from here
list(findings)                                               # waits for it
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain, islice

from modelbundle.bundle import Bundle, check_digest, check_tensor
from modelbundle.core import paths
from modelbundle.core.compositions import Compositions
from modelbundle.core.digests import of_raw
from modelbundle.core.findings import Finding, checks, clip
from modelbundle.core.manifest import FileEntry
from modelbundle.core.ranges import RangeDigests
from modelbundle.core.tensor_index import TensorIndex
from modelbundle.storage.layouts import ArchiveStorage
from modelbundle.storage.scan import Scan, Scanner

_AHEAD = 16
"""Files whose passes have started, counted from the one that is waited for."""

_Findings = Callable[[], Iterable[Finding]]
"""Waits for passes that have started, and tells what they found."""


def check(
    bundle: Bundle,
    index: TensorIndex | None,
    composed: Compositions | None,
    scans: Scanner,
    begun: Mapping[str, Scan],
) -> Iterator[Finding]:
    """Findings about every stored and composed file and every tensor.

    `begun` has scans of stored files by path, without ranges; the first further passes start
    before this returns.
    """
    tensors = RangeDigests(index.ranges, index.files) if index is not None else None
    files = _Files(bundle, scans, begun, tensors)
    stored = map(files.stored, bundle.manifest.stored)
    rest = map(files.composed, bundle.manifest.composed if composed is not None else ())
    waiting = chain(stored, rest)  # a file's passes start when it is taken from here
    started = deque(islice(waiting, _AHEAD))
    return chain(_findings(files, started, waiting), _check_tensors(index, tensors))


def _findings(
    files: _Files, started: deque[_Findings], waiting: Iterator[_Findings]
) -> Iterator[Finding]:
    yield from files.manifest()
    while started:
        yield from started.popleft()()
        started.extend(islice(waiting, 1))


class _Files:
    """The files of a bundle; the sha256 of their tensors' ranges are noted in `tensors`."""

    def __init__(
        self,
        bundle: Bundle,
        scans: Scanner,
        begun: Mapping[str, Scan],
        tensors: RangeDigests | None,
    ) -> None:
        self._bundle, self._scans, self._begun = bundle, scans, begun
        storage = bundle.storage
        self._archive = storage if isinstance(storage, ArchiveStorage) else None
        self._tensors = tensors

    def manifest(self) -> Iterator[Finding]:
        """Findings about the checksum of the manifest, where it has one."""
        if self._archive is not None:
            scan = self._scans.scan(self._archive.blob(paths.MANIFEST))
            yield from _check_crc32(self._archive, paths.MANIFEST, scan.crc32)

    def stored(self, entry: FileEntry) -> _Findings:
        """Start the passes over a stored file."""
        blob = self._bundle.file(entry.path)
        spans = self._tensors.spans(entry.path) if self._tensors else ()
        scan = self._begun.get(entry.path)
        if scan is None:
            scan = self._scans.scan(blob, spans, crc=self._archive is not None)
            return partial(self._check_stored, entry, scan, lambda: scan.ranges)
        return partial(
            self._check_stored, entry, scan, self._scans.ranges_later(blob, spans).result
        )

    def composed(self, entry: FileEntry) -> _Findings:
        """Start the pass over a composed file."""
        digest = self._scans.digest_later(self._bundle.file(entry.path))
        return lambda: check_digest(entry, digest.result())

    def _check_stored(
        self, entry: FileEntry, scan: Scan, ranges: Callable[[], bytearray]
    ) -> Iterator[Finding]:
        yield from check_digest(entry, scan.digest)
        if self._archive is not None:
            yield from _check_crc32(self._archive, entry.path, scan.crc32)
        if self._tensors:
            self._tensors.note(entry.path, ranges())


@checks("ARC-10")
def _check_crc32(storage: ArchiveStorage, path: str, crc32: int) -> Iterator[Finding]:
    stated = storage.crc32(path)
    if stated != crc32:
        place = f"archive@{storage.layout.by_path[path].header_offset + 14}"
        expected = f"CRC-32 {crc32:08x} of {clip(path)}"
        yield Finding("ARC-10", place, expected, f"{stated:08x}")


def _check_tensors(index: TensorIndex | None, tensors: RangeDigests | None) -> Iterator[Finding]:
    if index is not None and tensors is not None:
        for number, raw in tensors.differing(index.digest):
            yield from check_tensor(index.row(number), of_raw(raw))
