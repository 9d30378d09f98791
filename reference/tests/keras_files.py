"""Files that Keras 3 and tf_keras write, made once a process, and the models they hold."""

from __future__ import annotations

import os
import tempfile
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@dataclass(frozen=True)
class Saved:
    """A model and the folder in which its files lie."""

    model: Any
    folder: Path


def library(name: str) -> Any:
    """`keras` or `tf_keras`, imported without its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return __import__(name)


def build(keras: Any) -> Any:
    """A Functional model with a nested one, a cell, a frozen layer and two layers of one class."""
    keras.backend.clear_session()  # Keras numbers names over the whole process
    layers = keras.layers
    inner = keras.Sequential(
        [
            layers.Input((8,)),
            layers.Dense(8, name="hidden"),
            layers.BatchNormalization(name="norm"),
        ],
        name="inner",
    )
    inputs = layers.Input((8,), name="features")
    x = inner(inputs)
    x = layers.Dense(8, name="second", trainable=False)(x)
    x = layers.Dense(8, name="first", activation="relu")(x)
    x = layers.Dropout(0.5, name="drop")(x)
    x = layers.Reshape((2, 4), name="steps")(x)
    x = layers.LSTM(3, name="memory")(x)
    outputs = layers.Dense(2, name="head")(x)
    model = keras.Model(inputs, outputs, name="network")
    model.compile("adam", "mse", metrics=["mae"], run_eagerly=True)
    chance = np.random.default_rng(0)
    model.train_on_batch(chance.normal(size=(16, 8)), chance.normal(size=(16, 2)))
    return model


@cache
def saved(name: str) -> Saved:
    """The model of `build` in every HDF5-based format of a library."""
    folder = Path(tempfile.mkdtemp(prefix="keras-files-"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keras = library(name)
        model = build(keras)
        model.save(folder / "net.keras")
        model.save(folder / "net.h5")
        model.save_weights(folder / "net.weights.h5")
        if name == "tf_keras":
            model.save_weights(folder / "weights_only.h5", save_format="h5")
        else:
            model.save_weights(folder / "sharded.weights.json", max_shard_size=1_000 / 1024**3)
    return Saved(model, folder)


@cache
def lookup_model() -> Path:
    """A `.keras` file with vocabularies among its assets."""
    path = Path(tempfile.mkdtemp(prefix="keras-files-")) / "words.keras"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keras = library("keras")
        lookup = keras.layers.StringLookup(vocabulary=["a", "b", "c"], name="words")
        text = keras.layers.TextVectorization(name="text")
        text.adapt(["some words", "and others"])
        inputs = keras.layers.Input((1,), dtype="string")
        outputs = keras.layers.Embedding(8, 2, name="vectors")(lookup(inputs))
        more = keras.layers.Embedding(20, 2, name="tokens")(text(inputs))
        keras.Model(inputs, [outputs, more]).save(path)
    return path


@cache
def narrow_models() -> Path:
    """Models in bfloat16 and int4, saved whole and as weights."""
    folder = Path(tempfile.mkdtemp(prefix="keras-files-"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keras = library("keras")
        layers = [keras.layers.Input((8,)), keras.layers.Dense(6, name="dense")]
        brain = keras.Sequential([layers[0], keras.layers.Dense(6, name="dense", dtype="bfloat16")])
        brain.save(folder / "bfloat16.keras")
        brain.save_weights(folder / "bfloat16.weights.h5")
        packed = keras.Sequential(layers)
        packed.quantize("int4")
        packed.save(folder / "int4.keras")
    return folder
