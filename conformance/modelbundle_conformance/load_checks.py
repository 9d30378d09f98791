"""Answers of `load-check` (schemas/answers/load-check.schema.json) as measures of a report.

rows = measures(json.loads(path.read_bytes()), suite)
rows[0]["engine"], rows[0]["max_ratio"]
"""

from __future__ import annotations

from collections.abc import Iterator

import jsonschema

from modelbundle_conformance.answers import clip
from modelbundle_conformance.cases import Json, Suite, UsageError

SCHEMA = "answers/load-check"
_SHORT = 19
"""Letters of a digest that are enough to tell bundles apart."""


def measures(answer: Json, suite: Suite) -> list[Json]:
    """A row for each output of each vector on each engine. Raises `UsageError`."""
    schema = suite.schema(SCHEMA)
    error = next(jsonschema.Draft202012Validator(schema).iter_errors(answer), None)
    if error is not None:
        raise UsageError(f"no answer of load-check: {clip(error.message)}")
    return [measure for row in answer["rows"] for measure in _of_row(row, answer["digest"])]


def _of_row(row: Json, digest: str) -> Iterator[Json]:
    common = {
        "vector": f"{digest[:_SHORT]} {row['component']}#{row['signature']} {row['vector']}",
        "engine": " ".join(filter(None, (row["engine"], row.get("version")))),
        "device": row["device"],
        "precision": row["precision"],
    }
    if row["status"] == "not run" or not row["outputs"]:
        outcome = "fail" if row["status"] == "fail" else "not run"
        yield {**common, "output": "", "outcome": outcome, "reason": row.get("reason", "")}
        return
    for output in row["outputs"]:
        ratios = {key: _ratio(output[key]) for key in ("max_ratio", "rms_ratio") if key in output}
        yield {**common, "output": output["name"], "outcome": output["outcome"],
               "reason": output.get("reason", ""), **ratios}  # fmt: skip


def _ratio(value: float | str) -> float | str:
    """A ratio; what JSON has no number for is beyond every limit."""
    return "inf" if isinstance(value, str) else value
