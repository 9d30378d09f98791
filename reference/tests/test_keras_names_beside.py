"""Layers whose configs leave out their names have them again, whatever was made before."""

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


class Block(keras.layers.Layer):
    """A layer as beginners write it: its constructor takes no name, its config tells none."""

    def __init__(self, units: int = 3) -> None:
        super().__init__()
        self.units = units
        self.inner = keras.layers.Dense(units)

    def build(self, shape: Any) -> None:
        self.inner.build(shape)
        self.scale = self.add_weight(shape=(self.units,), initializer="uniform")

    def call(self, x: Any) -> Any:
        return self.inner(x) * self.scale

    def get_config(self) -> dict[str, Any]:
        return {"units": self.units}


@keras.saving.register_keras_serializable("named_beside")
class Registered(Block):
    """The same, registered: Keras finds it by itself."""


class Cell(keras.layers.SimpleRNNCell):
    """A recurrent cell without a name in its config."""

    def get_config(self) -> dict[str, Any]:
        return {"units": self.units}


def functional() -> Any:
    inputs = keras.Input((4,))
    x = Block(3)(inputs)
    x = Registered(3)(x)
    own = Block(3)
    own.name = "own"
    return keras.Model(inputs, keras.layers.Dense(1)(Block(2)(own(x))))


def sequential() -> Any:
    return keras.Sequential([keras.Input((4,)), Block(3), Registered(3), Block(2)])


def nested() -> Any:
    return keras.Sequential([keras.Input((4,)), sequential(), Block(1)])


def wrapped() -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((5, 4)),
            layers.TimeDistributed(Block(3)),
            layers.RNN([Cell(2), Cell(2)], return_sequences=True),
            layers.RNN(Cell(2)),
        ]
    )


def restored(target: Any, folder: Path) -> Any:
    mb.pack(target, folder / "m.modelbundle")
    with mb.open(folder / "m.modelbundle") as bundle:
        return bundle.to_keras(custom_objects={"Block": Block, "Cell": Cell})


@pytest.mark.parametrize(
    ("make", "shape"),
    [(functional, (4,)), (sequential, (4,)), (nested, (4,)), (wrapped, (5, 4))],
)
def test_names_come_back(make: Callable[[], Any], shape: tuple[int, ...], tmp_path: Path) -> None:
    make()  # another model has taken the first automatic names
    target = make()
    x = np.random.default_rng(0).normal(size=(8, *shape)).astype("float32")
    y = np.ones(target(x).shape, "float32")
    target.compile("adam", "mse", jit_compile=False)
    target.fit(x, y, verbose=0)
    found = restored(target, tmp_path)
    assert [layer.name for layer in target.layers] == [layer.name for layer in found.layers]
    assert_same(target, found)
    assert np.array_equal(target(x), found(x))
    for each in (target, found):
        each.fit(x, y, verbose=0, shuffle=False)
    assert_same(target, found)


def test_a_keras_file_of_a_functional_model(tmp_path: Path) -> None:
    functional()
    target = functional()
    target.save(tmp_path / "m.keras")
    mb.pack(tmp_path / "m.keras", tmp_path / "m.modelbundle")
    with mb.open(tmp_path / "m.modelbundle") as bundle:
        found = bundle.to_keras(custom_objects={"Block": Block})
    x = np.ones((2, 4), "float32")
    assert np.array_equal(target(x), found(x))


def test_equal_models_with_layers_of_equal_names_give_equal_bytes(tmp_path: Path) -> None:
    digests = set()
    for number in range(2):
        keras.backend.clear_session()
        keras.utils.set_random_seed(3)
        digests.add(mb.pack(wrapped(), tmp_path / f"{number}.modelbundle"))
    assert len(digests) == 1


def test_topology_has_the_names(tmp_path: Path) -> None:
    Block()
    target = sequential()
    mb.pack(target, tmp_path / "m.modelbundle")
    with mb.open(tmp_path / "m.modelbundle") as bundle:
        text = bundle.read("model.derived/topology.json").decode()
    assert all(f'"name":"{layer.name}"' in text for layer in target.layers)
