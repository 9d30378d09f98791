"""Every public layer class of Keras 3, by what it takes to make one and to call it.

`keras_zoo.LAYERS` has those that are called on floats in a model; `EAGER` has the others: what
they are made with and a batch to call them on. `LEFT_OUT` has those that cannot stand alone, and
why. `classes()` is what Keras exports, each class once.
"""

from __future__ import annotations

import inspect
from typing import Any

import keras_zoo
import numpy as np

_RANDOM = np.random.default_rng(3)
_IMAGES = (_RANDOM.random((2, 8, 8, 3)) * 255).astype("float32")
_FACTOR = {"factor": 0.5, "value_range": (0, 255)}
_BATCH = _RANDOM.random((2, 4)).astype("float32")
_WORDS = np.array([["b", "a"], ["c", "a"]])
_INTEGERS = np.array([[1, 2], [7, 2]])
_LABELLED = {"images": _IMAGES, "labels": np.eye(2, 3, dtype="float32")}

EAGER: dict[str, tuple[str, dict[str, Any], Any]] = {
    "hashing": ("Hashing", {"num_bins": 3}, _WORDS),
    "hashed_crossing": ("HashedCrossing", {"num_bins": 3}, (_WORDS[:, :1], _WORDS[:, 1:])),
    "string_lookup": ("StringLookup", {"vocabulary": ["a", "b"]}, _WORDS),
    "integer_lookup": ("IntegerLookup", {"vocabulary": [1, 2]}, _INTEGERS),
    "text_vectorization": ("TextVectorization", {"vocabulary": ["a", "b"]}, _WORDS[:, 0]),
    "rand_augment": ("RandAugment", {"value_range": (0, 255), "seed": 1}, _IMAGES),
    "mix_up": ("MixUp", {"seed": 1}, _LABELLED),
    "cut_mix": ("CutMix", {"seed": 1}, _LABELLED),
    "aug_mix": ("AugMix", {"value_range": (0, 255), "seed": 1}, _IMAGES),
    "auto_contrast": ("AutoContrast", {"value_range": (0, 255)}, _IMAGES),
    "clahe": (
        "ContrastLimitedAdaptiveHistogramEqualization",
        {"tile_grid_size": (2, 2)},
        _IMAGES,
    ),
    "equalization": ("Equalization", {}, _IMAGES),
    "random_color_degeneration": ("RandomColorDegeneration", {"factor": 0.5}, _IMAGES),
    "random_color_jitter": (
        "RandomColorJitter",
        {"value_range": (0, 255), "brightness_factor": 0.2, "hue_factor": 0.2},
        _IMAGES,
    ),
    "random_elastic_transform": ("RandomElasticTransform", {}, _IMAGES),
    "random_gaussian_blur": ("RandomGaussianBlur", {}, _IMAGES),
    "random_grayscale": ("RandomGrayscale", {"factor": 0.5}, _IMAGES),
    "random_invert": ("RandomInvert", {"factor": 0.5}, _IMAGES),
    "random_perspective": ("RandomPerspective", {}, _IMAGES),
    "random_posterization": ("RandomPosterization", {"factor": 4}, _IMAGES),
    "random_saturation": ("RandomSaturation", {"factor": 0.5}, _IMAGES),
    "random_sharpness": ("RandomSharpness", {"factor": 0.5}, _IMAGES),
    "random_shear": ("RandomShear", {"x_factor": (0.1, 0.2)}, _IMAGES),
    "solarization": ("Solarization", {"threshold_factor": 0.5}, _IMAGES),
    "random_width": ("RandomWidth", {"factor": 0.1}, _IMAGES),
    "stft_spectrogram": ("STFTSpectrogram", {"frame_length": 16}, _RANDOM.random((2, 64, 1))),
    "max_num_bounding_boxes": (
        "MaxNumBoundingBoxes",
        {"max_number": 2, "bounding_box_format": "xyxy"},
        None,
    ),
    "pipeline": ("Pipeline", {"layers": [("Rescaling", {"scale": 0.5})]}, _IMAGES),
    "simple_rnn_cell": ("SimpleRNNCell", {"units": 3}, (_BATCH, [np.zeros((2, 3), "float32")])),
    "gru_cell": ("GRUCell", {"units": 3}, (_BATCH, [np.zeros((2, 3), "float32")])),
    "lstm_cell": ("LSTMCell", {"units": 3}, (_BATCH, [np.zeros((2, 3), "float32")] * 2)),
    "stacked_rnn_cells": (
        "StackedRNNCells",
        {"cells": [("GRUCell", {"units": 3})]},
        (_BATCH, [np.zeros((2, 3), "float32")]),
    ),
    "input_layer": ("InputLayer", {"shape": (4,)}, None),
}

LEFT_OUT = {
    "FlaxLayer": "holds a pickled module of another framework",
    "JaxLayer": "holds functions of another framework",
    "Lambda": "holds a function: test_keras_custom_objects",
    "Layer": "the base class",
    "TFSMLayer": "names a SavedModel outside the model",
    "TorchModuleWrapper": "holds a pickled module of another framework",
    "Wrapper": "a base class",
}


def classes(keras: Any) -> set[type]:
    """The layer classes that Keras exports."""
    members = (getattr(keras.layers, name) for name in dir(keras.layers))
    return {c for c in members if inspect.isclass(c) and issubclass(c, keras.layers.Layer)}


def covered(keras: Any) -> set[type]:
    """Those of them that one of the tables has."""
    names = {row[0] for table in (keras_zoo.LAYERS, EAGER) for row in table.values()}
    names |= set(LEFT_OUT)
    return {getattr(keras.layers, name) for name in names if hasattr(keras.layers, name)}
