"""An open bundle: lazy, zero-copy, verified."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from building import artifact, pack_small, random_bytes, rules_of, write_net

import modelbundle as mb
from modelbundle.core import strings
from modelbundle.core.blobs import BytesBlob, ComposedBlob, SliceBlob, walk
from modelbundle.packing import pack_artifacts
from modelbundle.sources.artifact import Artifact


@pytest.fixture(params=["archive", "directory"])
def net(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    source = write_net(tmp_path / "net.safetensors")
    mb.pack(source, tmp_path / "net", directory=request.param == "directory")
    return tmp_path / "net"


def bases(array: Any) -> Iterator[Any]:
    while array is not None:
        yield array
        array = array.obj if isinstance(array, memoryview) else getattr(array, "base", None)


def test_arrays_are_views_of_the_file(net: Path) -> None:
    with mb.open(net) as bundle:
        one, two = (bundle.tensors[name].numpy() for name in ("dense/kernel", "dense/copy"))
        assert any(isinstance(base, mmap.mmap) for base in bases(one))
        assert np.shares_memory(one, two)
        assert not one.flags.writeable
        assert one.shape == (64, 16)
        assert np.array_equal(one, two)


def test_arrays_outlive_their_bundle(net: Path) -> None:
    bundle = mb.open(net)
    array = bundle.tensors["dense/kernel"].numpy()
    copied = array.copy()
    bundle.close()
    bundle.close()
    del bundle
    assert np.array_equal(array, copied)


def test_mapping(net: Path) -> None:
    with mb.open(net) as bundle:
        names = ["dense/bias", "dense/copy", "dense/kernel", "empty", "flags", "step"]
        assert list(bundle.tensors) == names
        assert len(bundle.tensors) == 6
        tensor = bundle.tensors["dense/bias"]
        assert (tensor.name, tensor.dtype, tensor.shape) == ("dense/bias", "float16", (16,))
        assert (tensor.role, dict(tensor.attributes)) == ("other", {})
        assert tensor.names == {"safetensors": "dense/bias"}
        assert repr(tensor) == "<Tensor dense/bias float16[16]>"
        assert bundle.tensors["step"].numpy() == 7
        assert bundle.tensors["empty"].numpy().shape == (3, 0)
        assert bundle.tensors["flags"].numpy().tolist() == [True, False, True]
        with pytest.raises(KeyError):
            bundle.tensors["dense"]
        with pytest.raises(KeyError):
            bundle.file("nothing")


def test_verification(tmp_path: Path) -> None:
    root = tmp_path / "net"
    mb.pack(write_net(tmp_path / "net.safetensors"), root, directory=True)
    with mb.open(root) as bundle:
        row = bundle.tensors["dense/bias"].row
    data = bytearray((root / row.file).read_bytes())
    data[row.offset] ^= 1
    (root / row.file).write_bytes(data)
    with mb.open(root) as bundle:
        assert rules_of(bundle.tensors["dense/bias"].numpy) == ["TEN-10"]
        assert bundle.tensors["dense/kernel"].numpy().size
        assert rules_of(lambda: bundle.read(row.file)) == ["IDN-02"]
        assert rules_of(lambda: bundle.read("net.safetensors")) == ["CMP-06"]
    with mb.open(root, verify=False) as bundle:
        assert bundle.tensors["dense/bias"].numpy().size == 16


@pytest.mark.parametrize("file", ["tensors.msgpack", "compositions.msgpack"])
def test_indexes_are_verified_before_they_are_decoded(tmp_path: Path, file: str) -> None:
    root = pack_small(tmp_path / "x", directory=True)
    data = (root / file).read_bytes()
    (root / file).write_bytes(b"\xc1" + data[1:])
    with mb.open(root, verify=False) as bundle:
        assert rules_of(lambda: bundle.index if file[0] == "t" else bundle.compositions) == [
            "IDN-02"
        ]


def test_expected_digest(net: Path) -> None:
    with mb.open(net) as bundle:
        digest = bundle.digest
    mb.open(net, digest=digest).close()
    wrong = f"sha256:{'0' * 64}"
    assert rules_of(lambda: mb.open(net, digest=wrong)) == ["RDR-06"]


def test_names_and_find(tmp_path: Path) -> None:
    data = random_bytes(400)
    one = artifact({"one.bin": data}, [("w", "one.bin", 0, 400)], system="keras")
    two = artifact({"two.bin": data + b"!"}, [("v", "two.bin", 0, 400)], system="keras")
    more = artifact({"more.bin": random_bytes(300, 5)}, [("v", "more.bin", 0, 300)], system="hdf5")
    tagged = replace(one.tensors[0], role="trainable", attributes={"slot": "m"})
    pack_artifacts([replace(one, tensors=(tagged,)), two, more], tmp_path / "x")
    with mb.open(tmp_path / "x") as bundle:
        shared = bundle.tensors.find("w", system="keras")
        assert shared.names == {"keras@one.bin": "w", "keras@two.bin": "v"}
        assert (shared.role, dict(shared.attributes)) == ("trainable", {"slot": "m"})
        assert bundle.tensors.find("v", component="two.bin").row == shared.row
        assert bundle.tensors.find("v", system="hdf5").names == {"hdf5": "v"}
        for unknown in ({"system": "onnx"}, {"component": "none"}, {"system": "hdf5"}):
            with pytest.raises(KeyError):
                bundle.tensors.find("w", **unknown)


def _one(data: bytes, dtype: str, shape: tuple[int, ...]) -> Artifact:
    made = artifact({"a.bin": data}, [("t", "a.bin", 0, len(data))], dtype=dtype)
    return replace(made, tensors=(replace(made.tensors[0], shape=shape),))


NUMBERS = {
    "bfloat16": ml_dtypes.bfloat16,
    "float8_e4m3fn": ml_dtypes.float8_e4m3fn,
    "float8_e5m2": ml_dtypes.float8_e5m2,
    "int4": ml_dtypes.int4,
    "complex64": np.complex64,
    "uint64": np.uint64,
    "float16": np.float16,
}


@pytest.mark.parametrize("dtype", sorted(NUMBERS))
def test_dtypes(tmp_path: Path, dtype: str) -> None:
    values = np.array([[1, 2, 3], [4, 5, 6]]).astype(NUMBERS[dtype])
    pack_artifacts([_one(values.tobytes(), dtype, (2, 3))], tmp_path / "x")
    with mb.open(tmp_path / "x") as bundle:
        found = bundle.tensors["t"].numpy()
    assert found.dtype == values.dtype
    assert found.tobytes() == values.tobytes()
    assert found.shape == (2, 3)


def test_packed_and_quantized(tmp_path: Path) -> None:
    for dtype, shape, length in (("int4_packed", (3,), 2), ("qint8", (2, 1), 2)):
        pack_artifacts([_one(b"\x21\x03", dtype, shape)], tmp_path / "x", overwrite=True)
        with mb.open(tmp_path / "x") as bundle:
            found = bundle.tensors["t"].numpy()
        assert found.nbytes == length
        assert found.shape == ((2,) if dtype.endswith("_packed") else shape)


def test_strings(tmp_path: Path) -> None:
    elements = [b"", b"a\0b", b"x" * 300, "é".encode()]
    lengths = [len(element) for element in elements]
    data = bytes([0, 3, 0xAC, 2, 2]) + strings.checksum(lengths).to_bytes(4, "little")
    pack_artifacts([_one(data + b"".join(elements), "string", (2, 2))], tmp_path / "x")
    with mb.open(tmp_path / "x") as bundle:
        assert bundle.tensors["t"].numpy().tolist() == [elements[:2], elements[2:]]
        assert bundle.tensors["t"].numpy().dtype == object
    pack_artifacts([_one(bytes.fromhex("d8ea82a2"), "string", (0, 5))], tmp_path / "y")
    with mb.open(tmp_path / "y") as bundle:
        assert bundle.tensors["t"].numpy().shape == (0, 5)


def test_shapes_beyond_numpy(tmp_path: Path) -> None:
    made = _one(b"", "uint8", (2**63, 0, 2**40))
    pack_artifacts([made], tmp_path / "x")
    with mb.open(tmp_path / "x") as bundle, pytest.raises(mb.UnsupportedError):
        bundle.tensors["t"].numpy()


def test_opening_reads_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_net(tmp_path / "net.safetensors", rows=50_000)
    mb.pack(source, tmp_path / "x")
    read: list[int] = []
    plain = SliceBlob.read

    def counting(blob: SliceBlob, offset: int, length: int) -> bytes:
        read.append(length)
        return plain(blob, offset, length)

    monkeypatch.setattr(SliceBlob, "read", counting)
    with mb.open(tmp_path / "x") as bundle:
        assert sum(read) == 0
        bundle.tensors["dense/bias"].numpy()
        assert sum(read) == bundle.manifest.by_path["tensors.msgpack"].size


def test_blobs() -> None:
    data = random_bytes(100)
    whole = BytesBlob(data)
    composed = ComposedBlob(
        [SliceBlob(whole, 50, 50), SliceBlob(whole, 0, 0), SliceBlob(whole, 0, 50)]
    )
    turned = data[50:] + data[:50]
    for start in range(0, 100, 7):
        for stop in range(start, 101, 9):
            assert composed.read(start, stop - start) == turned[start:stop]
    assert b"".join(walk(composed, 33)) == turned
    for blob in (whole, composed, SliceBlob(whole, 10, 90)):
        for bad in ((-1, 5), (0, 101), (95, 6), (5, -1)):
            with pytest.raises(EOFError):
                blob.read(*bad)
    with pytest.raises(EOFError):
        SliceBlob(whole, 60, 41)
