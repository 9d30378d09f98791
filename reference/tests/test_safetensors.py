from __future__ import annotations

import json
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import source_trees as st
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save_file

from modelbundle.core.findings import CHECKS, BundleError
from modelbundle.sources import safetensors
from modelbundle.sources.artifact import Tree

Header = dict[str, Any]


def raw(header: Header | str | bytes, data: bytes = b"") -> bytes:
    text = header if isinstance(header, str | bytes) else json.dumps(header)
    encoded = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(encoded)) + encoded + data


def entry(dtype: str, shape: list[int], start: int, stop: int) -> Header:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


def one(data: bytes) -> Tree:
    return st.tree("m.safetensors", data=data)


NUMPY = ["bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64",
         "float16", "float32", "float64", "complex64"]  # fmt: skip


def test_every_dtype_is_equal_to_the_librarys(tmp_path: Path) -> None:
    tensors = {f"layer.{name}": np.array([[0, 1, 2], [3, 4, 5]]).astype(name) for name in NUMPY}
    tensors["scalar"] = np.array(2.5, "float32")
    tensors["empty"] = np.zeros((0, 4), "int64")
    tensors["naïve/µ"] = np.array([7], "uint8")
    path = tmp_path / "m.safetensors"
    save_file(tensors, str(path), {"format": "pt", "about": "µ"})
    source = st.tree_of(path)
    assert safetensors.recognise(source)
    artifact = safetensors.read(source)
    listed = st.by_name(artifact, "safetensors")
    theirs = dict(deserialize(path.read_bytes()))
    assert listed.keys() == theirs.keys()
    for name, tensor in listed.items():
        assert st.tensor_bytes(artifact, tensor) == bytes(theirs[name]["data"])
        assert list(tensor.shape) == theirs[name]["shape"]
        assert safetensors.DTYPES[theirs[name]["dtype"]] == tensor.dtype == tensors[name].dtype
    (component,) = artifact.components
    assert component.properties == {"metadata": {"about": "µ", "format": "pt"}}


@pytest.mark.parametrize(
    ("dtype", "shape", "size"),
    [("F4", [4, 3], 6), ("F6_E2M3", [4], 3), ("F6_E3M2", [8], 6), ("F8_E8M0", [3], 3),
     ("BF16", [2], 4), ("F8_E4M3", [2], 2), ("F8_E5M2", [2], 2), ("F8_E4M3FNUZ", [2], 2),
     ("F8_E5M2FNUZ", [2], 2), ("C64", [1], 8)],
)  # fmt: skip
def test_newer_dtypes(dtype: str, shape: list[int], size: int) -> None:
    data = raw({"t": entry(dtype, shape, 0, size)}, bytes(size))
    assert dict(deserialize(data))["t"]["shape"] == shape
    (tensor,) = safetensors.read(one(data)).tensors
    assert (tensor.dtype, tensor.length) == (safetensors.DTYPES[dtype], size)


def test_forms_of_header_that_the_format_allows() -> None:
    text = json.dumps({"b": entry("U8", [1], 1, 2), "a": entry("U8", [1], 0, 1)}, indent=3)
    artifact = safetensors.read(one(raw(text + "   \n", b"xy")))
    assert [st.tensor_bytes(artifact, tensor) for tensor in artifact.tensors] == [b"y", b"x"]
    assert safetensors.read(one(raw("{}"))).tensors == ()
    assert safetensors.read(one(raw('{"__metadata__":{}}'))).tensors == ()


U8 = '{"dtype":"U8","shape":[1],"data_offsets":[0,1]}'
MALFORMED = {
    "empty": b"",
    "short": b"\x02\0\0\0\0\0\0",
    "length": struct.pack("<Q", 1 << 40) + b"{}",
    "length of all ones": b"\xff" * 8 + b"{}",
    "no object": raw("[]"),
    "blank first": raw(" {}"),
    "byte-order mark": raw("\ufeff{}"),
    "not UTF-8": raw(b'{"\xff":' + U8.encode() + b"}", b"x"),
    "truncated": raw('{"a":'),
    "trailing text": raw("{} x"),
    "trailing comma": raw(f'{{"a":{U8},}}', b"x"),
    "duplicate name": raw(f'{{"a":{U8},"a":{U8}}}', b"x"),
    "duplicate field": raw(
        '{"a":{"dtype":"U8","dtype":"U8","shape":[],"data_offsets":[0,1]}}', b"x"
    ),
    "duplicate metadata": raw('{"__metadata__":{"a":"b","a":"c"}}'),
    "metadata twice": raw('{"__metadata__":{},"__metadata__":{}}'),
    "metadata number": raw('{"__metadata__":{"a":1}}'),
    "metadata nested": raw('{"__metadata__":{"a":' + "[" * 100_000),
    "more fields": raw({"a": entry("U8", [1], 0, 1) | {"x": 1}}, b"x"),
    "fewer fields": raw({"a": {"dtype": "U8", "shape": [1]}}, b"x"),
    "negative": raw({"a": entry("U8", [-1], 0, 1)}, b"x"),
    "float": raw('{"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}', b"x"),
    "boolean": raw('{"a":{"dtype":"U8","shape":[true],"data_offsets":[0,1]}}', b"x"),
    "NaN": raw('{"a":{"dtype":"U8","shape":[NaN],"data_offsets":[0,1]}}', b"x"),
    "huge integer": raw({"a": entry("U8", [1 << 64], 0, 1)}, b"x"),
    "endless integer": raw('{"a":{"dtype":"U8","shape":[' + "1" * 4000 + "]}}", b"x"),
    "three offsets": raw('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}}', b"x"),
    "rank": raw({"a": entry("U8", [1] * 33, 0, 1)}, b"x"),
    "depth": raw('{"a":' + "[" * 100_000),
    "long entry": raw('{"a":{"dtype":"' + "U" * 10_000 + '"}}'),
    "surrogate": raw('{"\\ud800":' + U8 + "}", b"x"),
    "control character": raw('{"\n":' + U8 + "}", b"x"),
}
RANGES = {
    "past the end": raw({"a": entry("U8", [2], 0, 2)}, b"x"),
    "trailing data": raw({"a": entry("U8", [1], 0, 1)}, b"xy"),
    "overlap": raw({"a": entry("U8", [2], 0, 2), "b": entry("U8", [2], 1, 3)}, b"xyz"),
    "hole": raw({"a": entry("U8", [1], 0, 1), "b": entry("U8", [1], 2, 3)}, b"xyz"),
    "backwards": raw({"a": entry("U8", [1], 1, 0)}, b"x"),
    "length": raw({"a": entry("F32", [2], 0, 4)}, b"1234"),
    "shape bomb": raw({"a": entry("F64", [1 << 50] * 8, 0, 8)}, b"12345678"),
    "half a byte": raw({"a": entry("F4", [3], 0, 2)}, b"xy"),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_headers(what: str) -> None:
    assert st.rule_of(lambda: safetensors.read(one(MALFORMED[what]))) == "STF-01"
    assert safetensors.recognise(one(MALFORMED[what])) in (True, False)


@pytest.mark.parametrize("what", RANGES)
def test_ranges_have_to_tile(what: str) -> None:
    assert st.rule_of(lambda: safetensors.read(one(RANGES[what]))) == "STF-02"
    with pytest.raises(SafetensorError):
        deserialize(RANGES[what])


def test_unknown_dtype() -> None:
    data = raw({"a": entry("F128", [1], 0, 16)}, bytes(16))
    assert st.rule_of(lambda: safetensors.read(one(data))) == "STF-03"


def test_damaged_files_are_refused_or_read() -> None:
    header = {f"t{n}": entry("U8", [1], n, n + 1) for n in range(6)}
    source = one(raw(header, b"abcdef"))
    assert st.survives(source, "m.safetensors", safetensors.read, 2000, 200) > 1500


def test_whatever_the_library_refuses_is_refused() -> None:
    data = raw({"t": entry("F32", [2, 1], 0, 8), "__metadata__": {"a": "b"}}, bytes(8))
    for copy in st.damaged(data, 1500, 100):
        try:
            deserialize(copy)
        except SafetensorError:
            with pytest.raises(BundleError):
                safetensors.read(one(copy))


# Shards

INDEX = "m.safetensors.index.json"


def sharded(weight_map: Header, **shards: bytes) -> Tree:
    document = {"metadata": {"total_size": 2, "nested": {}}, "weight_map": weight_map}
    files = {f"{name}.safetensors": data for name, data in shards.items()}
    return st.tree(INDEX, **{INDEX: json.dumps(document).encode()}, **files)


A = raw({"a": entry("U8", [1], 0, 1)}, b"x")
B = raw({"b": entry("U8", [1], 0, 1)}, b"y")
MAP = {"a": "one.safetensors", "b": "two.safetensors"}


def test_shards() -> None:
    source = sharded(MAP, one=A, two=B)
    assert safetensors.recognise(source)
    assert safetensors.companions(source) == ("one.safetensors", "two.safetensors")
    artifact = safetensors.read(source)
    listed = st.by_name(artifact, "safetensors")
    assert [st.tensor_bytes(artifact, listed[name]) for name in "ab"] == [b"x", b"y"]
    (component,) = artifact.components
    assert component.id == INDEX
    assert component.files == (INDEX, "one.safetensors", "two.safetensors")
    assert component.properties == {"metadata": {"total_size": 2}, "shards": 2}


def test_shards_in_a_folder() -> None:
    index = json.dumps({"weight_map": {"a": "one"}}).encode()
    files = {f"d/{INDEX}": index, "d/one": A}
    artifact = safetensors.read(st.tree(f"d/{INDEX}", **files))
    assert artifact.tensors[0].path == "d/one"


DISAGREEMENTS = {
    "missing shard": sharded(MAP, one=A),
    "missing tensor": sharded(MAP | {"c": "one.safetensors"}, one=A, two=B),
    "unlisted tensor": sharded({"a": "one.safetensors"}, one=raw(
        {"a": entry("U8", [1], 0, 1), "b": entry("U8", [1], 1, 2)}, b"xy")),
    "other shard": sharded({"a": "two.safetensors", "b": "one.safetensors"}, one=A, two=B),
    "tensor in two": sharded({"a": "one.safetensors", "b": "two.safetensors"}, one=A, two=raw(
        {"a": entry("U8", [1], 0, 1), "b": entry("U8", [1], 1, 2)}, b"xy")),
    "escape": sharded({"a": "../one.safetensors"}, one=A),
    "absolute": sharded({"a": "/one.safetensors"}, one=A),
    "folder": sharded({"a": "x/one.safetensors"}, one=A),
    "NUL": sharded({"a": "one\0"}, one=A),
    "empty name": sharded({"a": ""}, one=A),
    "number": sharded({"a": 1}, one=A),
    "no JSON": st.tree(INDEX, **{INDEX: b"{"}),
    "no UTF-8": st.tree(INDEX, **{INDEX: b'{"\xff":1}'}),
    "duplicate": st.tree(INDEX, **{INDEX: b'{"weight_map":{"a":"x","a":"x"}}'}),
    "depth": st.tree(INDEX, **{INDEX: b'{"metadata":' + b"[" * 100_000}),
}  # fmt: skip


@pytest.mark.parametrize("what", DISAGREEMENTS)
def test_disagreeing_shards(what: str) -> None:
    source = DISAGREEMENTS[what]
    assert st.rule_of(lambda: safetensors.read(source)) == "STF-04"


def test_a_hundred_thousand_tensors() -> None:
    header = {
        f"model.layers.{n}.weight": entry("F32", [1, 2], 8 * n, 8 * n + 8) for n in range(100_000)
    }
    data = raw(header, bytes(800_000))
    start = time.process_time()
    assert len(safetensors.read(one(data)).tensors) == 100_000
    assert time.process_time() - start < 3


def test_rules_have_one_check_each() -> None:
    assert {f"STF-0{n}" for n in range(1, 5)} <= CHECKS.keys()


def test_long_metadata_stays_in_the_file() -> None:
    data = raw({"__metadata__": {"a": "x" * (1 << 17)}})
    assert safetensors.read(one(data)).components[0].properties == {}
