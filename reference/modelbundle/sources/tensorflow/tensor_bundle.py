"""The tensor bundle: TensorFlow's V2 checkpoint files, `PREFIX.index` and its data shards.

The index is a table (`leveldb_table`) of a BundleHeaderProto under the empty key and one
BundleEntryProto a tensor. A shard is the tensors' little-endian bytes, one after another; a string
tensor is its lengths as varints, a masked crc32c of them, then the strings. A variable that was
saved in slices has an entry with their extents, and one entry a slice under an encoded key.

Reading the index touches no shard. `verify` reads the tensors and holds them to their crc32c.
Layout: tensorflow/core/protobuf/tensor_bundle.proto and tensorflow/core/util/tensor_bundle.

    bundle = read_bundle(tree.files, "ckpt-1")
    bundle.entries["dense/kernel"].offset
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice, pairwise
from math import prod
from typing import Any

import google_crc32c

from modelbundle.core.blobs import CHUNK_BYTES, Blob
from modelbundle.core.dtypes import STRING, byte_length
from modelbundle.core.findings import checks, refuse
from modelbundle.core.limits import LIMITS
from modelbundle.sources.protobuf_wire import BOOL, INT, SIZE, UINT, Message, WireError, varint
from modelbundle.sources.tensorflow import leveldb_table

INDEX_SUFFIX = ".index"
SHARD_MARK = ".data-"
"""What stands between a prefix and a shard's number."""

DTYPES = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 7: "string",
    8: "complex64", 9: "int64", 10: "bool", 11: "qint8", 12: "quint8", 13: "qint32",
    14: "bfloat16", 15: "qint16", 16: "quint16", 17: "uint16", 18: "complex128", 19: "float16",
    22: "uint32", 23: "uint64", 24: "float8_e5m2", 25: "float8_e4m3fn", 26: "float8_e4m3fnuz",
    27: "float8_e4m3b11fnuz", 28: "float8_e5m2fnuz", 29: "int4", 30: "uint4", 31: "int2",
    32: "uint2",
}  # fmt: skip
"""TensorFlow's DataType numbers to our names (tensorflow/core/framework/types.proto)."""
HANDLES = {20: "resource", 21: "variant"}
"""DataType numbers of values that only live in a process."""

SHAPE = {2: ("dims", {1: ("size", SIZE)}, True), 3: ("unknown_rank", BOOL)}
"""TensorShapeProto."""
_HEADER = {
    1: ("shards", UINT),
    2: ("endianness", UINT),
    3: ("version", {1: ("producer", INT), 2: ("min_consumer", INT)}),
}
_EXTENT = {1: ("start", INT), 2: ("length", INT)}
_ENTRY = {
    1: ("dtype", UINT),
    2: ("shape", SHAPE),
    3: ("shard", UINT),
    4: ("offset", UINT),
    5: ("size", UINT),
    6: ("crc32c", UINT),
    7: ("slices", {1: ("extents", _EXTENT, True)}, True),
}
_VERSION = 1
"""The newest tensor bundle version that this module knows."""
_SLICE = b"\0"
"""How the keys of slices start."""
_FULL = -1
"""The length of an extent that takes in a whole dimension."""

Extent = tuple[int, int]
"""Start and length of a slice along one dimension."""
_Slice = tuple[list[Extent], "Entry"]
_MAX_CUTS = 64
"""Cuts within cuts: MaxShardSizePolicy of TensorFlow fills a shard along one axis, then another."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One tensor: where its bytes are (`shard` counts from 0), and its unmasked crc32c."""

    key: str
    dtype: str
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc32c: int


@dataclass(frozen=True, slots=True)
class Sliced:
    """A tensor saved in slices: cut along `axis` into parts, of which some are cut further."""

    key: str
    dtype: str
    shape: tuple[int, ...]
    axis: int
    parts: tuple[Entry | Sliced, ...]

    @property
    def slices(self) -> tuple[Entry, ...]:
        """The slices, those of one part after those of another."""
        return tuple(
            entry
            for part in self.parts
            for entry in (part.slices if isinstance(part, Sliced) else (part,))
        )


@dataclass(frozen=True, slots=True)
class Bundle:
    """One checkpoint: the bundle paths of its files, and what its index lists, by key."""

    index: str
    shards: tuple[str, ...]
    entries: Mapping[str, Entry] = field(default_factory=dict)
    sliced: Mapping[str, Sliced] = field(default_factory=dict)

    @property
    def paths(self) -> tuple[str, ...]:
        """Index and shards."""
        return (self.index, *self.shards)


def read_bundle(files: Mapping[str, Blob], prefix: str) -> Bundle:
    """The checkpoint at `prefix`; raises BundleError (TFC-01, 02, 04, 05, 06, 08)."""
    index = prefix + INDEX_SUFFIX
    rows = _rows(files[index], index)
    shards = _shards(files, prefix, _shard_count(next(rows, None), index))
    sizes = [files[path].size for path in shards]
    entries: dict[str, Entry] = {}
    pieces: dict[bytes, Entry] = {}
    whole: dict[bytes, dict[str, Any]] = {}
    for key, row in rows:
        if row.get("slices"):
            whole[key] = row
        elif key.startswith(_SLICE):
            pieces[key] = _entry(key, row, index, sizes)
        else:
            entry = _entry(key, row, index, sizes)
            entries[entry.key] = entry
    return Bundle(index, shards, entries, _sliced(whole, pieces, index))


@checks("TFC-01")
def _rows(blob: Blob, path: str) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """The rows of the index: the header under the empty key, then the entries by key."""
    if blob.size > LIMITS.table_bytes:
        expected = f"at most {LIMITS.table_bytes} bytes"
        raise refuse("TFC-01", path, expected, f"{blob.size} bytes")
    key = b""
    try:
        for key, value in leveldb_table.entries(blob):
            if not key.startswith(_SLICE):
                key.decode()
            yield key, Message.of(value).decode(_ENTRY if key else _HEADER)
    except leveldb_table.TableError as error:
        place = f"{path}@{error.offset}"
        raise refuse("TFC-01", place, error.expected, str(error), error.hint) from None
    except (WireError, UnicodeDecodeError) as error:
        place = f"{path}#{key.decode(errors='replace')}"
        raise refuse("TFC-01", place, "an entry of a tensor bundle", str(error)) from None


@checks("TFC-06")
def _shard_count(first: tuple[bytes, dict[str, Any]] | None, path: str) -> int:
    """How many shards the header tells of; the bundle is little-endian and of a known version."""
    key, header = first or (None, {})
    if key != b"":
        raise refuse("TFC-06", path, "a header under the empty key", f"{key!r}")
    if header.get("endianness", 0):
        hint = "Save the checkpoint again on a little-endian machine."
        raise refuse("TFC-06", path, "a little-endian bundle", "a big-endian one", hint)
    oldest = header.get("version", {}).get("min_consumer", 0)
    if oldest > _VERSION:
        raise refuse("TFC-06", path, f"version {_VERSION} of the tensor bundle", f"{oldest}")
    return int(header.get("shards", 0))


@checks("TFC-02")
def _shards(files: Mapping[str, Blob], prefix: str, count: int) -> tuple[str, ...]:
    """Paths of the `count` shards, all of them in the tree."""
    if not count:
        raise refuse("TFC-02", prefix + INDEX_SUFFIX, "at least one shard", "0")
    paths = []
    for number in range(count):
        path = f"{prefix}{SHARD_MARK}{number:05d}-of-{count:05d}"
        if path not in files:
            hint = "Give every file of the checkpoint: the index and all of its data files."
            raise refuse("TFC-02", path, f"{count} shards", "no such file", hint)
        paths.append(path)
    return tuple(paths)


def _entry(key: bytes, row: Mapping[str, Any], index: str, sizes: list[int]) -> Entry:
    name = key.decode(errors="backslashreplace")
    place = f"{index}#{name}"
    dtype = _dtype(row.get("dtype", 0), place)
    shape = tuple(dim.get("size", 0) for dim in row.get("shape", {}).get("dims", ()))
    shard, offset, size = row.get("shard", 0), row.get("offset", 0), row.get("size", 0)
    crc = leveldb_table.unmask(row.get("crc32c", 0) & 0xFFFFFFFF)
    entry = Entry(name, dtype, shape, shard, offset, size, crc)
    _check_range(entry, place, None if "slices" in row else sizes)
    return entry


@checks("TFC-05")
def _dtype(number: int, place: str) -> str:
    """Our name of TensorFlow's DataType `number`; a reference type is saved as its value."""
    number = number - 100 if number > 100 else number
    if number not in DTYPES:
        found = HANDLES.get(number, f"DataType {number}")
        hint = "Save without it: only its process can read such a value." * (number in HANDLES)
        raise refuse("TFC-05", place, "a dtype with plain bytes", found, hint)
    return DTYPES[number]


@checks("TFC-04")
def _check_range(entry: Entry, place: str, sizes: list[int] | None) -> None:
    """The shape is full and the range, unless the tensor is in slices, lies in its shard."""
    shape, size, end = entry.shape, entry.size, entry.offset + entry.size
    if len(shape) > LIMITS.rank or any(dim < 0 for dim in shape):
        raise refuse("TFC-04", place, f"a full shape, rank {LIMITS.rank} at most", f"{shape}")
    if sizes is None:
        return
    if entry.shard >= len(sizes) or end > sizes[entry.shard]:
        found = f"bytes {entry.offset} to {end} of shard {entry.shard}"
        raise refuse("TFC-04", place, f"a range in {len(sizes)} shards", found)
    length = byte_length(entry.dtype, shape)
    if size < prod(shape) + 4 if length is None else size != length:
        least = f"{length} bytes" if length is not None else f"{prod(shape) + 4} bytes or more"
        expected = f"{least} of {entry.dtype} {list(shape)}"
        raise refuse("TFC-04", place, expected, f"{size} bytes")


@checks("TFC-08")
def _sliced(
    rows: Mapping[bytes, Mapping[str, Any]], pieces: dict[bytes, Entry], index: str
) -> dict[str, Sliced]:
    """Sliced tensors by key; their slices tile them, and no slice is left over."""
    result = {}
    unused = dict(pieces)
    for key, row in rows.items():
        whole = _entry(key, row, index, [])
        try:
            result[whole.key] = _tiled(whole, key, row["slices"], unused)
        except ValueError as error:
            expected = f"slices that tile {list(whole.shape)}, by cuts from side to side"
            raise refuse("TFC-08", f"{index}#{whole.key}", expected, str(error)) from None
    if unused:
        raise refuse("TFC-08", index, "slices of listed tensors", f"{next(iter(unused))!r}")
    return result


def _tiled(whole: Entry, key: bytes, slices: list[Any], unused: dict[bytes, Entry]) -> Sliced:
    """`whole` by its slices, taken out of `unused`; raises `ValueError`."""
    found: list[_Slice] = []
    for row in slices:
        extents = [(e.get("start", 0), e.get("length", _FULL)) for e in row.get("extents", ())]
        entry = unused.pop(slice_key(key, extents), None)
        if entry is None or len(extents) != len(whole.shape) or entry.dtype != whole.dtype:
            raise ValueError(f"slice {extents} is missing or another tensor's")
        found.append((_resolved(extents, whole.shape), entry))
        if entry.shape != tuple(length for _, length in found[-1][0]):
            raise ValueError(f"slice {extents} of shape {list(entry.shape)}")
    if whole.dtype == STRING and len(found) > 1:
        raise ValueError("strings in several slices")
    tree = _cut(whole, [(0, dim) for dim in whole.shape], found)
    if isinstance(tree, Sliced):
        return tree
    return Sliced(whole.key, whole.dtype, whole.shape, 0, (tree,))


def _resolved(extents: list[Extent], shape: tuple[int, ...]) -> list[Extent]:
    return [
        (0, dim) if length == _FULL and not start else (start, length)
        for (start, length), dim in zip(extents, shape, strict=True)
    ]


def _cut(
    whole: Entry, box: list[Extent], slices: list[_Slice], depth: int = _MAX_CUTS
) -> Entry | Sliced:
    """The slices that fill `box`, cut from side to side, then each part so; raises `ValueError`."""
    if [extents for extents, _ in slices] == [box]:
        return slices[0][1]
    for axis, (start, length) in enumerate(box if depth else ()):
        groups = _groups(slices, axis)
        if len(groups) > 1:
            bounds = [start, *(group[0][0][axis][0] for group in groups[1:]), start + length]
            sides = [(one, other - one) for one, other in pairwise(bounds)]
            parts = (
                _cut(whole, [*box[:axis], side, *box[axis + 1 :]], group, depth - 1)
                for side, group in zip(sides, groups, strict=True)
            )
            shape = tuple(size for _, size in box)
            return Sliced(whole.key, whole.dtype, shape, axis, tuple(parts))
    raise ValueError(f"slice {slices[0][0]} to fill {box}")


def _groups(slices: list[_Slice], axis: int) -> list[list[_Slice]]:
    """Slices in order along `axis`, parted where no slice goes on."""
    groups: list[list[_Slice]] = []
    end = 0
    for each in sorted(slices, key=lambda item: item[0][axis]):
        start, length = each[0][axis]
        if start >= end or not groups:
            groups.append([])
        groups[-1].append(each)
        end = max(end, start + length)
    return groups


def slice_key(name: bytes, extents: list[Extent]) -> bytes:
    """The key that a slice is stored under (EncodeTensorNameSlice, as an OrderedCode)."""
    escapes = {0: b"\x00\xff", 255: b"\xff\x00"}
    escaped = b"".join(escapes.get(byte, bytes([byte])) for byte in name)
    numbers = b"".join(_ordered(number) for extent in extents for number in extent)
    return b"\0" + escaped + b"\0\1" + _count(len(extents)) + numbers


def _count(value: int) -> bytes:
    """An unsigned number as an OrderedCode: its length in bytes, then the bytes, highest first."""
    length = (value.bit_length() + 7) // 8
    return bytes([length]) + value.to_bytes(length, "big")


def _ordered(value: int) -> bytes:
    """A signed number as an OrderedCode: seven bits a byte, the length in the first bits."""
    length = 1 + (value if value >= 0 else ~value).bit_length() // 7
    data = value.to_bytes(max(length, 8) + 2, "big", signed=True)[-length:]
    header = (0xFFFF << (16 - length)) & 0xFFFF
    mask = header >> 8, header & 0xFF
    return bytes(byte ^ m for byte, m in zip(data, (*mask, *bytes(length)), strict=False))


def verify(files: Mapping[str, Blob], bundle: Bundle) -> None:
    """Read every tensor and slice and hold it to its crc32c; raises BundleError (TFC-03)."""
    slices = (entry for whole in bundle.sliced.values() for entry in whole.slices)
    for entry in (*bundle.entries.values(), *slices):
        check_crc32c(files[bundle.shards[entry.shard]], entry, bundle.shards[entry.shard])


@checks("TFC-03")
def check_crc32c(shard: Blob, entry: Entry, path: str) -> None:
    """The bytes of `entry` in `shard` are those that were saved; raises BundleError (TFC-03)."""
    place = f"{path}@{entry.offset}"
    crc = 0
    try:
        for piece in _checksummed(shard, entry):
            crc = google_crc32c.extend(crc, piece)
    except WireError as error:
        raise refuse("TFC-03", place, "lengths of strings", str(error)) from None
    if crc != entry.crc32c:
        expected = f"crc32c {entry.crc32c:08x} of {entry.key}"
        hint = "The checkpoint is damaged; take another copy of it."
        raise refuse("TFC-03", place, expected, f"{crc:08x}", hint)


def _checksummed(shard: Blob, entry: Entry) -> Iterator[bytes]:
    """The bytes that the crc32c of a tensor is taken over, in order."""
    start, end = entry.offset, entry.offset + entry.size
    if entry.dtype == STRING:
        total = 4
        for lengths, after in _string_lengths(shard, entry):
            # Lengths count as fixed-width integers, whatever their varints take.
            yield b"".join(
                length.to_bytes(8 if length >> 32 else 4, "little") for length in lengths
            )
            start, total = after, total + sum(lengths)
        if start + total != end:
            raise WireError(entry.offset, f"{total} bytes of strings, {end - start} stored")
    for at in range(start, end, CHUNK_BYTES):
        yield shard.read(at, min(CHUNK_BYTES, end - at))


def _string_lengths(shard: Blob, entry: Entry) -> Iterator[tuple[list[int], int]]:
    """Batches of a string tensor's lengths, each with the offset after it."""
    left, at, end = prod(entry.shape), entry.offset, entry.offset + entry.size
    while left:
        data = shard.read(at, min(CHUNK_BYTES, end - at))
        lengths, used = [], 0
        for _ in islice(range(left), 0, max(1, len(data) // 10)):
            length, used = varint(data, used, len(data))
            lengths.append(length)
        left, at = left - len(lengths), at + used
        yield lengths, at


def string_scalar(shard: Blob, entry: Entry) -> tuple[int, int]:
    """Start and end in the shard of the one string of `entry`; raises `WireError`."""
    end = entry.offset + entry.size
    head = shard.read(entry.offset, min(10, entry.size))
    length, at = varint(head, 0, len(head))
    start = entry.offset + at + 4
    if entry.dtype != STRING or entry.shape or start + length != end:
        raise WireError(entry.offset, f"{entry.dtype} {list(entry.shape)}, {entry.size} bytes")
    return start, end
