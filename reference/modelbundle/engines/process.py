"""An engine in a process of its own, with a deadline and a limit on memory (rule RUN-06).

A crash, a hang, an answer that is none, and memory beyond the limit end the process, and are a
finding that names the engine. Memory is watched, not walled off: the limit is on the anonymous
memory of the process (`RssAnon`, Linux only), which leaves out mapped weights and the address
space that frameworks reserve; `RLIMIT_AS` would stop most of them at import. The last lines that
the engine printed are the hint of a finding, however much it printed.

    with EngineProcess("onnx", place="net.onnx#main") as process:
        answer, arrays = process.ask({"call": "run"}, {"x": x})
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, cast

from modelbundle.core.findings import (
    BundleError,
    Finding,
    UnsupportedError,
    checks,
    clip,
    refuse,
)
from modelbundle.engines import messages
from modelbundle.engines.engine import Arrays, Setup

_TAIL_BYTES = 1 << 14
"""How much of what an engine prints is kept."""
_INTERVAL_SECONDS = 0.05
_SHARE_OF_MEMORY = 0.9
_PRECISION: dict[str, dict[str, str]] = {"float32": {"NVIDIA_TF32_OVERRIDE": "0"}, "tf32": {}}
"""Graphs that leave the precision of contractions open are computed in tf32 by many libraries."""


@dataclass(frozen=True, slots=True)
class RunLimits:
    """What an engine may take: seconds a request, bytes of memory (None: nine tenths of what is
    available when it starts)."""

    seconds: float = 600.0
    memory_bytes: int | None = None


class EngineProcess:
    """The process of one engine; also a context manager."""

    def __init__(
        self, engine: str, place: str, limits: RunLimits | None = None, setup: Setup | None = None
    ) -> None:
        self._engine = engine
        self._place = place
        self._limits = limits or RunLimits()
        self._memory = self._limits.memory_bytes or _available_bytes()
        self._deadline: float | None = None
        self._cause = ""
        self._tail = bytearray()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "modelbundle.engines.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(setup or Setup()),
            start_new_session=True,
        )
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._drain, self._watch)
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> EngineProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process and all that it started."""
        self._kill()
        self._process.wait()
        for thread in self._threads:
            thread.join()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            with suppress(OSError):
                cast("BinaryIO", stream).close()

    def ask(
        self, request: Mapping[str, Any], arrays: Arrays | None = None
    ) -> tuple[dict[str, Any], Arrays]:
        """The answer to `request`; raises `BundleError` where it is refused or there is none."""
        self._deadline = time.monotonic() + self._limits.seconds
        try:
            messages.write(cast("BinaryIO", self._process.stdin), dict(request), arrays)
            answer, results = messages.read(cast("BinaryIO", self._process.stdout))
        except (OSError, EOFError):
            raise self._ended() from None
        except (ValueError, TypeError, KeyError, MemoryError) as error:
            self._cause = f"an answer that cannot be read ({error})"
            raise self._ended() from None
        finally:
            self._deadline = None
        self._raise_refusal(answer)
        return answer, results

    def _raise_refusal(self, answer: Mapping[str, Any]) -> None:
        if "findings" in answer:
            findings = [Finding(**finding) for finding in answer["findings"]]
            raise (UnsupportedError if answer["unsupported"] else BundleError)(findings)
        if "failure" in answer:
            raise self._failed(answer["failure"], "")

    def _ended(self) -> BundleError:
        """The error for a process that gave no answer."""
        self._kill()
        status = self._process.wait()
        self._threads[0].join(1)
        return self._failed(self._cause or _exit(status), _last_lines(bytes(self._tail)))

    @checks("RUN-06")
    def _failed(self, found: str, hint: str) -> BundleError:
        expected = f"an answer from the engine {self._engine}"
        return refuse("RUN-06", self._place, expected, found, hint)

    def _drain(self) -> None:
        """Keep the end of what the engine prints."""
        stream = cast("BinaryIO", self._process.stderr)
        while chunk := os.read(stream.fileno(), 1 << 16):
            self._tail += chunk
            del self._tail[:-_TAIL_BYTES]

    def _watch(self) -> None:
        """End the process when a request takes too long, or it takes too much memory."""
        while self._process.poll() is None:
            if self._deadline is not None and time.monotonic() > self._deadline:
                self._stop(f"none in {self._limits.seconds:g} seconds")
            if (taken := _anonymous_bytes(self._process.pid)) > self._memory:
                self._stop(f"{taken >> 20} MiB of memory taken, limit {self._memory >> 20} MiB")
            time.sleep(_INTERVAL_SECONDS)

    def _stop(self, cause: str) -> None:
        self._cause = self._cause or cause
        self._kill()

    def _kill(self) -> None:
        """End the process and its children; it leads a session of its own."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


def _environment(setup: Setup) -> dict[str, str]:
    """That of the caller, the chosen device being the only one that frameworks see."""
    chosen = {
        "CUDA_VISIBLE_DEVICES": _visible(setup.gpu),
        "JAX_PLATFORMS": "cpu" if setup.gpu is None else "cuda",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        **_PRECISION[setup.precision],
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    return {**os.environ, **chosen}


def _visible(gpu: int | None) -> str:
    """The GPU with number `gpu` of those that the caller sees; a name that no GPU has else."""
    if gpu is None:
        return ""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if seen is None:
        return str(gpu)
    names = [name for name in seen.split(",") if name]
    return names[gpu] if gpu < len(names) else "-1"


def _exit(status: int) -> str:
    if status >= 0:
        return f"its process ended with status {status}"
    return f"its process ended by {signal.Signals(-status).name}"


def _last_lines(tail: bytes) -> str:
    lines = tail.decode(errors="replace").strip().splitlines()
    return clip(" | ".join(lines[-2:]), 400)


def _anonymous_bytes(pid: int) -> int:
    """Memory of the process that no file backs; 0 where the system does not tell."""
    return _field(Path(f"/proc/{pid}/status"), "RssAnon:")


def _available_bytes() -> int:
    """Nine tenths of the memory that is available, or no limit where the system does not tell."""
    available = _field(Path("/proc/meminfo"), "MemAvailable:")
    return int(available * _SHARE_OF_MEMORY) or sys.maxsize


def _field(path: Path, name: str) -> int:
    """A field of a file of the kernel that gives kibibytes, in bytes."""
    with suppress(OSError, ValueError):
        for line in path.read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) << 10
    return 0
