"""One float64 route: a Keras model computed on one backend, in a process of its own.

    KERAS_BACKEND=jax python -m modelbundle.golden.route REQUEST.json ANSWER.npz

The request names the model (a bundle, or a file that Keras saved), the inputs and what is asked
for. On JAX the program is traced and evaluated operation by operation, so that float64 is certain
and its answer to noise can be measured; on TensorFlow and Torch Keras itself computes, with every
float policy of the config replaced by float64. The answer holds arrays and one JSON document.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_FLOATS = frozenset({"float16", "bfloat16", "float32", "mixed_float16", "mixed_bfloat16"})


def load(request: Mapping[str, Any]) -> Any:
    """The Keras model that a request names."""
    location = request["model"]
    if Path(location).suffix in (".keras", ".h5"):
        import keras

        return keras.saving.load_model(location, compile=False)
    from modelbundle.bundle import open_bundle

    with open_bundle(location) as bundle:
        opened: Any = bundle
        return opened.to_keras(request["component"], compile=False)


def in_float64(model: Any) -> Any:
    """The same model with float64 for every float dtype of its config, and the same weights."""
    import keras

    config = _with_float64(keras.saving.serialize_keras_object(model))
    made = keras.saving.deserialize_keras_object(config, safe_mode=False)
    made.set_weights([np.asarray(keras.ops.convert_to_numpy(w)) for w in model.weights])
    return made


def _with_float64(value: Any) -> Any:
    """A config with float64 for the dtypes and policies of `_FLOATS`."""
    if isinstance(value, dict):
        return {
            key: "float64"
            if key in ("dtype", "name") and _is_policy(value, key)
            else _with_float64(v)
            for key, v in value.items()
        }
    return [_with_float64(item) for item in value] if isinstance(value, list | tuple) else value


def _is_policy(value: Mapping[str, Any], key: str) -> bool:
    """Whether `key` of a config names a float dtype; a policy is a config of only its name."""
    if key not in ("dtype", "name") or not isinstance(value[key], str):
        return False
    alone = key == "dtype" or value.keys() <= {"name", "source_name"}
    return alone and value[key] in _FLOATS


def widen_keras() -> None:
    """Let Keras keep float64, which it narrows to float32 on every backend but TensorFlow."""
    import keras
    from keras.src.backend.common import dtypes

    keras.config.set_floatx("float64")
    dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"


def ports(model: Any, arrays: Sequence[Any], outputs: Sequence[Any]) -> dict[str, Any]:
    """Names, dtypes and shapes of the inputs and outputs of a model, in order."""
    return {
        "inputs": _ports(model, "input", arrays),
        "outputs": _ports(model, "output", outputs),
    }


def _ports(model: Any, side: str, values: Sequence[Any]) -> list[dict[str, Any]]:
    names = list(getattr(model, f"{side}_names", None) or ())
    if len(names) != len(values) or len(set(names)) != len(names):
        names = [f"{side}_{at}" for at in range(len(values))]
    tensors = _symbolic(model, side)
    known = len(tensors) == len(values)
    return [
        {
            "name": name,
            "dtype": str(np.dtype(value.dtype)) if not known else str(tensors[at].dtype),
            "shape": _shape(tensors[at].shape if known else (None,) * np.ndim(value)),
        }
        for at, (name, value) in enumerate(zip(names, values, strict=True))
    ]


def _symbolic(model: Any, side: str) -> list[Any]:
    """The symbolic tensors of a model whose graph is known; none for others."""
    import keras

    try:
        return list(keras.tree.flatten(getattr(model, f"{side}s") or ()))
    except (AttributeError, ValueError):
        return []


def _shape(shape: Sequence[int | None]) -> list[int | str | None]:
    return ["batch" if at == 0 and size is None else size for at, size in enumerate(shape)]


def packed(model: Any, values: Sequence[Any]) -> Any:
    """Inputs in the structure in which the model takes them."""
    import keras

    structure = getattr(model, "_inputs_struct", None)  # a Sequential has none, and no `input`
    if structure is not None and len(keras.tree.flatten(structure)) == len(values):
        return keras.tree.pack_sequence_as(structure, list(values))
    return values[0] if len(values) == 1 else list(values)


def flat(values: Any) -> list[Any]:
    """Outputs of a model in order."""
    import keras

    return list(keras.tree.flatten(values))


def on_keras(model: Any, arrays: Sequence[Array]) -> list[Array]:
    """Outputs as Keras computes them on its backend."""
    import keras

    outputs = model(packed(model, [_tensor(array) for array in arrays]), training=False)
    return [np.asarray(keras.ops.convert_to_numpy(each)) for each in flat(outputs)]


def _tensor(array: Array) -> Any:
    import keras

    wide = array.astype(np.float64) if array.dtype.kind == "f" else array
    return keras.ops.convert_to_tensor(wide, dtype=str(wide.dtype))


def traced(model: Any, arrays: Sequence[Array]) -> tuple[Any, list[Any]]:
    """The program of a model as a ClosedJaxpr, and its arguments: weights and inputs."""
    import jax

    trainable = [variable.value for variable in model.trainable_variables]
    others = [variable.value for variable in model.non_trainable_variables]
    inputs = [_tensor(array) for array in arrays]

    def call(trainable: Any, others: Any, inputs: Any) -> Any:
        given = packed(model, inputs)
        return flat(model.stateless_call(trainable, others, given, training=False)[0])

    program = _needed(jax.make_jaxpr(call)(trainable, others, inputs))
    return program, jax.tree_util.tree_leaves((trainable, others, inputs))


def _needed(program: Any) -> Any:
    """A program without what no output needs: Keras draws dropout masks that it does not use."""
    from jax.interpreters import partial_eval

    every = [True] * len(program.jaxpr.outvars)
    pruned, _ = partial_eval.dce_jaxpr(program.jaxpr, every, instantiate=True)
    return program.replace(jaxpr=pruned)


def answer(
    request: Mapping[str, Any], inputs: Sequence[Array], whole: Sequence[Array]
) -> dict[str, Array]:
    """Everything that was asked for, as arrays by name; `about` is a JSON document."""
    import keras

    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        configure: Any = jax.config
        configure.update("jax_enable_x64", True)
    narrow = load(request)
    widen_keras()
    notes: list[str] = []
    model = _widened(narrow, notes, needed=backend != "jax")
    about: dict[str, Any] = {
        "engine": f"keras-{backend}",
        "version": f"keras {keras.__version__}, {_version(backend)}",
        "notes": notes,
    }
    if backend != "jax":
        outputs = on_keras(model, inputs)
        made: dict[str, Array] = {}
    else:
        outputs, made = _on_trace(model, inputs, request, about)
        about["whole_exact"] = bool(whole) and _is_exact(model, whole)
    about.update(ports(narrow, inputs, outputs))
    made.update({f"y/{at}": array for at, array in enumerate(outputs)})
    return made | {"about": np.frombuffer(json.dumps(about).encode(), np.uint8)}


def _widened(model: Any, notes: list[str], *, needed: bool) -> Any:
    """The model in float64; where its config cannot be rebuilt, as it is unless `needed`."""
    try:
        return in_float64(model)
    except Exception as error:  # a custom config may raise anything
        if needed:
            raise
        notes.append(f"traced as it is, since its config could not be rebuilt: {error}")
        return model


def _is_exact(model: Any, inputs: Sequence[Array]) -> bool:
    """Whether float32 would compute the outputs of `inputs` without rounding."""
    from modelbundle.golden.exactness import Exactness
    from modelbundle.golden.trace import evaluate

    exactness = Exactness()
    evaluate(*traced(model, inputs), exactness)
    return exactness.exact


def _on_trace(
    model: Any, inputs: Sequence[Array], request: Mapping[str, Any], about: dict[str, Any]
) -> tuple[list[Array], dict[str, Array]]:
    """Outputs and answer to noise of the traced program, on JAX."""
    from modelbundle.golden.exactness import Exactness
    from modelbundle.golden.noise import response
    from modelbundle.golden.trace import evaluate

    program, arguments = traced(model, inputs)
    exactness = Exactness()
    outputs = [np.asarray(value) for value in evaluate(program, arguments, exactness)]
    about["exact"], about["inexact"] = exactness.exact, exactness.reason
    made: dict[str, Array] = {}
    if request.get("noise"):
        found = response(program, arguments, outputs, request["seed"])
        about["unmodelled"] = list(found.unmodelled)
        for at, (channels, decided) in enumerate(zip(found.channels, found.decided, strict=True)):
            made |= {f"{name}/{at}": values for name, values in channels.values.items()}
            if decided is not None:
                made[f"decided/{at}"] = decided
    return outputs, made


def _version(backend: str) -> str:
    from importlib.metadata import version

    return f"{backend} {version(backend)}"


def main(arguments: Sequence[str]) -> int:
    """Answer the request; what fails is told in the answer."""
    request = json.loads(Path(arguments[0]).read_text("utf-8"))
    with np.load(request["inputs"], allow_pickle=False) as stored:
        arrays = [stored[name] for name in request["names"]]
    count = len(arrays) - request.get("whole", 0)
    try:
        made = answer(request, arrays[:count], arrays[count:])
    except Exception as error:  # told to the parent, which decides
        text = json.dumps({"error": f"{type(error).__name__}: {error}"})
        made = {"about": np.frombuffer(text.encode(), np.uint8)}
    save: Any = np.savez
    save(arguments[1], **made)
    return 0


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.exit(main(sys.argv[1:]))
