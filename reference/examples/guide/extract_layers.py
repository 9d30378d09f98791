"""A new model made of layers that are taken out of an old one."""

import keras
import numpy as np

import modelbundle as mb


def create_functional_model() -> keras.Model:
    """The old model."""
    inputs = keras.Input((784,), name="digits")
    x = keras.layers.Dense(64, activation="relu", name="dense_1")(inputs)
    x = keras.layers.Dense(64, activation="relu", name="dense_2")(x)
    outputs = keras.layers.Dense(10, name="predictions")(x)
    return keras.Model(inputs, outputs, name="3_layer_mlp")


functional_model = create_functional_model()
mb.pack(functional_model, "pretrained.modelbundle")

# In another program: the whole model out of the bundle, then its layers into a new one.
bundle = mb.open("pretrained.modelbundle")
pretrained_model = bundle.to_keras()
extracted = pretrained_model.layers[:-1]
model = keras.Sequential([*extracted, keras.layers.Dense(5, name="dense_3")])
for a, b in zip(functional_model.weights, model.weights[:4], strict=False):
    np.testing.assert_array_equal(a, b)

# Or the weights right into the new model, whose layers kept their names.
report = bundle.load_into(model, partial=True)
assert report.missing == ("dense_3/bias", "dense_3/kernel")
