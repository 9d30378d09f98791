"""An HDF5 file that Keras wrote: packed as it is, and a model again."""

import keras
import numpy as np

import modelbundle as mb

inputs = keras.Input((32,))
model = keras.Model(inputs, keras.layers.Dense(1, name="answer")(inputs))
model.compile(optimizer="adam", loss="mean_squared_error")
model.fit(np.random.random((128, 32)), np.random.random((128, 1)), verbose=0)
model.save("my_h5_model.h5")

mb.pack("my_h5_model.h5", "my_h5_model.modelbundle")
bundle = mb.open("my_h5_model.modelbundle")
reconstructed = bundle.to_keras()

x = np.random.random((4, 32))
np.testing.assert_array_equal(model.predict(x, verbose=0), reconstructed.predict(x, verbose=0))
# The file itself comes back byte for byte; other formats are written by Keras.
assert bundle.export("again.h5").native
print(bundle.export("my_model.keras"))
