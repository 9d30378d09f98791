"""Adding to a bundle: nothing that was there changes, and what is new is named and bound."""

from __future__ import annotations

from pathlib import Path

import building
import numpy as np
import pytest
from safetensors.numpy import save_file

from modelbundle.bundle import open_bundle
from modelbundle.core.findings import BundleError
from modelbundle.packing import pack, pack_artifacts, read_source
from modelbundle.packing.extend import Binding, extend
from modelbundle.rules import validate


def weights(path: Path, **tensors: np.ndarray) -> Path:
    save_file(tensors, path)
    return path


@pytest.fixture
def more(tmp_path: Path) -> Path:
    return weights(
        tmp_path / "more.safetensors",
        **{"dense/kernel": np.ones((3, 2), np.int16), "other": np.zeros((2, 0), np.int64)},
    )


@pytest.mark.parametrize("directory", [False, True])
def test_files_stay_as_they_are(directory: bool, tmp_path: Path, more: Path) -> None:
    old = building.pack_small(tmp_path / "old", directory=directory)
    new = tmp_path / "new"
    digest = extend(old, [read_source(more)], new, directory=directory)
    with open_bundle(old) as one, open_bundle(new) as two:
        assert two.digest == digest
        kept = {entry.path: entry for entry in two.manifest.files}
        for entry in one.manifest.files:
            assert entry.path == "tensors.msgpack" or kept[entry.path] == entry
            assert entry.path == "tensors.msgpack" or one.read(entry.path) == two.read(entry.path)
        for name, tensor in one.tensors.items():
            assert two.tensors[name].row == tensor.row
            assert two.tensors[name].names == tensor.names
        assert (two.manifest.name, two.manifest.directories) == ("small", ("empty",))
        assert two.tensors["dense/kernel"].numpy().tolist() == [[1, 1]] * 3
        assert two.tensors["other"].numpy().shape == (2, 0)


def test_the_result_is_valid_and_the_same_every_time(tmp_path: Path, more: Path) -> None:
    building.write_net(tmp_path / "net.safetensors")
    pack(tmp_path / "net.safetensors", tmp_path / "old.modelbundle")
    digests = {
        extend(tmp_path / "old.modelbundle", [read_source(more)], tmp_path / f"{n}.modelbundle")
        for n in range(2)
    }
    assert len(digests) == 1
    assert validate(tmp_path / "0.modelbundle").findings == ()
    with open_bundle(tmp_path / "0.modelbundle") as bundle:
        assert bundle.tensors["dense/kernel"].dtype == "float32"
        assert bundle.tensors["more.safetensors:dense/kernel"].dtype == "int16"
        assert bundle.tensors.find("dense/kernel", component="more.safetensors").dtype == "int16"


def test_a_bundle_can_take_its_own_place(tmp_path: Path, more: Path) -> None:
    path = tmp_path / "old.modelbundle"
    building.write_net(tmp_path / "net.safetensors")
    pack(tmp_path / "net.safetensors", path)
    with pytest.raises(FileExistsError):
        extend(path, [read_source(more)], path)
    extend(path, [read_source(more)], path, overwrite=True)
    assert validate(path).ok


def test_bindings_name_tensors_that_are_there(tmp_path: Path) -> None:
    old = building.pack_small(tmp_path / "old")
    artifact = building.artifact({"graph.bin": b"graph"})
    binding = Binding("graph.bin", "stablehlo", "argument", "w")
    extend(old, [artifact], tmp_path / "new", bindings=[binding])
    with open_bundle(tmp_path / "new") as bundle:
        assert bundle.tensors.named("graph.bin", "stablehlo")["argument"].name == "w"
        assert len(bundle.tensors) == 1
    missing = Binding("graph.bin", "stablehlo", "argument", "nothing")
    with pytest.raises(KeyError):
        extend(old, [artifact], tmp_path / "other", bindings=[missing])


def test_what_is_refused(tmp_path: Path, more: Path) -> None:
    path = tmp_path / "old.modelbundle"
    pack(more, path)
    assert building.rules_of(
        lambda: extend(path, [read_source(more)], tmp_path / "new.modelbundle")
    ) == ["SRC-05"]
    data = bytearray(path.read_bytes())
    at = data.index(np.ones((3, 2), np.int16).tobytes())
    data[at] ^= 1
    (tmp_path / "damaged.modelbundle").write_bytes(data)
    artifact = building.artifact({"new.bin": b"new"})
    with pytest.raises(BundleError, match="IDN-02"):
        extend(tmp_path / "damaged.modelbundle", [artifact], tmp_path / "new.modelbundle")
    assert not (tmp_path / "new.modelbundle").exists()


def test_a_newer_bundle_is_refused(tmp_path: Path) -> None:
    building.pack_small(tmp_path / "old", directory=True)
    manifest = tmp_path / "old" / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"1.0-draft"', b'"1.1"'))
    artifact = building.artifact({"new.bin": b"new"})
    assert building.rules_of(lambda: extend(tmp_path / "old", [artifact], tmp_path / "new")) == [
        "WRT-08"
    ]


def test_an_archive_and_a_directory_are_the_same_bundle(tmp_path: Path, more: Path) -> None:
    one, two = building.artifact({"a.bin": b"a"}), building.artifact({"b.bin": b"b"})
    pack_artifacts([one], tmp_path / "old")
    flat = extend(tmp_path / "old", [two, read_source(more)], tmp_path / "x")
    folder = extend(tmp_path / "old", [two, read_source(more)], tmp_path / "y", directory=True)
    assert flat == folder
