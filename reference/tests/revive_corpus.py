"""Layers of Keras 2 with arguments, for the comparison of what they compute then and now.

Each entry: class, the shapes of its inputs without the batch, fixed arguments, and arguments that
are varied one after another from the first of their values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Entry:
    """One class, its inputs, and the arguments that are tried."""

    class_name: str
    shapes: tuple[Shape, ...]
    fixed: dict[str, Any] = field(default_factory=dict)
    varied: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    integers: int = 0
    """Inputs are integers below this number, where it is not 0."""
    positive: bool = False

    def arguments(self) -> Iterator[dict[str, Any]]:
        """The first of all values, then each other value alone."""
        first = {key: values[0] for key, values in self.varied.items()}
        yield {**self.fixed, **first}
        for key, values in self.varied.items():
            for value in values[1:]:
                yield {**self.fixed, **first, key: value}


ACTIVATIONS = (
    "linear", "relu", "elu", "selu", "softplus", "softsign", "tanh", "sigmoid", "hard_sigmoid",
    "exponential", "swish", "gelu", "mish", "softmax",
)  # fmt: skip
_RNN = {
    "activation": ("tanh", "relu", "hard_sigmoid"),
    "use_bias": (True, False),
    "return_sequences": (False, True),
    "go_backwards": (False, True),
    "unroll": (False, True),
    "dropout": (0.0, 0.3),
    "recurrent_dropout": (0.0, 0.3),
}
_GATES = {"recurrent_activation": ("sigmoid", "hard_sigmoid", "tanh")}
_BIAS = {"use_bias": (True, False)}
_PAD = {"padding": ("valid", "same")}

ENTRIES = (
    Entry("Dense", ((4,),), {"units": 3}, {"activation": ACTIVATIONS, **_BIAS}),
    Entry("Dense", ((5, 4),), {"units": 3}),
    Entry(
        "EinsumDense",
        ((5, 4),),
        {"equation": "abc,cd->abd", "output_shape": (None, 3)},
        {"bias_axes": ("d", None), "activation": (None, "relu")},
    ),
    Entry("Activation", ((4,),), {}, {"activation": ACTIVATIONS}),
    Entry(
        "Embedding",
        ((5,),),
        {"input_dim": 9, "output_dim": 3},
        {"mask_zero": (False, True), "input_length": (None, 5)},
        integers=9,
    ),
    Entry(
        "Conv1D",
        ((9, 4),),
        {"filters": 3, "kernel_size": 3},
        {
            "padding": ("valid", "same", "causal"),
            "strides": (1, 2),
            "dilation_rate": (1, 2),
            "groups": (1,),
            "activation": (None, "relu", "hard_sigmoid"),
            **_BIAS,
        },
    ),
    Entry(
        "Conv2D",
        ((9, 8, 4),),
        {"filters": 4, "kernel_size": (3, 2)},
        {**_PAD, "strides": (1, (2, 3)), "dilation_rate": (1, 2), "groups": (1, 2), **_BIAS},
    ),
    Entry("Conv3D", ((6, 5, 4, 2),), {"filters": 2, "kernel_size": 2}, {**_PAD, "strides": (1, 2)}),
    Entry(
        "Conv1DTranspose",
        ((6, 3),),
        {"filters": 2, "kernel_size": 3},
        {**_PAD, "strides": (1, 2), "output_padding": (None, 0)},
    ),
    Entry(
        "Conv2DTranspose",
        ((5, 6, 3),),
        {"filters": 2, "kernel_size": 3},
        {**_PAD, "strides": (1, 2), "output_padding": (None,), **_BIAS},
    ),
    Entry(
        "Conv3DTranspose",
        ((4, 4, 4, 2),),
        {"filters": 2, "kernel_size": 2},
        {**_PAD, "strides": (1, 2)},
    ),
    Entry(
        "DepthwiseConv1D",
        ((9, 4),),
        {"kernel_size": 3},
        {**_PAD, "depth_multiplier": (1, 2), "strides": (1, 2), **_BIAS},
    ),
    Entry(
        "DepthwiseConv2D",
        ((9, 8, 4),),
        {"kernel_size": 3},
        {
            **_PAD,
            "depth_multiplier": (1, 2),
            "strides": (1, 2),
            "activation": (None, "swish"),
            **_BIAS,
        },
    ),
    Entry(
        "SeparableConv1D",
        ((9, 4),),
        {"filters": 3, "kernel_size": 3},
        {"padding": ("valid", "same"), "depth_multiplier": (1, 2), "strides": (1, 2), **_BIAS},
    ),
    Entry(
        "SeparableConv2D",
        ((9, 8, 4),),
        {"filters": 3, "kernel_size": 3},
        {**_PAD, "depth_multiplier": (1, 2), "strides": (1, 2), "dilation_rate": (1, 2), **_BIAS},
    ),
    Entry(
        "BatchNormalization",
        ((5, 4),),
        {},
        {
            "axis": (-1, 1, [2]),
            "momentum": (0.99, 0.5),
            "epsilon": (1e-3, 1e-5),
            "center": (True, False),
            "scale": (True, False),
        },
    ),
    Entry(
        "LayerNormalization",
        ((5, 4),),
        {},
        {
            "axis": (-1, 1, [1, 2]),
            "epsilon": (1e-3, 1e-5),
            "center": (True, False),
            "scale": (True, False),
        },
    ),
    Entry(
        "GroupNormalization",
        ((5, 6, 4),),
        {"groups": 2},
        {"epsilon": (1e-3,), "center": (True, False)},
    ),
    Entry("UnitNormalization", ((5, 4),), {}, {"axis": (-1, 1)}),
    Entry(
        "LSTM",
        ((5, 4),),
        {"units": 3},
        {**_RNN, **_GATES, "unit_forget_bias": (True, False), "implementation": (2, 1)},
    ),
    Entry(
        "GRU",
        ((5, 4),),
        {"units": 3},
        {**_RNN, **_GATES, "reset_after": (True, False), "implementation": (2, 1)},
    ),
    Entry("SimpleRNN", ((5, 4),), {"units": 3}, _RNN),
    Entry(
        "ConvLSTM1D",
        ((4, 6, 2),),
        {"filters": 2, "kernel_size": 3},
        {
            **_PAD,
            "return_sequences": (False, True),
            "recurrent_activation": ("hard_sigmoid", "sigmoid"),
        },
    ),
    Entry(
        "ConvLSTM2D",
        ((3, 5, 6, 2),),
        {"filters": 2, "kernel_size": 3},
        {
            **_PAD,
            "return_sequences": (False, True),
            "recurrent_activation": ("hard_sigmoid", "sigmoid"),
        },
    ),
    Entry("ConvLSTM3D", ((2, 4, 4, 4, 2),), {"filters": 2, "kernel_size": 2}),
    Entry("MaxPooling1D", ((9, 4),), {}, {"pool_size": (2, 3), "strides": (None, 1), **_PAD}),
    Entry(
        "MaxPooling2D", ((9, 8, 4),), {}, {"pool_size": (2, (3, 2)), "strides": (None, 1), **_PAD}
    ),
    Entry("MaxPooling3D", ((6, 5, 4, 2),), {}, {"pool_size": (2,), "strides": (None, 1), **_PAD}),
    Entry("AveragePooling1D", ((9, 4),), {}, {"pool_size": (2, 3), "strides": (None, 1), **_PAD}),
    Entry(
        "AveragePooling2D",
        ((9, 8, 4),),
        {},
        {"pool_size": (2, (3, 2)), "strides": (None, 1), **_PAD},
    ),
    Entry(
        "AveragePooling3D", ((6, 5, 4, 2),), {}, {"pool_size": (2,), "strides": (None, 1), **_PAD}
    ),
    *(
        Entry(
            f"Global{kind}Pooling{rank}D",
            (((5, 4), (5, 6, 4), (5, 6, 3, 2))[rank - 1],),
            {},
            {"keepdims": (False, True)},
        )
        for kind in ("Max", "Average")
        for rank in (1, 2, 3)
    ),
    Entry("UpSampling1D", ((5, 4),), {}, {"size": (2, 3)}),
    Entry(
        "UpSampling2D",
        ((5, 4, 2),),
        {},
        {
            "size": (2, (2, 3)),
            "interpolation": (
                "nearest",
                "bilinear",
                "bicubic",
                "area",
                "lanczos3",
                "lanczos5",
                "gaussian",
                "mitchellcubic",
            ),
        },
    ),
    Entry("UpSampling3D", ((3, 4, 5, 2),), {}, {"size": (2, (1, 2, 3))}),
    Entry("ZeroPadding1D", ((5, 4),), {}, {"padding": (1, (1, 2))}),
    Entry("ZeroPadding2D", ((5, 4, 2),), {}, {"padding": (1, (1, 2), ((1, 0), (2, 1)))}),
    Entry("ZeroPadding3D", ((5, 4, 3, 2),), {}, {"padding": (1, (1, 2, 1))}),
    Entry("Cropping1D", ((5, 4),), {}, {"cropping": (1, (1, 2))}),
    Entry("Cropping2D", ((5, 4, 2),), {}, {"cropping": (1, ((1, 0), (2, 1)))}),
    Entry("Cropping3D", ((5, 4, 5, 2),), {}, {"cropping": (1, ((1, 0), (2, 1), (0, 1)))}),
    Entry("Flatten", ((5, 4),)),
    Entry("Reshape", ((6, 4),), {}, {"target_shape": ((4, 6), (-1, 3))}),
    Entry("Permute", ((5, 4, 3),), {"dims": (2, 3, 1)}),
    Entry("RepeatVector", ((4,),), {"n": 3}),
    Entry("Masking", ((5, 4),), {}, {"mask_value": (0.0, 1.0)}),
    Entry(
        "ReLU",
        ((4,),),
        {},
        {"max_value": (None, 1.0, 6.0), "negative_slope": (0.0, 0.2), "threshold": (0.0, 0.3)},
    ),
    Entry("LeakyReLU", ((4,),), {}, {"alpha": (0.3, 0.1)}),
    Entry("ELU", ((4,),), {}, {"alpha": (1.0, 0.5)}),
    Entry("ThresholdedReLU", ((4,),), {}, {"theta": (1.0, 0.2)}),
    Entry(
        "PReLU", ((5, 4),), {}, {"shared_axes": (None, [1]), "alpha_initializer": ("zeros", "ones")}
    ),
    Entry("Softmax", ((5, 4),), {}, {"axis": (-1, 1, [1, 2])}),
    *(
        Entry(name, ((4,), (4,)))
        for name in ("Add", "Multiply", "Average", "Maximum", "Minimum", "Subtract")
    ),
    Entry("Concatenate", ((5, 4), (5, 4)), {}, {"axis": (-1, 1)}),
    Entry("Dot", ((5, 4), (5, 4)), {}, {"axes": (2, 1, (1, 1)), "normalize": (False, True)}),
    Entry(
        "Attention",
        ((5, 4), (6, 4)),
        {},
        {"use_scale": (False, True), "score_mode": ("dot", "concat"), "dropout": (0.0, 0.2)},
    ),
    Entry("AdditiveAttention", ((5, 4), (6, 4)), {}, {"use_scale": (True, False)}),
    Entry(
        "MultiHeadAttention",
        ((5, 4), (6, 4)),
        {"num_heads": 2, "key_dim": 3},
        {"value_dim": (None, 2), **_BIAS, "output_shape": (None, 5)},
    ),
    Entry("Dropout", ((4,),), {"rate": 0.5}, {"noise_shape": (None, (None, 4))}),
    Entry("SpatialDropout1D", ((5, 4),), {"rate": 0.5}),
    Entry("SpatialDropout2D", ((5, 4, 3),), {"rate": 0.5}),
    Entry("GaussianNoise", ((4,),), {"stddev": 0.5}),
    Entry("GaussianDropout", ((4,),), {"rate": 0.5}),
    Entry("AlphaDropout", ((4,),), {"rate": 0.5}),
    Entry("ActivityRegularization", ((4,),), {"l1": 0.1}),
    Entry("Rescaling", ((4,),), {"scale": 0.5}, {"offset": (0.0, 1.0)}),
    Entry(
        "Resizing",
        ((5, 6, 3),),
        {"height": 7, "width": 4},
        {
            "interpolation": (
                "bilinear",
                "nearest",
                "bicubic",
                "area",
                "lanczos3",
                "lanczos5",
                "gaussian",
                "mitchellcubic",
            ),
            "crop_to_aspect_ratio": (False, True),
        },
    ),
    Entry("CenterCrop", ((5, 6, 3),), {"height": 3, "width": 4}),
    Entry(
        "CategoryEncoding",
        ((5,),),
        {"num_tokens": 9},
        {"output_mode": ("multi_hot", "count")},
        integers=9,
    ),
    Entry(
        "Normalization",
        ((4,),),
        {},
        {
            "mean": ([0.5, 1.0, 2.0, -1.0],),
            "variance": ([1.0, 4.0, 0.5, 1e-9],),
            "invert": (False, True),
        },
    ),
)
