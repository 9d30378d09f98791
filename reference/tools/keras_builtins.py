"""Write `schemas/keras_names.json`: the names that Keras itself resolves.

Needs the frameworks; the package only reads the result. Run from the repository root:

    python reference/tools/keras_builtins.py [--check]

`--check` writes nothing and exits 1 where the stored table differs.
"""

# the frameworks take seconds to import
from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parents[2] / "schemas" / "keras_names.json"

PACKAGES = {
    "activation": "activations",
    "constraint": "constraints",
    "initializer": "initializers",
    "layer": "layers",
    "loss": "losses",
    "metric": "metrics",
    "optimizer": "optimizers",
    "regularizer": "regularizers",
}
"""Kind to the public module whose classes and functions are of that kind."""

KERAS_1 = {
    "layer": [
        "AtrousConv1D", "AtrousConv2D", "AtrousConvolution1D", "AtrousConvolution2D",
        "ConvRecurrent2D", "Convolution1D", "Convolution2D", "Convolution3D", "CuDNNGRU",
        "CuDNNLSTM", "Deconv2D", "Deconv3D", "Deconvolution2D", "Deconvolution3D", "Highway",
        "LocallyConnected1D", "LocallyConnected2D", "MaxoutDense", "Merge", "ParametricSoftplus",
        "RandomFourierFeatures", "Recurrent", "SReLU",
        "SeparableConvolution2D", "SpatialDropout1D", "ThresholdedReLU", "TimeDistributedDense",
    ],
    "model": ["Container", "Graph", "Network"],
    "initializer": [
        "glorot_normal", "he_normal", "lecun_uniform", "normal", "one", "uniform", "zero",
    ],
    "regularizer": ["ActivityRegularizer", "EigenvalueRegularizer", "WeightRegularizer",
                    "activity_l1", "activity_l1l2", "activity_l2", "l1_l2", "l1l2"],
    "constraint": ["maxnorm", "nonneg", "unitnorm", "unit_norm", "min_max_norm"],
    "optimizer": ["TFOptimizer", "rmsprop", "sgd"],
    "loss": ["cosine_proximity", "categorical_hinge", "logcosh"],
    "metric": ["acc", "accuracy", "crossentropy", "ce", "cosine", "cosine_proximity", "fbeta_score",
               "fmeasure", "matthews_correlation", "precision", "recall"],
}  # fmt: skip
"""Names of Keras 0.3 to 2.x that neither installed version has any more."""

POLICIES = [
    "DTypePolicy", "DTypePolicyMap", "FloatDTypePolicy", "GPTQDTypePolicy", "AWQDTypePolicy",
    "Int4DTypePolicy", "Policy", "PolicyV1", "QuantizedDTypePolicy",
    "QuantizedFloat8DTypePolicy",
]  # fmt: skip


def _public(module: Any) -> set[str]:
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and (inspect.isclass(value) or inspect.isfunction(value))
    } - {"deserialize", "get", "serialize"}


def _aliases(module: Any) -> set[str]:
    legacy = getattr(getattr(module, "LOCAL", None), "ALL_OBJECTS", {})
    return {*getattr(module, "ALL_OBJECTS_DICT", {}), *legacy}


def _submodules(package: Any) -> list[Any]:
    found = []
    for item in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not item.name.endswith("_test"):
            try:
                found.append(importlib.import_module(item.name))
            except ImportError:  # an optional dependency
                continue
    return found


def _subclasses(package: Any, base: type) -> set[str]:
    return {
        name
        for module in _submodules(package)
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, base)
    }


def collect() -> dict[str, list[str]]:
    """Kind to sorted names, from Keras 3, tf_keras and the names of Keras 1."""
    import keras
    import tf_keras
    from keras.src import dtype_policies, ops
    from keras.src.layers.layer import Layer
    from keras.src.ops.operation import Operation
    from tf_keras.src import initializers
    from tf_keras.src.layers import serialization

    initializers.populate_deserializable_objects()
    serialization.populate_deserializable_objects()
    names: dict[str, set[str]] = {}
    for kind, package in PACKAGES.items():
        names[kind] = set(KERAS_1.get(kind, []))
        for library, source in ((keras, "keras.src"), (tf_keras, "tf_keras.src")):
            names[kind] |= _public(getattr(library, package))
            names[kind] |= _aliases(importlib.import_module(f"{source}.{package}"))
    names["layer"] |= set(serialization.LOCAL.ALL_OBJECTS)
    names["layer"] |= _subclasses(importlib.import_module("keras.src.layers"), Layer)
    names["model"] = {"Functional", "Model", "Sequential", *KERAS_1["model"]}
    names["layer"] -= names["model"] | _public(keras.initializers) - _public(keras.layers)
    names["layer"] = {name for name in names["layer"] if name.lstrip("_")[0].isupper()}
    names["layer"] -= {"Input", "InputSpec"}
    names["schedule"] = _public(keras.optimizers.schedules) | _public(tf_keras.optimizers.schedules)
    names["optimizer"] -= names["schedule"]
    names["policy"] = set(POLICIES) | set(dtype_policies.ALL_OBJECTS_DICT)
    names["quantizer"] = {name for name in _public(keras.quantizers) if name[0].isupper()}
    names["operation"] = _subclasses(ops, Operation) - _subclasses(ops, Layer)
    names["op_function"] = _public(keras.ops)
    names["other"] = {"Cross", "Feature", "FeatureSpace", "InputSpec", "SeedGenerator"}
    return {kind: sorted(values) for kind, values in sorted(names.items())}


def render() -> str:
    """The text of the table."""
    import keras
    import tf_keras

    head = (
        "The classes and functions that Keras has, by kind (sections 8.2 and 9.2 of the standard): "
        f"names resolved by Keras {keras.__version__}, tf_keras {tf_keras.__version__} and "
        "Keras 1. Generated by reference/tools/keras_builtins.py."
    )
    return json.dumps({"$comment": head, "kinds": collect()}, indent=1) + "\n"


def main() -> int:
    """Write the table, or compare it."""
    text = render()
    if "--check" in sys.argv[1:]:
        return int(TARGET.read_text(encoding="utf-8") != text)
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
