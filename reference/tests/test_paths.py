"""Paths of files in a bundle: rules PTH-01 to PTH-05."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import pytest
from building import ids
from hypothesis import given, settings
from hypothesis import strategies as st

from modelbundle.core import paths

GOOD = [
    "a",
    "net.keras.members/model.weights.h5",
    "ünïcödé/模型.h5",
    ".hidden/..two",
    "a b/c",
    "a" * 1024,
    "console.txt",
    "com10",
    "nul_",
]


@pytest.mark.parametrize("path", GOOD)
def test_good_paths(path: str) -> None:
    assert list(paths.check_path(path, "here")) == []


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        ("PTH-01", ""),
        ("PTH-01", "/etc/passwd"),
        ("PTH-01", "a//b"),
        ("PTH-01", "a/"),
        ("PTH-01", "."),
        ("PTH-01", "a/./b"),
        ("PTH-01", "../a"),
        ("PTH-01", "a/.."),
        ("PTH-01", "é" * 513),
        ("PTH-01", "a\ud800"),
        ("PTH-02", "a\\b"),
        ("PTH-02", "c:/a"),
        ("PTH-02", "\\\\host\\share"),
        ("PTH-02", "a\0b"),
        ("PTH-02", "a\nb"),
        ("PTH-02", "a\x7f"),
        ("PTH-02", "a\x85"),
        *(("PTH-02", f"a{c}") for c in '*?"<>|'),
        ("PTH-03", "con"),
        ("PTH-03", "a/NUL.txt"),
        ("PTH-03", "Com1.tar.gz"),
        ("PTH-03", "lpt³"),
        ("PTH-03", "aux .c"),
        ("PTH-03", "a./b"),
        ("PTH-03", "a "),
        ("PTH-04", unicodedata.normalize("NFD", "é")),
        ("PTH-04", "\u212b"),  # ANGSTROM SIGN
    ],
)
def test_bad_paths(rule: str, path: str) -> None:
    assert ids(paths.check_path(path, "here")) == [rule]


@pytest.mark.parametrize(
    "together",
    [
        ["a", "A"],
        ["straße", "STRASSE"],
        ["ﬁ", "fi"],
        ["a", "a/b"],
        ["A", "a/b/c"],
        ["a/B", "a/b/c"],
        ["a", "a-b", "a/b"],
        ["Ǆ", "ǆ"],
    ],
)
def test_collisions(together: list[str]) -> None:
    assert ids(paths.check_collisions(together, "files")) == ["PTH-05"]


@pytest.mark.parametrize("together", [["a", "b"], ["a-b", "a/b"], ["a/b", "a/c", "ab"], []])
def test_no_collisions(together: list[str]) -> None:
    assert list(paths.check_collisions(together, "files")) == []


SEGMENTS = st.text(st.sampled_from("aAb-éÉß"), min_size=1, max_size=2)
PATHS = st.lists(st.lists(SEGMENTS, min_size=1, max_size=3).map("/".join), max_size=8, unique=True)


@settings(deadline=None, max_examples=200)
@given(PATHS)
def test_collisions_are_those_of_a_folding_file_system(together: list[str]) -> None:
    folded = [paths.fold(path) for path in together]
    collide = len(set(folded)) < len(folded) or any(
        two.startswith(f"{one}/") for one in folded for two in folded
    )
    assert bool(list(paths.check_collisions(together, "files"))) == collide


@settings(deadline=None, max_examples=200)
@given(PATHS, st.lists(SEGMENTS, min_size=1, max_size=2).map("/".join))
def test_has_below(together: list[str], folder: str) -> None:
    expected = any(path.startswith(f"{folder}/") for path in together)
    assert paths.has_below(sorted(together), folder) == expected


@settings(deadline=None, max_examples=300)
@given(st.text(max_size=20))
def test_any_text_is_judged(path: str) -> None:
    assert len(list(paths.check_path(path, "here"))) <= 1


def test_code_points_order_as_utf8() -> None:
    names = ["a", "\x7f", "\u07ff", "\ud7ff", "\ue000", "\uffff", "\U00010000"]
    assert all(one < two and one.encode() < two.encode() for one, two in pairwise(names))
