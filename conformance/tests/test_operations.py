"""`write`, `run` and the matrix: the reference passes, and what is wrong is told of whom it is."""

import json
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from modelbundle_conformance import cli, report
from modelbundle_conformance.cases import Suite
from modelbundle_conformance.exchange import Party, exchange
from modelbundle_conformance.plan import Selection, plan
from modelbundle_conformance.runner import Result, Run, Setup

CONFORMANCE = Path(__file__).resolve().parents[1]
ADAPTER = [sys.executable, str(CONFORMANCE / "implementations" / "reference" / "adapter.py")]
MUTANT = [sys.executable, str(CONFORMANCE / "mutants" / "mutants.py")]
FEW = ("write/plain", "write/names", "pack/safetensors-plain")


def results(suite: Suite, role: Any, *filters: str, persistent: bool = True) -> list[Result]:
    items = plan(suite, Selection((role,), "full", filters))
    return Run(suite, Setup(ADAPTER, persistent)).execute(items, lambda result: None)


def statuses(found: list[Result]) -> set[str]:
    assert found
    return {f"{r.item}: {r.score}" for r in found if r.score.status != "pass"}


def test_the_cases_follow_their_schema(suite: Suite) -> None:
    schema = jsonschema.Draft202012Validator(suite.schema("case"))
    chosen = [case for case in suite.cases.values() if case.operation in ("write", "run")]
    assert {case.area for case in chosen} == {"write", "run"}
    assert [case.id for case in chosen if list(schema.iter_errors(case.data))] == []
    assert all(case.vectors for case in chosen if case.operation == "run")


@pytest.mark.parametrize("persistent", [True, False])
def test_the_reference_writes(suite: Suite, persistent: bool) -> None:
    filters = ["write"] if persistent else ["write/rich", "write/overlap"]
    assert statuses(results(suite, "Writer", *filters, persistent=persistent)) == set()


@pytest.mark.parametrize("persistent", [True, False])
def test_the_reference_runs(suite: Suite, persistent: bool) -> None:
    pytest.importorskip("onnxruntime")
    filters = ["run"] if persistent else ["run/exact", "run/input-size"]
    found = results(suite, "Runner", *filters, persistent=persistent)
    assert statuses(found) == set()
    measured = [row for r in found if r.outcome for row in r.outcome.measures]
    assert {row["output"] for row in measured} == {"y", "best"}
    assert all(row["engine"].startswith("onnx ") and "cpu" in row["device"] for row in measured)


def matrix(suite: Suite, *mutants: str) -> dict[str, Any]:
    parties = [Party("reference", Setup(ADAPTER, persistent=True))]
    parties += [Party(name, Setup([*MUTANT, name], persistent=True)) for name in mutants]
    return exchange(suite, parties, Selection(filters=FEW), lambda row: None)


def wrong(found: dict[str, Any]) -> set[tuple[str, ...]]:
    reads = {("reads", r["writer"], r["reader"]) for r in found["reads"] if r["status"] != "pass"}
    return reads | {("writes", r["writer"]) for r in found["writes"] if r["status"] != "pass"}


def test_the_matrix_tells_who_is_wrong(suite: Suite) -> None:
    found = matrix(suite, "big-endian", "forgets-names")
    assert len(found["writes"]) == 2 * 2 * 3  # layouts, cases of level Core, implementations
    names = {each["name"] for each in found["implementations"]}
    assert names == {"reference", "big-endian", "forgets-names"}
    readers = {("reads", writer, "big-endian") for writer in names}
    assert {row for row in wrong(found) if row[0] == "reads" and row[2] == "big-endian"} == readers
    assert ("writes", "forgets-names") in wrong(found)
    assert ("reads", "reference", "forgets-names") not in wrong(found)
    assert ("writes", "reference") not in wrong(found)


def test_the_matrix_is_reported(suite: Suite, tmp_path: Path) -> None:
    command = " ".join(ADAPTER)
    arguments = ["matrix", "--persistent", "--level", "core", "--filter", "write/plain"]
    arguments += ["--implementation", f"one={command}", "--implementation", f"two={command}"]
    assert cli.main([*arguments, "--report", str(tmp_path)]) == cli.OK
    value = json.loads((tmp_path / "report.json").read_text())
    report.check(value, suite)
    assert len(value["exchange"]["writes"]) == 4 and len(value["exchange"]["reads"]) == 8
    text = (tmp_path / "report.html").read_text()
    assert text.count("✓ 2 of 2") == 6 and "<script>" not in text
    assert 'tests="2"' in (tmp_path / "junit.xml").read_text()
    assert not list(tmp_path.glob("badge-*"))


@pytest.mark.parametrize("given", [["one"], ["=cmd"], ["a=true", "a=true"], ["a=no-such-command"]])
def test_a_matrix_of_nobody(given: list[str]) -> None:
    words = [word for each in given for word in ("--implementation", each)]
    assert cli.main(["matrix", *words]) == cli.NO_RESULT


def test_nobody_reads_is_no_result() -> None:
    assert cli.main(["matrix", "--implementation", "a=true", "--filter", "write/plain"]) == (
        cli.NO_RESULT)  # fmt: skip
