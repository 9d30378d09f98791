"""`to_keras()`: from every source with a Keras 3 config, bound by name, nothing left empty."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_states import assert_same, state

import modelbundle as mb
from modelbundle.core.findings import BundleError
from modelbundle.keras import building, pairing, restore
from modelbundle.keras.saved import find
from modelbundle.keras.variables import owned

keras = pytest.importorskip("keras")

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Layer InputLayer does not have a `quantize`"),
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file"),
]


def net(optimizer: Any = "adam") -> Any:
    layers = keras.layers
    inner = keras.Sequential(
        [keras.Input((4,)), layers.Dense(5, name="one"), layers.BatchNormalization(name="norm")],
        name="inner",
    )
    inputs = keras.Input((4,), name="x")
    x = layers.Dropout(0.5, seed=1, name="drop")(inner(inputs))
    found = keras.Model(inputs, layers.Dense(2, name="head")(x), name="net")
    found.compile(optimizer, "mae", metrics=["mse"])
    found.fit(np.ones((8, 4)), np.ones((8, 2)), verbose=0, batch_size=4)
    return found


@pytest.fixture(scope="module")
def trained() -> Any:
    return net()


def packed(target: Any, folder: Path, **options: Any) -> mb.Bundle:
    mb.pack(target, folder / "m.modelbundle", **options)
    return mb.open(folder / "m.modelbundle")


def as_archive(model: Any, folder: Path) -> Any:
    model.save(folder / "net.keras")
    return folder / "net.keras"


def as_hdf5(model: Any, folder: Path) -> Any:
    compiled = dict(model._compile_config.config)
    model.save(folder / "net.h5")
    model._compile_config.config.update(compiled)  # Keras took the optimizer out
    return folder / "net.h5"


def as_config_and_weights(model: Any, folder: Path) -> Any:
    (folder / "net.json").write_text(model.to_json())
    model.save_weights(folder / "net.weights.h5")
    return [folder / "net.json", folder / "net.weights.h5"]


@pytest.mark.parametrize("save", [as_archive, as_hdf5, as_config_and_weights])
def test_every_source(save: Callable[..., Any], trained: Any, tmp_path: Path) -> None:
    found = packed(save(trained, tmp_path), tmp_path).to_keras()
    weights = [item.name for item in owned(trained) if item.role in pairing.WEIGHTS]
    one, two = state(trained), state(found)
    assert {name: one[name] for name in weights} == {name: two[name] for name in weights}
    x = np.ones((3, 4), "float32")
    assert np.array_equal(found(x), trained(x))


def test_the_optimizer_of_an_archive(trained: Any, tmp_path: Path) -> None:
    found = packed(as_archive(trained, tmp_path), tmp_path).to_keras()
    one, two = state(trained), state(found)
    slots = [name for name in one if one[name][0] == "optimizer"]
    assert len(slots) > 6
    assert [name for name in slots if one[name] != two[name]] == []


def test_a_class_of_somebody_else_in_an_archive(tmp_path: Path) -> None:
    from test_keras_custom_objects import GIVEN, model

    target = model()
    target.get_layer("scale").factor.assign([1.0, 2.0, 3.0])
    found = packed(as_archive(target, tmp_path), tmp_path).to_keras(custom_objects=GIVEN)
    one, two = state(target, rng=False), state(found, rng=False)
    kept = [name for name in one if one[name][0] != "metric"]
    assert {name: one[name] for name in kept} == {name: two[name] for name in kept}


def test_selections(trained: Any, tmp_path: Path) -> None:
    for_inference = packed(trained, tmp_path, include=("architecture", "weights")).to_keras()
    assert not for_inference.compiled
    x = np.ones((3, 4), "float32")
    assert np.array_equal(for_inference(x), trained(x))
    (tmp_path / "m.modelbundle").unlink()
    bare = packed(trained, tmp_path, include=("architecture",))
    with pytest.raises(BundleError, match="clone"):
        bare.to_keras()
    assert bare.clone().count_params() == trained.count_params()
    (tmp_path / "m.modelbundle").unlink()
    with pytest.raises(BundleError, match="RST-01"):
        packed(trained, tmp_path, include=("weights",)).to_keras()


def test_which_model(trained: Any, tmp_path: Path) -> None:
    bundle = packed([as_archive(trained, tmp_path), trained], tmp_path)
    with pytest.raises(BundleError, match="RST-01"):
        bundle.to_keras()
    assert_same(trained, bundle.to_keras("model"))
    assert not bundle.to_keras("net.keras", compile=False).compiled
    with pytest.raises(BundleError, match="RST-01"):
        bundle.to_keras("another")


def test_names_that_do_not_bind(trained: Any, tmp_path: Path) -> None:
    saved = find(packed(trained, tmp_path))
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="tail")])
    with pytest.raises(BundleError) as raised:
        pairing.pair(other, owned(other), saved, pairing.WEIGHTS)
    text = str(raised.value)
    assert {finding.rule for finding in raised.value.findings} == {"RST-02"}
    assert "tail/kernel" in text and "inner/norm/gamma" in text and "head/bias" in text


def test_another_shape_or_dtype(trained: Any, tmp_path: Path) -> None:
    saved = find(packed(trained, tmp_path))
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="head")])
    with pytest.raises(BundleError, match=r"RST-03 head/kernel.*\[3, 2\].*\[5, 2\]"):
        pairing.pair(other, owned(other), saved, frozenset())
    half = keras.Sequential(
        [keras.Input((5,)), keras.layers.Dense(2, name="head", dtype="float16")]
    )
    with pytest.raises(BundleError, match=r"RST-03 head/kernel.*float16.*float32"):
        pairing.pair(half, owned(half), saved, frozenset())


def test_assets_of_no_layer(tmp_path: Path) -> None:
    layer = keras.layers.TextVectorization(name="text")
    layer.adapt(["b a", "a c"])
    bundle = packed(layer, tmp_path)
    found = bundle.to_keras()
    assert found.get_vocabulary() == layer.get_vocabulary()
    assert np.array_equal(found(["a c d"]), layer(["a c d"]))
    from modelbundle.keras.asset_loading import load_assets

    with pytest.raises(BundleError, match="RST-05"):
        load_assets(keras.layers.Dense(1), find(bundle))


def test_preprocessing_in_a_model(tmp_path: Path) -> None:
    words = keras.layers.StringLookup(name="words", output_mode="tf_idf")
    words.adapt([["a", "b"], ["a", "c"]])
    scale = keras.layers.Normalization(name="scale")
    scale.adapt(np.array([[1.0, 2.0], [3.0, 5.0]]))
    text, numbers = keras.Input((None,), dtype="string"), keras.Input((2,))
    outputs = keras.layers.Concatenate()([words(text), scale(numbers)])
    model = keras.Model([text, numbers], outputs)
    found = packed(model, tmp_path).to_keras()
    import tensorflow as tf

    batch = [tf.constant([["a", "z"], ["c", "b"]]), tf.ones((2, 2))]
    assert np.array_equal(found(batch), model(batch))


@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
def test_quantised(mode: str, tmp_path: Path) -> None:
    model = keras.Sequential(
        [keras.Input((8,)), keras.layers.Dense(16, name="one"), keras.layers.Dense(4, name="two")]
    )
    model.quantize(mode)
    found = packed(model, tmp_path).to_keras()
    assert_same(model, found)
    x = np.random.default_rng(0).random((3, 8), "float32")
    assert np.array_equal(found(x), model(x))


def test_low_rank_adaptation(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4, name="one")])
    model.layers[0].enable_lora(2)
    model.layers[0].lora_kernel_b.assign(np.ones((2, 4)))
    found = packed(model, tmp_path).to_keras()
    assert_same(model, found)
    assert [v.name for v in found.trainable_variables] == [
        v.name for v in model.trainable_variables
    ]
    x = np.ones((3, 8), "float32")
    assert np.array_equal(found(x), model(x))
    (tmp_path / "m.modelbundle").unlink()
    merged = packed(as_archive(model, tmp_path), tmp_path).to_keras()
    assert np.allclose(merged(x), model(x), atol=1e-6)


def test_a_constructor_that_needs_values(tmp_path: Path) -> None:
    class Counted(keras.layers.Layer):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.start = keras.Variable(3.0, name="start")
            self.twice = float(keras.ops.convert_to_numpy(self.start.value)) * 2

        def get_config(self) -> dict[str, Any]:
            return super().get_config()

        def call(self, x: Any) -> Any:
            return x * self.start

    model = keras.Sequential([keras.Input((2,)), Counted(name="counted")])
    model.layers[0].start.assign(7.0)
    found = packed(model, tmp_path).to_keras(custom_objects={"Counted": Counted})
    assert float(found.layers[0].start.value) == 7.0 and found.layers[0].twice == 6.0


def test_no_initialiser_runs(trained: Any, tmp_path: Path, monkeypatch: Any) -> None:
    bundle = packed(trained, tmp_path)

    def run(*_: Any, **__: Any) -> Any:
        raise AssertionError("an initialiser ran")

    monkeypatch.setattr(keras.initializers.GlorotUniform, "__call__", run)
    assert_same(trained, bundle.to_keras())


def test_keras_is_left_as_it_was(trained: Any, tmp_path: Path) -> None:
    from keras.src.backend.common import global_state

    bundle = packed(trained, tmp_path)
    bundle.to_keras()
    assert not global_state.get_global_attribute("uninitialized_variables")
    assert global_state.get_global_attribute("stateless_scope") is None
    with pytest.raises(ZeroDivisionError), building.without_values():
        keras.layers.Dense(2).build((None, 2))
        raise ZeroDivisionError
    assert not global_state.get_global_attribute("uninitialized_variables")


def test_a_damaged_tensor(trained: Any, tmp_path: Path) -> None:
    mb.pack(trained, tmp_path / "m", directory=True)
    path = tmp_path / "m" / "model" / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleError, match="TEN-10"):
        mb.open(tmp_path / "m").to_keras()


def test_a_config_that_keras_cannot_build(tmp_path: Path) -> None:
    config = {
        "module": "keras.layers",
        "class_name": "Dense",
        "registered_name": None,
        "config": {"name": "d", "units": 2, "argument_of_tomorrow": 1},
    }
    (tmp_path / "d.json").write_text(json.dumps(config))
    with pytest.raises(RuntimeError, match=r"argument_of_tomorrow|Keras cannot build"):
        packed(tmp_path / "d.json", tmp_path).clone()


def test_errors_name_the_extra(monkeypatch: Any) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(ImportError, match=r"modelbundle\[keras\]"):
        restore._import_keras()
