"""Golden vectors made for a bundle: one for each signature that can be computed.

A Keras model is computed in float64 (`reference64`), under the signature `call`. Another signature
with the same ports takes its outputs over where an engine runs it within their tolerance; where
there is no such model, an engine's own outputs are kept, and the grade says so.

    digest = add_golden("net.modelbundle", "checked.modelbundle", {"x": x}).digest
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from modelbundle.bundle import Bundle, open_bundle
from modelbundle.core.blobs import BytesBlob
from modelbundle.core.findings import BundleError, clip
from modelbundle.core.manifest import Component, Port, Signature
from modelbundle.golden import inputs as drawing
from modelbundle.golden.noise import RUNS
from modelbundle.golden.reference64 import NoReferenceError, Reference64, measure
from modelbundle.golden.verdict import judge_vector
from modelbundle.rules.golden import CALL, called
from modelbundle.sources import golden
from modelbundle.sources.artifact import Artifact, Tree
from modelbundle.sources.golden import Output, Reference, Vector

Array = NDArray[Any]
Inputs = Mapping[str, Array]
_Value = TypeVar("_Value")

ROOT = "vectors.golden"
GIVEN, EXACT = "given", "exact"
"""Names of vectors: of inputs that somebody gave, and of exact ones."""


@dataclass(frozen=True)
class Made:
    """Vectors, and what to tell of what is missing."""

    vectors: tuple[Vector, ...] = ()
    notes: tuple[str, ...] = ()

    def __add__(self, other: Made) -> Made:
        return Made(self.vectors + other.vectors, self.notes + other.notes)

    def artifact(self, root: str = ROOT) -> Artifact:
        """The artifact that a bundle is extended by; raises `ValueError` without vectors."""
        if not self.vectors:
            raise ValueError("no golden vectors: " + "; ".join(self.notes or ("nothing to run",)))
        tree = Tree(root, {root: BytesBlob(golden.encode(self.vectors))})
        return golden.read(tree)


@dataclass(frozen=True)
class Added:
    """A bundle with golden vectors: its digest, and what was made."""

    digest: str
    made: Made = field(repr=False)


def add_golden(
    bundle: str | Path,
    destination: str | Path,
    inputs: Inputs | None = None,
    *,
    seed: int = 0,
    overwrite: bool = False,
) -> Added:
    """Write `bundle` with golden vectors to `destination`; it has to have none yet.

    `inputs` are by name of port; without them, they are drawn by `seed`. Raises `ValueError` where
    no signature can be computed, and as `packing.extend.extend` does.
    """
    from modelbundle.packing.extend import extend

    with open_bundle(bundle) as opened:
        made = make(opened, inputs, seed=seed)
        digest = extend(opened, [made.artifact()], destination, overwrite=overwrite)
    return Added(digest, made)


def golden_artifact(
    bundle: Bundle, inputs: Inputs | None = None, *, seed: int = 0, root: str = ROOT
) -> Artifact:
    """The artifact with golden vectors for an open bundle; as `add_golden`."""
    return make(bundle, inputs, seed=seed).artifact(root)


def make(bundle: Bundle, inputs: Inputs | None = None, *, seed: int = 0) -> Made:
    """Golden vectors for all that can be computed; `notes` tell what could not be, and why."""
    configs = [c for c in bundle.manifest.components if c.kind == "keras.config"]
    keras = sum((of_keras(bundle, each, inputs, seed) for each in configs), Made())
    graphs = bundle.manifest.signatures
    return sum((_of_graph(bundle, each, inputs, seed, keras.vectors) for each in graphs), keras)


def of_keras(bundle: Bundle, component: Component, inputs: Inputs | None, seed: int) -> Made:
    """Vectors of a Keras model: as given or drawn, and exact ones where its weights allow it.

    `component` is its config.
    """
    where, ports = component.id, called(bundle, component)
    try:
        name, given = _chosen(bundle, ports, inputs, seed)
        whole = _whole(bundle, ports, seed)
        model = str(bundle.location), where
        found = measure(*model, list(given.values()), whole=list(whole.values()), seed=seed)
        made = Made((_vector(where, name, given, found, seed),), found.notes)
        if not found.whole_exact:
            return made
        exact = measure(*model, list(whole.values()), seed=seed, noise=False)
        return made + Made((_vector(where, EXACT, whole, exact, seed),), exact.notes)
    except (ValueError, NoReferenceError) as error:
        return Made(notes=(f"{where}: {error}",))


def _chosen(
    bundle: Bundle, ports: Sequence[Port], inputs: Inputs | None, seed: int
) -> tuple[str, dict[str, Array]]:
    """The inputs as given, or drawn, and what they are called; raises `ValueError`."""
    if inputs is not None:
        return GIVEN, fitted(ports, inputs)
    if not ports:
        raise ValueError("its inputs are not known: give some")
    return "drawn", drawing.draw(ports, seed, drawing.vocabulary_of(bundle))


def _whole(bundle: Bundle, ports: Sequence[Port], seed: int) -> dict[str, Array]:
    """Small integers as floats, for a model that takes nothing but floats; else nothing."""
    if not ports or any(port.dtype != "float32" or port.shape is None for port in ports):
        return {}
    return drawing.draw(ports, seed, drawing.vocabulary_of(bundle), whole=True)


def fitted(ports: Sequence[Port], inputs: Inputs) -> dict[str, Array]:
    """`inputs` in the order of ports, a single array under any name; raises `ValueError`.

    Without ports they are taken as they come.
    """
    if not ports:
        return dict(inputs)
    if len(ports) == 1 == len(inputs):
        inputs = {ports[0].name: next(iter(inputs.values()))}
    if inputs.keys() != {port.name for port in ports}:
        names = ", ".join(port.name for port in ports)
        raise ValueError(f"inputs {', '.join(sorted(inputs))} where {names} are due")
    for port in ports:
        found = golden.dtype_of(np.asarray(inputs[port.name]))
        if found != port.dtype:
            raise ValueError(f"input {port.name} is {found}, not {port.dtype}; nothing is cast")
    return {port.name: np.asarray(inputs[port.name]) for port in ports}


def _vector(component: str, name: str, given: Inputs, found: Reference64, seed: int) -> Vector:
    exact = name == EXACT
    return Vector(
        component,
        CALL,
        name,
        given,
        {f"output_{at}": output for at, output in enumerate(found.outputs)},
        _exact_grade(found) if exact else found.grade,
        found.references,
        found.agreement,
        exact,
        None if name == GIVEN else seed,
        (RUNS, seed) if found.traced else None,
        found.unmodelled,
    )


def _exact_grade(found: Reference64) -> golden.Grade:
    """Exact outputs need no channels, but the routes have to agree to the last bit."""
    return "verified" if found.agreement == 64 else "consistent"


def _of_graph(
    bundle: Bundle,
    signature: Signature,
    inputs: Inputs | None,
    seed: int,
    references: Sequence[Vector],
) -> Made:
    """Vectors of a signature that an engine runs: taken over from a model, or its own outputs."""
    where = f"{signature.component}#{signature.name}"
    adopted: tuple[Vector, ...] = ()
    for vector in references:
        moved = _moved(vector, signature)
        result = moved and _run(bundle, signature, moved.inputs)
        if moved and isinstance(result, Mapping) and _passes(moved, result):
            adopted += (moved,)
    if adopted:
        return Made(adopted)
    try:
        name, given = _chosen(bundle, signature.inputs, inputs, seed)
    except ValueError as error:
        return Made(notes=(f"{where}: {error}",))
    outputs = _run(bundle, signature, given)
    if isinstance(outputs, str):
        return Made(notes=(f"{where}: {outputs}",))
    vector = _consistent(signature, name, given, outputs, None if name == GIVEN else seed)
    return Made((vector,), (f"{where}: consistent only, since no float64 route computes it",))


def _moved(vector: Vector, signature: Signature) -> Vector | None:
    """A model's vector under the port names of another signature with as many ports."""
    if len(vector.inputs) != len(signature.inputs):
        return None
    if len(vector.outputs) != len(signature.outputs):
        return None
    dtypes = [golden.dtype_of(array) for array in vector.inputs.values()]
    if dtypes != [port.dtype for port in signature.inputs]:
        return None
    return replace(
        vector,
        component=signature.component,
        signature=signature.name,
        inputs=_renamed(vector.inputs, signature.inputs),
        outputs=_renamed(vector.outputs, signature.outputs),
    )


def _renamed(values: Mapping[str, _Value], ports: Sequence[Port]) -> dict[str, _Value]:
    names = (port.name for port in ports)
    return dict(zip(names, values.values(), strict=True))


def _passes(vector: Vector, outputs: Inputs) -> bool:
    return all(each.passed for each in judge_vector(vector, outputs, "float32").values())


def _run(bundle: Bundle, signature: Signature, given: Inputs) -> dict[str, Array] | str:
    """Outputs of the first engine that runs the signature, with its name; or why none does."""
    from modelbundle.engines import ENGINES, open_session
    from modelbundle.engines.running import reason_against

    reasons = []
    for name in ENGINES:
        try:
            reason = reason_against(bundle, signature, name)
            if reason is None:
                with open_session(bundle, signature, name) as session:
                    return dict(session.run(given).outputs) | {_RAN: np.array(name)}
        except (BundleError, ImportError) as error:
            reason = str(error)
        reasons.append(f"{name}: {clip(reason)}")
    return "; ".join(reasons)


_RAN = "\0engine"


def _consistent(
    signature: Signature, name: str, given: Inputs, found: Inputs, seed: int | None
) -> Vector:
    """A vector of what an engine computed in its own precision."""
    reals = {"float16", "bfloat16", "float32", "float64"}
    outputs = {}
    for port in signature.outputs:
        array = found[port.name]
        outputs[port.name] = Output(array.astype(np.float64) if port.dtype in reals else array)
    reference = Reference(str(found[_RAN]), "", "float32")
    return Vector(
        signature.component, signature.name, name, given, outputs, "consistent", (reference,),
        seed=seed,
    )  # fmt: skip
