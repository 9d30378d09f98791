"""A process that runs one model, the old one on tf_keras or the revived one on Keras 3.

    python -m modelbundle.keras.legacy_process REQUEST.json ANSWER.npz

The two libraries do not live in one process. The request names the model (`old`: a file that Keras
1 or 2 saved; else a bundle and its `component`), the files with inputs, of which the first that
the model takes are used, and whether the outputs of all layers are wanted. The answer has the
number of those inputs, `y/0`, `y/1`, … and, by name of the layer, `layer/NAME/0`, ….
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def load(request: Mapping[str, Any]) -> Any:
    """The model that a request names."""
    if request["old"]:
        import tf_keras

        return tf_keras.models.load_model(request["model"], compile=False)
    from modelbundle.bundle import open_bundle

    with open_bundle(request["model"]) as bundle:
        return bundle.to_keras(request["component"], compile=False)


def answer(request: Mapping[str, Any]) -> dict[str, Array]:
    """Outputs on the first inputs that the model takes; raises what it raises for the last."""
    model = load(request)
    last: Exception | None = None
    for number, file in enumerate(request["inputs"]):
        with np.load(file, allow_pickle=False) as stored:
            arrays = [stored[name] for name in request["names"]]
        try:
            found = dict(_outputs(model, arrays, request["layers"], request["old"]))
            return {"inputs": np.array(number), **found}
        except Exception as error:  # whatever a framework raises for a shape that does not fit
            last = error
    raise last or ValueError("no inputs")


def _outputs(
    model: Any, arrays: Sequence[Array], layers: bool, old: bool
) -> Iterator[tuple[str, Array]]:
    given = list(arrays) if len(arrays) > 1 else arrays[0]
    yield from _named("y", model(given, training=False), old)
    if not layers:
        return
    models = _library(old)
    for layer in model.layers:
        nodes = getattr(layer, "_inbound_nodes", ())
        outputs = [_of_node(node) for node in nodes]
        known = {id(tensor) for tensor in _flat(model.inputs, old)}
        if not outputs or id(_flat(outputs[0], old)[0]) in known:
            continue
        try:
            inner = models.Model(model.inputs, outputs[0])(given, training=False)
        except Exception:  # a call that is no part of this model
            continue
        yield from _named(f"layer/{layer.name}", inner, old)


def _library(old: bool) -> Any:
    if old:
        import tf_keras

        return tf_keras
    import keras

    return keras


def _of_node(node: Any) -> Any:
    return node.outputs if hasattr(node, "outputs") else node.output_tensors


def _flat(value: Any, old: bool) -> list[Any]:
    if old:
        import tensorflow as tf

        return list(tf.nest.flatten(value))
    import keras

    return list(keras.tree.flatten(value))


def _named(name: str, value: Any, old: bool) -> Iterator[tuple[str, Array]]:
    for number, tensor in enumerate(_flat(value, old)):
        yield f"{name}/{number}", _numpy(tensor, old)


def _numpy(tensor: Any, old: bool) -> Array:
    if old:
        return np.asarray(tensor)
    from keras import ops

    return np.asarray(ops.convert_to_numpy(tensor))


def main(request: Path, target: Path) -> None:
    """Answer the request in a file by another."""
    np.savez(target, allow_pickle=False, **answer(json.loads(request.read_text("utf-8"))))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
