"""Every engine, device and precision here, held against the golden vectors of a bundle.

Each engine runs in processes of its own: two of them, three runs in all, so that bitwise
repeatability is seen within a process and across. An engine that cannot run says why and counts
for nothing; one that fails, or computes something else, fails the check.

    report = load_check(bundle)
    report.ok, report.rows[0].judgements
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from modelbundle.bundle import Bundle
from modelbundle.core.findings import BundleError, UnsupportedError, checks, refuse
from modelbundle.core.manifest import Signature
from modelbundle.engines import ENGINES, Description, Setup, open_session
from modelbundle.engines.running import reason_against
from modelbundle.golden.tolerance import Judgement
from modelbundle.golden.verdict import judge_vector
from modelbundle.rules.golden import CALL, check_vector, signature_of
from modelbundle.sources import golden
from modelbundle.sources.golden import Vector

Outputs = Mapping[str, NDArray[Any]]
Status = Literal["pass", "fail", "consistent", "not run"]

RUNS_BY_PROCESS = (2, 1)
"""Runs in each process."""


@dataclass(frozen=True, slots=True)
class Row:
    """One engine, device and precision against one vector.

    `status` is `consistent` where nothing failed and the vector cannot verify. `repeatable`: equal
    bits in all runs. `seconds`: the least that a run took. `reason` tells why it failed or did not
    run.
    """

    component: str
    signature: str
    vector: str
    grade: str
    engine: str
    device: str
    precision: str
    status: Status
    reason: str = ""
    version: str = ""
    judgements: Mapping[str, Judgement] | None = None
    repeatable: bool | None = None
    seconds: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The row as `schemas/answers/load-check.schema.json` has it."""
        judged = self.judgements or {}
        outputs = [{"name": name, **_plain(asdict(each))} for name, each in judged.items()]
        members = {name: getattr(self, name) for name in self.__slots__ if name != "judgements"}
        return _plain(members) | {"outputs": outputs}


@dataclass(frozen=True, slots=True)
class LoadCheck:
    """The outcome for a bundle."""

    digest: str
    rows: tuple[Row, ...]

    @property
    def ran(self) -> bool:
        """Whether anything ran."""
        return any(row.status != "not run" for row in self.rows)

    @property
    def ok(self) -> bool:
        """Whether something ran, and nothing that ran failed."""
        return self.ran and not any(row.status == "fail" for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        """The report as its schema has it."""
        return {
            "digest": self.digest,
            "ok": self.ok,
            "ran": self.ran,
            "rows": [row.to_json() for row in self.rows],
        }


def load_check(
    bundle: Bundle,
    *,
    engines: Sequence[str] = (),
    devices: Sequence[str] = ("cpu",),
    precisions: Sequence[str] = ("float32",),
) -> LoadCheck:
    """Hold engines against the vectors of `bundle`; all there are, unless `engines` are named.

    Raises `BundleError` (GLD) where the vectors are broken or not of this bundle, and
    `UnsupportedError` (GLD-10) where the bundle has none.
    """
    pairs = list(vectors_of(bundle))
    setups = [Setup(device, precision) for device in devices for precision in precisions]
    rows = [
        row
        for signature, vectors in _by_signature(pairs)
        for engine in engines or ENGINES
        for setup in setups
        for row in _rows(bundle, signature, vectors, engine, setup)
    ]
    return LoadCheck(bundle.digest, tuple(rows))


@checks("GLD-10")
def vectors_of(bundle: Bundle) -> Iterator[tuple[Signature, Vector]]:
    """The vectors of a bundle, each with its signature; raises as `load_check` does."""
    components = [c for c in bundle.manifest.components if c.kind == golden.KIND]
    if not components:
        hint = "make some: modelbundle golden BUNDLE -o NEW"
        error = refuse("GLD-10", "manifest.json#/components", "golden vectors", "none", hint)
        raise UnsupportedError(error.findings)
    for component in components:
        for at, vector in enumerate(golden.decode(bundle.read(component.id), component.id)):
            signature = signature_of(bundle, vector)
            place = f"{component.id}#/vectors/{at}"
            if found := list(check_vector(vector, signature, place)):
                raise BundleError(found)
            if signature is not None:
                yield _as_run(signature), vector


def _as_run(signature: Signature) -> Signature:
    """The signature as engines know it: outputs of a call are not listed."""
    return replace(signature, outputs=()) if signature.name == CALL else signature


def _by_signature(
    pairs: Iterable[tuple[Signature, Vector]],
) -> list[tuple[Signature, list[Vector]]]:
    found: dict[tuple[str, str], tuple[Signature, list[Vector]]] = {}
    for signature, vector in pairs:
        key = (signature.component, signature.name)
        found.setdefault(key, (signature, []))[1].append(vector)
    return list(found.values())


def _rows(
    bundle: Bundle, signature: Signature, vectors: Sequence[Vector], engine: str, setup: Setup
) -> Iterator[Row]:
    """A row for each vector of one signature on one engine."""
    try:
        reason = reason_against(bundle, signature, engine)
        runs = [] if reason else list(_run(bundle, signature, vectors, engine, setup))
    except UnsupportedError as error:  # the device is not here, say: nothing ran
        reason, runs = str(error), []
    except BundleError as error:
        yield from (_row(vector, engine, setup, "fail", str(error)) for vector in vectors)
        return
    if reason:
        yield from (_row(vector, engine, setup, "not run", reason) for vector in vectors)
        return
    for at, vector in enumerate(vectors):
        yield _judged(vector, engine, setup, [run[at] for run in runs])


@dataclass(frozen=True, slots=True)
class _Run:
    outputs: Outputs
    seconds: float
    description: Description


def _run(
    bundle: Bundle, signature: Signature, vectors: Sequence[Vector], engine: str, setup: Setup
) -> Iterator[list[_Run]]:
    """Every run in every process: one item a vector."""
    for count in RUNS_BY_PROCESS:
        with open_session(bundle, signature, engine, setup) as session:
            for _ in range(count):
                results = [session.run(vector.inputs) for vector in vectors]
                yield [_Run(r.outputs, r.run_seconds, r.description) for r in results]


def _judged(vector: Vector, engine: str, setup: Setup, runs: Sequence[_Run]) -> Row:
    first = runs[0]
    judgements = judge_vector(vector, first.outputs, setup.precision)
    outcomes = {each.outcome for each in judgements.values()}
    reasons = [f"{name}: {j.reason}" for name, j in judgements.items() if j.outcome == "fail"]
    consistent = vector.grade == "consistent" or "unjudged" in outcomes
    status: Status = "fail" if "fail" in outcomes else "consistent" if consistent else "pass"
    return replace(
        _row(vector, engine, setup, status, "; ".join(reasons)),
        version=first.description.version,
        judgements=judgements,
        repeatable=all(_same(first.outputs, run.outputs) for run in runs),
        seconds=min(run.seconds for run in runs),
    )


def _row(vector: Vector, engine: str, setup: Setup, status: Status, reason: str) -> Row:
    return Row(
        vector.component,
        vector.signature,
        vector.name,
        vector.grade,
        engine,
        setup.device,
        setup.precision,
        status,
        reason,
    )


def _same(one: Outputs, two: Outputs) -> bool:
    """Whether all outputs have the same bits."""
    return one.keys() == two.keys() and all(_bits(one[name]) == _bits(two[name]) for name in one)


def _bits(array: NDArray[Any]) -> object:
    return array.tolist() if array.dtype == object else array.tobytes()


def _plain(members: Mapping[str, Any]) -> dict[str, Any]:
    """Members that are there, numbers that JSON has no word for as texts."""
    return {
        name: str(value) if isinstance(value, float) and not np.isfinite(value) else value
        for name, value in members.items()
        if value is not None and value != ""
    }
