"""Cases that are too large to be committed: built by a formula when they are run.

`tensors`: a bundle of one file `net.bin` of `count` zero bytes and a row for each, `t00000000`
and so on, of dtype uint8 and shape [1], without namespaces. `members`: a bundle of `count` empty
files `f00000`, …, whose archive has more members than its end record can count without zip64.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from hashlib import sha256

from generator import raw
from generator.archives import archive
from generator.cases import ARCHIVE, Case, Suite, Twin, header, refusal
from generator.raw import Draft

MILLION = 1_000_000
MEMBERS = 0xFFFF


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


BUILDERS: Mapping[str, Callable[[int, str], bytes]] = {"tensors": tensors, "members": members}


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
