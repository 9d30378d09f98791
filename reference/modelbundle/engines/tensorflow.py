"""The engine `tensorflow`: signatures of SavedModels.

session = ENGINE.prepare(bundle, signature, Setup())
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from modelbundle.bundle import Bundle
from modelbundle.core.findings import clip
from modelbundle.core.manifest import Signature
from modelbundle.engines.engine import (
    Array,
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
from modelbundle.engines.saved_model import KIND, Loaded, load


class TensorFlowEngine:
    """See `Engine`."""

    name = "tensorflow"
    extra = "tensorflow"

    def available(self) -> str | None:
        """See `Engine`."""
        return missing_modules(self.extra, "tensorflow")

    def can_run(self, bundle: Bundle, signature: Signature) -> str | None:
        """See `Engine`."""
        kind = component_of(bundle, signature).kind
        return None if kind == KIND else f"it runs SavedModels, not {clip(kind, 60)}"

    def prepare(self, bundle: Bundle, signature: Signature, setup: Setup) -> Session:
        """See `Engine`; raises `BundleError` (RUN-03, RUN-05)."""
        device = use_device(setup, place(signature))
        return _Session(load(bundle, signature, device), signature, device, setup)


ENGINE = TensorFlowEngine()


def use_device(setup: Setup, where: str) -> str:
    """TensorFlow's name of the device, which is made ready; raises `UnsupportedError` (RUN-03)."""
    import tensorflow as tf

    tf.config.experimental.enable_tensor_float_32_execution(setup.precision == "tf32")
    if setup.gpu is None:
        return "/CPU:0"
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        raise no_device(where, setup.device, "TensorFlow finds no such GPU")
    if setup.device_bytes:
        limit = tf.config.LogicalDeviceConfiguration(memory_limit=setup.device_bytes >> 20)
        tf.config.set_logical_device_configuration(gpus[0], [limit])
    return "/GPU:0"


class _Session:
    """A signature of a loaded SavedModel."""

    def __init__(self, loaded: Loaded, signature: Signature, device: str, setup: Setup) -> None:
        self._loaded = loaded
        self._signature = signature
        self._device = device
        self._setup = setup
        self._observed = "not run yet"

    def run(self, inputs: Arrays) -> Arrays:
        """See `Session`; raises `UnsupportedError` (RUN-03) where no output is on the GPU."""
        import tensorflow as tf

        dtypes = {port.name: port.dtype for port in self._signature.inputs}
        with tf.device(self._device):
            given = {name: tf.constant(_plain(x), dtypes[name]) for name, x in inputs.items()}
            results = self._loaded.function(**given)
        self._observed = _observed(results.values())
        if self._setup.gpu is not None and "gpu" not in self._observed:
            raise no_device(place(self._signature), self._setup.device, self._observed)
        return outputs_of(self._signature, {name: y.numpy() for name, y in results.items()})

    def describe(self) -> Description:
        """See `Session`."""
        import tensorflow as tf

        version = tf.__version__
        return Description("tensorflow", version, self._observed, self._setup.precision)


def _plain(array: Array) -> Any:
    return array.tolist() if array.dtype == object else array


def _observed(results: Iterable[Any]) -> str:
    """The devices that the outputs are on."""
    import tensorflow as tf

    names = {str(y.backing_device).rpartition("device:")[2].lower() for y in results}
    models = [
        tf.config.experimental.get_device_details(gpu).get("device_name", "")
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    found = ", ".join(sorted(names))
    return f"{found} ({models[0]})" if models and "gpu" in found else found
