"""What reviving came to, as data and as text.

report = ReviveReport("old.h5.derived/config.json", "2.2.4")
report.ok, str(report)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelbundle.core.findings import escape
from modelbundle.reviving.translation import Problem


@dataclass(frozen=True, slots=True)
class ReviveReport:
    """One old model: where it was, who wrote it, what could not be translated, what was proven."""

    config: str
    keras_version: str
    problems: tuple[Problem, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Layers whose names Keras 3 refuses: old path to new."""
    rearranged: tuple[str, ...] = ()
    """Variables that are stored anew, in another arrangement."""
    lost: tuple[str, ...] = ()
    """What of the training the new model does not have."""
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether a bundle was written: all is translated, and nothing is known to differ."""
        return not self.problems and self.verified is not False

    @property
    def verified(self) -> bool | None:
        """Whether both models gave the same; None where they were not both run."""
        return None if "by" not in self.evidence else bool(self.evidence["verified"])

    def to_json(self) -> dict[str, Any]:
        """The report as `schemas/answers/revive.schema.json` has it."""
        return {
            "revived": self.ok,
            "config": self.config,
            "kerasVersion": self.keras_version,
            "problems": [problem.to_json() for problem in self.problems],
            "renamed": dict(self.renamed),
            "rearranged": list(self.rearranged),
            "lost": list(self.lost),
            "evidence": dict(self.evidence),
        }

    def __str__(self) -> str:
        written = f"Keras {self.keras_version}" if self.keras_version else "an old Keras"
        head = f"{self.config}, written by {written}"
        if self.problems:
            lines = [f"{head}: not translated"]
            return escape_lines([*lines, *(f"  {problem}" for problem in self.problems)])
        return escape_lines([f"{head}: {self._verdict()}", *self._changes()])

    def _verdict(self) -> str:
        if self.verified is None:
            return f"translated, not verified ({self.evidence.get('reason', 'not asked for')})"
        figures = ", ".join(
            f"{label} {self.evidence[name]:.3g}"
            for name, label in (("max_ratio", "max ratio"), ("relative_l2", "relative L2 distance"))
            if name in self.evidence
        )
        if self.verified:
            return f"translated, verified by {self.evidence['by']}: {figures}"
        layer = self.evidence.get("first_layer") or "no single layer"
        reason = self.evidence.get("reason", "")
        return f"translated, but it computes something else: {reason}; first at {layer}"

    def _changes(self) -> list[str]:
        renamed = [f"  {old} is called {new} now" for old, new in self.renamed.items()]
        count = len(self.rearranged)
        lost = [f"  without {what}" for what in self.lost]
        return [
            *renamed,
            *lost,
            *([f"  {count} tensors are stored in a new layout"] if count else []),
        ]


def escape_lines(lines: list[str]) -> str:
    """The lines, each so that it cannot steer a terminal."""
    return "\n".join(map(escape, lines))


class ReviveError(Exception):
    """A model that was not revived; `report` tells why, all at once."""

    def __init__(self, report: ReviveReport) -> None:
        self.report = report
        super().__init__(str(report))
