"""Compositions: files that are not stored but made of ranges of stored ones.

Sources are stored files only, so the depth is one and there are no cycles.

    compositions = decode(data)
    compositions.segments_of("net.h5")   # [("residue.bin", 0, 2048), ("net.keras.members/…", …)]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbundle.core import canonical_msgpack, paths
from modelbundle.core.findings import Finding, checks, clip, settle
from modelbundle.core.limits import LIMITS
from modelbundle.core.tables import uses_all
from modelbundle.core.tensor_index import U4, U8

PLACE = paths.COMPOSITIONS

Segment = tuple[str, int, int]
"""Stored file, offset and length in bytes."""

_COLUMNS: dict[str, np.dtype[Any]] = {"segments": U4, "source": U4, "offset": U8, "length": U8}


@dataclass(frozen=True)
class Compositions:
    """The decoded compositions; `segments[i]` counts those of `files[i]`, in order."""

    files: Sequence[str]
    sources: Sequence[str]
    segments: NDArray[np.uint32]
    source: NDArray[np.uint32]
    offset: NDArray[np.uint64]
    length: NDArray[np.uint64]

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Where each file's segments begin; one more entry for the end."""
        return np.concatenate(([0], np.cumsum(self.segments, dtype=np.int64)))

    def segments_of(self, path: str) -> list[Segment]:
        """The segments of the composed file `path`, in order."""
        number = self._position[path]
        span = slice(*self.starts[number : number + 2])
        sources = (self.sources[code] for code in self.source[span].tolist())
        return list(
            zip(sources, self.offset[span].tolist(), self.length[span].tolist(), strict=True)
        )

    def sizes(self) -> list[int]:
        """Size of each composed file (bytes)."""
        ends = np.concatenate(([0], np.cumsum(self.length, dtype=np.uint64)))
        return (ends[self.starts[1:]] - ends[self.starts[:-1]]).tolist()  # type: ignore[no-any-return]

    @cached_property
    def _position(self) -> Mapping[str, int]:
        return {path: number for number, path in enumerate(self.files)}


def from_segments(composed: Mapping[str, Sequence[Segment]]) -> Compositions:
    """Compositions from each file's segments; adjacent ones that continue each other are joined."""
    files = sorted(composed)
    joined = {path: join(composed[path]) for path in files}
    flat = [segment for path in files for segment in joined[path]]
    sources = sorted({source for source, _, _ in flat})
    code = {source: number for number, source in enumerate(sources)}
    return Compositions(
        files,
        sources,
        np.array([len(joined[path]) for path in files], U4),
        np.array([code[source] for source, _, _ in flat], U4),
        np.array([offset for _, offset, _ in flat], U8),
        np.array([length for _, _, length in flat], U8),
    )


def join(segments: Sequence[Segment]) -> list[Segment]:
    """`segments` without empty ones, those that continue one another made one."""
    joined: list[Segment] = []
    for source, offset, length in segments:
        if not length:
            continue
        if joined and joined[-1][0] == source and sum(joined[-1][1:]) == offset:
            joined[-1] = (source, joined[-1][1], joined[-1][2] + length)
        else:
            joined.append((source, offset, length))
    return joined


def encode(compositions: Compositions) -> bytes:
    """The canonical bytes of `compositions`."""
    value: dict[str, Any] = {
        "files": list(compositions.files),
        "sources": list(compositions.sources),
    }
    for name, dtype in _COLUMNS.items():
        value[name] = np.asarray(getattr(compositions, name), dtype).tobytes()
    return canonical_msgpack.encode(value)


def decode(data: bytes, *, newer: bool = False) -> Compositions:
    """The compositions that `data` holds, refused where they break a rule on their own.

    `newer`: the bundle is of a newer minor version, whose unknown members are ignored (VER-02).
    """
    value = canonical_msgpack.decode(data, PLACE)
    settle(_check_members(value, newer))
    columns = {name: np.frombuffer(value[name], dtype) for name, dtype in _COLUMNS.items()}
    compositions = Compositions(value["files"], value["sources"], **columns)
    settle(_check_tables(compositions))
    return compositions


@checks("CMP-01")
def _check_members(value: dict[str, Any], newer: bool) -> Iterator[Finding]:
    kinds = {"files": list, "sources": list, **dict.fromkeys(_COLUMNS, bytes)}
    for name, kind in kinds.items():
        item = value.get(name)
        if type(item) is not kind or (kind is list and set(map(type, item)) - {str}):
            yield Finding(
                "CMP-01", f"{PLACE}#/{name}", f"a member of type {kind.__name__}", clip(item)
            )
            return
    for name in () if newer else sorted(map(str, value.keys() - kinds.keys())):
        yield Finding("CMP-01", PLACE, "no other members", clip(name))
    yield from _check_column_lengths(value)


def _check_column_lengths(value: dict[str, Any]) -> Iterator[Finding]:
    if len(value["segments"]) != U4.itemsize * len(value["files"]):
        yield Finding(
            "CMP-01", f"{PLACE}#/segments", "four bytes a file", f"{len(value['segments'])} bytes"
        )
        return
    total = int(np.frombuffer(value["segments"], U4).sum(dtype=np.int64))
    for name in ("source", "offset", "length"):
        wanted = total * _COLUMNS[name].itemsize
        if len(value[name]) != wanted:
            yield Finding("CMP-01", f"{PLACE}#/{name}", f"{wanted} bytes", str(len(value[name])))


def _check_tables(compositions: Compositions) -> Iterator[Finding]:
    for name, table in (("files", compositions.files), ("sources", compositions.sources)):
        if any(one >= two for one, two in pairwise(table)):
            yield Finding("CMP-01", f"{PLACE}#/{name}", "paths strictly ascending", clip(table))
    if not uses_all(compositions.source, len(compositions.sources)):
        found = (
            f"{len(compositions.sources)} sources, codes up to {compositions.source.max(initial=0)}"
        )
        yield Finding("CMP-01", f"{PLACE}#/source", "codes that use every source", found)


def check_against(
    compositions: Compositions, stored: Mapping[str, int], composed: Mapping[str, int]
) -> Iterator[Finding]:
    """Findings where `compositions` do not fit the manifest's files with their sizes (bytes)."""
    yield from _check_files(compositions, composed)
    yield from _check_sources(compositions, stored)
    if set(compositions.sources) <= stored.keys():
        yield from _check_segments(compositions, stored)
    if set(compositions.files) <= composed.keys():
        yield from _check_sizes(compositions, composed)


@checks("CMP-02")
def _check_files(compositions: Compositions, composed: Mapping[str, int]) -> Iterator[Finding]:
    if set(compositions.files) != composed.keys():
        different = sorted(set(compositions.files) ^ composed.keys())
        yield Finding(
            "CMP-02",
            f"{PLACE}#/files",
            "exactly the composed files of the manifest",
            clip(different),
        )


@checks("CMP-03")
def _check_sources(compositions: Compositions, stored: Mapping[str, int]) -> Iterator[Finding]:
    for path in compositions.sources:
        if path not in stored:
            hint = "a composition names stored files only"
            yield Finding(
                "CMP-03", f"{PLACE}#/sources", "a stored file of the manifest", clip(path), hint
            )


@checks("CMP-04")
def _check_segments(compositions: Compositions, stored: Mapping[str, int]) -> Iterator[Finding]:
    sizes = np.array([stored[path] for path in compositions.sources], dtype=np.uint64)
    size = sizes[compositions.source] if sizes.size else np.zeros(0, np.uint64)
    length, offset = compositions.length, compositions.offset
    outside = (length > size) | (offset > size - np.minimum(length, size))
    for number in np.flatnonzero(outside).tolist():
        found = f"offset {offset[number]}, length {length[number]}, size {size[number]}"
        source = clip(compositions.sources[compositions.source[number]])
        yield Finding("CMP-04", f"{PLACE}#/offset/{number}", f"a range within {source!r}", found)


@checks("CMP-05")
def _check_sizes(compositions: Compositions, composed: Mapping[str, int]) -> Iterator[Finding]:
    place = f"{PLACE}#/length"
    if compositions.segments.min(initial=1) == 0 or compositions.length.min(initial=1) == 0:
        yield Finding("CMP-05", place, "segments in each file, bytes in each segment", "none")
    total = compositions.length.sum(dtype=np.float64)
    if total > LIMITS.safe_integer:
        yield Finding("CMP-05", place, "lengths that sum to less than 2^53", f"{total:.0f}")
        return
    for path, size in zip(compositions.files, compositions.sizes(), strict=True):
        if size != composed[path]:
            expected = f"segments of {composed[path]} bytes for {clip(path)!r}"
            yield Finding("CMP-05", f"{PLACE}#/files", expected, str(size))
    if _continues(compositions).any():
        expected = "segments joined where one continues another"
        yield Finding("CMP-05", f"{PLACE}#/offset", expected, "two apart")


def _continues(compositions: Compositions) -> NDArray[np.bool_]:
    source, offset, length = compositions.source, compositions.offset, compositions.length
    same = (source[1:] == source[:-1]) & (offset[1:] - offset[:-1] == length[:-1])
    first = np.zeros(len(source) + 1, dtype=bool)
    first[compositions.starts] = True
    continues: NDArray[np.bool_] = same & ~first[1:-1]
    return continues
