"""Lists of expected failures: strict, each with a reason and a day on which it ends.

    [{"case": "paths/emoji", "role": "Reader", "reason": "issue 12", "expires": "2030-01-31"}]

An item that is listed and passes counts as a failure (xpass), so a list never says too much.
"""

from __future__ import annotations

import json
from collections.abc import Container
from datetime import date
from pathlib import Path

from modelbundle_conformance.cases import Json, UsageError
from modelbundle_conformance.scoring import ExpectedFailure

_REQUIRED = {"case", "reason", "expires"}
_OPTIONAL = {"role", "operation"}


def load(path: Path, known: Container[str]) -> list[ExpectedFailure]:
    """The list at `path`. Raises `UsageError` where it is malformed or names no case."""
    try:
        rows = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: {error}") from error
    if not isinstance(rows, list):
        raise UsageError(f"{path}: not an array")
    found = [_entry(path, row) for row in rows]
    for entry in found:
        if entry.case not in known:
            raise UsageError(f"{path}: there is no case {entry.case}")
    return found


def _entry(path: Path, row: Json) -> ExpectedFailure:
    if not isinstance(row, dict) or not row.keys() >= _REQUIRED:
        raise UsageError(f"{path}: every entry has {', '.join(sorted(_REQUIRED))}: {row}")
    if row.keys() - _REQUIRED - _OPTIONAL:
        raise UsageError(f"{path}: unknown members: {row}")
    if not all(isinstance(value, str) and value.strip() for value in row.values()):
        raise UsageError(f"{path}: every member is a text, and none is empty: {row}")
    try:
        expires = date.fromisoformat(row["expires"])
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error
    return ExpectedFailure(
        row["case"], row["reason"], expires, row.get("role"), row.get("operation")
    )
