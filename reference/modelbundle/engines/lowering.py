"""Lowering a signature of a SavedModel to StableHLO, weights as arguments.

TensorFlow compiles the signature for static shapes; variables and constants that it captures
become arguments, which are matched to tensors of the bundle by the variable's handle. What has no
counterpart in StableHLO, or would not give the same result every time, is refused by the names of
the operations (rule RUN-09).

    value, arrays = lower(bundle, signature, shapes={"x": [1, 4]})
    value["graph"], value["bindings"], arrays["artifact"]
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from modelbundle.bundle import Bundle
from modelbundle.core import dtypes
from modelbundle.core.findings import BundleError, checks, clip, refuse
from modelbundle.core.manifest import Signature
from modelbundle.engines.engine import Array, component_of, place
from modelbundle.engines.saved_model import KIND, Loaded, load
from modelbundle.sources.stablehlo import Argument, Graph

TARGETS = ("1.0.0", "")
"""Versions of StableHLO to write, the first that has all of the graph's operations: old ones are
read by more runtimes. The empty one is the version of TensorFlow's own."""

_PLAIN_STATE = frozenset(
    {
        "Assert", "Case", "CheckNumerics", "If", "NoOp", "PartitionedCall", "Placeholder",
        "ReadVariableOp", "ResourceGather", "ResourceGatherNd", "StatefulPartitionedCall",
        "VariableShape", "While", "XlaLaunch",
    }
)  # fmt: skip
"""Operations that count as stateful and give the same result every time."""

_MAIN = re.compile(r"func\.func (?:public )?@main\((.*?)\) -> ", re.DOTALL)
_TENSOR = re.compile(r"tensor<((?:[0-9]+x)*)([a-z][a-z0-9]*(?:<[a-z0-9]+>)?)>")
_UNSUPPORTED = re.compile(r"(\w+) \(No registered")
_PLATFORM_CALL = re.compile(r"stablehlo\.custom_call @(\w+)")
_COPY = re.compile(r"mhlo\.copy (%[\w#]+)(?: \{[^}]*\})? : (tensor<[^\n]*>)")
_FOREIGN = re.compile(r"= \"?((?:mhlo|chlo)\.\w+)")
_MLIR = {
    "i1": "bool", "ui8": "uint8", "ui16": "uint16", "ui32": "uint32", "ui64": "uint64",
    "i8": "int8", "i16": "int16", "i32": "int32", "i64": "int64",
    "f16": "float16", "bf16": "bfloat16", "f32": "float32", "f64": "float64",
    "complex<f32>": "complex64", "complex<f64>": "complex128",
}  # fmt: skip


def lower(
    bundle: Bundle, signature: Signature, shapes: Mapping[str, Sequence[int]]
) -> tuple[dict[str, Any], dict[str, Array]]:
    """The graph of a signature for inputs of `shapes`.

    Gives the arguments file's content, the rows that its tensors are bound to, and the arrays
    `artifact` (bytes) and `constant/NAME`. Raises `BundleError` (RUN-05, RUN-09).
    """
    import tensorflow as tf

    loaded = load(bundle, signature, "/CPU:0")
    _check_operations(loaded.function, signature)
    names = [port.name for port in signature.inputs]
    specs = [tf.TensorSpec(shapes[port.name], port.dtype, port.name) for port in signature.inputs]
    function = tf.function(
        lambda *given: loaded.function(**dict(zip(names, given, strict=True))),
        jit_compile=True,
        autograph=False,
    )
    text = _text(function, specs, signature)
    concrete = function.get_concrete_function(*specs)
    tensors, arrays = _captured(bundle, loaded, concrete, signature)
    inputs = [_port(port.name, spec) for port, spec in zip(signature.inputs, specs, strict=True)]
    results = _results(concrete, text)
    graph = Graph(signature.name, (*inputs, *tensors.values()), results, _platforms(text))
    _check_arguments(text, graph, signature)
    value = {"graph": graph.to_json(), "bindings": _bindings(tensors, arrays)}
    arrays["artifact"] = np.frombuffer(_serialized(text, signature), np.uint8)
    return value, arrays


def _port(name: str, spec: Any) -> Argument:
    return Argument(name, None, spec.dtype.name, tuple(spec.shape))


def _results(concrete: Any, text: str) -> tuple[Argument, ...]:
    """Outputs in the order in which TensorFlow flattens a dictionary: ascending by name.

    Their shapes are those of the compiled graph: TensorFlow may not know what a loop gives.
    """
    found = concrete.structured_outputs
    match = _MAIN.search(text)
    shapes = _TENSOR.findall(text[match.end() : text.index("\n", match.end())]) if match else []
    return tuple(
        Argument(name, None, found[name].dtype.name, _dims(dims))
        for name, (dims, _) in zip(sorted(found), shapes, strict=True)
    )


def _dims(text: str) -> tuple[int, ...]:
    """The sizes of `2x3x`."""
    return tuple(map(int, text.split("x")[:-1]))


@checks("RUN-09")
def not_lowered(signature: Signature, found: str, hint: str = "") -> BundleError:
    """The error for a signature that no portable graph can be made of."""
    return refuse("RUN-09", place(signature), "a graph that StableHLO can hold", found, hint)


def _check_operations(function: Any, signature: Signature) -> None:
    """No strings, tables, random numbers or side effects; all that are there are named."""
    found = sorted(set(_stateful(function.graph)))
    texts = [p.name for p in (*signature.inputs, *signature.outputs) if p.dtype == dtypes.STRING]
    if found or texts:
        told = ", ".join([*found, *(f"strings in {name}" for name in texts)])
        hint = "these are random, keep state, or handle strings or tables"
        raise not_lowered(signature, clip(told, 400), hint)


def _stateful(graph: Any) -> Iterator[str]:
    """Names of operations that keep state, in a graph and the functions that it calls."""
    from tensorflow.python.framework import op_def_registry

    definition = graph.as_graph_def()
    nodes = [*definition.node]
    for function in definition.library.function:
        nodes += function.node_def
    for node in nodes:
        known = op_def_registry.get(node.op)
        if known is not None and known.is_stateful and node.op not in _PLAIN_STATE:
            yield node.op


def _text(function: Any, specs: Sequence[Any], signature: Signature) -> str:
    import tensorflow as tf

    try:
        compiler = function.experimental_get_compiler_ir(*specs)
        return _without_copies(str(compiler(stage="stablehlo", platform_name="CPU")))
    except (tf.errors.OpError, ValueError) as error:
        operations = sorted(set(_UNSUPPORTED.findall(str(error))))
        raise not_lowered(signature, ", ".join(operations) or clip(str(error))) from None


def _without_copies(text: str) -> str:
    """The graph with identities for the copies of loops, which are of another dialect (`mhlo`)."""
    return _COPY.sub(r"stablehlo.reshape \1 : (\2) -> \2", text)


def _captured(
    bundle: Bundle, loaded: Loaded, concrete: Any, signature: Signature
) -> tuple[dict[str, Argument], dict[str, Array]]:
    """The tensors that the function captures, by their names, in its order; constants as arrays."""
    tensors = bundle.tensors.named(component_of(bundle, signature).id, KIND)
    keys = {id(variable.handle): key for key, variable in loaded.variables.items()}
    found: dict[str, Argument] = {}
    arrays: dict[str, Array] = {}
    for number, value in enumerate(concrete.captured_inputs):
        if value.dtype.name == "resource":
            tensor = tensors[keys[id(value)]]
            found[tensor.name] = Argument(None, tensor.name, tensor.dtype, tensor.shape)
        else:
            name, array = f"constant/{number}", value.numpy()
            found[name] = Argument(None, name, dtypes.from_numpy(array.dtype), array.shape)
            arrays[name] = array
    if len(found) != len(concrete.captured_inputs):
        raise not_lowered(signature, "a variable that is captured twice")
    return found, arrays


def _bindings(tensors: Mapping[str, Argument], arrays: Mapping[str, Array]) -> list[str]:
    return [name for name in tensors if name not in arrays]


def _platforms(text: str) -> tuple[str, ...]:
    """What the graph is bound to: the CPU where it calls what only the CPU has."""
    return ("cpu",) if _PLATFORM_CALL.search(text) else ()


def _check_arguments(text: str, graph: Graph, signature: Signature) -> None:
    """The compiled graph has just these arguments; TensorFlow leaves out what it folds."""
    match = _MAIN.search(text)
    found = _TENSOR.findall(match[1]) if match else []
    stated = [(_MLIR.get(dtype), _dims(dims)) for dims, dtype in found]
    wanted = [(each.dtype, each.shape) for each in graph.arguments]
    if stated != wanted:
        raise not_lowered(signature, f"arguments {clip(stated)} for {clip(wanted)}")


def _serialized(text: str, signature: Signature) -> bytes:
    """The portable artifact, of the oldest target that holds the graph."""
    from tensorflow.compiler.mlir.stablehlo import stablehlo

    for target in TARGETS:
        try:
            version = target or stablehlo.get_current_version()
            data: bytes = stablehlo.serialize_portable_artifact_str(text, version)
            return data
        except (ValueError, RuntimeError):
            continue
    foreign = sorted(set(_FOREIGN.findall(text)))
    raise not_lowered(signature, ", ".join(foreign) or "operations that no version has")
