"""Small inputs for the tests of `inspect`, `diff` and the command line; schemas of answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import jsonschema
import numpy as np
import referencing
from safetensors.numpy import save_file

import modelbundle as mb

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"

Arrays = Mapping[str, np.ndarray[Any, Any]]


@cache
def _registry() -> referencing.Registry[Any]:
    schemas = [json.loads(path.read_text("utf-8")) for path in SCHEMAS.rglob("*.schema.json")]
    return referencing.Registry().with_contents((schema["$id"], schema) for schema in schemas)


def check_answer(name: str, answer: Any) -> None:
    """Hold an answer against `schemas/answers/NAME.schema.json`."""
    schema = json.loads((SCHEMAS / "answers" / f"{name}.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator(schema, registry=_registry()).validate(answer)


def dense(name: str, units: int, inputs: int, class_name: str = "Dense") -> dict[str, Any]:
    config = {"name": name, "trainable": True, "dtype": "float32", "units": units}
    return {"class_name": class_name, "config": {**config, "batch_input_shape": [None, inputs]}}


def sequential(*layers: dict[str, Any]) -> dict[str, Any]:
    return {"class_name": "Sequential", "config": {"name": "net", "layers": list(layers)},
            "keras_version": "2.15.0", "backend": "tensorflow"}  # fmt: skip


def write_h5(
    path: Path,
    config: dict[str, Any] | None,
    weights: Mapping[str, Arrays],
    *,
    trained: bool = False,
) -> Path:
    """A whole model as Keras 2 writes it: weights by layer, config and training config."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"], file.attrs["backend"] = "2.15.0", "tensorflow"
        if config is not None:
            file.attrs["model_config"] = json.dumps(config)
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for name in weights]
        for layer, arrays in weights.items():
            inner = group.create_group(layer)
            names = [f"{layer}/{name}:0" for name in arrays]
            inner.attrs["weight_names"] = [name.encode() for name in names]
            for name, array in zip(names, arrays.values(), strict=True):
                inner[name] = array
        if trained:
            _write_training(file)
    return path


def _write_training(file: h5py.File) -> None:
    file.attrs["training_config"] = json.dumps({"loss": "mse", "optimizer_config": {}})
    group = file.create_group("optimizer_weights")
    group.attrs["weight_names"] = [b"Adam/iter:0", b"Adam/m/first/kernel:0"]
    group["Adam/iter:0"] = np.int64(7)
    group["Adam/m/first/kernel:0"] = np.ones((2, 3), "f4")


def layer_weights(units: int, inputs: int, seed: int) -> dict[str, np.ndarray[Any, Any]]:
    values = np.random.default_rng(seed)
    return {
        "kernel": values.normal(size=(inputs, units)).astype("f4"),
        "bias": values.normal(size=units).astype("f4"),
    }


def model_h5(path: Path, *, custom: bool = False, trained: bool = False) -> Path:
    """Two layers, `first` before `another` in the graph."""
    kind = "Scale" if custom else "Dense"
    config = sequential(dense("first", 3, 2), dense("another", 4, 3, kind))
    weights = {"first": layer_weights(3, 2, 1), "another": layer_weights(4, 3, 2)}
    return write_h5(path, config, weights, trained=trained)


def pack_arrays(path: Path, arrays: Arrays, **options: Any) -> Path:
    """A bundle of one safetensors file, `net.safetensors`."""
    source = path.parent / f"{path.stem}.sources" / "net.safetensors"
    source.parent.mkdir(exist_ok=True)
    save_file(dict(arrays), source)
    mb.pack(source, path, overwrite=True, **options)
    return path
