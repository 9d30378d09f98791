"""Rules about golden vectors that take the bundle to check: what they say of a signature.

Each vector is of a signature of the manifest, its inputs are ones that the signature takes and its
outputs ones that it gives.

    findings = list(check(bundle, component))
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from modelbundle.bundle import Bundle
from modelbundle.core import dtypes
from modelbundle.core.findings import Finding, checks, clip
from modelbundle.core.manifest import Component, Port, Signature
from modelbundle.sources import golden
from modelbundle.sources.golden import Array, Vector

CALL = "call"
"""Name of the signature that a Keras config has without the manifest stating it."""

_REALS = frozenset({"float16", "bfloat16", "float32", "float64"})
"""Dtypes of ports whose golden outputs are float64."""

_Fault = tuple[str, str]


def check(bundle: Bundle, component: Component) -> Iterator[Finding]:
    """Findings about the vectors of `component`, whose file is sound by itself."""
    blob = bundle.file(component.id)
    for at, vector in enumerate(golden.decode(blob.read(0, blob.size), component.id)):
        signature = signature_of(bundle, vector)
        yield from check_vector(vector, signature, f"{component.id}#/vectors/{at}")


def signature_of(bundle: Bundle, vector: Vector) -> Signature | None:
    """The signature that a vector is of: one of the manifest, or the call of a Keras config."""
    for signature in bundle.manifest.signatures:
        if (signature.component, signature.name) == (vector.component, vector.signature):
            return signature
    components = {component.id: component for component in bundle.manifest.components}
    component = components.get(vector.component)
    if vector.signature != CALL or component is None or component.kind != "keras.config":
        return None
    outputs = enumerate(vector.outputs.values())
    named = (Port(f"output_{at}", golden.dtype_of(each.array), None) for at, each in outputs)
    inputs = called(bundle, component)
    if not inputs:
        found = vector.inputs.items()
        inputs = tuple(Port(name, golden.dtype_of(array), None) for name, array in found)
    return Signature(CALL, component.id, inputs, tuple(named))


def called(bundle: Bundle, component: Component) -> tuple[Port, ...]:
    """What the model of a Keras config takes, where its topology tells; else nothing."""
    path = next((path for path in component.files if path.endswith("/topology.json")), None)
    record = {} if path is None else json.loads(bundle.read(path))
    layers = {layer["name"]: layer for layer in record.get("layers", ())}
    return tuple(_input(layers[tensor["layer"]]) for tensor in record.get("inputs", ()))


def _input(layer: Mapping[str, Any]) -> Port:
    stated = layer.get("dtype", layer.get("config", {}).get("dtype"))
    dtype = stated if isinstance(stated, str) and dtypes.is_known(stated) else "float32"
    dims = layer.get("batch_shape")
    return Port(layer["name"], dtype, None if dims is None else tuple(dims))


@checks("GLD-06")
def check_vector(vector: Vector, signature: Signature | None, place: str) -> Iterator[Finding]:
    """Findings about one vector of `signature`, which is None where the bundle has none such."""
    if signature is None:
        found = clip(f"{vector.signature} of {vector.component}")
        hint = "the component that the vector is about is not in the bundle, or states no signature"
        yield Finding("GLD-06", place, "a signature that the manifest lists", found, hint)
        return
    symbols: dict[str, int] = {}
    given = _faults(vector.inputs, _wanted(signature.inputs), symbols)
    yield from _check_inputs(given, f"{place}/inputs")
    outputs = {name: output.array for name, output in vector.outputs.items()}
    made = _faults(outputs, _wanted(signature.outputs, reals="float64"), symbols)
    yield from _check_outputs(made, f"{place}/outputs")


@checks("GLD-07")
def _check_inputs(faults: Iterable[_Fault], place: str) -> Iterator[Finding]:
    """Findings where inputs are not what the signature takes, in its order."""
    return (Finding("GLD-07", place, expected, found) for expected, found in faults)


@checks("GLD-08")
def _check_outputs(faults: Iterable[_Fault], place: str) -> Iterator[Finding]:
    """Findings where outputs are not what the signature gives, reals as float64."""
    return (Finding("GLD-08", place, expected, found) for expected, found in faults)


def _wanted(ports: Iterable[Port], reals: str | None = None) -> list[Port]:
    """The ports, those of a real dtype with the dtype `reals` where it is given."""
    return [replace(p, dtype=reals) if reals and p.dtype in _REALS else p for p in ports]


def _faults(
    arrays: Mapping[str, Array], ports: Sequence[Port], symbols: dict[str, int]
) -> Iterator[_Fault]:
    """Where arrays are not those of the ports: what was expected, what was found."""
    if (names := [port.name for port in ports]) != list(arrays):
        yield clip(", ".join(names) or "nothing"), clip(", ".join(arrays) or "nothing")
    for port in ports:
        array = arrays.get(port.name)
        if array is not None and not _is_of(array, port, symbols):
            known = "".join(f"; {name} is {size}" for name, size in symbols.items())
            expected = f"{port.name}: {port.dtype} {port.shape or 'of any shape'}{known}"
            yield clip(expected), f"{golden.dtype_of(array)} {list(array.shape)}"


def _is_of(array: Array, port: Port, symbols: dict[str, int]) -> bool:
    if golden.dtype_of(array) != port.dtype:
        return False
    return port.shape is None or _fits(array.shape, port.shape, symbols)


def _fits(
    shape: tuple[int, ...], wanted: tuple[int | str | None, ...], symbols: dict[str, int]
) -> bool:
    """Whether `shape` is one of the port's; a symbol keeps the size that it first had."""
    if len(shape) != len(wanted):
        return False
    for size, dim in zip(shape, wanted, strict=True):
        known = symbols.setdefault(dim, size) if isinstance(dim, str) else dim
        if known is not None and known != size:
            return False
    return True
