"""Writers of protocol buffers and tables for hostile inputs: what no library would write."""

from __future__ import annotations

import struct
from collections.abc import Mapping

import google_crc32c

MAGIC = 0xDB4775248B80FB57
Value = int | bytes | str | float


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    digits = bytearray()
    while value >= 0x80:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*digits, value))


def field(number: int, value: Value) -> bytes:
    """One field: an integer as varint, a float as fixed32, bytes and text length-delimited."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def fixed32(number: int, value: int) -> bytes:
    return varint(number << 3 | 5) + struct.pack("<I", value)


def fields(*pairs: tuple[int, Value]) -> bytes:
    return b"".join(field(number, value) for number, value in pairs)


def masked(crc: int) -> int:
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def block(entries: Mapping[bytes, bytes], kind: int = 0) -> bytes:
    """A block without prefix compression, and its trailer."""
    data = b"".join(
        b"\0" + varint(len(key)) + varint(len(value)) + key + value
        for key, value in entries.items()
    )
    return sealed(data + struct.pack("<II", 0, 1), kind)


def sealed(data: bytes, kind: int = 0) -> bytes:
    data += bytes([kind])
    return data + struct.pack("<I", masked(google_crc32c.value(data)))


def table(entries: Mapping[bytes, bytes], kind: int = 0) -> bytes:
    """A table of one data block with `entries` in the order given."""
    return table_of(block(entries, kind))


def table_of(data: bytes) -> bytes:
    """A table around one sealed data block."""
    meta, index = block({}), block({b"\xff": varint(0) + varint(len(data) - 5)})
    footer = b"".join(
        varint(offset) + varint(size - 5)
        for offset, size in ((len(data), len(meta)), (len(data) + len(meta), len(index)))
    )
    return data + meta + index + footer.ljust(40, b"\0") + struct.pack("<Q", MAGIC)


HEADER = fields((1, 1), (3, field(1, 1)))
"""BundleHeaderProto of one little-endian shard, version 1."""


def shape(*dims: int) -> bytes:
    return b"".join(field(2, field(1, dim)) for dim in dims)


def entry(
    dtype: int,
    dims: tuple[int, ...],
    where: tuple[int, int] = (0, 0),
    *,
    crc: int = 0,
    more: bytes = b"",
) -> bytes:
    """BundleEntryProto of shard 0; `where` is offset and size."""
    body = fields((1, dtype), (2, shape(*dims)), (4, where[0]), (5, where[1]))
    return body + fixed32(6, masked(crc)) + more
