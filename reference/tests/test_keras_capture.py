"""Live Keras models become bundles that validate, hold everything, and are the same every time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from spec_text import SCHEMAS

import modelbundle as mb
from modelbundle.core.findings import BundleError
from modelbundle.sources.keras import captured, exact_values

pytestmark = [
    pytest.mark.frameworks,
    # TensorFlow's variables, as Keras makes arrays of them
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword"),
]

RANDOM = np.random.default_rng(1)
X = RANDOM.random((16, 4), dtype=np.float32)
Y = RANDOM.random((16, 2), dtype=np.float32)


@pytest.fixture(scope="module")
def keras() -> Any:
    return pytest.importorskip("keras")


@pytest.fixture(autouse=True)
def float32(keras: Any) -> Iterator[None]:
    yield
    keras.config.set_dtype_policy("float32")


def packed(target: Any, folder: Path, **options: Any) -> mb.Bundle:
    """The bundle of a live object, valid at level Full, its directory packing to one digest."""
    path = folder / "net.modelbundle"
    digest = mb.pack(target, path, overwrite=True, **options)
    assert mb.validate(path).findings == ()
    bundle = mb.open(path)
    root = bundle.manifest.components[0].id
    with tempfile.TemporaryDirectory(dir=folder) as unpacked:
        mb.unpack(path, Path(unpacked) / "all")
        assert mb.pack(Path(unpacked) / "all" / root, folder / "again", overwrite=True) == digest
    facts = json.loads(bundle.read(f"{root}/model.json"))
    jsonschema.validate(facts, SCHEMAS["keras_model"])
    if f"{root}/training.json" in bundle.manifest.by_path:
        jsonschema.validate(training(bundle, root), SCHEMAS["keras_training"])
    return bundle


def training(bundle: mb.Bundle, root: str = "model") -> Any:
    return json.loads(bundle.read(f"{root}/training.json"))


def roles(bundle: mb.Bundle) -> dict[str, str]:
    return {name: tensor.role for name, tensor in bundle.tensors.items()}


def dense(keras: Any, **options: Any) -> Any:
    """A Functional model, compiled and trained for one epoch."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((4,), name="x")
    hidden = keras.layers.Dense(8, activation="relu", name="hidden")(inputs)
    hidden = keras.layers.Dropout(0.5, seed=3, name="drop")(hidden)
    hidden = keras.layers.BatchNormalization(name="norm")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(2, name="out")(hidden), name="net")
    model.compile(**{"optimizer": "adam", "loss": "mse", "metrics": ["mae"], **options})
    model.fit(X, Y, batch_size=8, verbose=0)
    return model


# What is carried


def test_a_trained_model(keras: Any, tmp_path: Path) -> None:
    model = dense(keras)
    bundle = packed(model, tmp_path)
    assert set(roles(bundle).values()) == {
        "trainable",
        "non-trainable",
        "optimizer",
        "metric",
        "rng",
    }
    for variable, name in (
        (model.get_layer("hidden").kernel, "hidden/kernel"),
        (model.optimizer._momentums[0], "optimizer/momentum/hidden/kernel"),
        (model.get_layer("drop").seed_generator.state, "drop/seed_generator/seed_generator_state"),
    ):
        assert np.array_equal(bundle.tensors[name].numpy(), np.asarray(variable))
    slot = bundle.tensors["optimizer/momentum/hidden/kernel"]
    assert slot.attributes == {"slot": "momentum", "of": "hidden/kernel"}
    kinds = {component.kind for component in bundle.manifest.components}
    assert kinds == {"keras.model", "keras.config", "training", "safetensors"}
    assert bundle.manifest.requirements.layers >= {"Dense", "Dropout", "BatchNormalization"}
    assert not bundle.manifest.requirements.custom_objects


def test_variables_are_read_where_they_lie(keras: Any) -> None:
    from modelbundle.keras.memory import VariableBlob

    variable = keras.Variable(np.ones((64, 64), np.float32))
    blob = VariableBlob(variable)
    before = blob.view(0, blob.size)
    variable.assign(np.zeros((64, 64), np.float32))
    assert set(np.frombuffer(before, np.float32)) == {1.0}
    assert blob.view(0, 4).obj is not None and blob.size == 64 * 64 * 4


def test_large_tensors_are_aligned(keras: Any, tmp_path: Path) -> None:
    bundle = packed(dense(keras), tmp_path)
    rows = [bundle.index.row(number) for number in range(len(bundle.index))]
    assert all(row.offset % 64 == 0 for row in rows if row.length % 64 == 0)
    assert all(row.offset % 4 == 0 for row in rows)


def test_selections(keras: Any, tmp_path: Path) -> None:
    model = dense(keras)
    whole = set(packed(model, tmp_path).manifest.by_path)
    architecture = packed(model, tmp_path, include=("architecture",))
    assert set(architecture.manifest.by_path) == {
        "model/config.json", "model/model.json", "model.derived/topology.json", "tensors.msgpack",
    }  # fmt: skip
    inference = packed(model, tmp_path, include=("architecture", "weights"))
    assert set(roles(inference).values()) == {"trainable", "non-trainable"}
    weights = packed(model, tmp_path, include=["weights"])
    assert "model/config.json" not in weights.manifest.by_path
    assert roles(weights) == roles(inference)
    assert whole > set(inference.manifest.by_path) > {"model/weights.safetensors"}
    alone = packed(model, tmp_path, include=["training"])
    assert set(roles(alone).values()) == {"optimizer", "metric", "rng"}
    for wrong in (("everything",), ()):
        with pytest.raises(ValueError, match="include takes"):
            mb.pack(model, tmp_path / "no", include=wrong)


def test_sources_of_several_sorts(keras: Any, tmp_path: Path) -> None:
    one, two = dense(keras), keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="d")])
    two.save(tmp_path / "two.keras")
    mb.pack([one, tmp_path / "two.keras"], tmp_path / "mixed")
    mb.pack({"one": one, "two": two}, tmp_path / "both")
    assert mb.validate(tmp_path / "mixed").findings == mb.validate(tmp_path / "both").findings == ()
    assert "two/config.json" in mb.open(tmp_path / "both").manifest.by_path
    with pytest.raises(ValueError, match="mapping"):
        mb.pack([one, two], tmp_path / "no")
    with pytest.raises(ValueError, match="is for live models"):
        mb.pack(tmp_path / "two.keras", tmp_path / "no", include=["weights"])


def test_a_layer(keras: Any, tmp_path: Path) -> None:
    layer = keras.layers.Dense(3, name="only")
    layer.build((None, 2))
    bundle = packed(layer, tmp_path)
    assert roles(bundle) == {"bias": "trainable", "kernel": "trainable"}
    config = next(c for c in bundle.manifest.components if c.kind == "keras.config")
    assert config.properties["form"] == "layer"


def test_shared_nested_and_reused_layers(keras: Any, tmp_path: Path) -> None:
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, name="deep")], name="inner")
    shared = keras.layers.Dense(4, name="shared")
    one, two = keras.Input((4,), name="one"), keras.Input((4,), name="two")
    joined = keras.layers.Add(name="sum")([shared(inner(one)), shared(two)])
    model = keras.Model([one, two], {"a": joined, "b": inner(joined)}, name="net")
    bundle = packed(model, tmp_path)
    assert set(roles(bundle)) == {
        "inner/deep/bias", "inner/deep/kernel", "shared/bias", "shared/kernel",
    }  # fmt: skip


def test_frozen_layers(keras: Any, tmp_path: Path) -> None:
    model = dense(keras)
    model.get_layer("hidden").trainable = False
    bundle = packed(model, tmp_path)
    assert bundle.tensors["hidden/kernel"].role == "non-trainable"
    assert json.loads(bundle.read("model/model.json"))["frozen"] == ["hidden"]


# Training


def test_losses_and_metrics_of_several_outputs(keras: Any, tmp_path: Path) -> None:
    inputs = keras.Input((4,), name="x")
    outputs = {name: keras.layers.Dense(2, name=name)(inputs) for name in ("a", "b")}
    model = keras.Model(inputs, outputs)
    model.compile(
        "rmsprop",
        loss={"a": "mse", "b": keras.losses.Huber(0.5)},
        loss_weights={"a": 1.0, "b": 0.5},
        metrics={"a": ["mae"], "b": ["mae", "accuracy"]},
    )
    model.fit(X, {"a": Y, "b": Y}, verbose=0)
    bundle = packed(model, tmp_path)
    found = training(bundle)
    assert [(loss["name"], loss["weight"]) for loss in found["losses"]] == [("a", 1.0), ("b", 0.5)]
    assert found["loss_metrics"] == ["a_loss", "b_loss"]
    names = [[m["class_name"] for m in each["metrics"]] for each in found["metrics"]["metrics"]]
    assert names == [["MeanAbsoluteError"], ["MeanAbsoluteError", "CategoricalAccuracy"]]
    metrics = {name.rpartition("/")[0] for name, role in roles(bundle).items() if role == "metric"}
    assert metrics == {
        f"metrics/{name}" for name in ("loss", "a_loss", "b_loss", "a/mae", "b/mae", "b/accuracy")
    }


def test_not_built_yet(keras: Any, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="d")])
    model.compile("sgd", "mse", metrics=["mae"])
    assert training(packed(model, tmp_path))["built"] == {
        "optimizer": False, "loss": False, "metrics": False,
    }  # fmt: skip


@pytest.mark.parametrize("loss", ["function", "object", "list", "dict"])
def test_losses(keras: Any, tmp_path: Path, loss: str) -> None:
    losses = {
        "function": keras.losses.mean_absolute_error,
        "object": keras.losses.CosineSimilarity(axis=0),
        "list": ["mse"],
        "dict": {"out": "mse"},
    }
    assert training(packed(dense(keras, loss=losses[loss]), tmp_path))["losses"]


def test_a_learning_rate_schedule(keras: Any, tmp_path: Path) -> None:
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10, alpha=0.5)
    model = dense(keras, optimizer=keras.optimizers.SGD(schedule, momentum=0.9))
    found = training(packed(model, tmp_path))["optimizer"]
    assert found["config"]["learning_rate"]["config"]["alpha"] == 0.5


def test_averages_of_weights(keras: Any, tmp_path: Path) -> None:
    bundle = packed(dense(keras, optimizer=keras.optimizers.Adam(use_ema=True)), tmp_path)
    served = {t.attributes["of"] for t in bundle.tensors.values() if "of" in t.attributes}
    assert served == {name for name, role in roles(bundle).items() if role == "trainable"}
    assert len([name for name, role in roles(bundle).items() if role == "optimizer"]) == 2 + 3 * 6


def test_loss_scaling_under_mixed_precision(keras: Any, tmp_path: Path) -> None:
    keras.config.set_dtype_policy("mixed_float16")
    bundle = packed(dense(keras), tmp_path)
    assert training(bundle)["optimizer"]["class_name"] == "LossScaleOptimizer"
    assert "optimizer/inner_optimizer/momentum/hidden/kernel" in bundle.tensors
    assert "optimizer/dynamic_scale" in bundle.tensors
    facts = json.loads(bundle.read("model/model.json"))
    assert facts["dtype_policy"]["config"] == {"name": "mixed_float16"}


# Dtypes, quantisation, preprocessing


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_dtypes(keras: Any, tmp_path: Path, dtype: str) -> None:
    layer = keras.layers.Dense(3, dtype=dtype)
    layer.build((None, 2))
    kernel = packed(layer, tmp_path).tensors["kernel"]
    assert kernel.dtype == dtype
    assert kernel.numpy().tobytes() == np.asarray(layer.kernel.value).tobytes()


def test_dtypes_that_safetensors_lacks(keras: Any, tmp_path: Path) -> None:
    layer = keras.layers.Layer(name="c")
    layer.value = keras.Variable(np.array([1 + 2j], np.complex128), dtype="complex128")
    layer.built = True
    tensor = packed(layer, tmp_path).tensors["value"]
    assert tensor.dtype == "complex128" and tensor.shape == (1,)
    assert tensor.numpy().tolist() == [1 + 2j]


@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have a `quantize` method")
@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
def test_quantised(keras: Any, tmp_path: Path, mode: str) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="d")])
    model.quantize(mode)
    bundle = packed(model, tmp_path)
    kernel = bundle.tensors["d/kernel"]
    assert kernel.dtype == ("float32" if mode == "float8" else "int8")
    assert kernel.attributes == ({"packing": "int4"} if mode == "int4" else {})
    assert "d/kernel_scale" in bundle.tensors
    assert bundle.manifest.requirements.dtypes == set(bundle.index.dtypes)


def test_lora(keras: Any, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="d")])
    model.layers[0].enable_lora(2)
    assert roles(packed(model, tmp_path)) == {
        "d/bias": "trainable", "d/kernel": "non-trainable",
        "d/lora_kernel_a": "trainable", "d/lora_kernel_b": "trainable",
    }  # fmt: skip


def test_vocabularies(keras: Any, tmp_path: Path) -> None:
    text = keras.layers.TextVectorization(name="text")
    text.adapt(["a b c", "b"])
    model = keras.Sequential(
        [keras.Input((1,), dtype="string"), text, keras.layers.Embedding(9, 2)]
    )
    bundle = packed(model, tmp_path)
    assert bundle.read("model/assets/text/vocabulary.txt").split() == [b"[UNK]", b"b", b"c", b"a"]
    assert [c.id for c in bundle.manifest.components if c.kind == "assets"] == ["model/assets"]


def test_what_a_layer_stores_by_itself(keras: Any, tmp_path: Path) -> None:
    lookup = keras.layers.StringLookup(output_mode="tf_idf", name="words")
    lookup.adapt(np.array([["u", "v"], ["u", "u"]]))
    bundle = packed(lookup, tmp_path)
    assert "model/assets/own_variables.safetensors" in bundle.manifest.by_path


@pytest.mark.parametrize("name", ["IntegerLookup", "Normalization", "Discretization"])
def test_adapted_layers(keras: Any, tmp_path: Path, name: str) -> None:
    layers: dict[str, Any] = {"Discretization": {"num_bins": 3}}
    layer = getattr(keras.layers, name)(**layers.get(name, {}))
    layer.adapt(np.array([3, 4, 4]) if name == "IntegerLookup" else X)
    bundle = packed(layer, tmp_path)
    kept = {"IntegerLookup": "model/assets/vocabulary.txt", "Normalization": "mean"}
    assert kept.get(name, "model/config.json") in {*bundle.manifest.by_path, *bundle.tensors}


def test_words_with_line_breaks(keras: Any, tmp_path: Path) -> None:
    lookup = keras.layers.StringLookup()
    lookup.adapt(np.array(["a\u2028b", "c"]))
    with pytest.raises(BundleError, match=r"KMD-11 model: .*vocabulary="):
        mb.pack(lookup, tmp_path / "no")
    given = keras.layers.StringLookup(vocabulary=["a\u2028b", "c"])
    assert b"\xe2\x80\xa8" in packed(given, tmp_path).read("model/config.json")


# Custom objects


def test_custom_objects_are_required(keras: Any, tmp_path: Path) -> None:
    @keras.saving.register_keras_serializable("mine", "Twice")
    class Double(keras.layers.Layer):
        def __init__(self, pairs: Any = None, limit: float = 1.0, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.pairs, self.limit = pairs, limit

        def call(self, x: Any) -> Any:
            return 2 * x

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "pairs": self.pairs, "limit": self.limit}

    pairs = {1: ("a", ("b", -2)), 2: [float("-inf"), b"bytes"]}
    model = keras.Sequential(
        [keras.Input((4,)), Double(pairs, float("inf"), name="d"), keras.layers.Activation(squared)]
    )
    model.compile("sgd", loss=scaled_error)
    bundle = packed(model, tmp_path)
    found = {
        (c.registered_name, c.module, c.component)
        for c in bundle.manifest.requirements.custom_objects
    }
    module = __name__
    assert found == {
        ("mine>Twice", module, "model/config.json"),
        ("squared", module, "model/config.json"),
        ("scaled_error", module, "model/training.json"),
    }
    config = captured.read_config(bundle.read("model/config.json"), "config.json")
    mine = config["config"]["layers"][1]["config"]
    assert mine["limit"] == float("inf")
    assert mine["pairs"][1] == ("a", ("b", -2))
    assert mine["pairs"][2][0] == float("-inf") and isinstance(mine["pairs"][2], list)


def squared(x: Any) -> Any:
    return x * x


def scaled_error(y: Any, p: Any) -> Any:
    return (y - p) ** 2


def test_a_subclassed_model(keras: Any, tmp_path: Path) -> None:
    class Net(keras.Model):
        def __init__(self, units: int, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.units = units
            self.blocks = [keras.layers.Dense(units), keras.layers.Dense(units)]
            self.steps = self.add_weight(shape=(), trainable=False, name="steps")

        def call(self, x: Any) -> Any:
            for block in self.blocks:
                x = block(x)
            return x

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "units": self.units}

    keras.layers.Dense(1)  # a number that Keras then gives to no other
    model = Net(4, name="net")
    model(X)
    bundle = packed(model, tmp_path)
    assert set(roles(bundle)) == {
        "steps", "blocks/0/bias", "blocks/0/kernel", "blocks/1/bias", "blocks/1/kernel",
    }  # fmt: skip
    assert json.loads(bundle.read("model/model.json"))["class_name"] == "Net"


def test_a_class_without_config(keras: Any, tmp_path: Path) -> None:
    class Silent(keras.layers.Layer):
        def __init__(self, function: Any) -> None:
            super().__init__()
            self.function = function

    class Mute(Silent):
        pass

    model = keras.Sequential([keras.Input((4,)), Silent(object()), Mute(object())])
    with pytest.raises(BundleError) as error:
        mb.pack(model, tmp_path / "no")
    assert [finding.rule for finding in error.value.findings] == ["KMD-07", "KMD-07"]
    assert "Silent" in str(error.value) and "Mute" in str(error.value)
    assert "graph=True" in str(error.value)
    assert roles(packed(model, tmp_path, include=["weights"])) == {}


@pytest.mark.parametrize("value", [{1, 2}, 1j, object(), "\ud800", b"\xff"])
def test_what_json_cannot_hold(keras: Any, tmp_path: Path, value: Any) -> None:
    class Holder(keras.layers.Layer):
        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "held": value}

    layer = Holder(name="holder")
    with pytest.raises(BundleError, match=r"KMD-0[78] .*held|KMD-07 .*Holder"):
        mb.pack(layer, tmp_path / "no")


def test_a_loss_without_config(keras: Any, tmp_path: Path) -> None:
    class Mine(keras.losses.Loss):
        def call(self, y: Any, p: Any) -> Any:
            return p

        def get_config(self) -> Any:
            raise NotImplementedError("no config here")

    model = dense(keras)
    model.compile("sgd", Mine())
    with pytest.raises(BundleError, match=r"KMD-09 .*no config here"):
        mb.pack(model, tmp_path / "no")
    assert packed(model, tmp_path, include=("architecture", "weights"))


def test_unbuilt(keras: Any, tmp_path: Path) -> None:
    model = keras.Sequential([keras.layers.Dense(3)])
    with pytest.raises(BundleError, match=r"KMD-10 .*call it once on data"):
        mb.pack(model, tmp_path / "no")
    assert not packed(model, tmp_path, include=["architecture"]).tensors


# Values and numbers


def test_exact_values_come_back() -> None:
    value = {
        "t": (1, (2.0,)),
        3: {"n": float("-inf")},
        "l": [True, None],
        (1, "k"): "unicode \u00e9",
    }
    assert exact_values.decode(json.loads(exact_values.dump(exact_values.encode(value)))) == value
    assert repr(exact_values.decode(exact_values.encode(float("nan")))) == "nan"


@pytest.mark.parametrize(
    "value",
    [
        {"class_name": "__float__", "value": "1"},
        {"class_name": "__tuple__", "items": {}},
        {"class_name": "__dict__", "items": [[1]]},
        {"class_name": "__dict__", "items": [[[1], 2]]},
        {"class_name": "__tuple__", "items": [], "more": 1},
    ],
)
def test_malformed_tags(value: Any) -> None:
    with pytest.raises(ValueError):
        exact_values.decode(value)


def test_shared_objects_are_numbered_and_lookalikes_are_not() -> None:
    from modelbundle.keras.config import renumbered

    def item(number: int, name: str) -> dict[str, Any]:
        return {"class_name": "A", "config": {"name": name}, "shared_object_id": number}

    found = renumbered([item(900, "x"), item(70, "y"), item(900, "x"), item(70, "z"), item(5, "w")])
    assert [each.get("shared_object_id") for each in found] == [0, None, 0, None, None]


# Determinism

_PACK = """
import sys, keras, numpy as np, modelbundle as mb
for _ in range(int(sys.argv[2])):
    keras.layers.Dense(1, name=None)(keras.Input((1,)))
    keras.optimizers.Adam()
keras.utils.set_random_seed(7)
shared = keras.initializers.RandomNormal(seed=1)
inputs = keras.Input((4,), name="x")
h = keras.layers.Dense(8, kernel_initializer=shared, name="a")(inputs)
h = keras.layers.Dropout(0.5, name="drop")(h)
h = keras.layers.Dense(8, kernel_initializer=shared, name="b")(h)
model = keras.Model(inputs, keras.layers.Dense(1, name="out")(h), name="net")
metrics = ["mae", keras.metrics.AUC(name="auc")]
model.compile(keras.optimizers.AdamW(), {"out": "mse"}, metrics=metrics)
x = np.random.default_rng(0).random((32, 4))
model.fit(x, x[:, :1] > 0.5, batch_size=8, shuffle=False, verbose=0)
print(mb.pack(model, sys.argv[1]))
"""


def test_processes_write_equal_bytes(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    found = []
    for seed, others in (("1", "0"), ("2", "3")):
        path = tmp_path / f"{seed}.modelbundle"
        subprocess.run(
            [sys.executable, "-c", _PACK, path, others],
            env={**environment, "PYTHONHASHSEED": seed},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        found.append(path.read_bytes())
    assert found[0] == found[1]


_PACK_HERE = """
import sys, keras, numpy as np, modelbundle as mb
keras.utils.set_random_seed(7)
inputs = keras.Input((4,), name="x")
h = keras.layers.Dense(8, dtype="mixed_bfloat16", name="a")(inputs)
h = keras.layers.BatchNormalization(name="norm")(keras.layers.Dropout(0.5, name="drop")(h))
model = keras.Model(inputs, keras.layers.Dense(1, name="out")(h), name="net")
model.compile("adam", "mse", metrics=["mae"])
x = np.random.default_rng(0).random((32, 4))
model.fit(x, x[:, :1], batch_size=8, verbose=0)
mb.pack(model, sys.argv[1])
a, norm = model.get_layer("a"), model.get_layer("norm")
for path, variable in (("a/kernel", a.kernel), ("norm/moving_mean", norm.moving_mean)):
    found = mb.open(sys.argv[1]).tensors[path].numpy()
    assert np.array_equal(found, keras.ops.convert_to_numpy(variable)), path
"""


@pytest.mark.backends
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_backends(tmp_path: Path, backend: str) -> None:
    path = tmp_path / "net.modelbundle"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run(
        [sys.executable, "-c", _PACK_HERE, path],
        env={**environment, "KERAS_BACKEND": backend},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    assert mb.validate(path).findings == ()
    bundle = mb.open(path)
    assert json.loads(bundle.read("model/model.json"))["backend"] == backend
    assert {name for name, role in roles(bundle).items() if "optimizer" in role} == {
        "optimizer/iteration", "optimizer/learning_rate",
        *(f"optimizer/{slot}/{name}" for slot in ("momentum", "velocity")
          for name, role in roles(bundle).items() if role == "trainable"),
    }  # fmt: skip
    assert set(roles(bundle).values()) == set(captured.FILE_OF_ROLE) - {"other"}
