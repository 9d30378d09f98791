"""What is run: items, each a case with the role and the operation that it is used for.

A case names a role and an operation of its own. Most are bundles to be validated, and serve other
roles as well: a valid one is read, unpacked and copied; an invalid one, where its breach is one
that the role has to notice, is to be refused by it too.

    plan(suite, Selection(roles=("Reader",)))    # items, the valid ones first, twins included
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from modelbundle_conformance.cases import Case, Json, Suite, UsageError

Role = Literal["Reader", "Validator", "Writer", "Copier", "Runner"]
ROLES: tuple[Role, ...] = get_args(Role)

OPERATIONS: dict[Role, tuple[str, ...]] = {
    "Reader": ("read", "unpack"),
    "Validator": ("validate",),
    "Writer": ("write", "pack"),
    "Copier": ("copy",),
    "Runner": ("run",),
}
OFFERED = frozenset({"validate", "read", "copy", "pack"})
"""What a tool does that says nothing of itself."""
OPTIONAL = frozenset({"unpack"})
"""Operations that a role can have but need not: chapter 11 binds "a Reader that unpacks"."""

STRUCTURE = frozenset({"manifest", "index", "compositions"})
"""Phases of the steps at which a Reader stops (RDR-07)."""
VERIFIED = frozenset({"IDN-02", "CMP-06", "TEN-10", "TEN-13", "TEN-14"})
"""Rules about data that a Reader holds it to before it gives it out (section 11.2)."""
BYTES = frozenset({"IDN-02", "CMP-06", "TEN-10"})
"""Rules of which one defect in stored data breaks several: a Reader meets any of them first."""
LATE = frozenset({"MAN-09", "REQ-02"})
"""Rules about the manifest that are checked with the index (section 11.1, step 8)."""
COPIED = frozenset({"IDN-02"})
"""Rules about data that a Copier checks (CPY-04)."""

_STEPS: Mapping[str, frozenset[str]] = {
    "manifest": frozenset({"open"}),
    "index": frozenset({"open", "list"}),
    "compositions": frozenset({"open", "list", "read"}),
    "bytes": frozenset({"read"}),
}
"""The requests at which a Reader can notice a breach of a phase (section 11.1)."""


@dataclass(frozen=True)
class Item:
    """One thing to be asked of a tool and scored."""

    role: Role
    operation: str
    case: Case

    @property
    def key(self) -> tuple[str, str, str]:
        """Role, operation and id of the case: no two items have the same."""
        return (self.role, self.operation, self.case.id)

    @property
    def required(self) -> bool:
        """Whether a claim of conformance needs it."""
        return self.operation not in OPTIONAL

    @property
    def twin_key(self) -> tuple[str, str, str] | None:
        """The key of the item that has to be accepted for this one to score."""
        return (self.role, self.operation, self.case.twin) if self.case.twin else None

    @property
    def findings(self) -> list[Json]:
        """The findings expected: those of the case, or what else the role can notice first."""
        if self.role == "Reader" and self.case.operation != self.operation:
            return [_as_read(found) for found in self.case.findings]
        return self.case.findings

    @property
    def steps(self) -> frozenset[str]:
        """The requests at which a persistent Reader can refuse; empty where any will do."""
        late = any(LATE & set(found["rules"]) for found in self.case.findings)
        return _STEPS.get("index" if late else self.case.phase or "", frozenset())

    def __str__(self) -> str:
        return f"{self.role} {self.operation} {self.case.id}"


@dataclass(frozen=True)
class Selection:
    """What to run; an empty field chooses all."""

    roles: tuple[Role, ...] = ()
    level: str = "core"
    filters: tuple[str, ...] = ()
    """Areas (`index`), ids (`index/count`) or patterns (`*/unicode-*`)."""

    def takes(self, item: Item) -> bool:
        """Whether the item is chosen."""
        if self.level == "core" and item.case.level != "core":
            return False
        if self.roles and item.role not in self.roles:
            return False
        names = (item.case.area, item.case.id)
        return not self.filters or any(
            fnmatch.fnmatchcase(name, pattern) for pattern in self.filters for name in names
        )


def plan(suite: Suite, selection: Selection) -> list[Item]:
    """The items chosen and the twins that they need, valid cases first."""
    everything = {item.key: item for item in items(suite)}
    chosen = {key: item for key, item in everything.items() if selection.takes(item)}
    if selection.filters and not chosen:
        raise UsageError(f"no case matches {', '.join(selection.filters)}; `list` shows them")
    twins = {item.twin_key for item in chosen.values() if item.twin_key}
    chosen |= {key: everything[key] for key in twins & everything.keys()}
    return sorted(chosen.values(), key=lambda item: (item.case.verdict != "accept", item.key))


def items(suite: Suite) -> Iterator[Item]:
    """Every item that the cases make."""
    for case in suite.cases.values():
        yield from _own(case)
        if case.operation == "validate":
            yield from (Item(role, what, case) for role, what in _derived(case))


def _as_read(found: Json) -> Json:
    rules = set(found["rules"])
    return {"rules": sorted(rules | BYTES), "place": ""} if rules & BYTES else found


def _own(case: Case) -> Iterator[Item]:
    for role, operations in OPERATIONS.items():
        if case.role == role and case.operation in operations:
            yield Item(role, case.operation, case)


def _derived(case: Case) -> Iterable[tuple[Role, str]]:
    if "large" in case.features:
        return
    if case.verdict == "accept":
        if case.answer is not None:
            yield from (("Reader", "read"), ("Reader", "unpack"), ("Copier", "copy"))
        return
    rules = {rule for finding in case.findings for rule in finding["rules"]}
    if case.phase in STRUCTURE or (case.phase == "bytes" and rules <= VERIFIED):
        yield "Reader", "read"
    paths = case.phase == "manifest" and all(rule.startswith("PTH-") for rule in rules)
    if paths or (case.phase == "bytes" and rules <= COPIED):
        yield "Copier", "copy"
