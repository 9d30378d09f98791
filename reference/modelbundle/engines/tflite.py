"""The engine `tflite`: TensorFlow Lite models on LiteRT, or on TensorFlow where that is here.

session = ENGINE.prepare(bundle, signature, Setup())
"""

from __future__ import annotations

from typing import Any

import numpy as np

from modelbundle.bundle import Bundle
from modelbundle.core.findings import clip
from modelbundle.core.manifest import Signature
from modelbundle.engines.engine import (
    Arrays,
    Description,
    Session,
    Setup,
    component_of,
    missing_modules,
    no_device,
    outputs_of,
    place,
)
from modelbundle.engines.tflite_model import is_defined

KIND = "tflite"

_LITERT = "ai_edge_litert"


class TFLiteEngine:
    """See `Engine`."""

    name = "tflite"
    extra = "tflite"

    def available(self) -> str | None:
        """See `Engine`."""
        missing = missing_modules(self.extra, _LITERT)
        return missing and missing_modules(self.extra, "tensorflow") and missing

    def can_run(self, bundle: Bundle, signature: Signature) -> str | None:
        """See `Engine`."""
        kind = component_of(bundle, signature).kind
        return None if kind == KIND else f"it runs TensorFlow Lite models, not {clip(kind, 60)}"

    def prepare(self, bundle: Bundle, signature: Signature, setup: Setup) -> Session:
        """See `Engine`; raises `BundleError` (RUN-03)."""
        if setup.gpu is not None:
            raise no_device(place(signature), setup.device, "TensorFlow Lite runs on the CPU here")
        data = bundle.read(signature.component)
        interpreter, version = _interpreter(data)
        if is_defined(data):
            return _Session(interpreter.get_signature_runner(signature.name), signature, version)
        return _Session(_MainRunner(interpreter), signature, version)


ENGINE = TFLiteEngine()


def _interpreter(data: bytes) -> tuple[Any, str]:
    """An interpreter of the model, and what it is of; LiteRT first, which is small."""
    if missing_modules(KIND, _LITERT) is None:
        from importlib.metadata import version

        from ai_edge_litert.interpreter import Interpreter

        return Interpreter(model_content=data), f"LiteRT {version('ai-edge-litert')}"
    import tensorflow as tf

    return tf.lite.Interpreter(model_content=data), f"TensorFlow {tf.__version__}"


class _MainRunner:
    """Calls the first subgraph by the names of its tensors, as runners of signatures are called."""

    def __init__(self, interpreter: Any) -> None:
        self._interpreter = interpreter
        self._inputs = {row["name"]: row["index"] for row in interpreter.get_input_details()}
        self._outputs = {row["name"]: row["index"] for row in interpreter.get_output_details()}

    def __call__(self, **inputs: Any) -> dict[str, Any]:
        for name, array in inputs.items():
            self._interpreter.resize_tensor_input(self._inputs[name], array.shape)
        self._interpreter.allocate_tensors()
        for name, array in inputs.items():
            self._interpreter.set_tensor(self._inputs[name], array)
        self._interpreter.invoke()
        return {name: self._interpreter.get_tensor(at) for name, at in self._outputs.items()}


class _Session:
    """A function of an interpreter."""

    def __init__(self, runner: Any, signature: Signature, version: str) -> None:
        self._runner = runner
        self._signature = signature
        self._version = version

    def run(self, inputs: Arrays) -> Arrays:
        """See `Session`."""
        results = self._runner(**{name: np.asarray(array) for name, array in inputs.items()})
        return outputs_of(self._signature, results)

    def describe(self) -> Description:
        """See `Session`."""
        return Description("tflite", self._version, "cpu:0", "float32")
