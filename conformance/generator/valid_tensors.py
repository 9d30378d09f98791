"""Valid cases of tensors: every dtype, shapes at the edges, names, ranges, namespaces."""

from __future__ import annotations

import struct
from dataclasses import replace
from math import prod

from generator import bases
from generator.bases import NUMBERS, PLAIN, component
from generator.cases import Suite
from generator.raw import Draft, row

BITS = {
    "bool": 8, "int8": 8, "int16": 16, "int32": 32, "int64": 64,
    "uint8": 8, "uint16": 16, "uint32": 32, "uint64": 64,
    "float16": 16, "float32": 32, "float64": 64, "bfloat16": 16,
    "float8_e3m4": 8, "float8_e4m3": 8, "float8_e4m3b11fnuz": 8, "float8_e4m3fn": 8,
    "float8_e4m3fnuz": 8, "float8_e5m2": 8, "float8_e5m2fnuz": 8, "float8_e8m0fnu": 8,
    "complex64": 64, "complex128": 128,
    "int2": 8, "uint2": 8, "int4": 8, "uint4": 8,
    "int2_packed": 2, "uint2_packed": 2, "int4_packed": 4, "uint4_packed": 4,
    "float4_e2m1fn_packed": 4, "float6_e2m3fn_packed": 6, "float6_e3m2fn_packed": 6,
    "qint8": 8, "quint8": 8, "qint16": 16, "quint16": 16, "qint32": 32,
    "bytes1": 8, "bytes16": 128,
}  # fmt: skip
"""Bits that an element takes, by dtype."""


def length(dtype: str, shape: list[int]) -> int:
    """Bytes that a tensor of fixed width takes."""
    return (prod(shape) * BITS[dtype] + 7) // 8


def elements(dtype: str, size: int) -> bytes:
    """Bytes that are elements of `dtype`: zeros and ones for bool, anything for the others."""
    pattern = bytes(at % 2 for at in range(size)) if dtype == "bool" else b""
    return pattern or bytes((7 * at + 1) % 256 for at in range(size))


def string_tensor(values: list[bytes]) -> bytes:
    """A string tensor: lengths, checksum of the lengths, content (section 4.7)."""
    lengths = b"".join(_varint(len(value)) for value in values)
    return lengths + string_checksum([len(value) for value in values]) + b"".join(values)


def string_checksum(lengths: list[int]) -> bytes:
    """The masked CRC-32C of lengths, each a u32."""
    crc = 0xFFFFFFFF
    for byte in struct.pack(f"<{len(lengths)}I", *lengths):
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32)


def _varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def one(
    dtype: str, shape: list[int], data: bytes, offset: int = 0, size: int | None = None
) -> Draft:
    """A bundle of one tensor called `t`."""
    return several(
        [row("t", dtype, shape, "net.bin", offset, len(data) if size is None else size)], data
    )


def several(rows: list[dict[str, object]], data: bytes) -> Draft:
    """A bundle of tensors in one file."""
    return Draft(files={"net.bin": data}, rows=rows, components=[component("net", "net.bin")])


def add(suite: Suite) -> None:
    """Add the cases to `suite`."""
    _dtypes(suite)
    _shapes(suite)
    _strings(suite)
    _names(suite)
    _ranges(suite)
    _namespaces(suite)


def _dtypes(suite: Suite) -> None:
    why = (
        "Each dtype has its width and its storage; an implementation that lacks one refuses models."
    )
    for dtype in BITS:
        shape = [3, 5] if dtype.endswith("_packed") else [3]
        data = elements(dtype, length(dtype, shape))
        title = f"A tensor of dtype {dtype}"
        suite.valid(
            f"dtypes/{dtype.replace('_', '-')}",
            title,
            one(dtype, shape, data),
            rules=["TEN-04", "TEN-08"],
            features=["dtype"],
            why=why,
        )
    for dtype in ("int4_packed",):
        data = elements(dtype, length(dtype, [4]))
        suite.valid(
            f"dtypes/{dtype.replace('_', '-')}-even",
            f"{dtype} that fills its last byte",
            one(dtype, [4], data),
            rules=["TEN-08"],
            features=["dtype", "packed"],
            why="A packed tensor is rounded up to whole bytes as a whole, not by row.",
        )


def _shapes(suite: Suite) -> None:
    why = "Products of dimensions, not their number, give the length; rank 0 has one element."
    table = [
        ("scalar", "A scalar", [], 4),
        ("one-element", "A tensor of one element", [1, 1], 4),
        ("zero-size", "A tensor without elements", [0], 0),
        ("zero-size-among-large", "A dimension of 0 among very large ones", [2**40, 0, 2**40], 0),
        ("zero-size-last", "A dimension of 0 after dimensions that overflow", [2**63, 2**63, 0], 0),
        (
            "zero-size-overflow",
            "A dimension of 0 among 31 of the largest",
            [2**64 - 1] * 30 + [0, 2**64 - 1],
            0,
        ),
        ("rank-32", "A tensor of rank 32", [1] * 31 + [2], 8),
    ]
    for id, title, shape, size in table:
        suite.valid(
            f"shapes/{id}",
            title,
            one("float32", shape, elements("float32", size)),
            rules=["TEN-08"],
            features=["shape"],
            why=why,
        )
    suite.valid(
        "shapes/zero-size-at-end",
        "A tensor without elements at the end of its file",
        one("int8", [0], NUMBERS, len(NUMBERS), 0),
        rules=["TEN-06"],
        features=["shape"],
        why="The offset of an empty range can be the size of the file.",
    )
    suite.valid(
        "shapes/no-tensors",
        "A bundle without tensors",
        Draft(files={"notes.txt": b"nothing"}, components=[component("notes", "notes.txt")]),
        rules=["TEN-01", "TEN-02"],
        features=["empty"],
        why="All columns of an index without rows are empty.",
    )
    suite.valid(
        "shapes/no-files",
        "A bundle of the index alone",
        Draft(files={}),
        rules=["MAN-08"],
        features=["empty"],
        why="The smallest bundle there is.",
    )


def _strings(suite: Suite) -> None:
    why = "A string tensor is lengths, checksum and content, as TensorFlow's checkpoints have it."
    table: list[tuple[str, str, list[int], list[bytes]]] = [
        ("vector", "Strings of different lengths", [3], [b"hi", b"", b"abc"]),
        ("scalar", "One string", [], [b"scalar"]),
        ("matrix", "Strings in C order", [2, 2], [b"a", b"bb", b"ccc", b"dddd"]),
        ("empty", "No strings: the checksum alone", [0, 3], []),
        ("bytes", "Strings that are no text", [2], [b"\xff\0\xfe", b"\x80"]),
        ("long", "A string whose length takes two bytes", [1], [b"x" * 200]),
    ]
    for id, title, shape, values in table:
        suite.valid(
            f"strings/{id}",
            title,
            one("string", shape, string_tensor(values)),
            rules=["TEN-08", "TEN-13"],
            features=["string"],
            why=why,
        )


def _names(suite: Suite) -> None:
    why = "Names are verbatim: any text without control characters, ascending by UTF-8 bytes."
    table = {
        "unicode": ["Größe", "größe", "模型/核", "🦆"],
        "decomposed": ["gro\u0308ße", "größe"],
        "astral-order": ["\uff5e", "\U00010000"],
        "punctuation": [" ", "../x", "/", "a\\b", 'q"uote', "{json}"],
        "long": ["n" * 4096, "é" * 2048],
        "prefix": ["a", "a/", "a/b", "aa"],
    }
    for id, names in table.items():
        rows = [row(name, "uint8", [1], "net.bin", at, 1) for at, name in enumerate(names)]
        draft = several(rows, NUMBERS[: len(names)])
        suite.valid(
            f"names/{id}",
            f"Names of rows: {id.replace('-', ' ')}",
            draft,
            rules=["TEN-03"],
            features=["unicode"],
            why=why,
        )
    suite.valid(
        "names/many",
        "A hundred rows",
        bases.tensors(100),
        rules=["TEN-02"],
        features=["many"],
        why="Lengths beyond 15 and 255 take other MessagePack forms.",
    )


def _ranges(suite: Suite) -> None:
    why = (
        "A range is what offset and length say; nothing is aligned or apart unless a rule says so."
    )
    floats = "float32"
    table = [
        ("shared", "Two rows of one range", [("a", floats, [4], 0, 16), ("b", floats, [4], 0, 16)]),
        ("two-views", "One range with two dtypes and shapes",
         [("a", floats, [4], 0, 16), ("b", "uint8", [2, 8], 0, 16)]),
        ("unaligned", "A tensor at an odd offset", [("a", "float64", [2], 3, 16)]),
        ("adjacent", "Ranges that touch", [("a", floats, [2], 0, 8), ("b", floats, [2], 8, 8)]),
        ("descending", "Rows whose ranges descend", [("a", floats, [2], 8, 8), ("b", floats, [2], 0, 8)]),
        ("whole-file", "A tensor that is its file", [("a", "uint8", [64], 0, 64)]),
        ("empty-inside", "An empty range within another tensor's",
         [("a", floats, [4], 0, 16), ("b", floats, [0], 8, 0)]),
        ("tied", "A range in three namespaces", [("a", floats, [4], 16, 16)]),
    ]  # fmt: skip
    for id, title, ranges in table:
        rows = [
            row(name, dtype, shape, "net.bin", at, size) for name, dtype, shape, at, size in ranges
        ]
        draft = several(rows, NUMBERS)
        if id == "tied":
            systems = ("a.b", "a_b", "keras")
            draft = replace(draft, namespaces=[("net", s, {"a": f"{s}/weight"}) for s in systems])
        suite.valid(
            f"ranges/{id}", title, draft, rules=["TEN-06", "TEN-09"], features=["ranges"], why=why
        )


def _namespaces(suite: Suite) -> None:
    roles = ("trainable", "non-trainable", "optimizer", "metric", "rng", "other")
    rows = [row(role, "uint8", [1], "net.bin", at, 1, role) for at, role in enumerate(roles)]
    suite.valid(
        "index/roles",
        "Every role of a tensor",
        several(rows, NUMBERS[:6]),
        rules=["TEN-12"],
        features=["roles"],
        why="Roles tell weights from the state of training.",
    )
    two = replace(
        several([row("a", "uint8", [1], "net.bin", 0, 1), row("b", "uint8", [1], "net.bin", 1, 1)], b"ab"),
        components=[component("one", "net.bin"), component("two", "net.bin")],
        namespaces=[("two", "aa", {"a": "x"}), ("one", "b", {"a": "y", "b": "x"}),
                    ("two", "b", {"b": "x"})],
    )  # fmt: skip
    suite.valid(
        "index/namespaces",
        "Namespaces of two components",
        two,
        rules=["TEN-11", "TEN-16"],
        features=["namespaces"],
        why="Namespaces ascend by system first, then by component.",
    )
    known = replace(PLAIN, attributes={"kernel": {"org.example.note": "", "dtype": "bfloat16"}})
    suite.valid(
        "index/attributes",
        "An attribute key that the standard does not define",
        known,
        rules=["TEN-15"],
        features=["attributes"],
        why="Keys of attributes are open: a Reader ignores those that it does not know.",
    )
    equal = several(
        [row("a", "uint8", [2], "net.bin", 0, 2), row("b", "uint8", [2], "net.bin", 2, 2)], b"ABAB"
    )
    suite.valid(
        "index/equal-bytes",
        "Two rows of equal bytes at two places",
        equal,
        rules=["TEN-10"],
        features=["ranges"],
        why="Equal bytes are not one range: equal zeros of two layers stay apart.",
    )
