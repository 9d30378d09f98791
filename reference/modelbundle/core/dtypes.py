"""The dtypes of the standard: their names, widths and numpy counterparts.

`bits` is what one element takes in storage. Types narrower than a byte come in two forms: one
element a byte, in the low bits (`int4`, as TensorFlow and ml_dtypes hold them), and packed, the
first element in the low bits (`int4_packed`, as ONNX and safetensors hold them).
`string` has elements of varying length and `bytes<N>` elements of N bytes, padded with NUL.

    >>> byte_length("float32", (2, 3))
    24
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_PLAIN = {
    "bool": 8,
    "int8": 8, "int16": 16, "int32": 32, "int64": 64,
    "uint8": 8, "uint16": 16, "uint32": 32, "uint64": 64,
    "float16": 16, "float32": 32, "float64": 64,
    "complex64": 64, "complex128": 128,
}  # fmt: skip
_ML_DTYPES = {
    "bfloat16": 16,
    "float8_e3m4": 8, "float8_e4m3": 8, "float8_e4m3b11fnuz": 8, "float8_e4m3fn": 8,
    "float8_e4m3fnuz": 8, "float8_e5m2": 8, "float8_e5m2fnuz": 8, "float8_e8m0fnu": 8,
    "int2": 8, "uint2": 8, "int4": 8, "uint4": 8,
}  # fmt: skip
_PACKED = {
    "int2_packed": 2, "uint2_packed": 2, "int4_packed": 4, "uint4_packed": 4,
    "float4_e2m1fn_packed": 4, "float6_e2m3fn_packed": 6, "float6_e3m2fn_packed": 6,
}  # fmt: skip
_QUANTIZED = {
    "qint8": "int8",
    "quint8": "uint8",
    "qint16": "int16",
    "quint16": "uint16",
    "qint32": "int32",
}

BITS: dict[str, int] = {
    **_PLAIN,
    **_ML_DTYPES,
    **_PACKED,
    **{name: _PLAIN[base] for name, base in _QUANTIZED.items()},
}
"""Bits that one element takes in storage, by dtype name; `string` and `bytes<N>` are not here."""

STRING = "string"
_BYTES = re.compile(r"bytes([1-9][0-9]{0,6})")
_NUMPY_BYTES = "S"


def is_known(dtype: str) -> bool:
    """Whether `dtype` is a dtype of the standard."""
    return dtype in BITS or dtype == STRING or _BYTES.fullmatch(dtype) is not None


def element_bits(dtype: str) -> int | None:
    """Bits of one element in storage; None for `string`. Raises KeyError for an unknown dtype."""
    if dtype == STRING:
        return None
    if match := _BYTES.fullmatch(dtype):
        return 8 * int(match[1])
    return BITS[dtype]


def byte_length(dtype: str, shape: Sequence[int]) -> int | None:
    """Bytes that a tensor takes, a packed one rounded up to whole bytes; None for `string`."""
    bits = element_bits(dtype)
    return None if bits is None else (prod(shape) * bits + 7) // 8


def to_numpy(dtype: str) -> np.dtype[np.generic]:
    """The numpy dtype whose little-endian bytes a tensor of `dtype` holds.

    Packed dtypes give `uint8` over the packed bytes, quantized ones their integer. Raises
    KeyError for `string`, which has no fixed width, and for unknown names.
    """
    import numpy as np

    if match := _BYTES.fullmatch(dtype):
        return np.dtype(f"{_NUMPY_BYTES}{match[1]}")
    if dtype in _PACKED:
        return np.dtype(np.uint8)
    if dtype in _ML_DTYPES:
        import ml_dtypes

        made: np.dtype[np.generic] = np.dtype(getattr(ml_dtypes, dtype))
        return made
    name = _QUANTIZED.get(dtype, dtype)
    if name not in _PLAIN:
        raise KeyError(dtype)
    return np.dtype(name).newbyteorder("<")


def from_numpy(dtype: np.dtype[np.generic]) -> str:
    """The name of a numpy dtype in the standard; raises KeyError where it has none."""
    if dtype.kind == _NUMPY_BYTES and dtype.itemsize:
        return f"bytes{dtype.itemsize}"
    if dtype.name in BITS and dtype.name not in _PACKED:
        return dtype.name
    raise KeyError(dtype.name)
