"""Models of every kind that an engine runs, as their own libraries write them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from modelbundle.packing import pack

Arrays = dict[str, np.ndarray[Any, Any]]

_ROWS = np.random.default_rng(7)
WEIGHT = _ROWS.normal(size=(64, 32)).astype(np.float32)
BIAS = _ROWS.normal(size=32).astype(np.float32)


def onnx_model(ir_version: int = 10) -> Any:
    """x @ W + b with weights in the model."""
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size])
        for name, size in (("x", 64), ("y", 32))
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "W"], ["m"]),
        helper.make_node("Add", ["m", "b"], ["y"]),
    ]
    weights = [numpy_helper.from_array(WEIGHT, "W"), numpy_helper.from_array(BIAS, "b")]
    graph = helper.make_graph(nodes, "net", ports[:1], ports[1:], weights)
    opsets = [helper.make_opsetid("", 21)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)


def save_onnx(path: Path, *, external: bool = False, ir_version: int = 10) -> Path:
    """The ONNX model at `path`; weights beside it where they are external."""
    beside = {"save_as_external_data": True, "location": f"{path.name}.bin", "size_threshold": 64}
    model = onnx_model(ir_version)
    if ir_version > 20:
        path.write_bytes(model.SerializeToString())
    else:
        onnx.save_model(model, path, **(beside if external else {}))
    return path


def save_tflite(path: Path) -> Path:
    """The same function as a TensorFlow Lite model with a signature."""
    import tensorflow as tf

    class Net(tf.Module):  # type: ignore[misc, name-defined]
        @tf.function(input_signature=[tf.TensorSpec([None, 64], tf.float32, "x")])  # type: ignore[untyped-decorator]
        def __call__(self, x: Any) -> Any:
            return {"y": x @ WEIGHT + BIAS}

    net = Net()
    concrete = net.__call__.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], net)
    path.write_bytes(converter.convert())
    return path


def convolutional(library: Any) -> Any:
    """A small convolutional model with normalisation, of Keras 3 or tf_keras."""
    layers = library.layers
    inputs = library.Input((8, 8, 3), name="x")
    hidden = layers.Conv2D(4, 3, padding="same", name="conv")(inputs)
    hidden = layers.BatchNormalization(name="norm")(hidden)
    hidden = layers.GlobalAveragePooling2D()(layers.ReLU()(hidden))
    return library.Model(inputs, layers.Dense(5, activation="softmax", name="head")(hidden))


def save_keras3(path: Path) -> Path:
    import keras

    convolutional(keras).export(path, verbose=False)
    return path


def save_keras2(path: Path) -> Path:
    import tf_keras

    convolutional(tf_keras).save(path, save_format="tf")
    return path


def save_module(path: Path, *, mutable: bool = False) -> Path:
    """TensorFlow 2: variables, a captured constant, a table with an asset, random numbers."""
    import tensorflow as tf

    vocabulary = path.parent / "vocabulary.txt"
    vocabulary.write_text("a\nb\nc\n")
    lines = tf.lookup.TextFileInitializer(
        str(vocabulary), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE,
        tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER,
    )  # fmt: skip

    class Net(tf.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.kernel = tf.Variable(WEIGHT[:4, :3], name="kernel")
            self.scale = tf.constant(BIAS[:3])
            self.table = tf.lookup.StaticHashTable(lines, -1)
            if mutable:
                self.more = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -5)
                self.more.insert(tf.constant(["p", "q"]), tf.constant([7, 8], tf.int64))

        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, "x")])  # type: ignore[untyped-decorator]
        def call(self, x: Any) -> Any:
            return {"y": tf.nn.relu(x @ self.kernel) * self.scale, "z": tf.reduce_sum(x, -1)}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "t")])  # type: ignore[untyped-decorator]
        def look_up(self, t: Any) -> Any:
            ids = self.table.lookup(t) + (self.more.lookup(t) if mutable else 0)
            return {"ids": ids, "upper": tf.strings.upper(t)}

        @tf.function(input_signature=[tf.TensorSpec([2], tf.float32, "x")])  # type: ignore[untyped-decorator]
        def shake(self, x: Any) -> Any:
            return {"y": x + tf.random.normal([2])}

    net = Net()
    functions = {"serving_default": net.call, "look_up": net.look_up, "shake": net.shake}
    tf.saved_model.save(net, str(path), functions)
    return path


def save_session(path: Path) -> Path:
    """TensorFlow 1: a reference variable, a resource variable, a table with an asset."""
    import tensorflow as tf

    v1 = tf.compat.v1
    vocabulary = path.parent / "vocabulary.txt"
    vocabulary.write_text("a\nb\nc\n")
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 4], name="x")
        t = v1.placeholder(tf.string, [None], name="t")
        kernel = v1.get_variable("kernel", initializer=WEIGHT[:4, :3], use_resource=False)
        bias = v1.get_variable("scope/bias", initializer=BIAS[:3], use_resource=True)
        lines = tf.lookup.TextFileInitializer(
            str(vocabulary), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER,
        )  # fmt: skip
        ids = v1.lookup.StaticHashTable(lines, -1).lookup(t)
        y = tf.tanh(x @ kernel) + bias
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        signature = v1.saved_model.predict_signature_def
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(
            session, ["serve"],
            {
                "serving_default": signature({"x": x}, {"y": y}),
                "look_up": signature({"t": t}, {"ids": ids}),
            },
            main_op=v1.tables_initializer(),
            assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
        )  # fmt: skip
        builder.save()
    return path


SAVED_MODELS: dict[str, Callable[[Path], Path]] = {
    "keras3": save_keras3,
    "keras2": save_keras2,
    "module": save_module,
    "mutable": lambda path: save_module(path, mutable=True),
    "session": save_session,
}


def inputs_of(name: str, signature: str, rows: int = 3) -> Arrays:
    """Inputs for a signature of a model of `SAVED_MODELS`."""
    if signature == "look_up":
        return {"t": np.array([b"a", b"c", b"q", b"zz"], object)}
    shape = (rows, 8, 8, 3) if name.startswith("keras") else (rows, 4)
    return {"x": np.random.default_rng(1).random(shape, np.float32)}


def natively(path: Path, signature: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """What TensorFlow computes of the SavedModel on disk, all of it loaded by TensorFlow."""
    import tensorflow as tf

    given = {k: tf.constant(v.tolist() if v.dtype == object else v) for k, v in inputs.items()}
    function = tf.saved_model.load(str(path)).signatures[signature]
    return {name: value.numpy() for name, value in function(**given).items()}


def save_keras_file(path: Path) -> Path:
    import keras

    convolutional(keras).save(path)
    return path


def runnable_by(engine: str, folder: Path) -> tuple[Path, Arrays]:
    """A bundle that `engine` can run, with inputs."""
    bundle = folder / "net.modelbundle"
    if engine == "onnx":
        pack(save_onnx(folder / "net.onnx"), bundle)
        return bundle, {"x": np.ones((2, 64), np.float32)}
    if engine == "tflite":
        pack(save_tflite(folder / "net.tflite"), bundle)
        return bundle, {"x": np.ones((2, 64), np.float32)}
    if engine == "stablehlo":
        return graph_bundle(folder), {"x": np.ones((1, 2), np.float32)}
    saved = save_keras3(folder / "net") if engine == "tensorflow" else None
    pack(saved or save_keras_file(folder / "net.keras"), bundle)
    return bundle, inputs_of("keras3", "serve")


def graph_bundle(folder: Path) -> Path:
    """A bundle with a portable graph, y = 2x, that JAX lowered."""
    import json

    import jax
    from jax import export

    lowered = export.export(jax.jit(lambda x: 2 * x))(jax.ShapeDtypeStruct((1, 2), np.float32))
    path = folder / "double.stablehlo"
    path.write_bytes(lowered.mlir_module_serialized)
    port = {"dtype": "float32", "shape": [1, 2]}
    arguments = {
        "stablehlo_arguments": "1.0-draft", "signature": "f",
        "arguments": [{"input": "x", **port}], "results": [{"output": "y", **port}],
    }  # fmt: skip
    path.with_name("double.stablehlo.arguments.json").write_text(json.dumps(arguments))
    bundle = folder / "double.modelbundle"
    pack(path, bundle)
    return bundle
