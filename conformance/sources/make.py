"""Makes the fixtures of source formats, once: the bytes are committed, not this program's output.

Each fixture is a folder `FORMAT/NAME/` with the files that a person would give. The sound ones
come from h5py, Keras and TensorFlow, whose files differ from run to run and version to version,
so the conformance cases are generated from the committed bytes. Run it to add a fixture:

    python conformance/sources/make.py [FORMAT/NAME ...]    only those; without names, those missing
"""

from __future__ import annotations

import io
import json
import math
import struct
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import msgpack
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "reference" / "tests"))
import wire_writer as wire  # noqa: E402

Files = dict[str, bytes]
MADE: dict[str, Callable[[], Files]] = {}
KERNEL = np.arange(6, dtype="<f4").reshape(2, 3)


def fixture(name: str) -> Callable[[Callable[[], Files]], Callable[[], Files]]:
    """Note a function that makes the files of a fixture."""

    def note(make: Callable[[], Files]) -> Callable[[], Files]:
        MADE[name] = make
        return make

    return note


def hdf5(write: Callable[[Any], object], libver: str = "earliest") -> bytes:
    """An HDF5 file with a dataset `kernel` and a group `layer`, and what `write` adds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.h5"
        with h5py.File(path, "w", libver=libver) as file:
            file["kernel"] = KERNEL
            file["layer/step"] = np.int64(7)
        with h5py.File(path, "a", libver=libver) as file:
            write(file)
        return path.read_bytes()


def _virtual(file: Any) -> None:
    layout = h5py.VirtualLayout((2, 3), "<f4")
    layout[:] = h5py.VirtualSource("other.h5", "kernel", (2, 3))
    file.create_virtual_dataset("virtual", layout)


def _types(file: Any) -> None:
    values = {"float16": np.float16([1, 2]), "float64": np.float64([1]), "bool": np.array([True, False]),
              "complex64": np.complex64([1 + 2j]), "int8": np.int8([-1]), "uint64": np.uint64([2**63]),
              "bytes4": np.array([b"ab", b"abcd"]), "opaque": np.array([b"\0\1"]).view("V2")}  # fmt: skip
    for name, value in values.items():
        file[f"types/{name}"] = value
    file["types/empty"] = np.zeros((0, 3), "<f4")
    file["types/scalar"] = np.float32(0.5)


def _decoded(file: Any) -> None:
    file.create_dataset(
        "gzip", data=np.arange(64, dtype="<i4"), chunks=(16,), compression="gzip", shuffle=True
    )
    file.create_dataset("checked", data=np.arange(8, dtype="<i2"), chunks=(4,), fletcher32=True)
    file["big_endian"] = np.arange(4, dtype=">f8")
    file.create_dataset("fill", (3,), "<f4", fillvalue=2.5)


def _external(file: Any) -> None:
    file.create_dataset("outside", (3,), "<f4", external=[("/etc/hostname", 0, 12)])


def _links(kind: str) -> Callable[[Any], None]:
    links = {"soft": h5py.SoftLink("/kernel"), "external": h5py.ExternalLink("other.h5", "/kernel"),
             "dangling": h5py.SoftLink("/nothing")}  # fmt: skip

    def write(file: Any) -> None:
        file["layer/link"] = links[kind]

    return write


def _data(name: str, **options: Any) -> Callable[[Any], None]:
    return lambda file: file.create_dataset(name, **options)


_HDF5: dict[str, Callable[[Any], object]] = {
    "plain": lambda file: None,
    "types": _types,
    "decoded": _decoded,
    "attributes": lambda file: file.attrs.update({"a": "text", "b": [1.5, 2], "c": np.bytes_(b"x")}),
    "alias": lambda file: file["layer"].__setitem__("same", file["kernel"]),
    "external-storage": _external,
    "external-link": _links("external"),
    "soft-link": _links("soft"),
    "dangling-link": _links("dangling"),
    "virtual": _virtual,
    "lzf": _data("lzf", data=np.arange(64), chunks=(16,), compression="lzf"),
    "scale-offset": _data("scaled", data=np.arange(64), chunks=(16,), scaleoffset=0),
    "vlen-strings": _data("words", data=["a", "bb"], dtype=h5py.string_dtype()),
    "vlen-arrays": lambda file: file.create_dataset("ragged", (2,), h5py.vlen_dtype("<i4")),
    "references": lambda file: file.create_dataset("ref", data=file["kernel"].ref, dtype=h5py.ref_dtype),
    "compound": _data("rows", data=np.zeros(2, [("a", "<i4"), ("b", "<f4")])),
    "attribute-type": lambda file: file.attrs.create("layer_names", np.arange(3)),
    "group-cycle": lambda file: file["layer"].__setitem__("again", file["layer"]),
    "root-cycle": lambda file: file["layer"].__setitem__("root", file["/"]),
    "unwritten-bomb": lambda file: file.create_dataset("bomb", (2**40,), "<f4", chunks=(1024,)),
}  # fmt: skip
for _name, _write in _HDF5.items():
    MADE[f"hdf5/{_name}"] = lambda write=_write: {"net.h5": hdf5(write)}
MADE["hdf5/latest"] = lambda: {"net.h5": hdf5(_types, "latest")}


def _patched(old: bytes, new: bytes) -> Callable[[], Files]:
    def make() -> Files:
        data = (HERE / "hdf5/plain/net.h5").read_bytes()
        if data.count(old) < 1:
            raise ValueError("nothing to be replaced")
        return {"net.h5": data.replace(old, new, 1)}

    return make


DIMENSIONS = struct.pack("<QQ", 2, 3)
for _name, _old, _new in (
    ("shape-bomb", DIMENSIONS, struct.pack("<QQ", 2**40, 3)),
    ("shape-overflow", DIMENSIONS, struct.pack("<QQ", 2**63, 6)),
    ("shape-smaller", DIMENSIONS, struct.pack("<QQ", 2, 2)),
    ("superblock-version", b"\x89HDF\r\n\x1a\n\0", b"\x89HDF\r\n\x1a\n\x09"),
    ("tree-signature", b"TREE", b"TREF"),
    ("heap-signature", b"HEAP", b"HEAQ"),
    ("node-signature", b"SNOD", b"SNOE"),
):
    MADE[f"hdf5/{_name}"] = _patched(_old, _new)
MADE["hdf5/truncated"] = lambda: {"net.h5": (HERE / "hdf5/plain/net.h5").read_bytes()[:-24]}
MADE["hdf5/truncated-early"] = lambda: {"net.h5": (HERE / "hdf5/plain/net.h5").read_bytes()[:600]}

SEQUENTIAL = {
    "class_name": "Sequential",
    "config": {
        "name": "net",
        "layers": [
            {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 2], "dtype": "float32",
                                                    "sparse": False, "name": "x"}},
            {"class_name": "Dense", "config": {"name": "dense", "trainable": True, "units": 3,
                                               "activation": "linear", "use_bias": False}},
        ],
    },
    "keras_version": "2.15.0",
    "backend": "tensorflow",
}  # fmt: skip


def legacy(
    config: str | None = json.dumps(SEQUENTIAL),
    layer: str = "dense",
    weight: str = "dense/kernel:0",
) -> Files:
    """A whole-model HDF5 file as Keras 2 writes it."""

    def write(file: Any) -> None:
        if config is not None:
            file.attrs["model_config"] = config
        file.attrs["keras_version"], file.attrs["backend"] = "2.15.0", "tensorflow"
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = np.array([layer.encode()])
        group = weights.create_group("dense")
        group.attrs["weight_names"] = np.array([weight.encode()])
        group["dense/kernel:0"] = KERNEL

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.h5"
        with h5py.File(path, "w") as file:
            write(file)
        return {"net.h5": path.read_bytes()}


MADE["keras-hdf5/model"] = legacy
MADE["keras-hdf5/layer-missing"] = lambda: legacy(layer="densf")
MADE["keras-hdf5/weight-missing"] = lambda: legacy(weight="dense/kernel:1")
MADE["keras-hdf5/config-no-json"] = lambda: legacy("{'class_name': 'Sequential'}")
MADE["keras-hdf5/config-truncated"] = lambda: legacy(json.dumps(SEQUENTIAL)[:-1])


def keras_model() -> Any:
    """A small Keras 3 model."""
    import keras

    keras.utils.set_random_seed(1)
    layers = [keras.layers.Dense(3, name="dense"), keras.layers.Dropout(0.5, name="drop")]
    return keras.Sequential([keras.layers.Input((2,), name="x"), *layers], name="net")


def saved(name: str, save: Callable[[Any, Path], object]) -> Files:
    """The files that `save` writes for the small model, by their paths below its folder."""
    with tempfile.TemporaryDirectory() as folder:
        save(keras_model(), Path(folder) / name)
        return tree(Path(folder))


def tree(folder: Path) -> Files:
    """All files below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


MADE["keras-hdf5/weights-v3"] = lambda: saved(
    "net.weights.h5", lambda model, path: model.save_weights(path)
)
MADE["keras-archive/keras3"] = lambda: saved("net.keras", lambda model, path: model.save(path))
SHARD = "net_00000.weights.h5"


@fixture("keras-hdf5/sharded")
def sharded() -> Files:
    """Weights in shards."""
    return saved("net.weights.json", lambda model, path: model.save_weights(path, max_shard_size=1))


def _map(edit: Callable[[Any], object], without: str = "") -> Callable[[], Files]:
    def make() -> Files:
        files = tree(HERE / "keras-hdf5/sharded")
        value = json.loads(files["net.weights.json"])
        edit(value["weight_map"])
        files["net.weights.json"] = json.dumps(value).encode()
        return {path: data for path, data in files.items() if path != without}

    return make


def _first(new: str) -> Callable[[Any], None]:
    return lambda shards: shards.__setitem__(next(iter(shards)), new)


MADE["keras-hdf5/shard-missing"] = _map(lambda shards: None, without=SHARD)
MADE["keras-hdf5/shard-escapes"] = _map(_first("../net_00000.weights.h5"))
MADE["keras-hdf5/shard-lacks-tensor"] = _map(
    lambda shards: shards.update({"/layers/none/vars": SHARD})
)


@fixture("keras-archive/keras2")
def keras2() -> Files:
    """A `.keras` file of tf_keras."""
    import tf_keras

    tf_keras.utils.set_random_seed(1)
    with tempfile.TemporaryDirectory() as folder:
        model = tf_keras.Sequential(
            [tf_keras.layers.Dense(2, input_shape=(2,), name="dense")], name="net"
        )
        model.save(Path(folder) / "net.keras")
        return tree(Path(folder))


def _members() -> dict[str, bytes]:
    with zipfile.ZipFile(HERE / "keras-archive/keras3/net.keras") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _zip(members: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members:
            archive.writestr(
                zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, compress_type=method
            )
    return buffer.getvalue()


def _archive(
    edit: Callable[[bytes], bytes] = bytes,
    method: int = zipfile.ZIP_STORED,
    without: str = "",
    more: tuple[tuple[str, bytes], ...] = (),
) -> Callable[[], Files]:
    def make() -> Files:
        members = [(name, data) for name, data in _members().items() if name != without]
        return {"net.keras": edit(_zip([*members, *more], method))}

    return make


def _rename(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data.replace(old, new)


def _bomb(data: bytes) -> bytes:
    members = [*_members().items(), ("assets/zeros.bin", bytes(2_000_000))]
    return _zip(members, zipfile.ZIP_DEFLATED).replace(
        struct.pack("<I", 2_000_000), struct.pack("<I", 1000)
    )


_ARCHIVES = {
    "deflated": _archive(method=zipfile.ZIP_DEFLATED),
    "bytes-before": _archive(lambda data: b"x" * 8 + data),
    "bytes-after": _archive(lambda data: data + b"x"),
    "local-name": _archive(lambda data: data.replace(b"config.json", b"c0nfig.json", 1)),
    "second-disk": _archive(lambda data: data[:-18] + b"\1\0" + data[-16:]),
    "member-count": _archive(lambda data: data[:-12] + b"\2\0" + data[-10:]),
    "traversal": _archive(more=(("../evil.txt", b"x"),)),
    "absolute": _archive(more=(("/etc/evil", b"x"),)),
    "backslash": _archive(_rename(b"assets/a.txt", b"assets\\a.txt"), more=(("assets/a.txt", b"x"),)),
    "device": _archive(more=(("assets/nul.txt", b"x"),)),
    "duplicate": _archive(_rename(b"confog.json", b"config.json"), more=(("confog.json", b"{}"),)),
    "bzip2": _archive(method=zipfile.ZIP_BZIP2),
    "lzma": _archive(method=zipfile.ZIP_LZMA),
    "encrypted": _archive(_rename(b"PK\1\2\x14\x03\x14\0\0\0", b"PK\1\2\x14\x03\x14\0\1\0")),
    "wrong-crc": _archive(_rename(b'"class_name": "Sequential"', b'"class_name": "Sequentiel"')),
    "size-lie": _archive(_bomb),
    "no-config": _archive(without="config.json"),
    "no-weights": _archive(without="model.weights.h5"),
}  # fmt: skip
for _name, _make in _ARCHIVES.items():
    MADE[f"keras-archive/{_name}"] = _make

INDEX, DATA = "ckpt-1.index", "ckpt-1.data-00000-of-00001"
Entries = Mapping[bytes, bytes]


def checkpoint(entries: Entries, data: bytes = bytes(16), header: bytes = wire.HEADER) -> Files:
    """A checkpoint of one shard."""
    return {INDEX: wire.table({b"": header, **entries}), DATA: data}


@fixture("checkpoint/object")
def object_checkpoint() -> Files:
    """A TensorFlow 2 checkpoint of a module with a slot-like list and a string."""
    import tensorflow as tf

    class Net(tf.Module):
        def __init__(self) -> None:
            super().__init__("net")
            self.kernel = tf.Variable([[1.0, 2.0], [3.0, 4.0]], name="kernel")
            self.step = tf.Variable(7, dtype=tf.int64, name="step")
            self.words = tf.Variable(["a", "bc"], name="words")

    with tempfile.TemporaryDirectory() as folder:
        tf.train.Checkpoint(net=Net()).write(str(Path(folder) / "ckpt-1"))
        return tree(Path(folder))


def _row(**options: Any) -> bytes:
    """An entry of a float32 tensor over the first four bytes, all zero."""
    import google_crc32c

    fields = {
        "dtype": 1,
        "dims": (),
        "where": (0, 4),
        "crc": google_crc32c.value(bytes(4)),
    } | options
    return wire.entry(fields.pop("dtype"), fields.pop("dims"), fields.pop("where"), **fields)


def _graph(graph: bytes) -> Files:
    import google_crc32c

    length = struct.pack("<I", len(graph))
    checksum = struct.pack("<I", wire.masked(google_crc32c.value(length)))
    crc = google_crc32c.value(length + checksum + graph)
    data = wire.varint(len(graph)) + checksum + graph
    row = wire.entry(7, (), (0, len(data)), crc=crc)
    return checkpoint({b"_CHECKPOINTABLE_OBJECT_GRAPH": row}, data)


def _slices(*pieces: tuple[int, int]) -> bytes:
    return b"".join(
        wire.field(7, wire.field(1, wire.fields((1, start), (2, size)))) for start, size in pieces
    )


GOOD_GRAPH = wire.field(1, wire.field(1, wire.fields((1, 1), (2, "child")))) + wire.field(1, b"")
_CHECKPOINTS: dict[str, Callable[[], Files]] = {
    "plain": lambda: checkpoint({b"a": _row()}),
    "graph": lambda: _graph(GOOD_GRAPH),
    "magic": lambda: _with(checkpoint({b"a": _row()}), INDEX, lambda data: data[:-1] + b"\0"),
    "block-crc": lambda: _with(checkpoint({b"a": _row()}), INDEX, lambda data: bytes([data[0] ^ 1]) + data[1:]),
    "truncated-index": lambda: _with(checkpoint({b"a": _row()}), INDEX, lambda data: data[:-20]),
    "key-order": lambda: checkpoint({b"b": _row(), b"a": _row()}),
    "snappy": lambda: {INDEX: wire.table({b"": wire.HEADER, b"a": _row()}, kind=1), DATA: bytes(16)},
    "shard-missing": lambda: {INDEX: checkpoint({b"a": _row()})[INDEX]},
    "two-shards-one-there": lambda: checkpoint({b"a": _row()}, header=wire.fields((1, 2), (3, wire.field(1, 1)))),
    "wrong-crc": lambda: checkpoint({b"a": _row(crc=1)}),
    "data-flipped": lambda: checkpoint({b"a": _row()}, b"\1" + bytes(15)),
    "past-end": lambda: checkpoint({b"a": _row(where=(14, 4))}),
    "negative-offset": lambda: checkpoint({b"a": _row(where=(-4, 4))}),
    "size-wrong": lambda: checkpoint({b"a": _row(dims=(2,))}),
    "shape-bomb": lambda: checkpoint({b"a": _row(dims=(1 << 52,) * 9)}),
    "variant": lambda: checkpoint({b"a": _row(dtype=21)}),
    "resource": lambda: checkpoint({b"a": _row(dtype=20)}),
    "dtype-unknown": lambda: checkpoint({b"a": _row(dtype=99)}),
    "big-endian": lambda: checkpoint({b"a": _row()}, header=wire.fields((1, 1), (2, 1))),
    "version": lambda: checkpoint({b"a": _row()}, header=wire.fields((1, 1), (3, wire.field(2, 2)))),
    "graph-child": lambda: _graph(GOOD_GRAPH[: -2]),
    "graph-wire": lambda: _graph(b"\x0f"),
    "graph-not-utf-8": lambda: _graph(wire.field(1, wire.field(1, wire.fields((1, 0), (2, b"\xff"))))),
    "slice-missing": lambda: checkpoint({b"w": wire.entry(1, (4,), more=_slices((0, 2), (2, 2)))}),
}  # fmt: skip
for _name, _make in _CHECKPOINTS.items():
    MADE[f"checkpoint/{_name}"] = _make


def _with(files: Files, path: str, edit: Callable[[bytes], bytes | None]) -> Files:
    """The files with one changed, or taken away."""
    changed = edit(files[path])
    rest = {name: data for name, data in files.items() if name != path}
    return rest if changed is None else rest | {path: changed}


@fixture("saved-model/module")
def saved_model() -> Files:
    """A SavedModel of a module with a variable, an asset and a signature."""
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        words = Path(folder) / "words.txt"
        words.write_text("a\nb\n")

        class Net(tf.Module):
            def __init__(self) -> None:
                super().__init__("net")
                self.kernel = tf.Variable([[1.0], [2.0]], name="kernel")
                self.words = tf.saved_model.Asset(str(words))

            @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "x")])
            def __call__(self, x: Any) -> Any:
                return {"y": tf.matmul(x, self.kernel)}

        net = Net()
        tf.saved_model.save(net, str(Path(folder) / "out/net"), {"serving_default": net.__call__})
        return tree(Path(folder) / "out")


def _model(path: str, edit: Callable[[bytes], bytes | None]) -> Callable[[], Files]:
    return lambda: _with(tree(HERE / "saved-model/module"), f"net/{path}", edit)


MADE["saved-model/truncated"] = _model("saved_model.pb", lambda data: data[:-5])
MADE["saved-model/wire-type"] = _model("saved_model.pb", lambda data: data + b"\x0f")
MADE["saved-model/asset-missing"] = _model("assets/words.txt", lambda data: None)
MADE["saved-model/asset-escapes"] = _model(
    "saved_model.pb", lambda data: data.replace(b"words.txt", b"../../etc")
)
MADE["saved-model/asset-absolute"] = _model(
    "saved_model.pb", lambda data: data.replace(b"words.txt", b"/etc/pass")
)
MADE["saved-model/variables-missing"] = _model("variables/variables.index", lambda data: None)
MADE["saved-model/keras-metadata"] = lambda: (
    tree(HERE / "saved-model/module") | {"net/keras_metadata.pb": b"\x0a\x7f"}
)


HEADER_BYTES = 248


def tensors_file(header: Mapping[str, Any] | bytes, data: bytes) -> bytes:
    """A safetensors file."""
    text = (
        header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    )
    text = text.ljust(HEADER_BYTES)
    return struct.pack("<Q", len(text)) + text + data


def _tensor(dtype: str, shape: list[int], start: int, end: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


TWO = {"a": _tensor("F32", [2], 0, 8), "b": _tensor("I64", [], 8, 16)}
_ALL = ["BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "U16", "I16", "F16", "BF16", "U32", "I32",
        "F32", "U64", "I64", "F64", "C64"]  # fmt: skip


def _every_dtype() -> Files:
    header, at = {}, 0
    for name, width in zip(_ALL, [1] * 6 + [2] * 4 + [4] * 3 + [8] * 4, strict=True):
        header[name.lower()] = _tensor(name, [2], at, at + 2 * width)
        at += 2 * width
    return {"net.safetensors": tensors_file(header, bytes(at))}


def _one(header: Mapping[str, Any] | bytes, data: bytes = bytes(16)) -> Callable[[], Files]:
    return lambda: {"net.safetensors": tensors_file(header, data)}


def _set(shards: dict[str, str], **files: bytes) -> Callable[[], Files]:
    index = json.dumps({"metadata": {"total_size": 16}, "weight_map": shards}).encode()
    first = tensors_file({"a": _tensor("F32", [2], 0, 8)}, bytes(8))
    second = tensors_file({"b": _tensor("I64", [], 0, 8)}, bytes(8))
    both = {"m-1.safetensors": first, "m-2.safetensors": second}
    return lambda: {
        "m.safetensors.index.json": index,
        **(both if not files else {"m-1.safetensors": first}),
    }


_TEXT = json.dumps(TWO, separators=(",", ":")).encode()
_SAFETENSORS: dict[str, Callable[[], Files]] = {
    "plain": _one(TWO),
    "metadata": _one(TWO | {"__metadata__": {"format": "np"}}),
    "dtypes": _every_dtype,
    "empty": _one({}, b""),
    "sharded": _set({"a": "m-1.safetensors", "b": "m-2.safetensors"}),
    "header-length": lambda: {"net.safetensors": struct.pack("<Q", 1 << 40) + _TEXT.ljust(HEADER_BYTES) + bytes(16)},
    "header-truncated": lambda: {"net.safetensors": tensors_file(TWO, b"")[:40]},
    "header-no-json": _one(_TEXT[:-1]),
    "header-duplicate": _one(b'{"a":{"dtype":"U8","shape":[16],"data_offsets":[0,16]},"a":{"dtype":"U8","shape":[16],"data_offsets":[0,16]}}'),
    "header-trailing": _one(_TEXT + b" x"),
    "header-member": _one({**TWO, "a": {**TWO["a"], "extra": 1}}),
    "range-outside": _one({**TWO, "b": _tensor("I64", [], 16, 24)}),
    "range-overlap": _one({**TWO, "b": _tensor("I64", [], 4, 12)}),
    "range-hole": _one(TWO, bytes(24)),
    "range-backwards": _one({**TWO, "b": _tensor("I64", [], 16, 8)}),
    "range-length": _one({**TWO, "a": _tensor("F32", [3], 0, 8)}),
    "shape-overflow": _one({**TWO, "a": _tensor("F32", [2**40, 2**40], 0, 8)}),
    "dtype-unknown": _one({**TWO, "a": _tensor("F31", [2], 0, 8)}),
    "shard-missing": _set({"a": "m-1.safetensors", "b": "m-2.safetensors"}, less=b""),
    "shard-escapes": _set({"a": "m-1.safetensors", "b": "../m-2.safetensors"}),
    "shard-swapped": _set({"a": "m-2.safetensors", "b": "m-1.safetensors"}),
}  # fmt: skip
for _name, _make in _SAFETENSORS.items():
    MADE[f"safetensors/{_name}"] = _make


@fixture("keras-config/keras3")
def keras3_config() -> Files:
    """The JSON of a functional Keras 3 model with a shared layer and a custom one."""
    import keras

    x = keras.Input((2,), name="x")
    shared = keras.layers.Dense(2, name="shared")
    y = keras.layers.Add(name="add")([shared(x), shared(shared(x))])
    return {"net.json": keras.Model(x, y, name="net").to_json().encode()}


def _config(old: str, new: str) -> Callable[[], Files]:
    return lambda: {"net.json": json.dumps(SEQUENTIAL).replace(old, new).encode()}


def _keras3(old: str, new: str) -> Callable[[], Files]:
    def make() -> Files:
        text = (HERE / "keras-config/keras3/net.json").read_text()
        return {"net.json": text.replace(old, new).encode()}

    return make


MADE["keras-config/keras2"] = _config("", "")
MADE["keras-config/nan"] = _config('"units": 3', '"units": 3, "scale": NaN, "limit": Infinity')
MADE["keras-config/duplicate"] = _config('"units": 3', '"units": 3, "units": 3')
MADE["keras-config/layers-no-array"] = lambda: {
    "net.json": json.dumps({**SEQUENTIAL, "config": {"name": "net", "layers": 7}}).encode()
}
MADE["keras-config/deep"] = _config('"units": 3', '"units": 3, "deep": ' + "[" * 600 + "]" * 600)
MADE["keras-config/node-layer"] = _keras3(
    '"keras_history": ["x", 0, 0]', '"keras_history": ["z", 0, 0]'
)
MADE["keras-config/node-tensor"] = _keras3(
    '"keras_history": ["x", 0, 0]', '"keras_history": ["x", 0, 9]'
)


def onnx(*fields: tuple[int, Any], dims: tuple[int, ...] = (2,), dtype: int = 1) -> bytes:
    """An ONNX model with one initialiser `w`."""
    tensor = b"".join(wire.field(1, dim) for dim in dims) + wire.fields(
        (2, dtype), (8, "w"), *fields
    )
    graph = wire.fields((2, "g"), (5, tensor))
    opset = wire.fields((1, ""), (2, 18))
    return wire.fields((1, 8), (2, "hand"), (7, graph), (8, opset))


def _outside(**pairs: str) -> tuple[tuple[int, Any], ...]:
    return (*((13, wire.fields((1, key), (2, value))) for key, value in pairs.items()), (14, 1))


_RAW = (9, struct.pack("<2f", 1, 2))
_ONNX: dict[str, Callable[[], Files]] = {
    "raw": lambda: {"net.onnx": onnx(_RAW)},
    "external": lambda: {"net.onnx": onnx(*_outside(location="net.data", offset="4", length="8")), "net.data": bytes(16)},
    "truncated": lambda: {"net.onnx": onnx(_RAW)[:-3]},
    "dtype": lambda: {"net.onnx": onnx(_RAW, dtype=99)},
    "external-missing": lambda: {"net.onnx": onnx(*_outside(location="net.data", offset="4", length="8"))},
    "external-escapes": lambda: {"net.onnx": onnx(*_outside(location="../net.data"))},
    "external-absolute": lambda: {"net.onnx": onnx(*_outside(location="/etc/passwd"))},
    "external-outside": lambda: {"net.onnx": onnx(*_outside(location="net.data", offset="12", length="8")), "net.data": bytes(16)},
    "length": lambda: {"net.onnx": onnx(_RAW, dims=(3,))},
    "shape-bomb": lambda: {"net.onnx": onnx(_RAW, dims=(1 << 50,) * 9)},
}  # fmt: skip
for _name, _make in _ONNX.items():
    MADE[f"onnx/{_name}"] = _make
MADE["tflite/plain"] = lambda: {
    "net.tflite": b"\x10\0\0\0TFL3" + bytes(4) + b"\4\0\4\0\4\0\0\0" + bytes(12)
}
MADE["tflite/root-outside"] = lambda: {
    "net.tflite": b"\xff\0\0\0TFL3" + bytes(4) + b"\4\0\4\0\4\0\0\0" + bytes(12)
}
MADE["tflite/identifier"] = lambda: {
    "net.tflite": b"\x10\0\0\0TFL2" + bytes(4) + b"\4\0\4\0\4\0\0\0" + bytes(12)
}


# Golden vectors


def _reference(engine: str) -> dict[str, str]:
    return {"engine": engine, "version": "1", "precision": "float64"}


def _golden(*vectors: dict[str, Any]) -> Files:
    """A file of verified vectors, in canonical form."""
    common = {"grade": "verified", "exact": 0, "agreement": 30, "unmodelled": [], "seed": 0,
              "noise": {"runs": 16, "seed": 0}, "references": [_reference("one"), _reference("two")]}  # fmt: skip
    document = {"golden": "1.0-draft", "vectors": [common | vector for vector in vectors]}
    return {"vectors.golden": msgpack.packb(_by_name(document))}


def _by_name(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _by_name(value[key]) for key in sorted(value)}
    return [_by_name(item) for item in value] if isinstance(value, list) else value


def _answer(name: str, *values: float) -> dict[str, Any]:
    """A golden output of shape (n, 1) whose elements answer with 1, 2, … to every noise."""
    count = len(values)
    channel = struct.pack(f"<{count}f", *range(1, count + 1))
    channels = dict.fromkeys(("st", "ab", "acc", "mm", "wt"), channel)
    return {"name": name, "dtype": "float64", "shape": [count, 1], "channels": channels,
            "data": struct.pack(f"<{count}d", *values)}  # fmt: skip


def _pairs(*values: float) -> dict[str, Any]:
    data = struct.pack(f"<{len(values)}f", *values)
    return {"name": "x", "dtype": "float32", "shape": [len(values) // 2, 2], "data": data}


MADE["golden/saved-model"] = lambda: _golden(
    {"component": "net", "signature": "serving_default", "name": "given",
     "inputs": [_pairs(1, 2, 3, 4)], "outputs": [_answer("y", 0.5, -0.25)]}
)
MADE["golden/call"] = lambda: _golden(
    {"component": "net.json", "signature": "call", "name": "drawn",
     "inputs": [_pairs(1, 2, 3, 4)], "outputs": [_answer("output_0", 0.5, -0.25)]},
    {"component": "net.json", "signature": "call", "name": "given",
     "inputs": [_pairs(5, 6)], "outputs": [_answer("output_0", 1)]}
)


# What is run: models and the golden vectors that hold a Runner of them


def _dense(width: int, units: int, weights: Any, bias: Any) -> bytes:
    """An ONNX model: `y` is x·w + b, `best` the place of the largest element of a row of it."""

    def initialiser(name: str, array: Any) -> bytes:
        dims = b"".join(wire.field(1, size) for size in array.shape)
        return dims + wire.fields((2, 1), (8, name), (9, array.astype("<f4").tobytes()))

    def node(kind: str, inputs: list[str], output: str, *attributes: bytes) -> bytes:
        taken = b"".join(wire.field(1, name) for name in inputs)
        given = wire.fields((2, output), (3, output), (4, kind))
        return taken + given + b"".join(wire.field(5, each) for each in attributes)

    def port(name: str, element: int, *sizes: int | str) -> bytes:
        dims = b"".join(wire.field(1, wire.field(1 if isinstance(size, int) else 2, size)) for size in sizes)
        return wire.fields((1, name), (2, wire.field(1, wire.fields((1, element), (2, dims)))))

    last = [wire.fields((1, "axis"), (3, 1), (20, 2)), wire.fields((1, "keepdims"), (3, 0), (20, 2))]
    graph = b"".join([
        wire.field(1, node("MatMul", ["x", "w"], "product")),
        wire.field(1, node("Add", ["product", "b"], "y")),
        wire.field(1, node("ArgMax", ["y"], "best", *last)),
        wire.field(2, "dense"), wire.field(5, initialiser("w", weights)), wire.field(5, initialiser("b", bias)),
        wire.field(11, port("x", 1, "n", width)),
        wire.field(12, port("y", 1, "n", units)), wire.field(12, port("best", 7, "n")),
    ])  # fmt: skip
    return wire.fields((1, 8), (2, "hand"), (7, graph), (8, wire.fields((1, ""), (2, 18))))


def _channels(x: Any, w: Any, b: Any) -> dict[str, Any]:
    """The answer of x·w + b to noise (section 18.2), in closed form: U(-1,1) has variance 1/3."""
    terms = x[:, :, None] * w[None]
    squares, product = (terms**2).sum(1), terms.sum(1)
    return {
        "st": np.sqrt((product**2 + (product + b) ** 2) / 3),
        "ab": np.zeros_like(product),
        "acc": np.sqrt(x.shape[1] * (product**2 / 3 + squares / 6)),
        "mm": np.sqrt(2 * squares / 3),
        "wt": np.sqrt((2 * squares + b**2) / 3),
    }


def _dense_vector(name: str, x: Any, w: Any, b: Any, exact: bool) -> dict[str, Any]:
    """A vector of `_dense`: numpy and exact sums of Python are its references."""
    x, w, b = (each.astype("<f4").astype(float) for each in (x, w, b))
    y = x @ w + b
    other = np.array([[math.fsum([*(row * column), add]) for column, add in zip(w.T, b, strict=True)] for row in x])
    channels = _channels(x, w, b)
    sigma = 2.0**-24 * np.sqrt(channels["st"] ** 2 + channels["acc"] ** 2)
    distance = np.max(np.abs(y - other) / sigma)
    ordered = np.sort(y, axis=1)
    decided = ordered[:, -1] - ordered[:, -2] > 2**-20 * 20 * np.max(sigma * 2**24, axis=1)
    traced = {} if exact else {
        "channels": {key: each.astype("<f4").tobytes() for key, each in channels.items()}}  # fmt: skip
    best = {"name": "best", "dtype": "int64", "shape": [len(x)], "data": y.argmax(1).astype("<i8").tobytes()}
    return {
        "component": "net.onnx", "signature": "dense", "name": name, "grade": "verified", "exact": int(exact),
        "references": [{"engine": "numpy", "version": np.__version__, "precision": "float64"},
                       {"engine": "python", "version": "math.fsum", "precision": "float64"}],
        "agreement": 64 if not distance else min(64, math.floor(-math.log2(distance))), "unmodelled": [],
        "inputs": [{"name": "x", "dtype": "float32", "shape": list(x.shape), "data": x.astype("<f4").tobytes()}],
        "outputs": [{"name": "y", "dtype": "float64", "shape": list(y.shape), "data": y.tobytes(), **traced},
                    best | ({} if exact else {"decided": decided.astype("u1").tobytes()})],
    }  # fmt: skip


def _runnable(whole: bool) -> Files:
    """A model and three vectors; with `whole`, of small integers, so that every engine is exact."""
    draws = np.random.Generator(np.random.PCG64(3))

    def drawn(*shape: int) -> Any:
        return draws.integers(-4, 5, shape).astype(float) if whole else draws.normal(size=shape)

    w, b = drawn(64, 8), drawn(8)
    vectors = [_dense_vector(name, drawn(rows, 64), w, b, whole) for name, rows in (("one", 4), ("two", 4), ("wide", 9))]
    golden = {"golden": "1.0-draft", "vectors": vectors}
    return {"net.onnx": _dense(64, 8, w, b), "vectors.golden": msgpack.packb(_by_name(golden))}


MADE["run/dense"] = lambda: _runnable(False)
MADE["run/exact"] = lambda: _runnable(True)


# Captured Keras models


def _laid_out(tensors: Mapping[str, tuple[str, list[int], bytes]]) -> bytes:
    """A safetensors file of a captured model: dtype, shape and data by name."""

    def order(name: str) -> tuple[int, str]:
        length = len(tensors[name][2])
        return -max(power for power in (1, 2, 4, 8, 16, 32, 64) if length % power == 0), name

    header, data = {}, b""
    for name in sorted(tensors, key=order):
        dtype, shape, content = tensors[name]
        header[name] = _tensor(dtype, shape, len(data), len(data) + len(content))
        data += content
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % 64)
    return struct.pack("<Q", len(text)) + text + data


def _floats(*numbers: float) -> bytes:
    return struct.pack(f"<{len(numbers)}f", *numbers)


_ADAM = {"module": "keras.optimizers", "class_name": "SGD", "registered_name": None,
         "config": {"name": "SGD", "learning_rate": 0.5, "momentum": 0.5}}  # fmt: skip
_WEIGHTS = {
    "scale/gain": ("F32", [2], _floats(1, 2)),
    "dense/kernel": ("F32", [4, 4], _floats(*range(16))),
    "dense/bias": ("F32", [4], _floats(1, 2, 3, 4)),
    "wide": ("U8", [1, 16], bytes(range(16))),
}
_ROLES = [
    {"name": "dense/bias", "role": "non-trainable"},
    {"name": "dense/kernel", "role": "trainable"},
    {"name": "metrics/loss/total", "role": "metric"},
    {
        "name": "optimizer/momentum/dense/kernel",
        "role": "optimizer",
        "slot": "momentum",
        "of": "dense/kernel",
    },
    {"name": "scale/gain", "role": "trainable"},
    {"dtype": "complex128", "name": "wide", "role": "non-trainable", "shape": [1]},
]
_FACTS = {
    "backend": "tensorflow", "class_name": "Sequential", "floatx": "float32",
    "dtype_policy": {"class_name": "DTypePolicy", "config": {"name": "float32"}, "module": "keras", "registered_name": None},
    "frozen": ["scale"], "image_data_format": "channels_last", "keras_model": "1.0-draft", "keras_version": "3.15.1",
    "kind": "model", "module": "keras", "selection": ["architecture", "weights", "training"], "tensors": _ROLES,
}  # fmt: skip
_CAPTURED_CONFIG: dict[str, Any] = {
    "module": "keras", "class_name": "Sequential", "registered_name": None,
    "config": {"name": "net", "trainable": True, "layers": [
        {"module": "keras.layers", "class_name": "InputLayer", "registered_name": None,
         "config": {"batch_shape": [None, 4], "dtype": "float32", "name": "x"}},
        {"module": "keras.layers", "class_name": "Dense", "registered_name": None,
         "config": {"name": "dense", "trainable": True, "units": 4, "kernel_constraint": {
             "module": "keras.constraints", "class_name": "MaxNorm", "registered_name": None,
             "config": {"max_value": {"class_name": "__float__", "value": "Infinity"}}, "shared_object_id": 0}}},
        {"module": "mine", "class_name": "Scale", "registered_name": "mine>Scale",
         "config": {"name": "scale", "trainable": False, "by": {"class_name": "__dict__", "items": [[1, {"class_name": "__tuple__", "items": [2, 3]}]]},
                    "constraint": {"module": "keras.constraints", "class_name": "MaxNorm", "registered_name": None,
                                   "config": {"max_value": {"class_name": "__float__", "value": "Infinity"}}, "shared_object_id": 0}}},
    ]},
}  # fmt: skip
_CAPTURED_TRAINING: dict[str, Any] = {
    "keras_training": "1.0-draft",
    "compile_config": {"optimizer": _ADAM, "loss": "mse", "metrics": None, "weighted_metrics": None},
    "optimizer": _ADAM, "built": {"optimizer": True, "loss": True, "metrics": True},
    "losses": [{"path": [], "name": "dense", "weight": None, "object": {
        "module": "keras.losses", "class_name": "MeanSquaredError", "registered_name": None, "config": {}}}],
    "loss_metrics": [], "metrics": {"metrics": [{"output": None, "metrics": []}], "weighted_metrics": [None]},
}  # fmt: skip


def _compact(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _canonical(value: Any) -> bytes:
    """Of values without numbers other than small integers."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def captured(
    facts: Mapping[str, Any] | None = None,
    config: bytes = b"",
    training: Mapping[str, Any] | None = None,
    **more: bytes,
) -> Callable[[], Files]:
    """A captured model with members of its documents, or whole files, replaced; b"" takes one away."""
    files = {
        "assets/words/vocabulary.txt": b"one\ntwo",
        "config.json": config or _compact(_CAPTURED_CONFIG),
        "model.json": _canonical({**_FACTS, **(facts or {})}),
        "optimizer.safetensors": _laid_out({"optimizer/momentum/dense/kernel": ("F32", [4, 4], _floats(*range(16, 32)))}),
        "state.safetensors": _laid_out({"metrics/loss/total": ("F32", [], _floats(7))}),
        "training.json": _compact({**_CAPTURED_TRAINING, **(training or {})}),
        "weights.safetensors": _laid_out(_WEIGHTS),
    } | {name.replace("__", "."): data for name, data in more.items()}  # fmt: skip
    return lambda: {f"model/{name}": data for name, data in files.items() if data}


def _config_with(old: str, new: str) -> bytes:
    text = _compact(_CAPTURED_CONFIG).decode()
    if old not in text:
        raise ValueError(old)
    return text.replace(old, new).encode()


def _facts_with(number: int, **members: Any) -> dict[str, Any]:
    """`tensors` of `model.json` with members of one of them replaced."""
    return {
        "tensors": [{**each, **members} if at == number else each for at, each in enumerate(_ROLES)]
    }


_INFINITY = '{"class_name":"__float__","value":"Infinity"}'
_CAPTURED: Mapping[str, Callable[[], Files]] = {
    "whole": captured(),
    "weights": captured({"selection": ["weights"], "tensors": [each for each in _ROLES if each["role"] in ("trainable", "non-trainable")]},
                        config__json=b"", training__json=b"", optimizer__safetensors=b"", state__safetensors=b"", **{"assets/words/vocabulary.txt": b""}),
    "facts-version": captured({"keras_model": "9.0"}),
    "facts-member": captured({"floatx": 32}),
    "facts-unknown": captured({"saved_at": "today"}),
    "facts-order": captured({"tensors": [_ROLES[1], _ROLES[0], *_ROLES[2:]]}),
    "facts-selection": captured({"selection": ["training", "weights", "architecture"]}),
    "facts-slot": captured(_facts_with(4, slot="momentum")),
    "file-unselected": captured({"selection": ["architecture", "weights"], "tensors": [_ROLES[0], _ROLES[1], *_ROLES[4:]]},
                                optimizer__safetensors=b"", state__safetensors=b""),
    "file-unknown": captured(**{"notes.txt": b"mine"}),
    "config-missing": captured(config__json=b""),
    "tensor-unlisted": captured({"tensors": _ROLES[1:]}),
    "tensor-missing": captured({"tensors": [*_ROLES, {"name": "zero", "role": "trainable"}]}),
    "tensor-role": captured(_facts_with(0, role="metric")),
    "tensor-shape": captured(_facts_with(0, dtype="float32", shape=[2, 2])),
    "tensor-of": captured(_facts_with(3, of="dense/kernal")),
    "config-infinity": captured(config=_config_with(_INFINITY, "Infinity")),
    "config-tag": captured(config=_config_with(_INFINITY, '{"class_name":"__float__","value":"Much"}')),
    "config-key-twice": captured(config=_config_with('"items":[[1,', '"items":[[1,0],[1,')),
    "config-numbers": captured(config=_config_with('"shared_object_id":0', '"shared_object_id":140020')),
    "training-version": captured(training={"keras_training": "0.9"}),
    "training-built": captured(training={"built": {"optimizer": "yes", "loss": True, "metrics": True}}),
    "training-losses": captured(training={"losses": ["mse"]}),
    "layout-order": captured(weights__safetensors=tensors_file({
        "dense/bias": _tensor("F32", [4], 0, 16), "dense/kernel": _tensor("F32", [4, 4], 16, 80),
        "scale/gain": _tensor("F32", [2], 80, 88), "wide": _tensor("U8", [1, 16], 88, 104)}, bytes(104))),
    "layout-empty": captured({"tensors": [each for each in _ROLES if each["role"] != "metric"]}, state__safetensors=_laid_out({})),
}  # fmt: skip
for _name, _make in _CAPTURED.items():
    MADE[f"keras-model/{_name}"] = _make


def portable_graph(name: str = "", **changes: Any) -> Callable[[], Files]:
    """y = x @ kernel * scale with both as arguments, as JAX lowers it; the constants hold both.

    `changes` are members of the arguments file; `name` is what the artifact says wrote it.
    """

    def files() -> Files:
        import jax
        from jax import export

        made = [jax.ShapeDtypeStruct(shape, np.float32) for shape in ((1, 2), (2, 2), ())]
        lowered = export.export(jax.jit(lambda x, kernel, scale: x @ kernel * scale))(*made)
        artifact = bytes(lowered.mlir_module_serialized)
        if name:
            old = artifact[5 : artifact.index(b"\0", 5)]
            artifact = artifact.replace(old, name.encode().ljust(len(old)))
        port: dict[str, Any] = {"dtype": "float32", "shape": [1, 2]}
        value = {
            "stablehlo_arguments": "1.0-draft",
            "signature": "f",
            "arguments": [
                {"input": "x", **port},
                {"tensor": "kernel", "dtype": "float32", "shape": [2, 2]},
                {"tensor": "scale", "dtype": "float32", "shape": []},
            ],
            "results": [{"output": "y", **port}],
            **changes,
        }
        constants = {
            "kernel": ("F32", [2, 2], np.arange(4, dtype="<f4").tobytes()),
            "scale": ("F32", [], np.float32(2).tobytes()),
        }
        return {
            "net.stablehlo": artifact,
            "net.stablehlo.arguments.json": (json.dumps(value, indent=1) + "\n").encode(),
            "net.stablehlo.constants.safetensors": _laid_out(constants),
        }

    return files


_PORT = {"dtype": "float32", "shape": [1, 2]}
_KERNEL = {"tensor": "kernel", "dtype": "float32", "shape": [2, 2]}
_SCALE = {"tensor": "scale", "dtype": "float32", "shape": []}
MADE |= {
    "stablehlo/plain": portable_graph(),
    "stablehlo/platforms": portable_graph(platforms=["cpu"]),
    "stablehlo/no-version": portable_graph("MLIR23.0.0git"),
    "stablehlo/no-arguments": lambda: {"net.stablehlo": portable_graph()()["net.stablehlo"]},
    "stablehlo/port-twice": portable_graph(arguments=[{"input": "x", **_PORT}, {"input": "x", **_PORT}, _KERNEL, _SCALE]),
    "stablehlo/dtype": portable_graph(results=[{"output": "y", "dtype": "float31", "shape": [1, 2]}]),
    "stablehlo/no-port": portable_graph(results=[_PORT]),
    "stablehlo/version": portable_graph(stablehlo_arguments="2.0-drafts"),
    "stablehlo/constant-unused": portable_graph(arguments=[{"input": "x", **_PORT}, {"input": "a kernel", **_PORT}, _SCALE]),
    "stablehlo/unbound": portable_graph(arguments=[{"input": "x", **_PORT}, _KERNEL, _SCALE, {**_SCALE, "tensor": "shift"}]),
    "stablehlo/shape": portable_graph(arguments=[{"input": "x", **_PORT}, {**_KERNEL, "shape": [4, 1]}, _SCALE]),
}  # fmt: skip

MADE["unknown/text"] = lambda: {"net.txt": b"no model\n"}
MADE["unknown/pickle"] = lambda: {"net.bin": b"\x80\x04\x95\x0c\0\0\0\0\0\0\0\x8c\x02os\x94."}


def main() -> None:
    """Make the fixtures that are named, or those that are missing."""
    named = sys.argv[1:] or [name for name in MADE if not (HERE / name).is_dir()]
    for name in named:
        for path, data in MADE[name]().items():
            target = HERE / name / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        print(name)


if __name__ == "__main__":
    main()
