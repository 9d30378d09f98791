"""The report: one JSON document, from which the pages and files for people and CI are made.

It follows `schemas/report.schema.json`. A run in which nothing was executed has no valid report.

    value = build(suite, [entry(run, setup, selection, results, seconds)])
    check(value, suite)
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import jsonschema

from modelbundle_conformance import STANDARD
from modelbundle_conformance.answers import clip
from modelbundle_conformance.cases import Json, Suite, UsageError
from modelbundle_conformance.plan import ROLES, Selection
from modelbundle_conformance.runner import Result, Run, Setup
from modelbundle_conformance.scoring import BAD, NOT_EXECUTED, STATUSES

EXECUTED = frozenset(STATUSES) - NOT_EXECUTED


class InvalidReport(Exception):  # noqa: N818
    """The report says nothing: it does not follow its schema, or nothing was executed."""


def entry(
    run: Run, setup: Setup, selection: Selection, results: Sequence[Result], seconds: float
) -> Json:
    """What the report says of one run of one implementation."""
    counts: Counter[str] = Counter(result.score.status for result in results)
    executed = len(results) - sum(counts[status] for status in NOT_EXECUTED)
    return {
        "implementation": {
            "name": run.hello.name or clip(" ".join(setup.command), 60),
            "version": run.hello.version,
            "language": run.hello.language,
            "command": shlex.join(setup.command),
        },
        "protocol": "persistent" if setup.persistent else "process",
        "roles": list(selection.roles or ROLES),
        "level": selection.level,
        "filters": list(selection.filters),
        "seconds": round(seconds, 3),
        "counts": {"executed": executed} | {status: counts[status] for status in STATUSES},
        "results": [_result(result) for result in results],
    }


def _result(result: Result) -> Json:
    item, outcome = result.item, result.outcome
    value = {
        "role": item.role,
        "operation": item.operation,
        "case": item.case.id,
        "level": item.case.level,
        "required": item.required,
        "rules": sorted(item.case.rules),
        "expected": item.case.verdict,
        "status": result.score.status,
        "detail": clip(result.score.detail, 500),
    }
    if outcome is not None:
        value["seconds"] = round(outcome.answer.seconds, 4)
    if outcome is not None and outcome.measures:
        value["measures"] = list(outcome.measures)
    if outcome is not None and outcome.answer.verdict:
        value["verdict"] = outcome.answer.verdict
        value["found"] = sorted({found["rule"] for found in outcome.answer.errors})
    return value


def build(
    suite: Suite, runs: Iterable[Json], exchanged: Json | None = None, engines: Iterable[Json] = ()
) -> Json:
    """A report of `runs`, with what the suite has for each rule.

    `exchanged` is what implementations read of one another, `engines` what load-checks measured.
    """
    measured = list(engines)
    cases = Counter(rule for case in suite.cases.values() for rule in _rules(case.data))
    reasons = suite.untestable()
    return {
        "report": 1,
        "standard": STANDARD,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "suite": {"cases": len(suite.cases), "digest": suite.digest},
        "rules": [
            {"id": rule["id"], "severity": rule["severity"], "level": rule["level"].lower(),
             "cases": cases[rule["id"]]}
            | ({"untestable": reasons[rule["id"]]} if rule["id"] in reasons else {})
            for rule in suite.rules()
        ],
        "runs": list(runs),
    } | ({"exchange": exchanged} if exchanged else {}) | (
        {"engines": measured} if measured else {})  # fmt: skip


def _rules(data: Json) -> set[str]:
    """The rules that a case is about or allows as its finding."""
    named = {rule for found in data["expected"].get("findings", ()) for rule in found["rules"]}
    return named | set(data["rules"])


def check(value: Json, suite: Suite) -> None:
    """Raises `InvalidReport` where the report does not follow its schema."""
    for run in value["runs"]:
        if not run["counts"]["executed"]:
            raise InvalidReport(f"nothing was executed of {run['implementation']['name']}")
    if "exchange" in value and not any(row["status"] in EXECUTED for row in reads(value)):
        raise InvalidReport("nobody read what another wrote")
    error = next(jsonschema.Draft202012Validator(suite.schema("report")).iter_errors(value), None)
    if error is not None:
        raise InvalidReport(f"the report does not follow its schema: {clip(error.message)}")


def merge(suite: Suite, reports: Sequence[Json]) -> Json:
    """The runs of several reports in one; raises `UsageError` where their cases differ."""
    if len({report["suite"]["digest"] for report in reports}) > 1:
        raise UsageError("these reports were made of different cases: run the older ones again")
    exchanged = [report["exchange"] for report in reports if "exchange" in report]
    if len(exchanged) > 1:
        raise UsageError("two of these reports hold a matrix: run it once, with all who take part")
    runs = [run for report in reports for run in report["runs"]]
    engines = [row for report in reports for row in report.get("engines", ())]
    return {**build(suite, runs, exchanged[0] if exchanged else None, engines),
            "suite": reports[0]["suite"]}  # fmt: skip


def reads(value: Json) -> list[Json]:
    """What readers made of what writers wrote."""
    return list(value["exchange"]["reads"])


def failed(run: Json) -> bool:
    """Whether anything in a run is not as it should be."""
    return any(result["status"] in BAD for result in run["results"])


def any_failed(value: Json) -> bool:
    """Whether anything in a report is not as it should be."""
    exchanged = value.get("exchange", {"writes": (), "reads": ()})
    rows = [*exchanged["writes"], *exchanged["reads"]]
    return (
        any(map(failed, value["runs"]))
        or any(row["status"] in BAD for row in rows)
        or any(row["outcome"] == "fail" for row in value.get("engines", ()))
    )


def claims(run: Json) -> list[str]:
    """The roles that a run proves: all that is required was executed and passed, no less."""
    if run["filters"]:
        return []
    return [role for role in run["roles"] if _proven(run["results"], role)]


def _proven(results: Sequence[Mapping[str, object]], role: str) -> bool:
    own = [result for result in results if result["role"] == role]
    required = [result["status"] for result in own if result["required"]]
    others = [result["status"] for result in own if not result["required"]]
    return (
        bool(required)
        and set(required) == {"pass"}
        and set(others) <= {"pass", "unsupported"}
    )  # fmt: skip
