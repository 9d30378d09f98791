"""Columns of codes and the tables that they point into.

uses_all(np.array([1, 0, 1]), 2)      # True
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def uses_all(codes: NDArray[Any], entries: int) -> bool:
    """Whether `codes` are those of a table of `entries` entries, each of them used.

    Counts instead of `numpy.unique`, which loads masked arrays: 8 ms on first use.
    """
    if codes.size and int(codes.max()) >= entries:
        return False
    return bool(np.bincount(codes, minlength=entries).all()) if entries else codes.size == 0
