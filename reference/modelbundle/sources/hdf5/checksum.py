"""The two checksums of HDF5: lookup3 over metadata, Fletcher-32 over chunks.

>>> hex(lookup3(b""))
'0xdeadbeef'
"""

from __future__ import annotations

import struct

import numpy as np

_MASK = 0xFFFFFFFF


def lookup3(data: bytes) -> int:
    """Bob Jenkins' `hashlittle` of `data` with initial value 0 (public domain, lookup3.c)."""
    size = len(data)
    a = b = c = (0xDEADBEEF + size) & _MASK
    if not size:
        return c
    whole = (size - 1) // 12 * 12
    for x, y, z in struct.iter_unpack("<III", memoryview(data)[:whole]):
        a, b, c = (a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK
        a = ((a - c) & _MASK) ^ ((c << 4 | c >> 28) & _MASK)
        c = (c + b) & _MASK
        b = ((b - a) & _MASK) ^ ((a << 6 | a >> 26) & _MASK)
        a = (a + c) & _MASK
        c = ((c - b) & _MASK) ^ ((b << 8 | b >> 24) & _MASK)
        b = (b + a) & _MASK
        a = ((a - c) & _MASK) ^ ((c << 16 | c >> 16) & _MASK)
        c = (c + b) & _MASK
        b = ((b - a) & _MASK) ^ ((a << 19 | a >> 13) & _MASK)
        a = (a + c) & _MASK
        c = ((c - b) & _MASK) ^ ((b << 4 | b >> 28) & _MASK)
        b = (b + a) & _MASK
    x, y, z = struct.unpack("<III", data[whole:].ljust(12, b"\0"))
    return _finish((a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK)


def _finish(a: int, b: int, c: int) -> int:
    c = ((c ^ b) - _turn(b, 14)) & _MASK
    a = ((a ^ c) - _turn(c, 11)) & _MASK
    b = ((b ^ a) - _turn(a, 25)) & _MASK
    c = ((c ^ b) - _turn(b, 16)) & _MASK
    a = ((a ^ c) - _turn(c, 4)) & _MASK
    b = ((b ^ a) - _turn(a, 14)) & _MASK
    return ((c ^ b) - _turn(b, 24)) & _MASK


def _turn(value: int, bits: int) -> int:
    return (value << bits | value >> 32 - bits) & _MASK


class Fletcher32:
    """Fletcher-32 as HDF5's filter has it: over big-endian 16-bit words, sums never folded to 0."""

    def __init__(self) -> None:
        self._first = 0
        self._second = 0

    def update(self, data: bytes) -> None:
        """Add `data`, of even length unless it is the last."""
        words = np.frombuffer(data + b"\0" * (len(data) % 2), ">u2").astype(np.uint64)
        weights = np.arange(len(words), 0, -1, dtype=np.uint64)
        second = self._second + len(words) * self._first + int(words @ weights)
        self._first = _fold(self._first + int(words.sum()))
        self._second = _fold(second)

    @property
    def value(self) -> int:
        """The checksum of what was added."""
        return self._second << 16 | self._first


def _fold(total: int) -> int:
    return (total - 1) % 0xFFFF + 1 if total else 0
