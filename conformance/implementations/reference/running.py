"""The operation `run`: a request's inputs through an engine of the reference, outputs to a folder.

    run(Path("bundle.modelbundle"), Path("outputs"), Path("inputs/request.json"))

Engines are imported where something is run, and need what the extras of the package install.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from modelbundle.bundle import open_bundle
from modelbundle.core import dtypes

Json = dict[str, Any]
Arrays = dict[str, np.ndarray[Any, Any]]

NEEDED = {"run-onnx": "onnxruntime", "run-stablehlo": "jax"}
"""Features of cases, and the module without which the reference does not have them."""


def unsupported() -> list[str]:
    """The features that cannot be had here."""
    return [feature for feature, module in NEEDED.items() if find_spec(module) is None]


def run(path: Path, destination: Path, request: Path) -> Json:
    """Run what a request asks for; raises `BundleError` (RUN) where it cannot be."""
    asked = json.loads(request.read_bytes())
    inputs = {row["name"]: _array(row, request.parent) for row in asked["inputs"]}
    outputs, told = compute(path, asked, inputs)
    destination.mkdir()
    rows = [_written(name, array, destination) for name, array in outputs.items()]
    return {**told, "outputs": rows}


def compute(path: Path, asked: Json, inputs: Arrays) -> tuple[Arrays, Json]:
    """The outputs by name, and what ran."""
    from modelbundle import engines

    setup = engines.Setup(asked["device"], asked["precision"])
    with open_bundle(path) as bundle:
        result = engines.run(bundle, inputs, asked["signature"], setup=setup)
    found = result.description
    told = {"engine": found.engine, "version": found.version, "device": found.device,
            "precision": found.precision}  # fmt: skip
    return dict(result.outputs), told


def _array(row: Json, folder: Path) -> np.ndarray[Any, Any]:
    """An input, of numbers: the bytes that its row points to."""
    data = (folder / row["file"]).read_bytes()[row["offset"] :][: row["length"]]
    return np.frombuffer(data, dtypes.to_numpy(row["dtype"])).reshape(row["shape"])


def _written(name: str, array: np.ndarray[Any, Any], folder: Path) -> Json:
    file = f"{len(list(folder.iterdir()))}.bin"
    data = np.ascontiguousarray(array).tobytes()
    (folder / file).write_bytes(data)
    return {"name": name, "dtype": array.dtype.name, "shape": list(array.shape), "file": file,
            "offset": 0, "length": len(data)}  # fmt: skip
