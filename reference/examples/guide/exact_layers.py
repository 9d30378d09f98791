"""Exact layers and variables of one model into another that has little to do with it."""

import keras
import numpy as np
from keras import ops

import modelbundle as mb

inputs = keras.Input((784,), name="digits")
x = keras.layers.Dense(64, activation="relu", name="dense_1")(inputs)
x = keras.layers.Dense(64, activation="relu", name="dense_2")(x)
outputs = keras.layers.Dense(10, name="predictions")(x)
functional_model = keras.Model(inputs, outputs, name="3_layer_mlp")
mb.pack(functional_model, "mlp.modelbundle")


class ContrivedModel(keras.Model):
    """The first and the last layer of the other model, the last one as two variables."""

    def __init__(self) -> None:
        super().__init__()
        self.first_dense = keras.layers.Dense(64)
        self.kernel = self.add_weight(name="kernel", shape=(64, 10))
        self.bias = self.add_weight(name="bias", shape=(10,))

    def call(self, inputs: np.ndarray) -> np.ndarray:
        """The first layer, then the last one written out."""
        return ops.matmul(self.first_dense(inputs), self.kernel) + self.bias


model = ContrivedModel()
model(np.ones((1, 784), "float32"))

report = mb.open("mlp.modelbundle").load_into(
    {
        "dense_1": model.first_dense,
        "predictions/kernel": model.kernel,
        "predictions/bias": model.bias,
    }
)
assert report.missing == () and len(report.bound) == 4
assert report.unexpected == ("dense_2/bias", "dense_2/kernel")
np.testing.assert_array_equal(model.first_dense.kernel, functional_model.layers[1].kernel)
np.testing.assert_array_equal(model.kernel, functional_model.layers[-1].kernel)
