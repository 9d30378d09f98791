"""Numbers of tensors, chunk by chunk: their range and mean, and how far two tensors are apart.

A few chunks are in memory at a time, however large a tensor is. Bytes are held against the digest
of the index as they pass. All is computed in float64 (complex128 for complex numbers).

    norms((a, a.tensors["dense/kernel"].row), (b, b.tensors["dense/kernel"].row)).relative
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbundle.bundle import Bundle, check_tensor
from modelbundle.core import digests, dtypes
from modelbundle.core.findings import settle
from modelbundle.core.tensor_index import Row
from modelbundle.storage.scan import Progress

CHUNK_ELEMENTS = 1 << 18
"""Elements that are looked at at a time."""

_Raw = NDArray[np.generic]
_Located = tuple[Bundle, Row]


@dataclass(frozen=True, slots=True)
class Norms:
    """How far tensor b is from tensor a.

    `difference` is ‖a - b‖₂ and `reference` ‖a‖₂; `relative` is their quotient, None where a is
    zero. `differing` counts elements whose bytes differ, or, between two dtypes, whose values do.
    NaN where one of a and b has a NaN and the other has not.
    """

    difference: float
    reference: float
    relative: float | None
    max_abs: float
    differing: int
    elements: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """Least, greatest and mean of the finite elements, and how many are not finite."""

    min: float
    max: float
    mean: float
    non_finite: int


def is_numeric(dtype: str) -> bool:
    """Whether elements of `dtype` are numbers that numpy can be given one by one."""
    return dtype in dtypes.BITS and not dtype.endswith("_packed")


def chunks(bundle: Bundle, row: Row) -> Iterator[_Raw]:
    """The elements of a numeric tensor, flat; raises `BundleError` (TEN-10) at the end."""
    dtype = dtypes.to_numpy(row.dtype)
    blob = bundle.storage.blob(row.file)
    seen = hashlib.sha256()
    step = CHUNK_ELEMENTS * dtype.itemsize
    for start in range(0, row.length, step):
        data = blob.read(row.offset + start, min(step, row.length - start))
        seen.update(data)
        yield np.frombuffer(data, dtype)
    settle(check_tensor(row, digests.of_raw(seen.digest())))


def statistics(bundle: Bundle, row: Row) -> Statistics | None:
    """Statistics of a tensor of real numbers; None where it is empty or has no finite element."""
    if not is_numeric(row.dtype) or row.dtype.startswith("complex"):
        return None
    least, greatest, total, finite = math.inf, -math.inf, 0.0, 0
    for chunk in chunks(bundle, row):
        values = chunk.astype(np.float64)
        values = values[np.isfinite(values)]
        if values.size:
            least, greatest = min(least, float(values.min())), max(greatest, float(values.max()))
            total += float(np.add.reduce(values))
            finite += values.size
    if not finite:
        return None
    return Statistics(least, greatest, total / finite, prod(row.shape) - finite)


def norms(a: _Located, b: _Located, progress: Progress | None = None) -> Norms | None:
    """The norms of two tensors; None unless both are numeric and of one shape.

    `progress` is called with bytes done, of both tensors. Raises `BundleError` (TEN-10).
    """
    if a[1].shape != b[1].shape or not (is_numeric(a[1].dtype) and is_numeric(b[1].dtype)):
        return None
    squares, reference, greatest, differing = 0.0, 0.0, 0.0, 0
    with np.errstate(all="ignore"):
        for one, two in zip(chunks(*a), chunks(*b), strict=True):
            left, delta = _delta(one, two)
            squares += float(np.square(delta).sum())
            reference += float(np.square(np.abs(left)).sum())
            greatest = float(np.maximum(greatest, delta.max()))
            differing += _count_differing(one, two, delta)
            if progress:
                progress(one.nbytes + two.nbytes)
    difference, whole = math.sqrt(squares), math.sqrt(reference)
    relative = difference / whole if whole else None
    return Norms(difference, whole, relative, greatest, differing, prod(a[1].shape))


def _delta(one: _Raw, two: _Raw) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """`one` in float64 or complex128, and |one - two|: zero where both are the same, NaN too."""
    wide: Any = np.complex128 if "c" in (one.dtype.kind, two.dtype.kind) else np.float64
    left, right = one.astype(wide), two.astype(wide)
    same = (left == right) | ((left != left) & (right != right))  # noqa: PLR0124
    return left, np.where(same, 0.0, np.abs(left - right))


def _count_differing(one: _Raw, two: _Raw, delta: NDArray[np.float64]) -> int:
    if one.dtype != two.dtype:
        return int((delta != 0).sum())
    width = one.dtype.itemsize
    left, right = (each.view(np.uint8).reshape(-1, width) for each in (one, two))
    return int((left != right).any(axis=1).sum())
