"""Weights from one live object to another, by name: no list of arrays whose order has to fit."""

import keras
import numpy as np

import modelbundle as mb


def create_layer(name: str) -> keras.layers.Layer:
    """A layer with weights."""
    layer = keras.layers.Dense(64, activation="relu", name=name)
    layer.build((None, 784))
    return layer


# From one layer to another.
layer_1, layer_2 = create_layer("one"), create_layer("two")
mb.transfer(layer_1, layer_2)
np.testing.assert_array_equal(layer_1.kernel, layer_2.kernel)


def functional(dropout: bool = False) -> keras.Model:
    """A functional model, if asked with a layer that has no weights."""
    inputs = keras.Input((784,), name="digits")
    x = keras.layers.Dense(64, activation="relu", name="dense_1")(inputs)
    x = keras.layers.Dense(64, activation="relu", name="dense_2")(x)
    if dropout:
        x = keras.layers.Dropout(0.5)(x)
    outputs = keras.layers.Dense(10, name="predictions")(x)
    return keras.Model(inputs, outputs, name="3_layer_mlp")


class SubclassedModel(keras.Model):
    """The same architecture as a class."""

    def __init__(self, output_dim: int, name: str | None = None) -> None:
        super().__init__(name=name)
        self.dense_1 = keras.layers.Dense(64, activation="relu", name="dense_1")
        self.dense_2 = keras.layers.Dense(64, activation="relu", name="dense_2")
        self.dense_3 = keras.layers.Dense(output_dim, name="predictions")

    def call(self, inputs: np.ndarray) -> np.ndarray:
        """Each layer after the other."""
        return self.dense_3(self.dense_2(self.dense_1(inputs)))


# From a functional model to a subclassed one, which a call gives its weights.
functional_model, subclassed_model = functional(), SubclassedModel(10)
subclassed_model(np.ones((1, 784), "float32"))
report = mb.transfer(functional_model, subclassed_model)
assert report.complete
for a, b in zip(functional_model.weights, subclassed_model.weights, strict=True):
    np.testing.assert_array_equal(a, b)

# Layers without weights do not matter.
assert mb.transfer(functional_model, functional(dropout=True)).complete
