"""Judging by derived tolerances: the formula, and every way in which a verdict could be wrong."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from modelbundle.golden.tolerance import (
    CHANNELS,
    PROFILES,
    Channels,
    describe,
    explaining,
    judge,
    judge_discrete,
    judge_exact,
    sigma,
)

F32 = PROFILES["float32"]


def channels(shape: tuple[int, ...], **values: float) -> Channels:
    full = dict.fromkeys(CHANNELS, 0.0) | values
    return Channels({name: np.full(shape, value, np.float32) for name, value in full.items()})


def off_by(sigmas: float, count: int = 100) -> Any:
    """Outputs of 1 whose first element is off by so many sigmas of 2^-24."""
    golden = np.ones(count)
    found = golden.copy()
    found[0] += sigmas * 2.0**-24
    return judge(found, golden, channels((count,), st=1), F32)


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ("float32", 2.0**-48 * (4 + 9 + 16)),
        ("tf32", 2.0**-48 * (4 + 9 + 16) + 2.0**-22 * 25),
        ("float16", 2.0**-22 * (4 + 9) + 2.0**-48 * 16 + 2.0**-22 * 36),
        ("bfloat16", 2.0**-16 * (4 + 9) + 2.0**-48 * 16 + 2.0**-16 * 36),
    ],
)
def test_sigma_is_the_sum_of_the_channels(profile: str, expected: float) -> None:
    answer = channels((3,), st=2, ab=3, acc=4, mm=5, wt=6)
    found = sigma(answer, PROFILES[profile], np.ones(3, bool))
    assert found == pytest.approx(np.sqrt(expected), rel=1e-12)


def test_sigma_has_a_floor() -> None:
    answer = Channels({"st": np.array([0.0, 1.0, 1.0, 5.0], np.float32)})
    found = sigma(answer, F32, np.ones(4, bool)) * 2.0**24
    assert found.tolist() == pytest.approx([0.1, 1.0, 1.0, 5.0])


def test_limits() -> None:
    assert off_by(9.9).passed
    assert not off_by(10.1).passed
    golden = np.ones(50)
    assert judge(golden + 2.9 * 2.0**-24, golden, channels((50,), st=1), F32).passed
    assert not judge(golden + 3.1 * 2.0**-24, golden, channels((50,), st=1), F32).passed


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stands_where_it_has_to(bad: float) -> None:
    golden = np.array([1.0, 2.0, 3.0])
    found = np.array([1.0, bad, 3.0], np.float32)
    answer = channels((3,), st=1)
    assert not judge(found, golden, answer, F32).passed
    assert not judge(golden, found.astype(float), answer, F32).passed
    assert judge(found, found.astype(float), answer, F32).passed
    assert not judge(-found, found.astype(float), answer, F32).passed


def test_a_tolerance_that_is_no_number_never_passes() -> None:
    answer = channels((3,), st=float("nan"))
    assert not judge(np.ones(3, np.float32), np.full(3, 1.1), answer, F32).passed
    assert not judge(np.full(3, np.nan), np.ones(3), answer, F32).passed


def test_no_noise_means_equal() -> None:
    answer = channels((2,))
    assert judge(np.ones(2, np.float32), np.ones(2), answer, F32).passed
    assert not judge(np.ones(2, np.float32) + 1e-7, np.ones(2), answer, F32).passed


def test_zeros() -> None:
    golden = np.array([0.0, -0.0, 1e-40, 1.0])
    found = np.array([-0.0, 0.0, 0.0, 1.0], np.float32)
    assert judge(found, golden, channels((4,)), F32).passed
    assert not judge(found, golden + np.array([0, 0, 1e-30, 0]), channels((4,)), F32).passed
    assert judge_exact(found[:2], golden[:2]).passed


def test_other_shapes_fail() -> None:
    one, two = np.ones((2, 1)), np.ones((1, 2))
    judged = [
        judge(one, two, channels((1, 2), st=1), F32),
        describe(one, two),
        judge_exact(one, two),
        judge_discrete(one, two, np.ones((1, 2), bool)),
    ]
    assert {each.outcome for each in judged} == {"fail"}


def test_figures() -> None:
    golden = np.array([[1.0, 3.0], [2.0, 2.0 + 2.0**-22]])
    found = golden.astype(np.float32)
    found[0, 0] += np.float32(2.0**-23)
    judged = judge(found, golden, channels((2, 2), st=1), F32)
    assert judged.max_ulp == pytest.approx(1.0)
    assert judged.max_ratio == pytest.approx(2.0)
    assert judged.rms_ratio == pytest.approx(1.0)
    assert judged.cosine == pytest.approx(1.0)
    assert (judged.top1, judged.decisions) == (1.0, 1)  # the second row has no clear lead
    swapped = judge(found[:, ::-1], golden, channels((2, 2), st=1), F32)
    assert swapped.top1 == 0.0


def test_lower_precision_is_named() -> None:
    golden = np.linspace(1, 2, 100)
    answer = channels((100,), st=1, mm=1, wt=1)
    found = {
        "tf32": golden * (1 + 2.0**-12),
        "float16": golden * (1 + 2 * 2.0**-11),
        "bfloat16": golden * (1 + 2.0**-8),
    }
    for name, outputs in found.items():
        assert not judge(outputs, golden, answer, F32).passed
        assert explaining(outputs, golden, answer) == name
    assert explaining(golden * 2, golden, answer) is None


def test_exact_and_discrete() -> None:
    assert judge_exact(np.float32([1, 2]), np.array([1.0, 2.0])).passed
    assert not judge_exact(np.nextafter(np.float32([1, 2]), 3), np.array([1.0, 2.0])).passed
    golden, decided = np.array([1, 2, 3]), np.array([True, True, False])
    assert judge_discrete(np.array([1, 2, 9]), golden, decided).passed
    assert not judge_discrete(np.array([1, 9, 3]), golden, decided).passed


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_every_float_dtype(dtype: Any) -> None:
    golden = np.array([1.0, -2.0, 0.0, 512.0])
    profile = PROFILES["bfloat16"]
    assert judge(golden.astype(dtype), golden, channels((4,), st=1), profile).passed


def test_nothing_to_judge() -> None:
    assert judge(np.ones((0, 3), np.float32), np.ones((0, 3)), channels((0, 3)), F32).passed
