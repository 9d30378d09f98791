"""What a tool answered, as data, whichever way it was asked.

An answer is a JSON object; it is taken from whatever else a tool writes. A tool that gave none has
crashed, been stopped, or is out of step; `ended` says which.

    document(b"loading...\\n{\\"findings\\": []}\\n")    # {"findings": []}
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Literal

from modelbundle_conformance.cases import Json

UNSUPPORTED = frozenset({"VER-01", "MAN-06", "COM-03", "EXT-02"})
"""Rules whose breach says "beyond this implementation" (section 1.5)."""
VERDICTS = ("accept", "reject", "unsupported")
"""By exit status."""

Ended = Literal["answered", "crash", "timeout", "unresolvable"]
_RULE = re.compile(r"[A-Z]{3}-[0-9]{2}")


@dataclass(frozen=True)
class Answer:
    """How an operation ended, and what the tool said."""

    ended: Ended
    detail: str = ""
    """What happened, where it was not an answer."""
    verdict: str | None = None
    data: Json = field(default_factory=dict)
    step: str = ""
    """The request at which a persistent tool refused: open, list or read."""
    seconds: float = 0.0

    @property
    def findings(self) -> list[Json]:
        """What the tool found."""
        return list(self.data.get("findings", ()))

    @property
    def errors(self) -> list[Json]:
        """Those of the findings that break a "MUST"."""
        return [found for found in self.findings if found.get("severity", "error") == "error"]


def document(output: bytes) -> Json | None:
    """The JSON object that `output` is, or else the last of its lines that is one."""
    for text in [output, *reversed(output.splitlines())]:
        value = parsed(text)
        if value is not None:
            return value
    return None


def parsed(text: bytes) -> Json | None:
    """The JSON object that `text` is; None where it is none. `NaN` and the like are no JSON."""
    if not text.lstrip().startswith(b"{"):
        return None
    try:
        value = json.loads(text.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _refuse(name: str) -> Any:
    raise ValueError(name)


def malformed(data: Json) -> str:
    """What is wrong with the findings of an answer; empty when nothing is."""
    findings = data.get("findings", [])
    if not isinstance(findings, list):
        return "findings is not an array"
    for found in findings:
        if not isinstance(found, dict):
            return "a finding is not an object"
        if not _RULE.fullmatch(str(found.get("rule"))):
            return f"a finding has no rule ID: {clip(found)}"
        if not isinstance(found.get("place"), str):
            return f"a finding has no place: {clip(found)}"
    return ""


def verdict_of(answer: Answer) -> str:
    """The verdict that the findings amount to (section 1.5)."""
    rules = {found["rule"] for found in answer.errors}
    if not rules:
        return "accept"
    return "unsupported" if rules <= UNSUPPORTED else "reject"


def clip(value: object, limit: int = 300) -> str:
    """`value` as one printable line, short enough for a report."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    text = value if isinstance(value, str) else json.dumps(value, default=repr)
    line = "".join(c if c.isprintable() else " " for c in text[: 4 * limit]).strip()
    return line if len(line) <= limit else line[: limit - 1] + "…"
