"""A tool under test, asked in one of two ways (`PROTOCOL.md`).

`FilterTool` starts a process for each operation; `SessionTool` keeps one and sends it lines. Both
give an `Answer` to a `Request`, whatever the tool does: they never raise for what a tool did.

    tool = FilterTool(["python", "tool.py"], Limits())
    tool.ask(Request("validate", Path("bundle.modelbundle"), seconds=5)).verdict
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from modelbundle_conformance.answers import VERDICTS, Answer, clip, document, malformed
from modelbundle_conformance.cases import Json
from modelbundle_conformance.processes import Flood, Limits, Process, Reader, finish, running


@dataclass(frozen=True)
class Request:
    """One operation on one path."""

    operation: str
    path: Path
    seconds: float
    digest: str | None = None
    """read: the bundle digest that is expected."""
    destination: Path | None = None
    """unpack, copy and pack: where to."""
    sources: tuple[str, ...] = ()
    """pack: paths below `path`; run: the file that says what to run."""
    environment: dict[str, str] = field(default_factory=dict)
    """Variables that a process for this operation gets as well."""

    def arguments(self) -> list[str]:
        """The words of the command line behind the command."""
        words = [self.operation, str(self.path)]
        words += [str(self.destination)] if self.destination else []
        words += [*self.sources, "--json"]
        return words + (["--digest", self.digest] if self.digest else [])

    def members(self) -> Json:
        """The members of the request to a persistent tool."""
        found: Json = {"cmd": self.operation, "path": str(self.path)}
        found |= {"destination": str(self.destination)} if self.destination else {}
        found |= {"sources": list(self.sources)} if self.sources else {}
        return found | ({"digest": self.digest} if self.digest else {})


@dataclass(frozen=True)
class Hello:
    """What a tool says of itself; without an answer, all of this is open."""

    name: str = ""
    version: str = ""
    language: str = ""
    operations: frozenset[str] = frozenset()
    unsupported: frozenset[str] = frozenset()
    """Features that it does not support, declared before any case is run."""

    @classmethod
    def of(cls, data: Json) -> Hello:
        """From a tool's answer; members of another type are as if they were not there."""
        words = [data[key] if isinstance(data.get(key), str) else ""
                 for key in ("name", "version", "language")]  # fmt: skip
        lists = [data[key] if isinstance(data.get(key), list) else []
                 for key in ("operations", "unsupported")]  # fmt: skip
        name, version, language = (clip(word, 60) for word in words)
        operations, unsupported = (frozenset(filter(_is_text, each)) for each in lists)
        return cls(name, version, language, operations, unsupported)


class Tool(Protocol):
    """What both kinds of tool can do."""

    def hello(self) -> Hello: ...

    def ask(self, request: Request) -> Answer: ...

    def close(self) -> None: ...


class FilterTool:
    """A process for each operation: `COMMAND OPERATION PATH [ARGUMENTS] --json`."""

    def __init__(self, command: Sequence[str], limits: Limits) -> None:
        self._command = list(command)
        self._limits = limits

    def hello(self) -> Hello:
        """What `COMMAND hello --json` says, if the tool knows that."""
        answer = self._run(["hello", "--json"], self._limits.start_seconds, {})
        return Hello.of(answer.data) if answer.verdict == "accept" else Hello()

    def ask(self, request: Request) -> Answer:
        """Run one operation."""
        seconds = request.seconds * self._limits.patience
        return self._run(request.arguments(), seconds, request.environment)

    def close(self) -> None:
        """Nothing is kept."""

    def _run(self, words: Sequence[str], seconds: float, environment: dict[str, str]) -> Answer:
        started = time.monotonic()
        command = [*self._command, *words]
        with running(command, self._limits, environment) as process:
            reader = Reader(process, self._limits)
            try:
                answer = self._collect(process, reader, seconds)
            finally:
                reader.close()
            if process.end():
                answer = Answer("crash", "left processes running")
        return replace(answer, seconds=time.monotonic() - started)

    def _collect(self, process: Process, reader: Reader, seconds: float) -> Answer:
        try:
            if not finish(process, reader, seconds):
                return Answer("timeout", f"no end within {seconds:g} s")
        except Flood as flood:
            return Answer("crash", str(flood))
        return _read(process, bytes(reader.stdout), bytes(reader.stderr))


def _read(process: Process, stdout: bytes, stderr: bytes) -> Answer:
    """The answer of a process that ended."""
    status = process.popen.returncode
    said = f": {clip(stderr[-1000:])}" if stderr.strip() else ""
    if status not in range(len(VERDICTS)):
        return Answer("crash", f"{process.status()}{said}")
    data = document(stdout)
    if data is None and status == 0:
        data = {}
    if data is None:
        return Answer("crash", f"exit status {status} without a JSON answer{said}")
    wrong = malformed(data)
    if wrong:
        return Answer("crash", wrong)
    return Answer("answered", verdict=VERDICTS[status], data=data)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def line(message: Json) -> bytes:
    """A message to a persistent tool."""
    return json.dumps(message).encode() + b"\n"
