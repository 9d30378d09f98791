"""A persistent tool: one process, one JSON line for each request and each answer.

The process is started when it is first needed, and again after it crashed, hung or fell out of
step. Bytes of tensors come in files of a scratch folder; their digests are computed here.

    tool = SessionTool(["python", "tool.py"], Limits(), scratch)
    tool.ask(Request("read", path, seconds=5)).data["tensors"]
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelbundle_conformance.answers import VERDICTS, Answer, clip, malformed, parsed
from modelbundle_conformance.cases import Json, UsageError
from modelbundle_conformance.processes import Flood, Limits, Process, Reader, start
from modelbundle_conformance.tools import Hello, Request, line

SERVE = "serve"
"""The operation that starts a persistent tool."""
_CHUNK = 1 << 20


class _Ended(Exception):  # noqa: N818
    """The exchange ended without an answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.detail)
        self.answer = answer


class _Refused(Exception):  # noqa: N818
    """The tool answered with another verdict than accept."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.verdict)
        self.answer = answer


class SessionTool:
    """A tool that is started with `COMMAND serve`."""

    def __init__(self, command: Sequence[str], limits: Limits, scratch: Path) -> None:
        self._command = [*command, SERVE]
        self._limits = limits
        self._scratch = scratch
        self._process: Process | None = None
        self._reader: Reader | None = None
        self._pending = bytearray()
        self._number = 0
        self.fresh = True
        """Whether the process has answered nothing yet: what it does is due to this request."""

    def hello(self) -> Hello:
        """What the tool says of itself when it starts. Raises `UsageError` where it does not."""
        try:
            return self._start()
        except _Ended as ended:
            raise UsageError(f"the tool does not start: {ended.answer.detail}") from ended

    def died(self) -> str:
        """How the process ended since its last answer; empty where it still runs."""
        if self._process is None or self._process.popen.poll() is None:
            return ""
        how = self._process.status()
        self.close()
        return how

    def ask(self, request: Request) -> Answer:
        """Do one operation, in as many exchanges as it takes."""
        started = time.monotonic()
        self._empty_scratch()
        try:
            if self._process is None:
                self._start()
            deadline = time.monotonic() + request.seconds * self._limits.patience
            answer = self._perform(request, deadline)
            self.fresh = False
        except _Refused as refused:
            answer = refused.answer
            self.fresh = False
        except _Ended as ended:
            answer = ended.answer
            self._end()
        return replace(answer, seconds=time.monotonic() - started)

    def stop(self) -> str:
        """Ask the tool to stop; how the process ended, if it had crashed before it was asked."""
        how = ""
        if self._process is not None:
            try:
                self._exchange({"cmd": "stop"}, time.monotonic() + 1)
            except (_Ended, _Refused):
                status = self._process.popen.poll()
                how = self._process.status() if status else ""
        self._end()
        return how

    def close(self) -> None:
        """End the process."""
        self._end()

    def _end(self) -> None:
        if self._reader is not None:
            self._reader.close()
        if self._process is not None:
            self._process.end()
        self._process = self._reader = None

    def _start(self) -> Hello:
        self._end()
        self._pending.clear()
        self._process = start(self._command, self._limits, interactive=True)
        self._reader = Reader(self._process, self._limits)
        self.fresh = True
        deadline = time.monotonic() + self._limits.start_seconds
        message = {"cmd": "hello", "scratch": str(self._scratch)}
        try:
            return Hello.of(self._exchange(message, deadline).data)
        except _Refused as refused:
            raise _Ended(Answer("crash", "refused to say hello")) from refused
        except _Ended:
            self._end()
            raise

    def _perform(self, request: Request, deadline: float) -> Answer:
        if request.operation == "read":
            return self._read_all(request, deadline)
        return self._exchange(request.members(), deadline)

    def _read_all(self, request: Request, deadline: float) -> Answer:
        """Open, list, read each tensor and file, close: the answer of `read` is put together."""
        opened = self._exchange(request.members() | {"cmd": "open"}, deadline)
        handle = {"bundle": opened.data.get("bundle")}
        try:
            listed = self._exchange({"cmd": "list", **handle}, deadline).data
            with _shape("list"):
                tensors = [self._tensor(row, handle, deadline) for row in listed["tensors"]]
                files = [self._file(entry, handle, deadline) for entry in listed["files"]]
        except _Refused:
            self._exchange({"cmd": "close", **handle}, deadline)
            raise
        self._exchange({"cmd": "close", **handle}, deadline)
        data = {"digest": opened.data.get("digest"), "files": files, "tensors": tensors}
        return Answer("answered", verdict="accept", data=data)

    def _tensor(self, row: Json, handle: Json, deadline: float) -> Json:
        given = self._exchange({"cmd": "read", **handle, "tensor": row["name"]}, deadline).data
        with _shape("read"):
            known = {key: _same(row, given, key) for key in ("dtype", "shape")}
            return {**row, **known, "digest": self._digest(given)}

    def _file(self, entry: Json, handle: Json, deadline: float) -> Json:
        given = self._exchange({"cmd": "read", **handle, "file": entry["path"]}, deadline).data
        with _shape("read"):
            return {**entry, "size": given["length"], "digest": self._digest(given)}

    def _digest(self, given: Json) -> str:
        """The digest of the bytes that an answer points to in the scratch folder."""
        path = self._scratch / str(given["file"])
        offset, length = given["offset"], given["length"]
        if path.parent != self._scratch or not isinstance(length, int):
            raise ValueError("file is no name of a file in the scratch folder, or length no number")
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode) or not 0 <= offset <= status.st_size - length:
                raise ValueError(f"{path.name} has no {length} bytes at {offset}")
            file.seek(offset)
            return _hash(file, length)

    def _exchange(self, message: Json, deadline: float) -> Answer:
        """One request, one answer. Raises `_Refused` and `_Ended`."""
        self._number += 1
        self._send(line({"seq": self._number, **message}))
        data = self._receive(deadline)
        wrong = malformed(data)
        if data.get("seq") != self._number:
            wrong = f"out of step: answered {clip(data.get('seq'), 20)} instead of {self._number}"
        if data.get("verdict") not in VERDICTS:
            wrong = wrong or f"no verdict in the answer to {message['cmd']}"
        if wrong:
            raise _Ended(Answer("crash", wrong))
        step = message["cmd"] if message["cmd"] in ("open", "list", "read") else ""
        answer = Answer("answered", verdict=data["verdict"], data=data, step=step)
        if answer.verdict != "accept" and message["cmd"] != "close":
            raise _Refused(answer)
        return answer

    def _send(self, data: bytes) -> None:
        assert self._process is not None and self._process.popen.stdin is not None
        try:
            self._process.popen.stdin.write(data)
        except OSError:
            raise _Ended(self._crash()) from None

    def _receive(self, deadline: float) -> Json:
        """The next line that is a JSON object; what else comes is noise of some library."""
        assert self._process is not None and self._reader is not None
        reader = self._reader
        reader.begin()
        while True:
            found = self._next_object()
            if found is not None:
                return found
            left = deadline - time.monotonic()
            if left <= 0:
                raise _Ended(Answer("timeout", "no answer in time"))
            ended = self._process.popen.poll() is not None
            try:
                came = reader.take(min(left, 0.0 if ended else 0.2))
            except Flood as flood:
                raise _Ended(Answer("crash", str(flood))) from None
            self._pending += reader.stdout
            reader.stdout.clear()
            last = not reader.open or (ended and not came)
            if last and b"\n" not in self._pending:
                raise _Ended(self._crash())

    def _next_object(self) -> Json | None:
        while b"\n" in self._pending:
            text, _, rest = bytes(self._pending).partition(b"\n")
            self._pending[:] = rest
            found = parsed(text)
            if found is not None and "seq" in found:
                return found
        return None

    def _crash(self) -> Answer:
        assert self._process is not None and self._reader is not None
        with suppress(Exception):
            self._process.popen.wait(1)
        with suppress(Flood):
            while not self._reader.done and self._reader.take(0):
                pass
        said = clip(bytes(self._reader.stderr[-1000:]))
        if self._process.popen.poll() is None:
            return Answer("crash", "closed its standard output")
        return Answer("crash", f"{self._process.status()}{': ' if said else ''}{said}")

    def _empty_scratch(self) -> None:
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir(parents=True)


@contextmanager
def _shape(command: str) -> Iterator[None]:
    """What is missing or of the wrong type in an answer is a fault of the tool."""
    try:
        yield
    except (KeyError, TypeError, ValueError, OSError) as error:
        detail = f"the answer to {command} is not as agreed: {clip(str(error))}"
        raise _Ended(Answer("crash", detail)) from error


def _same(row: Json, given: Json, key: str) -> Any:
    """What `list` and `read` both say; where they do not agree, something that no case expects."""
    if row[key] == given[key]:
        return row[key]
    return f"{clip(row[key], 40)} in list, {clip(given[key], 40)} in read"


def _hash(file: Any, length: int) -> str:
    found = hashlib.sha256()
    while length > 0:
        data = file.read(min(length, _CHUNK))
        if not data:
            break
        found.update(data)
        length -= len(data)
    return f"sha256:{found.hexdigest()}"
