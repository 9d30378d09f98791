"""Training that goes on from a bundle ends where training that never stopped ends, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_states import assert_same

import modelbundle as mb

keras = pytest.importorskip("keras")

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

STEPS = 4

OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "adam": keras.optimizers.Adam,
    "adamw": lambda: keras.optimizers.AdamW(weight_decay=0.01),
    "sgd": lambda: keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True),
    "rmsprop": lambda: keras.optimizers.RMSprop(momentum=0.5, centered=True),
    "lion": keras.optimizers.Lion,
    "nadam": keras.optimizers.Nadam,
    "loss-scaled": lambda: keras.optimizers.LossScaleOptimizer(
        keras.optimizers.Adam(), dynamic_growth_steps=3
    ),
    "schedule": lambda: keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.01, 20)),
    "averaged": lambda: keras.optimizers.SGD(0.01, use_ema=True, gradient_accumulation_steps=3),
}


def batches() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.normal(size=(4 * STEPS, 6)).astype("float32"), random.integers(0, 3, 4 * STEPS)


SEED = 7 if keras.backend.backend() == "torch" else None
"""Layers without a seed take random numbers on Torch from its generator, which no model owns."""


def model(optimizer: Any, seed: int | None = SEED) -> Any:
    """A small model with everything that has state: random numbers, averages, metrics."""
    layers = keras.layers
    keras.utils.set_random_seed(1)
    found = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8, activation="relu", name="hidden"),
            layers.BatchNormalization(name="norm"),
            layers.Dropout(0.3, seed=seed, name="drop"),
            layers.Dense(3, activation="softmax", name="head"),
        ]
    )
    found.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return found


def train(target: Any, epochs: int = 1) -> Any:
    x, y = batches()
    return target.fit(x, y, batch_size=4, epochs=epochs, shuffle=False, verbose=0).history


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on_as_if_it_had_never_stopped(name: str, tmp_path: Path) -> None:
    whole = model(OPTIMIZERS[name]())
    train(whole, epochs=2)
    half = model(OPTIMIZERS[name]())
    train(half)
    mb.pack(half, tmp_path / "half.modelbundle")
    with mb.open(tmp_path / "half.modelbundle") as bundle:
        resumed = bundle.to_keras()
    assert_same(half, resumed)
    train(resumed)
    assert_same(whole, resumed)


def test_it_would_show_if_something_were_lost(tmp_path: Path) -> None:
    whole = model(keras.optimizers.Adam())
    train(whole, epochs=2)
    half = model(keras.optimizers.Adam())
    train(half)
    half.save(tmp_path / "half.keras")
    resumed = keras.models.load_model(tmp_path / "half.keras")
    train(resumed)
    with pytest.raises(AssertionError):  # the state of Dropout is lost
        assert_same(whole, resumed)


def test_metrics_go_on_counting(tmp_path: Path) -> None:
    trained = model(keras.optimizers.Adam())
    train(trained)
    mb.pack(trained, tmp_path / "m.modelbundle")
    resumed = mb.open(tmp_path / "m.modelbundle").to_keras()
    assert resumed.get_metrics_result() == trained.get_metrics_result()
    x, y = batches()
    assert resumed.test_on_batch(x, y) == trained.test_on_batch(x, y)


def test_a_learning_rate_that_was_changed_stays_changed(tmp_path: Path) -> None:
    trained = model(keras.optimizers.Adam(0.5))
    train(trained)
    trained.optimizer.learning_rate = 0.125
    mb.pack(trained, tmp_path / "m.modelbundle")
    resumed = mb.open(tmp_path / "m.modelbundle").to_keras()
    assert float(resumed.optimizer.learning_rate) == 0.125
    assert int(resumed.optimizer.iterations) == STEPS


def test_a_layer_frozen_after_training_began(tmp_path: Path) -> None:
    trained = model(keras.optimizers.Adam())
    train(trained)
    trained.layers[0].trainable = False
    mb.pack(trained, tmp_path / "m.modelbundle")
    resumed = mb.open(tmp_path / "m.modelbundle").to_keras()
    assert_same(trained, resumed)
    assert not resumed.layers[0].trainable


def several_outputs(optimizer: Any, loss: Any, metrics: Any) -> Any:
    keras.utils.set_random_seed(2)
    inputs = keras.Input((6,), name="x")
    inner = keras.layers.Dense(4, name="inner")(inputs)
    outputs = [keras.layers.Dense(1, name="a")(inner), keras.layers.Dense(3, name="b")(inner)]
    found = keras.Model(inputs, outputs)
    found.compile(optimizer, loss=loss, metrics=metrics, loss_weights=[1.0, 0.5])
    return found


@pytest.mark.parametrize(
    ("loss", "metrics"),
    [
        (["mse", "mae"], [["mae"], None]),
        ({"a": "mse", "b": "mae"}, {"b": ["mse", "mae"]}),
    ],
)
def test_several_outputs(loss: Any, metrics: Any, tmp_path: Path) -> None:
    x, _ = batches()
    y = [np.ones((len(x), 1), "float32"), np.ones((len(x), 3), "float32")]

    def fit(target: Any, epochs: int) -> None:
        target.fit(x, y, batch_size=4, epochs=epochs, shuffle=False, verbose=0)

    loss = list(loss.values()) if isinstance(loss, dict) else loss
    whole, half = (several_outputs("adam", loss, metrics) for _ in range(2))
    fit(whole, 2)
    fit(half, 1)
    mb.pack(half, tmp_path / "half.modelbundle")
    resumed = mb.open(tmp_path / "half.modelbundle").to_keras()
    assert_same(half, resumed)
    assert resumed.evaluate(x, y, verbose=0) == half.evaluate(x, y, verbose=0)
    fit(resumed, 1)
    fit(whole, 0)
    whole.evaluate(x, y, verbose=0)
    resumed.evaluate(x, y, verbose=0)
    assert_same(whole, resumed)


def test_mixed_precision_under_another_global_policy(tmp_path: Path) -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        whole, half = model("adam"), model("adam")
        train(whole, epochs=2)
        train(half)
    finally:
        keras.config.set_dtype_policy(before)
    assert type(half.optimizer).__name__ == "LossScaleOptimizer"
    mb.pack(half, tmp_path / "half.modelbundle")
    resumed = mb.open(tmp_path / "half.modelbundle").to_keras()
    assert keras.config.dtype_policy().name == before.name
    assert resumed.layers[0].dtype_policy.name == "mixed_float16"
    train(resumed)
    assert_same(whole, resumed)
