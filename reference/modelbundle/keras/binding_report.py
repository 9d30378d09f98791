"""What a binding of weights did: which tensor went where, what was left, what did not fit.

report = bundle.load_into(model, partial=True)
report.complete, report.missing, print(report)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from modelbundle.core.as_json import as_json
from modelbundle.core.findings import clip, escape

_LISTED = 12
"""Names of one kind that the printed report shows; `to_json` has all."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A variable and the tensor whose value it has; `cast_from` where the dtype was changed."""

    variable: str
    tensor: str
    cast_from: str | None = None


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A variable and the tensor of its name, which has another shape or dtype."""

    variable: str
    tensor: str
    what: Literal["shape", "dtype"]
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class Ambiguity:
    """A variable that several tensors could be meant for, or that shares the one it could have."""

    variable: str
    tensors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BindingReport:
    """The answer of a binding. Variables and tensors are called by name, each list ascending.

    `missing` are variables that no tensor was found for, `unexpected` tensors of the roles asked
    for that no variable was found for. `non_finite` are bound tensors that hold NaN or infinity.
    """

    bound: tuple[Bound, ...]
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: tuple[Mismatch, ...] = ()
    ambiguous: tuple[Ambiguity, ...] = ()
    non_finite: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every variable has a tensor, and every tensor a variable."""
        return bool(self.bound) and not (
            self.missing or self.unexpected or self.mismatched or self.ambiguous
        )

    def to_json(self) -> dict[str, Any]:
        """The report as `schemas/answers/binding.schema.json` has it."""
        answer: dict[str, Any] = as_json(self)
        return {"complete": self.complete, **answer}

    def __str__(self) -> str:
        return "\n".join(map(escape, self._lines()))

    def _lines(self) -> Iterator[str]:
        variables = len(self.bound) + len(self.missing)
        variables += len(self.mismatched) + len(self.ambiguous)
        yield f"{len(self.bound)} of {variables} variables have their tensor"
        renamed = [f"{b.variable} from {b.tensor}" for b in self.bound if b.variable != b.tensor]
        yield from _list("under other names", renamed)
        yield from _list("cast", [f"{b.variable} from {b.cast_from}"
                                  for b in self.bound if b.cast_from])  # fmt: skip
        yield from _list("missing", self.missing)
        yield from _list("unexpected", self.unexpected)
        yield from _list("other shape or dtype", [
            f"{m.variable} is {m.expected}, {m.tensor} is {m.found}" for m in self.mismatched
        ])  # fmt: skip
        yield from _list("ambiguous", [
            f"{a.variable}: {' or '.join(a.tensors)}" for a in self.ambiguous
        ])  # fmt: skip
        yield from _list("with NaN or infinity", self.non_finite)


def _list(title: str, items: Sequence[str]) -> Iterator[str]:
    if items:
        shown = "; ".join(clip(item) for item in items[:_LISTED])
        more = f"; and {len(items) - _LISTED} more" if len(items) > _LISTED else ""
        yield f"  {title} ({len(items)}): {shown}{more}"


class BindingError(ValueError):
    """Nothing was bound, because not everything fits. `report` says what did not."""

    def __init__(self, report: BindingReport, hint: str) -> None:
        self.report = report
        super().__init__(f"{hint}\n{report}")
