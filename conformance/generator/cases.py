"""Cases as values: what a case is, how it is written to files, and a place to collect them.

A family of cases is a table; its rows go into a `Suite` by `valid` and `invalid`. An invalid case
is its twin with one change, applied at one stage of building the twin (`raw.STAGES`):

    suite.valid("core/archive", "A bundle as an archive", PLAIN, why="…")
    suite.invalid("archive/trailing", "A byte after the end record", twin="core/archive",
                  stage="archive", change=lambda data: data + b"x", rules=["ARC-07"],
                  place="bundle.modelbundle@", phase="layout", why="…")
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from generator import raw
from generator.archives import archive
from generator.raw import Change, Draft, Stored

COMMAND = "conformance/generate.py"
ARCHIVE, DIRECTORY = "bundle.modelbundle", "bundle"
UNSUPPORTED = frozenset({"VER-01", "MAN-06", "COM-03", "EXT-02"})
FULL = (
    "COM-06",
    "COM-07",
    "REQ-03",
    "HDF",
    "KHF",
    "KAR",
    "TFC",
    "SVM",
    "STF",
    "KCF",
    "KMD",
    "ONX",
    "TFL",
    "GLD",
    "SRC",
)

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Case:
    """A case: `case.json` and the files beside it."""

    id: str
    data: Mapping[str, Any]
    files: Files

    def contents(self) -> Iterator[tuple[str, bytes]]:
        """Every file of the case by its path below `cases/`."""
        yield f"{self.id}/case.json", document(self.data)
        for path, content in self.files.items():
            yield f"{self.id}/{path}", content


def document(value: Any) -> bytes:
    """A JSON document as it is committed: for people, and the same on every machine."""
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()


@dataclass(frozen=True)
class Twin:
    """What an invalid case is made from: a valid bundle before it was built."""

    make: Callable[[str, Change | None], Stored]
    layout: str
    recipe: Sequence[Mapping[str, Any]] = ()
    features: Sequence[str] = ()
    level: str = "core"


@dataclass
class Suite:
    """All cases, by id, and the twins among them."""

    cases: dict[str, Case] = field(default_factory=dict)
    twins: dict[str, Twin] = field(default_factory=dict)

    def add(self, case: Case) -> None:
        """Add a case; raises `ValueError` where its id is taken."""
        if case.id in self.cases:
            raise ValueError(f"two cases are called {case.id}")
        self.cases[case.id] = case

    def valid(
        self,
        id: str,
        title: str,
        draft: Draft,
        *,
        why: str,
        rules: Sequence[str] = (),
        layout: str = "archive",
        stage: str = "",
        change: Change | None = None,
        recipe: Sequence[Mapping[str, Any]] = (),
        features: Sequence[str] = (),
    ) -> None:
        """A bundle that is accepted, with the answer expected of whoever reads it."""

        def make(at: str, how: Change | None) -> Stored:
            return raw.build(draft, at, how) if at else raw.build(draft, stage, change)

        twin = Twin(make, layout, recipe, features)
        stored = make("", None)
        data = header(id, title, rules, why, twin, {"verdict": "accept"})
        files = bundle_files(stored, layout) | {"expected.json": document(answer(stored, draft))}
        self.twins[id] = twin
        self.add(Case(id, data, files))

    def invalid(
        self,
        id: str,
        title: str,
        *,
        twin: str,
        stage: str,
        change: Change,
        rules: Sequence[str],
        place: str,
        phase: str,
        why: str,
        also: Sequence[str] = (),
        about: Sequence[str] = (),
        recipe: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """`twin` with one change, refused for one of `rules` or, as well allowed, `also`.

        `about` are rules of behaviour that the case is about as well, and no finding names.
        """
        source = self.twins[twin]
        layout_stage = stage in ("members", "archive")
        stored = source.make("", None) if layout_stage else source.make(stage, change)
        steps = source.recipe if recipe is None else recipe
        made = Twin(source.make, source.layout, steps, source.features, source.level)
        expected = refusal([*rules, *also], place, phase)
        data = header(id, title, [*rules, *about], why, made, expected, twin=twin)
        files = bundle_files(stored, source.layout, stage if layout_stage else "", change)
        self.add(Case(id, data, files))


def header(
    id: str,
    title: str,
    rules: Sequence[str],
    why: str,
    made: Twin,
    expected: Mapping[str, Any],
    *,
    twin: str | None = None,
    operation: str = "validate",
    role: str = "Validator",
) -> dict[str, Any]:
    """The value of a `case.json`."""
    level = "full" if made.level == "full" or any(r.startswith(FULL) for r in rules) else "core"
    data = {
        "generated": COMMAND,
        "id": id,
        "title": title,
        "description": why,
        "rules": list(rules),
        "role": role,
        "level": level,
        "features": sorted({made.layout, *made.features}),
        "operation": operation,
        "layout": made.layout,
        "input": ARCHIVE if made.layout == "archive" else DIRECTORY,
        "expected": dict(expected),
        "twin": twin,
        "recipe": list(made.recipe),
    }
    return {key: value for key, value in data.items() if value not in (None, [])}


def refusal(rules: Sequence[str], place: str, phase: str) -> dict[str, Any]:
    """The expected answer for a bundle that is refused."""
    verdict = "unsupported" if set(rules) <= UNSUPPORTED else "reject"
    finding = {"rules": sorted(set(rules)), "place": place}
    return {"verdict": verdict, "phase": phase, "findings": [finding]}


def bundle_files(
    stored: Stored, layout: str, stage: str = "", change: Change | None = None
) -> dict[str, bytes]:
    """The files of a case that are its bundle."""
    if layout == "archive":
        return {ARCHIVE: archive(stored, stage, change)}
    return {f"{DIRECTORY}/{path}": data for path, data in stored.items()}


def answer(stored: Stored, draft: Draft) -> dict[str, Any]:
    """What a Reader of the bundle answers: its digest, its files and its tensors."""
    listed = json.loads(stored[raw.MANIFEST])["files"]
    return {
        "digest": raw.digest(stored[raw.MANIFEST]),
        "files": [
            {name: entry[name] for name in ("path", "size", "digest", "role")} for entry in listed
        ],
        "tensors": [
            {name: each[name] for name in ("name", "dtype", "shape", "role")}
            | {"digest": raw.digest(draft.files[each["file"]][each["offset"] :][: each["length"]])}
            for each in sorted(draft.rows, key=lambda each: each["name"])
        ],
    }
