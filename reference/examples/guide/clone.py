"""A clone has the architecture, and neither the weights nor how it was compiled."""

import json

import keras
import numpy as np

import modelbundle as mb

model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4, name="dense")])
model.compile("adam", "mean_squared_error")
mb.pack(model, "model.modelbundle")

new_model = mb.open("model.modelbundle").clone()
assert json.dumps(new_model.get_config()) == json.dumps(model.get_config())
assert not new_model.compiled
assert not np.array_equal(new_model.get_layer("dense").kernel, model.get_layer("dense").kernel)
