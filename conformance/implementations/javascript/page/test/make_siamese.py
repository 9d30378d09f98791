"""Make test/data/siamese.modelbundle: a model with what is hard to draw.

    python make_siamese.py        # needs Keras 3 and modelbundle

A model in a model that is called twice, a shared layer, layers within a layer, a custom layer, and a
tensor with NaN and infinity. What it makes is committed: the tests of the page need no Python.
"""

import tempfile
from pathlib import Path

import keras
import numpy as np

import modelbundle

HERE = Path(__file__).parent


@keras.saving.register_keras_serializable(package="shop")
class Gate(keras.layers.Layer):
    """Lets through what is above a threshold."""

    def build(self, shape: tuple[int, ...]) -> None:
        self.threshold = self.add_weight(name="threshold", shape=(8,), trainable=False)

    def call(self, x):  # type: ignore[no-untyped-def]
        return x * keras.ops.mean(self.threshold)


def siamese() -> keras.Model:
    """Two texts through one encoder."""
    layers = keras.layers
    tokens = keras.Input((64,), name="tokens", dtype="int32")
    words = layers.Embedding(512, 16, name="embedding")(tokens)
    normal = layers.LayerNormalization(name="normalize")(words)
    pooled = layers.GlobalAveragePooling1D(name="pool")(normal)
    encoder = keras.Model(tokens, pooled, name="encoder")
    project = layers.Dense(16, activation="relu", name="project")
    question = keras.Input((64,), name="question", dtype="int32")
    answer = keras.Input((64,), name="answer", dtype="int32")
    left, right = project(encoder(question)), project(encoder(answer))
    lookup = layers.Embedding(64, 4, name="lookup")(question)
    memory = layers.Bidirectional(layers.LSTM(4, name="cell"), name="memory")(lookup)
    gated = Gate(name="gate")(left)
    joined = layers.Concatenate(name="concatenate")([gated, right, memory])
    score = layers.Dense(1, name="score")(joined)
    return keras.Model([question, answer], score, name="siamese")


def main() -> None:
    """Write the bundle."""
    model = siamese()
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    random = np.random.default_rng(5)
    model.set_weights([random.normal(0, 0.05, weight.shape) for weight in model.get_weights()])
    special = [np.nan, -np.inf, 0, 0, 1.5, -2, np.nan, 0.25]
    model.get_layer("gate").set_weights([np.array(special, "float32")])
    target = HERE / "data" / "siamese.modelbundle"
    target.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "siamese.keras")
        modelbundle.pack(Path(folder) / "siamese.keras", target, name="Siamese text matcher")


if __name__ == "__main__":
    main()
