"""Reference outputs in float64, by routes that share no code: which agreed, and how closely.

Each route is a process of its own (`route`), since a process has one Keras backend. The first is
the program traced by JAX and evaluated operation by operation; the second, Keras on TensorFlow, or
on Torch. Routes agree where they differ by less than 2^-6 of the float32 sigma of each element: a
reference has to be much better than what is held to it.

    found = measure("net.modelbundle", "net.keras.members/config.json", [x], seed=0)
    found.grade, found.agreement
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbundle.golden.tolerance import CHANNELS, PROFILES, Channels, sigma
from modelbundle.sources.golden import AGREED_BITS, Grade, Output, Reference

Array = NDArray[Any]

DEADLINE_SECONDS = 3600.0
MAX_BITS = 64
_SECOND = ("torch", "tensorflow")
"""Backends of the second route, the first that is here."""


class NoReferenceError(RuntimeError):
    """No route gave outputs; the message says why of each."""


@dataclass(frozen=True)
class Reference64:
    """Reference outputs in order, with what they rest on.

    `ports` are names, dtypes and shapes of inputs and outputs as the model states them. `notes`
    say why something is missing, for people.
    """

    ports: Mapping[str, Any]
    outputs: tuple[Output, ...]
    references: tuple[Reference, ...]
    agreement: int | None
    exact: bool
    whole_exact: bool
    traced: bool
    unmodelled: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def grade(self) -> Grade:
        """`verified` where two routes agree and the answer to noise is known."""
        agreed = self.agreement is not None and self.agreement >= AGREED_BITS
        return "verified" if agreed and self.traced else "consistent"


@dataclass(frozen=True)
class _Answer:
    about: Mapping[str, Any]
    arrays: Mapping[str, Array]

    @property
    def outputs(self) -> list[Array]:
        return [self.arrays[f"y/{at}"] for at in range(len(self.about["outputs"]))]


def measure(
    model: str | Path,
    component: str,
    inputs: Sequence[Array],
    *,
    whole: Sequence[Array] = (),
    seed: int = 0,
    noise: bool = True,
    deadline: float = DEADLINE_SECONDS,
) -> Reference64:
    """Compute the model on every route that is here.

    `model` is a bundle, of which `component` is the Keras config, or a file that Keras saved.
    `inputs` are in the model's order, floats in the dtype of the port; `whole` are others of which
    is asked only whether they would be exact. Raises `NoReferenceError` where no route gives
    anything.
    """
    request = {"model": str(model), "component": component, "seed": seed, "noise": noise}
    inputs = [*inputs, *whole]
    request["whole"] = len(whole)
    notes: list[str] = []
    answers = []
    for backends in (("jax",), _SECOND):
        found = _first(backends, request, inputs, deadline, notes)
        if found is not None:
            answers.append(found)
    if not answers:
        raise NoReferenceError("no float64 route: " + "; ".join(notes))
    return _combined(answers, notes)


def _first(
    backends: Sequence[str],
    request: Mapping[str, Any],
    inputs: Sequence[Array],
    deadline: float,
    notes: list[str],
) -> _Answer | None:
    """The answer of the first backend that is here and gives one; why others do not, noted."""
    for backend in backends:
        if find_spec(backend) is None:
            notes.append(f"{backend} is not installed")
            continue
        answer = ask(backend, request, inputs, deadline)
        if "error" not in answer.about:
            notes += [f"{backend}: {note}" for note in answer.about["notes"]]
            return answer
        notes.append(f"{backend}: {answer.about['error']}")
    return None


def ask(
    backend: str, request: Mapping[str, Any], inputs: Sequence[Array], deadline: float
) -> _Answer:
    """What the route on `backend` answers; a crash or a hang is told as its `error`."""
    with tempfile.TemporaryDirectory(prefix="modelbundle-golden-") as folder:
        paths = [Path(folder) / name for name in ("inputs.npz", "request.json", "answer.npz")]
        names = [f"x{at}" for at in range(len(inputs))]
        np.savez(paths[0], allow_pickle=False, **dict(zip(names, inputs, strict=True)))
        full = {**request, "inputs": str(paths[0]), "names": names}
        paths[1].write_text(json.dumps(full), "utf-8")
        command = [sys.executable, "-m", "modelbundle.golden.route", str(paths[1]), str(paths[2])]
        if error := _run(command, backend, deadline):
            return _Answer({"error": error}, {})
        with np.load(paths[2], allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        return _Answer(json.loads(arrays.pop("about").tobytes()), arrays)


def _run(command: Sequence[str], backend: str, deadline: float) -> str:
    """Run a route to its end; why it did not get there, or nothing."""
    here = str(Path(__file__).parents[2])
    known = os.environ.get("PYTHONPATH")
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "CUDA_VISIBLE_DEVICES": "",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": f"{here}{os.pathsep}{known}" if known else here,
    }
    try:
        ended = subprocess.run(
            command, env=environment, capture_output=True, timeout=deadline, check=False
        )
    except subprocess.TimeoutExpired:
        return f"no answer in {deadline:.0f} s"
    last = ended.stderr.decode(errors="replace").strip().splitlines()[-1:]
    return f"ended with {ended.returncode}: {''.join(last)}" if ended.returncode else ""


def _combined(answers: Sequence[_Answer], notes: list[str]) -> Reference64:
    first = answers[0]
    traced = "unmodelled" in first.about
    outputs = tuple(_output(first, at, traced) for at in range(len(first.outputs)))
    agreement = min((agreed_bits(outputs, other.outputs) for other in answers[1:]), default=None)
    if agreement is not None and agreement < AGREED_BITS:
        notes.append(f"the routes agree to {agreement} bits below sigma, {AGREED_BITS} are due")
    return Reference64(
        {side: first.about[side] for side in ("inputs", "outputs")},
        outputs,
        tuple(Reference(a.about["engine"], a.about["version"], "float64") for a in answers),
        agreement,
        bool(first.about.get("exact")),
        bool(first.about.get("whole_exact")),
        traced,
        tuple(first.about.get("unmodelled", ())),
        tuple(notes),
    )


def _output(answer: _Answer, at: int, traced: bool) -> Output:
    """One output with its channels, which float32 holds for a file, rounded up to its range."""
    array = answer.arrays[f"y/{at}"]
    if not traced:
        return Output(array)
    if array.dtype != np.float64:
        return Output(array, {}, answer.arrays.get(f"decided/{at}"))
    most = float(np.finfo(np.float32).max)
    found = {name: np.nan_to_num(answer.arrays[f"{name}/{at}"], nan=most) for name in CHANNELS}
    return Output(array, {n: np.minimum(v, most).astype(np.float32) for n, v in found.items()})


def agreed_bits(outputs: Sequence[Output], others: Sequence[Array]) -> int:
    """Bits below the float32 sigma to which other outputs agree; 0 where they do not."""
    if len(outputs) != len(others):
        return 0
    return min(map(_bits, outputs, others), default=MAX_BITS)


def _bits(output: Output, other: Array) -> int:
    one = output.array
    if one.shape != other.shape:
        return 0
    if one.dtype.kind != "f":
        decided = np.ones(one.shape, bool) if output.decided is None else output.decided
        return MAX_BITS if np.array_equal(one[decided], other[decided]) else 0
    finite = np.isfinite(one)
    same = one[~finite] == other[~finite]
    if not bool((same | (np.isnan(one[~finite]) & np.isnan(other[~finite]))).all()):
        return 0
    deviation = sigma(Channels(dict(output.channels)), PROFILES["float32"], finite)[finite]
    return _bits_of(np.abs(one[finite] - other[finite]), deviation)


def _bits_of(error: Array, deviation: Array) -> int:
    with np.errstate(divide="ignore", invalid="ignore"):
        worst = float(np.max(np.where(error == 0, 0.0, error / deviation), initial=0.0))
    if not np.isfinite(worst):
        return 0
    return MAX_BITS if worst == 0 else int(np.clip(np.floor(-np.log2(worst)), 0, MAX_BITS))
