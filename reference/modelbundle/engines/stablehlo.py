"""The engine `stablehlo`: portable graphs on JAX, weights as arguments from the tensor index.

The artifact is called as an `Exported` of JAX that is made from the arguments file; nothing but
JAX is needed. Weights are put on the device once, when the signature is prepared.

    session = ENGINE.prepare(bundle, signature, Setup())
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from modelbundle.bundle import Bundle
from modelbundle.core import dtypes
from modelbundle.core.findings import clip, settle
from modelbundle.core.manifest import Component, Signature
from modelbundle.engines.contractions import in_float32
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
    too_new,
)
from modelbundle.engines.gpu_memory import limit_jax
from modelbundle.sources import stablehlo
from modelbundle.sources.artifact import Tree
from modelbundle.sources.stablehlo import KIND, Argument, Graph

_PLATFORMS = {"gpu": "cuda"}


class StableHloEngine:
    """See `Engine`."""

    name = "stablehlo"
    extra = "stablehlo"

    def available(self) -> str | None:
        """See `Engine`."""
        return missing_modules(self.extra, "jax")

    def can_run(self, bundle: Bundle, signature: Signature) -> str | None:
        """See `Engine`."""
        kind = component_of(bundle, signature).kind
        if kind == KIND:
            return None
        hint = "lower it with `modelbundle add-graph`" if "saved_model" in kind else "none is here"
        return f"it runs portable graphs, not {clip(kind, 60)}: {hint}"

    def prepare(self, bundle: Bundle, signature: Signature, setup: Setup) -> Session:
        """See `Engine`; raises `BundleError` (RUN-03, RUN-05, RUN-08)."""
        _configure("jax_enable_x64", True)
        component = component_of(bundle, signature)
        device = use_device(setup, place(signature))
        graph = _graph(bundle, component)
        _check_platform(graph, device, place(signature))
        _check_version(component, signature)
        artifact = bundle.read(component.id)
        if setup.precision == "float32":
            artifact = in_float32(artifact)
        weights = _weights(bundle, component, graph, device)
        return _Session(exported(artifact, graph, device.platform), graph, weights, device, setup)


ENGINE = StableHloEngine()


def _configure(name: str, value: Any) -> None:
    import jax

    config: Any = jax.config  # typed in part
    config.update(name, value)


def use_device(setup: Setup, where: str) -> Any:
    """JAX's device, which is made ready; raises `UnsupportedError` (RUN-03)."""
    import jax

    highest = setup.precision == "float32"
    _configure("jax_default_matmul_precision", "highest" if highest else "tensorfloat32")
    try:
        if setup.device_bytes:
            limit_jax(setup.device_bytes)
        devices = jax.devices()
    except (RuntimeError, AssertionError, OSError, ValueError) as error:
        # JAX asserts where it has no such plugin
        found = clip(str(error)) or "JAX has no such device"
        raise no_device(where, setup.device, found) from None
    wanted = "cpu" if setup.gpu is None else "gpu"
    if devices[0].platform != wanted:
        raise no_device(where, setup.device, f"JAX has {devices[0].platform}")
    return devices[0]


def _graph(bundle: Bundle, component: Component) -> Graph:
    files = {path: bundle.file(path) for path in component.files}
    return stablehlo.arguments_of(Tree(component.id, files))


def _check_platform(graph: Graph, device: Any, where: str) -> None:
    platform = _PLATFORMS.get(device.platform, device.platform)
    if graph.platforms and platform not in graph.platforms:
        raise no_device(where, f"one of {', '.join(graph.platforms)}", platform)


def _check_version(component: Component, signature: Signature) -> None:
    """The artifact is of a version that this JAX knows."""
    from jaxlib.mlir.dialects import stablehlo as dialect

    stated, known = component.properties["format_version"], dialect.get_current_version()
    if _numbers(stated) > _numbers(known):
        raise too_new(signature, f"StableHLO of at most version {known}", stated)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _weights(bundle: Bundle, component: Component, graph: Graph, device: Any) -> dict[str, Any]:
    """The tensors of the graph's arguments, on the device; raises `BundleError` (SHL-03, -04)."""
    import jax

    tensors = bundle.tensors.named(component.id, KIND)
    rows = {name: (tensor.dtype, tensor.shape) for name, tensor in tensors.items()}
    settle(stablehlo.binding_findings(graph, rows, component.id))
    return {name: jax.device_put(tensors[name].numpy(), device) for name in graph.tensors}


def exported(artifact: bytes, graph: Graph, platform: str) -> Any:
    """The graph as JAX's `Exported`, flat lists of arguments and results in the graph's order."""
    import jax
    from jax import export

    arguments = _avals(graph.arguments)
    scope = arguments[1]
    results = _avals(graph.results, scope)[0]
    count = len(arguments[0])
    values = {
        "fun_name": graph.signature,
        "in_tree": jax.tree.structure((tuple(arguments[0]), {})),
        "in_avals": tuple(arguments[0]),
        "out_tree": jax.tree.structure(results),
        "out_avals": tuple(results),
        "_has_named_shardings": False,
        "_in_named_shardings": (None,) * count,
        "_out_named_shardings": (None,) * len(results),
        "in_shardings_hlo": (None,) * count,
        "out_shardings_hlo": (None,) * len(results),
        "nr_devices": 1,
        "platforms": (_PLATFORMS.get(platform, platform),),
        "ordered_effects": (),
        "unordered_effects": (),
        "disabled_safety_checks": (),
        "mlir_module_serialized": artifact,
        "calling_convention_version": export.minimum_supported_calling_convention_version,
        "module_kept_var_idx": tuple(range(count)),
        "uses_global_constants": bool(scope),
        "_get_vjp": None,
    }
    make: Any = export.Exported
    known = {field.name for field in dataclasses.fields(make)}
    return make(**{name: value for name, value in values.items() if name in known})


def _avals(arguments: Sequence[Argument], scope: Any = None) -> tuple[list[Any], Any]:
    """Abstract values of arguments; symbols of all of them in one scope."""
    import jax
    from jax import export

    made = []
    for each in arguments:
        shape: Any = each.shape
        if any(isinstance(dim, str) for dim in shape):
            scope = scope or export.SymbolicScope()
            shape = export.symbolic_shape(", ".join(map(str, shape)), scope=scope)
        made.append(jax.core.ShapedArray(shape, dtypes.to_numpy(each.dtype)))
    return made, scope


class _Session:
    """A graph with its weights on a device."""

    def __init__(
        self, graph_call: Any, graph: Graph, weights: dict[str, Any], device: Any, setup: Setup
    ) -> None:
        import jax

        self._call = jax.jit(graph_call.call)
        self._graph = graph
        self._weights = weights
        self._device = device
        self._setup = setup

    def run(self, inputs: Arrays) -> Arrays:
        """See `Session`."""
        import jax

        arguments = [
            jax.device_put(inputs[each.port], self._device)
            if each.port is not None
            else self._weights[each.tensor or ""]
            for each in self._graph.arguments
        ]
        wait: Any = jax.block_until_ready
        results = wait(self._call(*arguments))
        self._device = next(iter(results[0].devices())) if results else self._device
        ports = [str(each.port) for each in self._graph.results]
        signature = self._graph.as_signature("")
        return outputs_of(signature, dict(zip(ports, results, strict=True)))

    def describe(self) -> Description:
        """See `Session`."""
        import jax

        device = f"{self._device.platform}:{self._device.id} ({self._device.device_kind})"
        return Description("stablehlo", f"JAX {jax.__version__}", device, self._setup.precision)
