"""Datatype messages: what one element is, and how its bytes relate to the standard's dtypes.

Classes and bit fields are those of the Specification, IV.A.2.d. `dtype` is None where elements
have no plain, fixed-size bytes; `reason` then says what they are.

    read_datatype(cursor).dtype      # "float32"
"""

from __future__ import annotations

from dataclasses import dataclass

from modelbundle.sources.hdf5.source import Cursor

FIXED, FLOAT, TIME, STRING, BITS, OPAQUE, COMPOUND, REFERENCE, ENUM, VARIABLE, ARRAY, COMPLEX = (
    range(12)
)

PAD_NUL_TERMINATED, PAD_NUL, PAD_SPACE = range(3)

_DEEPEST = 8
_LARGEST_BYTES_ELEMENT = 9_999_999

# size in bits, exponent position and size, mantissa size, bias; the mantissa starts at bit 0
_FLOATS = {
    (16, 10, 5, 10, 15): "float16",
    (16, 7, 8, 7, 127): "bfloat16",
    (32, 23, 8, 23, 127): "float32",
    (64, 52, 11, 52, 1023): "float64",
}
_COMPLEX = {"float32": "complex64", "float64": "complex128"}


@dataclass(frozen=True, slots=True)
class Datatype:
    """One element: its class, its size in bytes and its dtype in the standard.

    `swapped` is the width of the words whose bytes stand in the other order, or 0. `padding` is
    that of a fixed string.
    """

    kind: int
    size: int
    dtype: str | None
    reason: str = ""
    swapped: int = 0
    padding: int = PAD_NUL
    is_text: bool = False
    """A fixed string, or a variable-length one."""


def read_datatype(cursor: Cursor, depth: int = 0) -> Datatype:
    """Read a datatype message; raises BundleError (HDF-08)."""
    first, bits, size = cursor.uint(1), cursor.uint(3), cursor.uint(4)
    kind, version = first & 15, first >> 4
    if not 1 <= version <= 5 or depth > _DEEPEST or not size:
        expected = f"a datatype of version 1 to 5 and some size, at most {_DEEPEST} deep"
        raise cursor.malformed(expected, (version, size, depth))
    if kind in (FIXED, BITS):
        return _integer(cursor, kind, bits, size)
    if kind == FLOAT:
        return _float(cursor, bits, size)
    if kind in (COMPOUND, ENUM):
        read = _compound if kind == COMPOUND else _enumeration
        return read(cursor, bits & 0xFFFF, version, size, depth)
    if kind == COMPLEX:
        return _complex(read_datatype(cursor, depth + 1), size)
    return _simple(kind, bits, size)


def _simple(kind: int, bits: int, size: int) -> Datatype:
    """The classes whose properties do not matter here."""
    if kind in (STRING, OPAQUE):
        dtype = f"bytes{size}" if size <= _LARGEST_BYTES_ELEMENT else None
        padding = bits & 15 if kind == STRING else PAD_NUL
        return Datatype(kind, size, dtype, "very large elements", 0, padding, kind == STRING)
    if kind == VARIABLE:
        return Datatype(kind, size, None, "elements of variable length", is_text=bits & 15 == 1)
    names = {TIME: "times", REFERENCE: "references", ARRAY: "array elements"}
    return Datatype(kind, size, None, names.get(kind, f"datatype class {kind}"))


def _integer(cursor: Cursor, kind: int, bits: int, size: int) -> Datatype:
    position, precision = cursor.uint(2), cursor.uint(2)
    if size not in (1, 2, 4, 8) or position or precision != 8 * size:
        return Datatype(kind, size, None, f"integers of {precision} bits in {size} bytes")
    sign = "" if bits & 8 and kind == FIXED else "u"
    return Datatype(
        kind, size, f"{sign}int{precision}", swapped=size if bits & 1 and size > 1 else 0
    )


def _float(cursor: Cursor, bits: int, size: int) -> Datatype:
    position, precision, exponent_at, exponent, mantissa_at, mantissa = (
        cursor.uint(width) for width in (2, 2, 1, 1, 1, 1)
    )
    bias = cursor.uint(4)
    dtype = _FLOATS.get((precision, exponent_at, exponent, mantissa, bias))
    sign_at, implied, vax = bits >> 8 & 0xFF, bits >> 4 & 3 == 2, bits & 0x40
    if (
        position
        or mantissa_at
        or vax
        or not implied
        or precision != 8 * size
        or sign_at != precision - 1
    ):
        dtype = None
    return Datatype(
        FLOAT,
        size,
        dtype,
        f"floats of {precision} bits in {size} bytes, not of IEEE 754",
        swapped=size if bits & 1 else 0,
    )


def _compound(cursor: Cursor, count: int, version: int, size: int, depth: int) -> Datatype:
    """A compound of two equal floats `r` and `i` is how h5py writes a complex number."""
    members = []
    for _ in range(count):
        name, offset = _member(cursor, version, size)
        members.append((name, offset, read_datatype(cursor, depth + 1)))
    if len(members) == 2 and [name for name, _, _ in members] == [b"r", b"i"]:
        (_, first, real), (_, second, imaginary) = members
        if (first, second) == (0, real.size) and real == imaginary:
            return _complex(real, size)
    return Datatype(COMPOUND, size, None, f"compounds of {count} members")


def _member(cursor: Cursor, version: int, size: int) -> tuple[bytes, int]:
    """Name and byte offset of a member; its datatype is next."""
    start = cursor.at
    name = cursor.name()
    if version < 3:
        cursor.take(-(cursor.at - start) % 8)
        offset = cursor.uint(4)
        cursor.take(28 if version == 1 else 0)
        return name, offset
    return name, cursor.uint((size.bit_length() - 1) // 8 + 1)


def _complex(part: Datatype, size: int) -> Datatype:
    dtype = _COMPLEX.get(part.dtype or "") if size == 2 * part.size else None
    return Datatype(
        COMPLEX, size, dtype, "complex numbers of an unknown float", swapped=part.swapped
    )


def _enumeration(cursor: Cursor, count: int, version: int, size: int, depth: int) -> Datatype:
    """An enumeration is its integers; h5py's bool is one of FALSE and TRUE."""
    base = read_datatype(cursor, depth + 1)
    if base.kind != FIXED or base.size != size:
        return Datatype(ENUM, size, None, "an enumeration of no integers")
    names = []
    for _ in range(count):
        start = cursor.at
        names.append(cursor.name())
        if version < 3:
            cursor.take(-(cursor.at - start) % 8)
    values = [cursor.take(size) for _ in range(count)]
    if size == 1 and (names, values) == ([b"FALSE", b"TRUE"], [b"\0", b"\1"]):
        return Datatype(ENUM, size, "bool")
    return Datatype(ENUM, size, base.dtype, base.reason, base.swapped)
