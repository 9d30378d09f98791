"""Arrays from and to files of numpy: `.npz` with one array a name, `.npy` with one.

read_inputs(["x.npz", "mask=mask.npy"])
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbundle.storage.writing import staging

_Arrays = dict[str, NDArray[Any]]


def read_inputs(given: Iterable[str]) -> _Arrays:
    """Arrays by name from `FILE.npz` and `NAME=FILE.npy`.

    Nothing is unpickled. Raises `ValueError` for what is neither, or a name that is given twice.
    """
    found: _Arrays = {}
    for text in given:
        name, equals, file = text.partition("=")
        arrays = {name: _load(file)} if equals and not Path(text).is_file() else _load(text)
        if not isinstance(arrays, dict):
            raise ValueError(f"{text}: one array without a name; give NAME={text}")
        if double := sorted(found.keys() & arrays.keys()):
            raise ValueError(f"{text}: the input {double[0]} is given twice")
        found |= arrays
    return found


def _load(file: str) -> Any:
    """The array of a `.npy` file, or those of an `.npz` file by name."""
    try:
        loaded = np.load(file, allow_pickle=False)
        return dict(loaded) if hasattr(loaded, "files") else loaded
    except (ValueError, EOFError):  # numpy's own words propose to unpickle the file
        raise ValueError(f"{file}: no .npz or .npy file with numbers or texts") from None


def write_outputs(arrays: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Write `arrays` to an `.npz` file, strings as bytes of one width.

    Raises `FileExistsError` where something is there.
    """
    if os.path.lexists(path):
        raise FileExistsError(f"{path} exists already: choose another name")
    plain = {name: _plain(array) for name, array in arrays.items()}
    with staging(path, directory=False) as temporary:
        with temporary.open("wb") as file:
            np.savez(file, **plain)  # type: ignore[arg-type]
        temporary.replace(path)


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    """The array in a dtype of numpy's own: strings at one width, others as their bits."""
    if array.dtype == object:
        return array.astype("S")
    if array.dtype.type.__module__ != "numpy":
        return array.view(f"u{array.dtype.itemsize}")
    return array
