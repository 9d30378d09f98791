"""Freezing a nested layer changes the order of weights, and not what binds."""

import keras
import numpy as np

import modelbundle as mb


class NestedDenseLayer(keras.layers.Layer):
    """Two layers of one shape."""

    def __init__(self, units: int, **options: object) -> None:
        super().__init__(**options)
        self.units = units
        self.dense_1 = keras.layers.Dense(units, name="dense_1")
        self.dense_2 = keras.layers.Dense(units, name="dense_2")

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Make the weights of both."""
        self.dense_1.build(input_shape)
        self.dense_2.build((None, self.units))

    def call(self, inputs: np.ndarray) -> np.ndarray:
        """One layer after the other."""
        return self.dense_2(self.dense_1(inputs))

    def get_config(self) -> dict[str, object]:
        """What the constructor takes."""
        return {**super().get_config(), "units": self.units}


def nested_model() -> keras.Model:
    """A model whose only layer has layers."""
    return keras.Sequential([keras.Input((10,)), NestedDenseLayer(10, name="nested")])


model, target = nested_model(), nested_model()
before = [variable.path for variable in model.weights]
model.get_layer("nested").dense_1.trainable = False
after = [variable.path for variable in model.weights]
print("order changed:", before != after)

mb.pack(model, "nested.modelbundle")
mb.open("nested.modelbundle").load_into(target)
for name in ("dense_1", "dense_2"):
    a, b = (getattr(each.get_layer("nested"), name) for each in (model, target))
    np.testing.assert_array_equal(a.kernel, b.kernel)
