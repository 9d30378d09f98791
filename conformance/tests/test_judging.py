"""The evaluator of the runner and that of the reference: two readings of section 18.3 agree."""

import struct
from typing import Any

import numpy as np
import pytest

from modelbundle.golden import tolerance
from modelbundle_conformance.golden import CHANNELS, Array, vectors
from modelbundle_conformance.judging import PROFILES, judge

DTYPES = {"float16": np.float16, "float32": np.float32, "float64": np.float64}
EDGES = [0.0, -0.0, 1e-40, -1e-310, 6e-8, 1.0, 65504.0, float("inf"), float("-inf"), float("nan")]


def as_array(values: Any, channels: Any = None, decided: bytes | None = None) -> Array:
    values = np.asarray(values)
    columns = {name: tuple(map(float, column)) for name, column in (channels or {}).items()}
    return Array("y", values.dtype.name, values.shape, values.tobytes(), columns, decided)


def drawn(seed: int) -> tuple[Any, Any, dict[str, Any]]:
    """An output, a golden one and channels, with values at the edges among them."""
    random = np.random.Generator(np.random.PCG64(seed))
    golden = random.normal(size=24)
    golden[:10] = EDGES if seed % 3 else golden[:10]
    channels = {name: random.exponential(size=24).astype(np.float32) for name in CHANNELS}
    channels["st"][:4] = 0
    dtype = list(DTYPES.values())[seed % 3]
    scale = 2.0 ** random.integers(-56, -4)
    with np.errstate(over="ignore", invalid="ignore"):
        found = (golden * (1 + scale * random.normal(size=24))).astype(dtype)
        found[:10] = golden[:10].astype(dtype) if seed % 2 else found[:10]
    return found, golden, channels


def test_both_evaluators_agree() -> None:
    outcomes = set()
    for seed in range(400):
        found, golden, channels = drawn(seed)
        for precision in PROFILES:
            mine = judge(as_array(found), as_array(golden, channels), precision, exact=False)
            theirs = tolerance.judge(
                found, golden, tolerance.Channels(channels), tolerance.PROFILES[precision]
            )
            assert (mine.outcome, seed) == (theirs.outcome, seed)
            outcomes.add(mine.outcome)
            if mine.max_ratio is not None:
                assert mine.max_ratio == pytest.approx(theirs.max_ratio, rel=1e-9)
                assert mine.rms_ratio == pytest.approx(theirs.rms_ratio, rel=1e-9)
    assert outcomes == {"pass", "fail"}


def test_what_explains_a_failure_is_named() -> None:
    channels = {name: np.ones(4, np.float32) for name in CHANNELS}
    found = np.full(4, 1 + 2.0**-11, np.float32)
    judged = judge(as_array(found), as_array(np.ones(4), channels), "float32", exact=False)
    assert judged.outcome == "fail" and "tf32 was used for float32" in judged.reason


@pytest.mark.parametrize(
    ("found", "golden", "exact", "outcome"),
    [
        (np.float32([1, -0.0]), np.float64([1, 0]), True, "pass"),
        (np.float32([1, 2 + 2.0**-22]), np.float64([1, 2]), True, "fail"),
        (np.float32([1, 2]), np.float64([1, 2]), False, "fail"),
        (np.float32([[1, 2]]), np.float64([1, 2]), True, "fail"),
        (np.int32([1, 2]), np.float64([1, 2]), True, "fail"),
        (np.int64([1, 2]), np.int64([1, 2]), False, "pass"),
        (np.int64([1, 3]), np.int64([1, 2]), False, "fail"),
        (np.int32([1, 2]), np.int64([1, 2]), False, "fail"),
    ],
)  # fmt: skip
def test_without_channels(found: Any, golden: Any, exact: bool, outcome: str) -> None:
    assert judge(as_array(found), as_array(golden), "float32", exact=exact).outcome == outcome


def test_undecided_elements_are_free() -> None:
    golden = as_array(np.int64([1, 2]), decided=b"\1\0")
    assert judge(as_array(np.int64([1, 9])), golden, "float32", exact=False).outcome == "pass"
    assert judge(as_array(np.int64([9, 2])), golden, "float32", exact=False).outcome == "fail"


def test_bfloat16_outputs() -> None:
    channels = {name: np.ones(1, np.float32) for name in CHANNELS}
    found = Array("y", "bfloat16", (1,), struct.pack("<f", 1.5)[2:], {})
    golden = as_array(np.float64([1.5]), channels)
    assert judge(found, golden, "bfloat16", exact=False).max_ratio == 0


def test_what_is_no_golden_file() -> None:
    with pytest.raises(ValueError, match="no golden vectors"):
        vectors(b"\x80")
