"""The architectures of the study: small Keras models of every family, and inputs for them.

Each is a function of no arguments that builds the model; `build` gives it weights that are random
but the same everywhere, so that every part of it matters to the output.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers as L  # noqa: N812

IMAGE, SEQUENCE, TOKENS, VECTOR = (16, 16, 3), (12, 6), (12,), (24,)
VOCABULARY = 50
BATCH = 4


def _net(shape: tuple[int, ...], *stack: Any, dtype: str | None = None) -> Any:
    x = inputs = keras.Input(shape, dtype=dtype)
    for layer in stack:
        x = layer(x)
    return keras.Model(inputs, x)


def _dense(*units: int, activation: str = "relu") -> list[Any]:
    return [L.Dense(n, activation=activation) for n in units]


def _conv_bn(filters: int, strides: int = 1, activation: Any = None) -> list[Any]:
    return [L.Conv2D(filters, 3, strides, padding="same", use_bias=False), L.BatchNormalization(),
            activation or L.ReLU()]  # fmt: skip


def _apply(x: Any, stack: list[Any]) -> Any:
    for layer in stack:
        x = layer(x)
    return x


def _residual() -> Any:
    inputs = keras.Input(IMAGE)
    x = _apply(inputs, _conv_bn(8))
    for _ in range(3):
        y = _apply(x, [*_conv_bn(8), L.Conv2D(8, 3, padding="same"), L.BatchNormalization()])
        x = L.ReLU()(L.Add()([x, y]))
    return keras.Model(inputs, L.Dense(5, activation="softmax")(L.GlobalAveragePooling2D()(x)))


def _densely() -> Any:
    x = inputs = keras.Input(IMAGE)
    for _ in range(3):
        x = L.Concatenate()([x, _apply(x, _conv_bn(6))])
    return keras.Model(inputs, L.Dense(5)(L.GlobalMaxPooling2D()(x)))


def _inception() -> Any:
    inputs = keras.Input(IMAGE)
    sides = [L.Conv2D(4, size, padding="same", activation="relu")(inputs) for size in (1, 3, 5)]
    sides.append(L.MaxPooling2D(3, 1, padding="same")(inputs))
    return keras.Model(inputs, L.Dense(5)(L.Flatten()(L.Concatenate()(sides))))


def _unet() -> Any:
    inputs = keras.Input(IMAGE)
    down = L.Conv2D(6, 3, padding="same", activation="relu")(inputs)
    low = L.Conv2D(8, 3, padding="same", activation="relu")(L.MaxPooling2D()(down))
    up = L.Conv2DTranspose(6, 3, 2, padding="same")(low)
    wide = L.UpSampling2D(2, interpolation="bilinear")(low)
    joined = L.Concatenate()([down, up, wide])
    return keras.Model(inputs, L.Conv2D(2, 1, activation="sigmoid")(joined))


def _squeeze() -> Any:
    inputs = keras.Input(IMAGE)
    x = L.Conv2D(8, 3, padding="same", activation="swish")(inputs)
    gate = L.GlobalAveragePooling2D(keepdims=True)(x)
    gate = L.Conv2D(8, 1, activation="hard_sigmoid")(L.Conv2D(4, 1, activation="relu")(gate))
    return keras.Model(inputs, L.Dense(5)(L.Flatten()(L.Multiply()([x, gate]))))


def _block(x: Any, activation: str = "gelu", causal: bool = False) -> Any:
    y = L.LayerNormalization(epsilon=1e-3)(x)
    y = L.MultiHeadAttention(2, 4, name=None)(y, y, use_causal_mask=causal)
    x = L.Add()([x, y])
    y = L.Dense(16, activation=activation)(L.LayerNormalization(epsilon=1e-6)(x))
    return L.Add()([x, L.Dense(8)(y)])


def _encoder() -> Any:
    inputs = keras.Input(SEQUENCE)
    x = _block(_block(L.Dense(8)(inputs)))
    return keras.Model(inputs, L.Dense(5, activation="softmax")(L.GlobalAveragePooling1D()(x)))


def _decoder() -> Any:
    inputs = keras.Input(TOKENS, dtype="int32")
    x = L.Embedding(VOCABULARY, 8)(inputs)
    return keras.Model(inputs, L.Dense(VOCABULARY)(_block(x, causal=True)))


def _vision() -> Any:
    inputs = keras.Input(IMAGE)
    x = L.Reshape((16, 8))(L.Conv2D(8, 4, 4)(inputs))
    return keras.Model(inputs, L.Dense(5)(L.Flatten()(_block(x, "gelu"))))


def _attention() -> Any:
    inputs = keras.Input(SEQUENCE)
    x = L.Attention()([L.Dense(6)(inputs), L.Dense(6)(inputs)])
    y = L.AdditiveAttention()([inputs, inputs])
    return keras.Model(inputs, L.Dense(4)(L.Flatten()(L.Concatenate()([x, y]))))


def _mixer() -> Any:
    inputs = keras.Input(SEQUENCE)
    x = L.Permute((2, 1))(L.Dense(12, activation="gelu")(L.Permute((2, 1))(inputs)))
    x = L.LayerNormalization()(L.Add()([x, inputs]))
    return keras.Model(inputs, L.Dense(4)(x))


def _large_sums() -> Any:
    return _net((64, 64, 4), L.AveragePooling2D(8), L.Flatten(), L.Dense(300), L.Dense(3))


ARCHITECTURES: dict[str, Callable[[], Any]] = {
    "mlp": lambda: _net(VECTOR, *_dense(32, 16), L.Dense(5)),
    "mlp-selu": lambda: _net(VECTOR, *_dense(24, 24, 24, activation="selu"), L.Dense(4)),
    "deep-tanh": lambda: _net(VECTOR, *_dense(*[24] * 30, activation="tanh"), L.Dense(4)),
    "exp-log": lambda: _net(VECTOR, *_dense(16, activation="softplus"),
                            *_dense(8, activation="exponential"), L.Dense(4)),
    "layer-norm": lambda: _net(VECTOR, L.Dense(24), L.LayerNormalization(epsilon=1e-3), L.Dense(4)),
    "cnn": lambda: _net(IMAGE, L.Conv2D(8, 3, padding="same", activation="relu"), L.MaxPooling2D(),
                        L.Conv2D(8, 3, 2, padding="same", activation="relu"), L.Flatten(), L.Dense(5)),
    "cnn-valid": lambda: _net(IMAGE, L.Conv2D(8, 5, 2, activation="elu"), L.AveragePooling2D(2),
                              L.Flatten(), L.Dense(5, activation="softmax")),
    "separable": lambda: _net(IMAGE, L.DepthwiseConv2D(3, padding="same"), L.BatchNormalization(),
                              L.ReLU(6.0), L.SeparableConv2D(8, 3, padding="same"),
                              L.BatchNormalization(), L.ReLU(6.0), L.GlobalAveragePooling2D(), L.Dense(5)),
    "relu6": lambda: _net(VECTOR, L.Dense(24), L.Rescaling(4.0), L.ReLU(6.0), L.Dense(4)),
    "batch-norm": lambda: _net(IMAGE, *_conv_bn(8, 2), *_conv_bn(8, 1, L.LeakyReLU(0.3)),
                               L.Flatten(), L.Dense(5)),
    "residual": _residual,
    "dense-blocks": _densely,
    "inception": _inception,
    "u-net": _unet,
    "squeeze-excite": _squeeze,
    "group-norm": lambda: _net(IMAGE, L.Conv2D(8, 3), L.GroupNormalization(4), L.PReLU(),
                               L.Flatten(), L.Dense(5)),
    "conv1d-dilated": lambda: _net(SEQUENCE, L.Conv1D(8, 3, padding="causal", dilation_rate=2,
                                   activation="tanh"), L.Conv1D(8, 3, padding="causal"), L.Dense(4)),
    "conv3d": lambda: _net((6, 6, 6, 2), L.Conv3D(4, 3, activation="relu"), L.Flatten(), L.Dense(3)),
    "lstm": lambda: _net(SEQUENCE, L.LSTM(8, return_sequences=True), L.LSTM(8), L.Dense(4)),
    "gru": lambda: _net(SEQUENCE, L.GRU(8, return_sequences=True), L.GRU(8), L.Dense(4)),
    "bidirectional": lambda: _net(SEQUENCE, L.Bidirectional(L.GRU(6)), L.Dense(4)),
    "simple-rnn": lambda: _net(SEQUENCE, L.SimpleRNN(8), L.Dense(4, activation="softmax")),
    "embedding": lambda: _net(TOKENS, L.Embedding(VOCABULARY, 8), L.GlobalAveragePooling1D(),
                              L.Dense(4), dtype="int32"),
    "encoder": _encoder,
    "decoder": _decoder,
    "vision": _vision,
    "attention": _attention,
    "mixer": _mixer,
    "large-sums": _large_sums,
    "normalization": lambda: _net(VECTOR, L.Normalization(mean=[0.5] * 24, variance=[2.0] * 24),
                                  L.Rescaling(0.5, 0.1), *_dense(16), L.Dense(4)),
    "resizing": lambda: _net(IMAGE, L.Resizing(12, 12), L.CenterCrop(8, 8), L.Conv2D(4, 3),
                             L.Flatten(), L.Dense(4)),
}  # fmt: skip


def build(name: str) -> Any:
    """The model, with weights that depend on its name alone."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    model = ARCHITECTURES[name]()
    random = np.random.default_rng(list(name.encode()))
    model.set_weights([_weight(v, random) for v in model.weights])
    return model


def _weight(variable: Any, random: np.random.Generator) -> Any:
    shape = tuple(variable.shape)
    if variable.path.endswith(("seed_generator_state", "count")):
        return np.asarray(variable.value)
    if variable.path.endswith(("variance", "gamma")):
        return random.uniform(0.5, 2.0, shape).astype("float32")
    fan = int(np.prod(shape[:-1])) if len(shape) > 1 else 20
    return (random.normal(size=shape) * np.sqrt(1.5 / max(fan, 1))).astype("float32")


def inputs_of(model: Any, name: str) -> Any:
    """One batch; integers below the vocabulary for tokens."""
    random = np.random.default_rng(list(name.encode())[::-1])
    tensor = model.inputs[0]
    shape = (BATCH, *tensor.shape[1:])
    if "int" in tensor.dtype:
        return random.integers(1, VOCABULARY - 1, shape).astype(tensor.dtype)
    return (2.0 * random.normal(size=shape)).astype("float32")
