"""How a safetensors file is laid out that we write: the same tensors give the same bytes.

Tensors stand by decreasing power of two, at most 64, that divides their length, then by name. So
every tensor begins at a multiple of that power: one whose length is a multiple of 64, as that of
any large one mostly is, at a multiple of 64, and each at a multiple of the width of its elements.
The header is padded with spaces so that the data begins at a multiple of 64.

    layout = lay_out([Slot("kernel", "float32", (2, 3), 24)])
    layout.offsets["kernel"], layout.size
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import gcd

from modelbundle.core.dtypes import element_bits
from modelbundle.sources.safetensors import DTYPES

ALIGNMENT = 64

_SAFETENSORS = {ours: theirs for theirs, ours in DTYPES.items()}


@dataclass(frozen=True, slots=True)
class Slot:
    """A tensor to be placed: `size` bytes of a dtype of the standard."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size: int


@dataclass(frozen=True, slots=True)
class Layout:
    """The header's bytes, the tensors in the order of their data, and where each begins."""

    header: bytes
    slots: tuple[Slot, ...]
    offsets: Mapping[str, int]
    """From the start of the file (bytes)."""

    @property
    def size(self) -> int:
        """Length of the file in bytes."""
        return len(self.header) + sum(slot.size for slot in self.slots)


def lay_out(slots: Iterable[Slot]) -> Layout:
    """The layout of a file that holds `slots`, whose names differ."""
    ordered = sorted(slots, key=lambda slot: (-gcd(slot.size, ALIGNMENT), slot.name))
    entries, starts, at = {}, {}, 0
    for slot in ordered:
        dtype, shape = stored_as(slot.dtype, slot.shape, slot.size)
        offsets = [at, at + slot.size]
        entries[slot.name] = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
        starts[slot.name] = at
        at += slot.size
    header = header_of(entries)
    offsets_ = {name: len(header) + start for name, start in starts.items()}
    return Layout(header, tuple(ordered), offsets_)


def header_of(entries: Mapping[str, object]) -> bytes:
    """Length and JSON of a header, padded so that the data begins at a multiple of 64."""
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-(8 + len(text)) % ALIGNMENT)
    return len(text).to_bytes(8, "little") + text


def stored_as(dtype: str, shape: Sequence[int], size: int) -> tuple[str, list[int]]:
    """Dtype and shape that the file has for a tensor of `size` bytes.

    What safetensors has no dtype for is there as bytes (U8), with one more axis for the bytes of
    an element; strings and packed dtypes as one axis of bytes.
    """
    if dtype in _SAFETENSORS:
        return _SAFETENSORS[dtype], list(shape)
    bits = element_bits(dtype)
    if bits is None or bits % 8:
        return "U8", [size]
    return "U8", [*shape, bits // 8]
