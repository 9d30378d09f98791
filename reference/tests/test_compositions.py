"""Compositions: round trips and rules CMP-01 to CMP-05."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from building import ids, rules_of
from hypothesis import given, settings
from hypothesis import strategies as st

from modelbundle.core import canonical_msgpack, compositions, data_model
from modelbundle.core.compositions import Compositions, Segment
from modelbundle.core.findings import BundleError
from modelbundle.core.tensor_index import U4, U8

STORED = {"a.bin": 100, "b.bin": 1 << 50}


def small() -> Compositions:
    return compositions.from_segments(
        {"x.bin": [("a.bin", 0, 10), ("b.bin", 5, 20)], "y.bin": [("a.bin", 50, 50)]}
    )


def check(value: Compositions | dict[str, Any], composed: dict[str, int] | None = None) -> set[str]:
    """The rules broken, decoded from bytes and held against the bundle's files."""
    data = (
        canonical_msgpack.encode(value) if isinstance(value, dict) else compositions.encode(value)
    )

    def run() -> None:
        decoded = compositions.decode(data)
        sizes = {"x.bin": 30, "y.bin": 50} if composed is None else composed
        found = list(compositions.check_against(decoded, STORED, sizes))
        if found:
            raise BundleError(found)

    return set(rules_of(run))


def test_round_trip() -> None:
    data = compositions.encode(small())
    decoded = compositions.decode(data)
    assert compositions.encode(decoded) == data
    assert decoded.segments_of("x.bin") == [("a.bin", 0, 10), ("b.bin", 5, 20)]
    assert decoded.segments_of("y.bin") == [("a.bin", 50, 50)]
    assert decoded.sizes() == [30, 50]
    assert check(decoded) == set()
    assert data_model.compositions_model(decoded)["segments"] == [2, 1]
    with pytest.raises(KeyError):
        decoded.segments_of("z.bin")


SEGMENTS = st.lists(
    st.tuples(st.sampled_from(sorted(STORED)), st.integers(0, 80), st.integers(0, 20)), max_size=8
)


@settings(deadline=None, max_examples=150)
@given(st.dictionaries(st.sampled_from("uvwx"), SEGMENTS, max_size=3))
def test_joining_keeps_the_bytes(composed: dict[str, list[Segment]]) -> None:
    composed = {path: parts for path, parts in composed.items() if sum(p[2] for p in parts)}
    made = compositions.from_segments(composed)
    assert (
        check(made, {path: sum(p[2] for p in parts) for path, parts in composed.items()}) == set()
    )
    for path, parts in composed.items():

        def spell(parts: list[Segment]) -> list[tuple[str, int]]:
            return [(name, at + i) for name, at, length in parts for i in range(length)]

        assert spell(made.segments_of(path)) == spell(parts)


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("CMP-01", {"files": ["y.bin", "x.bin"]}),
        ("CMP-01", {"files": ["x.bin", "x.bin"]}),
        ("CMP-01", {"sources": ["a.bin", "b.bin", "c.bin"]}),
        ("CMP-01", {"source": np.array([0, 2, 0], U4)}),
        ("CMP-01", {"source": np.array([0, 1], U4)}),
        ("CMP-01", {"segments": np.array([2, 2], U4)}),
        ("CMP-01", {"segments": np.array([2**32 - 1, 2**32 - 1], U4)}),
        ("CMP-02", {"files": ["x.bin", "z.bin"]}),
        ("CMP-03", {"sources": ["a.bin", "x.bin"]}),
        ("CMP-04", {"offset": np.array([91, 5, 50], U8)}),
        ("CMP-04", {"offset": np.array([2**64 - 1, 5, 50], U8)}),
        ("CMP-05", {"length": np.array([10, 20, 49], U8)}),
        ("CMP-05", {"length": np.array([0, 30, 50], U8)}),
        ("CMP-05", {"segments": np.array([3, 0], U4)}),
    ],
)
def test_single_faults(rule: str, changes: dict[str, Any]) -> None:
    assert check(replace(small(), **changes)) == {rule}


def test_sums_do_not_overflow() -> None:
    count = 1 << 12
    many = Compositions(
        ["x.bin"],
        ["b.bin"],
        np.array([count], U4),
        np.zeros(count, U4),
        np.zeros(count, U8),
        np.full(count, 1 << 52, U8),
    )
    found = ids(compositions.check_against(many, {"b.bin": 1 << 53}, {"x.bin": 0}))
    assert found == ["CMP-05"]


def test_segments_that_continue_are_joined() -> None:
    apart = replace(
        small(),
        segments=np.array([2, 1], U4),
        source=np.array([0, 0, 1], U4),
        offset=np.array([0, 10, 7], U8),
        length=np.array([10, 20, 50], U8),
    )
    assert check(apart) == {"CMP-05"}
    # The last segment of one file and the first of the next are no neighbours.
    across = compositions.from_segments({"x.bin": [("a.bin", 0, 30)], "y.bin": [("a.bin", 30, 50)]})
    assert check(across) == set()


@pytest.mark.parametrize("name", ["files", "sources", "segments", "source", "offset", "length"])
@pytest.mark.parametrize("wrong", [5, "x", [5], [], b"", b"abc", {}])
def test_wrong_members(name: str, wrong: Any) -> None:
    value = canonical_msgpack.decode(compositions.encode(small()), "compositions")
    found = check({**value, name: wrong})
    assert found
    assert found <= {"CMP-01", "CMP-02"}


def test_unknown_members_are_for_newer_versions() -> None:
    value = canonical_msgpack.decode(compositions.encode(small()), "compositions")
    value["zebra"] = 1
    assert check(value) == {"CMP-01"}
    assert compositions.decode(canonical_msgpack.encode(value), newer=True).files
