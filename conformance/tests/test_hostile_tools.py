"""Tools that crash, hang, flood, leave things behind: the runner goes on and blames one case."""

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from modelbundle_conformance.cases import Suite
from modelbundle_conformance.plan import Selection, plan
from modelbundle_conformance.processes import Limits
from modelbundle_conformance.runner import Result, Run, Setup

TOOL = Path(__file__).with_name("oracle_tool.py")
CASES = ("json/single-quotes", "json/truncated")
TWIN, VICTIM = "archive/plain", "json/single-quotes"
LIMITS = Limits(memory_mib=1024, output_bytes=1 << 20, patience=0.25, start_seconds=20)


def answers_of(suite: Suite, folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {"children": str(folder / "children")}
    for id in (TWIN, *CASES):
        case = suite.cases[id]
        key = hashlib.sha256((case.folder / case.data["input"]).read_bytes()).hexdigest()
        findings = [{"rule": f["rules"][0], "place": f["place"], "severity": "error"}
                    for f in case.findings]  # fmt: skip
        found[key] = {"verdict": case.verdict, "findings": findings}
        found[id] = key
    return found


def run_tool(
    suite: Suite, folder: Path, victim: str, behaviour: str, persistent: bool
) -> dict[str, Result]:
    answers = answers_of(suite, folder)
    (folder / "answers").write_text(json.dumps(answers))
    words = [str(TOOL), str(folder / "answers"), answers[victim], behaviour]
    run = Run(suite, Setup([sys.executable, "-I", "-S", *words], persistent, limits=LIMITS))
    results = run.execute(plan(suite, Selection(("Validator",), "core", CASES)), lambda r: None)
    return {result.item.case.id: result for result in results}


BEHAVIOURS = [
    ("none", "pass", ""),
    ("noise", "pass", ""),
    ("abort", "crash", "SIGABRT"),
    ("status-3", "crash", "exit status 3"),
    ("status-1", "crash", "exit status 1"),
    ("hang", "timeout", ""),
    ("flood", "crash", "wrote more than"),
    ("flood-stderr", "crash", "wrote more than"),
    ("memory", "crash", "exit status 1"),
    ("findings-no-array", "crash", "not an array"),
    ("rule-no-id", "crash", "no rule ID"),
    ("writes", "fail", "left case/left"),
    ("changes", "fail", "changed case/bundle.modelbundle"),
]
PROCESS = [
    ("deep", "crash", "without a JSON answer"),
    ("nan", "crash", "without a JSON answer"),
    ("child", "crash", "left processes"),
    ("child-in-session", "crash", "left processes"),
    ("child-with-output", "crash", "left processes"),
]
SESSION = [
    ("nan", "timeout", ""),
    ("deep", "timeout", ""),
    ("poison", "crash", "ended after its answer"),
    ("out-of-step", "crash", "out of step"),
    ("no-verdict", "crash", "no verdict"),
    ("closes-output", "crash", "closed its standard output"),
    ("ends-after-answer", "crash", "ended after its answer: exit status 9"),
    ("child", "pass", ""),
    ("child-in-session", "pass", ""),
]
TABLE = [(False, *row) for row in BEHAVIOURS + PROCESS] + [
    (True, *row) for row in BEHAVIOURS + SESSION
]


@pytest.mark.parametrize(("persistent", "behaviour", "status", "detail"), TABLE)
def test_the_right_case_is_blamed(
    suite: Suite, tmp_path: Path, *, persistent: bool, behaviour: str, status: str, detail: str
) -> None:
    results = run_tool(suite, tmp_path, VICTIM, behaviour, persistent)
    assert results.keys() == {TWIN, *CASES}
    found = {id: result.score.status for id, result in results.items()}
    assert found == dict.fromkeys((TWIN, *CASES), "pass") | {VICTIM: status}, results[VICTIM].score
    assert detail in results[VICTIM].score.detail
    children = tmp_path / "children"
    for number in children.read_text().split() if children.exists() else ():
        assert ended(int(number))


def ended(number: int) -> bool:
    """Whether a process is gone, or a zombie that nobody has waited for."""
    try:
        os.kill(number, 0)
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (ProcessLookupError, FileNotFoundError):
        return True


@pytest.mark.parametrize("persistent", [False, True])
def test_without_its_twin_no_case_scores(suite: Suite, tmp_path: Path, persistent: bool) -> None:
    results = run_tool(suite, tmp_path, TWIN, "abort", persistent)
    assert results[TWIN].score.status == "crash"
    assert {results[id].score.status for id in CASES} == {"fail"}


def test_a_command_that_never_starts_is_a_crash(suite: Suite) -> None:
    run = Run(suite, Setup(["/nonexistent/tool"], limits=LIMITS))
    (result,) = run.execute(plan(suite, Selection(("Validator",), "core", (TWIN,))), lambda r: None)
    assert result.score.status == "crash"
