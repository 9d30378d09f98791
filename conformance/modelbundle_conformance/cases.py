"""The cases as they lie on disk: one folder each, with `case.json` and often `expected.json`.

A suite is the folder `conformance/` of a checkout, with `cases/` and `generator/recipes.py`.

    suite = load(find(None))
    suite.cases["archive/plain"].verdict         # "accept"
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from modelbundle_conformance import golden
from modelbundle_conformance.golden import Vector

Json = dict[str, Any]

ANSWER, VECTORS = "expected.json", "expected.golden"
"""What stands beside `case.json` and no tool gets to see: answer, golden vectors."""


class UsageError(Exception):
    """The run cannot begin: what was asked for does not exist or contradicts itself."""


@dataclass(frozen=True)
class Case:
    """A case: what `case.json` says, and where it lies."""

    folder: Path
    data: Json

    id = property(lambda self: str(self.data["id"]), doc="Area and name.")
    area = property(lambda self: self.id.split("/")[0], doc="The first part of the id.")
    role = property(lambda self: str(self.data["role"]), doc="The role held to its duty.")
    level = property(lambda self: str(self.data["level"]), doc="core or full.")
    operation = property(lambda self: str(self.data["operation"]), doc="What is to be done.")
    layout = property(lambda self: str(self.data["layout"]), doc="archive, directory or source.")
    verdict = property(lambda self: str(self.data["expected"]["verdict"]), doc="What is right.")
    phase = property(lambda self: self.data["expected"].get("phase"), doc="Where it is seen.")
    twin = property(lambda self: self.data.get("twin"), doc="The id of the valid twin.")

    @property
    def features(self) -> frozenset[str]:
        """Words that a tool can declare as not supported; the layout is one of them."""
        return frozenset([*self.data["features"], self.layout])

    @property
    def rules(self) -> frozenset[str]:
        """The rules that the case is about."""
        return frozenset(self.data["rules"])

    @property
    def findings(self) -> list[Json]:
        """The findings expected: each has `rules` allowed and how its `place` begins."""
        return list(self.data["expected"].get("findings", ()))

    @property
    def arguments(self) -> Json:
        """Further arguments of the operation."""
        return dict(self.data.get("arguments", {}))

    @property
    def seconds(self) -> float:
        """The time that the operation can take."""
        return float(self.data.get("limits", {}).get("seconds", 5))

    @cached_property
    def answer(self) -> Json | None:
        """What a Reader or Writer is to answer, where the case says so."""
        path = self.folder / ANSWER
        return json.loads(path.read_bytes()) if path.is_file() else None

    @cached_property
    def vectors(self) -> list[Vector]:
        """The golden vectors that a Runner is held against, where the case has some."""
        path = self.folder / VECTORS
        return golden.vectors(path.read_bytes()) if path.is_file() else []


@dataclass(frozen=True)
class Suite:
    """All cases by id, and the schemas and rules that stand beside them."""

    root: Path
    cases: Mapping[str, Case]

    @cached_property
    def digest(self) -> str:
        """The sha256 of all `case.json`: reports with another one were made of other cases."""
        found = hashlib.sha256()
        for case in self.cases.values():
            found.update((case.folder / "case.json").read_bytes())
        return f"sha256:{found.hexdigest()}"

    def schema(self, name: str) -> Json:
        """A published schema, such as `findings`."""
        path = self.root.parent / "schemas" / f"{name}.schema.json"
        try:
            value: Json = json.loads(path.read_bytes())
        except OSError as error:
            raise UsageError(f"the schema is not there: {path}") from error
        return value

    def rules(self) -> list[Json]:
        """The table of rules; empty where the standard does not lie beside the suite."""
        path = self.root.parent / "spec" / "rules.json"
        return list(json.loads(path.read_bytes())["rules"]) if path.is_file() else []

    def untestable(self) -> dict[str, str]:
        """Why a rule has no case, by its ID."""
        path = self.root.parent / "spec" / "untestable.json"
        return dict(json.loads(path.read_bytes())) if path.is_file() else {}


def find(given: Path | None) -> Path:
    """The folder of the suite: the one given, or the one that this file or the shell stands in."""
    here = Path.cwd()
    choices = [given] if given else [Path(__file__).parents[1], here, here / "conformance"]
    for choice in choices:
        if (choice / "cases").is_dir():
            return choice.resolve()
    raise UsageError("no cases found: name the folder conformance/ of a checkout with --suite")


def load(root: Path) -> Suite:
    """All cases below `root`, ascending by id. Raises `UsageError` where there are none."""
    folders = sorted(path.parent for path in (root / "cases").glob("*/*/case.json"))
    cases = [Case(folder, json.loads((folder / "case.json").read_bytes())) for folder in folders]
    if not cases:
        raise UsageError(f"no case in {root / 'cases'}")
    return Suite(root, {case.id: case for case in cases})
