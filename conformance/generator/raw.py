"""Builds bundles from plain values, and lets a case break any single thing on the way.

A `Draft` says what a bundle holds. `build` turns it into stored files through named stages, each
of which a case can change: everything before the stage is right, and everything after it follows
from what was changed, sizes and digests included. So each broken bundle is broken in one place.

    stored = build(Draft(files={"net.bin": bytes(8)}), "manifest", put("/tensors/count", 7))

Written from the text of the standard alone; the package of the reference is not used here.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import msgpack

MANIFEST, TENSORS, COMPOSITIONS, RESIDUE = (
    "manifest.json", "tensors.msgpack", "compositions.msgpack", "residue.bin",
)  # fmt: skip
VERSION = "1.0-draft"
BYTES_TYPE = "application/octet-stream"
INDEX_TYPES = {
    TENSORS: "application/vnd.modelbundle.tensor-index.v1+msgpack",
    COMPOSITIONS: "application/vnd.modelbundle.compositions.v1+msgpack",
    RESIDUE: BYTES_TYPE,
}

Stored = dict[str, bytes]
"""Contents of the stored files by path, the manifest first, in archive order."""
Change = Callable[[Any], Any]
"""Gets the value of a stage; returns another one, or None where it changed it in place."""

STAGES = (
    "data", "index", "index_bytes", "compositions", "compositions_bytes", "manifest", "manifest_bytes",
    "stored", "members", "archive",
)  # fmt: skip


@dataclass(frozen=True)
class Draft:
    """What a bundle holds, before it is a bundle."""

    files: Mapping[str, bytes]
    """Stored files by path, the index files excepted (the residue is one of these)."""
    rows: Sequence[dict[str, Any]] = ()
    """Tensors: see `row`."""
    components: Sequence[dict[str, Any]] = ()
    namespaces: Sequence[tuple[str, str, Mapping[str, str]]] = ()
    """Component, naming system, and the name there by the name of the row."""
    attributes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    composed: Mapping[str, Sequence[tuple[str, int, int]]] = field(default_factory=dict)
    """Segments (stored file, offset, length) of each composed file."""
    entries: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """`role` and `mediaType` of files that are not plain sources."""
    manifest: Mapping[str, Any] = field(default_factory=dict)
    """Further members of the manifest, or members instead of those that follow from the rest."""


def row(
    name: str,
    dtype: str,
    shape: Sequence[int],
    file: str,
    offset: int,
    length: int,
    role: str = "other",
) -> dict[str, Any]:
    """A tensor: a range of `length` bytes at `offset` of the stored file `file`."""
    return {"name": name, "dtype": dtype, "shape": list(shape), "file": file, "offset": offset,
            "length": length, "role": role}  # fmt: skip


def digest(data: bytes) -> str:
    """The digest of `data` as the standard writes it."""
    return f"sha256:{sha256(data).hexdigest()}"


def packed(code: str, numbers: Sequence[int]) -> bytes:
    """A packed column: little-endian items, `code` one of B, I and Q."""
    return struct.pack(f"<{len(numbers)}{code}", *numbers)


def canonical_json(value: Any) -> bytes:
    """RFC 8785, for values without fractions."""
    return json.dumps(_utf16_order(value), ensure_ascii=False, separators=(",", ":")).encode()


def _utf16_order(value: Any) -> Any:
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
        return {name: _utf16_order(value[name]) for name in names}
    return [_utf16_order(item) for item in value] if isinstance(value, list) else value


def canonical_msgpack(value: Any) -> bytes:
    """MessagePack in shortest forms with ascending keys."""
    return msgpack.packb(_key_order(value))


def _key_order(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _key_order(value[key]) for key in sorted(value)}
    return [_key_order(item) for item in value] if isinstance(value, list) else value


def index(draft: Draft) -> dict[str, Any]:
    """The tensor index as a MessagePack value."""
    rows = sorted(draft.rows, key=lambda each: each["name"])
    number = {each["name"]: at for at, each in enumerate(rows)}
    tables = {name: sorted({each[name] for each in rows}) for name in ("dtype", "file", "role")}
    codes = {name: [table.index(each[name]) for each in rows] for name, table in tables.items()}
    ranges = [draft.files[r["file"]][r["offset"] : r["offset"] + r["length"]] for r in rows]
    return {
        "count": len(rows),
        "names": list(number),
        "dtypes": tables["dtype"], "dtype": packed("B", codes["dtype"]),
        "files": tables["file"], "file": packed("I", codes["file"]),
        "roles": tables["role"], "role": packed("B", codes["role"]),
        "rank": packed("B", [len(each["shape"]) for each in rows]),
        "shape": packed("Q", [dim for each in rows for dim in each["shape"]]),
        "offset": packed("Q", [each["offset"] for each in rows]),
        "length": packed("Q", [each["length"] for each in rows]),
        "digest": b"".join(sha256(data).digest() for data in ranges),
        "namespaces": [
            {
                "component": component,
                "system": system,
                "tensors": packed("I", sorted(number[name] for name in names)),
                "names": [names[name] for name in sorted(names)],
            }
            for component, system, names in sorted(draft.namespaces, key=lambda n: (n[1], n[0]))
        ],
        "attributes": [
            {"tensor": number[name], "values": dict(draft.attributes[name])}
            for name in sorted(draft.attributes)
        ],
    }  # fmt: skip


def compositions(composed: Mapping[str, Sequence[tuple[str, int, int]]]) -> dict[str, Any]:
    """The compositions as a MessagePack value."""
    files = sorted(composed)
    flat = [segment for path in files for segment in composed[path]]
    sources = sorted({source for source, _, _ in flat})
    return {
        "files": files,
        "segments": packed("I", [len(composed[path]) for path in files]),
        "sources": sources,
        "source": packed("I", [sources.index(source) for source, _, _ in flat]),
        "offset": packed("Q", [offset for _, offset, _ in flat]),
        "length": packed("Q", [length for _, _, length in flat]),
    }


def compose(draft: Draft, path: str) -> bytes:
    """The bytes of a composed file."""
    pieces = draft.composed[path]
    return b"".join(draft.files[source][at : at + size] for source, at, size in pieces)


def manifest(draft: Draft, stored: Stored) -> dict[str, Any]:
    """The manifest of `draft` as a JSON value."""
    contents = {**stored, **{path: compose(draft, path) for path in draft.composed}}
    ranges = {(r["file"], r["offset"], r["length"]) for r in draft.rows}
    value = {
        "modelbundle": VERSION,
        "files": [_entry(draft, path, contents[path]) for path in sorted(contents)],
        "tensors": {"count": len(draft.rows), "bytes": sum(size for _, _, size in ranges)},
        "components": [dict(each) for each in sorted(draft.components, key=lambda c: c["id"])],
        "signatures": [],
        "requirements": {
            "layers": [], "customObjects": [], "ops": [],
            "dtypes": sorted({each["dtype"] for each in draft.rows}),
        },
    }  # fmt: skip
    return json.loads(json.dumps(value | dict(draft.manifest)))


def _entry(draft: Draft, path: str, data: bytes) -> dict[str, Any]:
    return {
        "path": path,
        "size": len(data),
        "digest": digest(data),
        "mediaType": INDEX_TYPES.get(path, BYTES_TYPE),
        "role": "index" if path in INDEX_TYPES else "source",
        "storage": "composed" if path in draft.composed else "stored",
    } | dict(draft.entries.get(path, {}))


def build(draft: Draft, stage: str = "", change: Change | None = None) -> Stored:
    """The stored files of `draft`, with `change` applied to the value of `stage`."""

    def through(name: str, value: Any) -> Any:
        if name != stage or change is None:
            return value
        changed = change(value)
        return value if changed is None else changed

    if stage == "data":
        draft = replace(
            draft, files={name: through("data", draft.files[name]) for name in draft.files}
        )
    first = {TENSORS: through("index_bytes", canonical_msgpack(through("index", index(draft))))}
    if draft.composed or stage.startswith("compositions"):
        value = through("compositions", compositions(draft.composed))
        first[COMPOSITIONS] = through("compositions_bytes", canonical_msgpack(value))
    stored = first | {path: draft.files[path] for path in sorted(draft.files)}
    value = through("manifest", manifest(draft, stored))
    data = through("manifest_bytes", canonical_json(value))
    return through("stored", {MANIFEST: data} | stored)
