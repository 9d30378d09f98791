"""The signatures of a TensorFlow Lite model, read from its FlatBuffer without a framework.

A model that defines no signatures has one of its first subgraph, called `main`, whose ports have
the names of the tensors. Layout: https://flatbuffers.dev/internals/ and
tensorflow/compiler/mlir/lite/schema/schema.fbs (the numbers of fields are their order there).

    signatures_of(data, "net.tflite")[0].inputs
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from modelbundle.core.manifest import Port, Signature

MAIN = "main"

_DTYPES = {
    0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 5: "string", 6: "bool",
    7: "int16", 8: "complex64", 9: "int8", 10: "float64", 11: "complex128", 12: "uint64",
    15: "uint32", 16: "uint16", 18: "bfloat16",
}  # fmt: skip
"""`TensorType`; others have no dtype that goes in or out."""

_SUBGRAPHS, _SIGNATURES = 2, 7
_TENSORS, _INPUTS, _OUTPUTS = 0, 1, 2
_SHAPE, _TYPE, _NAME, _SHAPE_SIGNATURE = 0, 1, 3, 7
_DEFINED_INPUTS, _DEFINED_OUTPUTS, _KEY, _SUBGRAPH = 0, 1, 2, 4
_MAP_NAME, _MAP_TENSOR = 0, 1


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of a FlatBuffer: its position, and that of its vtable."""

    data: bytes
    at: int

    def _field(self, number: int) -> int | None:
        """Where a field is; None where it has its default."""
        vtable = self.at - struct.unpack_from("<i", self.data, self.at)[0]
        (length,) = struct.unpack_from("<H", self.data, vtable)
        if 4 + 2 * number >= length:
            return None
        (offset,) = struct.unpack_from("<H", self.data, vtable + 4 + 2 * number)
        return self.at + offset if offset else None

    def _target(self, number: int) -> int | None:
        """Where the vector or string of a field is."""
        at = self._field(number)
        return None if at is None else at + int(struct.unpack_from("<I", self.data, at)[0])

    def number(self, number: int, code: str) -> int:
        """A scalar, 0 where it is left out."""
        at = self._field(number)
        return 0 if at is None else int(struct.unpack_from(f"<{code}", self.data, at)[0])

    def integers(self, number: int) -> tuple[int, ...] | None:
        """A vector of int32; None where it is left out."""
        at = self._target(number)
        if at is None:
            return None
        (count,) = struct.unpack_from("<I", self.data, at)
        return struct.unpack_from(f"<{count}i", self.data, at + 4)

    def text(self, number: int) -> str:
        """A string, empty where it is left out."""
        at = self._target(number)
        if at is None:
            return ""
        (length,) = struct.unpack_from("<I", self.data, at)
        return self.data[at + 4 : at + 4 + length].decode()

    def tables(self, number: int) -> list[_Table]:
        """A vector of tables."""
        at = self._target(number)
        places = [] if at is None else [at + 4 + 4 * n for n in range(self._count(at))]
        return [
            _Table(self.data, place + int(struct.unpack_from("<I", self.data, place)[0]))
            for place in places
        ]

    def _count(self, at: int) -> int:
        (count,) = struct.unpack_from("<I", self.data, at)
        if at + 4 + 4 * count > len(self.data):
            raise struct.error("a vector that is longer than the file")
        return int(count)


def signatures_of(data: bytes, component: str) -> tuple[Signature, ...]:
    """The signatures of a model; none where the file is malformed."""
    try:
        model = _Table(data, *struct.unpack_from("<I", data))
        return tuple(_signatures(model, component))
    except (struct.error, UnicodeDecodeError, IndexError, KeyError):
        return ()


def is_defined(data: bytes) -> bool:
    """Whether a sound model defines signatures of its own."""
    return bool(_Table(data, *struct.unpack_from("<I", data)).tables(_SIGNATURES))


def _signatures(model: _Table, component: str) -> Iterator[Signature]:
    graphs = model.tables(_SUBGRAPHS)
    defined = model.tables(_SIGNATURES)
    for each in defined:
        tensors = graphs[each.number(_SUBGRAPH, "I")].tables(_TENSORS)
        inputs, outputs = each.tables(_DEFINED_INPUTS), each.tables(_DEFINED_OUTPUTS)
        yield Signature(
            each.text(_KEY),
            component,
            tuple(_mapped(port, tensors) for port in inputs),
            tuple(_mapped(port, tensors) for port in outputs),
        )
    if graphs and not defined:
        tensors = graphs[0].tables(_TENSORS)
        sides = [
            tuple(_port(tensors[at].text(_NAME), tensors[at]) for at in graphs[0].integers(n) or ())
            for n in (_INPUTS, _OUTPUTS)
        ]
        yield Signature(MAIN, component, *sides)


def _mapped(port: _Table, tensors: list[_Table]) -> Port:
    return _port(port.text(_MAP_NAME), tensors[port.number(_MAP_TENSOR, "I")])


def _port(name: str, tensor: _Table) -> Port:
    """A port; a dimension is not known where the model says that it can change."""
    dims = tensor.integers(_SHAPE_SIGNATURE) or tensor.integers(_SHAPE)
    shape = None if dims is None else tuple(None if dim < 0 else dim for dim in dims)
    return Port(name, _DTYPES[tensor.number(_TYPE, "b")], shape)
