"""The architecture alone: a config that builds a model with fresh weights, not compiled."""

import json
from pathlib import Path

import keras
import numpy as np

import modelbundle as mb

layer = keras.layers.Dense(3, activation="relu", name="dense")
sequential = keras.Sequential([keras.Input((32,)), keras.layers.Dense(1)])
inputs = keras.Input((32,))
functional = keras.Model(inputs, keras.layers.Dense(1)(inputs))

for number, model in enumerate((layer, sequential, functional)):
    path = f"architecture_{number}.modelbundle"
    mb.pack(model, path, include=("architecture",))
    bundle = mb.open(path)
    assert len(bundle.tensors) == 0
    new = bundle.clone()
    assert type(new) is type(model)
    assert json.dumps(new.get_config()) == json.dumps(model.get_config())

    # The JSON that Keras writes is a file of the bundle.
    config = json.loads(bundle.read("model/config.json"))
    again = keras.saving.deserialize_keras_object(config)
    assert json.dumps(again.get_config()) == json.dumps(model.get_config())

# The other way round: JSON from Keras, packed.
Path("sequential.json").write_text(sequential.to_json(), encoding="utf-8")
mb.pack("sequential.json", "json.modelbundle")
new = mb.open("json.modelbundle").clone()
assert new.predict(np.ones((1, 32)), verbose=0).shape == (1, 1)
