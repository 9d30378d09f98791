"""A whole model: architecture, weights, how it was compiled, the optimizer and its state."""

import keras
import numpy as np

import modelbundle as mb


def get_model() -> keras.Model:
    """A simple model."""
    inputs = keras.Input((32,))
    outputs = keras.layers.Dense(1)(inputs)
    model = keras.Model(inputs, outputs)
    model.compile(optimizer="adam", loss="mean_squared_error")
    return model


model = get_model()
test_input = np.random.random((128, 32))
test_target = np.random.random((128, 1))
model.fit(test_input, test_target, verbose=0)

mb.pack(model, "my_model.modelbundle")
reconstructed = mb.open("my_model.modelbundle").to_keras()

np.testing.assert_array_equal(
    model.predict(test_input, verbose=0), reconstructed.predict(test_input, verbose=0)
)
# It is compiled and has the optimizer's state: training goes on where it stopped.
assert int(reconstructed.optimizer.iterations) == int(model.optimizer.iterations) == 4
reconstructed.fit(test_input, test_target, verbose=0)
