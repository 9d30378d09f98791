"""Weights that older layers kept in another arrangement, brought into that of Keras 3.

A layout belongs to the object that has the variables: a convolution, or the cell of a recurrent
layer. It says which old variables it reads and makes the new ones from their arrays.

    layout = LAYOUTS["cudnn_lstm"]
    layout.make({"kernel": k, "recurrent_kernel": r, "bias": b})["bias"]     # shape (4 * units,)

Sources: `tf_keras/src/saving/legacy/hdf5_format.py` (`preprocess_weights_for_loading`,
`_convert_rnn_weights`) and the same function of Keras 2.0 to 2.3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Arrays = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Layout:
    """Old variables by name to new ones by name."""

    reads: tuple[str, ...]
    make: Callable[[Arrays], dict[str, Array]]


def _per_gate(matrix: Array, gates: int, change: Callable[[Array], Array]) -> Array:
    """`matrix` (rows, gates * units) with each gate's block changed."""
    return np.concatenate([change(block) for block in np.split(matrix, gates, axis=1)], axis=1)


def _from_cudnn(kernel: Array) -> Array:
    """cuDNN keeps the transposed matrix, row by row, in the shape of the matrix."""
    return kernel.T.reshape(kernel.shape, order="F")


def _cudnn_lstm(old: Arrays) -> dict[str, Array]:
    """cuDNN adds two biases (of input and of state); one is their sum."""
    return {
        "kernel": _per_gate(old["kernel"], 4, _from_cudnn),
        "recurrent_kernel": _per_gate(old["recurrent_kernel"], 4, np.transpose),
        "bias": old["bias"].reshape(2, -1).sum(axis=0, dtype=old["bias"].dtype),
    }


def _cudnn_gru(old: Arrays) -> dict[str, Array]:
    """A GRU with `reset_after` has both biases, in two rows."""
    return {
        "kernel": _per_gate(old["kernel"], 3, _from_cudnn),
        "recurrent_kernel": _per_gate(old["recurrent_kernel"], 3, np.transpose),
        "bias": old["bias"].reshape(2, -1),
    }


def _joined_gates(gates: str) -> Layout:
    """Keras 1 has arrays for each gate: `W_i`, `U_i`, `b_i`; Keras 2 has them side by side."""
    new = {"kernel": "W", "recurrent_kernel": "U", "bias": "b"}

    def make(old: Arrays) -> dict[str, Array]:
        return {
            name: np.concatenate([old[f"{letter}_{gate}"] for gate in gates], axis=-1)
            for name, letter in new.items()
        }

    return Layout(tuple(f"{letter}_{gate}" for gate in gates for letter in new.values()), make)


def _keras1_conv1d(old: Arrays) -> dict[str, Array]:
    """(length, 1, inputs, filters), or (filters, inputs, length, 1) in the oldest files."""
    kernel = old["W"]
    if kernel.ndim == 4:
        filters = old["b"].shape[0] if "b" in old else kernel.shape[3]
        is_oldest = kernel.shape[1] != 1 or kernel.shape[3] != filters
        kernel = (kernel.transpose(2, 3, 1, 0) if is_oldest else kernel)[:, 0]
    return _with_bias(old, kernel)


def _channels_first(old: Arrays) -> dict[str, Array]:
    """(filters, inputs, rows, columns) to (rows, columns, inputs, filters)."""
    kernel = old["W"]
    return _with_bias(old, kernel.transpose(*range(2, kernel.ndim), 1, 0))


def _channels_last(old: Arrays) -> dict[str, Array]:
    return _with_bias(old, old["W"])


def _transposed_first(old: Arrays) -> dict[str, Array]:
    """(inputs, filters, rows, columns) to (rows, columns, filters, inputs)."""
    return _with_bias(old, old["W"].transpose(2, 3, 0, 1))


def _transposed_last(old: Arrays) -> dict[str, Array]:
    """(rows, columns, inputs, filters) to (rows, columns, filters, inputs)."""
    return _with_bias(old, old["W"].transpose(0, 1, 3, 2))


def _with_bias(old: Arrays, kernel: Array) -> dict[str, Array]:
    return {"kernel": kernel, **({"bias": old["b"]} if "b" in old else {})}


_CUDNN = ("kernel", "recurrent_kernel", "bias")
_CONV = ("W", "b")

LAYOUTS: Mapping[str, Layout] = {
    "cudnn_lstm": Layout(_CUDNN, _cudnn_lstm),
    "cudnn_gru": Layout(_CUDNN, _cudnn_gru),
    "keras1_lstm": _joined_gates("ifco"),
    "keras1_gru": _joined_gates("zrh"),
    "keras1_conv1d": Layout(_CONV, _keras1_conv1d),
    "keras1_conv": Layout(_CONV, _channels_last),
    "keras1_conv_channels_first": Layout(_CONV, _channels_first),
    "keras1_conv_transpose": Layout(_CONV, _transposed_last),
    "keras1_conv_transpose_channels_first": Layout(_CONV, _transposed_first),
}
"""By the name that a row of `table.json` has."""

CONVOLUTIONS = frozenset({"Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "ConvLSTMCell"})


def flipped(name: str, array: Array) -> Array:
    """A kernel of Theano, which convolves, for a backend that correlates: space is reversed."""
    if not name.endswith("kernel"):
        return array
    space = tuple(range(array.ndim - 2))
    return np.flip(array, space)
