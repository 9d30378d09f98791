"""String tensors: lengths as varints, a checksum of the lengths, then the bytes.

The layout is that of TensorFlow's tensor bundles (tensor_bundle.cc, WriteStringTensor): for N
elements in C order, N LEB128 varints, four bytes of masked crc32c over the lengths (each taken as
a little-endian u32, or u64 where it does not fit), then the elements' bytes one after another.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import reduce
from itertools import islice
from math import prod

import numpy as np
from numpy.typing import NDArray

from modelbundle.core.blobs import Blob, BytesBlob, SliceBlob, walk
from modelbundle.core.findings import checks, refuse

_MASK_DELTA = 0xA282EAD8
_MAX_VARINT_BYTES = 10
_CHECKSUM_BYTES = 4
_CHUNK_BYTES = 1 << 16


def decode(data: bytes, shape: Sequence[int], place: str) -> NDArray[np.object_]:
    """The elements, as `bytes` objects, shape `shape`; raises `BundleError` (TEN-13) at `place`."""
    lengths: list[int] = []
    at = check(BytesBlob(data), shape, place, lengths.append)
    elements = np.empty(len(lengths), dtype=object)
    for number, length in enumerate(lengths):
        elements[number] = data[at : at + length]
        at += length
    return elements.reshape(shape)


@checks("TEN-13")
def check(
    blob: Blob, shape: Sequence[int], place: str, note: Callable[[int], object] | None = None
) -> int:
    """Where the content of a tensor begins (bytes); `note` is called with each length.

    Raises `BundleError` (TEN-13) at `place`. Content is not read, lengths are not kept: a tensor
    may be larger than memory.
    """
    count, found, total, crc, at = prod(shape), 0, 0, 0, 0
    for length, end in islice(_lengths(blob), count):
        found, total, crc, at = found + 1, total + length, _extended(crc, length), end
        if note:
            note(length)
    if found != count:
        raise refuse("TEN-13", place, f"{count} lengths", f"{found}")
    content = blob.size - at - _CHECKSUM_BYTES
    if content != total:
        raise refuse("TEN-13", place, f"{total} bytes of strings", f"{content}")
    stated = blob.read(at, _CHECKSUM_BYTES)
    if int.from_bytes(stated, "little") != _masked(crc):
        raise refuse("TEN-13", place, "the masked crc32c of the lengths", stated.hex())
    return at + _CHECKSUM_BYTES


def _lengths(blob: Blob) -> Iterator[tuple[int, int]]:
    """The varints that `blob` begins with, each with where it ends; none where one is too long."""
    value = shift = at = 0
    for chunk in walk(SliceBlob(blob, 0, max(blob.size - _CHECKSUM_BYTES, 0)), _CHUNK_BYTES):
        for byte in chunk:
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                yield value, at
                value = shift = 0
            elif shift >= 7 * _MAX_VARINT_BYTES:
                return


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


def checksum(lengths: Iterable[int]) -> int:
    """The masked crc32c of element lengths."""
    return _masked(reduce(_extended, lengths, 0))


def _extended(crc: int, length: int) -> int:
    """The crc32c `crc`, extended by a length."""
    import google_crc32c

    packed = struct.pack("<L" if length <= 0xFFFFFFFF else "<Q", length)
    extended: int = google_crc32c.extend(crc, packed)
    return extended


def _masked(crc: int) -> int:
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF
