"""`.keras` files: members as files, weights under their names, and archives that are refused."""

from __future__ import annotations

import io
import json
import random
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras_files
import numpy as np
import pytest

from modelbundle.core.blobs import BytesBlob
from modelbundle.core.findings import BundleError
from modelbundle.core.limits import LIMITS
from modelbundle.sources.artifact import Artifact, ArtifactTensor, Tree
from modelbundle.sources.keras import archive as keras_archive

LIBRARIES = ["keras", "tf_keras"]


def tree_of(data: bytes, name: str = "net.keras") -> Tree:
    return Tree(name, {name: BytesBlob(data)})


def read(data: bytes) -> Artifact:
    return keras_archive.read(tree_of(data))


def value(artifact: Artifact, tensor: ArtifactTensor) -> bytes:
    blob = next(file.blob for file in artifact.files if file.path == tensor.path)
    return blob.read(tensor.offset, tensor.length)


def whole(artifact: Artifact, path: str) -> bytes:
    blob = next(file.blob for file in artifact.files if file.path == path)
    return blob.read(0, blob.size)


def check_members(artifact: Artifact, data: bytes) -> None:
    """Each member is a file; a stored one stands at its offset in the archive."""
    parts = {part.path: part.offset for part in artifact.files[0].parts}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            path = f"net.keras.members/{info.filename}"
            content = whole(artifact, path)
            assert content == archive.read(info)
            role = next(file.role for file in artifact.files if file.path == path)
            if info.compress_type == zipfile.ZIP_STORED:
                assert role == "part"
                assert data[parts[path] : parts[path] + info.file_size] == content
            else:
                assert role == "derived" and path not in parts


@pytest.mark.frameworks
@pytest.mark.parametrize("library", LIBRARIES)
def test_members_and_components(library: str) -> None:
    path = keras_files.saved(library).folder / "net.keras"
    data = path.read_bytes()
    assert keras_archive.recognise(tree_of(data)) and keras_archive.recognise(
        tree_of(data, "download")
    )
    artifact = read(data)
    check_members(artifact, data)
    keras_archive.verify_checksums(tree_of(data))
    kinds = {component.kind: component for component in artifact.components}
    assert set(kinds) == {"keras.archive", "keras.config", "training", "hdf5"}
    assert artifact.components[0].id == "net.keras"
    assert artifact.components[0].properties["keras_version"].count(".") == 2
    assert kinds["keras.config"].id == "net.keras.members/config.json"
    assert kinds["hdf5"].derived_from == "net.keras"
    config = json.loads(whole(artifact, "net.keras.members/config.json"))
    assert json.loads(whole(artifact, "net.keras.derived/training.json")) == {
        "compile_config": config["compile_config"]
    }


@pytest.mark.frameworks
def test_every_variable_by_name_and_role() -> None:
    saved = keras_files.saved("keras")
    artifact = read((saved.folder / "net.keras").read_bytes())
    tensors = {tensor.name: tensor for tensor in artifact.tensors}
    model = saved.model
    for variables, role in (
        (model.trainable_variables, "trainable"),
        (model.non_trainable_variables, "non-trainable"),
    ):
        for variable in variables:
            if "seed" not in variable.path:
                assert tensors[variable.path].role == role, variable.path
                assert value(artifact, tensors[variable.path]) == np.asarray(variable).tobytes()
    first, *slots = model.optimizer.variables
    assert value(artifact, tensors["adam/iteration"]) == np.asarray(first).tobytes()
    assert {tensor.role for name, tensor in tensors.items() if name.startswith("adam/")} == {
        "optimizer"
    }
    assert sum(name.startswith("adam/") for name in tensors) == len(slots) + 1


@pytest.mark.frameworks
def test_names_come_from_the_config_where_the_weights_have_none() -> None:
    saved = keras_files.saved("tf_keras")
    artifact = read((saved.folder / "net.keras").read_bytes())
    tensors = {tensor.name: tensor for tensor in artifact.tensors}
    layers = {"first": saved.model.get_layer("first"), "second": saved.model.get_layer("second"),
              "inner/hidden": saved.model.get_layer("inner").get_layer("hidden")}  # fmt: skip
    for name, layer in layers.items():
        assert value(artifact, tensors[f"{name}/kernel"]) == np.asarray(layer.kernel).tobytes()
        assert tensors[f"{name}/kernel"].role == (
            "trainable" if layer.trainable else "non-trainable"
        )


@pytest.mark.frameworks
def test_assets() -> None:
    data = keras_files.lookup_model().read_bytes()
    artifact = read(data)
    check_members(artifact, data)
    (assets,) = (component for component in artifact.components if component.kind == "assets")
    assert assets.id == "net.keras.members/assets"
    assert len(assets.files) == 2
    assert {tensor.name for tensor in artifact.tensors} == {
        "vectors/embeddings",
        "tokens/embeddings",
    }


@pytest.mark.frameworks
def test_bfloat16_and_int4() -> None:
    folder = keras_files.narrow_models()
    tensors = {t.name: t for t in read((folder / "bfloat16.keras").read_bytes()).tensors}
    assert tensors["dense/kernel"].dtype == "bfloat16"
    tensors = {t.name: t for t in read((folder / "int4.keras").read_bytes()).tensors}
    assert tensors["dense/kernel"].dtype == "int8"
    assert tensors["dense/kernel"].attributes == {"packing": "int4"}
    assert tensors["dense/bias"].attributes == {}


# -- archives made here

DENSE = {
    "module": "keras.layers",
    "class_name": "Dense",
    "config": {"name": "dense", "units": 3, "use_bias": False},
    "registered_name": None,
}
CONFIG = {
    "module": "keras",
    "class_name": "Sequential",
    "config": {"name": "net", "layers": [DENSE]},
    "registered_name": None,
    "build_config": None,
}


def weights(shape: tuple[int, ...] = (2, 3), **options: Any) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        group = file.create_group("layers/dense/vars")
        group.attrs["name"] = "dense"
        group.create_dataset(
            "0", data=np.arange(np.prod(shape), dtype="f4").reshape(shape), **options
        )
    return buffer.getvalue()


def members(**changes: bytes) -> dict[str, bytes]:
    found = {
        "metadata.json": json.dumps({"keras_version": "3.15.1", "date_saved": "today"}).encode(),
        "config.json": json.dumps(CONFIG).encode(),
        "model.weights.h5": weights(),
    }
    return {name: data for name, data in {**found, **changes}.items() if data is not None}


def archive(contents: dict[str, bytes], method: int = zipfile.ZIP_STORED, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method, **options) as file:
        for name, data in contents.items():
            file.writestr(name, data)
    return buffer.getvalue()


def test_metadata_may_be_anything() -> None:
    for metadata in (b"", b"{", b"[1]", b'{"keras_version": 3}'):
        assert read(archive(members(**{"metadata.json": metadata}))).components[0].properties == {}


def test_deflated_members_are_derived() -> None:
    data = archive(members(), zipfile.ZIP_DEFLATED)
    artifact = read(data)
    check_members(artifact, data)
    assert artifact.files[0].parts == ()
    assert [tensor.name for tensor in artifact.tensors] == ["dense/kernel"]


def test_large_deflated_members_go_through_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelbundle.sources.spool.MEMORY_BYTES", 100)
    data = archive(members(), zipfile.ZIP_DEFLATED)
    check_members(read(data), data)


def test_chunked_weights_are_decoded_beside_the_member() -> None:
    artifact = read(
        archive(members(**{"model.weights.h5": weights(chunks=(1, 2), compression="gzip")}))
    )
    (tensor,) = artifact.tensors
    assert tensor.path == "net.keras.members/model.weights.h5.derived/tensors.safetensors"
    assert value(artifact, tensor) == np.arange(6, dtype="f4").tobytes()


def test_sharded_weights_inside() -> None:
    index = {"metadata": {}, "weight_map": {"/layers/dense/vars": "model_00000.weights.h5"}}
    contents = members(
        **{"model.weights.json": json.dumps(index).encode(), "model_00000.weights.h5": weights()}
    )
    del contents["model.weights.h5"]
    artifact = read(archive(contents))
    assert [tensor.name for tensor in artifact.tensors] == ["dense/kernel"]
    assert len({file.path for file in artifact.files}) == len(artifact.files)
    kinds = {component.kind: component.id for component in artifact.components}
    assert kinds["hdf5"] == "net.keras.members/model.weights.json"


def test_zip64_and_descriptors_are_read() -> None:
    class Stream(io.BytesIO):
        def seekable(self) -> bool:
            return False

    stream = Stream()
    with zipfile.ZipFile(stream, "w") as file:
        for name, data in members().items():
            with file.open(name, "w", force_zip64=name.endswith("h5")) as member:
                member.write(data)
    check_members(read(stream.getvalue()), stream.getvalue())
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.mkdir("assets")
        for name, data in members().items():
            with file.open(name, "w", force_zip64=True) as member:
                member.write(data)
    artifact = read(buffer.getvalue())
    assert "net.keras.members/assets" not in {file.path for file in artifact.files}
    assert len(artifact.files[0].parts) == 3


def test_compile_config_that_is_no_plain_json_stays_in_the_config() -> None:
    config = {**CONFIG, "compile_config": {"loss_weights": float("inf")}}
    artifact = read(archive(members(**{"config.json": json.dumps(config).encode()})))
    (training,) = (component for component in artifact.components if component.kind == "training")
    assert training.files == ("net.keras.members/config.json",)
    assert training.properties == {"pointer": "/compile_config"}


def refused(data: bytes) -> set[str]:
    with pytest.raises(BundleError) as caught:
        read(data)
        keras_archive.verify_checksums(tree_of(data))
    return {finding.rule for finding in caught.value.findings}


def _patch(data: bytes, old: bytes, new: bytes, which: int = 0) -> bytes:
    at = -1
    for _ in range(which + 1):
        at = data.index(old, at + 1)
    return data[:at] + new + data[at + len(old) :]


def _comment(data: bytes) -> bytes:
    return data[:-2] + b"\3\0abc"


def _gap(_: bytes) -> bytes:
    """Bytes between members, which no directory tells of."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members().items():
            file.writestr(name, content)
            buffer.write(b"gap")
            file.start_dir = buffer.tell()
    return buffer.getvalue()


DAMAGE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "data before": (lambda data: b"x" * 9 + data, "KAR-01"),
    "data behind": (lambda data: data + b"x", "KAR-01"),
    "data between": (_gap, "KAR-01"),
    "comment": (_comment, "KAR-01"),
    "local name": (lambda data: _patch(data, b"config.json", b"confiG.json"), "KAR-01"),
    "local size": (lambda data: data[:18] + struct.pack("<I", 9) + data[22:], "KAR-01"),
    "local method": (lambda data: data[:8] + b"\x08" + data[9:], "KAR-01"),
    "count": (lambda data: data[:-12] + b"\2\0" + data[-10:], "KAR-01"),
    "disk": (lambda data: data[:-18] + b"\1\0" + data[-16:], "KAR-01"),
    "second disk": (lambda data: data[:-16] + b"\1\0" + data[-14:], "KAR-01"),
    "encrypted": (
        lambda data: _patch(data, b"PK\1\2\x14\3\x14\0\0", b"PK\1\2\x14\3\x14\0\1"),
        "KAR-04",
    ),
    "content": (lambda data: _patch(data, b"date_saved", b"date_SAVED"), "KAR-05"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged(case: str) -> None:
    damage, rule = DAMAGE[case]
    assert refused(damage(archive(members()))) == {rule}


def _directory_entry(data: bytes, number: int) -> int:
    at = -1
    for _ in range(number + 1):
        at = data.index(b"PK\1\2", at + 1)
    return at


def test_stored_size_is_not_the_size() -> None:
    data = archive(members())
    at = _directory_entry(data, 0) + 24
    assert refused(data[:at] + struct.pack("<I", 5) + data[at + 4 :]) == {"KAR-05"}


@pytest.mark.parametrize(
    "name", ["../x", "/x", "a\\b", "C:x", "a//b", "nul", "x\x01", "a/./b", "e\u0301"]
)
def test_unsafe_names(name: str) -> None:
    assert refused(archive({**members(), name: b""})) == {"KAR-02"}


@pytest.mark.parametrize("second", ["config.json", "Config.json", "metadata.json/x"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_duplicate_members(second: str) -> None:
    buffer = io.BytesIO(archive(members()))
    with zipfile.ZipFile(buffer, "a") as file:
        file.writestr(second, b"{}")
    assert refused(buffer.getvalue()) == {"KAR-03"}


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compression(method: int) -> None:
    assert refused(archive(members(), method)) == {"KAR-04"}


def test_inflation_bombs(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = archive(members(bomb=bytes(60_000_000)), zipfile.ZIP_DEFLATED)
    begin = time.monotonic()
    read(bomb)
    assert time.monotonic() - begin < 5
    from dataclasses import replace

    monkeypatch.setattr(
        "modelbundle.sources.keras.zip_members.LIMITS", replace(LIMITS, archive_inflated_ratio=100)
    )
    assert refused(bomb) == {"KAR-05"}


def test_inflated_size_is_not_as_declared() -> None:
    data = archive(members(bomb=bytes(1_000_000)), zipfile.ZIP_DEFLATED)
    lie = struct.pack("<I", 1_000)
    assert refused(data.replace(struct.pack("<I", 1_000_000), lie)) == {"KAR-05"}


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_incomplete(name: str) -> None:
    contents = members()
    del contents[name]
    assert refused(archive(contents)) == {"KAR-06"}


def test_findings_of_the_weights_name_the_member() -> None:
    with pytest.raises(BundleError) as caught:
        read(archive(members(**{"model.weights.h5": weights()[:-9]})))
    (finding,) = caught.value.findings
    assert finding.rule == "HDF-08"
    assert finding.place.startswith("net.keras.members/model.weights.h5@")


def test_recognition_is_by_content() -> None:
    assert keras_archive.recognise(tree_of(archive(members()), "x.zip"))
    assert keras_archive.recognise(tree_of(archive({"a": b""}), "x.keras"))
    for data in (
        b"",
        b"PK",
        b"PK\3\4",
        b"PK\3\4" + bytes(20),
        archive({"a": b""}),
        archive({"manifest.json": b"", "config.json": b""}),
    ):
        assert not keras_archive.recognise(tree_of(data, "x"))


def test_truncated_anywhere() -> None:
    data = archive(members())
    for size in range(0, len(data), 5):
        with pytest.raises(BundleError):
            read(data[:size])


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_flipped_bytes(method: int, tmp_path: Path) -> None:
    data = archive(members(), method)
    chance = random.Random(5)
    structure = [at for at in range(len(data)) if data[at]]
    for _ in range(1000):
        damaged = bytearray(data)
        for _ in range(chance.choice((1, 1, 3))):
            damaged[chance.choice(structure)] = chance.choice((0, 1, 0xFF, chance.randrange(256)))
        begin = time.monotonic()
        try:
            artifact = read(bytes(damaged))
            keras_archive.verify_checksums(tree_of(bytes(damaged)))
            for tensor in artifact.tensors:
                value(artifact, tensor)
        except BundleError:
            pass
        assert time.monotonic() - begin < 5
