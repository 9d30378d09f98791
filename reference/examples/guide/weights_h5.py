"""Weights in HDF5: numbered in the file, by name in the bundle."""

import keras
import numpy as np

import modelbundle as mb


def sequential(*names: str) -> keras.Model:
    """Layers that are alike but for their names."""
    layers = [keras.layers.Dense(64, activation="relu", name=name) for name in names]
    return keras.Sequential([keras.Input((64,), name="digits"), *layers])


model = sequential("dense_1", "dense_2")
model.save_weights("model.weights.h5")
mb.pack("model.weights.h5", "weights.modelbundle")
bundle = mb.open("weights.modelbundle")

# The file would load into this model with the layers swapped, and say nothing.
target = sequential("dense_2", "dense_1")
print(bundle.load_into(target))
for name in ("dense_1", "dense_2"):
    np.testing.assert_array_equal(model.get_layer(name).kernel, target.get_layer(name).kernel)
