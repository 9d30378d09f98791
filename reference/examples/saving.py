"""A small Keras model, trained on made-up data and saved in every format that Keras, tf_keras and
TensorFlow write.

    trained = train()
    sources = save_everywhere(trained, folder)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tf_keras
from safetensors.numpy import save_file

CLASSES = 10


def train() -> Any:
    """A Keras 3 model after two epochs, with its optimizer."""
    keras.utils.set_random_seed(7)
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"),
            keras.layers.Conv2D(16, 3, strides=2, activation="relu", name="edges"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(128, activation="relu", name="hidden"),
            keras.layers.Dense(CLASSES, activation="softmax", name="digit"),
        ],
        name="net",
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    continue_training(model, epochs=2)
    return model


def continue_training(model: Any, epochs: int) -> None:
    """Train on images of noise, each with a bright row that tells its class."""
    generator = np.random.default_rng(7)
    labels = generator.integers(0, CLASSES, 512)
    images = generator.normal(0, 0.3, (512, 28, 28, 1)).astype("float32")
    images[np.arange(512), 2 * labels] += 1
    model.fit(images, labels, batch_size=64, epochs=epochs, verbose=0)


def save_everywhere(model: Any, folder: Path) -> list[Path]:
    """Write every format below `folder`; returns what to pack, a checkpoint by its prefix."""
    return [*_keras_3(model, folder), *_keras_2(model, folder)]


def _keras_3(model: Any, folder: Path) -> list[Path]:
    names = ("net.keras", "net.h5", "net.weights.h5", "net.json", "net.safetensors")
    whole, legacy, weights, config, tensors = (folder / name for name in names)
    exported, checkpoint = folder / "net_export", folder / "net-checkpoint"
    model.save(whole)
    model.save(legacy)
    model.save_weights(weights)
    model.export(exported, verbose=False)
    config.write_text(model.to_json())
    save_file({variable.path: variable.numpy() for variable in model.variables}, tensors)
    tf.train.Checkpoint(model=model, optimizer=model.optimizer).write(str(checkpoint))
    return [whole, legacy, weights, exported, checkpoint, tensors, config]


def _keras_2(model: Any, folder: Path) -> list[Path]:
    """The same weights in the formats of Keras 2."""
    twin = tf_keras.Sequential(
        [
            tf_keras.Input((28, 28, 1), name="image"),
            tf_keras.layers.Conv2D(16, 3, strides=2, activation="relu", name="edges"),
            tf_keras.layers.BatchNormalization(name="norm"),
            tf_keras.layers.Flatten(name="flat"),
            tf_keras.layers.Dense(128, activation="relu", name="hidden"),
            tf_keras.layers.Dense(CLASSES, activation="softmax", name="digit"),
        ],
        name="net",
    )
    twin.set_weights(model.get_weights())
    twin.compile("adam", "sparse_categorical_crossentropy")
    saved = [folder / "net2.keras", folder / "net2.h5", folder / "net2_savedmodel"]
    for path in saved:
        twin.save(path)
    return saved
