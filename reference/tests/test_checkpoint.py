from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import google_crc32c
import jsonschema
import ml_dtypes
import numpy as np
import pytest
import source_trees as st
import wire_writer as ww
from hypothesis import given, settings
from hypothesis import strategies as hs

from modelbundle.core import strings
from modelbundle.core.blobs import BytesBlob
from modelbundle.core.findings import CHECKS
from modelbundle.sources import protobuf_wire
from modelbundle.sources.artifact import Artifact, Tree
from modelbundle.sources.protobuf_wire import BYTES, TEXT, UINT, Message, WireError
from modelbundle.sources.tensorflow import (
    checkpoint,
    leveldb_table,
    object_graph,
    sliced_tensors,
    tensor_bundle,
)
from modelbundle.sources.tensorflow.checkpoint_variables import by_name as tf1_variables

SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
SCHEMA = Path(__file__).parents[2] / "schemas" / "object_graph.schema.json"


@pytest.fixture(scope="session")
def tf() -> Any:
    return pytest.importorskip("tensorflow")


def save(tf: Any, prefix: Path, tensors: dict[str, Any], slices: list[str] | None = None) -> None:
    """Tensors as TensorFlow itself saves them, keys and slices free."""
    names = list(tensors)
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=names,
        shape_and_slices=slices or [""] * len(names),
        tensors=list(tensors.values()),
    )


def assert_equal_to_tensorflow(tf: Any, prefix: Path, artifact: Artifact, folder: str = "") -> None:
    """Every tensor that TensorFlow lists is listed, and has the bytes that TensorFlow returns."""
    reader = tf.train.load_checkpoint(str(prefix))
    listed = st.by_name(artifact, "tensorflow.checkpoint")
    shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    assert {folder + key for key in shapes} <= listed.keys()
    for key, shape in shapes.items():
        tensor = listed[folder + key]
        assert list(tensor.shape) == shape
        assert tensor.dtype == dtypes[key].name.replace("half", "float16")
        data, value = st.tensor_bytes(artifact, tensor), reader.get_tensor(key)
        if tensor.dtype == "string":
            ours = strings.decode(data, tensor.shape, key)
            assert ours.tolist() == (value if isinstance(value, bytes) else value.tolist())
        else:
            assert data == np.asarray(value).tobytes(), key


@pytest.mark.frameworks
def test_every_dtype_is_equal_bit_for_bit(tf: Any, tmp_path: Path) -> None:
    numbers = np.array([[0, 1, 100], [7, 5, 3]])
    names = [
        "int8",
        "uint8",
        "int16",
        "uint16",
        "int32",
        "uint32",
        "int64",
        "uint64",
        "float16",
        "float32",
        "float64",
    ]
    tensors = {f"n/{name}": tf.constant(numbers.astype(name)) for name in names}
    floats = ["bfloat16", "float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz",
              "float8_e4m3b11fnuz", "float8_e5m2fnuz", "int4", "uint4"]  # fmt: skip
    for name in floats:
        values = numbers % 8
        tensors[f"m/{name}"] = tf.constant(values.astype(getattr(ml_dtypes, name)))
    tensors |= {
        "bool": tf.constant([True, False]),
        "complex64": tf.constant(np.array([1 + 2j, np.nan], "complex64")),
        "complex128": tf.constant(np.array([1 + 2j, -0.0], "complex128")),
        "qint8": tf.bitcast(tf.constant([1, -2], tf.int8), tf.qint8),
        "quint16": tf.bitcast(tf.constant([1, 2], tf.uint16), tf.quint16),
        "qint32": tf.bitcast(tf.constant([1, 2], tf.int32), tf.qint32),
        "nan": tf.constant(np.array([0x7FC00001, 0xFFFFFFFF], "uint32").view("float32")),
        "scalar": tf.constant(3.5),
        "empty": tf.zeros([0, 3]),
        "empty_strings": tf.constant([], tf.string, [0, 2]),
        "string": tf.constant("a string"),
        "strings": tf.constant([[b"", b"\x00\xff"], [b"x" * 300, "µ"]]),
        "rank9": tf.zeros([1, 2, 1, 2, 1, 2, 1, 2, 1]),
        "a name with spaces/µ": tf.constant(1),
    }
    save(tf, tmp_path / "all", tensors)
    source = st.tree_of(tmp_path / "all")
    assert checkpoint.recognise(source)
    artifact = checkpoint.read(source)
    assert_equal_to_tensorflow(tf, tmp_path / "all", artifact)
    assert len(artifact.tensors) == len(tensors)
    checkpoint.verify_checksums(source)
    (component,) = artifact.components
    assert (component.id, component.kind) == ("all", "tensorflow.checkpoint")
    assert component.properties == {"prefix": "", "keys": "name", "shards": 1}


def _slices(value: np.ndarray[Any, Any], axis: int, cuts: list[int]) -> list[tuple[str, Any]]:
    """Specs and values of slices along `axis`, as variable partitioning writes them."""
    found = []
    for start, end in zip(cuts, [*cuts[1:], value.shape[axis]], strict=True):
        extents = [f"{start},{end - start}" if at == axis else "-" for at in range(value.ndim)]
        shape = " ".join(map(str, value.shape))
        where = tuple(slice(start, end) if at == axis else slice(None) for at in range(value.ndim))
        found.append((f"{shape} {':'.join(extents)}", value[where]))
    return found


@pytest.mark.frameworks
@pytest.mark.parametrize("chunk", [4, 1 << 20])
def test_slices_by_a_sharding_policy(
    tf: Any, tmp_path: Path, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fills each shard, and so cuts along one axis, then along another."""
    monkeypatch.setattr(sliced_tensors, "CHUNK_BYTES", chunk)
    shapes = [(20, 20), (20, 20), (40, 20)]
    values = [np.random.default_rng(0).random(shape).astype("float32") for shape in shapes]
    policy = tf.train.experimental.MaxShardSizePolicy(max_shard_size=1700)
    options = tf.train.CheckpointOptions(experimental_sharding_callback=policy)
    tf.train.Checkpoint(v=[tf.Variable(value) for value in values]).write(
        str(tmp_path / "cut"), options=options
    )
    artifact = checkpoint.read(st.tree_of(tmp_path / "cut"))
    checkpoint.verify_checksums(st.tree_of(tmp_path / "cut"))
    assert_equal_to_tensorflow(tf, tmp_path / "cut", artifact)


@pytest.mark.frameworks
@pytest.mark.parametrize("chunk", [4, 1 << 20])
def test_slices_are_one_range(
    tf: Any, tmp_path: Path, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sliced_tensors, "CHUNK_BYTES", chunk)
    value = np.arange(6 * 10 * 4, dtype="float32").reshape(6, 10, 4)
    parts = {
        "rows": _slices(value, 0, [0, 1, 4]),
        "columns": _slices(value, 1, [0, 3, 4, 9]),
        "depth": _slices(value.astype("int16"), 2, [0, 3]),
        "one": _slices(value, 0, [0]),
        "line": _slices(value[:1], 1, [0, 5]),
    }
    names, specs, values = [], [], []
    for name, slices in parts.items():
        for spec, part in slices:
            names.append(name)
            specs.append(spec)
            values.append(tf.constant(part))
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "cut"), tensor_names=[*names, "whole"],
        shape_and_slices=[*specs, ""], tensors=[*values, tf.constant(1.0)],
    )  # fmt: skip
    artifact = checkpoint.read(st.tree_of(tmp_path / "cut"))
    checkpoint.verify_checksums(st.tree_of(tmp_path / "cut"))
    assert_equal_to_tensorflow(tf, tmp_path / "cut", artifact)
    places = {tensor.name: tensor.path for tensor in artifact.tensors}
    in_shard = {name for name, path in places.items() if path == "cut.data-00000-of-00001"}
    assert in_shard == {"rows", "one", "line", "whole"}
    assert places["columns"] == "cut.derived/tensors.safetensors"
    assert [c.id for c in artifact.components] == ["cut", "cut.derived/tensors.safetensors"]


def test_slice_keys_are_ordered_codes() -> None:
    key = tensor_bundle.slice_key(b"v\x00\xff", [(0, -1), (64, 8191), (-65, 1 << 40)])
    ordered = [0x80, 0x7F, 0xC040, 0xDFFF, 0x3FBF, 0xFC << 40 | 1 << 40]
    expected = b"".join(n.to_bytes((n.bit_length() + 7) // 8 or 1, "big") for n in ordered)
    assert key == b"\0v\x00\xff\xff\x00\x00\x01\x01\x03" + expected


@pytest.mark.frameworks
def test_merged_shards(tf: Any, tmp_path: Path) -> None:
    save(tf, tmp_path / "a", {"one": tf.range(5), "two": tf.constant(["x", "y"])})
    save(tf, tmp_path / "b", {"three": tf.ones([2, 2], tf.bfloat16)})
    tf.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=[str(tmp_path / "a"), str(tmp_path / "b")],
        destination_prefix=str(tmp_path / "all"),
    )
    source = st.tree_of(tmp_path / "all")
    artifact = checkpoint.read(source)
    checkpoint.verify_checksums(source)
    assert_equal_to_tensorflow(tf, tmp_path / "all", artifact)
    assert artifact.components[0].properties["shards"] == 2
    missing = st.with_file(source, "all.data-00001-of-00002", None)
    assert st.rule_of(lambda: checkpoint.read(missing)) == "TFC-02"


@pytest.mark.frameworks
def test_tensorflow_1_saver(tf: Any, tmp_path: Path) -> None:
    v1 = tf.compat.v1
    (tmp_path / "old").mkdir()
    with tf.Graph().as_default(), v1.Session() as session:
        partitioner = v1.fixed_size_partitioner(2)
        with v1.variable_scope("dense", use_resource=True):
            kernel = v1.get_variable("kernel", [3, 4])
        with v1.variable_scope("parts", partitioner=partitioner, use_resource=True):
            table = v1.get_variable("table", [5, 2])
        loss = tf.reduce_sum(kernel**2) + tf.reduce_sum(tf.convert_to_tensor(table) ** 2)
        step = v1.train.get_or_create_global_step()
        train = v1.train.AdamOptimizer().minimize(loss, global_step=step)
        session.run(v1.global_variables_initializer())
        session.run(train)
        saver = v1.train.Saver(sharded=True)
        prefix = Path(saver.save(session, str(tmp_path / "old" / "model.ckpt"), global_step=1))
    artifact = checkpoint.read(st.tree_of(prefix))
    assert_equal_to_tensorflow(tf, prefix, artifact)
    found = {tensor.name: tensor for tensor in artifact.tensors}
    assert found["dense/kernel/Adam"].role == "optimizer"
    assert found["dense/kernel/Adam"].attributes == {"slot": "Adam", "of": "dense/kernel"}
    assert found["beta1_power"].role == "optimizer"
    assert found["dense/kernel"].role == found["global_step"].role == "other"
    assert found["parts/table"].shape == (5, 2)
    assert found["dense/kernel"].names["tensorflow.variable"] == "dense/kernel"


def test_tensorflow_1_names() -> None:
    shapes: dict[str, tuple[int, ...]] = {
        "w": (2,),
        "w/Momentum": (2,),
        "w/Adam": (3,),
        "w/x": (2,),
    }
    found = tf1_variables(shapes | {"w/ExponentialMovingAverage": (2,)})
    assert {key for key, v in found.items() if v.of} == {"w/Momentum", "w/ExponentialMovingAverage"}
    assert found["w/Adam"].role == "other"
    assert found["w/ExponentialMovingAverage"].role == "non-trainable"


@pytest.fixture(scope="session")
def keras_checkpoints(tf: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints of one small model: `old/ck-1` legacy Adam, `new`, `k3/ck-1`, `several`."""
    import keras
    import tf_keras

    folder = tmp_path_factory.mktemp("keras_checkpoints")
    for library in (keras, tf_keras):
        library.backend.clear_session()  # Keras numbers names over the whole process

    def build(k: Any) -> Any:
        layers = k.layers
        named = layers.Dense(2, name="dense"), layers.BatchNormalization(name="norm")
        return k.Sequential([layers.Input((3,)), *named, layers.Dropout(0.5)], name="sequential")

    x, y = np.ones((4, 3)), np.ones((4, 2))
    old = build(tf_keras)
    old.compile(tf_keras.optimizers.legacy.Adam(), "mse")
    old.fit(x, y, verbose=0)
    step = tf.Variable(1)
    saver = tf.train.Checkpoint(model=old, optimizer=old.optimizer, step=step)
    saver.save(str(folder / "old" / "ck"))
    new = build(tf_keras)
    new.compile("adam", "mse")
    new.fit(x, y, verbose=0)
    new.save_weights(str(folder / "new"))
    k3 = build(keras)
    k3.compile("adam", "mse")
    k3.fit(x, y, verbose=0)
    tf.train.Checkpoint(model=k3, optimizer=k3.optimizer).save(str(folder / "k3" / "ck"))
    for name in ("several/ck-1", "several/ck-2", "empty/"):
        tf.train.Checkpoint(v=tf.Variable([1.0, 2.0])).write(str(folder) + "/" + name)
    (folder / "several" / "checkpoint").write_text('model_checkpoint_path: "ck-2"\n')
    return folder


SLOTS = {
    "old/ck-1": ("m", "v", "Adam/dense/kernel/m"),
    "new": ("m", "v", "Adam/m/dense/kernel"),
    "k3/ck-1": ("momentum", "velocity", "adam/sequential_dense_kernel_momentum"),
}


@pytest.mark.frameworks
@pytest.mark.parametrize("name", SLOTS)
def test_keras_names_roles_and_slots(tf: Any, keras_checkpoints: Path, name: str) -> None:
    first, second, full_name = SLOTS[name]
    prefix = keras_checkpoints / name
    source = st.tree_of(prefix)
    artifact = checkpoint.read(source)
    checkpoint.verify_checksums(source)
    assert_equal_to_tensorflow(tf, prefix, artifact)
    model = "sequential/" if "k3" in name else ""
    found = {tensor.name: tensor for tensor in artifact.tensors}
    kernel = found[f"{model}dense/kernel"]
    assert (kernel.role, kernel.names["keras"]) == ("trainable", f"{model}dense/kernel")
    assert found[f"{model}norm/moving_mean"].role == "non-trainable"
    for slot in (first, second):
        for variable in ("dense/kernel", "dense/bias", "norm/gamma"):
            tensor = found[f"optimizer/{slot}/{model}{variable}"]
            of = found[f"{model}{variable}"].names["tensorflow.checkpoint"]
            assert tensor.role == "optimizer"
            assert tensor.attributes == {"slot": slot, "of": of}
    slot = found[f"optimizer/{first}/{model}dense/kernel"]
    assert slot.names["tensorflow.variable"] == full_name
    optimizer = {tensor.name for tensor in artifact.tensors if tensor.role == "optimizer"}
    own = {name for name in optimizer if not name.startswith("optimizer/")}
    assert {name.rpartition("/")[2] for name in own} >= {"learning_rate"}
    assert all(name.lower().startswith(("adam/", "iteration", "learning_rate")) for name in own)
    assert found["_CHECKPOINTABLE_OBJECT_GRAPH"].role == "other"


@pytest.mark.frameworks
def test_object_graph_file(tf: Any, keras_checkpoints: Path) -> None:
    from tensorflow.core.protobuf import trackable_object_graph_pb2

    prefix = keras_checkpoints / "old" / "ck-1"
    artifact = checkpoint.read(st.tree_of(prefix))
    (file,) = [file for file in artifact.files if file.role == "derived"]
    assert file.path == "ck-1.derived/object_graph.json"
    assert file.path in artifact.components[0].files
    document = json.loads(file.blob.read(0, file.blob.size))
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).validate(document)
    graph = trackable_object_graph_pb2.TrackableObjectGraph()
    reader = tf.train.load_checkpoint(str(prefix))
    graph.ParseFromString(reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH"))
    assert len(document["nodes"]) == len(graph.nodes)
    for ours, theirs in zip(document["nodes"], graph.nodes, strict=True):
        children = {child.local_name: child.node_id for child in theirs.children}
        assert ours.get("children", {}) == children
        keys = [(value.full_name, value.checkpoint_key) for value in theirs.attributes]
        values = [(value.get("full_name", ""), value["key"]) for value in ours.get("values", [])]
        assert values == keys
        slots = [(s["variable"], s["slot"], s["value"]) for s in ours.get("slots", [])]
        assert slots == [
            (s.original_variable_node_id, s.slot_name, s.slot_variable_node_id)
            for s in theirs.slot_variables
        ]


@pytest.mark.frameworks
def test_directories(tf: Any, keras_checkpoints: Path) -> None:
    several = st.tree_of(keras_checkpoints / "several")
    artifact = checkpoint.read(several)
    for name in ("ck-1", "ck-2"):
        prefix = keras_checkpoints / "several" / name
        assert_equal_to_tensorflow(tf, prefix, artifact, f"{name}/")
    assert {file.path for file in artifact.files if file.role == "source"} == set(several.files)
    ids = [component.id for component in artifact.components]
    assert ids == ["several", "several/ck-1.index", "several/ck-2.index"]
    assert artifact.components[0].properties == {"prefixes": ["ck-1", "ck-2"]}
    assert {c.derived_from for c in artifact.components[1:]} == {"several"}
    assert "several.derived/ck-2/object_graph.json" in artifact.components[2].files
    one = checkpoint.read(st.tree_of(keras_checkpoints / "old"))
    assert one.components[0].properties["prefix"] == "ck-1"


@pytest.mark.frameworks
def test_empty_basename(tf: Any, keras_checkpoints: Path) -> None:
    source = st.tree_of(keras_checkpoints / "empty")
    assert set(source.files) == {"empty/.index", "empty/.data-00000-of-00001"}
    artifact = checkpoint.read(source)
    checkpoint.verify_checksums(source)
    values = st.by_name(artifact, "tensorflow.checkpoint")
    assert st.tensor_bytes(artifact, values[f"v{SUFFIX}"]) == struct.pack("<ff", 1, 2)


@pytest.mark.frameworks
def test_damaged_files_are_refused_or_read(keras_checkpoints: Path) -> None:
    source = st.tree_of(keras_checkpoints / "old" / "ck-1")
    index, data = "ck-1.index", "ck-1.data-00000-of-00001"
    assert st.survives(source, index, checkpoint.read, 1500, 300) == 1800
    assert st.survives(source, data, checkpoint.verify_checksums, 300, 30) == 330
    assert st.survives(source, data, checkpoint.read, 300, 30) > 250


# Inputs that no library writes


def bundle(entries: dict[bytes, bytes], data: bytes = b"", header: bytes = ww.HEADER) -> Tree:
    """A checkpoint `c` of one shard."""
    index = ww.table({b"": header} | dict(sorted(entries.items())))
    return st.tree("c", **{"c.index": index, "c.data-00000-of-00001": data})


def graph_bundle(graph: bytes) -> Tree:
    """A checkpoint whose only tensor is an object graph, its checksum right."""
    length = struct.pack("<I", len(graph))
    checksum = struct.pack("<I", ww.masked(google_crc32c.value(length)))
    crc = google_crc32c.value(length + checksum + graph)
    data = ww.varint(len(graph)) + checksum + graph
    row = ww.entry(7, (), (0, len(data)), crc=crc)
    return bundle({b"_CHECKPOINTABLE_OBJECT_GRAPH": row}, data)


def tables() -> Iterator[tuple[str, bytes]]:
    header = b"\0\0" + ww.varint(len(ww.HEADER)) + ww.HEADER
    good = ww.table({b"": ww.HEADER, b"a": ww.entry(1, (), (0, 4))})
    yield "empty", b""
    yield "magic", good[:-1] + b"\0"
    yield "padding", good[:-9] + b"\1" + good[-8:]
    yield "block crc", bytes([good[0] ^ 1]) + good[1:]
    yield "snappy", ww.table({b"": ww.HEADER}, kind=1)
    yield "order", ww.table({b"": ww.HEADER, b"b": ww.entry(1, (0,)), b"a": ww.entry(1, (0,))})
    yield "twice", ww.table_of(ww.sealed(header * 2 + struct.pack("<II", 0, 1)))
    yield "shared", ww.table_of(ww.sealed(b"\5\1\0a" + struct.pack("<II", 0, 1)))
    yield "value", ww.table_of(ww.sealed(b"\0\1\x7fa" + struct.pack("<II", 0, 1)))
    yield "restarts", ww.table_of(ww.sealed(struct.pack("<II", 0, 1 << 31)))
    yield "varint", ww.table_of(ww.sealed(b"\xff" * 11 + struct.pack("<II", 0, 1)))
    yield "long key", ww.table({b"": ww.HEADER, b"k" * 5000: ww.entry(1, ())})
    yield "not UTF-8", ww.table({b"": ww.HEADER, b"\xff": ww.entry(1, ())})
    yield "wire type", ww.table({b"": ww.HEADER, b"a": b"\x0b"})
    yield "type of field", ww.table({b"": ww.HEADER, b"a": ww.field(1, b"x")})
    handle = ww.varint(1 << 40) + ww.varint(8)
    yield "handle", b"\0" * 64 + (handle * 2).ljust(40, b"\0") + good[-8:]


@pytest.mark.parametrize(("what", "index"), list(tables()), ids=lambda value: str(value)[:20])
def test_malformed_tables(what: str, index: bytes) -> None:
    files = {"c.index": BytesBlob(index), "c.data-00000-of-00001": BytesBlob(b"1234")}
    source = Tree("c", files)
    assert st.rule_of(lambda: tensor_bundle.read_bundle(source.files, "c")) == "TFC-01"


def test_keys_that_multiply_are_refused() -> None:
    row = ww.entry(1, (0,))
    entries = b"".join(
        ww.varint(at) + b"\1" + ww.varint(len(row)) + b"k" + row for at in range(4000)
    )
    blob = BytesBlob(ww.table_of(ww.sealed(b"\0\0\0" + entries[3:] + struct.pack("<II", 0, 1))))
    with pytest.raises(leveldb_table.TableError, match="bytes"):
        list(leveldb_table.entries(blob))


REFUSED = {
    "no header": ("TFC-06", {}, b"", None),
    "big-endian": ("TFC-06", {}, b"", ww.fields((1, 1), (2, 1))),
    "version": ("TFC-06", {}, b"", ww.fields((1, 1), (3, ww.field(2, 2)))),
    "no shards": ("TFC-02", {}, b"", ww.fields((1, 0))),
    "many shards": ("TFC-02", {}, b"", ww.fields((1, 1 << 40))),
    "past the end": ("TFC-04", {b"a": ww.entry(1, (), (1, 4))}, b"1234", ww.HEADER),
    "overflow": ("TFC-04", {b"a": ww.entry(1, (), (-4, 4))}, b"1234", ww.HEADER),
    "too short": ("TFC-04", {b"a": ww.entry(1, (2,), (0, 4))}, b"1234", ww.HEADER),
    "negative": ("TFC-04", {b"a": ww.entry(1, (-1,), (0, 4))}, b"1234", ww.HEADER),
    "rank": ("TFC-04", {b"a": ww.entry(1, (1,) * 33, (0, 4))}, b"1234", ww.HEADER),
    "shape bomb": ("TFC-04", {b"a": ww.entry(1, (1 << 52,) * 9, (0, 4))}, b"1234", ww.HEADER),
    "string bomb": ("TFC-04", {b"a": ww.entry(7, (1 << 50,), (0, 4))}, b"1234", ww.HEADER),
    "shard": ("TFC-04", {b"a": ww.entry(1, (), (0, 4), more=ww.field(3, 1))}, b"1234", ww.HEADER),
    "variant": ("TFC-05", {b"a": ww.entry(21, (), (0, 4))}, b"1234", ww.HEADER),
    "resource": ("TFC-05", {b"a": ww.entry(20, (), (0, 4))}, b"1234", ww.HEADER),
    "dtype": ("TFC-05", {b"a": ww.entry(99, (), (0, 4))}, b"1234", ww.HEADER),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_bundles(what: str) -> None:
    rule, entries, data, header = REFUSED[what]
    source = bundle(entries, data, header if header is not None else b"")
    if header is None:
        index = ww.table({b"a": ww.entry(1, (), (0, 0))})
        source = st.with_file(source, "c.index", index)
    assert st.rule_of(lambda: checkpoint.read(source)) == rule


def _extents(*pairs: tuple[int, int] | None) -> bytes:
    """One TensorSliceProto as field 7 of an entry; None is a whole dimension."""
    extents = (b"" if pair is None else ww.fields((1, pair[0]), (2, pair[1])) for pair in pairs)
    return ww.field(7, b"".join(ww.field(1, extent) for extent in extents))


@pytest.mark.parametrize(
    ("boxes", "tiles"),
    [
        ([((0, 1), (0, 3)), ((1, 2), (0, 1)), ((1, 1), (1, 2)), ((2, 1), (1, 2))], True),
        ([((0, 1), (0, 3)), ((1, 2), (0, 1)), ((1, 1), (1, 2)), ((2, 1), (1, 1))], False),
        ([((0, 1), (0, 3)), ((1, 2), (0, 2)), ((1, 1), (1, 2)), ((2, 1), (1, 2))], False),
        ([((0, 1), (0, 2)), ((0, 2), (2, 1)), ((2, 1), (1, 2)), ((1, 2), (0, 1)),
          ((1, 1), (1, 1))], False),
    ],
    ids=["cut twice", "hole", "overlap", "pinwheel"],
)  # fmt: skip
def test_slices_along_two_axes(boxes: list[Any], tiles: bool) -> None:
    value = np.arange(9, dtype="float32").reshape(3, 3)
    listed, data, entries = b"", b"", {}
    for (row, height), (column, width) in boxes:
        listed += _extents((row, height), (column, width))
        part = value[row : row + height, column : column + width].tobytes()
        key = tensor_bundle.slice_key(b"w", [(row, height), (column, width)])
        entries[key] = ww.entry(1, (height, width), (len(data), len(part)))
        data += part
    entries[b"w"] = ww.entry(1, (3, 3), more=listed)
    source = bundle(entries, data)
    if not tiles:
        assert st.rule_of(lambda: checkpoint.read(source)) == "TFC-08"
        return
    artifact = checkpoint.read(source)
    (tensor,) = artifact.tensors
    files = {file.path: file.blob for file in artifact.files}
    assert files[tensor.path].read(tensor.offset, tensor.length) == value.tobytes()


def sliced_bundle(slices: list[tuple[int, int]], pieces: list[tuple[int, int]]) -> Tree:
    """A float32 tensor `w` of shape (4,), its listed slices, and the slices that are there."""
    listed = b"".join(_extents(pair) for pair in slices)
    entries = {b"w": ww.entry(1, (4,), more=listed)}
    for start, length in pieces:
        key = tensor_bundle.slice_key(b"w", [(start, length)])
        entries[key] = ww.entry(1, (length,), (4 * start, 4 * length))
    return bundle(entries, bytes(16))


def test_slices_have_to_tile() -> None:
    good = [(0, 2), (2, 2)]
    artifact = checkpoint.read(sliced_bundle(good, good))
    assert [tensor.shape for tensor in artifact.tensors] == [(4,)]
    gap, overlap = [(0, 1), (2, 2)], [(0, 3), (2, 2)]
    for slices, pieces in [
        (good, good[:1]), (good[:1], good), (gap, gap), (overlap, overlap), (good[:1], good[:1]),
    ]:  # fmt: skip
        source = sliced_bundle(slices, pieces)
        assert st.rule_of(lambda source=source: checkpoint.read(source)) == "TFC-08"


NODE = ww.field(1, ww.field(1, ww.fields((1, 1), (2, "child"))))
GRAPHS = {
    "child": NODE,
    "slot": ww.field(1, ww.field(3, ww.fields((1, 0), (2, "m"), (3, 9)))),
    "twice": ww.field(1, ww.field(1, ww.fields((1, 0), (2, "a"))) * 2),
    "wire": b"\x0f",
    "not UTF-8": ww.field(1, ww.field(1, ww.fields((1, 0), (2, b"\xff")))),
    "length": b"\x0a\x7f",
    "integer": ww.field(1, 7),
}


@pytest.mark.parametrize("what", GRAPHS)
def test_malformed_object_graphs(what: str) -> None:
    assert st.rule_of(lambda: checkpoint.read(graph_bundle(GRAPHS[what]))) == "TFC-07"


def test_object_graph_with_cycles() -> None:
    graph = NODE + ww.field(1, ww.field(1, ww.fields((1, 0), (2, "parent"))))
    artifact = checkpoint.read(graph_bundle(graph))
    assert artifact.components[0].properties["keys"] == "object"


def test_slot_of_itself() -> None:
    values = ww.field(
        2, ww.fields((1, "VARIABLE_VALUE"), (2, "w"), (3, "_CHECKPOINTABLE_OBJECT_GRAPH"))
    )
    slot = ww.field(3, ww.fields((1, 0), (2, "m"), (3, 0)))
    artifact = checkpoint.read(graph_bundle(ww.field(1, values + slot)))
    assert artifact.tensors[0].role == "optimizer"


def test_object_graph_is_held_to_its_checksum() -> None:
    source = graph_bundle(NODE)
    path = "c.data-00000-of-00001"
    data = st.content(source, path)
    damaged = st.with_file(source, path, data[:-1] + b"!")
    assert st.rule_of(lambda: checkpoint.read(damaged)) == "TFC-03"


def test_string_lengths_that_lie() -> None:
    data = ww.varint(3) + bytes(4) + b"ab"
    crc = google_crc32c.value(struct.pack("<I", 3) + bytes(4) + b"ab")
    source = bundle({b"s": ww.entry(7, (1,), (0, len(data)), crc=crc)}, data)
    assert st.rule_of(lambda: checkpoint.verify_checksums(source)) == "TFC-03"


def test_wire_walker() -> None:
    table = {1: ("number", UINT), 2: ("text", TEXT), 3: ("list", UINT, True), 4: ("raw", BYTES)}
    packed = ww.fields((1, 150), (2, "é"), (3, 1), (3, b"\x02\x96\x01"), (4, b"x"), (9, 1.0))
    expected = {"number": 150, "text": "é", "list": [1, 2, 150], "raw": b"x"}
    assert Message.of(packed).decode(table) == expected
    large = ww.field(4, bytes(1 << 17)) + packed + ww.field(9, bytes(1 << 17))
    assert Message.of(large).decode(table) == expected
    for bad in (b"\x08", b"\x0b", b"\x00\x00", b"\x12\x05a", b"\x08" + b"\xff" * 11, b"\x0d\0\0"):
        with pytest.raises(WireError):
            Message.of(bad).decode(table)
        with pytest.raises(WireError):
            Message.of(ww.field(9, bytes(1 << 17)) + bad).decode(table)
    with pytest.raises(WireError, match="64 bits"):
        Message.of(b"\x08" + b"\xff" * 9 + b"\x02").decode(table)


def test_recognised_by_content_or_by_its_shards() -> None:
    good = bundle({})
    assert checkpoint.recognise(good)
    assert checkpoint.recognise(st.with_file(good, "c.data-00000-of-00001", None))
    broken = st.with_file(good, "c.index", b"no table")
    assert st.rule_of(lambda: checkpoint.read(broken)) == "TFC-01"
    assert not checkpoint.recognise(st.tree("c", **{"c/book.index": b"Aardvark 1"}))
    assert not checkpoint.recognise(st.tree("c", c=b"", **{"c.data-00000-of-00001": b""}))


def test_many_tensors_are_read_quickly() -> None:
    import time

    entry = {f"layer/{n:06}/kernel".encode(): ww.entry(1, (2,), (8 * n, 8)) for n in range(20_000)}
    source = bundle(entry, bytes(160_000))
    start = time.process_time()
    assert len(checkpoint.read(source).tensors) == 20_000
    assert time.process_time() - start < 3


def test_rules_have_one_check_each() -> None:
    assert {f"TFC-0{n}" for n in range(1, 9)} <= CHECKS.keys()


def test_lists_that_multiply_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    empty_nodes = ww.field(1, b"") * (1 << 10)
    monkeypatch.setattr(object_graph, "NODES", 1 << 9)
    assert st.rule_of(lambda: checkpoint.read(graph_bundle(empty_nodes))) == "TFC-07"
    monkeypatch.setattr(object_graph, "GRAPH_BYTES", 1 << 9)
    assert st.rule_of(lambda: checkpoint.read(graph_bundle(empty_nodes))) == "TFC-07"
    monkeypatch.setattr(protobuf_wire, "REPEATED", 3)
    with pytest.raises(WireError, match="list"):
        Message.of(ww.field(3, b"\1\2\3\4")).decode({3: ("list", UINT, True)})


@settings(max_examples=200, deadline=None)
@given(hs.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_wire_error(data: bytes) -> None:
    with contextlib.suppress(WireError):
        consumed = [len(v) if isinstance(v, Message) else v for _, v in Message.of(data)]
        assert sum(map(bool, consumed)) <= len(data)
    with contextlib.suppress(leveldb_table.TableError):
        list(leveldb_table.entries(BytesBlob(data)))


@given(hs.integers(-(1 << 62), 1 << 62), hs.integers(0, 1 << 62))
def test_slice_keys_keep_the_order_of_numbers(start: int, step: int) -> None:
    one, other = (tensor_bundle.slice_key(b"v", [(n, 1)]) for n in (start, start + step))
    assert (one < other) == (step > 0)
