"""Built-in layers with arguments and inputs, for Keras 3 and for tf_keras alike.

`LAYERS` maps a label to (class name, arguments, input shapes without the batch dimension). An
argument that is itself a layer is written `("Dense", {...})`; `"list"` before the shapes means that
the layer takes its inputs as one list. `build(library, label)` gives the layer, called
once where it has inputs.
"""

from __future__ import annotations

from typing import Any

Row = tuple[str, dict[str, Any], tuple[Any, ...]]

_SEQUENCE = ((6, 4),)
_IMAGE = ((8, 8, 3),)
_VOLUME = ((6, 6, 6, 2),)
_DENSE = ("Dense", {"units": 3})
_CELLS = [("LSTMCell", {"units": 3}), ("GRUCell", {"units": 2})]
_SMALL = {"filters": 2, "kernel_size": 2}

LAYERS: dict[str, Row] = {
    "dense": ("Dense", {"units": 3}, ((4,),)),
    "dense_no_bias": ("Dense", {"units": 3, "use_bias": False, "activation": "relu"}, ((4,),)),
    "dense_regularized": (
        "Dense",
        {"units": 3, "kernel_regularizer": "l2", "kernel_constraint": "max_norm"},
        ((4,),),
    ),
    "einsum_dense": (
        "EinsumDense",
        {"equation": "abc,cd->abd", "output_shape": (None, 5), "bias_axes": "d"},
        _SEQUENCE,
    ),
    "einsum_dense_no_bias": (
        "EinsumDense",
        {"equation": "ab,bc->ac", "output_shape": 5},
        ((4,),),
    ),
    "embedding": ("Embedding", {"input_dim": 9, "output_dim": 2}, ((3,),)),
    "reversible_embedding": ("ReversibleEmbedding", {"input_dim": 9, "output_dim": 2}, ((3,),)),
    "reversible_embedding_untied": (
        "ReversibleEmbedding",
        {"input_dim": 9, "output_dim": 2, "tie_weights": False},
        ((3,),),
    ),
    "conv1d": ("Conv1D", _SMALL, _SEQUENCE),
    "conv2d": ("Conv2D", _SMALL, _IMAGE),
    "conv2d_no_bias": ("Conv2D", {**_SMALL, "use_bias": False}, _IMAGE),
    "conv3d": ("Conv3D", _SMALL, _VOLUME),
    "conv1d_transpose": ("Conv1DTranspose", _SMALL, _SEQUENCE),
    "conv2d_transpose": ("Conv2DTranspose", _SMALL, _IMAGE),
    "conv3d_transpose": ("Conv3DTranspose", _SMALL, _VOLUME),
    "depthwise_conv1d": ("DepthwiseConv1D", {"kernel_size": 2}, _SEQUENCE),
    "depthwise_conv2d": ("DepthwiseConv2D", {"kernel_size": 2}, _IMAGE),
    "depthwise_conv2d_no_bias": (
        "DepthwiseConv2D",
        {"kernel_size": 2, "use_bias": False},
        _IMAGE,
    ),
    "separable_conv1d": ("SeparableConv1D", _SMALL, _SEQUENCE),
    "separable_conv2d": ("SeparableConv2D", _SMALL, _IMAGE),
    "separable_conv2d_no_bias": ("SeparableConv2D", {**_SMALL, "use_bias": False}, _IMAGE),
    "conv_lstm1d": ("ConvLSTM1D", _SMALL, ((3, 6, 4),)),
    "conv_lstm2d": ("ConvLSTM2D", _SMALL, ((3, 6, 6, 2),)),
    "conv_lstm3d": ("ConvLSTM3D", _SMALL, ((2, 4, 4, 4, 2),)),
    "batch_normalization": ("BatchNormalization", {}, ((4,),)),
    "batch_normalization_no_scale": ("BatchNormalization", {"scale": False}, ((4,),)),
    "batch_normalization_no_center": ("BatchNormalization", {"center": False}, ((4,),)),
    "layer_normalization": ("LayerNormalization", {}, ((4,),)),
    "layer_normalization_no_center": ("LayerNormalization", {"center": False}, ((4,),)),
    "layer_normalization_bare": ("LayerNormalization", {"center": False, "scale": False}, ((4,),)),
    "rms_normalization": ("RMSNormalization", {}, ((4,),)),
    "group_normalization": ("GroupNormalization", {"groups": 2}, _SEQUENCE),
    "group_normalization_no_scale": (
        "GroupNormalization",
        {"groups": 2, "scale": False},
        _SEQUENCE,
    ),
    "unit_normalization": ("UnitNormalization", {}, ((4,),)),
    "normalization_given": ("Normalization", {"mean": 1.0, "variance": 2.0}, ((4,),)),
    "normalization": ("Normalization", {}, ((4,),)),
    "spectral_normalization": ("SpectralNormalization", {"layer": _DENSE}, ((4,),)),
    "simple_rnn": ("SimpleRNN", {"units": 3}, _SEQUENCE),
    "lstm": ("LSTM", {"units": 3}, _SEQUENCE),
    "lstm_dropout": ("LSTM", {"units": 3, "dropout": 0.1, "recurrent_dropout": 0.1}, _SEQUENCE),
    "lstm_no_bias": ("LSTM", {"units": 3, "use_bias": False}, _SEQUENCE),
    "gru": ("GRU", {"units": 3}, _SEQUENCE),
    "gru_dropout": ("GRU", {"units": 3, "dropout": 0.1}, _SEQUENCE),
    "rnn_cell": ("RNN", {"cell": ("LSTMCell", {"units": 3})}, _SEQUENCE),
    "rnn_simple_cell": ("RNN", {"cell": ("SimpleRNNCell", {"units": 3})}, _SEQUENCE),
    "rnn_stacked": (
        "RNN",
        {"cell": ("StackedRNNCells", {"cells": _CELLS})},
        _SEQUENCE,
    ),
    "bidirectional": ("Bidirectional", {"layer": ("LSTM", {"units": 3})}, _SEQUENCE),
    "bidirectional_two": (
        "Bidirectional",
        {
            "layer": ("GRU", {"units": 3, "return_sequences": True}),
            "backward_layer": (
                "GRU",
                {"units": 3, "return_sequences": True, "go_backwards": True},
            ),
        },
        _SEQUENCE,
    ),
    "time_distributed": ("TimeDistributed", {"layer": ("Dense", {"units": 3})}, _SEQUENCE),
    "multi_head_attention": ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3}, _SEQUENCE * 2),
    "multi_head_attention_no_bias": (
        "MultiHeadAttention",
        {"num_heads": 2, "key_dim": 3, "use_bias": False, "dropout": 0.1},
        _SEQUENCE * 2,
    ),
    "group_query_attention": (
        "GroupQueryAttention",
        {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2},
        _SEQUENCE * 2,
    ),
    "attention": ("Attention", {"use_scale": True}, ("list", *_SEQUENCE, *_SEQUENCE)),
    "attention_concat": (
        "Attention",
        {"score_mode": "concat"},
        ("list", *_SEQUENCE, *_SEQUENCE),
    ),
    "additive_attention": ("AdditiveAttention", {}, ("list", *_SEQUENCE, *_SEQUENCE)),
    "prelu": ("PReLU", {}, ((4,),)),
    "relu": ("ReLU", {"max_value": 6.0}, ((4,),)),
    "leaky_relu": ("LeakyReLU", {}, ((4,),)),
    "elu": ("ELU", {}, ((4,),)),
    "softmax": ("Softmax", {}, ((4,),)),
    "activation": ("Activation", {"activation": "tanh"}, ((4,),)),
    "dropout": ("Dropout", {"rate": 0.5}, ((4,),)),
    "dropout_seeded": ("Dropout", {"rate": 0.5, "seed": 7}, ((4,),)),
    "alpha_dropout": ("AlphaDropout", {"rate": 0.5}, ((4,),)),
    "spatial_dropout1d": ("SpatialDropout1D", {"rate": 0.5}, _SEQUENCE),
    "spatial_dropout2d": ("SpatialDropout2D", {"rate": 0.5}, _IMAGE),
    "spatial_dropout3d": ("SpatialDropout3D", {"rate": 0.5}, _VOLUME),
    "gaussian_dropout": ("GaussianDropout", {"rate": 0.5}, ((4,),)),
    "gaussian_noise": ("GaussianNoise", {"stddev": 0.5}, ((4,),)),
    "activity_regularization": ("ActivityRegularization", {"l1": 0.1}, ((4,),)),
    "masking": ("Masking", {}, _SEQUENCE),
    "flatten": ("Flatten", {}, _SEQUENCE),
    "reshape": ("Reshape", {"target_shape": (4, 6)}, _SEQUENCE),
    "permute": ("Permute", {"dims": (2, 1)}, _SEQUENCE),
    "repeat_vector": ("RepeatVector", {"n": 2}, ((4,),)),
    "identity": ("Identity", {}, ((4,),)),
    "cropping1d": ("Cropping1D", {}, _SEQUENCE),
    "cropping2d": ("Cropping2D", {"cropping": 1}, _IMAGE),
    "cropping3d": ("Cropping3D", {}, _VOLUME),
    "up_sampling1d": ("UpSampling1D", {}, _SEQUENCE),
    "up_sampling2d": ("UpSampling2D", {}, _IMAGE),
    "up_sampling3d": ("UpSampling3D", {}, _VOLUME),
    "zero_padding1d": ("ZeroPadding1D", {}, _SEQUENCE),
    "zero_padding2d": ("ZeroPadding2D", {}, _IMAGE),
    "zero_padding3d": ("ZeroPadding3D", {}, _VOLUME),
    **{
        f"{kind}_pooling{rank}d": (f"{kind.title()}Pooling{rank}D", {"pool_size": 2}, shapes)
        for kind in ("max", "average")
        for rank, shapes in ((1, _SEQUENCE), (2, _IMAGE), (3, _VOLUME))
    },
    **{
        f"global_{kind}_pooling{rank}d": (f"Global{kind.title()}Pooling{rank}D", {}, shapes)
        for kind in ("max", "average")
        for rank, shapes in ((1, _SEQUENCE), (2, _IMAGE), (3, _VOLUME))
    },
    **{
        f"adaptive_{kind}_pooling{rank}d": (
            f"Adaptive{kind.title()}Pooling{rank}D",
            {"output_size": 2},
            shapes,
        )
        for kind in ("max", "average")
        for rank, shapes in ((1, _SEQUENCE), (2, _IMAGE), (3, _VOLUME))
    },
    **{
        name.lower(): (name, {}, ("list", (4,), (4,)))
        for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate")
    },
    "dot": ("Dot", {"axes": 1}, ("list", (4,), (4,))),
    "rescaling": ("Rescaling", {"scale": 0.5}, _IMAGE),
    "resizing": ("Resizing", {"height": 4, "width": 4}, _IMAGE),
    "center_crop": ("CenterCrop", {"height": 4, "width": 4}, _IMAGE),
    "category_encoding": ("CategoryEncoding", {"num_tokens": 4}, ((4,),)),
    "discretization": ("Discretization", {"bin_boundaries": [0.0, 1.0]}, ((4,),)),
    "hashing": ("Hashing", {"num_bins": 3}, ()),
    "hashed_crossing": ("HashedCrossing", {"num_bins": 3}, ()),
    "string_lookup": ("StringLookup", {"vocabulary": ["a", "b"]}, ()),
    "integer_lookup": ("IntegerLookup", {"vocabulary": [1, 2]}, ()),
    "text_vectorization": ("TextVectorization", {"vocabulary": ["a", "b"]}, ()),
    "random_flip": ("RandomFlip", {}, _IMAGE),
    "random_rotation": ("RandomRotation", {"factor": 0.1}, _IMAGE),
    "random_zoom": ("RandomZoom", {"height_factor": 0.1}, _IMAGE),
    "random_translation": (
        "RandomTranslation",
        {"height_factor": 0.1, "width_factor": 0.1},
        _IMAGE,
    ),
    "random_contrast": ("RandomContrast", {"factor": 0.1}, _IMAGE),
    "random_brightness": ("RandomBrightness", {"factor": 0.1}, _IMAGE),
    "random_crop": ("RandomCrop", {"height": 4, "width": 4}, _IMAGE),
    "random_width": ("RandomWidth", {"factor": 0.1}, ()),
    "random_erasing": ("RandomErasing", {}, _IMAGE),
    "random_hue": ("RandomHue", {"factor": 0.1}, _IMAGE),
    "rand_augment": ("RandAugment", {"value_range": (0, 255)}, ()),
    "mix_up": ("MixUp", {}, ()),
    "mel_spectrogram": ("MelSpectrogram", {"fft_length": 16, "sequence_stride": 4}, ((64,),)),
}  # fmt: skip


def make(library: Any, class_name: str, arguments: dict[str, Any]) -> Any:
    """An uncalled layer of `library`; raises AttributeError where it has no such class."""
    return getattr(library.layers, class_name)(
        **{k: _value(library, v) for k, v in arguments.items()}
    )


def _value(library: Any, value: Any) -> Any:
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], dict):
        return make(library, *value)
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        return [_value(library, item) for item in value]
    return value


def build(library: Any, label: str) -> Any:
    """The layer of `label`, called on symbolic inputs where it has any."""
    class_name, arguments, shapes = LAYERS[label]
    layer = make(library, class_name, arguments)
    call(library, layer, shapes)
    return layer


def call(library: Any, layer: Any, shapes: tuple[Any, ...]) -> tuple[list[Any], Any]:
    """The symbolic inputs of `shapes` and what `layer` gives for them."""
    if not shapes:
        return [], None
    as_list = shapes[0] == "list"
    inputs = [library.Input(shape) for shape in shapes[as_list:]]
    return inputs, layer(inputs) if as_list else layer(*inputs)


def names(library: Any) -> list[str]:
    """The labels that `library` has working classes for."""
    return [
        label
        for label, (class_name, *_) in LAYERS.items()
        if hasattr(library.layers, class_name)
        and (library.__name__, class_name)
        != ("tf_keras", "SpectralNormalization")  # needs tf.keras
    ]
