"""The engine `onnx`: ONNX models on ONNX Runtime.

External initialisers are given to ONNX Runtime as arrays over the bytes of the bundle, so weights
in a local bundle are mapped and not copied; initialisers in the model itself come with it.

    session = ENGINE.prepare(bundle, signature, Setup())
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modelbundle.bundle import Bundle
from modelbundle.core.findings import BundleError, clip
from modelbundle.core.manifest import Component, Signature
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
    too_new,
)
from modelbundle.sources.artifact import ArtifactTensor, Tree
from modelbundle.sources.onnx.model import read

KIND = "onnx"

_CUDA = "CUDAExecutionProvider"
_CPU = "CPUExecutionProvider"
_TOO_NEW = ("max supported IR version", "is till opset", "not a registered function/op")
"""What ONNX Runtime says of a model that is newer than itself."""
_FOREIGN = ("string", "bfloat16", "float8", "float4", "float6", "_packed")
"""Beginnings and endings of dtypes that an array for ONNX Runtime cannot have."""


class OnnxEngine:
    """See `Engine`."""

    name = "onnx"
    extra = "onnx"

    def available(self) -> str | None:
        """See `Engine`."""
        return missing_modules(self.extra, "onnxruntime")

    def can_run(self, bundle: Bundle, signature: Signature) -> str | None:
        """See `Engine`."""
        kind = component_of(bundle, signature).kind
        return None if kind == KIND else f"it runs ONNX models, not {clip(kind, 60)}"

    def prepare(self, bundle: Bundle, signature: Signature, setup: Setup) -> Session:
        """See `Engine`; raises `BundleError` (RUN-03, RUN-08)."""
        component = component_of(bundle, signature)
        options, kept = _options(bundle, component)
        providers = _providers(setup, place(signature))
        try:
            if kept is None:
                session = _from_files(bundle, component, providers)
            else:
                session = _inference(bundle.read(component.id), options, providers)
        except Exception as error:
            raise _too_new(error, signature) or error from None
        if setup.gpu is not None and _CUDA not in session.get_providers():
            raise no_device(place(signature), setup.device, "ONNX Runtime took the CPU")
        return _Session(session, kept or [], signature, setup)


ENGINE = OnnxEngine()


def _options(bundle: Bundle, component: Component) -> tuple[Any, list[Array] | None]:
    """Options with the external initialisers, and the arrays, which have to live as long as the
    session; None for these where ONNX Runtime has to read files."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    external = _external(bundle, component)
    tensors = bundle.tensors.named(component.id, KIND)
    if not all(_is_plain(tensor) for tensor in external):
        return options, None
    arrays = [tensors[tensor.names[KIND]].numpy() for tensor in external]
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in arrays]
    if external:
        options.add_external_initializers([tensor.names[KIND] for tensor in external], values)
    return options, [*arrays, *values]


def _external(bundle: Bundle, component: Component) -> list[ArtifactTensor]:
    """The initialisers whose bytes are in other files than the model."""
    files = {path: bundle.file(path) for path in component.files}
    artifact = read(Tree(component.id, files))
    return [tensor for tensor in artifact.tensors if tensor.path != component.id]


def _is_plain(tensor: ArtifactTensor) -> bool:
    """Whether it is an initialiser of the main graph that numpy can hold, with elements."""
    foreign = tensor.dtype.startswith(_FOREIGN) or tensor.dtype.endswith(_FOREIGN)
    return not foreign and "/values" not in tensor.name and tensor.length > 0


def _inference(model: bytes | str, options: Any, providers: Sequence[Any]) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(model, options, providers=list(providers))


def _from_files(bundle: Bundle, component: Component, providers: Sequence[Any]) -> Any:
    """A session over copies of the files, for what cannot be given as arrays."""
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        for path in component.files:
            target = Path(folder) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(bundle.read(path))
        options = onnxruntime.SessionOptions()
        return _inference(str(Path(folder) / component.id), options, providers)


def _providers(setup: Setup, where: str) -> list[Any]:
    import onnxruntime

    if setup.gpu is None:
        return [_CPU]
    if _CUDA not in onnxruntime.get_available_providers():
        raise no_device(where, setup.device, "ONNX Runtime was built without CUDA")
    options = {"device_id": 0, "use_tf32": int(setup.precision == "tf32")}
    if setup.device_bytes:
        options["gpu_mem_limit"] = setup.device_bytes
    return [(_CUDA, options)]


def _too_new(error: Exception, signature: Signature) -> BundleError | None:
    import onnxruntime

    if not any(text in str(error) for text in _TOO_NEW):
        return None
    expected = f"a model that ONNX Runtime {onnxruntime.__version__} knows"
    return too_new(signature, expected, clip(str(error)))


class _Session:
    """An ONNX Runtime session."""

    def __init__(
        self, session: Any, kept: Sequence[Any], signature: Signature, setup: Setup
    ) -> None:
        self._session = session
        self._kept = kept
        self._signature = signature
        self._setup = setup

    def run(self, inputs: Arrays) -> Arrays:
        """See `Session`."""
        given = {name: _texts(array) for name, array in inputs.items()}
        names = [port.name for port in self._signature.outputs]
        results = self._session.run(names, given)
        return outputs_of(self._signature, dict(zip(names, map(_encoded, results), strict=True)))

    def describe(self) -> Description:
        """See `Session`."""
        import onnxruntime

        provider = self._session.get_providers()[0]
        device = "gpu:0" if provider == _CUDA else "cpu:0"
        version = onnxruntime.__version__
        return Description("onnx", version, f"{device} ({provider})", self._setup.precision)


def _texts(array: Array) -> Array:
    """ONNX Runtime takes strings as `str`."""
    if array.dtype != object:
        return array
    made = np.empty(array.size, object)
    made[:] = [item.decode() for item in array.ravel().tolist()]
    return made.reshape(array.shape)


def _encoded(array: Any) -> Array:
    if not isinstance(array, np.ndarray):
        raise TypeError(f"an output that is no tensor: {type(array).__name__}")
    if array.dtype != object:
        return array
    made = np.empty(array.size, object)
    made[:] = [item.encode() for item in array.ravel().tolist()]
    return made.reshape(array.shape)
