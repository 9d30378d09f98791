"""Without a graph every class has to say by get_config how it is made; packing tells which do not.

This is what `save_traces=False` was.
"""

import keras
import numpy as np

import modelbundle as mb


class Scaled(keras.Model):
    """Its constructor takes what no config can hold."""

    def __init__(self, scale: np.ndarray) -> None:
        super().__init__()
        self.scale = scale
        self.dense = keras.layers.Dense(2)

    def call(self, inputs: np.ndarray) -> np.ndarray:
        """Scale, then the dense layer."""
        return self.dense(inputs * self.scale)


model = Scaled(np.arange(3.0))
model(np.ones((1, 3), "float32"))

try:
    mb.pack(model, "scaled.modelbundle")
except mb.BundleError as error:
    print(error)
else:
    raise SystemExit("packed without a config")

mb.pack(model, "scaled.modelbundle", graph=True)  # this runs, and has the weights
mb.pack(model, "weights.modelbundle", include=("weights",))  # this has the weights alone
