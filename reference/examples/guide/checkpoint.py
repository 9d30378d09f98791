"""A TensorFlow checkpoint: packed as it is, and every tensor of it consumed."""

import keras
import numpy as np
import tensorflow as tf

import modelbundle as mb


def sequential() -> keras.Model:
    """A model whose layers have names."""
    return keras.Sequential(
        [
            keras.Input((784,), name="digits"),
            keras.layers.Dense(64, activation="relu", name="dense_1"),
            keras.layers.Dense(64, activation="relu", name="dense_2"),
            keras.layers.Dense(10, name="predictions"),
        ]
    )


model, target = sequential(), sequential()
tf.train.Checkpoint(model).write("ckpt")

mb.pack("ckpt", "ckpt.modelbundle")
report = mb.open("ckpt.modelbundle").load_into(target)
assert report.complete  # and anything less would have been an error
for a, b in zip(model.weights, target.weights, strict=True):
    np.testing.assert_array_equal(a, b)


class CustomLayer(keras.layers.Layer):
    """Its variable is held as `var` and called `var_a`."""

    def __init__(self) -> None:
        super().__init__()
        self.var = tf.Variable(5.0, name="var_a")


tf.train.Checkpoint(layer=CustomLayer()).write("custom_layer")
mb.pack("custom_layer", "custom_layer.modelbundle")
tensor = mb.open("custom_layer.modelbundle").tensors.find("layer/var/.ATTRIBUTES/VARIABLE_VALUE")
assert tensor.numpy() == 5
print(tensor.names)
