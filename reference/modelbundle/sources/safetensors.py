"""safetensors files, single or sharded with a `*.safetensors.index.json`.

    8 bytes: header length, little-endian | header: JSON | tensors, one after another

Every tensor already is a byte range. The header is read entry by entry, so memory stays near the
header's own size whatever it says. The ranges must tile the data exactly, as the format has it.
Layout: https://github.com/huggingface/safetensors#format

    artifact = read(Tree("net.safetensors", {"net.safetensors": blob}))
    artifact.tensors[0].names["safetensors"]
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import prod
from pathlib import PurePosixPath
from typing import Any, NamedTuple, overload

from modelbundle.core.blobs import Blob
from modelbundle.core.dtypes import element_bits
from modelbundle.core.findings import BundleError, checks, refuse
from modelbundle.core.limits import LIMITS
from modelbundle.core.paths import check_path
from modelbundle.sources.artifact import Artifact, ArtifactFile, ArtifactTensor, Component, Tree
from modelbundle.sources.json_scanner import Scanner

MEDIA_TYPE = "application/vnd.safetensors"
INDEX_SUFFIX = ".safetensors.index.json"

DTYPES = {
    "BOOL": "bool",
    "U8": "uint8", "U16": "uint16", "U32": "uint32", "U64": "uint64",
    "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64",
    "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64", "C64": "complex64",
    "F8_E5M2": "float8_e5m2", "F8_E4M3": "float8_e4m3fn", "F8_E8M0": "float8_e8m0fnu",
    "F8_E5M2FNUZ": "float8_e5m2fnuz", "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F4": "float4_e2m1fn_packed",
    "F6_E2M3": "float6_e2m3fn_packed", "F6_E3M2": "float6_e3m2fn_packed",
}  # fmt: skip
"""The format's dtype names to ours."""

_ENTRY_CHARACTERS = 4096
"""The longest JSON text of one tensor's entry; rank and sizes are bounded."""
_LENGTH_BYTES = 8
_METADATA_CHARACTERS = 1 << 16
"""How much metadata is repeated in the component's properties."""
_METADATA = "__metadata__"
_FIELDS = {"dtype", "shape", "data_offsets"}


class Entry(NamedTuple):
    """One tensor of a header; `start` and `stop` count from the end of the header (bytes)."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


class Entries(Sequence[Entry]):
    """Tensors of a header in its order, as columns: entries are made when they are asked for."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._dtypes: list[str] = []
        self._shapes: list[tuple[int, ...]] = []
        self._starts, self._stops = array("Q"), array("Q")
        self._known: dict[tuple[int, ...], tuple[int, ...]] = {}

    def append(self, entry: Entry) -> None:
        """Add the next one."""
        self._names.append(entry.name)
        self._dtypes.append(entry.dtype)
        self._shapes.append(self._known.setdefault(entry.shape, entry.shape))
        self._starts.append(entry.start)
        self._stops.append(entry.stop)

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, at: int) -> Entry: ...

    @overload
    def __getitem__(self, at: slice) -> list[Entry]: ...

    def __getitem__(self, at: int | slice) -> Entry | list[Entry]:
        if isinstance(at, slice):
            return [self[each] for each in range(len(self))[at]]
        return Entry(
            self._names[at], self._dtypes[at], self._shapes[at], self._starts[at], self._stops[at]
        )

    def __iter__(self) -> Iterator[Entry]:
        columns = self._names, self._dtypes, self._shapes, self._starts, self._stops
        return map(Entry, *columns)

    def by_range(self) -> Iterator[Entry]:
        """Ascending by start and stop."""
        starts, stops = self._starts, self._stops
        return map(
            self.__getitem__, sorted(range(len(self)), key=lambda at: (starts[at], stops[at]))
        )


@dataclass(frozen=True, slots=True)
class Header:
    """A header, read: tensors in its order, metadata, and where the data starts (bytes)."""

    entries: Entries
    metadata: Mapping[str, str] | None
    """None where there is so much that it would swell a manifest; the file has it in any case."""
    data_offset: int


def recognise(tree: Tree) -> bool:
    """Whether the source is a safetensors file or an index of shards, by content."""
    blob = tree.files.get(tree.root)
    if blob is None:
        return False
    if tree.root.endswith(INDEX_SUFFIX):
        return True
    return len(tree.files) == 1 and _looks_like_header(blob)


def _looks_like_header(blob: Blob) -> bool:
    head = blob.read(0, min(blob.size, _LENGTH_BYTES + 1))
    length = int.from_bytes(head[:_LENGTH_BYTES], "little")
    fits = 2 <= length <= min(LIMITS.safetensors_header_bytes, blob.size - _LENGTH_BYTES)
    return fits and head[_LENGTH_BYTES:] == b"{"


def companions(tree: Tree) -> tuple[str, ...]:
    """Names of the shards that stand beside an index; raises BundleError (STF-04)."""
    if not tree.root.endswith(INDEX_SUFFIX):
        return ()
    return tuple(sorted(set(_index(tree)[1].values())))


def read(tree: Tree) -> Artifact:
    """The source as an artifact; raises BundleError (STF-01 to STF-04)."""
    blob = tree.files[tree.root]
    if tree.root.endswith(INDEX_SUFFIX):
        return _read_sharded(tree, blob)
    header = read_header(blob, tree.root)
    properties = {} if header.metadata is None else {"metadata": dict(header.metadata)}
    component = Component(tree.root, "safetensors", (tree.root,), None, properties)
    file = ArtifactFile(tree.root, blob, MEDIA_TYPE)
    return Artifact((file,), tuple(tensors(header, tree.root)), (component,))


def tensors(header: Header, path: str) -> Iterator[ArtifactTensor]:
    """The tensors of the file at `path`, in the header's order."""
    for entry in header.entries:
        offset, length = header.data_offset + entry.start, entry.stop - entry.start
        names = {"safetensors": entry.name}
        yield ArtifactTensor(
            entry.name, entry.dtype, entry.shape, path, offset, length, names=names
        )


def read_header(blob: Blob, path: str) -> Header:
    """The header of a safetensors file, all of it checked; raises BundleError (STF-01 to -03)."""
    entries, metadata, data_offset = _parse(blob, path)
    _check_ranges(entries, path, blob.size - data_offset)
    return Header(entries, metadata, data_offset)


@checks("STF-01")
def _parse(blob: Blob, path: str) -> tuple[Entries, dict[str, str] | None, int]:
    """Entries of a header, its metadata, and where the data starts (bytes)."""
    if not _looks_like_header(blob):
        raise refuse("STF-01", f"{path}@0", "a header's length, then `{`", f"{blob.size} bytes")
    length = int.from_bytes(blob.read(0, _LENGTH_BYTES), "little")
    try:
        entries, metadata = _scan(_scanner(blob, _LENGTH_BYTES, length), path)
    except (ValueError, RecursionError) as error:
        raise refuse("STF-01", f"{path}@8", "a safetensors header", str(error)) from None
    return entries, metadata, _LENGTH_BYTES + length


def _scanner(blob: Blob, offset: int, size: int) -> Scanner:
    return Scanner(blob, offset, size, LIMITS.safetensors_string_characters)


def _scan(scanner: Scanner, path: str) -> tuple[Entries, dict[str, str] | None]:
    entries = Entries()
    metadata: dict[str, str] | None = {}
    for name in scanner.members(LIMITS.safetensors_members):
        if name == _METADATA:
            metadata = _metadata(scanner)
        else:
            entries.append(_entry(name, scanner.value(_ENTRY_CHARACTERS), path))
    scanner.finish()
    return entries, metadata


def _metadata(scanner: Scanner) -> dict[str, str] | None:
    found, size = {}, 0
    for key in scanner.members(LIMITS.safetensors_members):
        value = scanner.string()
        size += len(key) + len(value)
        if size <= _METADATA_CHARACTERS:
            found[key] = value
    return found if size <= _METADATA_CHARACTERS else None


def _entry(name: str, entry: Any, path: str) -> Entry:
    if not isinstance(entry, dict) or entry.keys() != _FIELDS:
        raise ValueError(f"{name!r} has not just dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or not _are_sizes(shape) or not _are_sizes(offsets):
        raise ValueError(f"{name!r} has a dtype, shape or data_offsets of another type")
    if len(shape) > LIMITS.rank or len(offsets) != 2:
        raise ValueError(f"{name!r} has rank {len(shape)} and {len(offsets)} offsets")
    if dtype not in DTYPES:
        raise _unknown_dtype(f"{path}#{name}", dtype)
    return Entry(name, DTYPES[dtype], tuple(shape), *offsets)


def _are_sizes(values: object) -> bool:
    return isinstance(values, list) and all(
        type(value) is int and 0 <= value <= LIMITS.safe_integer for value in values
    )


@checks("STF-03")
def _unknown_dtype(place: str, dtype: str) -> BundleError:
    return refuse("STF-03", place, "a dtype of the safetensors format", repr(dtype))


@checks("STF-02")
def _check_ranges(entries: Entries, path: str, size: int) -> None:
    """The ranges tile the `size` bytes after the header, each as long as dtype and shape say."""
    at = 0
    for entry in entries.by_range():
        place = f"{path}#{entry.name}"
        if entry.start != at or entry.stop < at:
            found = f"bytes {entry.start} to {entry.stop}"
            raise refuse("STF-02", place, f"a range that starts at {at}", found)
        bits = prod(entry.shape) * (element_bits(entry.dtype) or 0)
        if bits % 8 or entry.stop - entry.start != bits // 8:
            expected = f"{entry.dtype} of shape {list(entry.shape)}, {bits} bits"
            raise refuse("STF-02", place, expected, f"{entry.stop - entry.start} bytes")
        at = entry.stop
    if at != size:
        raise refuse("STF-02", path, f"tensors up to the end, {size}", f"tensors up to {at}")


def _read_sharded(tree: Tree, blob: Blob) -> Artifact:
    metadata, weight_map = _index(tree)
    paths_of = {shard: _shard_path(tree, shard) for shard in sorted(set(weight_map.values()))}
    stated = {name: paths_of[shard] for name, shard in weight_map.items()}
    shards = dict(_shards(tree, sorted(paths_of.values())))
    _check_weight_map(tree.root, stated, list(chain.from_iterable(shards.values())))
    files = [ArtifactFile(tree.root, blob, "application/json")]
    files += [ArtifactFile(path, tree.files[path], MEDIA_TYPE) for path in shards]
    properties = {"metadata": metadata, "shards": len(shards)}
    paths = tuple(file.path for file in files)
    component = Component(tree.root, "safetensors", paths, None, properties)
    return Artifact(tuple(files), tuple(chain.from_iterable(shards.values())), (component,))


def _shards(tree: Tree, paths: Iterable[str]) -> Iterator[tuple[str, list[ArtifactTensor]]]:
    """The tensors of each shard; raises BundleError where one has more than a set can have."""
    room = LIMITS.safetensors_members
    for path in paths:
        found = list(tensors(read_header(tree.files[path], path), path))
        room -= len(found)
        if room < 0:
            expected = f"at most {LIMITS.safetensors_members} tensors in all shards"
            raise _disagreement(tree.root, expected, "more")
        yield path, found


def _index(tree: Tree) -> tuple[dict[str, Any], dict[str, str]]:
    """Metadata of an index, and names of shards by tensor; raises BundleError (STF-04)."""
    try:
        metadata, weight_map = _scan_index(tree.files[tree.root])
    except (ValueError, RecursionError) as error:
        raise _disagreement(tree.root, "an index of safetensors shards", str(error)) from None
    for name in set(weight_map.values()):
        if "/" in name or next(check_path(name, tree.root), None):
            raise _disagreement(tree.root, "names of files beside the index", repr(name))
    return metadata, weight_map


@checks("STF-04")
def _disagreement(path: str, expected: str, found: str) -> BundleError:
    return refuse("STF-04", path, expected, found)


def _scan_index(blob: Blob) -> tuple[dict[str, Any], dict[str, str]]:
    if blob.size > LIMITS.safetensors_header_bytes:
        raise ValueError(f"{blob.size} bytes, limit {LIMITS.safetensors_header_bytes}")
    scanner = _scanner(blob, 0, blob.size)
    metadata: dict[str, Any] = {}
    weight_map: dict[str, str] = {}
    shards: dict[str, str] = {}
    for key in scanner.members(LIMITS.safetensors_members):
        if key == "weight_map":
            for name in scanner.members(LIMITS.safetensors_members):
                shard = scanner.string()
                weight_map[name] = shards.setdefault(shard, shard)  # one object for all its tensors
        elif key == "metadata" and isinstance(value := scanner.value(_ENTRY_CHARACTERS), dict):
            metadata = {key: member for key, member in value.items() if _is_plain(member)}
        elif key != "metadata":
            scanner.value(_ENTRY_CHARACTERS)
    scanner.finish()
    return metadata, weight_map


def _is_plain(value: object) -> bool:
    """Whether a value of an index's metadata can stand in a manifest; raises `ValueError`."""
    if isinstance(value, str):
        value.encode()
        return True
    return isinstance(value, int | float) and abs(value) <= LIMITS.safe_integer


def _shard_path(tree: Tree, name: str) -> str:
    path = str(PurePosixPath(tree.root).parent / name)
    if path not in tree.files:
        raise _disagreement(tree.root, f"the shard {name} beside the index", "no such file")
    return path


def _check_weight_map(path: str, stated: dict[str, str], listed: list[ArtifactTensor]) -> None:
    found = {tensor.name: tensor.path for tensor in listed}
    if len(found) != len(listed):
        raise _disagreement(path, "each tensor in one shard", "a tensor in two shards")
    for name in stated.keys() | found.keys():
        if stated.get(name) != found.get(name):
            expected = f"{name} in {found.get(name, 'no shard')}"
            raise _disagreement(path, expected, f"in {stated.get(name, 'no shard')}")
