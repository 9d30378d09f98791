"""The tensor index: every tensor of a bundle as a row, stored by columns.

Integer columns are packed little-endian `bin`s, so a million rows are decoded and checked by
array arithmetic; columns and names stay views of the file. Rows ascend by name; a row's bytes are
one range of one stored file.

    index = decode(data)
    index.names[0], index.row(0).shape
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from modelbundle.core import canonical_msgpack, digests, dtypes, paths
from modelbundle.core.findings import Finding, checks, clip, settle
from modelbundle.core.limits import LIMITS
from modelbundle.core.ranges import Ranges, distinct
from modelbundle.core.tables import uses_all
from modelbundle.core.texts import Texts

PLACE = paths.TENSORS

TensorRole = Literal["trainable", "non-trainable", "optimizer", "metric", "rng", "other"]
ROLES = frozenset({"trainable", "non-trainable", "optimizer", "metric", "rng", "other"})

U1, U4, U8 = np.dtype("<u1"), np.dtype("<u4"), np.dtype("<u8")
COLUMNS: dict[str, np.dtype[Any]] = {
    "dtype": U1, "file": U4, "length": U8, "offset": U8, "rank": U1, "role": U1, "shape": U8,
}  # fmt: skip
"""The integer columns with the type of their elements; all but `shape` have one a row."""

_CONTROL = re.compile(rb"[\x00-\x1f\x7f]|\xc2[\x80-\x9f]")
"""Control characters in UTF-8."""
_SUSPECT = re.compile(rb"[\x00-\x1f\x7f\xc2]")
"""Bytes of which each control character has one; a search for one byte is three times as fast."""
_SYSTEM = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")


@dataclass(frozen=True, slots=True)
class Namespace:
    """What one naming system of one component calls tensors: row `tensors[i]` is `names[i]`."""

    component: str
    system: str
    tensors: NDArray[np.uint32]
    names: Sequence[str]


@dataclass(frozen=True, slots=True)
class Row:
    """One tensor. `offset` and `length` are bytes in the stored file `file`."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: str
    offset: int
    length: int
    digest: str
    role: str


@dataclass(frozen=True)
class TensorIndex:
    """The decoded index; columns as in the file, `shape` flat with `rank` dimensions a row."""

    names: Sequence[str]
    dtypes: Sequence[str]
    files: Sequence[str]
    roles: Sequence[str]
    dtype: NDArray[np.uint8]
    rank: NDArray[np.uint8]
    shape: NDArray[np.uint64]
    file: NDArray[np.uint32]
    offset: NDArray[np.uint64]
    length: NDArray[np.uint64]
    digest: bytes | memoryview
    role: NDArray[np.uint8]
    namespaces: Sequence[Namespace] = ()
    attributes: Mapping[int, Mapping[str, str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def shape_start(self) -> NDArray[np.int64]:
        """Where each row's dimensions begin in `shape`; one more entry for the end."""
        return np.concatenate(([0], np.cumsum(self.rank, dtype=np.int64)))

    @cached_property
    def position(self) -> Mapping[str, int]:
        """Row number by name, for those who ask for many; see `find`."""
        return dict(zip(self.names, range(len(self.names)), strict=True))

    def find(self, name: str) -> int:
        """The row that is called `name`. Raises `KeyError`."""
        at = bisect_left(self.names, name)
        if at == len(self.names) or self.names[at] != name:
            raise KeyError(name)
        return at

    def row(self, number: int) -> Row:
        """Row `number` as values."""
        start, stop = self.shape_start[number : number + 2]
        return Row(
            self.names[number],
            self.dtypes[self.dtype[number]],
            tuple(self.shape[start:stop].tolist()),
            self.files[self.file[number]],
            int(self.offset[number]),
            int(self.length[number]),
            digests.of_raw(self.raw_digest(number)),
            self.roles[self.role[number]],
        )

    def raw_digest(self, number: int) -> bytes:
        """The 32 bytes of the digest of row `number`."""
        start = number * digests.DIGEST_BYTES
        return bytes(self.digest[start : start + digests.DIGEST_BYTES])

    def distinct_bytes(self) -> int:
        """Sum of the lengths of the distinct ranges (bytes)."""
        return int(self.ranges.length.sum())

    @cached_property
    def ranges(self) -> Ranges:
        """Each range that is not empty once."""
        return distinct(self.file, self.offset, self.length)


def encode(index: TensorIndex) -> bytes:
    """The canonical bytes of `index`; as long whatever its digests are."""
    value: dict[str, Any] = {
        "count": len(index),
        "names": list(index.names),
        "dtypes": list(index.dtypes),
        "files": list(index.files),
        "roles": list(index.roles),
        "digest": index.digest,
        "namespaces": [
            {
                "component": space.component,
                "system": space.system,
                "tensors": np.asarray(space.tensors, U4).tobytes(),
                "names": list(space.names),
            }
            for space in index.namespaces
        ],
        "attributes": [
            {"tensor": row, "values": dict(index.attributes[row])}
            for row in sorted(index.attributes)
        ],
    }
    for name, dtype in COLUMNS.items():
        value[name] = np.asarray(getattr(index, name), dtype).tobytes()
    return canonical_msgpack.encode(value)


def decode(data: bytes, *, newer: bool = False) -> TensorIndex:
    """The index that `data` holds, refused where it breaks a rule on its own (TEN, MSG).

    `newer`: the bundle is of a newer minor version, whose unknown members are ignored (VER-02).
    """
    value = canonical_msgpack.decode(data, PLACE, views=True)
    settle(_check_members(value, newer))
    settle(_check_columns(value))
    settle(_check_attributes(value["attributes"], value["count"]))
    index = _build(value)
    settle(_check_rows(index))
    return index


_MEMBERS = {
    "attributes": "array", "count": "integer", "digest": "bin", "dtypes": "array of str",
    "files": "array of str", "names": "array of str", "namespaces": "array",
    "roles": "array of str", **dict.fromkeys(COLUMNS, "bin"),
}  # fmt: skip
_NAMESPACE = {
    "component": "str", "names": "array of str", "system": "str", "tensors": "bin",
}  # fmt: skip
_ATTRIBUTE = {"tensor": "integer", "values": "map"}

_TYPES = {"integer": int, "bin": memoryview, "str": str, "map": dict}


def _is(value: Any, kind: str) -> bool:
    """Whether `value` is what an index has, decoded with views, for a member of this kind."""
    if kind == "array of str":
        return isinstance(value, Texts) or value == []
    return isinstance(value, list | Texts) if kind == "array" else type(value) is _TYPES[kind]


@checks("TEN-01")
def _check_members(value: dict[str, Any], newer: bool) -> Iterator[Finding]:
    for name, kind in _MEMBERS.items():
        if not _is(found := value.get(name), kind):
            yield Finding("TEN-01", f"{PLACE}#/{name}", f"a member of type {kind}", clip(found))
    for name in () if newer else sorted(value.keys() - _MEMBERS.keys()):
        yield Finding("TEN-01", PLACE, "no other members", clip(name))
    for name, members in (("namespaces", _NAMESPACE), ("attributes", _ATTRIBUTE)):
        items = value.get(name)
        for at, item in enumerate(items if isinstance(items, list | Texts) else ()):
            if not _has(item, members, newer):
                expected = f"members {', '.join(members)}"
                yield Finding("TEN-01", f"{PLACE}#/{name}/{at}", expected, clip(item))


def _has(item: Any, members: Mapping[str, str], newer: bool) -> bool:
    return (
        isinstance(item, dict)
        and item.keys() >= members.keys()
        and (newer or len(item) == len(members))
        and all(_is(item[name], kind) for name, kind in members.items())
    )


@checks("TEN-02")
def _check_columns(value: dict[str, Any]) -> Iterator[Finding]:
    count = value["count"]
    wanted = {name: count * dtype.itemsize for name, dtype in COLUMNS.items() if name != "shape"}
    wanted["digest"] = count * digests.DIGEST_BYTES
    if len(value["rank"]) == count:
        wanted["shape"] = int(np.frombuffer(value["rank"], U1).sum(dtype=np.int64)) * U8.itemsize
    for name, size in wanted.items():
        if len(value[name]) != size:
            yield Finding("TEN-02", f"{PLACE}#/{name}", f"{size} bytes", str(len(value[name])))
    if len(value["names"]) != count:
        yield Finding("TEN-02", f"{PLACE}#/names", f"{count} names", str(len(value["names"])))
    for at, space in enumerate(value["namespaces"]):
        if len(space["tensors"]) != U4.itemsize * len(space["names"]):
            found = f"{len(space['tensors'])} bytes for {len(space['names'])} names"
            yield Finding("TEN-02", f"{PLACE}#/namespaces/{at}", "four bytes a name", found)


def _build(value: dict[str, Any]) -> TensorIndex:
    columns = {name: np.frombuffer(value[name], dtype) for name, dtype in COLUMNS.items()}
    return TensorIndex(
        names=value["names"] or Texts(),
        dtypes=list(value["dtypes"]),
        files=list(value["files"]),
        roles=list(value["roles"]),
        digest=value["digest"],
        namespaces=[
            Namespace(
                space["component"],
                space["system"],
                np.frombuffer(space["tensors"], U4),
                space["names"] or Texts(),
            )
            for space in value["namespaces"]
        ],
        attributes={item["tensor"]: item["values"] for item in value["attributes"]},
        **columns,
    )


def _check_rows(index: TensorIndex) -> Iterator[Finding]:
    yield from _check_names(index)
    yield from _check_tables(index)
    if any(code.size and code.max() >= len(table) for code, table in _coded(index)):
        return
    yield from _check_vocabularies(index)
    yield from _check_lengths(index)
    yield from _check_namespaces(index)


@checks("TEN-03")
def _check_names(index: TensorIndex) -> Iterator[Finding]:
    place, names = f"{PLACE}#/names", _texts(index.names)
    at = names.ascending_up_to()
    if at < len(names):
        found = f"{clip(names[at], 80)!r} after {clip(names[at - 1], 80)!r}"
        yield Finding("TEN-03", f"{place}/{at}", "names strictly ascending by their bytes", found)
    yield from _check_texts(names, place, "TEN-03")


def _texts(names: Sequence[str]) -> Texts:
    """Names as `decode` made them."""
    assert isinstance(names, Texts)
    return names


def _check_texts(names: Texts, place: str, rule: str) -> Iterator[Finding]:
    lengths = names.lengths()
    fit = lengths.min(initial=1) and lengths.max(initial=1) <= LIMITS.name_bytes
    if fit and not any(map(_SUSPECT.search, names.blocks())):
        return
    for at, name in enumerate(names.pieces()):
        if not 0 < len(name) <= LIMITS.name_bytes or _CONTROL.search(name):
            expected = f"1 to {LIMITS.name_bytes} bytes without control characters"
            yield Finding(rule, f"{place}/{at}", expected, clip(name.decode()))


def _coded(index: TensorIndex) -> tuple[tuple[NDArray[Any], Sequence[str]], ...]:
    return (index.dtype, index.dtypes), (index.file, index.files), (index.role, index.roles)


@checks("TEN-05")
def _check_tables(index: TensorIndex) -> Iterator[Finding]:
    for (codes, table), name in zip(_coded(index), ("dtypes", "files", "roles"), strict=True):
        if not uses_all(codes, len(table)):
            found = f"{len(table)} entries, codes up to {codes.max(initial=0)}"
            yield Finding("TEN-05", f"{PLACE}#/{name}", "a table whose every entry is used", found)
        if any(one >= two for one, two in pairwise(table)):
            yield Finding("TEN-05", f"{PLACE}#/{name}", "entries strictly ascending", clip(table))


@checks("TEN-04", "TEN-12")
def _check_vocabularies(index: TensorIndex) -> Iterator[Finding]:
    for dtype in index.dtypes:
        if not dtypes.is_known(dtype):
            yield Finding("TEN-04", f"{PLACE}#/dtypes", "a dtype of the standard", clip(dtype))
    for role in index.roles:
        if role not in ROLES:
            yield Finding(
                "TEN-12", f"{PLACE}#/roles", f"one of {', '.join(sorted(ROLES))}", clip(role)
            )


@checks("TEN-08")
def _check_lengths(index: TensorIndex) -> Iterator[Finding]:
    """Length against shape and dtype; float64 is exact below 2^53, larger ones go one by one."""
    if index.rank.max(initial=0) > LIMITS.rank:
        expected = f"at most {LIMITS.rank} dimensions"
        yield Finding("TEN-08", f"{PLACE}#/rank", expected, str(index.rank.max()))
        return
    elements = _elements(index)
    bits = elements * np.array([_bits(name) for name in index.dtypes], np.float64)[index.dtype]
    is_string = np.array([name == dtypes.STRING for name in index.dtypes], bool)[index.dtype]
    length = index.length.astype(np.float64)
    of_string = np.where(elements == 0, length != 4, length < elements + 4)
    doubtful = np.where(is_string, of_string, length != np.ceil(bits / 8))
    doubtful |= (np.maximum(bits, elements) >= 2.0**53) | (length >= 2.0**53)
    for number in np.flatnonzero(doubtful).tolist():
        row = index.row(number)
        if not _has_its_length(row):
            found = f"{row.length} bytes for {row.dtype} {list(row.shape)}"
            expected = "the length that dtype and shape imply"
            yield Finding("TEN-08", f"{PLACE}#/length/{number}", expected, clip(found))


def _bits(dtype: str) -> int:
    bits = dtypes.element_bits(dtype) if dtypes.is_known(dtype) else None
    return bits or 0


def _elements(index: TensorIndex) -> NDArray[np.float64]:
    """Product of each row's dimensions, as float64; infinite beyond its range."""
    product = np.ones(len(index), dtype=np.float64)
    empty = np.zeros(len(index), dtype=bool)
    with np.errstate(over="ignore", invalid="ignore"):
        for axis in range(int(index.rank.max(initial=0))):
            has = index.rank > axis
            dimension = index.shape[index.shape_start[:-1][has] + axis]
            product[has] *= dimension
            empty[has] |= dimension == 0
    product[empty] = 0
    return product


def _has_its_length(row: Row) -> bool:
    if not dtypes.is_known(row.dtype):
        return True  # TEN-04 says so
    if row.length > LIMITS.safe_integer:
        return False
    wanted = dtypes.byte_length(row.dtype, row.shape)
    if wanted is not None:
        return row.length == wanted
    elements = prod(row.shape)
    return row.length >= elements + 4 if elements else row.length == 4


@checks("TEN-11")
def _check_namespaces(index: TensorIndex) -> Iterator[Finding]:
    keys = [(space.system, space.component) for space in index.namespaces]
    place = f"{PLACE}#/namespaces"
    if any(one >= two for one, two in pairwise(keys)):
        yield Finding(
            "TEN-11",
            place,
            "namespaces ascending by system and component, each once",
            "another order",
        )
    for at, space in enumerate(index.namespaces):
        here = f"{place}/{at}"
        if not _SYSTEM.fullmatch(space.system):
            yield Finding(
                "TEN-11", f"{here}/system", "lower-case words joined by dots", clip(space.system)
            )
        rows = space.tensors.astype(np.int64)
        if rows.size == 0 or (np.diff(rows) <= 0).any() or rows.max(initial=0) >= len(index):
            yield Finding(
                "TEN-11",
                f"{here}/tensors",
                "rows of the index, strictly ascending, one at least",
                "others",
            )
        names = _texts(space.names)
        if names.repeats():
            yield Finding("TEN-11", f"{here}/names", "each name once", "a name twice")
        yield from _check_texts(names, f"{here}/names", "TEN-11")


@checks("TEN-15")
def _check_attributes(items: Sequence[dict[str, Any]], count: int) -> Iterator[Finding]:
    place = f"{PLACE}#/attributes"
    if any(one["tensor"] >= two["tensor"] for one, two in pairwise(items)):
        yield Finding("TEN-15", place, "rows strictly ascending", "another order")
    for at, item in enumerate(items):
        row, values = item["tensor"], item["values"]
        if row >= count or set(map(type, values.values())) != {str}:
            expected = f"a row below {count}, and strings"
            yield Finding("TEN-15", f"{place}/{at}", expected, clip(item))
        for key in values:
            if not 0 < len(key.encode()) <= LIMITS.name_bytes:
                expected = f"keys of 1 to {LIMITS.name_bytes} bytes"
                yield Finding("TEN-15", f"{place}/{at}", expected, clip(key))


def check_against(
    index: TensorIndex, files: Mapping[str, int], components: frozenset[str]
) -> Iterator[Finding]:
    """Findings where `index` does not fit its bundle: sizes of stored files, ids of components."""
    yield from _check_files(index, files)
    if all(path in files for path in index.files):
        yield from _check_ranges(index, files)
    yield from _check_overlaps(index)
    for space in index.namespaces:
        yield from _check_component(space, components)


@checks("TEN-07")
def _check_files(index: TensorIndex, files: Mapping[str, int]) -> Iterator[Finding]:
    for at, path in enumerate(index.files):
        if path not in files:
            yield Finding(
                "TEN-07", f"{PLACE}#/files/{at}", "a stored file of the manifest", clip(path)
            )


@checks("TEN-06")
def _check_ranges(index: TensorIndex, files: Mapping[str, int]) -> Iterator[Finding]:
    size = np.array([files[path] for path in index.files], dtype=np.uint64)[index.file]
    outside = (index.length > size) | (index.offset > size - np.minimum(index.length, size))
    for number in np.flatnonzero(outside).tolist():
        row = index.row(number)
        found = f"offset {row.offset}, length {row.length}, size {files[row.file]}"
        yield Finding(
            "TEN-06", f"{PLACE}#/offset/{number}", f"a range within {clip(row.file)!r}", found
        )


@checks("TEN-09")
def _check_overlaps(index: TensorIndex) -> Iterator[Finding]:
    file, offset, length = index.ranges.file, index.ranges.offset, index.ranges.length
    overlap = (file[1:] == file[:-1]) & (offset[1:] - offset[:-1] < length[:-1])
    for at in np.flatnonzero(overlap).tolist():
        path = clip(index.files[file[at]])
        found = f"{offset[at]}+{length[at]}, {offset[at + 1]}+{length[at + 1]} in {path!r}"
        yield Finding("TEN-09", f"{PLACE}#/offset", "ranges that are the same or apart", found)


@checks("TEN-16")
def _check_component(space: Namespace, components: frozenset[str]) -> Iterator[Finding]:
    if space.component not in components:
        yield Finding(
            "TEN-16", f"{PLACE}#/namespaces", "the id of a component", clip(space.component)
        )
