"""Names for the numbered variables of `.weights.h5`, from a config.

Keras 3 stores variables as `<path of the object>/vars/<number>`, where the path is made of class
names and attributes. `layer_paths` finds the layer that a path belongs to, `variable_names` names
the variables of a built-in class in the order in which they are numbered, and `roles` says which
are trained. The names are those of Keras 3. Where class, config and count do not settle the names,
the answer is None: a guess could name a weight wrongly.

    >>> variable_names("BatchNormalization", {"scale": False, "center": True}, 3)
    ('beta', 'moving_mean', 'moving_variance')
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelbundle.core.limits import LIMITS
from modelbundle.sources.artifact import TensorRole
from modelbundle.sources.keras.builtins import kinds
from modelbundle.sources.keras.config_json import parse
from modelbundle.sources.keras.objects import describe, is_object, model_form

Config = Mapping[str, Any]

_KERNEL = "kernel bias?use_bias"
_CELL = "kernel recurrent_kernel bias?use_bias"
_NORMALIZED = "gamma?scale beta?center"

LAYERS: dict[str, str] = {
    "AdditiveAttention": "scale?use_scale",
    "Attention": "scale?use_scale concat_score_weight?score_mode=concat",
    "BatchNormalization": f"{_NORMALIZED} moving_mean moving_variance",
    "ConvLSTMCell": _CELL,
    "Dense": _KERNEL,
    "EinsumDense": "kernel bias?bias_axes",
    "Embedding": "embeddings",
    "GRUCell": _CELL,
    "GroupNormalization": _NORMALIZED,
    "LSTMCell": _CELL,
    "LayerNormalization": _NORMALIZED,
    "Normalization": "mean?!mean variance?!mean count?!mean",
    "PReLU": "alpha",
    "RMSNormalization": "scale",
    "ReversibleEmbedding": "embeddings reverse_embeddings?!tie_weights",
    "SeedGenerator": "seed_generator_state",
    "SimpleRNNCell": _CELL,
    **{
        f"{kind}{rank}D{suffix}": _KERNEL
        for kind in ("Conv", "Convolution", "DepthwiseConv", "LocallyConnected")
        for rank in (1, 2, 3)
        for suffix in ("", "Transpose")
    },
    **{
        f"Separable{kind}{rank}D": "depthwise_kernel pointwise_kernel bias?use_bias"
        for kind in ("Conv", "Convolution")
        for rank in (1, 2)
    },
}
"""Class to its own variables in order: `name?key` where the config's `key` is true, `name?!key`
where it is not, `name?key=text` where it is that text."""

DEFAULT_TRUE = frozenset({"use_bias", "scale", "center", "tie_weights"})

_FLOAT8 = (
    "kernel bias inputs_scale inputs_amax_history kernel_scale kernel_amax_history "
    "outputs_grad_scale outputs_grad_amax_history"
)
_GROUPED = "bias quantized_kernel kernel_scale kernel_zero"
QUANTIZED: dict[str, tuple[str, ...]] = {
    "int8": ("kernel bias kernel_scale",),
    "int4": ("kernel bias kernel_scale", "kernel bias kernel_scale kernel_zero g_idx"),
    "float8": (_FLOAT8,),
    "gptq": (f"{_GROUPED} g_idx",),
    "awq": (f"{_GROUPED} awq_scales g_idx",),
}
"""Quantization mode to the variables of Dense and EinsumDense; int4 has them with and without
zero points."""

QUANTIZED_EMBEDDINGS: dict[str, tuple[str, ...]] = {
    "int8": ("embeddings embeddings_scale",),
    "int4": ("embeddings embeddings_scale", "embeddings embeddings_scale embeddings_zero g_idx"),
}
STATE = frozenset(
    {"moving_mean", "moving_variance", "mean", "variance", "count", "vector_u", "g_idx",
     "quantized_kernel", "kernel_scale", "kernel_zero", "embeddings_scale", "embeddings_zero",
     "reverse_embeddings_scale", "reverse_embeddings_zero", "awq_scales"}
)  # fmt: skip
INTEGER_MODES = frozenset({"int8", "int4", "gptq", "awq"})
INTEGERS = frozenset({"kernel", "embeddings", "reverse_embeddings"})
"""Variables that quantization makes integers."""

SLOTS: dict[str, tuple[str, ...]] = {
    "Adadelta": ("accumulated_grad accumulated_delta_var",),
    "Adafactor": ("r c velocity",),
    "Adagrad": ("accumulator",),
    "Adam": ("momentum velocity", "velocity_hat?amsgrad"),
    "AdamW": ("momentum velocity", "velocity_hat?amsgrad"),
    "Adamax": ("momentum norm",),
    "Ftrl": ("accumulator linear",),
    "Lamb": ("momentum velocity",),
    "Lion": ("momentum",),
    "Nadam": ("momentum velocity",),
    "RMSprop": ("velocity", "momentum?momentum", "average_gradient?centered"),
    "SGD": ("momentum?momentum",),
    "ScheduleFreeAdamW": ("momentum velocity",),
}
"""Optimizer to groups of slots; within a group the slots alternate, variable by variable."""

METRICS = {
    **dict.fromkeys(("Mean", "MeanMetricWrapper", "MeanSquaredError", "MeanAbsoluteError",
                     "RootMeanSquaredError", "CategoricalAccuracy", "BinaryAccuracy", "Accuracy",
                     "SparseCategoricalAccuracy", "CosineSimilarity"), "total count"),
    "AUC": "true_positives false_positives true_negatives false_negatives",
    "Precision": "true_positives false_positives",
    "Recall": "true_positives false_negatives",
    "Sum": "total",
}  # fmt: skip


def variable_names(class_name: str, config: Config, count: int) -> tuple[str, ...] | None:
    """Names of the `count` variables that a built-in object stores itself, in stored order.

    Slots of an optimizer are `momentum/0`, `momentum/1`, … by trained variable. None where the
    class is unknown or the count is not what class and config say.
    """
    if "optimizer" in kinds(class_name) and class_name[:1].isupper():
        return _optimizer_names(class_name, config, count)
    if (mode := _quantization(config)) and class_name in ("Dense", "EinsumDense"):
        bias = _tokens(LAYERS[class_name], config)[1:]
        options = [_without(names, "bias", not bias) for names in QUANTIZED.get(mode, ())]
    elif mode and class_name in ("Embedding", "ReversibleEmbedding"):
        options = _quantized_embeddings(mode, class_name, config)
    elif class_name == "SpectralNormalization":
        options = [(_spectral_weight(config), "vector_u")]
    elif (spec := LAYERS.get(class_name, METRICS.get(class_name))) is not None:
        options = [_tokens(spec, config)]
    else:
        options = [()] if "layer" in kinds(class_name) or "model" in kinds(class_name) else []
    return next((names for names in options if len(names) == count), None)


def plain_variables(class_name: str, config: Config) -> tuple[str, ...]:
    """Names of what a built-in layer stores itself before it is quantized; none for others."""
    if class_name == "SpectralNormalization":
        return (_spectral_weight(config), "vector_u")
    return _tokens(LAYERS.get(class_name, ""), config)


def roles(class_name: str, config: Config, count: int) -> tuple[TensorRole, ...] | None:
    """The roles of the same variables; None where their names are not known.

    `"trainable": false` in a layer's config freezes all that it would train.
    """
    names = variable_names(class_name, config, count)
    if names is None:
        return None
    known: TensorRole | None = "metric" if class_name in METRICS else None
    if (known := "optimizer" if "optimizer" in kinds(class_name) else known) is not None:
        return (known,) * count
    frozen = config.get("trainable") is False
    integer = _quantization(config) in INTEGER_MODES
    return tuple(_role(name, frozen, integer) for name in names)


def _role(name: str, frozen: bool, integer: bool) -> TensorRole:
    if name == "seed_generator_state":
        return "rng"
    state = (name in STATE and (integer or not name.endswith("_scale"))) or (
        integer and name in INTEGERS
    )
    return "non-trainable" if frozen or state else "trainable"


def _tokens(spec: str, config: Config) -> tuple[str, ...]:
    """The names of `spec` whose condition the config meets."""
    return tuple(
        name for name, _, condition in (token.partition("?") for token in spec.split())
        if not condition or _holds(condition, config)
    )  # fmt: skip


def _holds(condition: str, config: Config) -> bool:
    key, _, text = condition.removeprefix("!").partition("=")
    value = config.get(key, key in DEFAULT_TRUE)
    if text:
        return bool(value == text)
    is_set = value is not None and value is not False and value != 0
    return is_set != condition.startswith("!")


def _without(names: str, name: str, leave_out: bool) -> tuple[str, ...]:
    return tuple(item for item in names.split() if not (leave_out and item == name))


def _quantization(config: Config) -> str | None:
    """The mode of a quantized dtype policy: `int8`, `int4`, `float8`, `gptq` or `awq`."""
    dtype = config.get("dtype")
    inner = dtype["config"] if is_object(dtype) else None
    mode = inner.get("mode") if isinstance(inner, dict) else dtype
    if not isinstance(mode, str) or ("_from_" not in mode and mode is dtype):
        return None
    return re.split(r"_from_|/", mode)[0]


def _quantized_embeddings(mode: str, class_name: str, config: Config) -> list[tuple[str, ...]]:
    options = [tuple(names.split()) for names in QUANTIZED_EMBEDDINGS.get(mode, ())]
    if class_name == "Embedding" or config.get("tie_weights", True):
        return options
    return [
        (*names, *(f"reverse_{name}" for name in names if name.startswith("embeddings")))
        for names in options
    ]


def _spectral_weight(config: Config) -> str:
    """The weight of the wrapped layer, which SpectralNormalization stores a second time."""
    layer = config.get("layer")
    return "embeddings" if is_object(layer) and layer["class_name"] == "Embedding" else "kernel"


def _optimizer_names(class_name: str, config: Config, count: int) -> tuple[str, ...] | None:
    """`iteration`, `learning_rate`, then slots; tf_keras and schedules store no learning rate."""
    of_tf_keras = "is_legacy_optimizer" in config
    scheduled = isinstance(config.get("learning_rate"), dict)
    head = ["iteration"] + ["learning_rate"] * (not of_tf_keras and not scheduled)
    if class_name == "LossScaleOptimizer":
        return _loss_scale_names(config, count)
    if class_name not in SLOTS:
        return None
    tail = ["u_product"] * (class_name == "Nadam" and not of_tf_keras)
    before = ("average?use_ema", "gradient_accumulator?gradient_accumulation_steps")
    groups = [_tokens(group, config) for group in (*before, *SLOTS[class_name])]
    width = sum(map(len, groups))
    variables, rest = divmod(count - len(head) - len(tail), width or 1)
    if rest or variables < 0 or (variables and not width):
        return None
    slots = [f"{name}/{i}" for group in groups for i in range(variables) for name in group]
    return (*head, *slots, *tail)


def _loss_scale_names(config: Config, count: int) -> tuple[str, ...] | None:
    """Its own state, then that of the optimizer inside, which is stored on its own as well."""
    inner = config.get("inner_optimizer")
    head = ("iteration", "learning_rate", "step_counter", "dynamic_scale")
    if not is_object(inner) or not isinstance(inner["config"], dict):
        return None
    names = variable_names(describe(inner).class_name, inner["config"], count - len(head))
    return None if names is None else (*head, *(f"inner_optimizer/{name}" for name in names))


@dataclass(frozen=True, slots=True)
class LayerRef:
    """A layer or a part of one: people's path (`encoder/dense`), class and config."""

    name: str
    class_name: str
    config: Config = field(default_factory=dict)


def layer_paths(config: bytes) -> Mapping[str, LayerRef]:
    """Path in `.weights.h5` to the object stored there, for a model's config.

    Covers layers of nested models, cells, wrapped layers, the projections of attention and the
    seed generators that earlier releases of Keras 3 stored. A shared layer is stored under the
    first of its paths only. Raises BundleError (KCF-01, KCF-02).
    """
    value = parse(config, "config.json").value
    if not is_object(value):
        value = {"class_name": "Functional", "config": value}
    return {path: ref for path, ref, _ in _walk("", "", value) if path}


_Found = tuple[str, LayerRef, int]


def _walk(path: str, name: str, value: dict[str, Any], depth: int = 0) -> Iterator[_Found]:
    """The object at `path` and all that it stores below itself."""
    if depth > LIMITS.config_layer_depth:
        return
    described = describe(value)
    config = value["config"]
    ref = LayerRef(name, described.class_name, config if isinstance(config, dict) else {})
    yield path, ref, depth
    for at, child_name, child in _children(ref, config):
        below = "/".join(filter(None, (path, at)))
        yield from _walk(below, "/".join(filter(None, (name, child_name))), child, depth + 1)


_Child = tuple[str, str, dict[str, Any]]
"""Attribute path, name and serialised object of something that a layer stores below itself."""

CELLS = {name: f"{name}Cell" for name in ("GRU", "LSTM", "SimpleRNN")} | {
    f"ConvLSTM{rank}D": "ConvLSTMCell" for rank in (1, 2, 3)
}
_CLASS_OF_EXPORT = {"GroupQueryAttention": "GroupedQueryAttention"}
"""Public name to class name, where they differ."""


def _children(ref: LayerRef, config: Any) -> Iterator[_Child]:
    if model_form(ref.class_name, config):
        layers = config if isinstance(config, list) else config.get("layers")
        yield from _listed("layers", [item for item in _objects(layers) if _is_stored(item, ref)])
    elif cell := CELLS.get(ref.class_name):
        yield "cell", _snake(cell), {"class_name": cell, "config": ref.config}
    elif ref.class_name in ("MultiHeadAttention", "GroupQueryAttention"):
        yield from _projections(ref.config)
    elif ref.class_name == "StackedRNNCells":
        yield from _listed("cells", _objects(ref.config.get("cells")))
    elif ref.class_name == "Bidirectional":
        yield from _directions(ref.config)
    else:
        for slot in ("layer", "cell"):
            if kinds(ref.class_name) and is_object(item := ref.config.get(slot)):
                yield slot, _name(item), item
    if "seed" in ref.config and "layer" in kinds(ref.class_name):
        yield "seed_generator", "seed_generator", {"class_name": "SeedGenerator", "config": {}}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if is_object(item)] if isinstance(value, list) else []


def _is_stored(item: dict[str, Any], model: LayerRef) -> bool:
    """Whether a model counts `item` among its layers: no operations, in a Sequential no input."""
    found = describe(item, "layers")
    is_input = found.class_name == "InputLayer" and "input_layers" not in model.config
    return found.kind in ("layer", "model") and not is_input


def _listed(attribute: str, items: list[dict[str, Any]]) -> Iterator[_Child]:
    """A list is stored by class: `dense`, `dense_1`, …"""
    seen: Counter[str] = Counter()
    for item in items:
        class_name = describe(item).class_name
        key = _snake(_CLASS_OF_EXPORT.get(class_name, class_name))
        number = seen[key]
        seen[key] += 1
        yield f"{attribute}/{key}_{number}" if number else f"{attribute}/{key}", _name(item), item


def _projections(config: Config) -> Iterator[_Child]:
    """The dense layers of attention, under both names that Keras 3 has used for them."""
    bias = "any" if config.get("use_bias", True) else None
    inner = {"bias_axes": bias, "dtype": config.get("dtype"), "trainable": config.get("trainable")}
    for part in ("query", "key", "value", "output"):
        name = "attention_output" if part == "output" else part
        for attribute in (f"{part}_dense", f"_{part}_dense"):
            yield attribute, name, {"class_name": "EinsumDense", "config": {**inner, "name": name}}


def _directions(config: Config) -> Iterator[_Child]:
    """Both layers of a Bidirectional; a config of Keras 2 may hold one for both."""
    forward, backward = config.get("layer"), config.get("backward_layer")
    if not is_object(forward):
        return
    name = _name(forward).removeprefix("forward_")
    yield "forward_layer", f"forward_{name}", forward
    if is_object(backward):
        yield "backward_layer", _name(backward), backward
    else:
        yield "backward_layer", f"backward_{name}", forward


def _name(item: dict[str, Any]) -> str:
    inner = item["config"].get("name") if isinstance(item["config"], dict) else None
    found = item.get("name") or inner
    return found if isinstance(found, str) else _snake(describe(item).class_name)


def _snake(class_name: str) -> str:
    """`keras.src.utils.naming.to_snake_case`, which gives `p_re_lu` for PReLU."""
    name = re.sub(r"\W+", "", class_name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
