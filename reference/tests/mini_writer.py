"""A writer of model bundles from the text of the standard alone, with no code of the reference.

It wraps one safetensors file, as the introduction of the standard does, and knows of the standard
what that takes. `bundle(path, content)` gives the files of the bundle, `archive(files)` the archive.
"""

from __future__ import annotations

import json
import struct
import zlib
from hashlib import sha256

import msgpack

DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "U8": "uint8", "BOOL": "bool"}


def digest(data: bytes) -> str:
    return f"sha256:{sha256(data).hexdigest()}"


def table(values: list[str]) -> tuple[list[str], list[int]]:
    """The distinct values, ascending, and the position of each value among them."""
    distinct = sorted(set(values))
    return distinct, [distinct.index(value) for value in values]


def index(path: str, content: bytes) -> tuple[bytes, dict[str, object], list[str]]:
    """The tensor index of one safetensors file, its totals and its dtypes."""
    start = 8 + int.from_bytes(content[:8], "little")
    rows = sorted(json.loads(content[8:start]).items())
    ranges = [(start + row["data_offsets"][0], start + row["data_offsets"][1]) for _, row in rows]
    names, shapes = [name for name, _ in rows], [row["shape"] for _, row in rows]
    dtypes, dtype = table([DTYPES[row["dtype"]] for _, row in rows])
    n, dims = len(rows), [dim for shape in shapes for dim in shape]
    space = {"component": path, "system": "safetensors", "tensors": struct.pack(f"<{n}I", *range(n)), "names": names}
    value = {
        "count": n, "names": names, "dtypes": dtypes, "dtype": bytes(dtype),
        "rank": bytes(map(len, shapes)), "shape": struct.pack(f"<{len(dims)}Q", *dims),
        "files": [path], "file": bytes(4 * n),
        "offset": struct.pack(f"<{n}Q", *(begin for begin, _ in ranges)),
        "length": struct.pack(f"<{n}Q", *(end - begin for begin, end in ranges)),
        "digest": b"".join(sha256(content[begin:end]).digest() for begin, end in ranges),
        "roles": ["other"], "role": bytes(n),
        "namespaces": [dict(sorted(space.items()))], "attributes": [],
    }  # fmt: skip
    totals = {"count": n, "bytes": sum(end - begin for begin, end in set(ranges))}
    return msgpack.packb(dict(sorted(value.items()))), totals, dtypes


def bundle(path: str, content: bytes) -> dict[str, bytes]:
    """The files of a bundle of one safetensors file, in the order of the archive."""
    packed, totals, dtypes = index(path, content)

    def entry(name: str, data: bytes, media: str, role: str) -> dict[str, object]:
        return {"path": name, "size": len(data), "digest": digest(data), "mediaType": media, "role": role, "storage": "stored"}

    files = [entry(path, content, "application/vnd.safetensors", "source"),
             entry("tensors.msgpack", packed, "application/vnd.msgpack", "index")]  # fmt: skip
    manifest = {
        "modelbundle": "1.0-draft", "tensors": totals, "signatures": [],
        "files": sorted(files, key=lambda file: str(file["path"]).encode()),
        "components": [{"id": path, "kind": "safetensors", "files": [path]}],
        "requirements": {"layers": [], "customObjects": [], "ops": [], "dtypes": dtypes},
    }  # fmt: skip
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return {"manifest.json": text.encode(), "tensors.msgpack": packed, path: content}


def archive(files: dict[str, bytes]) -> bytes:
    """The archive of small files: below 4 GiB and 65,535 members no zip64 field is needed."""
    out, central = b"", b""
    for path, data in files.items():
        name, at = path.encode(), len(out)
        pad = -(at + 30 + len(name) + 4) % 64
        fixed = struct.pack("<HHHHHIIIH", 45, 0x0800, 0, 0, 0x0021, zlib.crc32(data), len(data), len(data), len(name))
        extra = struct.pack("<HH", 0x424D, pad) + bytes(pad)
        out += b"PK\3\4" + fixed + struct.pack("<H", len(extra)) + name + extra + data
        central += b"PK\1\2" + struct.pack("<H", 45) + fixed + struct.pack("<HHHHII", 0, 0, 0, 0, 0, at) + name
    end = struct.pack("<HHHHIIH", 0, 0, len(files), len(files), len(central), len(out), 0)
    return out + central + b"PK\5\6" + end
