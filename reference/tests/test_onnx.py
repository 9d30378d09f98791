from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import source_trees as st
import wire_writer as ww

from modelbundle.core import dtypes, strings
from modelbundle.core.findings import CHECKS
from modelbundle.sources import tflite
from modelbundle.sources.artifact import Artifact, Port, Tree
from modelbundle.sources.onnx import model as source_format

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

FLOAT6 = {TensorProto.DataType.Value(n) for n, _ in TensorProto.DataType.items() if "FLOAT6" in n}
PACKED = {
    TensorProto.UINT4, TensorProto.INT4, TensorProto.FLOAT4E2M1, TensorProto.UINT2,
    TensorProto.INT2, *FLOAT6,
}  # fmt: skip


def model(initialisers: list[Any], *, nodes: list[Any] | None = None, **more: Any) -> Any:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes or [helper.make_node("Relu", ["x"], ["y"])],
        "net",
        [value("x", TensorProto.FLOAT, ["batch", 3, None])],
        [value("y", TensorProto.FLOAT, None)],
        initializer=initialisers,
    )
    return helper.make_model(graph, producer_name="tests", **more)


def read(proto: Any) -> Artifact:
    source = st.tree("net.onnx", data=proto.SerializeToString())
    assert source_format.recognise(source)
    assert source_format.companions(source) == ()
    return source_format.read(source)


def assert_equal_to_onnx(artifact: Artifact, protos: dict[str, Any], folder: str = "") -> None:
    listed = st.by_name(artifact, "onnx")
    assert listed.keys() == protos.keys()
    for name, proto in protos.items():
        tensor = listed[name]
        assert tensor.shape == tuple(proto.dims)
        data = st.tensor_bytes(artifact, tensor)
        value = numpy_helper.to_array(proto, folder)
        if tensor.dtype == "string":
            ours = strings.decode(data, tensor.shape, name)
            assert [text.decode() for text in ours.flat] == list(value.flat)
        elif proto.data_type in PACKED:
            assert data == _packed(value, tensor.dtype), name
        else:
            assert data == value.tobytes(), name


def _packed(value: Any, dtype: str) -> bytes:
    """Elements of fewer than eight bits, the first in the lowest bits."""
    bits = dtypes.element_bits(dtype)
    elements = np.unpackbits(value.reshape(-1, 1).view(np.uint8), axis=1, bitorder="little")
    return np.packbits(elements[:, :bits], bitorder="little").tobytes()


def every_tensor(*, raw: bool) -> Iterator[Any]:
    """A tensor of each dtype, with raw data or in its typed field."""
    for number, name in ((v, k) for k, v in TensorProto.DataType.items()):
        if name in ("UNDEFINED", "STRING"):
            continue
        dtype = helper.tensor_dtype_to_np_dtype(number)
        values = np.array([0, 1, 3, 1, 0]).astype(dtype)
        if raw:
            yield numpy_helper.from_array(values, name)
        else:
            yield helper.make_tensor(name, number, [5], values.tolist())


@pytest.mark.parametrize("raw", [True, False])
def test_every_dtype_is_equal_bit_for_bit(raw: bool) -> None:
    protos = {proto.name: proto for proto in every_tensor(raw=raw)}
    assert len(protos) >= 22
    assert_equal_to_onnx(read(model(list(protos.values()))), protos)


def test_elements_of_six_bits() -> None:
    values = np.arange(300_001) % 64
    packed = np.packbits(
        np.unpackbits(values.astype(np.uint8)[:, None], axis=1, bitorder="little")[:, :6],
        bitorder="little",
    )
    source = _file(_tensor((5, values.astype(np.uint8).tobytes()), dims=(300_001,), dtype=27))
    artifact = source_format.read(source)
    assert st.tensor_bytes(artifact, artifact.tensors[0]) == packed.tobytes()


def test_forms_of_data() -> None:
    make = helper.make_tensor
    long = [-1, 2**62, 0, -(2**63)] * 40_000
    protos = [
        make("scalar", TensorProto.FLOAT, [], [2.5]),
        make("empty", TensorProto.FLOAT, [0, 3], []),
        make("empty_int", TensorProto.INT64, [0], []),
        make("long", TensorProto.INT64, [160_000], long),
        make("strings", TensorProto.STRING, [2, 2], [b"a", b"", b"x" * 300, "µ".encode()]),
        make("no_strings", TensorProto.STRING, [0], []),
        make("negative", TensorProto.INT8, [3], [-128, -1, 127]),
        make("complex", TensorProto.COMPLEX64, [2], [1 + 2j, 3 - 4j]),
        make(
            "weights", TensorProto.FLOAT, [50_000], np.ones(50_000, "float32").tobytes(), raw=True
        ),
    ]
    artifact = read(model(protos))
    assert_equal_to_onnx(artifact, {proto.name: proto for proto in protos})
    places = {tensor.name: tensor.path for tensor in artifact.tensors}
    in_file = {name for name, path in places.items() if path == "net.onnx"}
    assert {"scalar", "complex", "weights", "empty", "empty_int"} <= in_file
    assert places["long"] == "net.onnx.derived/tensors.safetensors"
    assert artifact.components[1].derived_from == "net.onnx"


def test_packed_field_in_pieces() -> None:
    tensor = ww.fields(
        (1, 2), (2, 1), (4, struct.pack("<f", 1)), (4, struct.pack("<f", 2)), (8, "w")
    )
    artifact = source_format.read(_file(ww.field(5, tensor)))
    assert st.tensor_bytes(artifact, artifact.tensors[0]) == struct.pack("<ff", 1, 2)


@pytest.mark.parametrize("folder", ["", "weights/"])
def test_external_data(tmp_path: Path, folder: str) -> None:
    values = {name: np.arange(20_000, dtype="float32") + n for n, name in enumerate("ab")}
    proto = model([numpy_helper.from_array(value, name) for name, value in values.items()])
    path = tmp_path / "net.onnx"
    (tmp_path / folder).mkdir(exist_ok=True)
    onnx.save_model(
        proto, str(path), save_as_external_data=True, location=f"{folder}net.data", size_threshold=0
    )
    source = st.tree_of(path)
    assert source_format.companions(source) == (f"{folder}net.data",)
    assert st.rule_of(lambda: source_format.read(source)) == "ONX-02"
    data = (tmp_path / folder / "net.data").read_bytes()
    artifact = source_format.read(st.with_file(source, f"{folder}net.data", data))
    stored = onnx.load(str(path), load_external_data=False).graph.initializer
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # onnx warns of its own loader
        assert_equal_to_onnx(artifact, {p.name: p for p in stored}, str(tmp_path))
    assert {tensor.path for tensor in artifact.tensors} == {f"{folder}net.data"}
    assert artifact.components[0].files == tuple(sorted(("net.onnx", f"{folder}net.data")))


def test_graph_facts() -> None:
    inner = helper.make_graph(
        [helper.make_node("Add", ["x", "bias"], ["z"])], "then", [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
        initializer=[helper.make_tensor("bias", TensorProto.FLOAT, [1], [1.0])],
    )  # fmt: skip
    nodes = [
        helper.make_node("If", ["c"], ["z"], name="choice", then_branch=inner, else_branch=inner),
        helper.make_node("Gelu", ["z"], ["g"], domain="com.microsoft"),
        helper.make_node("Twice", ["g"], ["y"], domain="local"),
    ]
    twice = helper.make_function(
        "local", "Twice", ["a"], ["b"], [helper.make_node("Mul", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 18)],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("local", 1)]
    proto = model([], nodes=nodes, functions=[twice], opset_imports=opsets, ir_version=9)
    value = helper.make_tensor_value_info("c", TensorProto.BOOL, [])
    proto.graph.input.append(value)
    proto.graph.initializer.append(helper.make_tensor("c", TensorProto.BOOL, [], [True]))
    artifact = read(proto)
    assert artifact.requirements.ops == {"If", "Add", "Mul", "com.microsoft::Gelu"}
    (signature,) = artifact.signatures
    assert signature.name == "net"
    assert signature.inputs == (Port("x", "float32", ("batch", 3, None)),)
    assert signature.outputs == (Port("y", "float32", None),)
    names = {tensor.name for tensor in artifact.tensors}
    assert names == {"c", "choice/then_branch/0/bias", "choice/else_branch/0/bias"}
    assert artifact.components[0].properties == {
        "ir_version": 9, "opsets": {"ai.onnx": 18, "local": 1}, "producer": "tests",
    }  # fmt: skip


def test_sparse_initialisers() -> None:
    values = helper.make_tensor("s", TensorProto.FLOAT, [2], [1.0, 2.0])
    indices = helper.make_tensor("", TensorProto.INT64, [2], [0, 5])
    proto = model([])
    proto.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [9]))
    artifact = read(proto)
    assert {tensor.name: tensor.shape for tensor in artifact.tensors} == {
        "s/values": (2,), "s/indices": (2,),
    }  # fmt: skip


def test_signature_that_is_no_tensor_is_left_out_and_named() -> None:
    proto = model([])
    sequence = helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, None)
    proto.graph.output.append(sequence)
    artifact = read(proto)
    assert artifact.signatures == ()
    assert artifact.components[0].properties["omitted_signatures"] == ["net"]


def test_damaged_files_are_refused_or_read() -> None:
    protos = [*every_tensor(raw=True), *every_tensor(raw=False)]
    for number, proto in enumerate(protos):
        proto.name = f"t{number}"
    source = st.tree("net.onnx", data=model(protos).SerializeToString())
    assert st.survives(source, "net.onnx", source_format.read, 600, 100) > 150
    assert st.survives(source, "net.onnx", source_format.companions, 200, 50) > 0


# Inputs that no library writes


def _file(graph: bytes, **beside: bytes) -> Tree:
    return st.tree("n", n=ww.fields((1, 8), (7, graph)), **beside)


def _tensor(*more: tuple[int, ww.Value], dims: tuple[int, ...] = (2,), dtype: int = 1) -> bytes:
    dimensions = b"".join(ww.field(1, dim) for dim in dims)
    return ww.field(5, dimensions + ww.fields((2, dtype), (8, "w"), *more))


def _external(location: str, **entries: str) -> tuple[tuple[int, ww.Value], ...]:
    pairs = {"location": location} | entries
    return (*((13, ww.fields((1, k), (2, v))) for k, v in pairs.items()), (14, 1))


def _nested(depth: int) -> bytes:
    graph = b""
    for _ in range(depth):
        graph = ww.field(1, ww.field(5, ww.fields((1, "body"), (6, graph))))
    return graph


REFUSED = {
    "no graph": ("ONX-01", st.tree("n", n=ww.field(1, 8))),
    "truncated": ("ONX-01", st.tree("n", n=b"\x08\x08\x3a\x7f")),
    "depth": ("ONX-01", _file(_nested(40))),
    "dtype": ("ONX-01", _file(_tensor((9, bytes(8)), dtype=99))),
    "twice": ("ONX-01", _file(_tensor((9, bytes(8))) * 2)),
    "not packed": ("ONX-01", _file(_tensor((4, 1.0), (4, 2.0)))),
    "varints": ("ONX-01", _file(_tensor((7, b"\xff\xff"), dtype=7))),
    "long varint": ("ONX-01", _file(_tensor((7, b"\xff" * 11 + b"\0\0"), dtype=7))),
    "strings": ("ONX-01", _file(_tensor((6, b"x"), dtype=8))),
    "sparse": ("ONX-01", _file(ww.field(15, ww.field(1, b"")))),
    "offset": ("ONX-01", _file(_tensor(*_external("d", offset="-1")), d=bytes(8))),
    "missing": ("ONX-02", _file(_tensor(*_external("d")))),
    "escape": ("ONX-02", _file(_tensor(*_external("../d")), d=bytes(8))),
    "absolute": ("ONX-02", _file(_tensor(*_external("/etc/passwd")))),
    "backslash": ("ONX-02", _file(_tensor(*_external("a\\d")))),
    "itself or empty": ("ONX-02", _file(_tensor(*_external("")))),
    "length": ("ONX-03", _file(_tensor((9, bytes(7))))),
    "no data": ("ONX-03", _file(_tensor())),
    "count": ("ONX-03", _file(_tensor((7, b"\1\1\1"), dtype=7))),
    "negative": ("ONX-03", _file(_tensor((9, b""), dims=(-1,)))),
    "rank": ("ONX-03", _file(_tensor((9, bytes(4)), dims=(1,) * 33))),
    "shape bomb": ("ONX-03", _file(_tensor((9, bytes(4)), dims=(1 << 50,) * 9))),
    "past the end": ("ONX-03", _file(_tensor(*_external("d", offset="4", length="8")), d=bytes(8))),
    "outside": ("ONX-03", _file(_tensor(*_external("d", offset="99")), d=bytes(8))),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_models(what: str) -> None:
    rule, source = REFUSED[what]
    assert st.rule_of(lambda: source_format.read(source)) == rule


def test_what_is_no_model() -> None:
    for data in (b"", b"{}", b"\x08\x08", b"\x3a\x00", ww.fields((1, 8), (7, 1)), b"PK\3\4" * 9):
        assert not source_format.recognise(st.tree("n", n=data))


# TFLite


def _flatbuffer(root: int = 16, back: int = 8, version: int = 3) -> bytes:
    table = struct.pack("<HHHxx", 6, 8, 4) + struct.pack("<iI", back, version)
    return struct.pack("<I4s", root, b"TFL3") + table


def test_tflite() -> None:
    source = st.tree("m.tflite", data=_flatbuffer())
    assert tflite.recognise(source)
    artifact = tflite.read(source)
    (component,) = artifact.components
    assert (component.kind, component.properties) == ("tflite", {"version": 3})
    assert artifact.tensors == ()


@pytest.mark.frameworks
def test_tflite_from_tensorflow(capfd: Any) -> None:
    tf = pytest.importorskip("tensorflow")

    class Double(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec([2], tf.float32)])  # type: ignore[untyped-decorator]
        def __call__(self, x: Any) -> Any:
            return x + x

    net = Double()
    function = net.__call__.get_concrete_function()
    data = tf.lite.TFLiteConverter.from_concrete_functions([function], net).convert()
    source = st.tree("m.tflite", data=data)
    assert tflite.recognise(source)
    assert tflite.read(source).components[0].properties == {"version": 3}
    st.survives(source, "m.tflite", tflite.read, 300, 50)


@pytest.mark.parametrize(
    "data",
    [b"", b"\x10\0\0\0TFL", _flatbuffer()[:4] + b"TFL9" + _flatbuffer()[8:], _flatbuffer(999),
     _flatbuffer(back=1 << 20), _flatbuffer(back=-(1 << 20)), _flatbuffer()[:-2]],
    ids=range(7),
)  # fmt: skip
def test_malformed_tflite(data: bytes) -> None:
    assert st.rule_of(lambda: tflite.read(st.tree("m.tflite", data=data))) == "TFL-01"


def test_rules_have_one_check_each() -> None:
    assert {"ONX-01", "ONX-02", "ONX-03", "TFL-01"} <= CHECKS.keys()
