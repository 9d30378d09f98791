"""Lowering a Keras model to StableHLO on JAX: weights as arguments, the batch as a symbol.

The model is restored from the bundle, and each of its variables is an argument that the tensor of
its name is bound to; what has no tensor of its dtype, such as the state of a random generator that
Keras does not save or that another backend has, becomes a constant.

    value, arrays = lower(bundle, signature, shapes={})
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modelbundle.bundle import Bundle
from modelbundle.core import dtypes
from modelbundle.core.findings import clip
from modelbundle.core.manifest import Port, Signature
from modelbundle.engines.engine import Array
from modelbundle.engines.lowering import not_lowered
from modelbundle.sources.stablehlo import Argument, Graph

_BATCH = "batch"
_CALL = re.compile(r"stablehlo\.custom_call @(\w+)")
_NEUTRAL = frozenset({"shape_assertion", "Sharding"})
"""Calls of JAX that say something of a graph and compute nothing."""


def lower(
    bundle: Bundle, signature: Signature, shapes: Mapping[str, Sequence[int]]
) -> tuple[dict[str, Any], dict[str, Array]]:
    """As `modelbundle.engines.lowering.lower`; a dimension that is not known is a symbol.

    `shapes` is not needed: one graph serves all. Raises `BundleError` (RUN-09, and as
    `Bundle.to_keras`).
    """
    os.environ["KERAS_BACKEND"] = "jax"
    import jax
    from jax import export

    model = bundle.to_keras(signature.component, compile=False)
    variables = [*model.trainable_variables, *model.non_trainable_variables]
    tensors, arrays = _arguments(bundle, signature, model, variables)
    scope = export.SymbolicScope()
    inputs = [_spec(port, scope) for port in signature.inputs]
    weights = [_typed(each.shape, each.dtype) for each in tensors]
    function = _function(model, len(inputs), len(model.trainable_variables))
    try:
        made = export.export(jax.jit(function, keep_unused=True), platforms=["cpu"])(
            *inputs, *weights
        )
    except (NotImplementedError, ValueError, TypeError) as error:
        raise not_lowered(signature, clip(str(error), 400)) from None
    names = [port.name for port in signature.inputs]
    ports = [_port(name, aval) for name, aval in zip(names, made.in_avals, strict=False)]
    results = [_port(f"output_{at}", aval) for at, aval in enumerate(made.out_avals)]
    calls = set(_CALL.findall(made.mlir_module())) - _NEUTRAL
    platforms = ("cpu",) if calls else ()
    graph = Graph(signature.name, (*ports, *tensors), tuple(results), platforms)
    bindings = [each.tensor for each in tensors if each.tensor not in arrays]
    arrays["artifact"] = np.frombuffer(made.mlir_module_serialized, np.uint8)
    return {"graph": graph.to_json(), "bindings": bindings}, arrays


def _function(model: Any, inputs: int, trainable: int) -> Any:
    """The model as a function of inputs and variables that gives a flat tuple."""
    import keras

    def call(*values: Any) -> tuple[Any, ...]:
        given, variables = list(values[:inputs]), values[inputs:]
        results, _ = model.stateless_call(
            variables[:trainable],
            variables[trainable:],
            given if inputs > 1 else given[0],
            training=False,
        )
        return tuple(keras.tree.flatten(results))

    return call


def _arguments(
    bundle: Bundle, signature: Signature, model: Any, variables: Sequence[Any]
) -> tuple[list[Argument], dict[str, Array]]:
    """An argument for each variable, in order; arrays for those that no tensor is for."""
    from modelbundle.keras.pairing import ROLES, TRAINING, pair
    from modelbundle.keras.saved import find
    from modelbundle.keras.variables import owned

    items = [item for item in owned(model) if item.role not in TRAINING]
    pairs = pair(model, items, find(bundle, signature.component), ROLES - TRAINING)
    names = {id(item.variable): tensor for item, tensor in pairs}
    found, arrays = [], {}
    for number, variable in enumerate(variables):
        tensor = names.get(id(variable))
        if tensor is not None and tensor.dtype == variable._dtype:
            found.append(Argument(None, tensor.name, tensor.dtype, tensor.shape))
        else:
            name, array = f"constant/{number}", np.asarray(variable)
            found.append(Argument(None, name, dtypes.from_numpy(array.dtype), array.shape))
            arrays[name] = array
    return found, arrays


def _spec(port: Port, scope: Any) -> Any:
    """An input with symbols for the dimensions that are not known, the first being the batch."""
    from jax import export

    dims = [
        str(dim) if isinstance(dim, int) else (f"d{at}" if at else _BATCH)
        for at, dim in enumerate(port.shape or ())
    ]
    shape = export.symbolic_shape(", ".join(dims), scope=scope) if dims else ()
    return _typed(shape, port.dtype)


def _typed(shape: Any, dtype: str) -> Any:
    """A value that is not there yet, as JAX has it."""
    import jax

    make: Any = jax.ShapeDtypeStruct
    return make(shape, dtypes.to_numpy(dtype))


def _port(name: str, aval: Any) -> Argument:
    shape = tuple(dim if isinstance(dim, int) else str(dim) for dim in aval.shape)
    return Argument(name, None, aval.dtype.name, shape)
