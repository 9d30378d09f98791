"""Whether an output equals the golden one, to the last justified digit (spec: Golden vectors).

The tolerance of an element follows from how it answers to rounding: `Channels` hold that answer
per unit roundoff, a `Profile` says which roundings an engine is allowed, `sigma` is their sum, and
`judge` compares. A NaN never passes: every test is written so that it fails on one.

    judge(y, y64, channels, PROFILES["float32"]).passed
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Real = NDArray[np.float64]

CHANNELS = ("st", "ab", "acc", "mm", "wt")
"""What noise stands for: rounding of results; approximated functions; accumulators; operands of
contractions; stored weights and inputs."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Roundings that an engine may make, each the square of a unit roundoff.

    `results` weighs st² and ab², `accumulator` acc², `operands` mm², `storage` wt².
    """

    name: str
    results: float
    accumulator: float
    operands: float = 0.0
    storage: float = 0.0


_U16, _UB16, _U32, _U64 = 2.0**-11, 2.0**-8, 2.0**-24, 2.0**-53
"""Unit roundoffs of float16 (and tf32), bfloat16, float32 and float64 (IEEE 754-2019, 2^-p)."""

PROFILES = {
    profile.name: profile
    for profile in (
        Profile("float64", _U64**2, _U64**2),
        Profile("float32", _U32**2, _U32**2),
        Profile("tf32", _U32**2, _U32**2, operands=_U16**2),
        Profile("float16", _U16**2, _U32**2, storage=_U16**2),
        Profile("bfloat16", _UB16**2, _U32**2, storage=_UB16**2),
    )
}
"""Precision profiles; accumulators of all but float64 are those of float32."""


@dataclass(frozen=True, slots=True)
class Constants:
    """Held by the calibration study (`conformance/calibration/RESULTS.md`): 278 clean float32 runs
    of 31 models on 9 engine settings reach 3.2 and 1.0, larger models on other settings reached
    9.5 and 2.2; the least of 23 kinds of fault, 91 and 46."""

    max_ratio: float = 10.0
    rms_ratio: float = 3.0
    floor: float = 0.1
    """Least sigma of an element, as a part of the median over the output."""
    margin: float = 20.0
    """Sigmas between the first and the second that make a top-1 decision count."""


CONSTANTS = Constants()


@dataclass(frozen=True, slots=True)
class Channels:
    """Root-mean-square response of each output element per unit roundoff, by channel.

    Each has the shape of the output; one that is absent is zero.
    """

    values: dict[str, Array] = field(default_factory=dict)

    def squared(self, name: str) -> Real | float:
        """The square of a channel."""
        values = self.values.get(name)
        return 0.0 if values is None else np.square(values.astype(np.float64))


def sigma(channels: Channels, profile: Profile, finite: NDArray[np.bool_]) -> Real:
    """Standard deviation of each element under `profile`; shape of `finite`.

    `finite` marks elements that count for the median, of which no sigma is less than a tenth.
    """
    variance = (
        profile.results * (channels.squared("st") + channels.squared("ab"))
        + profile.accumulator * channels.squared("acc")
        + profile.operands * channels.squared("mm")
        + profile.storage * channels.squared("wt")
    )
    values: Real = np.broadcast_to(np.sqrt(variance), finite.shape).astype(np.float64)
    median = float(np.median(values[finite])) if finite.any() else 0.0
    return np.maximum(values, CONSTANTS.floor * median)


Outcome = Literal["pass", "fail", "unjudged"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What comparing one output found. Figures that make no sense here are None.

    `outcome` is decided by `reason`, `max_ratio` and `rms_ratio` only; all else is for people.
    `top1` is the share of decisions with a margin that agree, `decisions` their number.
    """

    outcome: Outcome
    reason: str = ""
    max_ratio: float | None = None
    rms_ratio: float | None = None
    max_ulp: float | None = None
    relative_l2: float | None = None
    cosine: float | None = None
    top1: float | None = None
    decisions: int = 0
    explained_by: str | None = None
    """A lower precision under which a failed output would pass."""

    @property
    def passed(self) -> bool:
        """Whether the output is justified."""
        return self.outcome == "pass"


def judge(found: Array, golden: Array, channels: Channels, profile: Profile) -> Judgement:
    """Hold the float output `found` of an engine against `golden` (float64, of the same shape).

    Masks of NaN and of either infinity come first, then the ratios over what is finite in both.
    Minus zero equals zero, and zero is accepted for a golden value that is subnormal in the dtype
    of `found`, since engines flush them. Never raises on the values of arrays.
    """
    if found.shape != golden.shape:
        return Judgement("fail", f"shape {list(found.shape)} for {list(golden.shape)}")
    wide, golden = found.astype(np.float64), golden.astype(np.float64)
    if reason := _different_masks(wide, golden):
        return Judgement("fail", reason)
    finite = np.isfinite(golden)
    error = np.abs(wide[finite] - golden[finite])
    error[_flushed(found[finite], golden[finite])] = 0.0
    deviation = sigma(channels, profile, finite)
    ratios = _ratios(error, deviation[finite])
    largest, mean = float(ratios.max(initial=0.0)), _rms(ratios)
    passed = largest <= CONSTANTS.max_ratio and mean <= CONSTANTS.rms_ratio
    reason = "" if passed else f"max ratio {largest:.3g}, RMS ratio {mean:.3g}"
    agreement, decisions = _top1(wide, golden, deviation)
    return Judgement(
        "pass" if passed else "fail",
        reason,
        largest,
        mean,
        _max_ulp(found[finite], golden[finite]),
        *_similarity(wide[finite], golden[finite]),
        agreement,
        decisions,
    )


def describe(found: Array, golden: Array) -> Judgement:
    """Figures without a tolerance, for vectors that have no channels: fails on masks only."""
    if found.shape != golden.shape:
        return Judgement("fail", f"shape {list(found.shape)} for {list(golden.shape)}")
    wide, golden = found.astype(np.float64), golden.astype(np.float64)
    if reason := _different_masks(wide, golden):
        return Judgement("fail", reason)
    finite = np.isfinite(golden)
    agreement, decisions = _top1(wide, golden, np.zeros(golden.shape))
    return Judgement(
        "unjudged",
        "no channels: consistency only",
        None,
        None,
        _max_ulp(found[finite], golden[finite]),
        *_similarity(wide[finite], golden[finite]),
        agreement,
        decisions,
    )


def judge_exact(found: Array, golden: Array) -> Judgement:
    """Hold an output against one that every engine has to give to 0 ULP."""
    if found.shape != golden.shape:
        return Judgement("fail", f"shape {list(found.shape)} for {list(golden.shape)}")
    wide, golden = found.astype(np.float64), golden.astype(np.float64)
    if reason := _different_masks(wide, golden):
        return Judgement("fail", reason)
    finite = np.isfinite(golden)
    ulp = _max_ulp(found[finite], golden[finite])
    equal = bool(np.array_equal(wide[finite], golden[finite]))
    figures = _similarity(wide[finite], golden[finite])
    reason = "" if equal else f"{ulp or 0:.3g} ULP where 0 are due"
    return Judgement("pass" if equal else "fail", reason, None, None, ulp, *figures)


def judge_discrete(found: Array, golden: Array, decided: NDArray[np.bool_]) -> Judgement:
    """Hold integers, booleans or strings against golden ones: equal wherever `decided`.

    An element is decided where noise never changed it. `top1` is the agreement over all.
    """
    if found.shape != golden.shape:
        return Judgement("fail", f"shape {list(found.shape)} for {list(golden.shape)}")
    equal = np.asarray(found == golden)
    wrong = int(np.count_nonzero(~equal & decided))
    share = float(equal.mean()) if equal.size else 1.0
    reason = f"{wrong} of {int(decided.sum())} decided elements differ" if wrong else ""
    count = int(decided.sum())
    return Judgement("fail" if wrong else "pass", reason, top1=share, decisions=count)


def explaining(found: Array, golden: Array, channels: Channels) -> str | None:
    """The first lower precision under which `found` would pass: what was used in its place."""
    for name in ("tf32", "float16", "bfloat16"):
        if judge(found, golden, channels, PROFILES[name]).passed:
            return name
    return None


def _different_masks(found: Real, golden: Real) -> str:
    masks = {
        "NaN": (np.isnan(found), np.isnan(golden)),
        "+Inf": (np.isposinf(found), np.isposinf(golden)),
        "-Inf": (np.isneginf(found), np.isneginf(golden)),
    }
    for name, (one, two) in masks.items():
        if wrong := int(np.count_nonzero(one != two)):
            return f"{name} differs in {wrong} elements"
    return ""


def _flushed(found: Array, golden: Real) -> NDArray[np.bool_]:
    """Where `found` is zero for a golden value below the least normal number of its dtype."""
    tiny = float(_finfo(found.dtype).tiny)
    return np.asarray((found == 0) & (np.abs(golden) < tiny))


def _finfo(dtype: np.dtype[Any]) -> Any:
    import ml_dtypes

    limits: Any = np if dtype.kind == "f" else ml_dtypes
    return limits.finfo(dtype)


def _ratios(error: Real, deviation: Real) -> Real:
    """Error in sigmas: 0 for no error, infinite for one where none is justified."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where(error == 0, 0.0, error / deviation)


def _rms(ratios: Real) -> float:
    with np.errstate(over="ignore"):
        return float(np.sqrt(np.mean(np.square(ratios)))) if ratios.size else 0.0


def _max_ulp(found: Array, golden: Real) -> float | None:
    """Largest distance in units in the last place that `found`'s dtype has at the golden value."""
    if not found.size:
        return None
    info = _finfo(found.dtype)
    with np.errstate(over="ignore"):
        exponent = np.frexp(np.maximum(np.abs(golden), float(info.tiny)))[1] - 1
        unit = np.ldexp(float(info.eps), exponent)
        return float((np.abs(found.astype(np.float64) - golden) / unit).max())


def _similarity(found: Real, golden: Real) -> tuple[float | None, float | None]:
    """Relative L2 distance and cosine."""
    scale = max(float(np.abs(golden).max(initial=0.0)), float(np.abs(found).max(initial=0.0)))
    if scale == 0:
        return (0.0, None) if golden.size else (None, None)
    one, two = found.ravel() / scale, golden.ravel() / scale
    norms = float(np.linalg.norm(one)), float(np.linalg.norm(two))
    relative = float(np.linalg.norm(one - two)) / norms[1] if norms[1] else None
    return relative, float(one @ two) / (norms[0] * norms[1]) if all(norms) else None


def _top1(found: Real, golden: Real, deviation: Real) -> tuple[float | None, int]:
    """Share of rows (last axis) whose largest element is the same, where its lead is clear."""
    if golden.ndim < 2 or golden.shape[-1] < 2 or not golden.size or np.isnan(golden).any():
        return None, 0
    order = np.argsort(golden, axis=-1)[..., -2:]
    lead = np.take_along_axis(golden, order, -1)
    doubt = np.take_along_axis(deviation, order, -1).max(axis=-1)
    with np.errstate(invalid="ignore"):
        clear = np.asarray(lead[..., 1] - lead[..., 0] > CONSTANTS.margin * doubt)
    count = int(clear.sum())
    if not count:
        return None, 0
    same = found.argmax(axis=-1) == order[..., 1]
    return float(same[clear].mean()), count
