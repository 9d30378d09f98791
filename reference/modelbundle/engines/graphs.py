"""Adding portable graphs to a bundle: lower signatures, bind their arguments, write a new bundle.

added = add_graph("net.modelbundle", "portable.modelbundle", batches=[1, 8])
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelbundle.bundle import Bundle, open_bundle
from modelbundle.core import dtypes
from modelbundle.core.blobs import BytesBlob
from modelbundle.core.findings import BundleError, Finding, clip
from modelbundle.core.manifest import Port, Signature
from modelbundle.engines import lowering, table
from modelbundle.engines.engine import Array, Arrays, component_of, place
from modelbundle.engines.process import EngineProcess, RunLimits
from modelbundle.engines.running import DEFAULT_SIGNATURE, named, no_engine, request_for
from modelbundle.engines.saved_model import KIND
from modelbundle.engines.signatures import is_call, signatures
from modelbundle.keras.graph import SUFFIX
from modelbundle.packing.extend import Binding, extend
from modelbundle.sources import stablehlo
from modelbundle.sources.artifact import Artifact, Tree
from modelbundle.sources.safetensors_layout import Slot, lay_out
from modelbundle.storage.scan import Progress

_TENSORFLOW = ("tensorflow", "modelbundle.engines.lowering:lower")
_KERAS = ("keras-jax", "modelbundle.engines.keras_lowering:lower")
"""Who lowers: an engine, and the function that it is asked for."""
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Added:
    """What was added: the new bundle's digest, ids of the graphs, and why others were not."""

    digest: str
    graphs: tuple[str, ...]
    refused: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Lowered:
    artifact: Artifact
    bindings: tuple[Binding, ...]


def add_graph(
    bundle: Bundle | str | Path,
    destination: str | Path,
    *,
    signature: str | None = None,
    batches: Sequence[int] = (1,),
    inputs: Mapping[str, Array] | None = None,
    limits: RunLimits | None = None,
    directory: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Added:
    """Write `bundle` with portable graphs of its functions added to `destination`.

    TensorFlow lowers signatures of SavedModels to static shapes: one graph for each of `batches`,
    which are sizes of the first dimension where it is not known, and one for the shapes of
    `inputs`. Keras lowers its models on JAX, with a symbol for what is not known. Without
    `signature`, all functions are lowered that can be.

    Raises `BundleError` (RUN-09) where none can be.
    """
    if not isinstance(bundle, Bundle):
        with open_bundle(bundle) as opened:
            return add_graph(
                opened,
                destination,
                signature=signature,
                batches=batches,
                inputs=inputs,
                limits=limits,
                directory=directory,
                overwrite=overwrite,
                progress=progress,
            )
    made: dict[str, _Lowered] = {}
    refused: list[Finding] = []
    for each in _candidates(bundle, signature):
        try:
            made |= _graphs_of(bundle, each, batches, inputs, limits)
        except BundleError as error:
            refused += error.findings
    if not made:
        raise BundleError(refused)
    digest = _extended(
        bundle, made, destination, directory=directory, overwrite=overwrite, progress=progress
    )
    return Added(digest, tuple(made), tuple(refused))


def add_portable(location: str | Path, *, directory: bool = False) -> Added:
    """Give each model of the bundle at `location` a portable graph, in place where it can have one.

    A Keras model is lowered for any batch, where it can be made again on JAX; else
    `serving_default` of its SavedModel for one row. `refused` has what was tried for the models
    that got none.
    """
    made: dict[str, _Lowered] = {}
    refused: list[Finding] = []
    with open_bundle(location) as bundle:
        for candidates in _by_model(bundle).values():
            graphs, findings = _first_of(bundle, candidates)
            made |= graphs
            refused += [] if graphs else findings
        digest = bundle.digest
        if made:
            digest = _extended(bundle, made, location, directory=directory, overwrite=True)
    return Added(digest, tuple(made), tuple(refused))


def _by_model(bundle: Bundle) -> dict[str, list[Signature]]:
    """What can be lowered of each model, what serves any batch first."""
    found: dict[str, list[Signature]] = {}
    for each in signatures(bundle):
        call = is_call(bundle, each)
        saved = component_of(bundle, each).kind == KIND and each.name == DEFAULT_SIGNATURE
        if call or saved:
            root = _root(bundle, each).removesuffix(SUFFIX)
            found.setdefault(root, []).insert(0 if call else 1, each)
    return found


def _first_of(
    bundle: Bundle, candidates: Sequence[Signature]
) -> tuple[dict[str, _Lowered], list[Finding]]:
    """The graphs of the first that has some, and why those before it have none."""
    findings: list[Finding] = []
    for each in candidates:
        try:
            return _graphs_of(bundle, each, (1,), None, None), findings
        except BundleError as error:
            findings += error.findings
    return {}, findings


def _extended(
    bundle: Bundle, made: Mapping[str, _Lowered], destination: str | Path, **options: Any
) -> str:
    """Write the bundle with the graphs added; its digest."""
    bindings = [binding for lowered in made.values() for binding in lowered.bindings]
    artifacts = [lowered.artifact for lowered in made.values()]
    return extend(bundle, artifacts, destination, bindings=bindings, **options)


def _candidates(bundle: Bundle, name: str | None) -> list[Signature]:
    """Functions of SavedModels and Keras models; raises `BundleError` (RUN-01, RUN-09) where
    there are none."""
    found = signatures(bundle) if name is None else tuple(named(bundle, name))
    lowered = [
        each for each in found if component_of(bundle, each).kind == KIND or is_call(bundle, each)
    ]
    if not lowered:
        named(bundle, name)
        raise lowering.not_lowered(found[0], "neither a SavedModel nor a Keras model that has it")
    return lowered


def _graphs_of(
    bundle: Bundle,
    signature: Signature,
    batches: Sequence[int],
    inputs: Mapping[str, Array] | None,
    limits: RunLimits | None,
) -> dict[str, _Lowered]:
    """The graphs of one signature by id, for each of the shapes that are asked for."""
    stem = f"{_root(bundle, signature)}.{_UNSAFE.sub('_', signature.name)}"
    made = {}
    implied = is_call(bundle, signature)
    engine, function = _KERAS if implied else _TENSORFLOW
    if (reason := table.load(engine).available()) is not None:
        raise no_engine([signature], [f"{engine}: {reason}"])
    wanted = [("", {})] if implied else list(_shapes(signature, batches, inputs))
    with EngineProcess(engine, place(signature), limits) as process:
        for label, shapes in wanted:
            request = {"call": "lower", "function": function, "arguments": {"shapes": shapes}}
            answer, arrays = process.ask({**request, **request_for(bundle, signature)})
            name = f"{stem}{label}.stablehlo"
            made[name] = _artifact(name, answer, arrays)
    return made


def _root(bundle: Bundle, signature: Signature) -> str:
    """The id of the source that the component of a signature belongs to."""
    by_id = {component.id: component for component in bundle.manifest.components}
    found = by_id[signature.component]
    while found.derived_from is not None:
        found = by_id[found.derived_from]
    return found.id


def _shapes(
    signature: Signature, batches: Sequence[int], inputs: Mapping[str, Array] | None
) -> Iterator[tuple[str, dict[str, list[int]]]]:
    """Shapes of all inputs, each with what tells the graph from others; none twice."""
    seen: list[dict[str, list[int]]] = []
    for batch in batches:
        shapes = {port.name: _shape(port, batch, signature) for port in signature.inputs}
        if shapes not in seen:
            seen.append(shapes)
            yield (f".b{batch}" if _has_batch(signature) else "", shapes)
    if inputs is not None and {port.name for port in signature.inputs} == inputs.keys():
        shapes = {name: list(array.shape) for name, array in inputs.items()}
        if shapes not in seen:
            yield ".like-" + "-".join("x".join(map(str, shapes[n])) for n in sorted(shapes)), shapes


def _has_batch(signature: Signature) -> bool:
    return any(not isinstance(dim, int) for port in signature.inputs for dim in port.shape or ())


def _shape(port: Port, batch: int, signature: Signature) -> list[int]:
    """The shape of a port with `batch` for its first dimension where it is not known."""
    dims = list(port.shape or ())
    if dims and not isinstance(dims[0], int):
        dims[0] = batch
    unknown = [at for at, dim in enumerate(dims) if not isinstance(dim, int)]
    if port.shape is None or unknown:
        found = f"{clip(port.name)}, whose shape is not known"
        raise lowering.not_lowered(signature, found, "give inputs of the shape that is wanted")
    return [dim for dim in dims if isinstance(dim, int)]


def _artifact(name: str, answer: Mapping[str, Any], arrays: Arrays) -> _Lowered:
    """The files of a graph, read as any source is."""
    constants = {key: array for key, array in arrays.items() if key != "artifact"}
    text = json.dumps(answer["graph"], indent=1, ensure_ascii=False) + "\n"
    files = {
        name: BytesBlob(arrays["artifact"].tobytes()),
        name + stablehlo.ARGUMENTS: BytesBlob(text.encode()),
    }
    if constants:
        files[name + stablehlo.CONSTANTS] = BytesBlob(_safetensors(constants))
    artifact = stablehlo.read(Tree(name, files))
    bindings = (Binding(name, stablehlo.KIND, row, row) for row in answer["bindings"])
    return _Lowered(artifact, tuple(bindings))


def _safetensors(arrays: Arrays) -> bytes:
    """A safetensors file of `arrays`."""
    slots = [
        Slot(name, dtypes.from_numpy(array.dtype), array.shape, array.nbytes)
        for name, array in arrays.items()
    ]
    layout = lay_out(slots)
    return layout.header + b"".join(arrays[slot.name].tobytes() for slot in layout.slots)
