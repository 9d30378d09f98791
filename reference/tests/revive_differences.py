"""What the comparison of Keras 2 and Keras 3 leaves out, or allows, and why."""

from __future__ import annotations

from typing import Any

from revive_corpus import ENTRIES

from modelbundle.reviving import rows

GONE: tuple[tuple[tuple[str, ...], str, Any], ...] = (
    (("UpSampling2D", "Resizing"), "interpolation", "gaussian"),
    (("UpSampling2D", "Resizing"), "interpolation", "mitchellcubic"),
)
"""Classes, an argument, a value of it that Keras 3 does not have."""

FLOAT32 = frozenset({"MaxPooling3D", "AveragePooling3D"})
"""Classes that TensorFlow does not compute in float64."""

LOOSE = {
    **dict.fromkeys(sorted(FLOAT32), 1e-6),
    "MultiHeadAttention": 1e-8,  # Keras 3 rounds the scale of the query to float32
    "Normalization": 1e-7,  # the variance is float32 in Keras 3
    "UpSampling2D": 1e-6,  # tf_keras computes these in float32
    "Resizing": 1e-6,
    "BinaryCrossentropy": 1e-6,  # tf_keras adds 1e-7 within the logarithm
    "BinaryFocalCrossentropy": 1e-6,
    "Huber": 1e-7,  # tf_keras computes it in float32
}
"""Classes that one of the two does not compute in float64; the largest difference then."""

_LOOKUP = "its outputs are integers or strings; vocabularies are compared by the tests of assets"
_RANDOM = "at inference it is the identity, at training it draws random numbers"
_CELL = "it has no file of its own: compared within the layer that has it"
UNCOVERED = {
    "Bidirectional": "takes a layer: compared in test_reviving.py",
    "Discretization": _LOOKUP,
    "GRUCell": _CELL,
    "HashedCrossing": _LOOKUP,
    "Hashing": _LOOKUP,
    "Identity": "computes nothing",
    "InputLayer": "every model has one",
    "InputSpec": "no layer",
    "IntegerLookup": _LOOKUP,
    "LSTMCell": _CELL,
    "Lambda": "never translated: its function is bytecode",
    "Layer": "the base class",
    "RNN": "takes a cell: not compared yet",
    "RandomBrightness": _RANDOM,
    "RandomContrast": _RANDOM,
    "RandomCrop": _RANDOM,
    "RandomFlip": _RANDOM,
    "RandomRotation": _RANDOM,
    "RandomTranslation": _RANDOM,
    "RandomZoom": _RANDOM,
    "SimpleRNNCell": _CELL,
    "SpatialDropout3D": _RANDOM,
    "SpectralNormalization": "takes a layer: not compared yet",
    "StackedRNNCells": _CELL,
    "StringLookup": _LOOKUP,
    "TextVectorization": _LOOKUP,
    "TimeDistributed": "takes a layer: not compared yet",
    "Wrapper": "the base of layers that take a layer",
}
"""Layers that both libraries have and the corpus does not, with the reason."""

_NOT_COMPUTED = frozenset(
    {"name", "trainable", "dtype", "autocast", "seed", "activity_regularizer"}
)  # fmt: skip


def uncovered_arguments() -> dict[str, list[str]]:
    """By class of the corpus, the arguments of Keras 3 that no case sets.

    Those that say how weights begin or are constrained do not change what a layer computes.
    """
    given: dict[str, set[str]] = {}
    for entry in ENTRIES:
        given.setdefault(entry.class_name, set()).update({*entry.fixed, *entry.varied})
    ends = ("_initializer", "_regularizer", "_constraint")
    found = {
        name: sorted(
            argument
            for argument in (rows.arguments("layers", name) or ())
            if argument not in names | _NOT_COMPUTED and not argument.endswith(ends)
        )
        for name, names in sorted(given.items())
    }
    return {name: arguments for name, arguments in found.items() if arguments}
