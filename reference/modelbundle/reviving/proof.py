"""That a revived model computes what the old one did: both run, and their outputs are compared.

The old model runs on tf_keras, the new one in float64 by the routes of golden vectors, which also
say how far float32 may be from it (spec: Golden vectors). The comparison is that of an engine with
a golden vector; the vector goes into the bundle.

    found = prove(Path("new.modelbundle"), "revived/config.json", Path("old.h5"), topology, plan)
    found.evidence["max_ratio"]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbundle.bundle import open_bundle
from modelbundle.core.findings import clip
from modelbundle.core.manifest import Port
from modelbundle.golden import inputs as drawing
from modelbundle.golden.artifact import Made, of_keras
from modelbundle.golden.tolerance import Judgement
from modelbundle.golden.verdict import judge_vector
from modelbundle.reviving.plan import Plan
from modelbundle.rules.golden import called

Array = NDArray[Any]
Arrays = Mapping[str, Array]

DEADLINE_SECONDS = 1200.0
SIZES = (12, 128, 2048, 10_240)
"""What unknown dimensions are tried with: a model that crops or pools needs so much."""
DIVERGED = 2.0**-12
"""Relative L2 distance of the outputs of one layer beyond what rounding in float32 explains."""
SEED = 0


@dataclass(frozen=True)
class Proof:
    """What was compared. `passed` is None where nothing could be run."""

    passed: bool | None
    evidence: Mapping[str, Any]
    made: Made = field(default_factory=Made)


class _NotRunError(RuntimeError):
    """A process gave no answer; the message is its last line."""


def prove(
    bundle: Path, component: str, old: Path, topology: Mapping[str, Any], plan: Plan
) -> Proof:
    """Run the model in the file `old` and `component` of `bundle`, and compare."""
    if find_spec("tf_keras") is None:
        return _unproven("tf_keras is not installed: pip install tf_keras")
    with open_bundle(bundle) as opened, tempfile.TemporaryDirectory(prefix="modelbundle") as at:
        config = next(c for c in opened.manifest.components if c.id == component)
        ports = called(opened, config)
        try:
            files = _inputs(ports, topology, drawing.vocabulary_of(opened), Path(at))
            names = [port.name for port in ports]
            found = _ask({"old": True, "model": str(old)}, names, files)
        except (ValueError, _NotRunError) as error:
            return _unproven(f"the old model did not run: {error}")
        given = _stored(files[int(found.pop("inputs"))])
        made = of_keras(opened, config, given, SEED)
    if not made.vectors:
        return _unproven("the new model did not run: " + "; ".join(made.notes))
    proof = _judged(made, found)
    if proof.passed is False:
        layer = first_divergence(bundle, component, old, made.vectors[0].inputs, plan)
        return replace(proof, evidence={**proof.evidence, "first_layer": layer or ""})
    return proof


def _unproven(why: str) -> Proof:
    return Proof(None, {"verified": False, "reason": clip(why)})


def _judged(made: Made, found: Arrays) -> Proof:
    """The outputs of the old model, held against the first golden vector of the new one."""
    vector = made.vectors[0]
    outputs = {f"output_{at}": found[f"y/{at}"] for at in range(len(found))}
    judged = judge_vector(vector, outputs, "float32")
    failed = {name: each for name, each in judged.items() if not _holds(each)}
    evidence: dict[str, Any] = {
        "verified": not failed,
        "by": f"tf_keras {version('tf_keras')}",
        **dict(_figures(judged.values())),
        "references": [f"{r.engine} {r.version}".strip() for r in vector.references],
        "grade": vector.grade,
    }
    if failed:
        evidence["reason"] = "; ".join(f"{name}: {each.reason}" for name, each in failed.items())
    return Proof(not failed, evidence, replace(made, vectors=(vector,)))


def _holds(judged: Judgement) -> bool:
    """Whether an output passes; without channels, whether it is as near as one layer has to be."""
    distance = judged.relative_l2
    return judged.passed or (
        judged.outcome == "unjudged" and (distance is None or distance <= DIVERGED)
    )


def _figures(judged: Iterable[Judgement]) -> Iterator[tuple[str, Any]]:
    found = list(judged)
    for name in ("max_ratio", "rms_ratio", "relative_l2"):
        values = [value for each in found if (value := getattr(each, name)) is not None]
        if values:
            yield name, float(max(values))


def first_divergence(
    bundle: Path, component: str, old: Path, inputs: Arrays, plan: Plan
) -> str | None:
    """The first layer, in the order of the new model, whose outputs differ beyond rounding."""
    with tempfile.TemporaryDirectory(prefix="modelbundle") as at:
        file = Path(at, "inputs.npz")
        np.savez(file, allow_pickle=False, **dict(inputs))
        try:
            one = _ask({"old": True, "model": str(old), "layers": True}, list(inputs), [file])
            new = {"old": False, "model": str(bundle), "component": component, "layers": True}
            two = _ask(new, list(inputs), [file])
        except _NotRunError:
            return None
    old_names = {change.new_path: change.old_path for change in plan.layers}
    for name in (name for name in two if name.startswith("layer/")):
        layer, _, number = name.removeprefix("layer/").rpartition("/")
        other = one.get(f"layer/{old_names.get(layer, layer)}/{number}")
        if other is not None and not _distance(two[name], other) <= DIVERGED:
            return layer
    return None


def _distance(one: Array, two: Array) -> float:
    if one.shape != two.shape or one.dtype.kind not in "fiu":
        return 0.0 if np.array_equal(one, two) else np.inf
    wide = two.astype(np.float64)
    norm = float(np.linalg.norm(wide)) or 1.0
    return float(np.linalg.norm(one.astype(np.float64) - wide)) / norm


# Inputs


def _inputs(
    ports: Sequence[Port], topology: Mapping[str, Any], words: Any, folder: Path
) -> list[Path]:
    """Files with inputs, one for each size of unknown dimensions; raises `ValueError`."""
    if not ports:
        raise ValueError("its inputs are not known")
    sizes = SIZES if any(None in (port.shape or ())[1:] for port in ports) else SIZES[:1]
    limits = _indices(topology)
    files = []
    for size in sizes:
        fixed = [replace(port, shape=_sized(port.shape, size)) for port in ports]
        drawn = drawing.draw(fixed, SEED, words)
        random = np.random.default_rng(SEED)
        for port in fixed:
            if port.name in limits and port.dtype.startswith("float"):
                whole = random.integers(0, limits[port.name], drawn[port.name].shape)
                drawn[port.name] = whole.astype(drawn[port.name].dtype)
        files.append(folder / f"inputs_{size}.npz")
        np.savez(files[-1], allow_pickle=False, **drawn)
    return files


def _sized(shape: Any, size: int) -> Any:
    """A shape with `size` for what is unknown; one row is enough where rows are long."""
    if shape is None:
        return None
    rows = 1 if size > SIZES[0] else None
    return tuple(dim or (size if at else rows) for at, dim in enumerate(shape))


def _indices(topology: Mapping[str, Any]) -> dict[str, int]:
    """Inputs that an Embedding takes, by the number of rows that it has."""
    by_name = {layer["name"]: layer for layer in topology.get("layers", ())}
    limits: dict[str, int] = {}
    for node in topology.get("nodes", ()):
        layer = by_name[node["layer"]]
        if layer.get("form"):
            inner = _indices(layer)
            found = [inner.get(tensor["layer"]) for tensor in layer["inputs"]]
        else:
            rows = layer["config"].get("input_dim") if layer.get("class") == "Embedding" else None
            found = [rows] * len(node["inputs"])
        for tensor, rows in zip(node["inputs"], found, strict=False):
            if isinstance(rows, int):
                limits[tensor["layer"]] = min(rows, limits.get(tensor["layer"], rows))
    return limits


def _stored(file: Path) -> dict[str, Array]:
    with np.load(file, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def _ask(request: Mapping[str, Any], names: Sequence[str], files: Sequence[Path]) -> dict[str, Any]:
    """What a `legacy_process` answers; raises `_NotRunError`."""
    with tempfile.TemporaryDirectory(prefix="modelbundle") as folder:
        asked, target = Path(folder, "request.json"), Path(folder, "answer.npz")
        full = {"layers": False, **request, "names": names, "inputs": list(map(str, files))}
        asked.write_text(json.dumps(full), "utf-8")
        command = [
            sys.executable,
            "-m",
            "modelbundle.keras.legacy_process",
            str(asked),
            str(target),
        ]
        try:
            ended = subprocess.run(
                command, env=_environment(), capture_output=True, timeout=DEADLINE_SECONDS,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise _NotRunError(f"no answer in {DEADLINE_SECONDS:.0f} s") from None
        if ended.returncode:
            last = ended.stderr.decode(errors="replace").strip().splitlines()[-1:]
            raise _NotRunError(f"ended with {ended.returncode}: {''.join(last)}")
        return _stored(target)


def _environment() -> dict[str, str]:
    here = str(Path(__file__).parents[2])
    known = os.environ.get("PYTHONPATH")
    path = f"{here}{os.pathsep}{known}" if known else here
    return {**os.environ, "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": ""}
