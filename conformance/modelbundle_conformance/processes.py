"""Processes of tools, kept within limits and never left behind.

A tool runs in a session of its own with limits on memory and file size. What it starts carries a
mark in its environment, so that it is found and ended even where it left the session.

    with running(["node", "cli.js", "hello"], Limits()) as process: ...
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_MARK = "MODELBUNDLE_CONFORMANCE_MARK"
_LAUNCH = """
ulimit -c 0; ulimit -v "$1" 2>/dev/null; ulimit -f "$2" 2>/dev/null
shift 2; exec "$@"
"""
_CHUNK = 1 << 16
_GRACE = 0.5
"""Seconds that what a tool started has to end after it."""


@dataclass(frozen=True)
class Limits:
    """What a tool can take. A tool that takes more is ended, or fails on its own."""

    memory_mib: int = 4096
    """Address space: RLIMIT_AS. 0 sets no limit."""
    file_mib: int = 1024
    """The largest file that it can write: RLIMIT_FSIZE."""
    output_bytes: int = 16 << 20
    """Standard output and standard error together, for one operation."""
    patience: float = 2.0
    """Factor on the seconds of a case: machines differ, and a process has to start."""
    start_seconds: float = 30.0
    """For a persistent tool to start and say hello."""


@dataclass
class Process:
    """A process that runs, and its mark."""

    popen: subprocess.Popen[bytes]
    mark: str

    def end(self) -> bool:
        """End it and all that it started; whether something was still running beside it."""
        exited = self.popen.poll() is not None
        left = exited and self._outlived()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()
        for pipe in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
        escaped = _sweep(self.mark)
        return exited and (left or escaped)

    def _outlived(self) -> bool:
        """Whether its process group outlives it by more than the grace."""
        until = time.monotonic() + _GRACE
        while time.monotonic() < until:
            try:
                os.killpg(self.popen.pid, 0)
            except ProcessLookupError:
                return False
            except PermissionError:
                return True
            time.sleep(0.01)
        return True

    def status(self) -> str:
        """How it ended, in words."""
        code = self.popen.returncode
        if code is not None and code < 0:
            with suppress(ValueError):
                return f"ended by {signal.Signals(-code).name}"
        return f"exit status {code}"


def start(
    command: Sequence[str], limits: Limits, *, environment: dict[str, str] | None = None,
    interactive: bool = False,
) -> Process:  # fmt: skip
    """Start `command` within limits; its standard input is empty, or a pipe if `interactive`."""
    mark = uuid.uuid4().hex
    memory = str(limits.memory_mib << 10) if limits.memory_mib else "unlimited"
    blocks = str(limits.file_mib << 11)
    popen = subprocess.Popen(
        ["/bin/sh", "-c", _LAUNCH, "sh", memory, blocks, *command],
        stdin=subprocess.PIPE if interactive else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **(environment or {}), _MARK: mark},
        start_new_session=True,
        bufsize=0,
    )
    for pipe in (popen.stdout, popen.stderr):
        assert pipe is not None
        os.set_blocking(pipe.fileno(), False)
    return Process(popen, mark)


@contextmanager
def running(
    command: Sequence[str], limits: Limits, environment: dict[str, str] | None = None
) -> Iterator[Process]:
    """A process for as long as the block lasts."""
    process = start(command, limits, environment=environment)
    try:
        yield process
    finally:
        process.end()


class Flood(Exception):  # noqa: N818
    """A tool wrote more than it may."""


class Reader:
    """Takes what a process writes, without ever waiting longer than it was told."""

    def __init__(self, process: Process, limits: Limits) -> None:
        popen = process.popen
        assert popen.stdout is not None and popen.stderr is not None
        self._process = process
        self._limit = limits.output_bytes
        self._taken = 0
        self.stdout, self.stderr = bytearray(), bytearray()
        self._selector = selectors.DefaultSelector()
        self._selector.register(popen.stdout, selectors.EVENT_READ, self.stdout)
        self._selector.register(popen.stderr, selectors.EVENT_READ, self.stderr)

    @property
    def open(self) -> bool:
        """Whether more can come on standard output."""
        return any(key.data is self.stdout for key in self._selector.get_map().values())

    @property
    def done(self) -> bool:
        """Whether nothing more can come."""
        return not self._selector.get_map()

    def begin(self) -> None:
        """Count the output of another operation."""
        self._taken = 0
        del self.stderr[:-4096]

    def take(self, seconds: float) -> bool:
        """Take what is there within `seconds`; whether anything came. Raises `Flood`."""
        events = self._selector.select(max(seconds, 0))
        for key, _ in events:
            try:
                data = os.read(key.fd, _CHUNK)
            except BlockingIOError:
                continue
            if not data:
                self._selector.unregister(key.fileobj)
            key.data.extend(data)
            self._taken += len(data)
            if self._taken > self._limit:
                raise Flood(f"wrote more than {self._limit} bytes")
        return bool(events)

    def close(self) -> None:
        """Take no more."""
        self._selector.close()


def finish(process: Process, reader: Reader, seconds: float) -> bool:
    """Take all that `process` writes until it ends; False where it does not in time.

    What it started can hold its output open: after its end, that is waited for no longer than the
    grace. Raises `Flood`.
    """
    deadline = time.monotonic() + seconds
    last: float | None = None
    while not reader.done:
        now = time.monotonic()
        if now > deadline:
            return False
        if process.popen.poll() is not None:
            last = last or now + _GRACE
            if now > last:
                break
        reader.take(min(deadline - now, 0.1))
    try:
        process.popen.wait(max(deadline - time.monotonic(), 0.01))
    except subprocess.TimeoutExpired:
        return False
    return True


def _sweep(mark: str) -> bool:
    """End every process that carries `mark`; whether there was one."""
    found = False
    for _ in range(20):  # one that forks while it is looked for is met in the next round
        marked = list(_marked(mark))
        if not marked:
            break
        found = True
        for number in marked:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(number, signal.SIGKILL)
        time.sleep(0.01)
    return found


def _marked(mark: str) -> Iterator[int]:
    wanted = f"{_MARK}={mark}".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if wanted in path.read_bytes().split(b"\0"):
                yield int(path.parent.name)
