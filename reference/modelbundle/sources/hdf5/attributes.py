"""Attributes: small values beside a group or a dataset, read when they are asked for.

attributes = read_attributes(source, header, heaps)
attributes["layer_names"].strings()      # [b"dense", b"dense_1"]
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from modelbundle.core.dtypes import to_numpy
from modelbundle.core.findings import BundleError, checks, clip, refuse
from modelbundle.core.limits import LIMITS
from modelbundle.sources.hdf5.btrees import records_v2
from modelbundle.sources.hdf5.datatypes import (
    PAD_NUL_TERMINATED,
    PAD_SPACE,
    STRING,
    VARIABLE,
    Datatype,
)
from modelbundle.sources.hdf5.headers import ATTRIBUTE, ATTRIBUTE_INFO, Header, Message
from modelbundle.sources.hdf5.heaps import FractalHeap, GlobalHeaps
from modelbundle.sources.hdf5.messages import Dataspace
from modelbundle.sources.hdf5.source import Cursor, Source

if TYPE_CHECKING:
    from modelbundle.sources.hdf5.shared import Shared

_KINDS = frozenset({ATTRIBUTE, ATTRIBUTE_INFO})
_NONE: list[Message] = []
_NAME_RECORDS = 8
_STRING_OVERHEAD_BYTES = 64


class AttributeBudget:
    """Bytes of attributes that may still be read, over one file."""

    def __init__(self) -> None:
        self.left = LIMITS.hdf5_attribute_bytes

    @checks("HDF-07")
    def spend(self, size: int, what: str) -> None:
        """Count `size` bytes; raises BundleError (HDF-07) beyond the limit."""
        self.left -= size
        if self.left < 0:
            raise refuse(
                "HDF-07",
                what,
                f"at most {LIMITS.hdf5_attribute_bytes} bytes of attributes in a file",
                "more",
                "the file is no model, or made to exhaust memory",
            )


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute: what it is, and its bytes as stored."""

    name: str
    place: str
    datatype: Datatype
    shape: tuple[int, ...]
    raw: bytes
    heaps: GlobalHeaps
    source: Source
    budget: AttributeBudget

    def strings(self) -> list[bytes]:
        """The strings of an attribute of any shape, in C order; [] where it has no elements.

        Raises BundleError (HDF-07) where elements are not strings.
        """
        if not prod(self.shape):
            return []
        if self.datatype.kind == STRING:
            return [
                self._unpad(self.raw[at : at + self.datatype.size])
                for at in range(0, len(self.raw), self.datatype.size)
            ]
        if self.datatype.kind == VARIABLE and self.datatype.is_text:
            return self._variable_strings()
        raise self._unreadable("strings")

    def string(self) -> bytes:
        """The one string of a scalar attribute; raises BundleError (HDF-07) for anything else."""
        strings = self.strings()
        if len(strings) != 1:
            raise self._unreadable("one string")
        return strings[0]

    def value(self) -> Any:
        """Strings as a list (a scalar as bytes), numbers as a numpy array."""
        if self.datatype.is_text:
            return self.strings() if self.shape else self.string()
        if self.datatype.dtype is None:
            raise self._unreadable("numbers or strings")
        dtype = to_numpy(self.datatype.dtype)
        if self.datatype.swapped:
            dtype = dtype.newbyteorder(">")
        return np.frombuffer(self.raw, dtype).reshape(self.shape)

    def _unpad(self, data: bytes) -> bytes:
        if self.datatype.padding == PAD_NUL_TERMINATED:
            return data.partition(b"\0")[0]
        return data.rstrip(b" " if self.datatype.padding == PAD_SPACE else b"\0")

    def _variable_strings(self) -> list[bytes]:
        """Each element is a length, the address of a global heap collection and an index in it."""
        cursor = Cursor(self.source, self.raw, 0)
        strings = []
        while cursor.left:
            length, address, index = cursor.uint(4), cursor.offset(), cursor.uint(4)
            self.budget.spend(length + _STRING_OVERHEAD_BYTES, self.place)
            strings.append(
                self.heaps.get(address, index, length).rstrip(b"\0") if length and address else b""
            )
        return strings

    def _unreadable(self, expected: str) -> BundleError:
        found = self.datatype.reason or f"{self.datatype.dtype} of shape {self.shape}"
        return refuse(
            "HDF-07", self.place, f"attribute {clip(self.name)!r} to hold {expected}", found
        )


class Attributes:
    """The attributes of one object, by name."""

    __slots__ = ("_budget", "_messages", "_shared", "_source", "_stored")

    def __init__(
        self, source: Source, header: Header, shared: Shared, budget: AttributeBudget
    ) -> None:
        self._source = source
        self._stored = [each for each in header.messages if each.kind in _KINDS] or _NONE
        self._shared = shared
        self._budget = budget
        self._messages: dict[str, tuple[bytes, int]] | None = None

    def names(self) -> list[str]:
        """The names, as stored."""
        return list(self._load())

    def get(self, name: str) -> Attribute | None:
        """The attribute of a name, or None. Raises BundleError (HDF-07, HDF-08)."""
        found = self._load().get(name)
        return None if found is None else self._read(name, *found)

    def _load(self) -> dict[str, tuple[bytes, int]]:
        if self._messages is None:
            self._messages = {}
            for message in self._stored:
                if message.kind == ATTRIBUTE:
                    self._add(*self._shared.resolve(message))
                else:
                    self._add_dense(Cursor(self._source, message.data, message.address))
        return self._messages

    def _add(self, data: bytes, address: int) -> None:
        self._budget.spend(len(data), self._source.place)
        name = _read_prefix(Cursor(self._source, data, address)).name
        assert self._messages is not None
        self._messages[name] = data, address

    def _add_dense(self, cursor: Cursor) -> None:
        cursor.version(0)
        cursor.take(2 if cursor.uint(1) & 1 else 0)
        heap_address, tree = cursor.offset(), cursor.offset()
        if heap_address is None or tree is None:
            return
        heap = FractalHeap(self._source, heap_address)
        for _, record in records_v2(self._source, tree, (_NAME_RECORDS,)):
            if record[8] & 2:
                self._add(*self._shared.from_heap(ATTRIBUTE, record[:8]))
            else:
                self._add(*heap.get(record[:8]))

    def _read(self, name: str, data: bytes, address: int) -> Attribute:
        cursor = Cursor(self._source, data, address)
        prefix = _read_prefix(cursor)
        datatype = self._shared.datatype(
            cursor.take(prefix.datatype_bytes), address, prefix.flags & 1
        )
        cursor.take(-cursor.at % 8 if prefix.padded else 0)
        space = self._shared.dataspace(
            cursor.take(prefix.dataspace_bytes), address, prefix.flags & 2
        )
        cursor.take(-cursor.at % 8 if prefix.padded else 0)
        place = f"{self._source.place}@{self._source.base + address}"
        raw = cursor.take(_size(datatype, space, cursor))
        return Attribute(
            name,
            place,
            datatype,
            space.dims or (),
            raw,
            self._shared.heaps,
            self._source,
            self._budget,
        )


@dataclass(frozen=True, slots=True)
class _Prefix:
    """The start of an attribute message, up to its name."""

    name: str
    flags: int
    datatype_bytes: int
    dataspace_bytes: int
    padded: bool


def _read_prefix(cursor: Cursor) -> _Prefix:
    version, flags = cursor.version(1, 2, 3), cursor.uint(1)
    name_bytes, datatype_bytes, dataspace_bytes = cursor.uint(2), cursor.uint(2), cursor.uint(2)
    cursor.take(1 if version == 3 else 0)
    name = cursor.take(name_bytes).partition(b"\0")[0].decode(errors="surrogateescape")
    cursor.take(-cursor.at % 8 if version == 1 else 0)
    return _Prefix(name, flags if version > 1 else 0, datatype_bytes, dataspace_bytes, version == 1)


def _size(datatype: Datatype, space: Dataspace, cursor: Cursor) -> int:
    """Bytes of the value; refuses more than the message has."""
    size = 0 if space.dims is None else prod(space.dims) * datatype.size
    if size > cursor.left:
        raise cursor.malformed(f"{size} bytes of attribute", cursor.left)
    return size
