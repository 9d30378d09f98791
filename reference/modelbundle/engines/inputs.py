"""Inputs held to a signature before anything starts (rule RUN-02).

checked = check_inputs(signature, {"x": np.zeros((1, 4), np.float32)})
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbundle.core import dtypes
from modelbundle.core.findings import Finding, checks, clip, settle
from modelbundle.core.manifest import Port, Signature
from modelbundle.engines.engine import Array, Arrays, place

_TEXT_KINDS = "SUO"


def check_inputs(signature: Signature, inputs: Mapping[str, Any]) -> dict[str, Array]:
    """`inputs` as arrays; raises `BundleError` (RUN-02) where they do not fit the signature.

    Nothing is cast, but that numpy's fixed-width texts are given as `string`, which numpy cannot
    hold otherwise without pickling.
    """
    arrays = {name: np.asarray(value) for name, value in inputs.items()}
    for port in signature.inputs:
        if port.dtype == dtypes.STRING and port.name in arrays:
            arrays[port.name] = _as_strings(arrays[port.name])
    settle(input_findings(signature, arrays))
    return {port.name: arrays[port.name] for port in signature.inputs}


@checks("RUN-02")
def input_findings(signature: Signature, arrays: Arrays) -> Iterator[Finding]:
    """Findings where `arrays` are not what the signature takes."""
    where = place(signature)
    ports = {port.name: port for port in signature.inputs}
    for name in sorted(ports.keys() - arrays.keys()):
        yield Finding("RUN-02", where, f"an input {clip(name)}", "none")
    for name in sorted(arrays.keys() - ports.keys()):
        expected = f"inputs {clip(', '.join(sorted(ports)))}"
        yield Finding("RUN-02", where, expected, clip(name))
    symbols: dict[str, int] = {}
    for name, port in ((name, port) for name, port in ports.items() if name in arrays):
        array = arrays[name]
        found = f"{dtype_of(array)} {list(array.shape)}"
        if dtype_of(array) != port.dtype or not fits(array.shape, port, symbols):
            known = ", ".join(f"{symbol} is {size}" for symbol, size in symbols.items())
            expected = f"{clip(name)}: {told(port)}" + (f" ({known})" if known else "")
            yield Finding("RUN-02", where, expected, found, "nothing is cast or reshaped")


def told(port: Port) -> str:
    """Dtype and shape of a port for people."""
    if port.shape is None:
        return f"{port.dtype} of any shape"
    return f"{port.dtype} [{', '.join('?' if dim is None else str(dim) for dim in port.shape)}]"


def fits(shape: tuple[int, ...], port: Port, symbols: dict[str, int]) -> bool:
    """Whether `shape` is one that the port takes; sizes of symbols are noted in `symbols`."""
    if port.shape is None:
        return True
    return len(shape) == len(port.shape) and all(
        wanted is None
        or size == (symbols.setdefault(wanted, size) if isinstance(wanted, str) else wanted)
        for size, wanted in zip(shape, port.shape, strict=True)
    )


def dtype_of(array: Array) -> str:
    """The dtype of an array as the standard names it, or as numpy does."""
    if array.dtype == object and all(isinstance(item, bytes) for item in array.flat):
        return dtypes.STRING
    try:
        return dtypes.from_numpy(array.dtype)
    except KeyError:
        return str(array.dtype)


def _as_strings(array: Array) -> Array:
    """Texts as an array of `bytes` objects; anything else as it is."""
    if array.dtype.kind not in _TEXT_KINDS:
        return array
    items = [item.encode() if isinstance(item, str) else item for item in array.ravel().tolist()]
    made: NDArray[np.object_] = np.empty(len(items), object)
    made[:] = items
    return made.reshape(array.shape)
