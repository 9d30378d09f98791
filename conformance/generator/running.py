"""Cases of running: bundles with a model, and golden vectors that hold a Runner of it.

The vectors stand beside the bundle, as `expected.golden`, and not in it: a Runner gets the inputs
and has to compute. The fixtures are in `conformance/sources/run/`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgpack

from generator import raw
from generator.cases import Case, Suite, Twin, bundle_files, header, refusal
from generator.edits import drop, put
from generator.sources import FIXTURES, loaded_from

VECTORS = "expected.golden"
SECONDS = 30
"""An engine has to start first."""
WHY = "Outputs are held to what the weights say, by the tolerance that follows from rounding."
REFUSED = "What does not fit a signature is refused before anything starts; nothing is cast."
ASKED = {"component": "net.onnx", "signature": "dense", "device": "cpu", "precision": "float32"}

SOUND = {
    "dense": ("A contraction and a decision, in float32", "archive"),
    "dense-directory": ("The same from a directory", "directory"),
    "exact": ("A contraction of small integers, to the last bit", "archive"),
}

_IN = "/vectors/0/inputs/0"
BROKEN: Sequence[tuple[str, str, dict[str, str], Callable[[Any], Any], str]] = (
    ("signature", "A signature that the bundle does not have", {"signature": "sparse"}, lambda v: None, "RUN-01"),
    ("input-missing", "No input", {}, drop(_IN), "RUN-02"),
    ("input-unknown", "An input under another name", {}, put(f"{_IN}/name", "z"), "RUN-02"),
    ("input-more", "An input more", {}, lambda v: v["vectors"][0]["inputs"].append({**v["vectors"][0]["inputs"][0], "name": "z"}), "RUN-02"),
    ("input-dtype", "An input of integers", {}, put(f"{_IN}/dtype", "int32"), "RUN-02"),
    ("input-rank", "An input of another rank", {}, put(f"{_IN}/shape", [1, 4, 64]), "RUN-02"),
    ("input-size", "An input of another size", {}, put(f"{_IN}/shape", [8, 32]), "RUN-02"),
)  # fmt: skip


def add(suite: Suite) -> None:
    """Add the cases to `suite`."""
    for name, (title, layout) in SOUND.items():
        fixture = f"run/{name.split('-')[0]}"
        vectors = (FIXTURES / fixture / "vectors.golden").read_bytes()
        _check(vectors)
        rules = ["RUN-03", "RUN-07"]
        case = _case(f"run/{name}", title, rules, {"verdict": "accept"}, fixture, layout, vectors)
        suite.add(case)
    sound = (FIXTURES / "run/dense/vectors.golden").read_bytes()
    for name, title, asked, change, rule in BROKEN:
        value = msgpack.unpackb(sound)
        value["vectors"] = value["vectors"][:1]
        change(value)
        place = "net.onnx#dense" if rule == "RUN-02" else ""
        expected = refusal([rule], place, "operation")
        vectors = raw.canonical_msgpack(value)
        suite.add(_case(f"run/{name}", title, [rule], expected, "run/dense", "archive", vectors,
                        asked, twin="run/dense"))  # fmt: skip


def _check(vectors: bytes) -> None:
    """Refuse vectors that are not sound (GLD): a Runner would be held against nonsense."""
    from modelbundle.sources import golden

    assert all(vector.grade == "verified" for vector in golden.decode(vectors, VECTORS))


def _case(
    id: str,
    title: str,
    rules: list[str],
    expected: dict[str, Any],
    fixture: str,
    layout: str,
    vectors: bytes,
    asked: dict[str, str] | None = None,
    twin: str | None = None,
) -> Case:
    bundle = loaded_from(fixture, "net.onnx")
    made = Twin(bundle.make, layout, (), ["run", "run-onnx"])
    why = REFUSED if twin else WHY
    data = header(id, title, rules, why, made, expected, twin=twin, operation="run", role="Runner")
    data |= {
        "writer": "modelbundle",
        "arguments": ASKED | (asked or {}),
        "limits": {"seconds": SECONDS},
    }
    return Case(id, data, bundle_files(bundle.stored, layout) | {VECTORS: vectors})
