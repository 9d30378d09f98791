"""Small live models, named as the guide on saving names them, for tests of binding and export."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

import modelbundle as mb

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from keras import layers


def mlp(
    outputs: int = 10,
    *,
    head: str = "predictions",
    name: str = "mlp",
    dropout: bool = False,
    library: Any = keras,
) -> Any:
    """The guide's functional model, with less of everything: 6 inputs, two layers of 4."""
    inputs = library.Input((6,), name="digits")
    x = library.layers.Dense(4, activation="relu", name="dense_1")(inputs)
    x = library.layers.Dense(4, activation="relu", name="dense_2")(x)
    if dropout:
        x = library.layers.Dropout(0.5, name="drop")(x)
    x = library.layers.Dense(outputs, name=head)(x)
    return filled(library.Model(inputs, x, name=name))


def backbone(name: str = "pretrained") -> Any:
    """The same without its last layer."""
    inputs = layers.Input((6,), name="digits")
    x = layers.Dense(4, activation="relu", name="dense_1")(inputs)
    x = layers.Dense(4, activation="relu", name="dense_2")(x)
    return filled(keras.Model(inputs, x, name=name))


def nested(library: Any = keras) -> Any:
    """A model within a model, statistics, a cell within a layer."""
    inner = library.Sequential(
        [library.Input((4,)), library.layers.Dense(4, name="hidden"),
         library.layers.BatchNormalization(name="norm")], name="inner",
    )  # fmt: skip
    inputs = library.Input((6,), name="digits")
    x = inner(library.layers.Dense(4, name="first")(inputs))
    x = library.layers.Reshape((2, 2), name="steps")(x)
    x = library.layers.LSTM(3, name="memory")(x)
    return filled(library.Model(inputs, library.layers.Dense(2, name="last")(x), name="outer"))


class Subclassed(keras.Model):
    """The guide's: its attributes are called other than its layers."""

    def __init__(self, output_dim: int = 10, **options: Any) -> None:
        super().__init__(**options)
        self.output_dim = output_dim
        self.dense_1 = layers.Dense(4, activation="relu", name="dense_1")
        self.dense_2 = layers.Dense(4, activation="relu", name="dense_2")
        self.dense_3 = layers.Dense(output_dim, name="predictions")

    def call(self, inputs: Any) -> Any:
        return self.dense_3(self.dense_2(self.dense_1(inputs)))

    def get_config(self) -> dict[str, Any]:
        return {"output_dim": self.output_dim, "name": self.name}


def subclassed() -> Any:
    model = Subclassed()
    model(np.ones((1, 6), "float32"))
    return filled(model)


_seeds = iter(range(1_000_000))


def filled(model: Any) -> Any:
    """Every weight with values that no other model here has, biases too."""
    chance = np.random.default_rng(next(_seeds))
    for variable in model.weights:
        values = chance.uniform(0.1, 1, variable.shape)
        variable.assign(values.astype("float32"))
    return model


def weights_of(target: Any) -> dict[str, np.ndarray[Any, Any]]:
    """The values of all weights, by path of the variable."""
    return {v.path: keras.ops.convert_to_numpy(v.value).copy() for v in target.weights}


def same_values(one: Any, two: Any) -> bool:
    """Whether weights in order are equal, bit for bit."""
    ours, theirs = ([np.array(v) for v in m.get_weights()] for m in (one, two))
    return len(ours) == len(theirs) and all(map(np.array_equal, ours, theirs))


def packed(source: Any, path: Path) -> mb.Bundle:
    """A bundle of `source`, open."""
    mb.pack(source, path, overwrite=True)
    return mb.open(path)
