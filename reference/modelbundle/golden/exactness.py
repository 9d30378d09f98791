"""Whether float32 computes a program without rounding anywhere, in any order of adding.

True of linear, ReLU and pooling graphs whose weights and inputs are small multiples of a power of
two. A value is exact if it is a multiple of a quantum 2^q and at most 2^24 quanta; a sum is exact
in any order if the absolute values of its terms together are.

    visitor = Exactness()
    evaluate(program, arguments, visitor)
    visitor.exact, visitor.reason
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbundle.golden.noise import CONTRACTIONS, EXACT, TERMS
from modelbundle.golden.trace import Value, Visitor

QUANTA = 2.0**24
"""Multiples of one quantum that float32 holds."""

_ELEMENTWISE = frozenset({"add", "sub", "mul", "add_any", "square"})


class Exactness(Visitor):
    """Notes the first operation that float32 could round; `exact` until then."""

    def __init__(self) -> None:
        self.reason = ""

    @property
    def exact(self) -> bool:
        """Whether no operation could round."""
        return not self.reason

    def results(
        self, name: str, operands: list[Value], params: Mapping[str, Any], results: list[Value]
    ) -> list[Value]:
        """Judge one operation; what it gave is not changed."""
        if self.exact and any(getattr(y, "dtype", np.dtype(int)).kind in "fc" for y in results):
            self.reason = self._fault(name, operands, params, results)
        return results

    def _fault(
        self, name: str, operands: list[Value], params: Mapping[str, Any], results: list[Value]
    ) -> str:
        if name in EXACT or (name in _ELEMENTWISE and _held(np.asarray(results[0]))):
            return ""
        if name == "div":
            divisor = np.asarray(operands[1])
            powers = bool((np.frexp(np.abs(divisor))[0] == 0.5).all())
            return "" if powers and _held(np.asarray(results[0])) else "div by no power of two"
        if name in TERMS and name != "fft":
            return "" if _sums_exactly(name, operands, params) else f"{name} can round"
        return f"{name} can round"


def quantum(values: NDArray[Any]) -> float:
    """The largest power of two that all `values` are multiples of; infinite for zeros only."""
    mantissa, exponent = np.frexp(values[values != 0])
    if not mantissa.size:
        return float(np.inf)
    whole = np.abs(mantissa * 2.0**53).astype(np.int64)
    lowest = np.frexp((whole & -whole).astype(np.float64))[1] - 1
    return float(np.ldexp(1.0, int((exponent - 53 + lowest).min())))


def _held(values: NDArray[Any]) -> bool:
    """Whether float32 holds every value."""
    with np.errstate(over="ignore"):
        return bool(np.array_equal(values.astype(np.float32).astype(np.float64), values))


def _sums_exactly(name: str, operands: list[Value], params: Mapping[str, Any]) -> bool:
    """Whether all partial sums are at most 2^24 multiples of the product of the quanta."""
    given = {key: value for key, value in params.items() if key != "_bind"}
    summed = operands[:2] if name in CONTRACTIONS else [x for x in operands if x.dtype.kind == "f"]
    sizes = [abs(x) if any(x is y for y in summed) else x for x in operands]
    bound = float(np.max(np.asarray(params["_bind"](*sizes, **given)), initial=0.0))
    quanta = [quantum(np.asarray(x)) for x in summed]
    unit = float(np.prod(quanta)) if name in CONTRACTIONS else min(quanta)
    return np.isfinite(bound) and bound <= QUANTA * unit
