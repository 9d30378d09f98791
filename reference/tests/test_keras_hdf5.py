"""Keras' HDF5 files: every variable under its name, with its role and its bytes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras_files
import numpy as np
import pytest

from modelbundle.core.blobs import BytesBlob
from modelbundle.core.findings import BundleError
from modelbundle.sources.artifact import Artifact, ArtifactTensor, Tree
from modelbundle.sources.keras import hdf5 as keras_hdf5

LIBRARIES = ["keras", "tf_keras"]


def tree_of(path: Path) -> Tree:
    tree = Tree(path.name, {path.name: BytesBlob(path.read_bytes())})
    assert keras_hdf5.recognise(tree)
    shards = {name: path.with_name(name) for name in keras_hdf5.companions(tree)}
    beside = {
        name: BytesBlob(found.read_bytes()) for name, found in shards.items() if found.exists()
    }
    return Tree(tree.root, {**tree.files, **beside})


def read(path: Path) -> Artifact:
    return keras_hdf5.read(tree_of(path))


def value(artifact: Artifact, tensor: ArtifactTensor) -> bytes:
    blob = next(file.blob for file in artifact.files if file.path == tensor.path)
    return blob.read(tensor.offset, tensor.length)


def check_variables(
    artifact: Artifact, variables: list[Any], name_of: Callable[[Any], str]
) -> None:
    tensors = {tensor.names.get("keras"): tensor for tensor in artifact.tensors}
    for variable in variables:
        tensor = tensors[name_of(variable)]
        assert tensor.name == name_of(variable)
        assert tensor.shape == tuple(variable.shape)
        assert value(artifact, tensor) == np.asarray(variable).tobytes()


def path_of(variable: Any) -> str:
    return getattr(variable, "path", variable.name).split(":")[0]


def check_roles(artifact: Artifact, model: Any, name_of: Callable[[Any], str]) -> None:
    roles = {tensor.names.get("keras"): tensor.role for tensor in artifact.tensors}
    for variables, role in (
        (model.trainable_variables, "trainable"),
        (model.non_trainable_variables, "non-trainable"),
    ):
        assert {
            roles[name_of(variable)] for variable in variables if "seed" not in name_of(variable)
        } == {role}


@pytest.mark.frameworks
@pytest.mark.parametrize("library", LIBRARIES)
def test_whole_model(library: str) -> None:
    saved = keras_files.saved(library)
    artifact = read(saved.folder / "net.h5")
    model_variables = saved.model.trainable_variables + saved.model.non_trainable_variables
    stored = [variable for variable in model_variables if "seed" not in path_of(variable)]
    check_variables(artifact, stored, path_of)
    check_roles(artifact, saved.model, path_of)
    optimizer = saved.model.optimizer.variables
    check_variables(artifact, optimizer() if callable(optimizer) else optimizer, path_of)
    assert {t.role for t in artifact.tensors if t.names["hdf5"].startswith("optimizer")} == {
        "optimizer"
    }
    properties = artifact.components[0].properties
    assert (properties["layout"], properties["backend"]) == ("keras-model", "tensorflow")


@pytest.mark.frameworks
@pytest.mark.parametrize("library", LIBRARIES)
def test_configs_are_kept_byte_for_byte(library: str) -> None:
    path = keras_files.saved(library).folder / "net.h5"
    artifact = read(path)
    files = {file.path: file for file in artifact.files}
    with h5py.File(path) as file:
        for name, attribute in (("config", "model_config"), ("training", "training_config")):
            derived = files[f"net.h5.derived/{name}.json"]
            assert derived.role == "derived"
            assert derived.blob.read(0, derived.blob.size).decode() == file.attrs[attribute]
    kinds = {component.kind: component for component in artifact.components}
    assert set(kinds) == {"hdf5", "keras.config", "training"}
    assert kinds["keras.config"].derived_from == kinds["training"].derived_from == "net.h5"
    assert "LSTM" in artifact.requirements.layers


@pytest.mark.frameworks
def test_legacy_weights_only() -> None:
    saved = keras_files.saved("tf_keras")
    artifact = read(saved.folder / "weights_only.h5")
    check_variables(artifact, saved.model.weights, path_of)
    assert artifact.components[0].properties["layout"] == "keras-weights"
    roles = {tensor.name: tensor.role for tensor in artifact.tensors}
    assert roles["norm/moving_mean"] == "non-trainable"
    assert roles["first/kernel"] == "other"


NUMBERED = {
    "first/0": "first/kernel",
    "first/1": "first/bias",
    "memory/lstm_cell/1": "memory/lstm_cell/recurrent_kernel",
    "inner/norm/2": "inner/norm/moving_mean",
    "adam/0": "adam/iteration",
}


@pytest.mark.frameworks
@pytest.mark.parametrize("file", ["net.weights.h5", "sharded.weights.json"])
def test_numbered_weights(file: str) -> None:
    saved = keras_files.saved("keras")
    artifact = read(saved.folder / file)
    tensors = {tensor.name: tensor for tensor in artifact.tensors}
    variables = {
        variable.path: variable
        for variable in [*saved.model.variables, *saved.model.optimizer.variables]
    }
    for name, path in NUMBERED.items():
        assert value(artifact, tensors[name]) == np.asarray(variables[path]).tobytes()
    assert tensors["adam/0"].role == "optimizer"
    layout = "keras-weights-v3" if file.endswith("h5") else "keras-weights-sharded"
    assert artifact.components[0].properties["layout"] == layout


@pytest.mark.frameworks
def test_numbered_weights_without_names_keep_their_paths() -> None:
    artifact = read(keras_files.saved("tf_keras").folder / "net.weights.h5")
    assert all("keras" not in tensor.names for tensor in artifact.tensors)
    roles = {tensor.name: tensor.role for tensor in artifact.tensors}
    assert roles["metrics/mean/vars/0"] == "metric"
    assert roles["optimizer/vars/3"] == "optimizer"
    assert roles["layers/dense/vars/0"] == "other"


@pytest.mark.frameworks
def test_shards_and_whole_file_agree() -> None:
    folder = keras_files.saved("keras").folder
    whole, shards = read(folder / "net.weights.h5"), read(folder / "sharded.weights.json")
    assert len(shards.components[0].files) > 3
    expected = {tensor.name: (tensor.role, value(whole, tensor)) for tensor in whole.tensors}
    assert {
        tensor.name: (tensor.role, value(shards, tensor)) for tensor in shards.tensors
    } == expected


@pytest.mark.frameworks
def test_bfloat16() -> None:
    artifact = read(keras_files.narrow_models() / "bfloat16.weights.h5")
    assert {tensor.dtype for tensor in artifact.tensors} == {"bfloat16"}
    assert {tensor.name for tensor in artifact.tensors} == {"dense/0", "dense/1"}


# -- files as older releases wrote them, and damaged ones


def make(path: Path, write: Callable[[h5py.File], object]) -> Path:
    with h5py.File(path, "w") as file:
        write(file)
    return path


def _layer(group: h5py.Group, layer: str, names: list[str]) -> None:
    found = group.create_group(layer)
    found.attrs["weight_names"] = np.array([name.encode() for name in names])
    for number, name in enumerate(names):
        found[name] = np.full((2, 3), number, "f4")


DENSE = {
    "class_name": "Dense",
    "config": {"name": "dense_1", "output_dim": 3, "batch_input_shape": [None, 2]},
}
CONFIG = json.dumps({"class_name": "Sequential", "config": [DENSE], "keras_version": "1.2.2"})


def test_keras_1_names(tmp_path: Path) -> None:
    def write(file: h5py.File) -> None:
        file.attrs["layer_names"] = np.array([b"dense_1", b"flatten_1"])
        _layer(file, "dense_1", ["dense_1_W", "dense_1_b"])
        file.create_group("flatten_1").attrs["weight_names"] = np.array([], "S1")

    artifact = read(make(tmp_path / "old.h5", write))
    assert [tensor.name for tensor in artifact.tensors] == ["dense_1_W", "dense_1_b"]
    assert artifact.tensors[0].names["hdf5"] == "dense_1/dense_1_W"


def test_split_attributes_are_joined(tmp_path: Path) -> None:
    def write(file: h5py.File) -> None:
        weights = file.create_group("model_weights")
        for number in range(3):
            weights.attrs[f"layer_names{number}"] = np.array([f"layer_{number}".encode()])
            _layer(weights, f"layer_{number}", ["kernel:0"])
        weights["layer_0"].attrs["weight_names0"] = weights["layer_0"].attrs["weight_names"]
        del weights["layer_0"].attrs["weight_names"]
        file.attrs["model_config0"] = np.bytes_(CONFIG[:10])
        file.attrs["model_config1"] = np.bytes_(CONFIG[10:])

    artifact = read(make(tmp_path / "old.h5", write))
    assert [tensor.name for tensor in artifact.tensors] == [f"layer_{n}/kernel" for n in range(3)]
    config = next(file for file in artifact.files if file.path.endswith("config.json"))
    assert config.blob.read(0, config.blob.size).decode() == CONFIG


def test_names_stay_unique(tmp_path: Path) -> None:
    def write(file: h5py.File) -> None:
        file.attrs["layer_names"] = np.array([b"a", b"b"])
        _layer(file, "a", ["kernel:0", "only_a:0"])
        _layer(file, "b", ["kernel:0", "kernel:1", "kernel"])

    artifact = read(make(tmp_path / "old.h5", write))
    names = [tensor.name for tensor in artifact.tensors]
    assert len(set(names)) == len(names) == 5
    assert "only_a" in names and "a/kernel" in names
    assert "b/kernel:1" in names, "three of one name keep their paths"


def test_datasets_that_nothing_lists_are_kept(tmp_path: Path) -> None:
    def write(file: h5py.File) -> None:
        file.attrs["layer_names"] = np.array([b"a"])
        _layer(file, "a", ["kernel:0"])
        file["a/extra"] = 1.5

    tensors = read(make(tmp_path / "old.h5", write)).tensors
    assert [(tensor.name, "keras" in tensor.names) for tensor in tensors] == [
        ("a/extra", False),
        ("kernel", True),
    ]


def refused(path: Path) -> set[str]:
    with pytest.raises(BundleError) as caught:
        read(path)
    return {finding.rule for finding in caught.value.findings}


def test_missing_layer_or_weight(tmp_path: Path) -> None:
    def layer(file: h5py.File) -> None:
        file.attrs["layer_names"] = np.array([b"a", b"missing"])
        _layer(file, "a", ["kernel:0"])

    def weight(file: h5py.File) -> None:
        file.attrs["layer_names"] = np.array([b"a"])
        _layer(file, "a", ["kernel:0", "bias:0"])
        del file["a/bias:0"]

    assert refused(make(tmp_path / "layer.h5", layer)) == {"KHF-01"}
    assert refused(make(tmp_path / "weight.h5", weight)) == {"KHF-01"}


@pytest.mark.parametrize("text", ["{", "\xff\xfe", "[" * 5000, '{"a": 1, "a": 2}'])
@pytest.mark.parametrize("name", ["model_config", "training_config"])
def test_config_that_is_no_json(tmp_path: Path, name: str, text: str) -> None:
    def write(file: h5py.File) -> None:
        file.attrs["model_config"] = CONFIG
        file.attrs[name] = np.bytes_(text.encode("latin-1"))
        file.attrs["layer_names"] = np.array([], "S1")

    assert refused(make(tmp_path / "old.h5", write)) == {"KHF-02"}


def _shards(tmp_path: Path, weight_map: object) -> Path:
    for number in range(2):
        with h5py.File(tmp_path / f"w_0000{number}.weights.h5", "w") as file:
            file[f"layers/dense_{number}/vars/0"] = np.ones(3)
    path = tmp_path / "w.weights.json"
    path.write_text(json.dumps({"metadata": {"total_size": 48}, "weight_map": weight_map}))
    return path


GOOD_MAP = {
    "/layers/dense_0/vars": "w_00000.weights.h5",
    "/layers/dense_1/vars": ["w_00001.weights.h5"],
}
BAD_MAPS = {
    "missing": {"/layers/dense_0/vars": "w_00007.weights.h5"},
    "escapes": {"/layers/dense_0/vars": "../w_00000.weights.h5"},
    "absolute": {"/layers/dense_0/vars": "/etc/passwd"},
    "backslash": {"/layers/dense_0/vars": "..\\w"},
    "number": {"/layers/dense_0/vars": 3},
    "other group": {"/layers/dense_1/vars": "w_00000.weights.h5"},
    "no map": [],
}


def test_good_shards(tmp_path: Path) -> None:
    assert len(read(_shards(tmp_path, GOOD_MAP)).tensors) == 2


@pytest.mark.parametrize("case", BAD_MAPS)
def test_bad_shards(tmp_path: Path, case: str) -> None:
    assert refused(_shards(tmp_path, BAD_MAPS[case])) == {"KHF-03"}


def test_one_dataset_in_two_shards(tmp_path: Path) -> None:
    path = _shards(
        tmp_path, {**GOOD_MAP, "/layers/dense_1/vars": ["w_00000.weights.h5", "w_00001.weights.h5"]}
    )
    shutil.copy(tmp_path / "w_00000.weights.h5", tmp_path / "w_00001.weights.h5")
    assert refused(path) == {"KHF-03"}


def test_opening_needs_no_framework() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from modelbundle.sources.keras import archive, hdf5\n"
        "assert not {'tensorflow', 'keras', 'h5py'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
