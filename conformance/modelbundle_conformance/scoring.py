"""Scores: what an outcome is worth, given the case and how its twin went.

An invalid case scores only if the tool refused it in the right way and accepted the twin, from
which it differs in one thing: who refuses everything scores nowhere.

    score(item, outcome, twin, None)     # Score("pass", "")
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

from modelbundle_conformance.answers import clip, verdict_of
from modelbundle_conformance.cases import Json
from modelbundle_conformance.operations import Outcome
from modelbundle_conformance.plan import Item

Status = Literal[
    "pass", "fail", "xfail", "xpass", "unsupported", "crash", "timeout", "unresolvable"
]
STATUSES: tuple[Status, ...] = (
    "pass", "fail", "xfail", "xpass", "unsupported", "crash", "timeout", "unresolvable",
)  # fmt: skip
BAD = frozenset({"fail", "xpass", "crash", "timeout", "unresolvable"})
"""Statuses that make a run fail."""
NOT_EXECUTED = frozenset({"unsupported", "unresolvable"})


@dataclass(frozen=True)
class ExpectedFailure:
    """A failure that is known, why, and until when it is put up with."""

    case: str
    reason: str
    expires: date
    role: str | None = None
    operation: str | None = None

    def covers(self, item: Item) -> bool:
        """Whether it speaks of this item."""
        return (
            self.case == item.case.id
            and self.role in (None, item.role)
            and self.operation in (None, item.operation)
        )


@dataclass(frozen=True)
class Score:
    """A status, and why."""

    status: Status
    detail: str = ""


def score(
    item: Item,
    outcome: Outcome,
    twin: Outcome | None,
    known: ExpectedFailure | None,
    today: date | None = None,
) -> Score:
    """The score of an item."""
    plain = _plain(item, outcome, twin)
    if known is None or plain.status == "unresolvable":
        return plain
    if plain.status == "pass":
        return Score("xpass", f"passes, though listed as failing: {known.reason}")
    if known.expires < (today or date.today()):
        return Score(plain.status, f"{plain.detail} (expected, but until {known.expires} only)")
    return Score("xfail", f"{known.reason} (until {known.expires}): {plain.detail}")


def _plain(item: Item, outcome: Outcome, twin: Outcome | None) -> Score:
    answer = outcome.answer
    if answer.ended != "answered":
        return Score(answer.ended, answer.detail)
    for fault in _faults(item, outcome):
        return Score("fail", fault)
    if item.twin_key is None:
        return Score("pass")
    if twin is None:
        return Score("unresolvable", f"the twin {item.case.twin} is not in the suite")
    if twin.answer.verdict != "accept" or twin.faults:
        how = twin.answer.verdict or twin.answer.ended
        return Score("fail", f"refused, but so is its valid twin {item.case.twin} ({how})"
                     if not twin.faults else f"its twin {item.case.twin} fails")  # fmt: skip
    return Score("pass")


def _faults(item: Item, outcome: Outcome) -> Iterator[str]:
    """What is wrong with an answer, the most telling first."""
    answer, case = outcome.answer, item.case
    named = ", ".join(f"{found['rule']} at {clip(found['place'], 80)}" for found in answer.errors)
    if answer.verdict != case.verdict:
        yield f"{answer.verdict} instead of {case.verdict}{': ' if named else ''}{named}"
    elif answer.verdict != verdict_of(answer):
        yield f"the verdict {answer.verdict} does not follow from the findings: {named or 'none'}"
    for expected in item.findings:
        if not any(_allows(expected, found) for found in answer.errors):
            wanted = " or ".join(expected["rules"])
            place = f" at {expected['place']}" if expected["place"] else ""
            yield f"no finding of {wanted}{place}, but {named or 'none'}"
    if answer.step and item.steps and answer.step not in item.steps:
        right = " or ".join(sorted(item.steps))
        yield f"phase {case.phase}: refused at {answer.step} instead of {right}"
    told = answer.data.get("phase")
    if case.phase and told not in (None, case.phase):
        yield f"phase {clip(told)} instead of {case.phase}"
    yield from outcome.faults


def _allows(expected: Json, found: Json) -> bool:
    return found["rule"] in expected["rules"] and found["place"].startswith(expected["place"])
