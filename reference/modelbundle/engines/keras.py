"""The engines `keras-tensorflow`, `keras-jax` and `keras-torch`: architecture and weights.

The model is restored by `Bundle.to_keras()`, on one backend of Keras a process.

    session = ON_JAX.prepare(bundle, signature, Setup())
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelbundle.bundle import Bundle
from modelbundle.core.manifest import Signature
from modelbundle.engines.engine import (
    Array,
    Arrays,
    Description,
    Session,
    Setup,
    missing_modules,
    no_device,
    place,
)
from modelbundle.engines.signatures import is_call
from modelbundle.keras import legacy


@dataclass(frozen=True, slots=True)
class KerasEngine:
    """See `Engine`; `backend` is that of Keras, which has the name of its module."""

    name: str
    extra: str
    backend: str

    def available(self) -> str | None:
        """See `Engine`."""
        return missing_modules(self.extra, "keras", self.backend)

    def can_run(self, bundle: Bundle, signature: Signature) -> str | None:
        """See `Engine`."""
        if not is_call(bundle, signature):
            return "it runs Keras models by their config, not this component"
        custom = sorted(
            {each.registered_name for each in bundle.manifest.requirements.custom_objects}
            - legacy.FUNCTIONS.keys()
        )
        return f"it needs custom objects: {', '.join(custom)}" if custom else None

    def prepare(self, bundle: Bundle, signature: Signature, setup: Setup) -> Session:
        """See `Engine`; raises `BundleError` (RUN-03, and as `Bundle.to_keras`)."""
        os.environ["KERAS_BACKEND"] = self.backend
        import keras

        if keras.backend.backend() != self.backend:
            raise RuntimeError(f"Keras runs on {keras.backend.backend()} in this process already")
        _prepare_backend(self.backend, setup, place(signature))
        with keras.device(setup.device if setup.gpu is None else "gpu:0"):
            model = bundle.to_keras(signature.component, compile=False)
        return _Session(model, self, signature, setup)


ON_TENSORFLOW = KerasEngine("keras-tensorflow", "keras-tensorflow", "tensorflow")
ON_JAX = KerasEngine("keras-jax", "keras-jax", "jax")
ON_TORCH = KerasEngine("keras-torch", "keras-torch", "torch")


def _prepare_backend(backend: str, setup: Setup, where: str) -> None:
    """Set the precision; raises `UnsupportedError` (RUN-03) where the device is not there."""
    from modelbundle.engines import stablehlo, tensorflow

    if backend == "tensorflow":
        tensorflow.use_device(setup, where)
    elif backend == "jax":
        stablehlo.use_device(setup, where)
    else:
        _use_torch(setup, where)


def _use_torch(setup: Setup, where: str) -> None:
    import torch

    tf32 = setup.precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    if setup.gpu is None:
        return
    if not torch.cuda.is_available():
        raise no_device(where, setup.device, "Torch finds no such GPU")
    if setup.device_bytes:
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(setup.device_bytes / total, 1.0))


class _Session:
    """A restored model."""

    def __init__(self, model: Any, engine: KerasEngine, signature: Signature, setup: Setup) -> None:
        self._model = model
        self._engine = engine
        self._signature = signature
        self._setup = setup
        self._observed = "not run yet"

    def run(self, inputs: Arrays) -> Arrays:
        """See `Session`; raises `UnsupportedError` (RUN-03) where no output is on the GPU."""
        import keras

        with keras.device(self._setup.device if self._setup.gpu is None else "gpu:0"):
            given = [_tensor(inputs[port.name]) for port in self._signature.inputs]
            results = self._model(given if len(given) > 1 else given[0], training=False)
        flat = keras.tree.flatten(results)
        self._observed = ", ".join(sorted({_device_of(y) for y in flat}))
        if self._setup.gpu is not None and "cpu" in self._observed:
            raise no_device(place(self._signature), self._setup.device, self._observed)
        arrays = [keras.ops.convert_to_numpy(y) for y in flat]
        return {f"output_{number}": np.asarray(y) for number, y in enumerate(arrays)}

    def describe(self) -> Description:
        """See `Session`."""
        import keras

        version = f"Keras {keras.__version__} on {self._engine.backend}"
        return Description(self._engine.name, version, self._observed, self._setup.precision)


def _tensor(array: Array) -> Any:
    """The array as the backend has it; strings by TensorFlow, which alone has them."""
    import keras

    if array.dtype == object:
        import tensorflow

        return tensorflow.constant(array.tolist())
    return keras.ops.convert_to_tensor(array)


def _device_of(tensor: Any) -> str:
    """The device that holds a tensor, as its library says."""
    if hasattr(tensor, "backing_device"):
        return str(tensor.backing_device).rpartition("device:")[2].lower()
    if hasattr(tensor, "devices"):
        device = next(iter(tensor.devices()))
        return f"{device.platform}:{device.id} ({device.device_kind})"
    return str(getattr(tensor, "device", "cpu"))
