"""How a model was trained, put back: compile arguments, optimizer slots, metrics and losses.

Keras makes the slots of an optimizer when it is built, and resolves metrics and losses when it
first sees data. What a captured model wrote about them (`training.json`) is made again here, so
that every variable of training exists before it gets its value; what was not built stays unbuilt.

    compile_model(model, training, resolve)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from typing import Any

from modelbundle.keras.building import build
from modelbundle.keras.variables import compiled_metrics, layer_metrics

Resolve = Callable[[Any], Any]
"""A serialised Keras object, vetted beforehand, into the object."""


def compile_model(
    model: Any,
    training: Mapping[str, Any],
    resolve: Resolve,
    served: Sequence[Any] = (),
    kept: int = 0,
) -> None:
    """Compile `model` as `training` says, without values for what the optimizer makes.

    `served` are the variables that the optimizer had slots for; none says those that are trained.
    `kept` is how many variables of the optimizer there are; where training.json does not tell, it
    was built if these are more than it has before.
    Raises `ValueError` where the class of the model compiles in a way of its own and does not say
    how (`compile_from_config`).
    """
    if "optimizer_config" in training:
        model.compile(**_legacy_arguments(training))
        if kept > len(model.optimizer.variables):
            _build_optimizer(model, model.trainable_variables)
        return
    config = dict(training.get("compile_config") or {})
    if not config:
        return
    is_own = _is_own(model, "compile_from_config")
    optimizer = training.get("optimizer")
    if optimizer is not None and ("optimizer" in config or not is_own):
        config["optimizer"] = optimizer
    if is_own:
        model.compile_from_config(config)
        return
    if _is_own(model, "compile"):
        raise ValueError(
            f"{type(model).__name__} defines compile() and not compile_from_config(config): "
            "define it, or pass compile=False and compile the model yourself"
        )
    model.compile(**{key: resolve(value) for key, value in config.items()})
    before = getattr(model.optimizer, "variables", ())
    built = training.get("built", {"optimizer": model.built and kept > len(before)})
    if built.get("optimizer") and model.optimizer is not None:
        _build_optimizer(model, served or model.trainable_variables)
    if built.get("metrics"):
        _build_metrics(model, training["metrics"], resolve)
    if built.get("loss") and training.get("loss_metrics"):
        _build_losses(model, training["losses"], resolve)


def _legacy_arguments(training: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `compile` from the training config of a whole model in HDF5."""
    import keras

    get = {"loss": keras.losses.get, "metrics": keras.metrics.get}
    get["weighted_metrics"] = keras.metrics.get
    arguments = {key: _each(training.get(key), get[key]) for key in get}
    optimizer = keras.optimizers.deserialize(dict(training["optimizer_config"]))
    return {"optimizer": optimizer, "loss_weights": training.get("loss_weights"), **arguments}


def _each(value: Any, get: Callable[[Any], Any]) -> Any:
    """`value` with each serialised object in it resolved; names are left to `compile`."""
    if isinstance(value, dict) and "class_name" in value:
        return get(value)
    if isinstance(value, dict):
        return {key: _each(item, get) for key, item in value.items()}
    return [_each(item, get) for item in value] if isinstance(value, list) else value


def _is_own(model: Any, method: str) -> bool:
    """Whether the class of `model` overrides a method of Keras's."""
    return not getattr(type(model), method).__module__.startswith("keras.")


def _build_optimizer(model: Any, variables: Sequence[Any]) -> None:
    """Make the slots; an optimizer whose slots need values is made a second time."""
    from keras import optimizers

    config = optimizers.serialize(model.optimizer)
    made = [model.optimizer]

    def make() -> None:
        model.optimizer = made.pop() if made else optimizers.deserialize(config)
        model.optimizer.build(list(variables))

    build(make)


def _build_metrics(model: Any, built: Mapping[str, Any], resolve: Resolve) -> None:
    """Metrics as Keras resolved them: `accuracy` is one of three, which depends on the data."""
    from keras.src.trainers.compile_utils import CompileMetrics
    from keras.src.utils.tracking import DotNotTrackScope

    if model._compile_metrics is None:  # Keras goes on with those of an earlier `compile`
        with DotNotTrackScope():
            model._compile_metrics = CompileMetrics(
                None, None, output_names=getattr(model, "output_names", None)
            )
    compiled = model._compile_metrics
    compiled._flat_metrics, compiled._flat_weighted_metrics = (
        [_metrics(item, resolve) for item in built[key]] for key in ("metrics", "weighted_metrics")
    )
    compiled._resolved_output_names = _output_names(model, len(compiled._flat_metrics))
    compiled.built = True


def build_late(target: Any, shapes: Mapping[str, Sequence[int]]) -> None:
    """Build the metrics that wait for data to know their shape, and had seen some.

    `shapes` are those of the tensors by name: the last size is how many outputs there were.
    """
    for path, metric in (*compiled_metrics(target), *layer_metrics(target)):
        held = [shape for name, shape in shapes.items() if name.startswith(f"{path}/")]
        if held and not getattr(metric, "_built", True) and hasattr(metric, "_build"):
            data = (None, max((shape[-1] for shape in held if shape), default=1))
            metric._build(*[data] * len(signature(metric._build).parameters))


def _metrics(item: Mapping[str, Any] | None, resolve: Resolve) -> Any:
    from keras.src.trainers.compile_utils import MetricsList

    if item is None:
        return None
    metrics = [_resolved(each, resolve) for each in item["metrics"]]
    return MetricsList(metrics, output_name=item["output"])


def _resolved(item: Any, resolve: Resolve) -> Any:
    """A loss or metric; those around a function are made here.

    Keras takes every text in their configs for the name of a custom object that has it, and they
    are called as their function is.
    """
    from keras.metrics import MeanMetricWrapper
    from keras.src.losses.losses import LossFunctionWrapper

    wrappers = {found.__name__: found for found in (MeanMetricWrapper, LossFunctionWrapper)}
    is_own = isinstance(item, Mapping) and str(item.get("module")).startswith("keras.")
    if not is_own or (made := wrappers.get(item["class_name"])) is None:
        return resolve(item)
    config = {
        key: resolve(value) if isinstance(value, dict) else value
        for key, value in item["config"].items()
    }
    return made(**config)


def _output_names(model: Any, outputs: int) -> Any:
    """In what order Keras takes outputs that come as a dictionary (`CompileMetrics.build`)."""
    names = model._compile_metrics.output_names
    structure = getattr(model, "_outputs_struct", None)
    if outputs < 2:
        return None
    if isinstance(structure, dict) and set(structure) != set(names or ()):
        return sorted(structure)
    return names


def _build_losses(model: Any, losses: Sequence[Mapping[str, Any]], resolve: Resolve) -> None:
    """Losses of several outputs: each has a tracker of its own, which holds state."""
    compiled = model._compile_loss
    outputs = _outputs(model, [item["path"] for item in losses])
    compiled.build(outputs, outputs)
    made = type(compiled).Loss
    compiled._flat_losses = [
        made(tuple(item["path"]), _resolved(item["object"], resolve), item["weight"], item["name"])
        for item in losses
    ]


def _outputs(model: Any, paths: Sequence[Sequence[Any]]) -> Any:
    """The structure of what the model gives, or as much of it as the places of losses tell."""
    from keras import KerasTensor, tree

    if (structure := getattr(model, "_outputs_struct", None)) is not None:
        return tree.map_structure(lambda x: KerasTensor(x.shape, x.dtype), structure)
    unknown = KerasTensor((None, None))
    if all(isinstance(path[0], str) for path in paths):
        return {path[0]: unknown for path in paths}
    return [unknown] * (1 + max(path[0] for path in paths))
