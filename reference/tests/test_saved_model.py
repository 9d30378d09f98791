from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import source_trees as st
import wire_writer as ww

from modelbundle.core import strings
from modelbundle.core.findings import CHECKS
from modelbundle.sources.artifact import Artifact, ArtifactFile
from modelbundle.sources.tensorflow import checkpoint, saved_model

SYSTEM = "tensorflow.saved_model"
SCHEMA = Path(__file__).parents[2] / "schemas" / "object_graph.schema.json"


@pytest.fixture(scope="session")
def tf() -> Any:
    return pytest.importorskip("tensorflow")


def _keras_2(folder: Path) -> None:
    import tf_keras

    layers = [
        tf_keras.layers.Input((3,), name="x"),
        tf_keras.layers.Dense(2, name="dense"),
        tf_keras.layers.BatchNormalization(name="norm"),
        tf_keras.layers.Dropout(0.5),
    ]
    model = tf_keras.Sequential(layers, name="net")
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    model.save(str(folder))


def _early_keras_2(folder: Path) -> None:
    """As TensorFlow 2.4 and before wrote it: the metadata stands in the object graph."""
    from tensorflow.core.protobuf import saved_model_pb2
    from tensorflow.python.keras.protobuf import saved_metadata_pb2

    _keras_2(folder)
    metadata, model = saved_metadata_pb2.SavedMetadata(), saved_model_pb2.SavedModel()
    metadata.ParseFromString((folder / "keras_metadata.pb").read_bytes())
    model.ParseFromString((folder / "saved_model.pb").read_bytes())
    for node in metadata.nodes:
        objects = model.meta_graphs[0].object_graph_def.nodes
        objects[node.node_id].user_object.metadata = node.metadata
    (folder / "saved_model.pb").write_bytes(model.SerializeToString())
    (folder / "keras_metadata.pb").unlink()


def _keras_3(folder: Path) -> None:
    import keras

    layers = [
        keras.layers.Input((3,)),
        keras.layers.Dense(2, name="dense"),
        keras.layers.BatchNormalization(name="norm"),
        keras.layers.Dropout(0.5),
    ]
    keras.Sequential(layers, name="net").export(str(folder), verbose=False)


def _plain(folder: Path) -> None:
    import tensorflow as tf

    class Net(tf.Module):
        def __init__(self) -> None:
            self.w = tf.Variable(tf.random.normal([4, 3]), name="w")
            self.frozen = tf.Variable([1, 2], trainable=False, dtype=tf.int64)
            self.words = tf.Variable(["a", "bc"])
            vocabulary = folder.parent / "vocabulary.txt"
            vocabulary.write_text("one\ntwo\n")
            self.file = tf.saved_model.Asset(str(vocabulary))

        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])
        def __call__(self, x: Any) -> Any:
            return {"y": tf.cond(tf.reduce_sum(x) > 0, lambda: x @ self.w, lambda: x @ -self.w)}

    net = Net()
    tf.saved_model.save(net, str(folder), signatures={"run": net.__call__})


def _tensorflow_1(folder: Path) -> None:
    import tensorflow as tf

    v1 = tf.compat.v1
    builder = v1.saved_model.builder.SavedModelBuilder(str(folder))
    for number, tags in enumerate((["train"], ["serve", "gpu"])):
        with tf.Graph().as_default(), v1.Session() as session:
            x = v1.placeholder(tf.float32, [None, 2], name="x")
            kernel = v1.get_variable("dense/kernel", [2, 2], use_resource=False)
            v1.get_variable("dense/count", [], trainable=False, use_resource=True)
            session.run(v1.global_variables_initializer())
            signature = v1.saved_model.predict_signature_def({"x": x}, {"y": x @ kernel})
            sparse = v1.sparse_placeholder(tf.int32, [None, 5])
            others = v1.saved_model.predict_signature_def({"s": sparse.values}, {"y": x})
            if number:
                builder.add_meta_graph(tags, {"predict": signature, "other": others})
            else:
                builder.add_meta_graph_and_variables(session, tags, {"predict": signature})
    builder.save()


MAKERS: dict[str, Callable[[Path], None]] = {
    "keras_2": _keras_2,
    "early_keras_2": _early_keras_2,
    "keras_3": _keras_3,
    "plain": _plain,
    "tensorflow_1": _tensorflow_1,
}


@pytest.fixture(scope="session")
def models(tf: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One SavedModel of each style."""
    folder = tmp_path_factory.mktemp("saved_models")
    for name, make in MAKERS.items():
        make(folder / name)
    return folder


def read(path: Path) -> Artifact:
    source = st.tree_of(path)
    assert saved_model.recognise(source)
    assert not checkpoint.recognise(source)
    checkpoint.verify_checksums(source)
    artifact = saved_model.read(source)
    assert {file.path for file in artifact.files if file.role == "source"} == set(source.files)
    assert artifact.components[0].id == path.name
    assert artifact.components[0].kind == "tensorflow.saved_model"
    return artifact


def derived(artifact: Artifact, name: str) -> ArtifactFile:
    (file,) = [f for f in artifact.files if f.path.endswith(f".derived/{name}")]
    assert file.role == "derived"
    return file


def document(artifact: Artifact, name: str) -> Any:
    file = derived(artifact, name)
    return json.loads(file.blob.read(0, file.blob.size))


@pytest.mark.frameworks
@pytest.mark.parametrize("name", MAKERS)
def test_tensors_are_equal_to_tensorflows(tf: Any, models: Path, name: str) -> None:
    artifact = read(models / name)
    reader = tf.train.load_checkpoint(str(models / name / "variables" / "variables"))
    listed = st.by_name(artifact, SYSTEM)
    assert listed.keys() == reader.get_variable_to_shape_map().keys()
    for key, tensor in listed.items():
        data, value = st.tensor_bytes(artifact, tensor), reader.get_tensor(key)
        if tensor.dtype == "string":
            ours = strings.decode(data, tensor.shape, key).tolist()
            assert ours == (value if isinstance(value, bytes) else value.tolist())
        else:
            assert data == value.tobytes()
            assert tensor.shape == value.shape


@pytest.mark.frameworks
@pytest.mark.parametrize("name", MAKERS)
def test_graph_facts_are_those_of_the_protobuf(models: Path, name: str) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    artifact = read(models / name)
    model = saved_model_pb2.SavedModel()
    model.ParseFromString((models / name / "saved_model.pb").read_bytes())
    functions, ops = set(), set()
    for graph in model.meta_graphs:
        ops |= {node.op for node in graph.graph_def.node}
        for function in graph.graph_def.library.function:
            functions.add(function.signature.name)
            ops |= {node.op for node in function.node_def}
    assert artifact.requirements.ops == ops - functions
    properties = artifact.components[0].properties
    assert properties["tags"] == [sorted(g.meta_info_def.tags) for g in model.meta_graphs]
    assert properties["tensorflow_version"] == model.meta_graphs[0].meta_info_def.tensorflow_version
    assert properties["shards"] == 1
    theirs = {key for g in model.meta_graphs for key in g.signature_def if key[0] != "_"}
    ours = {signature.name.rpartition("/")[2] for signature in artifact.signatures}
    assert ours == theirs


@pytest.mark.frameworks
@pytest.mark.parametrize("name", ["keras_2", "early_keras_2", "keras_3", "plain"])
def test_signatures_and_objects_are_tensorflows(tf: Any, models: Path, name: str) -> None:
    artifact = read(models / name)
    loaded = tf.saved_model.load(str(models / name))
    for signature in artifact.signatures:
        function = loaded.signatures[signature.name]
        inputs, outputs = function.structured_input_signature[1], function.structured_outputs
        for ports, specs in ((signature.inputs, inputs), (signature.outputs, outputs)):
            ours = {port.name: (port.dtype, list(port.shape or ())) for port in ports}
            theirs = {key: (s.dtype.name, s.shape.as_list()) for key, s in specs.items()}
            assert ours == theirs
    graph = document(artifact, "object_graph.json")
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).validate(graph)
    assert f"{name}.derived/object_graph.json" in artifact.components[0].files
    tensors = st.by_name(artifact, SYSTEM)
    bound = [node for node in graph["nodes"] if node.get("kind") == "variable"]
    assert bound
    for node in bound:
        for value in node.get("values", []):
            tensor = tensors[value["key"]]
            assert list(tensor.shape) == node["facts"]["shape"]
            assert tensor.dtype == node["facts"]["dtype"]


@pytest.mark.frameworks
@pytest.mark.parametrize("name", ["keras_2", "early_keras_2"])
def test_keras_2_configs_and_roles(models: Path, name: str) -> None:
    artifact = read(models / name)
    config, training = document(artifact, "config.json"), document(artifact, "training.json")
    assert (config["class_name"], config["config"]["name"]) == ("Sequential", "net")
    assert training["loss"] == "mse"
    kinds = {component.id: component.kind for component in artifact.components}
    assert kinds == {
        name: "tensorflow.saved_model",
        f"{name}.derived/config.json": "keras.config",
        f"{name}.derived/training.json": "training",
    }
    assert all(c.derived_from == name for c in artifact.components[1:])
    assert {"Dense", "BatchNormalization", "Dropout"} <= artifact.requirements.layers
    roles = {tensor.name: tensor.role for tensor in artifact.tensors}
    assert roles["dense/kernel"] == "trainable"
    assert roles["norm/moving_mean"] == "non-trainable"
    assert roles["optimizer/m/dense/kernel"] == roles["iteration"] == "optimizer"
    assert roles["keras_api/metrics/0/total"] == "metric"
    assert artifact.components[0].properties["keras_version"].startswith("2.")


@pytest.mark.frameworks
def test_config_text_is_verbatim(models: Path) -> None:
    blob = derived(read(models / "keras_2"), "config.json").blob
    assert blob.read(0, blob.size) in (models / "keras_2" / "keras_metadata.pb").read_bytes()


@pytest.mark.frameworks
def test_keras_3_export_names_each_weight_once(models: Path) -> None:
    artifact = read(models / "keras_3")
    found = {tensor.name: tensor for tensor in artifact.tensors}
    kernel = found["net/dense/kernel"]
    assert (kernel.role, kernel.names["keras"]) == ("trainable", "net/dense/kernel")
    assert found["net/norm/moving_mean"].role == "non-trainable"
    assert any(tensor.role == "rng" for tensor in artifact.tensors)
    copies = [tensor for tensor in artifact.tensors if "copy_of" in tensor.attributes]
    assert len(copies) == 6
    first = st.by_name(artifact, SYSTEM)
    for copy in copies:
        original = first[copy.attributes["copy_of"]]
        assert st.tensor_bytes(artifact, copy) == st.tensor_bytes(artifact, original)
        assert copy.role == "other"


@pytest.mark.frameworks
def test_plain_model_with_assets(models: Path) -> None:
    artifact = read(models / "plain")
    assert artifact.components[0].properties["assets"] == ["vocabulary.txt"]
    roles = {tensor.name: tensor.role for tensor in artifact.tensors}
    assert (roles["w"], roles["frozen"]) == ("trainable", "other")
    assert "MatMul" in artifact.requirements.ops
    assert [signature.name for signature in artifact.signatures] == ["run"]


@pytest.mark.frameworks
def test_tensorflow_1_model(models: Path) -> None:
    artifact = read(models / "tensorflow_1")
    assert artifact.components[0].properties["tags"] == [["train"], ["gpu", "serve"]]
    names = [signature.name for signature in artifact.signatures]
    assert names == ["gpu+serve/predict", "other", "predict"]
    roles = {tensor.name: tensor.role for tensor in artifact.tensors}
    assert roles == {"dense/kernel": "trainable", "dense/count": "other"}
    assert not [file for file in artifact.files if file.role == "derived"]


@pytest.mark.frameworks
def test_several_shards_and_empty_directories(tf: Any, models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "plain", tmp_path / "net")
    variables = tmp_path / "net" / "variables"
    reader = tf.train.load_checkpoint(str(variables / "variables"))
    keys = sorted(reader.get_variable_to_shape_map())
    for half, some in (("a", keys[:2]), ("b", keys[2:])):
        tf.raw_ops.SaveV2(
            prefix=str(tmp_path / half),
            tensor_names=some,
            shape_and_slices=[""] * len(some),
            tensors=[tf.constant(reader.get_tensor(key)) for key in some],
        )
    shutil.rmtree(variables)
    tf.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=[str(tmp_path / "a"), str(tmp_path / "b")],
        destination_prefix=str(variables / "variables"),
    )
    (tmp_path / "net" / "assets.extra").mkdir()
    artifact = read(tmp_path / "net")
    assert artifact.components[0].properties["shards"] == 2
    assert artifact.directories == ("net/assets.extra",)
    loaded = tf.saved_model.load(str(tmp_path / "net"))
    (tensor,) = [tensor for tensor in artifact.tensors if tensor.name == "w"]
    assert st.tensor_bytes(artifact, tensor) == loaded.w.numpy().tobytes()


@pytest.mark.frameworks
def test_missing_parts(models: Path) -> None:
    source = st.tree_of(models / "plain")
    for path, rule in {
        "plain/assets/vocabulary.txt": "SVM-02",
        "plain/variables/variables.index": "SVM-03",
        "plain/variables/variables.data-00000-of-00001": "TFC-02",
    }.items():
        missing = st.with_file(source, path, None)
        assert st.rule_of(lambda missing=missing: saved_model.read(missing)) == rule


@pytest.mark.frameworks
@pytest.mark.parametrize("name", ["keras_2", "plain", "tensorflow_1"])
def test_damaged_files_are_refused_or_read(models: Path, name: str) -> None:
    source = st.tree_of(models / name)
    assert st.survives(source, f"{name}/saved_model.pb", saved_model.read, 60, 15)
    index = f"{name}/variables/variables.index"
    assert st.survives(source, index, saved_model.read, 40, 10) == 50
    if name == "keras_2":
        assert st.survives(source, f"{name}/keras_metadata.pb", saved_model.read, 100, 20)


# Inputs that no library writes

META = ww.field(1, ww.fields((4, "serve"), (5, "2.0")))


def model(*parts: tuple[int, ww.Value], **files: bytes) -> Any:
    """A SavedModel `m` of one graph with the given fields, and files beside it."""
    body = ww.fields((1, 1), (2, META + ww.fields(*parts)))
    named = {f"m/{name}": data for name, data in files.items()}
    return st.tree("m", **{"m/saved_model.pb": body}, **named)


def test_model_without_variables() -> None:
    artifact = saved_model.read(model())
    assert artifact.tensors == ()
    assert artifact.components[0].properties == {
        "tags": [["serve"]], "shards": 0, "assets": [], "tensorflow_version": "2.0",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "", "a\\b", "missing"])
def test_unsafe_assets(name: str) -> None:
    source = model((6, ww.field(2, name)), x=b"")
    assert st.rule_of(lambda: saved_model.read(source)) == "SVM-02"


@pytest.mark.parametrize(
    "data", [b"", b"\x08\x01", b"\x12\x7f", b"\x12\x02\x0a\x05", b"\x0b", b"\x10\x01"]
)
def test_malformed_saved_models(data: bytes) -> None:
    source = st.tree("m", **{"m/saved_model.pb": data})
    assert st.rule_of(lambda: saved_model.read(source)) == "SVM-01"


def test_text_form_is_refused_with_a_hint() -> None:
    source = st.tree("m", **{"m/saved_model.pbtxt": b"meta_graphs {}"})
    assert saved_model.recognise(source)
    assert st.rule_of(lambda: saved_model.read(source)) == "SVM-01"


def test_object_graph_reference_out_of_range() -> None:
    objects = ww.field(1, ww.field(1, ww.fields((1, 5), (2, "child"))))
    assert st.rule_of(lambda: saved_model.read(model((7, objects)))) == "SVM-01"


def _metadata(text: str) -> bytes:
    return ww.field(1, ww.fields((2, 0), (4, "_tf_keras_model"), (5, text)))


@pytest.mark.parametrize(
    "data",
    [b"\x0a\x7f", b"\x08\x01", _metadata("{"), _metadata("[]"), _metadata('{"model_config": }'),
     _metadata('{"model_config": ' + "[" * 100_000), _metadata('{"a": 1,, }'), _metadata("{1: 2}"),
     _metadata('{"model_config": {}, "model_config": {}}')],
    ids=range(9),
)  # fmt: skip
def test_malformed_keras_metadata(data: bytes) -> None:
    source = model(**{"keras_metadata.pb": data})
    assert st.rule_of(lambda: saved_model.read(source)) == "SVM-04"


def test_signature_with_a_dtype_that_is_none_of_ours_is_left_out_and_named() -> None:
    info = ww.fields((1, "x:0"), (2, 21))
    ports = ww.field(1, ww.fields((1, "x"), (2, info)))
    artifact = saved_model.read(model((5, ww.fields((1, "run"), (2, ports)))))
    assert artifact.signatures == ()
    assert artifact.components[0].properties["omitted_signatures"] == ["run"]


def test_large_constants_are_stepped_over() -> None:
    class Counted:
        """A blob that counts what is read of it."""

        def __init__(self, data: bytes) -> None:
            self.data, self.size, self.bytes = data, len(data), 0

        def read(self, offset: int, length: int) -> bytes:
            self.bytes += length
            return self.data[offset : offset + length]

    value = ww.fields((1, "value"), (2, ww.field(8, bytes(8 << 20))))
    node = ww.fields((1, "c"), (2, "Const"), (5, value))
    function = ww.fields((1, ww.field(1, "f")), (3, node))
    graph = ww.fields((1, node), (2, ww.field(1, function)), (1, ww.fields((2, "Late"))))
    source = model((2, graph))
    blob = Counted(st.content(source, "m/saved_model.pb"))
    artifact = saved_model.read(type(source)("m", {"m/saved_model.pb": blob}))
    assert artifact.requirements.ops == {"Const", "Late"}
    assert blob.bytes < 2 << 20


def test_rules_have_one_check_each() -> None:
    assert {f"SVM-0{n}" for n in range(1, 5)} <= CHECKS.keys()
