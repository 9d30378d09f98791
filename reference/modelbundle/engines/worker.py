"""The process that an engine runs in: requests come in at stdin, answers go out at stdout.

    python -m modelbundle.engines.worker

What a library prints goes to stderr, whatever it prints it with. A request is a message whose
value names the call: `prepare` a signature, `run` it, or `lower` one to a portable graph. The
answer has `findings` where the call was refused and `failure` where it raised anything else.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from importlib import import_module
from typing import Any, BinaryIO

from modelbundle.bundle import Bundle, open_bundle
from modelbundle.core.findings import BundleError, UnsupportedError
from modelbundle.core.manifest import Signature
from modelbundle.engines import messages
from modelbundle.engines.engine import Arrays, Session, Setup
from modelbundle.engines.signatures import signatures
from modelbundle.engines.table import load_home

_Answer = tuple[dict[str, Any], Arrays]


def main() -> None:
    """Answer requests until stdin ends."""
    requests, answers = _pipes()
    worker = _Worker()
    with suppress(EOFError, BrokenPipeError):
        while True:
            request, arrays = messages.read(requests)
            value, results = worker.answer(request, arrays)
            messages.write(answers, value, results)


def _pipes() -> tuple[BinaryIO, BinaryIO]:
    """stdin and stdout for us alone: others read nothing and write to stderr."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123  # a device, not a path
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return requests, answers


class _Worker:
    """What one process keeps between requests."""

    def __init__(self) -> None:
        self._session: Session | None = None

    def answer(self, request: Mapping[str, Any], arrays: Arrays) -> _Answer:
        """Do what `request` asks; no exception leaves here."""
        started = time.perf_counter()
        try:
            value, results = getattr(self, f"_{request['call']}")(request, arrays)
        except BundleError as error:
            findings = [finding.to_json() for finding in error.findings]
            return {"findings": findings, "unsupported": isinstance(error, UnsupportedError)}, {}
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            return {"failure": f"{type(error).__name__}: {error}"[:2000]}, {}
        return {**value, "seconds": time.perf_counter() - started}, results

    def _prepare(self, request: Mapping[str, Any], arrays: Arrays) -> _Answer:
        engine = load_home(request["engine"])
        bundle, signature = _opened(request)
        self._session = engine.prepare(bundle, signature, Setup(**request["setup"]))
        return {"description": asdict(self._session.describe())}, {}

    def _run(self, request: Mapping[str, Any], arrays: Arrays) -> _Answer:
        if self._session is None:
            raise RuntimeError("nothing is prepared")
        results = self._session.run(arrays)
        return {"description": asdict(self._session.describe()), "modules": _frameworks()}, results

    def _lower(self, request: Mapping[str, Any], arrays: Arrays) -> _Answer:
        module, _, function = request["function"].partition(":")
        bundle, signature = _opened(request)
        lower = getattr(import_module(module), function)
        value, results = lower(bundle, signature, **request["arguments"])
        return value, results


def _opened(request: Mapping[str, Any]) -> tuple[Bundle, Signature]:
    """The bundle and its signature; it stays open as long as the process."""
    bundle = open_bundle(request["location"], verify=request["verify"], digest=request["digest"])
    name, component = request["signature"]
    found = (s for s in signatures(bundle) if (s.name, s.component) == (name, component))
    return bundle, next(found)


_FRAMEWORKS = (
    "tensorflow", "keras", "tf_keras", "jax", "torch", "onnxruntime", "ai_edge_litert",
)  # fmt: skip


def _frameworks() -> list[str]:
    """Frameworks that are loaded in this process."""
    return [name for name in _FRAMEWORKS if name in sys.modules]


if __name__ == "__main__":
    main()
