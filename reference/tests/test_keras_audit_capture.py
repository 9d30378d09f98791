"""What a live model holds beside configs and variables: captured, put back, or said at packing."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import keras_models as models
import numpy as np
import pytest
from keras import initializers, layers, losses, metrics, optimizers

import modelbundle as mb
from modelbundle.keras.beside import NotCaptured
from modelbundle.keras.completing import left_out

keras: Any = models.keras

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

X = np.random.RandomState(0).rand(8, 4).astype("float32")
Y = X[:, :2]
register = keras.saving.register_keras_serializable


def net(*items: Any) -> Any:
    """A Sequential over four features."""
    return keras.Sequential([keras.Input((4,)), *items])


def again(model: Any, folder: Path, **options: Any) -> Any:
    """The model, packed and restored."""
    mb.pack(model, folder / "a.modelbundle", **options)
    return mb.open(folder / "a.modelbundle").to_keras()


def out(value: Any) -> Any:
    """A tensor as an array."""
    return keras.ops.convert_to_numpy(value)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.Dense(8),
        lambda: layers.EinsumDense("ab,bc->ac", 8),
        lambda: layers.Embedding(5, 8),
    ],
)
def test_lora_alpha(layer: Any, tmp_path: Path) -> None:
    model = net(made := layer())
    made.enable_lora(2, lora_alpha=7)
    for variable in model.trainable_variables:
        variable.assign(np.ones(variable.shape))
    restored = again(model, tmp_path)
    assert restored.layers[0].lora_alpha == 7
    assert np.array_equal(out(model(X)), out(restored(X)))


@pytest.mark.parametrize("by", ["var_names", "var_list"])
def test_exclusions_from_weight_decay(by: str, tmp_path: Path) -> None:
    model = net(layers.Dense(2))
    optimizer = optimizers.AdamW(0.1, weight_decay=0.5)
    told = {"var_names": ["bias"], "var_list": [model.layers[0].bias]}
    optimizer.exclude_from_weight_decay(**{by: told[by]})
    model.compile(optimizer, "mse")
    unbuilt = again(model, tmp_path)
    model.fit(X, Y, epochs=2, verbose=0, shuffle=False)
    unbuilt.fit(X, Y, epochs=2, verbose=0, shuffle=False)
    assert np.array_equal(model.layers[0].bias.numpy(), unbuilt.layers[0].bias.numpy())
    (tmp_path / "b").mkdir()
    restored = again(model, tmp_path / "b")
    for each in (model, restored):
        each.fit(X, Y, epochs=2, verbose=0, shuffle=False)
    assert np.array_equal(model.layers[0].bias.numpy(), restored.layers[0].bias.numpy())


def stateful(*items: Any) -> Any:
    model = keras.Sequential([keras.Input(batch_shape=(8, 4, 1)), *items])
    model(X[..., None])
    return model


@pytest.mark.parametrize(
    "make",
    [
        lambda: stateful(layers.GRU(3, stateful=True)),
        lambda: stateful(
            layers.Bidirectional(layers.LSTM(3, stateful=True, return_sequences=True)),
            layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)], stateful=True),
        ),
    ],
    ids=["gru", "nested"],
)
def test_states_of_recurrent_layers(make: Any, tmp_path: Path) -> None:
    model = make()
    restored = again(model, tmp_path)
    tensors = mb.open(tmp_path / "a.modelbundle").tensors.values()
    assert [t for t in tensors if t.role == "other" and "/states/" in t.name]
    assert np.array_equal(out(model(X[..., None])), out(restored(X[..., None])))


def test_arguments_of_losses_and_metrics(tmp_path: Path) -> None:
    for number, loss in enumerate(
        (losses.Huber(0.3), losses.CosineSimilarity(axis=0), losses.Poisson(dtype="float64"))
    ):
        model = net(layers.Dense(2, activation="sigmoid"))
        model.compile("sgd", loss, metrics=[metrics.CosineSimilarity(axis=0)])
        model.evaluate(X, Y, verbose=0)
        (folder := tmp_path / str(number)).mkdir()
        restored = again(model, folder)
        for each in (model, restored):
            each.reset_metrics()
        assert restored.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)
        assert restored.loss.dtype == model.loss.dtype


def test_arguments_of_initializers_and_layers(tmp_path: Path) -> None:
    rnn = layers.LSTM(3, use_cudnn=False)
    dense = layers.Dense(4, kernel_initializer=initializers.Identity(gain=3))
    model = keras.Sequential([keras.Input((4, 4)), dense, rnn])
    restored = again(model, tmp_path)
    assert restored.layers[0].kernel_initializer.gain == 3
    assert restored.layers[1].use_cudnn is False


_NEEDED: dict[str, Any] = {
    "num_classes": 3, "num_thresholds": 5, "target_class_ids": [1], "recall": 0.5,
    "precision": 0.5, "sensitivity": 0.5, "specificity": 0.5, "fn": losses.mean_squared_error,
    "initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5, "boundaries": [1],
    "values": [0.1, 0.2], "first_decay_steps": 3, "units": 3, "filters": 2, "kernel_size": 3,
    "factor": 0.3, "rate": 0.3, "n": 2, "num_heads": 2, "key_dim": 2, "input_dim": 3,
    "output_dim": 3, "equation": "ab,bc->ac", "output_shape": 3, "stddev": 0.1, "axes": 1,
    "dims": (2, 1), "target_shape": (2,), "activation": "relu", "output_size": 2, "pool_size": 2,
    "head_dim": 2, "num_query_heads": 2, "num_key_value_heads": 2, "height": 3, "width": 3,
}  # fmt: skip


@pytest.mark.parametrize(
    "home",
    [losses, metrics, optimizers, optimizers.schedules, initializers, layers, keras.regularizers],
    ids=lambda home: home.__name__.rpartition(".")[2],
)
def test_nothing_is_added_to_the_config_of_a_default(home: Any) -> None:
    seen = 0
    for made in (item for item in vars(home).values() if isinstance(item, type)):
        own = inspect.signature(made).parameters.values()
        needed = {p.name for p in own if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD}
        if hasattr(made, "get_config") and needed <= _NEEDED.keys():
            try:
                value = made(**{name: _NEEDED[name] for name in needed})
                config = value.get_config()
            except (ValueError, TypeError, NotImplementedError):
                continue
            assert left_out(value, config) == {}, made
            seen += 1
    assert seen > 4


@register("audit")
class Gan(keras.Model):
    """Two parts, each with an optimizer of its own."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.d, self.g = layers.Dense(1), layers.Dense(2)

    def compile(self, d_optimizer: Any, g_optimizer: Any) -> None:
        super().compile()
        self.d_optimizer, self.g_optimizer = d_optimizer, g_optimizer

    def get_compile_config(self) -> dict[str, Any]:
        make = keras.saving.serialize_keras_object
        return {name: make(getattr(self, name)) for name in ("d_optimizer", "g_optimizer")}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        make = keras.saving.deserialize_keras_object
        self.compile(**{name: make(value) for name, value in config.items()})

    def call(self, x: Any) -> Any:
        return self.d(self.g(x))

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}


def test_optimizers_that_attributes_hold(tmp_path: Path) -> None:
    model = Gan()
    model(X)
    model.compile(optimizers.Adam(0.1), optimizers.Adam(0.2))
    for part, optimizer in ((model.d, model.d_optimizer), (model.g, model.g_optimizer)):
        served = part.trainable_variables[::-1]
        optimizer.apply([keras.ops.ones(v.shape) for v in served], served)
    restored = again(model, tmp_path)
    for name in ("d_optimizer", "g_optimizer"):
        old, new = getattr(model, name), getattr(restored, name)
        assert old.iterations == new.iterations == 1
        pairs = list(zip(old.variables, new.variables, strict=True))
        assert len(pairs) == 6
        assert all(np.array_equal(a.numpy(), b.numpy()) for a, b in pairs)


@register("audit")
class Held(layers.Layer):
    """Its weight is a `tf.Variable`."""

    def build(self, shape: Any) -> None:
        import tensorflow as tf

        self.w = [tf.Variable(np.ones(shape[-1], "float32"))]

    def call(self, x: Any) -> Any:
        return x * self.w[0]


def test_a_variable_of_tensorflow(tmp_path: Path) -> None:
    model = net(Held(name="held"), layers.Dense(2))
    model.layers[0].w[0].assign([1, 2, 3, 4])
    restored = again(model, tmp_path)
    assert restored.layers[0].w[0].numpy().tolist() == [1, 2, 3, 4]
    assert "held/w/0" in mb.open(tmp_path / "a.modelbundle").tensors


@register("audit")
class Table(layers.Layer):
    """Holds an array of JAX."""

    def call(self, x: Any) -> Any:
        return x


def test_an_array_of_jax_is_reported(tmp_path: Path) -> None:
    import jax.numpy as jnp

    model = net(Table(name="table"), layers.Dense(2))
    model.layers[0].rows = {"a": jnp.ones(3)}
    with pytest.warns(NotCaptured, match="'table', attribute rows/a"):
        mb.pack(model, tmp_path / "a.modelbundle")


@register("audit")
class Extended(keras.Model):
    """A Functional model that can be given more."""


def test_weights_added_to_a_functional_model_are_reported(tmp_path: Path) -> None:
    made = keras.Input((4,))
    model = Extended(made, layers.Dense(2)(made))
    model.count = model.add_weight(shape=(), trainable=False, name="count")
    with pytest.warns(NotCaptured, match=r"after it was made \(count\)"):
        mb.pack(model, tmp_path / "a.modelbundle")


def test_values_that_the_trainer_of_jax_holds(tmp_path: Path) -> None:
    model = net(layers.Dense(2))
    kernel = model.layers[0].kernel
    value, kernel._value = kernel._value, None  # as JAX leaves it during fit
    try:
        with pytest.raises(RuntimeError, match=r"self\.model"):
            mb.pack(model, tmp_path / "a.modelbundle")
    finally:
        kernel._value = value


@pytest.mark.parametrize(
    "source", [42, len, optimizers.Adam(), [42]], ids=lambda value: type(value).__name__
)
def test_what_cannot_be_packed(source: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="give a path, or a layer or model of Keras"):
        mb.pack(source, tmp_path / "a.modelbundle")


def test_export_into_no_directory(tmp_path: Path) -> None:
    mb.pack(net(layers.Dense(2)), tmp_path / "a.modelbundle")
    with pytest.raises(FileNotFoundError, match=r"no directory '.*nodir'"):
        mb.open(tmp_path / "a.modelbundle").export(tmp_path / "nodir" / "a.keras")


def test_a_restored_model_packs_to_the_same_config(tmp_path: Path) -> None:
    model = net(layers.Dense(3), layers.BatchNormalization(), layers.Dense(2))
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(X, Y, verbose=0)
    restored = again(model, tmp_path)
    mb.pack(restored, tmp_path / "b.modelbundle")
    first, second = (mb.open(tmp_path / f"{name}.modelbundle") for name in "ab")
    for file in ("model/config.json", "model/model.json"):
        assert first.read(file) == second.read(file)
    before, after = (json.loads(each.read("model/training.json")) for each in (first, second))
    assert before["compile_config"] == after["compile_config"]
    assert before["optimizer"] == after["optimizer"]
