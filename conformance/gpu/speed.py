"""How fast engines start and run: seconds to the first output, latency, throughput.

list(measure(path, "stablehlo", Setup("gpu:0"), repeats=50))
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from modelbundle.bundle import Bundle, open_bundle
from modelbundle.core import dtypes
from modelbundle.core.findings import BundleError
from modelbundle.core.manifest import Port, Signature
from modelbundle.engines import Setup, open_session
from modelbundle.engines.running import reason_against
from modelbundle.engines.signatures import signatures

BATCHES = (1, 64)
"""Where a graph takes any; a graph of fixed shape runs with its own."""
_TOKENS = 16


def measure(path: Path, engine: str, setup: Setup, repeats: int) -> Iterator[dict[str, Any]]:
    """A row for each signature that `engine` can run, and each batch.

    `cold_seconds` is from nothing to the first output: process, imports, weights, compilation.
    `latency_ms` is the median of a run in the process, inputs and outputs in its memory on the
    host; `rows_per_second` follows from it.
    """
    with open_bundle(path) as bundle:
        for signature in signatures(bundle):
            if reason_against(bundle, signature, engine) is None:
                yield from _of_signature(bundle, signature, engine, setup, repeats)


def _of_signature(
    bundle: Bundle, signature: Signature, engine: str, setup: Setup, repeats: int
) -> Iterator[dict[str, Any]]:
    for batch in BATCHES if _is_open(signature) else (None,):
        inputs = {port.name: draw(port, batch) for port in signature.inputs}
        rows = next(iter(inputs.values())).shape[0]
        about = {
            "bundle": Path(bundle.location).name,
            "component": signature.component,
            "engine": engine,
            "precision": setup.precision,
            "batch": rows,
        }
        try:
            yield about | _timed(bundle, signature, engine, setup, inputs, repeats)
        except BundleError as error:
            yield about | {"error": str(error)[:400]}


def _timed(
    bundle: Bundle,
    signature: Signature,
    engine: str,
    setup: Setup,
    inputs: dict[str, Any],
    repeats: int,
) -> dict[str, Any]:
    started = time.perf_counter()
    with open_session(bundle, signature, engine, setup) as session:
        session.run(inputs)
        cold = time.perf_counter() - started
        results = [session.run(inputs) for _ in range(repeats)]
    seconds = [result.run_seconds for result in results]
    rows = next(iter(inputs.values())).shape[0]
    return {
        "device": results[-1].description.device,
        "version": results[-1].description.version,
        "prepare_seconds": session.prepare_seconds,
        "cold_seconds": cold,
        "latency_ms": 1000 * statistics.median(seconds),
        "rows_per_second": rows / statistics.median(seconds),
        "tensorflow_loaded": "tensorflow" in results[-1].modules,
    }


def _is_open(signature: Signature) -> bool:
    return any(not isinstance(dim, int) for port in signature.inputs for dim in port.shape or ())


def draw(port: Port, batch: int | None) -> Any:
    """Values for a port; integers are small, as ids are."""
    shape = [dim if isinstance(dim, int) else batch or 1 for dim in port.shape or ()]
    random, dtype = np.random.default_rng(0), dtypes.to_numpy(port.dtype)
    if np.issubdtype(dtype, np.floating):
        return random.normal(size=shape).astype(dtype)
    return random.integers(0, _TOKENS, shape).astype(dtype)
