"""What reviving came to, as data and as text.

    report = ReviveReport("old.h5.derived/config.json", "2.2.4", ())
    str(report)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from modelbundle.core.findings import escape
from modelbundle.reviving.translation import Problem


@dataclass(frozen=True, slots=True)
class ReviveReport:
    """One old model: where it was, who wrote it, what could not be translated."""

    config: str
    keras_version: str
    problems: tuple[Problem, ...] = ()
    evidence: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        written = f"Keras {self.keras_version}" if self.keras_version else "an old Keras"
        if self.problems:
            lines = [f"{self.config}, written by {written}, cannot be translated:"]
            return escape("\n".join([*lines, *(f"  {problem}" for problem in self.problems)]))
        return escape(f"{self.config}, written by {written}: revived")


class ReviveError(Exception):
    """A model that was not revived; `report` tells why, all at once."""

    def __init__(self, report: ReviveReport) -> None:
        self.report = report
        super().__init__(str(report))
