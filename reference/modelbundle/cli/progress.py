"""A progress bar for what takes over a second, where stderr is a terminal.

with progress("packing", total_bytes) as advance:
    pack(sources, destination, progress=advance)
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE = 1.0
"""Seconds before a bar appears."""


@contextmanager
def progress(label: str, total: int | None) -> Iterator[Callable[[int], None] | None]:
    """A function that takes the bytes done since its last call; None where nothing is shown.

    `total` is how many bytes there are to do, None where that is not known.
    """
    if not sys.stderr.isatty():
        yield None
        return
    bar = _Bar(label, total)
    try:
        yield bar.advance
    finally:
        bar.stop()


class _Bar:
    """A bar that is made when it is due."""

    def __init__(self, label: str, total: int | None) -> None:
        self._label = label
        self._total = total
        self._due = monotonic() + PATIENCE
        self._done = 0
        self._shown: tuple[Progress, TaskID] | None = None

    def advance(self, count: int) -> None:
        self._done += count
        if self._shown is None and monotonic() >= self._due:
            self._shown = _start(self._label, self._total)
        if self._shown is not None:
            shown, task = self._shown
            shown.update(task, completed=self._done)

    def stop(self) -> None:
        if self._shown is not None:
            self._shown[0].stop()


def _start(label: str, total: int | None) -> tuple[Progress, TaskID]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    speed = (TransferSpeedColumn(), TimeRemainingColumn())
    shown = Progress(*columns, *speed, console=Console(stderr=True), transient=True)
    shown.start()
    return shown, shown.add_task(label, total=total)
