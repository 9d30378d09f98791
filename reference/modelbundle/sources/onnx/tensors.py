"""The TensorProto of ONNX: its dtype, shape and bytes as a range, or how to decode them.

Raw data, external data and packed floats are byte ranges as they stand. Integers in typed fields
are varints, and strings are fields of their own: these are decoded.
Layout: onnx/onnx.proto, message TensorProto

    tensor = read_tensor(message, files, "net.onnx")
    tensor.data         # Range("net.onnx", 1024, 64), or Decoded
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import PurePosixPath
from typing import Any

from modelbundle.core.blobs import Blob
from modelbundle.core.dtypes import byte_length
from modelbundle.core.findings import BundleError, checks, refuse
from modelbundle.core.limits import LIMITS
from modelbundle.core.paths import check_path
from modelbundle.sources.onnx.values import Decoded, decoded_integers, decoded_strings, joined
from modelbundle.sources.protobuf_wire import MESSAGE, SIZE, TEXT, UINT, Message, WireError

DTYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64",
    8: "string", 9: "bool", 10: "float16", 11: "float64", 12: "uint32", 13: "uint64",
    14: "complex64", 15: "complex128", 16: "bfloat16", 17: "float8_e4m3fn",
    18: "float8_e4m3fnuz", 19: "float8_e5m2", 20: "float8_e5m2fnuz", 21: "uint4_packed",
    22: "int4_packed", 23: "float4_e2m1fn_packed", 24: "float8_e8m0fnu", 25: "uint2_packed",
    26: "int2_packed", 27: "float6_e2m3fn_packed", 28: "float6_e3m2fn_packed",
}  # fmt: skip
"""ONNX's TensorProto.DataType numbers to our names."""

_FIELDS = {
    1: ("dims", SIZE, True),
    2: ("dtype", UINT),
    4: ("float_data", MESSAGE, True),
    5: ("int32_data", MESSAGE, True),
    6: ("string_data", MESSAGE, True),
    7: ("int64_data", MESSAGE, True),
    8: ("name", TEXT),
    9: ("raw_data", MESSAGE),
    10: ("double_data", MESSAGE, True),
    11: ("uint64_data", MESSAGE, True),
    13: ("external_data", {1: ("key", TEXT), 2: ("value", TEXT)}, True),
    14: ("location", UINT),
}
_FIELD_OF = {
    "float32": "float_data", "complex64": "float_data",
    "float64": "double_data", "complex128": "double_data",
    "int64": "int64_data", "uint32": "uint64_data", "uint64": "uint64_data",
    "string": "string_data",
}  # fmt: skip
"""The typed field that holds a dtype; `int32_data` holds those that are not here."""
_FIXED = frozenset({"float_data", "double_data"})
"""Typed fields whose packed form is the little-endian bytes themselves."""
_EXTERNAL = 1
"""TensorProto.DataLocation.EXTERNAL."""


@dataclass(frozen=True, slots=True)
class Range:
    """Bytes of a file of the source."""

    path: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class OnnxTensor:
    """A tensor of an ONNX file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    data: Range | Decoded


def read_tensor(source: Message, files: Mapping[str, Blob], path: str) -> OnnxTensor:
    """The tensor of a TensorProto in the file at `path`.

    Raises BundleError (ONX-02, ONX-03), and WireError where the message is malformed.
    """
    row = source.decode(_FIELDS)
    dtype = DTYPES.get(row.get("dtype", 0))
    if dtype is None:
        raise WireError(source.start, f"a tensor of DataType {row.get('dtype', 0)}")
    shape = tuple(row.get("dims", ()))
    data = _data(row, dtype, source, files, path)
    _check_size(f"{path}@{source.start}", dtype, shape, data, files)
    return OnnxTensor(row.get("name", ""), dtype, shape, data)


def _data(
    row: Mapping[str, Any], dtype: str, source: Message, files: Mapping[str, Blob], path: str
) -> Range | Decoded:
    if row.get("location") == _EXTERNAL:
        return _external_range(row, files, path, source.start)
    if "raw_data" in row:
        return Range(path, row["raw_data"].start, len(row["raw_data"]))
    name = _FIELD_OF.get(dtype, "int32_data")
    fields: list[Message] = row.get(name, [])
    if name == "string_data":
        if len(fields) != prod(row.get("dims", ())):
            raise WireError(source.start, f"{len(fields)} strings")
        return decoded_strings(fields)
    if not fields:
        return Range(path, source.start, 0)
    if name not in _FIXED:
        return decoded_integers(fields, dtype)
    return Range(path, fields[0].start, len(fields[0])) if len(fields) == 1 else joined(fields)


def external_data(source: Message) -> str | None:
    """The name of the file beside the model that holds a TensorProto's data, if one does."""
    row = source.decode({number: _FIELDS[number] for number in (13, 14)})
    return _entries(row).get("location", "") if row.get("location") == _EXTERNAL else None


def _entries(row: Mapping[str, Any]) -> dict[str, str]:
    entries = row.get("external_data", ())
    return {entry.get("key", ""): entry.get("value", "") for entry in entries}


def _external_range(
    row: Mapping[str, Any], files: Mapping[str, Blob], path: str, start: int
) -> Range:
    entries = _entries(row)
    place = f"{path}@{start}"
    there = external_path(entries.get("location", ""), path, place)
    if there not in files:
        raise _external_error(place, "external data beside the model", f"no file {there}")
    offset = _number(entries.get("offset", "0"), start)
    rest = str(max(files[there].size - offset, 0))
    return Range(there, offset, _number(entries.get("length", rest), start))


def external_path(name: str, path: str, place: str) -> str:
    """The path of external data `name` of the model at `path`; raises BundleError (ONX-02)."""
    relative = str(PurePosixPath(name))
    if next(check_path(relative, place), None):
        raise _external_error(place, "external data below the model's folder", repr(name))
    return str(PurePosixPath(path).parent / relative)


@checks("ONX-02")
def _external_error(place: str, expected: str, found: str) -> BundleError:
    return refuse("ONX-02", place, expected, found)


def _number(text: str, start: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 16):
        raise WireError(start, f"external data at {text!r}")
    return int(text)


@checks("ONX-03")
def _check_size(
    place: str,
    dtype: str,
    shape: tuple[int, ...],
    data: Range | Decoded,
    files: Mapping[str, Blob],
) -> None:
    """The data is as long as dtype and shape say, and inside its file."""
    if len(shape) > LIMITS.rank or any(dim < 0 for dim in shape):
        raise refuse("ONX-03", place, f"a full shape, rank {LIMITS.rank} at most", f"{shape}")
    length = byte_length(dtype, shape)
    if length not in (None, data.length):
        expected = f"{length} bytes of {dtype} {list(shape)}"
        raise refuse("ONX-03", place, expected, f"{data.length} bytes")
    if isinstance(data, Range) and data.offset + data.length > files[data.path].size:
        found = f"bytes {data.offset} to {data.offset + data.length}"
        raise refuse("ONX-03", place, f"a range of {files[data.path].size} bytes", found)
