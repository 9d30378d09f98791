"""A layer and a function of one's own: passed, in a scope, or registered."""

import keras
import numpy as np
from keras import ops

import modelbundle as mb


class CustomLayer(keras.layers.Layer):
    """A dense layer written out."""

    def __init__(self, units: int = 32, **options: object) -> None:
        super().__init__(**options)
        self.units = units

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Make the weights."""
        self.w = self.add_weight(shape=(input_shape[-1], self.units), initializer="random_normal")
        self.b = self.add_weight(shape=(self.units,), initializer="random_normal")

    def call(self, inputs: np.ndarray) -> np.ndarray:
        """A product and a sum."""
        return ops.matmul(inputs, self.w) + self.b

    def get_config(self) -> dict[str, object]:
        """What the constructor takes."""
        return {**super().get_config(), "units": self.units}


def custom_activation(x: np.ndarray) -> np.ndarray:
    """An activation that Keras has not."""
    return ops.tanh(x) ** 2


inputs = keras.Input((32,))
x = CustomLayer(32)(inputs)
outputs = keras.layers.Activation(custom_activation)(x)
model = keras.Model(inputs, outputs)
mb.pack(model, "custom.modelbundle")
bundle = mb.open("custom.modelbundle")

custom_objects = {"CustomLayer": CustomLayer, "custom_activation": custom_activation}
with keras.saving.custom_object_scope(custom_objects):
    in_scope = bundle.to_keras()
passed = bundle.to_keras(custom_objects=custom_objects)

data = np.random.random((4, 32))
for loaded in (in_scope, passed):
    np.testing.assert_array_equal(model.predict(data, verbose=0), loaded.predict(data, verbose=0))

# One layer is packed as a model is.
layer = model.layers[1]
mb.pack(layer, "layer.modelbundle")
new_layer = mb.open("layer.modelbundle").to_keras(custom_objects=custom_objects)
np.testing.assert_array_equal(layer(data), new_layer(data))
