"""Progress while cases run: one line that changes on a terminal, a line now and then elsewhere.

with Progress(total) as progress:
    progress.take(result)
"""

from __future__ import annotations

import sys
import time
from collections import Counter

from modelbundle_conformance.cases import Json
from modelbundle_conformance.runner import Result
from modelbundle_conformance.scoring import BAD

_EVERY = {True: 0.1, False: 10.0}
"""Seconds between lines, on a terminal and elsewhere."""
MAX_FAILURES = 40
"""Failures that are told one by one; the report has all."""


class Progress:
    """Counts results; tells each failure when it happens, on standard error."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._results: dict[tuple[str, str, str], str] = {}
        self._terminal = sys.stderr.isatty()
        self._next = time.monotonic()
        self._told = 0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._terminal:
            print("\r\033[K", end="", file=sys.stderr)

    def take(self, result: Result) -> None:
        """Count a result; a later one for the same item replaces it."""
        self._results[result.item.key] = result.score.status
        if result.score.status in BAD:
            self._failure(result)
        if time.monotonic() >= self._next or len(self._results) == self._total:
            self._next = time.monotonic() + _EVERY[self._terminal]
            self._line()

    def _failure(self, result: Result) -> None:
        self._told += 1
        if self._told <= MAX_FAILURES:
            clear = "\r\033[K" if self._terminal else ""
            status = result.score.status
            print(f"{clear}{status}: {result.item}: {result.score.detail}", file=sys.stderr)
        if self._told == MAX_FAILURES + 1:
            print("more failures are in the report only", file=sys.stderr)

    def _line(self) -> None:
        counts = Counter(self._results.values())
        told = ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))
        text = f"{len(self._results)} of {self._total}: {told}"
        start, end = ("\r\033[K", "") if self._terminal else ("", "\n")
        print(f"{start}{text}", end=end, file=sys.stderr, flush=True)


def tell(row: Json) -> None:
    """Tell of a row of the matrix that is not as it should be, on standard error."""
    if row["status"] in BAD:
        who = f"{row['reader']} reads {row['writer']}" if "reader" in row else (
            f"{row['writer']} writes")  # fmt: skip
        where = f"{row['case']}, {row['layout']}"
        print(f"{row['status']}: {who}: {where}: {row['detail']}", file=sys.stderr)
