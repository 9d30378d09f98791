"""The engines by name, in the order in which one is chosen where none is asked for.

load("onnx").available()      # None, or why it is not
"""

from __future__ import annotations

from importlib import import_module

from modelbundle.engines.engine import Engine

ENGINES = {
    "tensorflow": "modelbundle.engines.tensorflow:ENGINE",
    "onnx": "modelbundle.engines.onnx:ENGINE",
    "stablehlo": "modelbundle.engines.stablehlo:ENGINE",
    "tflite": "modelbundle.engines.tflite:ENGINE",
    "keras-tensorflow": "modelbundle.engines.keras:ON_TENSORFLOW",
    "keras-jax": "modelbundle.engines.keras:ON_JAX",
    "keras-torch": "modelbundle.engines.keras:ON_TORCH",
}
"""Where each engine is: a module and its name there."""


def load(name: str) -> Engine:
    """The engine called `name`; no framework is imported. Raises `KeyError`."""
    if name not in ENGINES:
        raise KeyError(f"no engine {name!r}: there are {', '.join(ENGINES)}")
    return load_home(ENGINES[name])


def load_home(home: str) -> Engine:
    """The engine at `MODULE:NAME`."""
    module, _, name = home.partition(":")
    engine: Engine = getattr(import_module(module), name)
    return engine
