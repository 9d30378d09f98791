"""String tensors: lengths as varints, a checksum of the lengths, then the bytes.

The layout is that of TensorFlow's tensor bundles (tensor_bundle.cc, WriteStringTensor): for N
elements in C order, N LEB128 varints, four bytes of masked crc32c over the lengths (each taken as
a little-endian u32, or u64 where it does not fit), then the elements' bytes one after another.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from modelbundle.core.findings import checks, refuse

_MASK_DELTA = 0xA282EAD8
_MAX_VARINT_BYTES = 10


@checks("TEN-13")
def decode(data: bytes, shape: Sequence[int], place: str) -> NDArray[np.object_]:
    """The elements, as `bytes` objects, shape `shape`; raises `BundleError` (TEN-13) at `place`."""
    count = prod(shape)
    lengths, at = _lengths(data, count, place)
    if len(data) - at - 4 != sum(lengths):
        raise refuse("TEN-13", place, f"{sum(lengths)} bytes of strings", f"{len(data) - at - 4}")
    if struct.unpack_from("<L", data, at)[0] != checksum(lengths):
        raise refuse("TEN-13", place, "the masked crc32c of the lengths", data[at : at + 4].hex())
    at += 4
    elements = np.empty(count, dtype=object)
    for number, length in enumerate(lengths):
        elements[number] = data[at : at + length]
        at += length
    return elements.reshape(shape)


def _lengths(data: bytes, count: int, place: str) -> tuple[list[int], int]:
    lengths: list[int] = []
    at = 0
    for _ in range(count):
        value = shift = 0
        while True:
            if at >= len(data) - 4 or shift >= 7 * _MAX_VARINT_BYTES:
                raise refuse("TEN-13", place, f"{count} lengths", f"{len(lengths)}")
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        lengths.append(value)
    return lengths, at


def encode(elements: Sequence[bytes]) -> bytes:
    """The bytes of a tensor of `elements`, in C order; lengths are as short as they can be."""
    lengths = [len(element) for element in elements]
    head = b"".join(map(_varint, lengths)) + struct.pack("<L", checksum(lengths))
    return head + b"".join(elements)


def _varint(number: int) -> bytes:
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])


def checksum(lengths: Sequence[int]) -> int:
    """The masked crc32c of element lengths."""
    import google_crc32c

    packed = b"".join(struct.pack("<L" if n <= 0xFFFFFFFF else "<Q", n) for n in lengths)
    crc: int = google_crc32c.value(packed)
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF
