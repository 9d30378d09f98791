"""The drafts that most cases start from: small bundles with one of each thing.

Their components are of a kind that no implementation knows, so that no source format takes part.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from generator.raw import Draft, row

KIND = "org.example.weights"
NUMBERS = bytes(range(64))


def component(id: str, *files: str, **members: object) -> dict[str, object]:
    """A component of a kind that no implementation knows."""
    return {"id": id, "kind": KIND, "files": sorted(files)} | members


def tensors(count: int) -> Draft:
    """A file of `count` float32 tensors of two elements, with a namespace."""
    names = [f"layer_{at}/kernel" for at in range(count)]
    data = struct.pack(f"<{2 * count}f", *range(2 * count))
    return Draft(
        files={"net.bin": data},
        rows=[row(name, "float32", [2], "net.bin", 8 * at, 8) for at, name in enumerate(names)],
        components=[component("net.bin", "net.bin")],
        namespaces=[("net.bin", "example", {name: f"/{name}" for name in names})],
    )


PLAIN = Draft(
    files={"empty.bin": b"", "net.bin": NUMBERS, "sub/more.bin": b"0123456789"},
    rows=[
        row("bias", "float32", [2], "net.bin", 0, 8, "trainable"),
        row("kernel", "float32", [2, 3], "net.bin", 8, 24, "trainable"),
        row("seed", "uint8", [10], "sub/more.bin", 0, 10, "rng"),
        row("step", "int64", [], "net.bin", 32, 8, "optimizer"),
    ],
    components=[component("net", "empty.bin", "net.bin", "sub/more.bin")],
    namespaces=[("net", "example", {"bias": "b:0", "kernel": "k:0", "step": "iterations"}),
                ("net", "other.system", {"kernel": "layers/0"})],
    attributes={"step": {"slot": "iterations", "of": "kernel"}},
)  # fmt: skip
"""Four tensors in two files, an empty file, two namespaces, an attribute."""

COMPOSED = Draft(
    files={"net.bin": NUMBERS, "residue.bin": b"head-tail"},
    rows=[row("kernel", "float32", [4], "net.bin", 16, 16)],
    components=[component("copy.bin", "copy.bin"), component("net.bin", "net.bin"),
                component("whole.bin", "whole.bin")],
    namespaces=[("net.bin", "example", {"kernel": "k"})],
    composed={
        "copy.bin": [("residue.bin", 0, 5), ("net.bin", 16, 16), ("residue.bin", 5, 4)],
        "whole.bin": [("net.bin", 0, 64)],
    },
)  # fmt: skip
"""Two composed files: one of three segments, one that is a stored file whole."""


def port(name: str, dtype: str, shape: Sequence[object] | None) -> dict[str, object]:
    """An input or output of a signature."""
    return {"name": name, "dtype": dtype, "shape": shape}


RICH = Draft(
    files=PLAIN.files,
    rows=PLAIN.rows,
    components=[
        component("head", "sub/more.bin", derivedFrom="net", properties={"depth": 2}),
        component("net", "empty.bin", "net.bin"),
        component("tail", "net.bin", derivedFrom="head"),
    ],
    namespaces=PLAIN.namespaces,
    attributes=PLAIN.attributes,
    manifest={
        "name": "Digits",
        "directories": ["logs", "sub/assets"],
        "metadata": {"license": "Apache-2.0", "nested": {"list": [1, None, True, "", []]}},
        "extensions": {"org.example.audit": {"level": 3}, "org.example.colour": {}},
        "signatures": [
            {
                "name": "call",
                "component": "net",
                "inputs": [port("x", "float32", ["batch", 4]), port("y", "int32", [])],
                "outputs": [port("z", "float32", ["batch", None])],
            },
            {"name": "serve", "component": "head", "inputs": [], "outputs": []},
            {
                "name": "serve",
                "component": "net",
                "inputs": [port("x", "string", None)],
                "outputs": [port("x", "bool", [0])],
            },
        ],
        "requirements": {
            "layers": ["Dense", "Functional"],
            "customObjects": [
                {"registeredName": "a>Scale", "className": "Scale", "component": "net"},
                {"registeredName": "a>Scale", "className": "Scale", "module": "a.b",
                 "component": "head"},
            ],
            "ops": ["MatMul", "ReadVariableOp"],
            "dtypes": ["float32", "int64", "uint8"],
        },
    },
)  # fmt: skip
"""Every member that a manifest can have."""
