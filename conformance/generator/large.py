"""Cases that are too large to be committed: built by a formula when they are run.

`tensors`: a bundle of one file `net.bin` of `count` zero bytes and a row for each, `t00000000`
and so on, of dtype uint8 and shape [1], without namespaces. `members`: a bundle of `count` empty
files `f00000`, …, whose archive has more members than its end record can count without zip64.
`values`: a bundle without files whose manifest has `count` members and items, zeros in its metadata.
`header`: a bundle of a safetensors file with `count` tensors `t0`, `t1`, … without elements.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from generator import raw
from generator.archives import archive
from generator.cases import ARCHIVE, Case, Suite, Twin, header, refusal
from generator.raw import Draft

MILLION = 1_000_000
MEMBERS = 0xFFFF
VALUES = 1 << 20
TENSORS_OF_A_FILE = 200_000


def tensors(count: int, fault: str) -> bytes:
    """The archive of `count` tensors, broken by `fault`: "" or "last-range"."""
    names = [f"t{at:08d}" for at in range(count)]
    offsets = list(range(count))
    if fault == "last-range":
        offsets[-1] = count
    zeros = bytes(count)
    index = {
        "count": count, "names": names, "attributes": [], "namespaces": [],
        "dtypes": ["uint8"], "dtype": zeros, "roles": ["other"], "role": zeros,
        "files": ["net.bin"], "file": bytes(4 * count), "rank": b"\1" * count,
        "shape": struct.pack("<Q", 1) * count, "length": struct.pack("<Q", 1) * count,
        "offset": raw.packed("Q", offsets), "digest": sha256(b"\0").digest() * count,
    }  # fmt: skip
    draft = Draft(
        files={"net.bin": zeros},
        manifest={"tensors": {"count": count, "bytes": count},
                  "requirements": {"layers": [], "customObjects": [], "ops": [], "dtypes": ["uint8"]}},
    )  # fmt: skip
    return archive(raw.build(draft, "index", lambda _: index))


def members(count: int, fault: str) -> bytes:
    """The archive of `count` empty files, broken by `fault`: "" or "locator"."""
    stored = raw.build(Draft(files={f"f{at:05d}": b"" for at in range(count)}))
    data = archive(stored)
    if fault == "locator":
        where = len(data) - 22 - 20 + 8
        data = data[:where] + struct.pack("<Q", 0) + data[where + 8 :]
    return data


def values(count: int, fault: str) -> bytes:
    """The archive whose manifest has `count` members and items, and one more with "one-more"."""
    zeros: list[int] = []
    draft = Draft(files={}, manifest={"metadata": {"zeros": zeros}})
    held = _values(json.loads(raw.build(draft)[raw.MANIFEST]))
    zeros += [0] * (count - held + (fault == "one-more"))
    return archive(raw.build(draft))


def _values(value: Any) -> int:
    """Members and items of a JSON value, all levels together."""
    if not isinstance(value, dict | list):
        return 0
    items = value.values() if isinstance(value, dict) else value
    return len(value) + sum(map(_values, items))


def header_of_many(count: int, fault: str) -> bytes:
    """The archive of a safetensors file of `count` tensors, and one more with "one-more"."""
    names = [f"t{at}" for at in range(count + (fault == "one-more"))]
    entry = {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
    text = json.dumps(dict.fromkeys(names, entry), separators=(",", ":")).encode()
    path = "net.safetensors"
    rows = [raw.row(name, "uint8", [0], path, 8 + len(text), 0) for name in names]
    component = {"id": path, "kind": "safetensors", "files": [path], "properties": {"metadata": {}}}
    return archive(
        raw.build(
            Draft(
                files={path: len(text).to_bytes(8, "little") + text},
                rows=rows,
                components=[component],
                namespaces=[(path, "safetensors", {name: name for name in names})],
                entries={path: {"mediaType": "application/vnd.safetensors"}},
            )
        )
    )


BUILDERS: Mapping[str, Callable[[int, str], bytes]] = {
    "tensors": tensors, "members": members, "values": values, "header": header_of_many,
}  # fmt: skip


def add(suite: Suite) -> None:
    """Add the cases to `suite`."""
    _add(
        suite,
        "million-tensors",
        "A million tensors",
        "tensors",
        MILLION,
        "",
        ["TEN-01"],
        "An index is checked as columns: a million rows take a second, not a minute.",
    )
    _add(
        suite,
        "million-tensors-last-range",
        "The last of a million ranges ends after its file",
        "tensors",
        MILLION,
        "last-range",
        ["TEN-06"],
        "Every row is checked, the last one too.",
        place="tensors.msgpack",
        phase="index",
        twin="million-tensors",
    )
    _add(
        suite,
        "zip64-members",
        "An archive of 65,537 members",
        "members",
        MEMBERS,
        "",
        ["ARC-09"],
        "From 65,535 members on the zip64 end records are there.",
    )
    _add(
        suite,
        "zip64-locator",
        "A zip64 locator that leads to the first byte",
        "members",
        MEMBERS,
        "locator",
        ["ARC-09", "ARC-07"],
        "Tools that follow the locator would see other members.",
        place="archive@",
        phase="layout",
        twin="zip64-members",
    )
    _add(
        suite,
        "json-values",
        "A manifest of 2^20 members and items",
        "values",
        VALUES,
        "",
        ["JSN-04"],
        "The limit itself is allowed.",
    )
    _add(
        suite,
        "json-values-one-more",
        "A manifest of 2^20 + 1 members and items",
        "values",
        VALUES,
        "one-more",
        ["JSN-04"],
        "A value takes 60 bytes of memory or more where its text takes two.",
        place="manifest.json",
        phase="manifest",
        twin="json-values",
    )
    _add(
        suite,
        "safetensors-members",
        "A safetensors header of 200,000 tensors",
        "header",
        TENSORS_OF_A_FILE,
        "",
        ["STF-01"],
        "The limit itself is allowed, within the memory that any operation has.",
    )
    _add(
        suite,
        "safetensors-members-one-more",
        "A safetensors header of 200,001 tensors",
        "header",
        TENSORS_OF_A_FILE,
        "one-more",
        ["STF-01"],
        "A header of 100 MB could name two million tensors that have no bytes at all.",
        place="",
        phase="sources",
        twin="safetensors-members",
    )


def _add(
    suite: Suite,
    id: str,
    title: str,
    what: str,
    count: int,
    fault: str,
    rules: list[str],
    why: str,
    place: str = "",
    phase: str = "",
    twin: str | None = None,
) -> None:
    step = {"do": "build", "path": ARCHIVE, "what": what, "count": count}
    made = Twin(
        lambda stage, change: {},
        "archive",
        [step | ({"break": fault} if fault else {})],
        ["large", "recipe"],
    )
    expected = refusal(rules, place, phase) if fault else {"verdict": "accept"}
    reference = f"large/{twin}" if twin else None
    data = header(f"large/{id}", title, rules[:1], why, made, expected, twin=reference)
    suite.add(Case(f"large/{id}", data | {"limits": {"seconds": 30}}, {}))
