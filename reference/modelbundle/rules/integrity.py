"""Rules about the bytes themselves: digests of files and tensors, checksums of the archive."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from modelbundle.bundle import Bundle, check_digest, check_tensor
from modelbundle.core import paths
from modelbundle.core.compositions import Compositions
from modelbundle.core.digests import EMPTY, of_raw
from modelbundle.core.findings import Finding, checks, clip
from modelbundle.core.manifest import FileEntry
from modelbundle.core.tensor_index import TensorIndex
from modelbundle.storage.layouts import ArchiveStorage
from modelbundle.storage.scan import Progress, Range, Scanner, scanner


def check(
    bundle: Bundle,
    index: TensorIndex | None,
    composed: Compositions | None,
    progress: Progress | None,
) -> Iterator[Finding]:
    """Findings about every stored and composed file and every tensor; each byte is read once."""
    ranges = _ranges(index) if index is not None else {}
    found: dict[tuple[str, Range], bytes] = {}
    with scanner(progress) as scans:
        files = bundle.manifest.composed if composed is not None else ()
        composed_digests = [(entry, scans.digest_later(bundle.file(entry.path))) for entry in files]
        yield from _check_manifest(bundle, scans)
        for entry in bundle.manifest.stored:
            yield from _check_stored(bundle, entry, ranges.get(entry.path, []), scans, found)
        for entry, digest in composed_digests:
            yield from check_digest(entry, digest.result())
    if index is not None:
        yield from _check_tensors(index, found)


def _ranges(index: TensorIndex) -> Mapping[str, list[Range]]:
    ranges: dict[str, list[Range]] = defaultdict(list)
    for code, offset, length in zip(
        *(column.tolist() for column in index.distinct_ranges()), strict=True
    ):
        ranges[index.files[code]].append((offset, length))
    return ranges


def _check_manifest(bundle: Bundle, scans: Scanner) -> Iterator[Finding]:
    if isinstance(bundle.storage, ArchiveStorage):
        blob = bundle.storage.blob(paths.MANIFEST)
        yield from _check_crc32(bundle.storage, paths.MANIFEST, scans.scan(blob).crc32)


def _check_stored(
    bundle: Bundle,
    entry: FileEntry,
    ranges: list[Range],
    scans: Scanner,
    found: dict[tuple[str, Range], bytes],
) -> Iterator[Finding]:
    archive = bundle.storage if isinstance(bundle.storage, ArchiveStorage) else None
    scan = scans.scan(bundle.file(entry.path), ranges, crc=archive is not None)
    yield from check_digest(entry, scan.digest)
    if archive is not None:
        yield from _check_crc32(archive, entry.path, scan.crc32)
    found.update({(entry.path, span): raw for span, raw in scan.ranges.items()})


@checks("ARC-10")
def _check_crc32(storage: ArchiveStorage, path: str, crc32: int) -> Iterator[Finding]:
    stated = storage.crc32(path)
    if stated != crc32:
        place = f"archive@{storage.layout.by_path[path].header_offset + 14}"
        expected = f"CRC-32 {crc32:08x} of {clip(path)}"
        yield Finding("ARC-10", place, expected, f"{stated:08x}")


def _check_tensors(
    index: TensorIndex, found: Mapping[tuple[str, Range], bytes]
) -> Iterator[Finding]:
    files, offsets, lengths = index.file.tolist(), index.offset.tolist(), index.length.tolist()
    for number, (code, offset, length) in enumerate(zip(files, offsets, lengths, strict=True)):
        raw = found.get((index.files[code], (offset, length)), EMPTY)
        if raw != index.digest[32 * number : 32 * number + 32]:
            yield from check_tensor(index.row(number), of_raw(raw))
