"""Cases of writing: files, rows and components as a caller states them, and the one bundle of it.

A Writer that reads no source formats is held by them: what it writes has to be, byte for byte,
what the generator builds from the same draft. Nothing stands in the order of the bundle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from generator import raw
from generator.bases import PLAIN, RICH, component, tensors
from generator.cases import Case, Suite, Twin, answer, document, header, refusal
from generator.edits import put
from generator.raw import Draft, row

SPEC = "spec/spec.json"
WHY = "Whoever writes the same content writes the same bytes, whatever the language."
MEMBERS = ("name", "directories", "metadata", "signatures")
"""Members of the manifest that a specification states as they are."""

_NAMES = {"a": "Ä", "z": "z", "Z": "Z", "é": "e\u0301", "\U0001d4d0": "𝓐", "\uff21": "Ａ"}  # noqa: RUF001
DRAFTS: dict[str, tuple[str, Draft, list[str]]] = {
    "plain": ("Tensors in two files, an empty file, names and attributes", PLAIN, ["TEN-01", "MAN-01"]),
    "rich": (
        "Signatures, requirements, empty directories, a name and metadata",
        replace(RICH, components=[component("net", *PLAIN.files)], manifest={
            **{key: value for key, value in RICH.manifest.items() if key in MEMBERS},
            "signatures": [each for each in RICH.manifest["signatures"] if each["component"] == "net"],
            "requirements": {"layers": ["Dense", "Functional"], "customObjects": [],
                             "ops": ["MatMul", "ReadVariableOp"], "dtypes": ["float32", "int64", "uint8"]},
        }),
        ["SIG-01", "REQ-01", "MAN-01"],
    ),
    "names": (
        "Names whose order differs between UTF-8, UTF-16 and alphabets",
        Draft(files={"net.bin": bytes(24)},
              rows=[row(name, "uint8", [4], "net.bin", 4 * at, 4) for at, name in enumerate(_NAMES)],
              components=[component("net", "net.bin")], namespaces=[("net", "example", _NAMES)]),
        ["TEN-03", "TEN-11"],
    ),
    "many": ("A hundred tensors", tensors(100), ["TEN-02"]),
    "nothing": ("A file without tensors", Draft(files={"a.bin": b"a"}, components=[component("a", "a.bin")]), ["TEN-01"]),
    "shapes": (
        "A scalar, sizes of zero, and two tensors of one range",
        Draft(files={"net.bin": bytes(range(16))}, components=[component("net", "net.bin")],
              rows=[row("empty", "float32", [0, 3], "net.bin", 16, 0), row("flat", "uint8", [8], "net.bin", 0, 8),
                    row("scalar", "int64", [], "net.bin", 0, 8), row("square", "float16", [2, 2], "net.bin", 8, 8)]),
        ["TEN-08", "TEN-09"],
    ),
}  # fmt: skip

BROKEN: Sequence[tuple[str, str, Callable[[Any], Any], list[str]]] = (
    ("overlap", "Two ranges that overlap", put("/rows/0/offset", 4), ["TEN-09"]),
    ("name-control", "A name with a line end", put("/rows/0/name", "a\nb"), ["TEN-03"]),
    ("rank", "A shape of 33 dimensions", put("/rows/0/shape", [1] * 32 + [2]), ["TEN-08"]),
    ("dtype", "A dtype that does not exist", put("/rows/0/dtype", "float31"), ["TEN-04"]),
    ("component", "A signature of a component that is not there",
     put("/signatures", [{"name": "f", "component": "other", "inputs": [], "outputs": []}]), ["SIG-02"]),
)  # fmt: skip


def add(suite: Suite) -> None:
    """Add the cases to `suite`."""
    for name, (title, draft, rules) in DRAFTS.items():
        found = document(answer(raw.build(draft), draft))
        data = _header(name, f"{title}, written", ["WRT-01", *rules], {"verdict": "accept"})
        suite.add(
            Case(f"write/{name}", data, _files(draft, stated(draft)) | {"expected.json": found})
        )
    for name, title, change, rules in BROKEN:
        spec = stated(replace(PLAIN, namespaces=[], attributes={}))
        data = _header(name, title, rules, refusal(rules, "", "operation"), "write/plain")
        suite.add(Case(f"write/{name}", data, _files(PLAIN, change(spec) or spec)))


def stated(draft: Draft) -> dict[str, Any]:
    """The specification of a draft, last things first."""
    needs = dict(draft.manifest.get("requirements", {}))
    value = {
        "files": [{"path": path} for path in sorted(draft.files, reverse=True)],
        "rows": sorted((dict(each) for each in draft.rows), key=lambda r: r["name"], reverse=True),
        "namespaces": [{"component": id, "system": system, "names": dict(names)}
                       for id, system, names in reversed(draft.namespaces)],
        "attributes": {name: dict(facts) for name, facts in draft.attributes.items()},
        "components": [dict(each) for each in reversed(draft.components)],
        "requirements": {key: needs[key][::-1] for key in ("layers", "ops") if needs.get(key)},
    }  # fmt: skip
    value |= {key: draft.manifest[key] for key in MEMBERS if key in draft.manifest}
    for key in ("signatures", "directories"):
        value |= {key: value[key][::-1]} if key in value else {}
    return {key: member for key, member in value.items() if member}


def _files(draft: Draft, spec: Any) -> dict[str, bytes]:
    return {SPEC: document(spec)} | {f"spec/{path}": data for path, data in draft.files.items()}


def _header(
    name: str, title: str, rules: list[str], expected: dict[str, Any], twin: str | None = None
) -> dict[str, Any]:
    made = Twin(lambda stage, change: {}, "source", (), ["write"])
    id = f"write/{name}"
    data = header(
        id, title, rules, WHY, made, expected, twin=twin, operation="write", role="Writer"
    )
    return data | {"input": SPEC}
