"""Our HDF5 reader against h5py, over layouts, dtypes, link storage and hostile files."""

from __future__ import annotations

import ctypes
import random
import struct
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import ml_dtypes
import numpy as np
import pytest

from modelbundle.core import dtypes
from modelbundle.core.blobs import BytesBlob
from modelbundle.core.findings import BundleError
from modelbundle.core.limits import LIMITS
from modelbundle.sources.artifact import Artifact, ArtifactTensor, Tree
from modelbundle.sources.hdf5 import decode as decoding
from modelbundle.sources.hdf5.checksum import Fletcher32, lookup3
from modelbundle.sources.hdf5.contents import read_contents
from modelbundle.sources.hdf5.file import Dataset, File, Group
from modelbundle.sources.keras import hdf5 as keras_hdf5

NAME = "net.h5"
VERSIONS = ["earliest", "v108", "v110", "latest"]

Write = Callable[[h5py.File], object]


def make(path: Path, write: Write, **options: object) -> Path:
    with h5py.File(path, "w", **options) as file:
        write(file)
    return path


def read(path: Path) -> Artifact:
    return read_bytes(path.read_bytes())


def read_bytes(data: bytes) -> Artifact:
    return keras_hdf5.read(Tree(NAME, {NAME: BytesBlob(data)}))


def content(artifact: Artifact, tensor: ArtifactTensor) -> bytes:
    blob = next(file.blob for file in artifact.files if file.path == tensor.path)
    return blob.read(tensor.offset, tensor.length)


def expected_bytes(dataset: h5py.Dataset) -> bytes:
    value = np.asarray(dataset[()])
    return value.astype(value.dtype.newbyteorder("<")).tobytes()


def check(path: Path, *, in_place: bool = True) -> Artifact:
    """Every dataset that h5py finds is a tensor with the same shape, dtype and bytes."""
    artifact = read(path)
    tensors = {tensor.names["hdf5"]: tensor for tensor in artifact.tensors}
    found = []

    def visit(name: str, item: h5py.HLObject) -> None:
        if not isinstance(item, h5py.Dataset):
            return
        found.append(name)
        tensor = tensors[name]
        if item.shape is None:
            assert (tensor.shape, tensor.length) == ((0,), 0)
            assert tensor.attributes["hdf5.dataspace"] == "null"
            return
        assert tensor.shape == item.shape
        assert content(artifact, tensor) == expected_bytes(item)
        if item.dtype.kind != "V":
            assert tensor.dtype == dtypes.from_numpy(item.dtype)
        offset = item.id.get_offset()
        if in_place and offset is not None and item.dtype.isnative and item.size:
            assert (tensor.path, tensor.offset) == (NAME, offset)

    with h5py.File(path) as file:
        file.visititems(visit)
    assert sorted(found) == sorted(tensors)
    return artifact


def refused(path: Path) -> set[str]:
    """Rule IDs with which a file is refused, its data included."""
    with pytest.raises(BundleError) as caught:
        read_all(path.read_bytes())
    return {finding.rule for finding in caught.value.findings}


def read_all(data: bytes) -> None:
    artifact = read_bytes(data)
    for tensor in artifact.tensors:
        content(artifact, tensor)


DTYPES = [
    "?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16",
    ">i2", ">u8", ">f4", ">c16", "S1", "S7",
]  # fmt: skip


def _write_dtypes(file: h5py.File) -> None:
    random_bytes = np.random.default_rng(0)
    for dtype in map(np.dtype, DTYPES):
        name = dtype.str.replace("|", "").replace("<", "little_").replace(">", "big_")
        raw = random_bytes.bytes(12 * dtype.itemsize)
        if dtype.kind in "bS":
            raw = bytes(byte % 2 for byte in raw)
        values = np.frombuffer(raw, dtype).reshape(3, 4)
        file[f"{name}/matrix"] = values
        file[f"{name}/scalar"] = values[0, 0]
        file[f"{name}/empty"] = values[:0]
        file[f"{name}/null"] = h5py.Empty(dtype)
        file.create_dataset(f"{name}/chunked", data=values, chunks=(2, 3), compression="gzip")


@pytest.mark.parametrize("version", VERSIONS)
def test_every_dtype(tmp_path: Path, version: str) -> None:
    check(make(tmp_path / NAME, _write_dtypes, libver=(version, "latest")))


def _write_narrow(file: h5py.File) -> None:
    for name in ("bfloat16", "float8_e4m3fn", "float8_e5m2fnuz", "int4"):
        values = np.arange(6).astype(getattr(ml_dtypes, name))
        file[f"marked/{name}"] = values
        file[f"marked/{name}"].attrs["dtype"] = name
        file[f"unmarked/{name}"] = values


def test_ml_dtypes_are_named_by_an_attribute(tmp_path: Path) -> None:
    artifact = read(make(tmp_path / NAME, _write_narrow))
    for tensor in artifact.tensors:
        marked, name = tensor.name.split("/")
        values = np.arange(6).astype(getattr(ml_dtypes, name))
        assert content(artifact, tensor) == values.tobytes()
        assert tensor.dtype == (name if marked == "marked" else f"bytes{values.itemsize}")


CHUNKED = {
    "plain": {"chunks": (3, 4)},
    "gzip": {"chunks": (3, 4), "compression": "gzip"},
    "shuffle": {"chunks": (3, 4), "shuffle": True},
    "fletcher32": {"chunks": (3, 4), "fletcher32": True},
    "all": {"chunks": (5, 2), "compression": 9, "shuffle": True, "fletcher32": True},
    "one": {"chunks": (10, 9), "compression": "gzip", "shuffle": True},
    "fixed": {"chunks": (2, 2), "maxshape": (20, 30)},
    "fixed filtered": {"chunks": (2, 2), "maxshape": (20, 30), "compression": "gzip"},
    "extensible": {"chunks": (1, 1), "maxshape": (None, 9)},
    "extensible second": {"chunks": (1, 2), "maxshape": (12, None), "compression": "gzip"},
    "tree": {"chunks": (1, 1), "maxshape": (None, None)},
    "tree filtered": {"chunks": (2, 3), "maxshape": (None, None), "compression": "gzip"},
}


def _write_chunked(file: h5py.File) -> None:
    values = np.random.default_rng(1).normal(size=(10, 9))
    for name, options in CHUNKED.items():
        file.create_dataset(f"whole/{name}", data=values, **options)
        sparse = file.create_dataset(f"sparse/{name}", (10, 9), ">f8", fillvalue=2.5, **options)
        sparse[4:6, 3:7] = values[4:6, 3:7]
        file.create_dataset(f"unwritten/{name}", (10, 9), "i2", fillvalue=-3, **options)
        file.create_dataset(f"empty/{name}", (0, 9), "i2", **{**options, "maxshape": (None, 9)})
    file.create_dataset("cube", data=np.arange(7 * 6 * 5).reshape(7, 6, 5), chunks=(2, 4, 3))
    file.create_dataset("line", data=np.arange(1000), chunks=(7,), maxshape=(None,))


@pytest.mark.parametrize("version", VERSIONS)
def test_chunked_data_is_decoded(tmp_path: Path, version: str) -> None:
    artifact = check(make(tmp_path / NAME, _write_chunked, libver=(version, "latest")))
    assert [file.role for file in artifact.files] == ["source", "derived"]


def test_a_long_extensible_array_has_pages(tmp_path: Path) -> None:
    def write(file: h5py.File) -> None:
        line = file.create_dataset(
            "line", (40_000,), "u1", chunks=(1,), maxshape=(None,), fillvalue=9
        )
        line[:2_000] = np.arange(2_000) % 251
        line[39_000:] = np.arange(1_000) % 241
        page = file.create_dataset(
            "fixed", (3_000,), "u1", chunks=(1,), maxshape=(3_000,), fillvalue=5
        )
        page[2_900:] = np.arange(100)

    check(make(tmp_path / NAME, write, libver="latest"))


def test_boxes_are_split_along_any_axis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(2).integers(0, 255, (11, 13, 7), "u1")

    def write(file: h5py.File) -> None:
        for number, chunks in enumerate(
            [(2, 3, 7), (11, 1, 2), (4, 13, 1), (1, 1, 1), (11, 13, 7)]
        ):
            file.create_dataset(f"{number}", data=values, chunks=chunks, compression="gzip")

    path = make(tmp_path / NAME, write)
    for limit in (1, 5, 40, 100, 300):
        monkeypatch.setattr(decoding, "_BOX_BYTES", limit)
        check(path)


def test_large_chunks_are_decoded_by_way_of_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.random.default_rng(3).normal(size=(50, 3, 4))

    def write(file: h5py.File) -> None:
        for number, chunks in enumerate([(50, 3, 4), (20, 3, 4), (7, 3, 4)]):
            for shuffle in (False, True):
                file.create_dataset(
                    f"{number}{shuffle}",
                    data=values,
                    chunks=chunks,
                    shuffle=shuffle,
                    compression="gzip",
                    fletcher32=True,
                )
        file.create_dataset("slices", data=values, chunks=(1, 3, 4), compression="gzip")
        file.create_dataset("lines", data=np.ones((4, 1, 90)), chunks=(1, 1, 80), shuffle=True)
        wide = file.create_dataset("wide", (5, 70), ">i2", chunks=(9, 90), maxshape=(None, None))
        wide[:] = np.arange(350).reshape(5, 70)
        sparse = file.create_dataset("sparse", (50, 3, 4), chunks=(9, 3, 4), fillvalue=1)
        sparse[20] = values[20]

    path = make(tmp_path / NAME, write)
    for module in ("hdf5.decode", "spool"):
        monkeypatch.setattr(f"modelbundle.sources.{module}.MEMORY_BYTES", 500)
    monkeypatch.setattr("modelbundle.sources.hdf5.filters._PIECE_BYTES", 64)
    check(path)


def test_large_chunks_of_parts_of_rows_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(file: h5py.File) -> None:
        file.create_dataset("x", data=np.ones((50, 40)), chunks=(50, 20))

    monkeypatch.setattr(decoding, "MEMORY_BYTES", 500)
    assert refused(make(tmp_path / NAME, write)) == {"HDF-09"}


def test_contiguous_data_that_was_never_written(tmp_path: Path) -> None:
    def write(file: h5py.File) -> None:
        file.create_dataset("zeros", (3, 4), "f4")
        file.create_dataset("sevens", (3, 4), ">i2", fillvalue=7)
        file.create_dataset("text", (2,), "S3", fillvalue=b"ab")

    check(make(tmp_path / NAME, write))


def test_strings_padded_otherwise(tmp_path: Path) -> None:
    def write(file: h5py.File) -> None:
        for padding in (h5py.h5t.STR_NULLTERM, h5py.h5t.STR_SPACEPAD, h5py.h5t.STR_NULLPAD):
            kind = h5py.h5t.C_S1.copy()
            kind.set_size(6)
            kind.set_strpad(padding)
            space = h5py.h5s.create_simple((4,))
            dataset = h5py.h5d.create(file.id, f"padding{padding}".encode(), kind, space)
            text = b"ab\0cd\0abcdef  x   \0\0\0\0\0\0"
            dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.frombuffer(text, "S6"), kind)

    check(make(tmp_path / NAME, write), in_place=False)


def test_compact_data(tmp_path: Path) -> None:
    def write(file: h5py.File) -> None:
        settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        settings.set_layout(h5py.h5d.COMPACT)
        values = np.arange(6, dtype="f4")
        dataset = h5py.h5d.create(
            file.id, b"compact", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((6,)), settings
        )
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, values)

    for version in VERSIONS:
        artifact = check(make(tmp_path / NAME, write, libver=(version, "latest")))
        assert artifact.tensors[0].path == NAME


@pytest.mark.parametrize("count", [1, 8, 9, 300, 3000])
@pytest.mark.parametrize("version", VERSIONS)
def test_many_links(tmp_path: Path, count: int, version: str) -> None:
    def write(file: h5py.File) -> None:
        for number in range(count):
            file[f"layer with a rather long name {number}/w"] = np.int32(number)

    check(make(tmp_path / NAME, write, libver=(version, "latest")))


@pytest.mark.parametrize("track", [False, True])
def test_creation_order_and_deleted_links(tmp_path: Path, track: bool) -> None:
    def write(file: h5py.File) -> None:
        group = file.create_group("g", track_order=track)
        for number in range(200):
            group[f"{number}"] = number
        for number in range(0, 200, 3):
            del group[f"{number}"]

    for version in VERSIONS:
        check(make(tmp_path / NAME, write, libver=(version, "latest")))


ATTRIBUTES = {
    "text": "héllo", "bytes": b"hello", "empty": "", "number": 3, "float": 2.5, "bool": True,
    "array": np.arange(6).reshape(2, 3), "big": np.arange(3, dtype=">f4"),
    "names": ["dense", "dense_1", "a much longer name than those"],
    "fixed": np.array([b"a", b"bcd"]), "none": np.zeros((0,)), "large": "x" * 60_000,
}  # fmt: skip


def _write_attributes(file: h5py.File, count: int = 0) -> None:
    group = file.create_group("g")
    for name, value in ATTRIBUTES.items():
        group.attrs[name] = value
    for number in range(count):
        group.attrs[f"attribute {number}"] = f"value {number}"


@pytest.mark.parametrize("count", [0, 5, 500])
@pytest.mark.parametrize("version", VERSIONS)
def test_attributes(tmp_path: Path, count: int, version: str) -> None:
    path = make(
        tmp_path / NAME, lambda file: _write_attributes(file, count), libver=(version, "latest")
    )
    attributes = read_contents(BytesBlob(path.read_bytes()), NAME).groups["g"]
    with h5py.File(path) as file:
        expected = dict(file["g"].attrs)
    assert set(attributes.names()) == set(expected)
    for name, value in expected.items():
        attribute = attributes.get(name)
        assert attribute is not None
        found = attribute.value()
        if isinstance(value, str | bytes):
            assert found == (value.encode() if isinstance(value, str) else value)
        elif value.dtype.kind in "OS":
            assert found == [item.encode() if isinstance(item, str) else item for item in value]
        else:
            assert found.shape == value.shape and (found == value).all()


def test_attributes_beyond_a_header_block(tmp_path: Path) -> None:
    def write(file: h5py.File) -> None:
        file.attrs["config"] = "c" * 200_000
        file.attrs["array"] = np.arange(100_000)

    path = make(tmp_path / NAME, write, libver="latest")
    root = read_contents(BytesBlob(path.read_bytes()), NAME).groups[""]
    config, array = root.get("config"), root.get("array")
    assert config is not None and config.string() == b"c" * 200_000
    assert array is not None and (array.value() == np.arange(100_000)).all()


def test_committed_datatypes(tmp_path: Path) -> None:
    def write(file: h5py.File) -> None:
        file["kind"] = np.dtype("f8")
        file.create_dataset("data", (4,), file["kind"])[:] = np.arange(4)
        file["data"].attrs.create("a", 1.5, dtype=file["kind"])

    for version in VERSIONS:
        path = make(tmp_path / NAME, write, libver=(version, "latest"))
        check(path)
        (dataset,) = File(BytesBlob(path.read_bytes()), NAME).datasets()
        attribute = dataset.attributes.get("a")
        assert attribute is not None and attribute.value() == 1.5


def _libhdf5() -> ctypes.CDLL | None:
    """The library that h5py carries; h5py itself has no call for shared messages."""
    found = sorted((Path(h5py.__file__).parents[1] / "h5py.libs").glob("libhdf5-*"))
    return ctypes.CDLL(str(found[0])) if found else None


def test_shared_message_table(tmp_path: Path) -> None:
    library = _libhdf5()
    if library is None:
        pytest.skip("h5py brings no libhdf5 of its own here")
    settings = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    identifier = ctypes.c_int64(settings.id)
    assert library.H5Pset_shared_mesg_nindexes(identifier, 1) == 0
    assert library.H5Pset_shared_mesg_index(identifier, 0, 0x101F, 4) == 0
    path = tmp_path / NAME
    with h5py.File(h5py.h5f.create(bytes(path), h5py.h5f.ACC_TRUNC, fcpl=settings)) as file:
        for name in "ab":
            data = file.create_dataset(
                name, data=np.ones((3, 4)), chunks=(2, 2), compression="gzip"
            )
            for number in range(12):
                data.attrs[f"{number}"] = f"a text that both share {number}"
        file["c"] = np.arange(10)
    check(path)
    first, second = (
        read_contents(BytesBlob(path.read_bytes()), NAME).datasets[name] for name in "ab"
    )
    for number in range(12):
        for dataset in (first, second):
            attribute = dataset.attributes.get(f"{number}")
            assert attribute is not None
            assert attribute.string().decode() == f"a text that both share {number}"


@pytest.mark.parametrize("size", [512, 1024, 4096])
def test_user_block(tmp_path: Path, size: int) -> None:
    for version in VERSIONS:
        path = make(
            tmp_path / NAME, _write_chunked, userblock_size=size, libver=(version, "latest")
        )
        check(path)


def test_hard_links_to_a_dataset_are_two_tensors(tmp_path: Path) -> None:
    def write(file: h5py.File) -> None:
        file["a"] = np.arange(4)
        file["b"] = file["a"]

    first, second = read(make(tmp_path / NAME, write)).tensors
    assert (first.name, second.name) == ("a", "b")
    assert (first.offset, first.length) == (second.offset, second.length)


def test_plain_files_are_called_so(tmp_path: Path) -> None:
    artifact = read(make(tmp_path / NAME, lambda file: file.create_dataset("x", data=1)))
    assert artifact.components[0].properties == {"layout": "plain"}


# -- hostile files


def _external(file: h5py.File) -> None:
    file.create_dataset("x", (4,), "i4", external=[("/etc/passwd", 0, 16)])


def _external_link(file: h5py.File) -> None:
    file["x"] = h5py.ExternalLink("other.h5", "/y")


def _soft_link(file: h5py.File) -> None:
    file["y"] = 1
    file["x"] = h5py.SoftLink("/y")


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), "i4")
    layout[:] = h5py.VirtualSource("other.h5", "y", (4,))
    file.create_virtual_dataset("x", layout)


def _filter(file: h5py.File) -> None:
    file.create_dataset("x", data=np.arange(100), compression="lzf")


def _scale_offset(file: h5py.File) -> None:
    file.create_dataset("x", data=np.arange(100), scaleoffset=0)


def _variable(file: h5py.File) -> None:
    file["x"] = ["some", "strings"]


def _reference(file: h5py.File) -> None:
    file.create_dataset("x", (1,), h5py.ref_dtype)


def _compound(file: h5py.File) -> None:
    file["x"] = np.zeros(3, [("a", "f4"), ("b", "i2")])


def _array(file: h5py.File) -> None:
    file.create_dataset("x", (2,), np.dtype(("f4", (3,))))


def _long_double(file: h5py.File) -> None:
    file["x"] = np.zeros(3, np.longdouble)


def _group_cycle(file: h5py.File) -> None:
    file["a/b/c"] = file.create_group("a/x")
    file["a/x/back"] = file["a"]


def _group_alias(file: h5py.File) -> None:
    file["b"] = file.create_group("a")


def _shape_bomb(file: h5py.File) -> None:
    file.create_dataset("x", (1 << 20, 1 << 20), chunks=(1, 1024), compression="gzip")


def _unwritten_bomb(file: h5py.File) -> None:
    file.create_dataset("x", (1 << 40,), "f8")


def _many_bombs(file: h5py.File) -> None:
    for number in range(50):
        file.create_dataset(f"{number}", (1 << 18,), "f4", fillvalue=1, chunks=(1 << 16,))


HOSTILE: dict[str, tuple[Write, str]] = {
    "external storage": (_external, "HDF-01"),
    "external link": (_external_link, "HDF-02"),
    "soft link": (_soft_link, "HDF-03"),
    "virtual dataset": (_virtual, "HDF-04"),
    "lzf": (_filter, "HDF-05"),
    "scale-offset": (_scale_offset, "HDF-05"),
    "variable length": (_variable, "HDF-06"),
    "reference": (_reference, "HDF-06"),
    "compound": (_compound, "HDF-06"),
    "array elements": (_array, "HDF-06"),
    "long double": (_long_double, "HDF-06"),
    "cycle": (_group_cycle, "HDF-10"),
    "alias": (_group_alias, "HDF-10"),
    "shape bomb": (_shape_bomb, "HDF-09"),
    "unwritten bomb": (_unwritten_bomb, "HDF-09"),
}


@pytest.mark.parametrize("version", ["earliest", "latest"])
@pytest.mark.parametrize("case", HOSTILE)
def test_refused(tmp_path: Path, case: str, version: str) -> None:
    write, rule = HOSTILE[case]
    path = make(tmp_path / NAME, write, libver=("v110" if write is _virtual else version, "latest"))
    assert refused(path) == {rule}


def test_decoded_bytes_count_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path / NAME, _many_bombs)
    read(path)
    monkeypatch.setattr("modelbundle.sources.hdf5.file.LIMITS", _limits(hdf5_decoded_ratio=2000))
    assert refused(path) == {"HDF-09"}


def _limits(**changes: int) -> object:
    from dataclasses import replace

    return replace(LIMITS, **changes)


def test_attribute_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many elements that are all one long string on the heap."""
    text = "x" * 10_000

    def write(file: h5py.File) -> None:
        file.attrs.create("layer_names", [text] * 50, dtype=h5py.string_dtype())

    path = make(tmp_path / NAME, write)
    monkeypatch.setattr(
        "modelbundle.sources.hdf5.attributes.LIMITS", _limits(hdf5_attribute_bytes=400_000)
    )
    assert refused(path) == {"HDF-07"}


def test_attribute_of_another_type(tmp_path: Path) -> None:
    def write(file: h5py.File) -> None:
        file.attrs["layer_names"] = np.arange(3)

    assert refused(make(tmp_path / NAME, write)) == {"HDF-07"}


def test_declared_size_is_not_the_stored_size(tmp_path: Path) -> None:
    shape = struct.pack("<QQ", 111, 13)
    write: Write = lambda file: file.create_dataset("x", data=np.ones((111, 13), "f4"))  # noqa: E731
    larger = struct.pack("<QQ", 111, 1 << 40)
    path = make(tmp_path / NAME, write)
    data = path.read_bytes()
    assert data.count(shape) >= 1
    path.write_bytes(data.replace(shape, larger))
    assert refused(path) == {"HDF-09"}


def test_data_of_two_datasets_may_not_overlap(tmp_path: Path) -> None:
    def write(file: h5py.File) -> None:
        file["a"] = np.arange(100)
        file["b"] = np.arange(100)

    path = make(tmp_path / NAME, write)
    with h5py.File(path) as file:
        first, second = (file[name].id.get_offset() for name in "ab")
    old, new = (struct.pack("<QQ", offset, 800) for offset in (second, first + 8))
    path.write_bytes(path.read_bytes().replace(old, new))
    assert refused(path) == {"HDF-09"}


def test_wrong_fletcher32(tmp_path: Path) -> None:
    def write(file: h5py.File) -> None:
        file.create_dataset(
            "x", data=np.full((50,), 0x5A5A5A5A, "u4"), chunks=(50,), fletcher32=True
        )

    path = make(tmp_path / NAME, write)
    data = bytearray(path.read_bytes())
    data[data.index(b"\x5a" * 200) + 17] ^= 1
    path.write_bytes(data)
    assert refused(path) == {"HDF-09"}


def test_a_deflate_bomb_stops_at_the_chunk(tmp_path: Path) -> None:
    import zlib

    def write(file: h5py.File) -> None:
        dataset = file.create_dataset("x", (100,), "u1", chunks=(100,), compression="gzip")
        dataset.id.write_direct_chunk((0,), zlib.compress(bytes(50_000_000)))

    assert refused(make(tmp_path / NAME, write)) == {"HDF-09"}


@pytest.mark.parametrize("version", ["earliest", "latest"])
def test_truncated_anywhere(tmp_path: Path, version: str) -> None:
    data = make(tmp_path / NAME, _write_small, libver=version).read_bytes()
    read_all(data)
    for size in range(0, len(data), 7):
        with pytest.raises(BundleError):
            read_all(data[:size])


def _write_small(file: h5py.File) -> None:
    file.attrs["keras_version"] = "2.3.1"
    file.attrs["layer_names"] = np.array([b"dense", b"lstm"])
    for name in ("dense", "lstm"):
        group = file.create_group(name)
        group.attrs["weight_names"] = [f"{name}/kernel:0", f"{name}/bias:0"]
        group[f"{name}/kernel:0"] = np.ones((3, 4), "f4")
        group.create_dataset(
            f"{name}/bias:0", data=np.ones(40), chunks=(7,), compression="gzip", shuffle=True
        )
    for number in range(12):
        file[f"other/{number}"] = np.int64(number)
        file["other"].attrs[f"{number}"] = "text"
    file.create_dataset("grid", data=np.ones((6, 6), "i2"), chunks=(2, 2), maxshape=(None, None))
    file.create_dataset("line", data=np.ones(60, ">i2"), chunks=(3,), maxshape=(None,))


@pytest.mark.parametrize("version", ["earliest", "latest"])
def test_flipped_bytes(tmp_path: Path, version: str) -> None:
    """Seeded damage: every file is read or refused, soon."""
    data = make(tmp_path / NAME, _write_small, libver=version).read_bytes()
    structure = [at for at in range(len(data)) if data[at]] + list(range(0, len(data), 5))
    chance = random.Random(7)
    refusals = 0
    for _ in range(1000):
        damaged = bytearray(data)
        for _ in range(chance.choice((1, 1, 2, 5))):
            damaged[chance.choice(structure)] = chance.choice((0, 1, 0xFF, chance.randrange(256)))
        begin = time.monotonic()
        try:
            read_all(bytes(damaged))
        except BundleError:
            refusals += 1
        assert time.monotonic() - begin < 5
    assert refusals > 100


def test_flipped_bytes_behind_checksums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same where an attacker made all checksums right."""
    monkeypatch.setattr("modelbundle.sources.hdf5.source.lookup3", lambda data: _Anything())
    test_flipped_bytes(tmp_path, "latest")


class _Anything(int):
    """Equal to every checksum."""

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = int.__hash__


def test_chunk_sizes_of_too_many_bytes(tmp_path: Path) -> None:
    """Records of the chunk index that are longer than a size can be; checksums are right."""

    def write(file: h5py.File) -> None:
        options = CHUNKED["tree filtered"]
        file.create_dataset("x", data=np.ones((10, 9)), **options)

    data = bytearray(make(tmp_path / NAME, write, libver="latest").read_bytes())
    start = data.index(b"BTHD\0\x0b")
    struct.pack_into("<H", data, start + 10, struct.unpack_from("<H", data, start + 10)[0] + 12)
    struct.pack_into("<I", data, start + 34, lookup3(bytes(data[start : start + 34])))
    (tmp_path / NAME).write_bytes(data)
    assert refused(tmp_path / NAME) == {"HDF-08"}


def test_not_hdf5() -> None:
    for data in (b"", b"\x89HDF", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n\0", b"x" * 5000):
        with pytest.raises(BundleError):
            read_bytes(data)


def test_recognised_by_content(tmp_path: Path) -> None:
    data = make(tmp_path / NAME, _write_small, userblock_size=512).read_bytes()
    assert keras_hdf5.recognise(Tree("x", {"x": BytesBlob(data)}))
    assert not keras_hdf5.recognise(Tree("x.h5", {"x.h5": BytesBlob(b"\x89HDF" * 400)}))


# -- pieces


def test_lookup3_known_values() -> None:
    """Values printed by the author's own test driver (lookup3.c, driver5)."""
    assert lookup3(b"") == 0xDEADBEEF
    assert lookup3(b"Four score and seven years ago") == 0x17770551


def test_fletcher32_in_pieces() -> None:
    data = np.random.default_rng(4).bytes(10_001)
    whole, pieces = Fletcher32(), Fletcher32()
    whole.update(data)
    for at in range(0, len(data), 500):
        pieces.update(data[at : at + 500])
    assert whole.value == pieces.value


def test_many_datasets_are_read_fast(tmp_path: Path) -> None:
    def write(file: h5py.File) -> None:
        for number in range(3000):
            file[f"layers/dense_{number}/vars/0"] = np.float32(number)

    data = make(tmp_path / NAME, write).read_bytes()
    begin = time.perf_counter()
    found = list(File(BytesBlob(data), NAME).walk())
    elapsed = time.perf_counter() - begin
    assert sum(isinstance(item, Dataset) for item in found) == 3000
    assert sum(isinstance(item, Group) for item in found) == 6002
    assert elapsed < 3000 * 600e-6
