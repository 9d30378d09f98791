"""Semantic faults: what a wrong converter or engine computes instead, as another Keras model.

A fault takes a sound model and its inputs and gives both as the faulty side has them. Each stands
for a mistake that has been made; all are to fail in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import ml_dtypes
import numpy as np

Pair = tuple[Any, Any]
Fault = Callable[[Any, Any], Pair]


def _of(model: Any, kind: str, at: int = 0) -> Any:
    found = [layer for layer in model.layers if type(layer).__name__ == kind]
    return found[at]


def _set(kind: str, change: Callable[[list[Any]], list[Any]], at: int = 0) -> Fault:
    """Other weights in the layer of class `kind`."""

    def fault(model: Any, x: Any) -> Pair:
        layer = _of(model, kind, at)
        layer.set_weights(change([np.array(w) for w in layer.get_weights()]))
        return model, x

    return fault


def _edit(kind: str, at: int = 0, **changes: Any) -> Fault:
    """Other arguments of the layer of class `kind`."""

    def fault(model: Any, x: Any) -> Pair:
        name = _of(model, kind, at).name
        config = model.get_config()
        next(c for c in config["layers"] if c["config"]["name"] == name)["config"].update(changes)
        made = type(model).from_config(config)
        made.set_weights(model.get_weights())
        return made, x

    return fault


def _inputs(change: Callable[[Any], Any]) -> Fault:
    return lambda model, x: (model, np.ascontiguousarray(change(x)))


def _swapped(weights: list[Any]) -> list[Any]:
    kernel = weights[0]
    kernel[..., [0, 1]] = kernel[..., [1, 0]]
    return [kernel, *weights[1:]]


def _without_bias(weights: list[Any]) -> list[Any]:
    return [*weights[:-1], np.zeros_like(weights[-1])]


def _gates(weights: list[Any]) -> list[Any]:
    """Gates i, c, f, o for i, f, c, o."""
    units = weights[-1].shape[0] // 4
    order = np.concatenate([np.arange(units) + units * gate for gate in (0, 2, 1, 3)])
    return [weight[..., order] for weight in weights]


def _rounded(dtype: Any) -> Callable[[list[Any]], list[Any]]:
    return lambda weights: [w.astype(dtype).astype("float32") for w in weights]


def _other_statistics(model: Any, x: Any) -> Pair:
    one, two = _of(model, "BatchNormalization", 0), _of(model, "BatchNormalization", 1)
    mine, other = one.get_weights(), two.get_weights()
    one.set_weights([*mine[:2], *other[2:]])
    return model, x


def _reset_before(model: Any, x: Any) -> Pair:
    """A GRU that resets before the product, both biases added."""
    made = keras.models.clone_model(model, clone_function=_with_reset_before)
    for old, new in zip(model.layers, made.layers, strict=True):
        weights = old.get_weights()
        if type(old).__name__ == "GRU":
            weights[-1] = weights[-1].sum(axis=0)
        new.set_weights(weights)
    return made, x


def _with_reset_before(layer: Any) -> Any:
    config = layer.get_config()
    if type(layer).__name__ == "GRU":
        config["reset_after"] = False
    return type(layer).from_config(config)


def _padding_side(model: Any, x: Any) -> Pair:
    """Padding before instead of after, in a strided convolution of even size."""
    name = _of(model, "Conv2D", 1).name

    def changed(layer: Any) -> Any:
        config = layer.get_config()
        if layer.name == name:
            config["padding"] = "valid"
            pad = keras.layers.ZeroPadding2D(((1, 0), (1, 0)))
            return keras.Sequential([pad, keras.layers.Conv2D.from_config(config)], name=name)
        return type(layer).from_config(config)

    made = keras.models.clone_model(model, clone_function=changed)
    made.set_weights(model.get_weights())
    return made, x


def _attention_scale(weights: list[Any]) -> list[Any]:
    """Queries of a scale of 1/sqrt(2·d) in place of 1/sqrt(d)."""
    return [weights[0] / np.sqrt(2.0), weights[1] / np.sqrt(2.0), *weights[2:]]


def _no_mask(model: Any, x: Any) -> Pair:
    """Attention without its causal mask."""
    config = model.get_config()
    for layer in config["layers"]:
        if layer["class_name"] == "MultiHeadAttention":
            layer["inbound_nodes"][0]["kwargs"]["use_causal_mask"] = False
    made = type(model).from_config(config)
    made.set_weights(model.get_weights())
    return made, x


def _old_hard_sigmoid(x: Any) -> Any:
    """As Keras 1 and 2 have it: slope 0.2 in place of 1/6."""
    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)


def _hard_sigmoid(model: Any, x: Any) -> Pair:
    layer = next(
        c for c in model.layers if getattr(c, "activation", None) is keras.activations.hard_sigmoid
    )
    layer.activation = _old_hard_sigmoid
    return model, x


def _plain_gelu(model: Any, x: Any) -> Pair:
    for layer in model.layers:
        if getattr(layer, "activation", None) is keras.activations.gelu:
            layer.activation = lambda y: keras.activations.gelu(y, approximate=True)
    return model, x


FAULTS: dict[str, tuple[str, Fault]] = {
    "missing bias": ("mlp", _set("Dense", _without_bias)),
    "two channels swapped": ("cnn", _set("Conv2D", _swapped)),
    "transposed kernel (dense)": ("mlp-selu", _set("Dense", lambda w: [w[0].T, *w[1:]], 1)),
    "transposed kernel (convolution)": ("cnn", _set("Conv2D", lambda w: [w[0].swapaxes(0, 1), *w[1:]])),
    "flipped kernel": ("conv1d-dilated", _set("Conv1D", lambda w: [w[0][::-1], *w[1:]])),
    "padding side": ("cnn", _padding_side),
    "epsilon of BatchNorm 1e-5 for 1e-3": ("batch-norm", _edit("BatchNormalization", epsilon=1e-5)),
    "epsilon of LayerNorm 1e-5 for 1e-3": ("layer-norm", _edit("LayerNormalization", epsilon=1e-5)),
    "epsilon of GroupNorm 1e-5 for 1e-3": ("group-norm", _edit("GroupNormalization", epsilon=1e-5)),
    "statistics of another layer": ("batch-norm", _other_statistics),
    "tanh form of gelu": ("encoder", _plain_gelu),
    "slope of hard_sigmoid": ("squeeze-excite", _hard_sigmoid),
    "slope of LeakyReLU": ("batch-norm", _edit("LeakyReLU", negative_slope=0.2)),
    "relu for relu6": ("relu6", _edit("ReLU", max_value=None)),
    "attention scale": ("encoder", _set("MultiHeadAttention", _attention_scale)),
    "causal mask missing": ("decoder", _no_mask),
    "gate order of LSTM": ("lstm", _set("LSTM", _gates)),
    "reset_after of GRU": ("gru", _reset_before),
    "tokens off by one": ("embedding", _inputs(lambda x: x + 1)),
    "BGR for RGB": ("residual", _inputs(lambda x: x[..., ::-1])),
    "shift by a pixel": ("u-net", _inputs(lambda x: np.roll(x, 1, axis=1))),
    "interpolation": ("u-net", _edit("UpSampling2D", interpolation="nearest")),
    "a layer stored as bfloat16": ("residual", _set("Conv2D", _rounded(ml_dtypes.bfloat16), 1)),
}  # fmt: skip
"""Name to architecture and fault."""

EDGES: dict[str, tuple[str, Fault]] = {
    f"a layer stored as float16: {name}": (name, _set(kind, _rounded(np.float16)))
    for name, kind in (("mlp", "Dense"), ("cnn", "Conv2D"), ("lstm", "LSTM"), ("gru", "GRU"),
                       ("residual", "Conv2D"), ("encoder", "Dense"), ("vision", "Conv2D"))
}  # fmt: skip
"""Faults near the size of rounding, which may be missed."""
