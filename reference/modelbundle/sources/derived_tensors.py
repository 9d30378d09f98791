"""The derived file for tensors that are no plain byte range of their source: a safetensors file.

The file is deterministic: a header padded with spaces to a multiple of 64 bytes, then the data,
tensors of wider elements first and by name among equals, so that every tensor is aligned to its
elements. Its size is known at once; data is decoded into a temporary file when it is first read.

    tensor = DerivedTensor("w", "float32", (2,), 8, decode)
    file, component, ranges = derived_file("net.h5", [tensor])
    ranges["w"]      # (64, 8)
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modelbundle.core.blobs import check_range
from modelbundle.core.dtypes import element_bits
from modelbundle.sources.artifact import ArtifactFile, Component
from modelbundle.sources.safetensors import MEDIA_TYPE
from modelbundle.sources.safetensors_layout import header_of, stored_as
from modelbundle.sources.spool import Spool

Put = Callable[[int, bytes], None]
"""Takes an offset within the tensor and bytes that belong there."""


@dataclass(frozen=True, slots=True)
class DerivedTensor:
    """A tensor of `size` bytes, little-endian and in C order, and how to come by them.

    `decode` calls its argument until every byte was put once; what it leaves out is zero.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    size: int
    decode: Callable[[Put], None]


def derived_file(
    root: str, tensors: Sequence[DerivedTensor]
) -> tuple[ArtifactFile, Component, dict[str, tuple[int, int]]]:
    """The file, its component and, by name, offset and length of each tensor in the file.

    Names must be unique. What safetensors has no dtype for is there as bytes (U8), with one more
    axis for the bytes of an element; strings as one axis of bytes.
    """
    path = f"{root}.derived/tensors.safetensors"
    ordered = sorted(tensors, key=lambda tensor: (-_element_bytes(tensor.dtype), tensor.name))
    header, ranges = _header(ordered)
    total = sum(tensor.size for tensor in ordered)
    blob = _DecodedBlob(header, ordered, total)
    component = Component(path, "safetensors", (path,), derived_from=root)
    return ArtifactFile(path, blob, MEDIA_TYPE, "derived"), component, ranges


def _element_bytes(dtype: str) -> int:
    """The alignment of a tensor: of its elements where they are numbers, else 1."""
    bits = None if dtype.startswith("bytes") else element_bits(dtype)
    return max(bits // 8, 1) if bits else 1


def _header(tensors: Sequence[DerivedTensor]) -> tuple[bytes, dict[str, tuple[int, int]]]:
    entries, ranges, at = {}, {}, 0
    for tensor in tensors:
        dtype, shape = stored_as(tensor.dtype, tensor.shape, tensor.size)
        entries[tensor.name] = {
            "dtype": dtype,
            "shape": shape,
            "data_offsets": [at, at + tensor.size],
        }
        ranges[tensor.name] = at, tensor.size
        at += tensor.size
    header = header_of(entries)
    start = len(header)
    return header, {name: (start + offset, size) for name, (offset, size) in ranges.items()}


class _DecodedBlob:
    """Header and data; the data is decoded, in one go, when the first byte of it is read."""

    def __init__(self, header: bytes, tensors: Sequence[DerivedTensor], data_bytes: int) -> None:
        self._header = header
        self._tensors = tensors
        self._spool: Spool | None = None
        self._lock = threading.Lock()
        self.size = len(header) + data_bytes

    def read(self, offset: int, length: int) -> bytes:
        """See `Blob.read`. Raises BundleError where the source's data turns out to be damaged."""
        check_range(self.size, offset, length)
        end = offset + length
        if end <= len(self._header):
            return self._header[offset:end]
        with self._lock:
            if self._spool is None:
                self._spool = self._decode()
        return self._spool.read(offset, length)

    def _decode(self) -> Spool:
        spool = Spool([self._header])
        spool.resize(self.size)
        start = len(self._header)
        for tensor in self._tensors:
            tensor.decode(_putter(spool, start))
            start += tensor.size
        return spool


def _putter(spool: Spool, start: int) -> Put:
    return lambda offset, data: spool.write(start + offset, data)
