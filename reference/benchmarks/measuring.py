"""Whole processes and calls, timed; figures that hold a measurement against a limit.

Runs of what is measured and of its peers alternate, so that a busy machine slows both.

    pack, copy = alternate([lambda: run(command), lambda: run(peer)], runs=5)
    Figure("pack .h5", pack.seconds / copy.seconds, "x", limit=0.6)
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

MODELBUNDLE = (sys.executable, "-c", "from modelbundle.cli import main; main()")
"""The command line, whether or not its script is on the path."""

_ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
_ENVIRONMENT.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode


@dataclass(frozen=True, slots=True)
class Measured:
    """One process, or the median of several: wall time (s) and peak resident memory (bytes)."""

    seconds: float
    peak_bytes: int
    output: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value with its unit, and the limit that it keeps or misses."""

    what: str
    value: float
    unit: str
    limit: float
    detail: str = ""

    @property
    def ok(self) -> bool:
        """Whether the limit is kept."""
        return self.value <= self.limit

    def to_json(self) -> dict[str, Any]:
        """The figure as a JSON object."""
        return {**asdict(self), "ok": self.ok}


def run(*command: str | Path, cwd: Path | None = None) -> Measured:
    """Run a process to its end. Raises `RuntimeError` with its output where it fails."""
    start = time.perf_counter()
    process = subprocess.Popen(
        list(map(str, command)),
        cwd=cwd,
        env=_ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.stdout.close()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"exit {process.returncode}: {command}\n{output}")
    return Measured(seconds, usage.ru_maxrss * 1024, output)


def python(code: str, *arguments: str | Path) -> Measured:
    """Run `code` in a fresh interpreter."""
    return run(sys.executable, "-c", code, *arguments)


def first_number(code: str, *arguments: str | Path) -> float:
    """Run `code` in a fresh interpreter and return the first number that it prints."""
    return float(python(code, *arguments).output.split()[0])


def alternate(tasks: Sequence[Callable[[], Measured]], runs: int) -> list[Measured]:
    """Each task's median time and largest peak over `runs` rounds, after one round not counted."""
    rounds = [[task() for task in tasks] for _ in range(runs + 1)][1:]
    return [
        Measured(median(m.seconds for m in found), max(m.peak_bytes for m in found))
        for found in zip(*rounds, strict=True)
    ]


def median_of(numbers: Callable[[], float], runs: int) -> float:
    """The median of what `numbers` returns in `runs` calls, after one not counted."""
    return median([numbers() for _ in range(runs + 1)][1:])
