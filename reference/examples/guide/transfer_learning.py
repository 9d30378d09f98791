"""Transfer learning three ways: another head, a Sequential around the backbone, another program."""

import keras
import numpy as np

import modelbundle as mb


def backbone() -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Inputs and outputs of what is trained before."""
    inputs = keras.Input((784,), name="digits")
    x = keras.layers.Dense(64, activation="relu", name="dense_1")(inputs)
    return inputs, keras.layers.Dense(64, activation="relu", name="dense_2")(x)


pretrained = keras.Model(*backbone(), name="pretrained_model")
mb.pack(pretrained, "pretrained.modelbundle")
bundle = mb.open("pretrained.modelbundle")

# 1. Into a model with a head of its own. What is missing is said, and has to be asked for.
inputs, features = backbone()
model = keras.Model(inputs, keras.layers.Dense(5, name="predictions")(features), name="new_model")
try:
    bundle.load_into(model)
except mb.BindingError as error:
    print(error)
report = bundle.load_into(model, partial=True)
assert report.missing == ("predictions/bias", "predictions/kernel")
for a, b in zip(pretrained.weights, model.weights, strict=False):
    np.testing.assert_array_equal(a, b)

# 2. Into a Sequential that wraps it: the names are found below the wrapped model.
inner = keras.Model(*backbone(), name="pretrained")
model = keras.Sequential([inner, keras.layers.Dense(5, name="predictions")])
print(bundle.load_into(model, partial=True))
for a, b in zip(pretrained.weights, inner.weights, strict=True):
    np.testing.assert_array_equal(a, b)

# 3. The backbone itself out of the bundle, frozen, with a head on top.
base = bundle.to_keras()
base.trainable = False
model = keras.Sequential([base, keras.layers.Dense(5, name="predictions")])
model.compile("adam", "mean_squared_error")
model.fit(np.ones((8, 784)), np.ones((8, 5)), verbose=0)
assert bundle.load_into(base).complete  # freezing does not change what binds
