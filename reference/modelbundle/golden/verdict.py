"""How the outputs of an engine stand to a golden vector, output by output.

judge_vector(vector, {"logits": y}, "float32")["logits"].passed
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbundle.golden import tolerance
from modelbundle.golden.tolerance import PROFILES, Channels, Judgement
from modelbundle.sources.golden import Output, Vector

Array = NDArray[Any]

COARSE = 2.0**-7
"""Relative L2 distance beyond which outputs without channels are not even consistent."""


def judge_vector(
    vector: Vector, outputs: Mapping[str, Array], precision: str
) -> dict[str, Judgement]:
    """One judgement for each output of `vector`; an output that is missing fails."""
    return {
        name: _judge(vector, golden, outputs.get(name), precision)
        for name, golden in vector.outputs.items()
    }


def _judge(vector: Vector, golden: Output, found: Array | None, precision: str) -> Judgement:
    if found is None:
        return Judgement("fail", "the output is missing")
    if not _is_float(found):
        everything = np.ones(golden.array.shape, bool)
        decided = everything if golden.decided is None else golden.decided
        return tolerance.judge_discrete(found, golden.array, decided)
    if vector.exact:
        return tolerance.judge_exact(found, golden.array)
    if not golden.channels:
        return _coarse(tolerance.describe(found, golden.array))
    return _with_channels(found, golden, precision)


def _with_channels(found: Array, golden: Output, precision: str) -> Judgement:
    """The verdict; where it fails, the lower precision that would explain it is named."""
    channels = Channels(dict(golden.channels))
    judged = tolerance.judge(found, golden.array, channels, PROFILES[precision])
    if judged.outcome == "fail" and precision == "float32":
        used = tolerance.explaining(found, golden.array, channels)
        if used is not None:
            reason = f"{judged.reason}; as {used} it would pass: {used} was used for float32"
            return replace(judged, reason=reason, explained_by=used)
    return judged


def _coarse(judged: Judgement) -> Judgement:
    """Without a tolerance only what is plainly another result fails."""
    distance = judged.relative_l2
    if judged.outcome == "unjudged" and distance is not None and not distance <= COARSE:
        return replace(judged, outcome="fail", reason=f"relative L2 distance {distance:.3g}")
    return judged


def _is_float(array: Array) -> bool:
    return array.dtype.kind in "fV" and array.dtype != object
