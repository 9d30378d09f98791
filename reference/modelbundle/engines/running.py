"""Running a signature: which component and engine, inputs held to it, the engine's process.

result = run(bundle, {"x": x}, engine="stablehlo", device="gpu:0")

with open_session(bundle, signature, "onnx") as session:
    session.run({"x": x})
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from modelbundle.bundle import Bundle
from modelbundle.core import paths
from modelbundle.core.findings import (
    BundleError,
    Finding,
    UnsupportedError,
    checks,
    clip,
    refuse,
    settle,
)
from modelbundle.core.manifest import Signature
from modelbundle.engines import table
from modelbundle.engines.engine import Array, Arrays, Description, Setup, place
from modelbundle.engines.inputs import check_inputs, dtype_of, fits, told
from modelbundle.engines.process import EngineProcess, RunLimits
from modelbundle.engines.signatures import signatures

DEFAULT_SIGNATURE = "serving_default"


@dataclass(frozen=True, slots=True)
class Result:
    """What came out, of which signature, and what ran: seconds to prepare, seconds to run."""

    signature: Signature
    outputs: Mapping[str, Array]
    description: Description
    prepare_seconds: float
    run_seconds: float
    modules: tuple[str, ...]
    """Frameworks that the engine's process had loaded."""


def run(
    bundle: Bundle,
    inputs: Mapping[str, Any],
    signature: str | None = None,
    engine: str | None = None,
    *,
    setup: Setup | None = None,
    limits: RunLimits | None = None,
) -> Result:
    """Run a signature once.

    Without `signature`, the only one or `serving_default`; without `engine`, the first that is
    here and can. Raises `BundleError`: RUN-01 where there is no such signature, RUN-02 where
    inputs do not fit it, RUN-03 and RUN-04 (`UnsupportedError`) where device or engine cannot,
    RUN-05 to RUN-08 where the engine fails.
    """
    chosen, name, given = choose(bundle, inputs, signature, engine)
    with open_session(bundle, chosen, name, setup, limits) as session:
        return session.run(given)


def choose(
    bundle: Bundle, inputs: Mapping[str, Any], signature: str | None, engine: str | None
) -> tuple[Signature, str, dict[str, Array]]:
    """The signature, the engine and the inputs as arrays; raises as `run` does."""
    runnable = _runnable(bundle, named(bundle, signature), engine)
    refused: BundleError | None = None
    for candidate, name in runnable:
        try:
            return candidate, name, check_inputs(candidate, inputs)
        except BundleError as error:
            refused = refused or error
    raise refused or AssertionError("an engine was found")


@checks("RUN-01")
def named(bundle: Bundle, name: str | None) -> list[Signature]:
    """The signatures called `name`, one for each component that implements it (RUN-01)."""
    known = signatures(bundle)
    names = sorted({signature.name for signature in known})
    if name is None and len(names) > 1 and DEFAULT_SIGNATURE in names:
        name = DEFAULT_SIGNATURE
    if name is None and len(names) == 1:
        name = names[0]
    found = [signature for signature in known if signature.name == name]
    if not found:
        expected = f"one of the signatures {clip(', '.join(names))}" if names else "a signature"
        hint = "" if names else "the bundle says of no function what it takes and gives"
        where = f"{paths.MANIFEST}#/signatures"
        raise refuse("RUN-01", where, expected, name or "none named", hint)
    return found


def _runnable(
    bundle: Bundle, candidates: Sequence[Signature], engine: str | None
) -> list[tuple[Signature, str]]:
    """What can run, best first; raises `UnsupportedError` (RUN-04) where nothing can."""
    names = [engine] if engine else list(table.ENGINES)
    found, reasons = [], []
    for name in names:
        for candidate in candidates:
            reason = reason_against(bundle, candidate, name)
            if reason is None:
                found.append((candidate, name))
            else:
                reasons.append(f"{name} ({clip(candidate.component, 60)}): {reason}")
    if not found:
        raise no_engine(candidates, reasons)
    return found


@checks("RUN-04")
def no_engine(candidates: Sequence[Signature], reasons: Sequence[str]) -> BundleError:
    """The error where no engine can, with the reason of each."""
    expected = "an engine that can run it"
    findings = [
        Finding("RUN-04", place(candidates[0]), expected, clip(reason, 400)) for reason in reasons
    ]
    return UnsupportedError(findings)


def reason_against(bundle: Bundle, signature: Signature, engine: str) -> str | None:
    """Why an engine cannot run a signature here; None where it can, as far as can be told."""
    loaded = table.load(engine)
    return loaded.can_run(bundle, signature) or loaded.available()


class RunningSession:
    """A signature that an engine has prepared, in the engine's process."""

    def __init__(
        self, process: EngineProcess, signature: Signature, answer: Mapping[str, Any]
    ) -> None:
        self._process = process
        self._signature = signature
        self.prepare_seconds: float = answer["seconds"]
        self.description = Description(**answer["description"])

    def run(self, inputs: Mapping[str, Any]) -> Result:
        """Run once; raises `BundleError` (RUN-02, RUN-06, RUN-07)."""
        given = check_inputs(self._signature, inputs)
        answer, outputs = self._process.ask({"call": "run"}, given)
        settle(output_findings(self._signature, outputs))
        return Result(
            self._signature,
            outputs,
            Description(**answer["description"]),
            self.prepare_seconds,
            answer["seconds"],
            tuple(answer["modules"]),
        )


@contextmanager
def open_session(
    bundle: Bundle,
    signature: Signature,
    engine: str,
    setup: Setup | None = None,
    limits: RunLimits | None = None,
) -> Iterator[RunningSession]:
    """A signature prepared by an engine in a process that ends with the block."""
    setup = setup or Setup()
    with EngineProcess(engine, place(signature), limits, setup) as process:
        answer, _ = process.ask(
            {
                "call": "prepare",
                "engine": table.ENGINES[engine],
                "setup": asdict(setup),
                **request_for(bundle, signature),
            }
        )
        yield RunningSession(process, signature, answer)


def request_for(bundle: Bundle, signature: Signature) -> dict[str, Any]:
    """What a process needs to open the same bundle and find the signature."""
    return {
        "location": str(bundle.location),
        "verify": bundle.verify,
        "digest": bundle.digest,
        "signature": [signature.name, signature.component],
    }


@checks("RUN-07")
def output_findings(signature: Signature, outputs: Arrays) -> Iterator[Finding]:
    """Findings where an engine's outputs are not what the signature gives."""
    where = place(signature)
    symbols: dict[str, int] = {}
    for port in signature.outputs:
        array = outputs.get(port.name)
        if array is None:
            yield Finding("RUN-07", where, f"an output {clip(port.name)}", "none")
        elif dtype_of(array) != port.dtype or not fits(array.shape, port, symbols):
            found = f"{dtype_of(array)} {list(array.shape)}"
            yield Finding("RUN-07", where, f"{clip(port.name)}: {told(port)}", found)
