"""What goes through the pipes between a caller and the process of an engine.

    8 bytes: length of the header, little-endian | header: MessagePack | arrays, one after another

The header is `{"value": …, "arrays": [[name, dtype, shape, bytes], …]}`, dtypes as the standard
names them. A `string` array has the lengths of its elements (u64) before their bytes.

    write(stream, {"call": "run"}, {"x": x})
    value, arrays = read(stream)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO

import msgpack
import numpy as np
from numpy.typing import NDArray

from modelbundle.core import dtypes

HEADER_BYTES = 64 << 20
"""The longest header."""

_LENGTH_BYTES = 8
_U8 = np.dtype("<u8")

Array = NDArray[Any]


def write(stream: BinaryIO, value: Any, arrays: Mapping[str, Array] | None = None) -> None:
    """Write one message."""
    bodies = {name: _body(array) for name, array in (arrays or {}).items()}
    listed = [
        [name, dtype, list(shape), len(data)] for name, (dtype, shape, data) in bodies.items()
    ]
    header = msgpack.packb({"value": value, "arrays": listed})
    stream.write(len(header).to_bytes(_LENGTH_BYTES, "little") + header)
    for _, _, data in bodies.values():
        stream.write(data)
    stream.flush()


def _body(array: Array) -> tuple[str, tuple[int, ...], bytes | memoryview]:
    if array.dtype == object:
        elements: list[bytes] = array.ravel().tolist()
        lengths = np.array([len(element) for element in elements], _U8)
        return dtypes.STRING, array.shape, lengths.tobytes() + b"".join(elements)
    dtype = dtypes.from_numpy(array.dtype)
    plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return dtype, array.shape, plain.reshape(-1).view(np.uint8).data


def read(stream: BinaryIO) -> tuple[Any, dict[str, Array]]:
    """Read one message. Raises `EOFError` where the stream ends, `ValueError` for no message."""
    length = int.from_bytes(_exactly(stream, _LENGTH_BYTES), "little")
    if length > HEADER_BYTES:
        raise ValueError(f"a header of {length} bytes")
    header = msgpack.unpackb(_exactly(stream, length))
    if not isinstance(header, dict) or header.keys() != {"value", "arrays"}:
        raise ValueError("a header without value and arrays")
    arrays = {}
    for name, dtype, shape, size in header["arrays"]:
        arrays[name] = _array(dtype, tuple(shape), _exactly(stream, size))
    return header["value"], arrays


def _array(dtype: str, shape: tuple[int, ...], data: bytearray) -> Array:
    if dtype != dtypes.STRING:
        return np.frombuffer(data, dtypes.to_numpy(dtype)).reshape(shape)
    count = int(np.prod(shape, dtype=np.int64))
    lengths = np.frombuffer(data, _U8, count).tolist()
    elements, at = np.empty(count, object), count * _U8.itemsize
    for number, length in enumerate(lengths):
        elements[number] = bytes(data[at : at + length])
        at += length
    return elements.reshape(shape)


def _exactly(stream: BinaryIO, size: int) -> bytearray:
    data = bytearray(size)
    view, at = memoryview(data), 0
    while at < size:
        count = stream.readinto(view[at:])  # type: ignore[attr-defined]
        if not count:
            raise EOFError(f"{at} bytes of {size}")
        at += count
    return data
