"""Items, scores and expected failures, on outcomes made by hand."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from modelbundle_conformance import expected_failures
from modelbundle_conformance.answers import Answer, document
from modelbundle_conformance.cases import Suite, UsageError
from modelbundle_conformance.operations import Outcome, differences
from modelbundle_conformance.plan import ROLES, Item, Selection, plan
from modelbundle_conformance.scoring import ExpectedFailure, score

TODAY = date(2030, 1, 31)
ACCEPTED = Outcome(Answer("answered", verdict="accept"))


def item(suite: Suite, id: str = "archive/byte-after", role: Any = "Validator") -> Item:
    return Item(role, "read" if role == "Reader" else "validate", suite.cases[id])


def refused(rule: str = "ARC-07", place: str = "archive@99", **more: Any) -> Outcome:
    data = {"findings": [{"rule": rule, "place": place}], **more}
    return Outcome(Answer("answered", verdict="reject", data=data))


@pytest.mark.parametrize(
    ("outcome", "status", "detail"),
    [
        (refused(), "pass", ""),
        (ACCEPTED, "fail", "accept instead of reject"),
        (refused("ARC-01"), "fail", "no finding of ARC-07 at archive"),
        (refused(place="manifest.json"), "fail", "ARC-07 at manifest.json"),
        (refused(phase="layout"), "pass", ""),
        (refused(phase="bytes"), "fail", "phase bytes instead of layout"),
        (refused("VER-01"), "fail", "does not follow from the findings"),
        (replace(refused(), faults=("left x",)), "fail", "left x"),
        (Outcome(Answer("timeout", "late")), "timeout", "late"),
        (Outcome(Answer("unresolvable", "no FIFO here")), "unresolvable", "no FIFO here"),
    ],
)
def test_a_refusal(suite: Suite, outcome: Outcome, status: str, detail: str) -> None:
    found = score(item(suite), outcome, ACCEPTED, None)
    assert found.status == status
    assert detail in found.detail


def test_only_with_its_twin(suite: Suite) -> None:
    assert score(item(suite), refused(), None, None).status == "unresolvable"
    assert score(item(suite), refused(), refused(), None).status == "fail"
    assert score(item(suite), refused(), Outcome(Answer("crash")), None).status == "fail"


def test_a_warning_refuses_nothing(suite: Suite) -> None:
    warning = {"rule": "ARC-07", "place": "archive@99", "severity": "warning"}
    outcome = Outcome(Answer("answered", verdict="reject", data={"findings": [warning]}))
    assert score(item(suite), outcome, ACCEPTED, None).status == "fail"


def test_a_reader_refuses_at_the_right_step(suite: Suite) -> None:
    asked = item(suite, "index/name-order", "Reader")
    (expected,) = asked.findings
    late = refused(expected["rules"][0], expected["place"])
    for step, status in (("list", "pass"), ("open", "pass"), ("read", "fail")):
        outcome = Outcome(replace(late.answer, step=step))
        assert score(asked, outcome, ACCEPTED, None).status == status


@pytest.mark.parametrize(
    ("outcome", "expires", "status"),
    [
        (ACCEPTED, TODAY, "xfail"),
        (Outcome(Answer("crash")), TODAY, "xfail"),
        (ACCEPTED, date(2030, 1, 30), "fail"),
        (refused(), TODAY, "xpass"),
        (refused(), date(2030, 1, 30), "xpass"),
        (Outcome(Answer("unresolvable")), TODAY, "unresolvable"),
    ],
)
def test_expected_failures_are_strict(
    suite: Suite, outcome: Outcome, expires: date, status: str
) -> None:
    known = ExpectedFailure("archive/byte-after", "issue 1", expires)
    assert score(item(suite), outcome, ACCEPTED, known, TODAY).status == status


ENTRY = {"case": "archive/plain", "reason": "issue 1", "expires": "2030-01-31"}


@pytest.mark.parametrize(
    "value",
    [
        {},
        [1],
        [{**ENTRY, "case": "archive/none"}],
        [{**ENTRY, "reason": " "}],
        [{**ENTRY, "expires": "soon"}],
        [{**ENTRY, "until": "2030-01-31"}],
        [{"case": "archive/plain", "reason": "no end"}],
    ],
)
def test_lists_that_are_refused(suite: Suite, tmp_path: Path, value: Any) -> None:
    path = tmp_path / "list.json"
    path.write_text(json.dumps(value))
    with pytest.raises(UsageError):
        expected_failures.load(path, suite.cases)


def test_a_list_covers_a_role_alone(suite: Suite, tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text(json.dumps([{**ENTRY, "role": "Reader"}]))
    (entry,) = expected_failures.load(path, suite.cases)
    assert entry.covers(item(suite, "archive/plain", "Reader"))
    assert not entry.covers(item(suite, "archive/plain"))


def test_every_role_has_items_and_each_its_twin(suite: Suite) -> None:
    items = plan(suite, Selection(level="full"))
    keys = {each.key for each in items}
    assert len(keys) == len(items)
    assert {each.role for each in items} == set(ROLES)
    assert [str(each) for each in items if each.twin_key and each.twin_key not in keys] == []
    used = {each.case.id for each in items}
    assert used == suite.cases.keys()


def test_twins_come_along(suite: Suite) -> None:
    items = plan(suite, Selection(("Validator",), "core", ("json/truncated",)))
    assert [each.case.id for each in items] == ["archive/plain", "json/truncated"]
    with pytest.raises(UsageError):
        plan(suite, Selection(filters=("jsonn",)))


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b'{\n "a": 1\n}\n', {"a": 1}),
        (b'loading\n{"a": 1}\n', {"a": 1}),
        (b'{"a": 0}\n{"a": 1}\nbye {}\n', {"a": 1}),
        (b"\xff\n[]\nnull\n", None),
        (b'{"a": Infinity}', None),
        (b"", None),
    ],
)
def test_answers_are_found_among_noise(output: bytes, expected: Any) -> None:
    assert document(output) == expected


def test_what_is_read_is_compared_whole(suite: Suite) -> None:
    expected = suite.cases["archive/plain"].answer
    assert expected is not None

    def changed(**change: Any) -> list[str]:
        answer = json.loads(json.dumps(expected))
        answer["tensors"][0] |= change
        return differences(expected, answer)

    assert changed() == changed(comment="more") == []
    shapes: list[Any] = [[2.0], [True], [3], 2, None]
    wrong = [{"dtype": "int8"}, {"role": "other"}, {"name": "x"}, *({"shape": s} for s in shapes)]
    for change in wrong:
        assert len(changed(**change)) == 1
    assert differences(expected, {}) and differences(expected, {"tensors": [1], "files": {}})
    without = json.loads(json.dumps(expected))
    del without["tensors"][0]["role"]
    assert differences(expected, without) == []
