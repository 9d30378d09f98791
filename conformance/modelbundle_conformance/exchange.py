"""The matrix of writers and readers: each implementation writes bundles, each reads all of them.

What is written are the sound cases of the role Writer, in both layouts. A reader has to give, byte
for byte, what the case says: bundle digest, files and tensors. An archive has to be the same bytes
whoever wrote it.

    found = exchange(suite, [Party("one", setup), Party("other", setup)], selection, print)
    found["reads"][0]["status"]
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from modelbundle_conformance.answers import clip
from modelbundle_conformance.cases import Json, Suite, UsageError
from modelbundle_conformance.operations import differences, tree
from modelbundle_conformance.plan import OFFERED, Item, Selection, items
from modelbundle_conformance.runner import Setup
from modelbundle_conformance.session import SessionTool
from modelbundle_conformance.tools import FilterTool, Hello, Request, Tool
from modelbundle_conformance.workspace import SetupError, Workspace

LAYOUTS = ("archive", "directory")
Listener = Callable[[Json], None]


@dataclass(frozen=True)
class Party:
    """An implementation that takes part, under a name of its own."""

    name: str
    setup: Setup


@dataclass
class _Seat:
    """A party at work: its tool, its workspace, what it says of itself."""

    party: Party
    tool: Tool
    space: Workspace
    hello: Hello

    def lacks(self, operation: str, features: frozenset[str]) -> str:
        """Why it is not asked; empty where it is."""
        declared = sorted(features & (self.hello.unsupported | self.party.setup.unsupported))
        if operation not in (self.hello.operations or OFFERED):
            return f"the tool does not offer {operation}"
        return f"declared as not supported: {', '.join(declared)}" if declared else ""


@dataclass
class _Matrix:
    """What was written and read until now."""

    seats: Sequence[_Seat]
    store: Path
    listener: Listener
    writes: list[Json] = field(default_factory=list)
    reads: list[Json] = field(default_factory=list)
    made: int = 0
    """Bundles that were asked for; each has a path of its own."""

    def note(self, rows: list[Json], row: Json, status: str, detail: str = "") -> None:
        rows.append(row | {"status": status, "detail": clip(detail, 500)})
        self.listener(rows[-1])


def exchange(
    suite: Suite, parties: Sequence[Party], selection: Selection, listener: Listener
) -> Json:
    """Let `parties` write and read; `listener` gets each row as it comes."""
    chosen = list(_chosen(suite, selection))
    if not chosen:
        raise UsageError("no case of the role Writer was chosen")
    with ExitStack() as stack:
        seats = [_seat(suite, party, stack) for party in parties]
        store = Path(stack.enter_context(TemporaryDirectory(prefix="modelbundle-matrix-")))
        matrix = _Matrix(seats, store.resolve(), listener)
        for item in chosen:
            for layout in LAYOUTS:
                _exchange(matrix, item, layout)
        told = [_implementation(seat) for seat in seats]
    return {"implementations": told, "writes": matrix.writes, "reads": matrix.reads}


def _chosen(suite: Suite, selection: Selection) -> Iterator[Item]:
    """The sound cases of the role Writer that have an answer."""
    writing = replace(selection, roles=("Writer",))
    for item in items(suite):
        if item.case.verdict == "accept" and item.case.answer and writing.takes(item):
            yield item


def _seat(suite: Suite, party: Party, stack: ExitStack) -> _Seat:
    space = stack.enter_context(Workspace(suite))
    setup = party.setup
    tool: Tool = (SessionTool(setup.command, setup.limits, space.scratch) if setup.persistent
                  else FilterTool(setup.command, setup.limits))  # fmt: skip
    stack.callback(tool.close)
    return _Seat(party, tool, space, tool.hello())


def _implementation(seat: _Seat) -> Json:
    who = {"name": seat.party.name, "command": shlex.join(seat.party.setup.command)}
    return {**who, "version": seat.hello.version, "language": seat.hello.language}


def _exchange(matrix: _Matrix, item: Item, layout: str) -> None:
    """All write a case in a layout; all read what was written of it."""
    written: dict[str, Path] = {}
    bytes_of: dict[str, Mapping[str, str]] = {}
    for seat in matrix.seats:
        name = seat.party.name
        path = _write(matrix, seat, item, layout)
        if path is not None:
            written[name], bytes_of[name] = path, tree(path)
    _compare(matrix, item, layout, bytes_of)
    for writer, path in written.items():
        for seat in matrix.seats:
            row = {"writer": writer, "case": item.case.id, "layout": layout}
            _read(matrix, seat, item, row, path)
            if tree(path) != bytes_of[writer]:
                raise UsageError(f"{seat.party.name} changed what it read: {item.case.id}")


def _write(matrix: _Matrix, seat: _Seat, item: Item, layout: str) -> Path | None:
    """Where `seat` wrote the case; None where it did not."""
    name = seat.party.name
    row = {"writer": name, "case": item.case.id, "layout": layout}
    lacking = seat.lacks(item.operation, item.case.features | {layout})
    if lacking:
        matrix.note(matrix.writes, row, "unsupported", lacking)
        return None
    suffix = ".modelbundle" if layout == "archive" else ""
    matrix.made += 1
    destination = matrix.store / f"{matrix.made}{suffix}"
    sources = tuple(item.case.arguments.get("sources", ()))
    try:
        path = seat.space.prepare(item.case)
    except SetupError as error:
        matrix.note(matrix.writes, row, "unresolvable", str(error))
        return None
    answer = seat.tool.ask(Request(item.operation, path, item.case.seconds,
                                   destination=destination, sources=sources))  # fmt: skip
    if answer.ended != "answered":
        matrix.note(matrix.writes, row, answer.ended, answer.detail)
    elif answer.verdict != "accept" or not destination.exists():
        rules = ", ".join(found["rule"] for found in answer.findings)
        matrix.note(matrix.writes, row, "fail", f"{answer.verdict}, nothing written: {rules}")
    else:
        return destination
    return None


def _compare(
    matrix: _Matrix, item: Item, layout: str, bytes_of: Mapping[str, Mapping[str, str]]
) -> None:
    """Whoever wrote has to have written the same bytes."""
    first = next(iter(bytes_of), "")
    for name, found in bytes_of.items():
        row = {"writer": name, "case": item.case.id, "layout": layout}
        paths = sorted(path for path in found.keys() | bytes_of[first].keys()
                       if found.get(path) != bytes_of[first].get(path))  # fmt: skip
        if paths:
            where = "" if layout == "archive" else f" in {', '.join(paths)}"
            matrix.note(matrix.writes, row, "fail", f"not the bytes of {first}{where}")
        else:
            matrix.note(matrix.writes, row, "pass")


def _read(matrix: _Matrix, seat: _Seat, item: Item, row: Json, path: Path) -> None:
    """Let `seat` read what was written at `path`; `row` says of which case, by whom."""
    layout = row["layout"]
    row = {**row, "reader": seat.party.name}
    lacking = seat.lacks("read", (item.case.features - {"source"}) | {layout})
    if lacking:
        matrix.note(matrix.reads, row, "unsupported", lacking)
        return
    answer = seat.tool.ask(Request("read", path, item.case.seconds))
    if answer.ended != "answered":
        matrix.note(matrix.reads, row, answer.ended, answer.detail)
    elif answer.verdict != "accept":
        rules = ", ".join(f"{found['rule']} at {found['place']}" for found in answer.findings)
        matrix.note(matrix.reads, row, "fail", f"{answer.verdict}: {rules}")
    else:
        faults = differences(item.case.answer or {}, answer.data)
        matrix.note(matrix.reads, row, "fail" if faults else "pass", "; ".join(faults))
