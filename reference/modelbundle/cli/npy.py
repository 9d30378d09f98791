"""A tensor as a `.npy` file.

    write_npy(tensor, Path("kernel.npy")).dtype      # "<f4"

numpy has no bfloat16, float8 or int4 of its own, and would write them as raw bytes that it cannot
compute with; they are written as unsigned integers of the same width, which `view` gives back.
Strings are written as fixed-width bytes, which is only done where nothing is lost.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modelbundle.bundle import Tensor
from modelbundle.core import dtypes
from modelbundle.storage.writing import staging

MAX_PADDED_BYTES = 1 << 27
"""Bytes that strings may take at a fixed width."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: the file, its numpy dtype and shape, and how to get the elements back."""

    path: str
    dtype: str
    shape: tuple[int, ...]
    note: str | None


def write_npy(tensor: Tensor, path: Path) -> Written:
    """Write `tensor` to `path`.

    Raises `FileExistsError` where something is there, `ValueError` for strings that numpy cannot
    hold at a fixed width, and as `Tensor.data` does.
    """
    array, note = as_plain(tensor)
    if os.path.lexists(path):
        raise FileExistsError(f"{path} exists already: choose another name")
    with staging(path, directory=False) as temporary:
        with temporary.open("wb") as file:
            np.lib.format.write_array(file, array, allow_pickle=False)
        temporary.replace(path)
    return Written(str(path), array.dtype.str, array.shape, note)


def as_plain(tensor: Tensor) -> tuple[NDArray[np.generic], str | None]:
    """The tensor in a dtype of numpy's own, and how to get its elements back where they differ."""
    array = tensor.numpy()
    if tensor.dtype == dtypes.STRING:
        return _fixed_width(array), "strings as bytes of one width"
    if tensor.dtype.endswith("_packed"):
        return array, f"packed bytes of {tensor.dtype}{list(tensor.shape)}, as they are stored"
    if array.dtype.type.__module__ == "numpy":
        return array, None
    plain = array.view(f"u{array.dtype.itemsize}")
    return plain, f"bits of {tensor.dtype}: .view(ml_dtypes.{tensor.dtype}) gives the elements"


def _fixed_width(array: NDArray[np.generic]) -> NDArray[np.generic]:
    elements: list[bytes] = array.ravel().tolist()
    width = max(map(len, elements), default=0)
    if any(element.endswith(b"\0") for element in elements):
        raise ValueError("strings that end in NUL cannot be written: numpy would drop their ends")
    if width * len(elements) > MAX_PADDED_BYTES:
        raise ValueError(f"{len(elements)} strings of {width} bytes are too many for a fixed width")
    return np.array(elements, dtype=f"S{max(width, 1)}").reshape(array.shape)
