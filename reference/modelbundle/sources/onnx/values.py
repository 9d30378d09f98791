"""Typed fields of a TensorProto that are no byte range: integers as varints, and strings.

What a tensor takes decoded is known before it is decoded; decoding goes a window at a time.
Layout: onnx/onnx.proto, TensorProto.int32_data, int64_data, uint64_data, string_data

    decoded_integers(fields, "int64").length
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelbundle.core import strings
from modelbundle.core.blobs import CHUNK_BYTES
from modelbundle.core.dtypes import element_bits, to_numpy
from modelbundle.sources.derived_tensors import Put
from modelbundle.sources.protobuf_wire import Message, WireError

_MAX_VARINT_BYTES = 10
_SIX = 6
"""Bits of the one element width that no whole number of elements fills a byte with."""
_WINDOW_BYTES = 1 << 18
"""Bytes of varints that are decoded at a time."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Bytes that have to be decoded: how many, and how."""

    length: int
    decode: Callable[[Put], None]


def decoded_integers(fields: Sequence[Message], dtype: str) -> Decoded:
    """Varints as little-endian elements of `dtype`.

    Of the packed dtypes those of two and four bits have a byte in each varint, and those of six
    bits an element.
    """
    if element_bits(dtype) == _SIX:
        return _decoded_sixes(fields)
    width = to_numpy(dtype).itemsize
    count = sum(int(np.count_nonzero(window < 0x80)) for window in _windows(fields))

    def decode(put: Put) -> None:
        at = 0
        for window in _windows(fields):
            values = _varints(window)
            data = (values != 0 if dtype == "bool" else values).astype(f"<u{width}").tobytes()
            put(at, data)
            at += len(data)

    return Decoded(count * width, decode)


def _decoded_sixes(fields: Sequence[Message]) -> Decoded:
    """Elements of six bits, packed four to three bytes, the first in the lowest bits."""
    count = sum(int(np.count_nonzero(window < 0x80)) for window in _windows(fields))

    def decode(put: Put) -> None:
        at, rest = 0, np.zeros(0, np.uint8)
        for window in _windows(fields):
            rest = np.concatenate((rest, _varints(window).astype(np.uint8)))
            whole = len(rest) // 4 * 4
            put(at, _pack_sixes(rest[:whole]))
            at, rest = at + whole // 4 * 3, rest[whole:]
        put(at, _pack_sixes(rest))

    return Decoded((count * _SIX + 7) // 8, decode)


def _pack_sixes(values: NDArray[np.uint8]) -> bytes:
    bits = np.unpackbits(values[:, None], axis=1, bitorder="little")[:, :_SIX]
    return np.packbits(bits, bitorder="little").tobytes()


def _windows(fields: Sequence[Message]) -> Iterator[NDArray[np.uint8]]:
    """The bytes of packed fields, in windows that end where a varint ends."""
    for field in fields:
        at = field.start
        while at < field.end:
            data = field.blob.read(at, min(_WINDOW_BYTES, field.end - at))
            window = np.frombuffer(data, np.uint8)
            ends = np.flatnonzero(window < 0x80)
            lengths = np.diff(ends, prepend=-1)
            if not len(ends) or lengths.max() > _MAX_VARINT_BYTES:
                raise WireError(at, "a truncated or over-long varint")
            window = window[: ends[-1] + 1]
            at += len(window)
            yield window


def _varints(window: NDArray[np.uint8]) -> NDArray[np.uint64]:
    ends = np.flatnonzero(window < 0x80)
    lengths = np.diff(ends, prepend=-1)
    starts = ends - lengths + 1
    values = np.zeros(len(ends), np.uint64)
    for digit in range(int(lengths.max())):
        there = lengths > digit
        bits = window[starts[there] + digit].astype(np.uint64) & np.uint64(0x7F)
        values[there] |= bits << np.uint64(7 * digit)
    return values


def decoded_strings(fields: Sequence[Message]) -> Decoded:
    """Strings in the bundle's encoding: lengths, their checksum, bytes (`core.strings`)."""
    lengths = [len(field) for field in fields]
    head = b"".join(map(_varint, lengths)) + strings.checksum(lengths).to_bytes(4, "little")

    def decode(put: Put) -> None:
        put(0, head)
        _copy(fields, put, len(head))

    return Decoded(len(head) + sum(lengths), decode)


def joined(fields: Sequence[Message]) -> Decoded:
    """A packed field of fixed-width elements that came in several pieces."""
    return Decoded(sum(map(len, fields)), lambda put: _copy(fields, put, 0))


def _copy(fields: Sequence[Message], put: Put, at: int) -> None:
    for field in fields:
        for start in range(field.start, field.end, CHUNK_BYTES):
            data = field.blob.read(start, min(CHUNK_BYTES, field.end - start))
            put(at, data)
            at += len(data)


def _varint(value: int) -> bytes:
    digits = []
    while value >= 0x80:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*digits, value))
