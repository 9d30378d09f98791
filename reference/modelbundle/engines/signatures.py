"""The functions of a bundle: those of its manifest, and those that its components imply.

A Keras model states no signature; its topology says what it takes. The implied signature is called
`call`, its inputs are the input layers in the order of the model, and its outputs, of which a
topology tells neither dtype nor shape, are not listed: they come as `output_0`, `output_1`, ….
The signatures of a TensorFlow Lite model stand in the model itself.

    signatures(bundle)
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from modelbundle.bundle import Bundle
from modelbundle.core import dtypes
from modelbundle.core.manifest import Component, Port, Signature
from modelbundle.engines import tflite_model

CALL = "call"

_CONFIG = "keras.config"
_TOPOLOGY = "/topology.json"
_DEFAULT_DTYPE = "float32"


def signatures(bundle: Bundle) -> tuple[Signature, ...]:
    """All functions, those of the manifest first."""
    return (*bundle.manifest.signatures, *_implied(bundle))


def is_call(bundle: Bundle, signature: Signature) -> bool:
    """Whether a signature is the call of a Keras model, which the manifest does not state."""
    kinds = {component.id: component.kind for component in bundle.manifest.components}
    return kinds[signature.component] == _CONFIG and signature not in bundle.manifest.signatures


def _implied(bundle: Bundle) -> Iterator[Signature]:
    for component in bundle.manifest.components:
        if component.kind == _CONFIG and component.properties.get("dialect") == "keras3":
            ports = _inputs(bundle, component)
            if ports:
                yield Signature(CALL, component.id, ports, ())
        elif component.kind == "tflite":
            yield from tflite_model.signatures_of(bundle.read(component.id), component.id)


def _inputs(bundle: Bundle, component: Component) -> tuple[Port, ...]:
    """The inputs of a model whose graph the config tells; none of any other."""
    path = next((path for path in component.files if path.endswith(_TOPOLOGY)), None)
    if path is None:
        return ()
    record: dict[str, Any] = json.loads(bundle.read(path))
    layers = {layer["name"]: layer for layer in record.get("layers", ())}
    return tuple(_port(layers[tensor["layer"]]) for tensor in record.get("inputs", ()))


def _port(layer: dict[str, Any]) -> Port:
    stated = layer.get("dtype", layer.get("config", {}).get("dtype"))
    dtype = stated if isinstance(stated, str) and dtypes.is_known(stated) else _DEFAULT_DTYPE
    dims = layer.get("batch_shape")
    return Port(layer["name"], dtype, None if dims is None else tuple(dims))
