"""A model of one's own class, loaded with its class, and run where the class is lost."""

import keras
import numpy as np
import tensorflow as tf

import modelbundle as mb


class CustomModel(keras.Model):
    """A chain of dense layers."""

    def __init__(self, hidden_units: list[int], **options: object) -> None:
        super().__init__(**options)
        self.hidden_units = hidden_units
        self.dense_layers = [keras.layers.Dense(units) for units in hidden_units]

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Each layer after the other."""
        for layer in self.dense_layers:
            inputs = layer(inputs)
        return inputs

    def get_config(self) -> dict[str, object]:
        """What the constructor takes."""
        return {**super().get_config(), "hidden_units": self.hidden_units}


model = CustomModel([16, 16, 10])
x = np.random.random((1, 5)).astype("float32")
outputs = model(x)  # a call makes the weights
mb.pack(model, "my_model.modelbundle", graph=True)
bundle = mb.open("my_model.modelbundle")

# Option 1: with the class. What a bundle needs is known before anything is imported.
(needed,) = bundle.manifest.requirements.custom_objects
print("needs", needed.class_name)
loaded = bundle.to_keras(custom_objects={"CustomModel": CustomModel})
np.testing.assert_array_equal(loaded(x), outputs)

# Option 2: without it, the traced graph runs.
del CustomModel
try:
    bundle.to_keras()
except mb.BundleError as error:
    print(error)
answer = bundle.run({"args_0": x}, "serving_default", engine="tensorflow")
np.testing.assert_allclose(answer["output_0"], outputs, rtol=1e-6)

# It is a SavedModel, which TensorFlow loads by itself.
mb.unpack(bundle, "unpacked", only=["model.graph"])
graph = tf.saved_model.load("unpacked/model.graph")
np.testing.assert_allclose(graph.serve(x), outputs, rtol=1e-6)
