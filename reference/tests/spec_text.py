"""The text of the standard as data: its fenced examples, its tables, its schemas.

fence = example("schema", "compositions")
[row[0] for row in rows("06-tensor-index.md", "role")]
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import mini_writer
import msgpack
import referencing

from modelbundle.core import canonical_json, canonical_msgpack

ROOT = Path(__file__).resolve().parents[2]
SPEC = ROOT / "spec"
DOCUMENTS = sorted(path for path in SPEC.rglob("*.md") if path.name != "rules.md")
_SUFFIX = ".schema.json"
_FOLDER = ROOT / "schemas"
SCHEMAS = {
    path.relative_to(_FOLDER).as_posix().removesuffix(_SUFFIX): json.loads(path.read_text("utf-8"))
    for path in sorted(_FOLDER.rglob(f"*{_SUFFIX}"))
}
"""The schemas by name: `manifest`, `answers/inspect`."""

REGISTRY: referencing.Registry[Any] = referencing.Registry().with_contents(
    (schema["$id"], schema) for schema in SCHEMAS.values()
)
OWN = ("manifest", "tensor_index", "compositions", "findings")


@dataclass(frozen=True)
class Fence:
    """A fenced block: where it is, its tag and options, its text."""

    place: str
    tag: str
    options: dict[str, str]
    text: str


def fences(path: Path) -> Iterator[Fence]:
    lines = iter(enumerate(path.read_text("utf-8").splitlines(), 1))
    for number, line in lines:
        if line.lstrip().startswith("```"):
            tag, *options = line.strip().removeprefix("```").split() or [""]
            body = []
            for _, inner in lines:
                if inner.strip() == "```":
                    break
                body.append(inner)
            pairs = (option.partition("=") for option in options)
            text = "\n".join(body)
            yield Fence(f"{path.name}:{number}", tag, {k: v for k, _, v in pairs}, text)


FENCES = [fence for path in DOCUMENTS for fence in fences(path)]


def example(option: str, value: str, document: str = "") -> Fence:
    """The first example of a document with this option."""
    return next(
        fence
        for fence in FENCES
        if fence.options.get(option) == value and fence.place.startswith(document)
    )


def manifest_example() -> Any:
    """The manifest of chapter 5, a new value each time."""
    return strict(example("schema", "manifest", "05-").text)


@cache
def tiny() -> dict[str, bytes]:
    """The bundle of the introduction, from the source file given there as hex."""
    files = mini_writer.bundle(
        "net.safetensors", from_hex(example("bytes", "tiny/net.safetensors").text)
    )
    return {**files, "archive": mini_writer.archive(files)}


@cache
def pair() -> dict[str, bytes]:
    """The bundle of section 7.1: bytes from its hex, index and manifest encoded from its JSON."""
    names = ("compositions.msgpack", "kernel.bin", "residue.bin", "words.bin")
    stored = {name: from_hex(example("bytes", f"pair/{name}").text) for name in names}
    index, head = (
        strict(example("value", f"pair/{name}").text)
        for name in ("tensors.msgpack", "manifest.json")
    )
    files = {"manifest.json": canonical_json.encode(head), "tensors.msgpack": encoded(index)}
    return {**files, **stored, "archive": mini_writer.archive({**files, **stored})}


def shown(name: str) -> bytes:
    """The bytes that an example names: `tiny/manifest.json`, `pair/archive`."""
    bundle, _, path = name.partition("/")
    return {"tiny": tiny, "pair": pair}[bundle]()[path]


def from_hex(text: str) -> bytes:
    return bytes.fromhex(" ".join(line.partition(";")[0] for line in text.splitlines()))


def strict(text: str) -> Any:
    return canonical_json.decode_lenient(text.encode(), "example")


def fragment(location: str) -> jsonschema.Draft202012Validator:
    """A validator for a schema (`manifest`) or for one node of it (`manifest#/$defs/file`)."""
    name, _, pointer = location.partition("#")
    return jsonschema.Draft202012Validator(
        {"$ref": f"{SCHEMAS[name]['$id']}#{pointer}"}, registry=REGISTRY
    )


def rows(document: str, first: str, columns: int = 0) -> Iterator[list[str]]:
    """The rows of the tables in `document` whose header begins with the column `first`."""
    lines = iter((SPEC / document).read_text("utf-8").splitlines())
    for line in lines:
        if line.startswith(f"| {first} |") and columns in (0, line.count("|") - 1):
            next(lines)
            for row in lines:
                if not row.startswith("|"):
                    break
                yield [cell.strip() for cell in row.strip("|").split("|")]


def run(fence: Fence) -> dict[str, Any]:
    """The names that a Python example defines, once run."""
    names: dict[str, Any] = {"tiny": tiny(), "pair": pair()}
    exec(compile(fence.text, fence.place, "exec"), names)
    return names


WIDTHS = {"dtype": "B", "rank": "B", "role": "B", "file": "I", "tensors": "I", "segments": "I",
          "source": "I", "shape": "Q", "offset": "Q", "length": "Q"}  # fmt: skip


def decoded(data: bytes) -> Any:
    """The decoded data model of MessagePack bytes (section 4.4.1), without the reference."""
    return _decoded(msgpack.unpackb(data))


def _decoded(value: Any, name: str = "") -> Any:
    if isinstance(value, bytes) and name == "digest":
        return [f"sha256:{value[at : at + 32].hex()}" for at in range(0, len(value), 32)]
    if isinstance(value, bytes):
        return [item for (item,) in struct.iter_unpack(f"<{WIDTHS[name]}", value)]
    if isinstance(value, dict):
        return {key: _decoded(item, key) for key, item in value.items()}
    return [_decoded(item) for item in value] if isinstance(value, list) else value


def encoded(value: Any) -> bytes:
    """The inverse of `decoded`, in canonical form."""
    return canonical_msgpack.encode(_encoded(value))


def _encoded(value: Any, name: str = "") -> Any:
    if isinstance(value, list) and name == "digest":
        return b"".join(bytes.fromhex(item.removeprefix("sha256:")) for item in value)
    if isinstance(value, list) and name in WIDTHS:
        return struct.pack(f"<{len(value)}{WIDTHS[name]}", *value)
    if isinstance(value, dict):
        return {key: _encoded(item, key) for key, item in value.items()}
    return [_encoded(item) for item in value] if isinstance(value, list) else value
