"""What is wrong with an input, as data.

A `Finding` names the rule that was broken, the place, what was expected, what was found and what
to do. Text is computed from it in one place (`Finding.__str__`). `BundleError` carries findings
out of code that must stop at the first one; a validator collects them.

    raise refuse("IDN-02", "net.h5", expected_digest, found_digest, "get the file again")
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Literal, TypeVar

Severity = Literal["error", "warning"]

_Function = TypeVar("_Function", bound=Callable[..., Any])

CHECKS: dict[str, str] = {}
"""Rule ID to the qualified name of the one function that checks it (`checks` fills it)."""


def checks(*rules: str) -> Callable[[_Function], _Function]:
    """Mark a function as the one that checks `rules`; each rule has one such function."""

    def mark(function: _Function) -> _Function:
        for rule in rules:
            name = f"{function.__module__}.{function.__qualname__}"
            if CHECKS.setdefault(rule, name) != name:
                raise RuntimeError(f"{rule} is checked by {CHECKS[rule]} and by {name}")
        return function

    return mark


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule.

    `place` is a bundle path or an archive offset, followed by `#` and a JSON pointer or
    `@` and a byte offset where one helps: `manifest.json#/files/3/size`, `net.h5@2048`.
    """

    rule: str
    place: str
    expected: str
    found: str
    hint: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        text = f"{self.rule} {self.place}: expected {self.expected}; found {self.found}"
        return escape(f"{text}. {self.hint}" if self.hint else text)

    def to_json(self) -> dict[str, str]:
        """The finding as `schemas/findings.schema.json` has it; an empty hint is left out."""
        return {key: value for key, value in asdict(self).items() if value or key != "hint"}


class BundleError(Exception):
    """An input was refused. `findings` says why and is never empty."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join(map(str, self.findings)))


class UnsupportedError(BundleError):
    """The input may be right, but this implementation cannot answer (exit status 2)."""


def refuse(rule: str, place: str, expected: str, found: object, hint: str = "") -> BundleError:
    """The error for one finding; the caller raises it."""
    return BundleError([Finding(rule, place, expected, clip(found), hint)])


@checks("SEC-02")
def escape(text: str) -> str:
    """`text` with control characters and lone surrogates escaped: it cannot steer a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def clip(value: object, limit: int = 200) -> str:
    """`value` as text short enough for a message, whatever an input put there."""
    text = escape((value if isinstance(value, str) else repr(value))[: limit + 1])
    return text if len(text) <= limit else text[: limit - 1] + "…"


UNSUPPORTED: frozenset[str] = frozenset({"VER-01", "MAN-06", "COM-03", "EXT-02"})
"""Rules whose breach says "not for this implementation" rather than "invalid"."""

MAX_FINDINGS = 100
"""Findings reported by one stage; an input that breaks a rule a million times says so once."""


def settle(findings: Iterable[Finding]) -> None:
    """Raise if there is an error among `findings`: `UnsupportedError` where that is all it is."""
    errors = [f for f in islice(findings, MAX_FINDINGS) if f.severity == "error"]
    if errors:
        unsupported = all(finding.rule in UNSUPPORTED for finding in errors)
        raise (UnsupportedError if unsupported else BundleError)(errors)
