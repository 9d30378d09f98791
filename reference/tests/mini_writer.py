"""A writer of model bundles from the text of the standard alone, with no code of the reference.

It wraps one safetensors file, as the introduction of the standard does, and knows no more than
that takes. `bundle(path, content)` gives the files of the bundle, `archive(files)` the archive.
"""

import json
from hashlib import sha256
from struct import pack
from zlib import crc32

import msgpack

INDEX = "application/vnd.modelbundle.tensor-index.v1+msgpack"
DTYPES = {"F32": "float32", "F16": "float16", "I64": "int64", "U8": "uint8", "BOOL": "bool"}


def digest(data: bytes) -> str:
    return f"sha256:{sha256(data).hexdigest()}"


def packed(code: str, numbers: list[int]) -> bytes:
    return pack(f"<{len(numbers)}{code}", *numbers)


def index(path: str, content: bytes) -> tuple[bytes, dict[str, int], list[str], dict[str, str]]:
    """The tensor index of one safetensors file, its totals, its dtypes and its metadata."""
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    rows = sorted((name, row) for name, row in header.items() if name != "__metadata__")
    names, n = [name for name, _ in rows], len(rows)
    ranges = [tuple(start + at for at in row["data_offsets"]) for _, row in rows]
    column = [DTYPES[row["dtype"]] for _, row in rows]
    dtypes = sorted(set(column))
    space = {"component": path, "names": names, "system": "safetensors"}
    value = {
        "count": n, "names": names, "files": [path], "roles": ["other"], "attributes": [],
        "dtypes": dtypes, "dtype": packed("B", [dtypes.index(dtype) for dtype in column]),
        "rank": packed("B", [len(row["shape"]) for _, row in rows]),
        "shape": packed("Q", [dim for _, row in rows for dim in row["shape"]]),
        "file": bytes(4 * n), "role": bytes(n),
        "offset": packed("Q", [begin for begin, _ in ranges]),
        "length": packed("Q", [end - begin for begin, end in ranges]),
        "digest": b"".join(sha256(content[begin:end]).digest() for begin, end in ranges),
        "namespaces": [space | {"tensors": packed("I", list(range(n)))}],
    }  # fmt: skip
    totals = {"count": n, "bytes": sum(end - begin for begin, end in set(ranges))}
    return msgpack.packb(dict(sorted(value.items()))), totals, dtypes, header["__metadata__"]


def bundle(path: str, content: bytes) -> dict[str, bytes]:
    """The files of a bundle of one safetensors file, in the order of the archive."""
    tensors, totals, dtypes, metadata = index(path, content)
    component = {"id": path, "kind": "safetensors", "files": [path]}
    files = [(path, content, "application/vnd.safetensors", "source"),
             ("tensors.msgpack", tensors, INDEX, "index")]  # fmt: skip
    manifest = {
        "modelbundle": "1.0-draft", "tensors": totals, "signatures": [],
        "files": [{"path": name, "size": len(data), "digest": digest(data), "mediaType": media,
                   "role": role, "storage": "stored"} for name, data, media, role in sorted(files)],
        "components": [component | {"properties": {"metadata": metadata}}],
        "requirements": {"layers": [], "customObjects": [], "ops": [], "dtypes": dtypes},
    }  # fmt: skip
    line = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return {"manifest.json": line.encode(), "tensors.msgpack": tensors, path: content}


def archive(files: dict[str, bytes]) -> bytes:
    """The archive of small files: below 4 GiB and 65,535 members no zip64 field is needed."""
    out, central = b"", b""
    for path, data in files.items():
        name, at, size = path.encode(), len(out), len(data)
        pad = -(at + 30 + len(name) + 4) % 64
        fixed = pack("<5H3LH", 45, 0x0800, 0, 0, 0x0021, crc32(data), size, size, len(name))
        extra = pack("<2H", 0x424D, pad) + bytes(pad)
        out += b"PK\3\4" + fixed + pack("<H", len(extra)) + name + extra + data
        central += b"PK\1\2" + pack("<H", 45) + fixed + pack("<4H2L", 0, 0, 0, 0, 0, at) + name
    n, end = len(files), (len(central), len(out), 0)
    return out + central + b"PK\5\6" + pack("<4H2LH", 0, 0, n, n, *end)
