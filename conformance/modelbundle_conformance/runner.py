"""Runs items on a tool, several at a time, and gives results as they come.

    results = Run(suite, Setup(["python", "tool.py"])).execute(plan(suite, Selection()), print)

Valid cases are run first: the score of an invalid one needs its twin's. A persistent tool that
crashes in a used process is tried again in a fresh one; if it then does not, the item before it is
to blame.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from modelbundle_conformance.answers import Answer
from modelbundle_conformance.cases import Suite
from modelbundle_conformance.operations import Outcome, perform
from modelbundle_conformance.plan import OFFERED, Item
from modelbundle_conformance.processes import Limits
from modelbundle_conformance.scoring import ExpectedFailure, Score, score
from modelbundle_conformance.session import SessionTool
from modelbundle_conformance.tools import FilterTool, Hello, Tool
from modelbundle_conformance.workspace import Workspace

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Setup:
    """How a tool is run."""

    command: Sequence[str]
    persistent: bool = False
    jobs: int = 1
    limits: Limits = field(default_factory=Limits)
    unsupported: frozenset[str] = frozenset()
    """Features declared on the command line."""
    known: Sequence[ExpectedFailure] = ()


@dataclass(frozen=True)
class Result:
    """An item and how it went; `outcome` is None where it was not run."""

    item: Item
    score: Score
    outcome: Outcome | None = None


@dataclass
class _Station:
    """A place to work at, the tool that works there, and the item that it did last."""

    space: Workspace
    tool: Tool
    last: Item | None = None


Listener = Callable[[Result], None]


@dataclass
class Run:
    """One run of a tool over a suite."""

    suite: Suite
    setup: Setup
    hello: Hello = field(default_factory=Hello)
    _outcomes: dict[Key, Outcome] = field(default_factory=dict)
    _results: dict[Key, Result] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)

    def execute(self, items: Sequence[Item], listener: Listener) -> list[Result]:
        """Run `items` and score them, in the order given."""
        with ExitStack() as stack:
            stations = [self._station(stack) for _ in range(max(self.setup.jobs, 1))]
            self.hello = stations[0].tool.hello()
            for item in items:
                if why := self._undeclared(item):
                    self._take(Result(item, Score("unsupported", why)), listener)
            runnable = [item for item in items if item.key not in self._results]
            for accepted in (True, False):
                batch = [i for i in runnable if (i.case.verdict == "accept") == accepted]
                self._batch(batch, stations, listener)
            for station in stations:
                if isinstance(station.tool, SessionTool):
                    self._blame(station, station.tool.stop(), listener)
        return [self._results[item.key] for item in items if item.key in self._results]

    def _undeclared(self, item: Item) -> str:
        """Why an item is not run; empty where it is."""
        declared = self.hello.unsupported | self.setup.unsupported
        lacking = sorted(item.case.features & declared)
        if lacking:
            return f"declared as not supported: {', '.join(lacking)}"
        offered = self.hello.operations or OFFERED
        return "" if item.operation in offered else f"the tool does not offer {item.operation}"

    def _station(self, stack: ExitStack) -> _Station:
        space = stack.enter_context(Workspace(self.suite))
        command, limits = self.setup.command, self.setup.limits
        tool: Tool = (SessionTool(command, limits, space.scratch) if self.setup.persistent
                      else FilterTool(command, limits))  # fmt: skip
        stack.callback(tool.close)
        return _Station(space, tool)

    def _batch(
        self, items: Iterable[Item], stations: Sequence[_Station], listener: Listener
    ) -> None:
        """Run `items` on all stations; none is left running when this returns or raises."""
        waiting: queue.SimpleQueue[Item] = queue.SimpleQueue()
        for item in items:
            waiting.put(item)
        faults: list[BaseException] = []
        workers = [threading.Thread(target=self._work, args=(waiting, station, listener, faults))
                   for station in stations]  # fmt: skip
        for worker in workers:
            worker.start()
        try:
            for worker in workers:
                worker.join()
        except BaseException:
            self._stop.set()
            for worker in workers:
                worker.join()
            raise
        if faults:
            raise faults[0]

    def _work(
        self, waiting: queue.SimpleQueue[Item], station: _Station, listener: Listener,
        faults: list[BaseException],
    ) -> None:  # fmt: skip
        try:
            self._work_on(waiting, station, listener)
        except BaseException as error:  # a fault of the runner: told, not taken for the tool's
            faults.append(error)
            self._stop.set()

    def _work_on(
        self, waiting: queue.SimpleQueue[Item], station: _Station, listener: Listener
    ) -> None:
        tool, space = station.tool, station.space
        while not self._stop.is_set():
            try:
                item = waiting.get_nowait()
            except queue.Empty:
                break
            fresh = True
            if isinstance(tool, SessionTool):
                self._blame(station, tool.died(), listener)
                fresh = tool.fresh
            outcome = perform(item, tool, space)
            if outcome.answer.ended == "crash" and not fresh:
                again = perform(item, tool, space)
                if again.answer.ended != "crash":
                    self._blame(station, outcome.answer.detail, listener)
                outcome = again
            self._settle(item, outcome, listener)
            station.last = item

    def _blame(self, station: _Station, how: str, listener: Listener) -> None:
        """A process that ended after its answer is a crash in the item that was answered."""
        if how and station.last is not None:
            late = Answer("crash", f"ended after its answer: {how}")
            self._settle(station.last, Outcome(late), listener)

    def _settle(self, item: Item, outcome: Outcome, listener: Listener) -> None:
        with self._lock:
            self._outcomes[item.key] = outcome
            twin = self._outcomes.get(item.twin_key) if item.twin_key else None
        known = next((entry for entry in self.setup.known if entry.covers(item)), None)
        self._take(Result(item, score(item, outcome, twin, known), outcome), listener)

    def _take(self, result: Result, listener: Listener) -> None:
        with self._lock:
            self._results[result.item.key] = result
            listener(result)
