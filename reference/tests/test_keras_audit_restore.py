"""What a restored model does next: trains on, thaws, exports, on another backend too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelbundle as mb
from modelbundle.core.findings import BundleError
from modelbundle.keras.binding_report import BindingError

keras = pytest.importorskip("keras")

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Layer InputLayer does not have a `quantize`"),
    pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`"),
]

X = np.random.default_rng(0).random((8, 4)).astype("float32")
Y = np.random.default_rng(1).random((8, 2)).astype("float32")


def net(*names: str, **options: Any) -> Any:
    """A stack of layers with 4 inputs and 2 outputs, which are called `names`."""
    found = [keras.layers.Dense(4, name=name, **options) for name in names[:-1]]
    last = keras.layers.Dense(2, name=names[-1])
    return keras.Sequential([keras.Input((4,)), *found, last], name="net")


def packed(target: Any, folder: Path, **options: Any) -> mb.Bundle:
    mb.pack(target, folder / "m.modelbundle", **options)
    return mb.open(folder / "m.modelbundle")


def goes_on_alike(live: Any, folder: Path, **options: Any) -> Any:
    """Restored, then trained beside the live model: the same numbers to the last bit."""
    found = packed(live, folder).to_keras(**options)
    for _ in range(2):
        told = [model.train_on_batch(X, Y, return_dict=True) for model in (live, found)]
        assert str(told[0]) == str(told[1])
    for one, two in zip(live.variables, found.variables, strict=True):
        assert np.array_equal(one.numpy(), two.numpy()), one.path
    return found


def test_a_layer_frozen_at_capture_can_be_thawed(tmp_path: Path) -> None:
    live = net("back", "head")
    live.layers[0].trainable = False
    found = packed(live, tmp_path).to_keras()
    assert not found.layers[0].trainable_variables
    for model in (live, found):
        model.layers[0].trainable = True
        model.compile("sgd", "mse")
        model.fit(X, Y, verbose=0)
    assert np.array_equal(live.layers[0].kernel.numpy(), found.layers[0].kernel.numpy())
    assert found.layers[0].kernel.value.trainable


def test_slots_keep_the_order_of_the_optimizer(tmp_path: Path) -> None:
    live = net("zz", "aa")
    live.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    live.train_on_batch(X, Y)
    live.layers[0].trainable = False
    bundle = packed(live, tmp_path)
    found = bundle.to_keras()
    for one, two in zip(live.optimizer.variables, found.optimizer.variables, strict=True):
        assert np.array_equal(one.numpy(), two.numpy())
    bundle.export(tmp_path / "w.weights.h5")
    fresh = net("zz", "aa")
    fresh.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    fresh.optimizer.build(fresh.trainable_variables)
    fresh.load_weights(tmp_path / "w.weights.h5")
    for one, two in zip(live.optimizer.variables, fresh.optimizer.variables, strict=True):
        assert np.array_equal(one.numpy(), two.numpy())


@keras.saving.register_keras_serializable("audit")
class Noise(keras.layers.Layer):
    def call(self, x: Any) -> Any:
        return x + keras.random.normal(keras.ops.shape(x))


def test_the_random_generator_of_keras_works_afterwards(tmp_path: Path) -> None:
    from keras.src.backend.common import global_state

    bundle = packed(keras.Sequential([keras.Input((4,)), Noise()]), tmp_path)
    global_state.set_global_attribute("global_seed_generator", None)
    found = bundle.to_keras()
    assert found(X).shape == (8, 4)
    assert keras.random.normal((2,)).shape == (2,)


def test_counters_of_another_backend(tmp_path: Path) -> None:
    from modelbundle.keras import pairing

    scale = keras.layers.Normalization(name="scale")
    scale.adapt(X)
    live = keras.Sequential([keras.Input((4,)), scale, keras.layers.Dense(2, name="d")])
    live.compile("adam", "mse")
    live.train_on_batch(X, Y)
    bundle = packed(live, tmp_path)
    found = bundle.to_keras()
    for counter in (found.optimizer._iterations, scale.count):
        counter._dtype = "int32"  # as JAX and Torch keep it
    saved = pairing_of(bundle)
    items = [item for item in owned(found) if item.role == "optimizer"]
    assert len(pairing.pair(found, items, saved, pairing.TRAINING - {"metric"})) == len(items)


def pairing_of(bundle: mb.Bundle) -> Any:
    from modelbundle.keras.saved import find

    return find(bundle)


def owned(target: Any) -> Any:
    from modelbundle.keras import variables

    return variables.owned(target)


def distance(one: Any, two: Any) -> Any:
    return keras.ops.mean(abs(one - two), -1)


def test_a_function_for_a_metric(tmp_path: Path) -> None:
    live = net("a", "b")
    live.compile("sgd", "mse", metrics=[distance])
    live.train_on_batch(X, Y)
    found = goes_on_alike(live, tmp_path, custom_objects={"distance": distance})
    assert [metric.name for metric in found.metrics] == [metric.name for metric in live.metrics]


def test_metrics_of_an_earlier_compile(tmp_path: Path) -> None:
    live = net("a", "b")
    live.compile("adam", "mse", metrics=["mae"])
    live.train_on_batch(X, Y)
    live.compile("adam", "mse")
    goes_on_alike(live, tmp_path)


@pytest.mark.parametrize(
    "make",
    [
        keras.metrics.R2Score,
        keras.metrics.F1Score,
        lambda: keras.metrics.FBetaScore(beta=0.5, average="micro"),
        lambda: keras.metrics.AUC(multi_label=True),
    ],
)
def test_metrics_that_are_built_late(make: Any, tmp_path: Path) -> None:
    live = net("a", "b")
    live.compile("adam", "mse", metrics=[make()])
    live.layers[-1].activation = keras.activations.sigmoid
    live.train_on_batch(X, (Y > 0.5).astype("float32"))
    found = packed(live, tmp_path).to_keras()
    one, two = (model.evaluate(X, Y > 0.5, verbose=0) for model in (live, found))
    assert str(one) == str(two)
    for mine, its in zip(live.metrics_variables, found.metrics_variables, strict=True):
        assert np.array_equal(mine.numpy(), its.numpy())


@keras.saving.register_keras_serializable("audit")
class Holding(keras.Model):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        layers = keras.layers
        self.inner = keras.Sequential([layers.Dense(3), layers.Dense(4)])
        self.both = layers.Bidirectional(layers.LSTM(2))
        self.head = layers.Dense(2)

    def call(self, x: Any) -> Any:
        return self.head(self.both(self.inner(x)[:, None]))


def test_unnamed_layers_within_a_model_of_an_attribute(tmp_path: Path) -> None:
    live = Holding()
    live.compile("adam", "mse")
    live.train_on_batch(X, Y)
    names = [item.name for item in owned(live)]
    assert names[:4] == [f"inner/dense{n}/{w}" for n in ("", "_1") for w in ("kernel", "bias")]
    goes_on_alike(live, tmp_path)


def test_training_goes_on_in_float8(tmp_path: Path) -> None:
    live = net("a", "b")
    live.quantize("float8")
    live.compile("adam", "mse")
    live.train_on_batch(X, Y)
    goes_on_alike(live, tmp_path)


def numbered(first: int) -> Any:
    """Three layers that Keras would number from `first`."""
    names = [f"dense_{n}" if n else "dense" for n in range(first, first + 3)]
    found = [keras.layers.Dense(4, name=name) for name in names]
    return keras.Sequential([keras.Input((4,)), *found])


def test_shifted_automatic_names_are_not_bound(tmp_path: Path) -> None:
    bundle, target = packed(numbered(1), tmp_path), numbered(0)
    before = [value.copy() for value in target.get_weights()]
    with pytest.raises(BindingError, match="number") as raised:
        bundle.load_into(target, partial=True)
    assert len(raised.value.report.ambiguous) == 4
    for one, two in zip(before, target.get_weights(), strict=True):
        assert np.array_equal(one, two)
    assert len(bundle.load_into(target, partial=True, match="name").bound) == 4


def test_names_that_are_no_more_than_fewer_are_bound(tmp_path: Path) -> None:
    fewer = keras.Sequential(numbered(0).layers[:2])
    report = packed(numbered(0), tmp_path).load_into(fewer, partial=True)
    assert len(report.bound) == 4 and not report.missing


def test_a_layer_that_two_nested_models_share(tmp_path: Path) -> None:
    shared = keras.layers.Dense(4, name="shared")
    one, two, x = keras.Input((4,)), keras.Input((4,)), keras.Input((4,))
    first = keras.Model(one, shared(one), name="A")
    second = keras.Model(two, keras.layers.ReLU()(shared(two)), name="B")
    both = keras.layers.Add()([first(x), second(x)])
    with pytest.raises(BundleError, match=r"KMD-07.*B/shared"):
        packed(keras.Model(x, both), tmp_path)


def test_without_weights_the_way_out_is_clone(tmp_path: Path) -> None:
    live = net("a", "b")
    live.compile("adam", "mse")
    live.train_on_batch(X, Y)
    with pytest.raises(BundleError, match=r"clone\(\)"):
        packed(live, tmp_path, include=("architecture", "training")).to_keras()


def test_without_config_a_graph_can_be_run(tmp_path: Path) -> None:
    bundle = packed(net("a", "b"), tmp_path, include="weights", graph=True)
    with pytest.raises(BundleError, match=r"RST-01.*run\("):
        bundle.to_keras()


def test_a_lambda_for_a_loss_is_told_once(tmp_path: Path) -> None:
    live = net("a", "b")
    live.compile("sgd", lambda one, two: keras.ops.mean((one - two) ** 2))
    live.train_on_batch(X, Y)
    with pytest.raises(BundleError) as raised:
        packed(live, tmp_path).to_keras()
    found = [(finding.rule, finding.place) for finding in raised.value.findings]
    assert found == [("SEC-04", "model/training.json")]


def test_what_the_optimizer_trains_is_told(tmp_path: Path) -> None:
    live = net("a", "b")
    live.compile("adam", "mse")
    live.train_on_batch(X, Y)
    training = json.loads(packed(live, tmp_path).read("model/training.json"))
    assert training["trained"] == ["a/kernel", "a/bias", "b/kernel", "b/bias"]
