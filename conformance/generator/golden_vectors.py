"""Cases of golden vectors (chapter 18): bundles with sound ones, and those with broken ones.

The sound files are fixtures of `conformance/sources/golden/`; a broken one is a sound one, decoded,
with one change.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import msgpack

from generator import raw
from generator.archives import archive
from generator.cases import ARCHIVE, Case, Suite, Twin, document, header
from generator.edits import drop, put
from generator.raw import Change
from generator.sources import loaded

FILE = "vectors.golden"
WHY = "Who judges an engine by a vector has to be able to rely on what the vector says."
NAN, MINUS, SEVEN = (struct.pack("<f", number) for number in (float("nan"), -1.0, 7.0))
FLOATS = 2
"""Elements of the output of the sound vector."""

SOUND = {
    "saved-model": ("A verified vector of a SavedModel", "saved-model/module",
                    ["GLD-01", "GLD-02", "GLD-03", "GLD-05", "GLD-08"]),
    "call": ("Vectors of the call of a Keras model", "keras-config/keras3", ["GLD-04", "GLD-06", "GLD-07"]),
}  # fmt: skip

_OUT = "/vectors/0/outputs/0"
_IN = "/vectors/0/inputs/0"

BROKEN: tuple[tuple[str, str, str, Callable[[Any], Any], str], ...] = (
    ("version", "saved-model", "Another version", put("/golden", "2.0"), "GLD-01"),
    ("no-vectors", "saved-model", "No vectors", put("/vectors", []), "GLD-01"),
    ("member-missing", "saved-model", "A vector without a grade", drop("/vectors/0/grade"), "GLD-01"),
    ("member-unknown", "saved-model", "A tolerance of one's own", put("/vectors/0/rtol", 1), "GLD-01"),
    ("member-type", "saved-model", "Outputs that are a text", put("/vectors/0/outputs", "y"), "GLD-01"),
    ("grade-unknown", "saved-model", "A grade that does not exist", put("/vectors/0/grade", "sure"), "GLD-01"),
    ("exact-two", "saved-model", "Exact twice over", put("/vectors/0/exact", 2), "GLD-01"),
    ("name-twice", "call", "An input twice", lambda v: v["vectors"][0]["inputs"].append(v["vectors"][0]["inputs"][0]), "GLD-01"),
    ("data-short", "saved-model", "An input of too few bytes", put(f"{_IN}/data", b"\0" * 12), "GLD-02"),
    ("dtype-unknown", "saved-model", "An input of an unknown dtype", put(f"{_IN}/dtype", "float31"), "GLD-02"),
    ("dtype-packed", "saved-model", "An input of a packed dtype", put(f"{_IN}/dtype", "int4_packed"), "GLD-02"),
    ("shape-bomb", "saved-model", "Sizes whose product overflows", put(f"{_IN}/shape", [2**40] * 4), "GLD-02"),
    ("bool", "call", "A bool of 2", lambda v: v["vectors"][0]["inputs"][0].update(dtype="bool", shape=[2], data=b"\1\2"), "GLD-02"),
    ("channel-nan", "saved-model", "A tolerance that is NaN", put(f"{_OUT}/channels/st", NAN * FLOATS), "GLD-03"),
    ("channel-negative", "saved-model", "A tolerance below 0", put(f"{_OUT}/channels/acc", MINUS * FLOATS), "GLD-03"),
    ("channel-short", "saved-model", "A channel of one element", put(f"{_OUT}/channels/mm", SEVEN), "GLD-03"),
    ("decided-float", "saved-model", "Decisions of an output of floats", put(f"{_OUT}/decided", b"\1" * FLOATS), "GLD-03"),
    ("order", "call", "Vectors in another order", lambda v: v["vectors"].reverse(), "GLD-04"),
    ("twice", "call", "Two vectors of one name", put("/vectors/1/name", "drawn"), "GLD-04"),
    ("verified-alone", "saved-model", "Verified by one reference", lambda v: v["vectors"][0]["references"].pop() and None, "GLD-05"),
    ("verified-same", "saved-model", "Verified twice by one engine", put("/vectors/0/references/1/engine", "one"), "GLD-05"),
    ("verified-float32", "saved-model", "Verified in float32", put("/vectors/0/references/1/precision", "float32"), "GLD-05"),
    ("verified-apart", "saved-model", "Verified by references that differ", put("/vectors/0/agreement", 5), "GLD-05"),
    ("verified-bare", "saved-model", "Verified without channels", drop(f"{_OUT}/channels"), "GLD-05"),
    ("signature", "saved-model", "An unknown signature", put("/vectors/0/signature", "other"), "GLD-06"),
    ("component", "call", "The call of a component that is not there", lambda v: [each.update(component="other") for each in v["vectors"]] and None, "GLD-06"),
    ("input-name", "saved-model", "An input of another name", put(f"{_IN}/name", "z"), "GLD-07"),
    ("input-missing", "saved-model", "No inputs", put("/vectors/0/inputs", []), "GLD-07"),
    ("input-dtype", "saved-model", "An input of integers for floats", put(f"{_IN}/dtype", "int32"), "GLD-07"),
    ("input-shape", "saved-model", "An input of another shape", put(f"{_IN}/shape", [4, 1]), "GLD-07"),
    ("call-input", "call", "An input that the topology does not have", put(f"{_IN}/name", "z"), "GLD-07"),
    ("output-name", "saved-model", "An output of another name", put(f"{_OUT}/name", "z"), "GLD-08"),
    ("output-shape", "saved-model", "An output of another shape", put(f"{_OUT}/shape", [1, 2]), "GLD-08"),
)  # fmt: skip
"""Name, twin, title, change and the rule that is broken."""


def add(suite: Suite) -> None:
    """Add the cases to `suite`."""
    for name, (title, fixture, rules) in SOUND.items():
        _valid(suite, name, title, fixture, rules)
    for name, twin, title, change, rule in BROKEN:
        suite.invalid(
            f"golden/{name}",
            title,
            twin=f"golden/{twin}",
            stage="files",
            change=_rewritten(change),
            rules=[rule],
            place="",
            phase="sources",
            why=WHY,
        )


def _valid(suite: Suite, name: str, title: str, fixture: str, rules: list[str]) -> None:
    bundle = loaded(fixture, f"golden/{name}")
    twin = Twin(bundle.make, "archive", (), ["golden", fixture.split("/", maxsplit=1)[0]], "full")
    suite.twins[f"golden/{name}"] = twin
    data = header(f"golden/{name}", title, rules, WHY, twin, {"verdict": "accept"})
    files = {ARCHIVE: archive(bundle.stored), "expected.json": document(bundle.answer)}
    suite.add(Case(f"golden/{name}", data | {"writer": "modelbundle"}, files))


def _rewritten(change: Callable[[Any], Any]) -> Change:
    """The change, applied to the decoded file of vectors."""

    def apply(files: dict[str, bytes]) -> dict[str, bytes]:
        value = msgpack.unpackb(files[FILE])
        value = change(value) or value
        return files | {FILE: raw.canonical_msgpack(value)}

    return apply
