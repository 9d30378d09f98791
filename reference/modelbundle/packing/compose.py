"""Which files of a bundle are stored and which are composed (rule WRT-05).

Files are taken in a fixed order: most distinct tensor bytes first, then the smaller file, then by
path; files made of parts last. A file is composed when bytes of it already have a place: a
tensor's range, or the whole file, of 256 bytes or more. What a composed file does not share goes
to the residue, tensors of 256 bytes or more on multiples of 64.

    plan = compose(files, tensor_ranges)
    plan.locate("net.h5", 2048, 400)      # ("residue.bin", 64)
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from modelbundle.core import digests, paths
from modelbundle.core.archive_layout import ALIGNMENT
from modelbundle.core.blobs import Blob, BytesBlob, ComposedBlob, SliceBlob
from modelbundle.core.compositions import Segment, join
from modelbundle.core.findings import refuse
from modelbundle.sources.artifact import ArtifactFile, Part
from modelbundle.storage.scan import Range

MIN_SHARED_BYTES = 256
"""Shorter ranges are not worth a segment."""

_PROBE_BYTES = 64
_THREADS = 2

Content = tuple[int, bytes]
"""Length and sha256 of bytes."""


@dataclass(frozen=True)
class Plan:
    """Stored files as blobs, composed files as segments of stored ones."""

    stored: Mapping[str, Blob]
    composed: Mapping[str, Sequence[Segment]]
    known: Mapping[tuple[str, Range], bytes]
    """Digests that planning had to compute, by stored file and range."""
    _maps: Mapping[str, _SegmentMap] = field(repr=False, default_factory=dict)

    def locate(self, path: str, offset: int, length: int) -> tuple[str, int]:
        """The stored file and offset of a tensor's range in any file."""
        return self._maps[path].locate(offset, length) if path in self._maps else (path, offset)


class _SegmentMap:
    """From offsets in a composed file to its segments."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        self._segments = segments
        self._starts = [0]
        for _, _, length in segments:
            self._starts.append(self._starts[-1] + length)

    def holds(self, offset: int, length: int) -> bool:
        """Whether the range lies within one segment."""
        at = self._at(offset)
        return offset + length <= self._starts[at] + self._segments[at][2]

    def locate(self, offset: int, length: int) -> tuple[str, int]:
        """The stored file and offset of a range that one segment holds."""
        if not self.holds(offset, length):
            raise AssertionError("a tensor's range is never split between segments")
        at = self._at(offset)
        return self._segments[at][0], self._segments[at][1] + offset - self._starts[at]

    def _at(self, offset: int) -> int:
        return min(bisect_right(self._starts, offset), len(self._segments)) - 1


def compose(files: Sequence[ArtifactFile], ranges: Mapping[str, Sequence[Range]]) -> Plan:
    """Decide for `files`, whose tensors take `ranges` by path: disjoint, ascending, not empty."""
    contents = _Contents(files, ranges)
    composer = _Composer(contents, ranges)
    for file in sorted(files, key=lambda f: _order(f, contents, ranges)):
        composer.add(file)
    return composer.plan()


def _order(
    file: ArtifactFile, contents: _Contents, ranges: Mapping[str, Sequence[Range]]
) -> tuple[bool, int, int, str]:
    distinct: dict[object, int] = {}
    for span in ranges.get(file.path, ()):
        distinct[contents.of_range.get((file.path, span), span)] = span[1]
    return bool(file.parts), -sum(distinct.values()), file.blob.size, file.path


class _Contents:
    """Digests of the ranges and whole files that might occur twice; others are never hashed."""

    def __init__(
        self, files: Sequence[ArtifactFile], ranges: Mapping[str, Sequence[Range]]
    ) -> None:
        blobs = {file.path: file.blob for file in files}
        spans = [
            (path, span)
            for path in blobs
            for span in ranges.get(path, ())
            if span[1] >= MIN_SHARED_BYTES
        ]
        self.of_range = _shared(blobs, spans)
        wholes = [
            (f.path, (0, f.blob.size))
            for f in files
            if f.blob.size >= MIN_SHARED_BYTES and not f.parts
        ]
        self.of_file = {path: content for (path, _), content in _shared(blobs, wholes).items()}


def _shared(
    blobs: Mapping[str, Blob], spans: Iterable[tuple[str, Range]]
) -> dict[tuple[str, Range], Content]:
    """The content of those spans that have the length and some bytes of another span."""
    alike: dict[tuple[int, bytes], list[tuple[str, Range]]] = defaultdict(list)
    for path, (offset, length) in spans:
        alike[length, _probe(blobs[path], offset, length)].append((path, (offset, length)))
    suspects = [(path, span) for group in alike.values() if len(group) > 1 for path, span in group]
    with ThreadPoolExecutor(_THREADS) as pool:
        slices = (SliceBlob(blobs[path], *span) for path, span in suspects)
        hashes = pool.map(digests.raw_of_blob, slices)
        return {
            (path, span): (span[1], digest)
            for (path, span), digest in zip(suspects, hashes, strict=True)
        }


def _probe(blob: Blob, offset: int, length: int) -> bytes:
    size = min(_PROBE_BYTES, length)
    starts = {0, (length - size) // 2, length - size}
    return b"".join(blob.read(offset + start, size) for start in sorted(starts))


class _Composer:
    """Places files one after another."""

    def __init__(self, contents: _Contents, ranges: Mapping[str, Sequence[Range]]) -> None:
        self._contents = contents
        self._ranges = ranges
        self._stored: dict[str, Blob] = {}
        self._composed: dict[str, list[Segment]] = {}
        self._placed: dict[Content, tuple[str, int]] = {}
        self._placed_files: dict[Content, str] = {}
        self._residue = _Residue()

    def add(self, file: ArtifactFile) -> None:
        """Store or compose `file`."""
        whole = self._contents.of_file.get(file.path)
        if file.parts:
            self._composed[file.path] = self._from_parts(file)
        elif whole is not None and (segments := self._from_equal(file, whole)):
            self._composed[file.path] = segments
        elif self._repeats(file):
            self._composed[file.path] = self._from_ranges(file)
        else:
            self._stored[file.path] = file.blob
            for span in self._ranges.get(file.path, ()):
                if content := self._contents.of_range.get((file.path, span)):
                    self._placed[content] = (file.path, span[0])
        if whole is not None:
            self._placed_files.setdefault(whole, file.path)

    def plan(self) -> Plan:
        """What was decided."""
        if self._residue.size:
            self._stored[paths.RESIDUE] = self._residue.blob()
        known = {
            (path, (offset, content[0])): content[1]
            for content, (path, offset) in self._placed.items()
        }
        composed = {path: join(segments) for path, segments in self._composed.items()}
        maps = {path: _SegmentMap(segments) for path, segments in self._composed.items()}
        return Plan(self._stored, composed, known, maps)

    def _segments(self, path: str, size: int) -> list[Segment]:
        """The whole of a file that has its place."""
        return self._composed.get(path, [(path, 0, size)])

    def _from_equal(self, file: ArtifactFile, whole: Content) -> list[Segment]:
        """The segments of a file with the same bytes, if there is one and no tensor is split."""
        if whole not in self._placed_files:
            return []
        segments = self._segments(self._placed_files[whole], file.blob.size)
        found = _SegmentMap(segments)
        spans = self._ranges.get(file.path, ())
        return segments if all(found.holds(*span) for span in spans) else []

    def _repeats(self, file: ArtifactFile) -> bool:
        seen: set[Content] = set()
        for span in self._ranges.get(file.path, ()):
            content = self._contents.of_range.get((file.path, span))
            if content is not None and (content in self._placed or content in seen):
                return True
            if content is not None:
                seen.add(content)
        return False

    def _from_ranges(self, file: ArtifactFile) -> list[Segment]:
        segments: list[Segment] = []
        at = 0
        for offset, length in self._ranges.get(file.path, ()):
            if length < MIN_SHARED_BYTES:
                continue
            segments.append(self._residue.add(file.blob, at, offset - at))
            segments.append(self._place(file, (offset, length)))
            at = offset + length
        segments.append(self._residue.add(file.blob, at, file.blob.size - at))
        return [segment for segment in segments if segment[2]]

    def _place(self, file: ArtifactFile, span: Range) -> Segment:
        content = self._contents.of_range.get((file.path, span))
        if content is None or content not in self._placed:
            segment = self._residue.add(file.blob, *span, aligned=True)
            if content is not None:
                self._placed[content] = segment[:2]
            return segment
        path, offset = self._placed[content]
        return path, offset, span[1]

    def _from_parts(self, file: ArtifactFile) -> list[Segment]:
        segments: list[Segment] = []
        at = 0
        for part in sorted(file.parts, key=lambda part: part.offset):
            size = self._size_of(part, file.path)
            segments.append(self._residue.add(file.blob, at, part.offset - at))
            segments += self._segments(part.path, size)
            at = part.offset + size
        segments.append(self._residue.add(file.blob, at, file.blob.size - at))
        return [segment for segment in segments if segment[2]]

    def _size_of(self, part: Part, path: str) -> int:
        if part.path in self._stored:
            return self._stored[part.path].size
        if part.path in self._composed:
            return sum(length for _, _, length in self._composed[part.path])
        raise AssertionError(f"{path} has a part {part.path} that is no file of the artifact")


class _Residue:
    """The bytes of composed files that stand in no other stored file."""

    def __init__(self) -> None:
        self.size = 0
        self._slices: list[SliceBlob] = []

    def add(self, blob: Blob, offset: int, length: int, *, aligned: bool = False) -> Segment:
        """Append a range of `blob`; with `aligned`, on a multiple of 64."""
        if length < 0:
            raise refuse(
                "TEN-09", paths.RESIDUE, "ranges that are the same or apart", "overlapping ones"
            )
        if aligned and (padding := -self.size % ALIGNMENT):
            self._slices.append(SliceBlob(BytesBlob(bytes(padding)), 0, padding))
            self.size += padding
        start = self.size
        self._slices.append(SliceBlob(blob, offset, length))
        self.size += length
        return paths.RESIDUE, start, length

    def blob(self) -> ComposedBlob:
        """The residue."""
        return ComposedBlob(self._slices)
