"""Writes src/sources/keras-names.js: what Keras has, by public name. Needs keras 3 and tf_keras.

    KERAS_BACKEND=numpy python tools/keras-names.py > src/sources/keras-names.js
"""

import inspect
import pkgutil
from importlib import import_module

import keras
import tf_keras

OLD_LAYERS = """
AtrousConv1D AtrousConv2D AtrousConvolution1D AtrousConvolution2D Convolution1D Convolution2D Convolution3D ConvRecurrent2D
CuDNNGRU CuDNNLSTM Deconvolution2D Deconvolution3D GlobalAvgPool1D GlobalAvgPool2D Highway Layer LocallyConnected1D
LocallyConnected2D MaxoutDense Merge Recurrent SeparableConvolution2D SeparableConv1D TimeDistributedDense
ClassMethod InstanceMethod InstanceProperty SlicingOpLambda TFOpLambda TensorFlowOpLayer AddMetric AddLoss ModuleWrapper
""".split()
"""Layers of Keras 1 and 2 that neither package lists, those that stand for operations among them."""
MODELS = ["Functional", "Graph", "Model", "Sequential"]


def public(module, base):
    return {name for name, value in vars(module).items() if inspect.isclass(value) and issubclass(value, base)}


def operations():
    found = set()
    package = import_module("keras.src.ops")
    for info in pkgutil.iter_modules(package.__path__):
        if info.name.endswith("_test"):
            continue
        module = import_module(f"keras.src.ops.{info.name}")
        for name, value in vars(module).items():
            if inspect.isclass(value) and issubclass(value, package.operation.Operation) and value.__module__.startswith("keras.src.ops"):
                found.add(name)
    return found - {"Operation"}


def named(*modules):
    return {name for module in modules for name in vars(module) if not name.startswith("_")} - {
        "deserialize", "get", "serialize", "keras", "tf_keras", "types", "generic_utils"}


def listing(name, comment, names):
    text = " ".join(sorted(names))
    lines, line = [], ""
    for word in text.split():
        if len(line) + len(word) > 110:
            lines.append(line.strip())
            line = ""
        line += f"{word} "
    body = " ' +\n  '".join([*lines, line.strip()])
    print(f"\n/** {comment} */\nexport const {name} = words('{body}');")


layers = public(keras.layers, keras.layers.Layer) | public(tf_keras.layers, tf_keras.layers.Layer) | set(OLD_LAYERS)
print("/** What Keras has, by name. Written by tools/keras-names.py with "
      f"Keras {keras.__version__} and tf_keras {tf_keras.__version__}; not edited by hand. */")
print("/** @param {string} text */\nconst words = (text) => new Set(text.split(' '));")
listing("LAYERS", "Layers of Keras 1 to 3.", layers - set(MODELS))
listing("MODELS", "Models.", MODELS)
listing("OPERATIONS", "Operations of Keras 3 as classes.", operations())
listing("ACTIVATIONS", "Functions that a config names as activation.",
        named(keras.activations, tf_keras.activations) | {"log_softmax", "hard_swish"})
listing("OTHERS", "Initialisers, regularisers, constraints, policies and the like, classes and their other names.",
        named(keras.initializers, tf_keras.initializers, keras.regularizers, tf_keras.regularizers,
              keras.constraints, tf_keras.constraints, keras.dtype_policies, keras.random)
        | {"Policy", "PolicyV1", "KerasTensor", "GetItem", "Wrapper"})
