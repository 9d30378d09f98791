"""Whether an output of an engine is what a golden vector says, by the steps of section 18.3.

Written from the text of the standard, apart from the reference: two evaluators of one definition.

    judge(found, golden, "float32", exact=False)      # Judgement("pass", "", 0.8, 0.2)
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from modelbundle_conformance.golden import CHANNELS, Array

PROFILES = {
    "float32": (2.0**-24, 2.0**-24, 0.0, 0.0),
    "tf32": (2.0**-24, 2.0**-24, 2.0**-11, 0.0),
    "float16": (2.0**-11, 2.0**-24, 0.0, 2.0**-11),
    "bfloat16": (2.0**-8, 2.0**-24, 0.0, 2.0**-8),
    "float64": (2.0**-53, 2.0**-53, 0.0, 0.0),
}
"""a, b, m and w by precision profile, whose squares are in section 18.3."""
MAX_RATIO, RMS_RATIO, FLOOR = 10.0, 3.0, 0.1
LEAST_NORMAL = {
    "float16": 2.0**-14, "bfloat16": 2.0**-126, "float32": 2.0**-126, "float64": 2.0**-1022,
}  # fmt: skip
"""The float dtypes of outputs, and the least normal number of each."""
EXPLAINING = ("tf32", "float16", "bfloat16")
_CODES = {"float16": "e", "float32": "f", "float64": "d"}


@dataclass(frozen=True)
class Judgement:
    """`pass` or `fail`, why, and the two ratios where there are some."""

    outcome: str
    reason: str = ""
    max_ratio: float | None = None
    rms_ratio: float | None = None


def judge(found: Array, golden: Array, precision: str, *, exact: bool) -> Judgement:
    """Hold `found` against `golden`. A golden output without channels passes nothing (GLD-10)."""
    if found.shape != golden.shape:
        return Judgement("fail", f"shape {list(found.shape)} instead of {list(golden.shape)}")
    if golden.dtype != "float64":
        return _discrete(found, golden)
    if found.dtype not in LEAST_NORMAL:
        return Judgement("fail", f"{found.dtype} for a float")
    pair = _Pair.of(found, golden)
    if pair is None:
        return Judgement("fail", "NaN or infinity at other places")
    return _exact(pair) if exact else _by_ratios(pair, golden, precision)


@dataclass(frozen=True)
class _Pair:
    """An output and the golden one, where both are finite, and the dtype of the first."""

    dtype: str
    y: Sequence[float]
    g: Sequence[float]
    places: Sequence[int]

    @classmethod
    def of(cls, found: Array, golden: Array) -> _Pair | None:
        """None where NaN or an infinity stand at other places (step 1)."""
        y, g = floats(found.data, found.dtype), floats(golden.data, golden.dtype)
        places = _finite(y, g)
        return None if places is None else cls(found.dtype, y, g, places)


def _exact(pair: _Pair) -> Judgement:
    wrong = sum(pair.y[at] != pair.g[at] for at in pair.places)
    reason = f"{wrong} elements differ of an exact vector" if wrong else ""
    return Judgement("fail" if wrong else "pass", reason)


def floats(data: bytes, dtype: str) -> tuple[float, ...]:
    """The elements of a float array."""
    if dtype == "bfloat16":
        widened = b"".join(b"\0\0" + data[at : at + 2] for at in range(0, len(data), 2))
        return struct.unpack(f"<{len(data) // 2}f", widened)
    code = _CODES[dtype]
    return struct.unpack(f"<{len(data) // struct.calcsize(code)}{code}", data)


def _discrete(found: Array, golden: Array) -> Judgement:
    """Integers, booleans, strings: all decided elements are equal."""
    if found.dtype != golden.dtype:
        return Judgement("fail", f"{found.dtype} instead of {golden.dtype}")
    decided = golden.decided
    if decided is None or golden.dtype == "string":
        same = found.data == golden.data
        return Judgement("pass") if same else Judgement("fail", "other elements")
    width = len(golden.data) // max(len(decided), 1)
    spans = [slice(at * width, (at + 1) * width) for at, sure in enumerate(decided) if sure]
    wrong = sum(found.data[span] != golden.data[span] for span in spans)
    return Judgement("fail", f"{wrong} decided elements differ") if wrong else Judgement("pass")


def _finite(y: Sequence[float], g: Sequence[float]) -> list[int] | None:
    """Step 1: places of the finite elements; None where NaN or an infinity stand elsewhere."""
    kinds = [[_kind(value) for value in values] for values in (y, g)]
    return [at for at, kind in enumerate(kinds[1]) if kind == 0] if kinds[0] == kinds[1] else None


def _kind(value: float) -> int:
    return 2 if math.isnan(value) else 0 if math.isfinite(value) else 1 if value > 0 else -1


def _by_ratios(pair: _Pair, golden: Array, precision: str) -> Judgement:
    """Steps 2 to 4; what fails as float32 is told with the precision that would explain it."""
    if not golden.channels:
        return Judgement("fail", "the vector has no channels: it can pass nothing")
    largest, mean = _ratios(pair, sigmas(golden, pair.places, precision))
    if largest <= MAX_RATIO and mean <= RMS_RATIO:
        return Judgement("pass", "", largest, mean)
    reason = f"{largest:.3g} sigma at most, {mean:.3g} sigma root mean square"
    for other in EXPLAINING if precision == "float32" else ():
        most, usual = _ratios(pair, sigmas(golden, pair.places, other))
        if most <= MAX_RATIO and usual <= RMS_RATIO:
            reason += f"; as {other} it would pass: {other} was used for float32"
            break
    return Judgement("fail", reason, largest, mean)


def sigmas(golden: Array, places: Sequence[int], precision: str) -> list[float]:
    """Step 2: the sigma of the elements at `places`, at least a tenth of their median."""
    zeros = (0.0,) * (1 + max(places, default=0))
    st, ab, acc, mm, wt = (golden.channels.get(name, zeros) for name in CHANNELS)
    a, b, m, w = PROFILES[precision]
    plain = [math.hypot(a * st[i], a * ab[i], b * acc[i], m * mm[i], w * wt[i]) for i in places]
    least = FLOOR * median(plain) if plain else 0.0
    return [max(sigma, least) for sigma in plain]


def _ratios(pair: _Pair, deviations: Sequence[float]) -> tuple[float, float]:
    """Step 3: the largest ratio, and their root mean square."""
    tiny = LEAST_NORMAL[pair.dtype]
    places = zip(pair.places, deviations, strict=True)
    ratios = [_ratio(pair.y[at], pair.g[at], tiny, sigma) for at, sigma in places]
    mean = math.sqrt(math.fsum(r * r for r in ratios) / len(ratios)) if ratios else 0.0
    return max(ratios, default=0.0), mean


def _ratio(y: float, g: float, tiny: float, sigma: float) -> float:
    if y == g or (y == 0 and abs(g) < tiny):
        return 0.0
    return abs(y - g) / sigma if sigma else math.inf
