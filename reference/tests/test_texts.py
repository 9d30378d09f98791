"""Strings in one buffer and ranges as columns, held against lists, sets and dicts of Python."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelbundle.core import canonical_msgpack, texts
from modelbundle.core.findings import BundleError
from modelbundle.core.ranges import RangeDigests, distinct
from modelbundle.core.texts import Texts

STRINGS = st.lists(st.text(max_size=40) | st.sampled_from(["a", "é", "x" * 300]), max_size=30)


def decoded(strings: list[str]) -> Texts:
    data = canonical_msgpack.encode({"names": strings})
    found = canonical_msgpack.decode(data, "a.msgpack", views=True)["names"]
    assert isinstance(found, Texts) or found == [] == strings
    return found or Texts()


@settings(deadline=None)
@given(STRINGS)
def test_texts_are_the_strings(strings: list[str]) -> None:
    found = decoded(strings)
    assert list(found) == strings == [found[at] for at in range(len(found))]
    assert found[1:-1] == strings[1:-1]
    assert found.lengths().tolist() == [len(text.encode()) for text in strings]
    assert found.repeats() == (len(set(strings)) < len(strings))
    ascending = found.ascending_up_to()
    assert sorted(set(strings[:ascending])) == strings[:ascending]
    assert ascending == len(strings) or strings[ascending] <= strings[ascending - 1]


@settings(deadline=None)
@given(STRINGS, st.integers(1, 5))
def test_blocks_hold_the_strings_and_nothing_else(strings: list[str], size: int) -> None:
    found = decoded(strings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(texts, "_BLOCK", size)
        blocks = [" ".join(block.decode().split()) for block in found.blocks()]
    parts = [strings[at : at + size] for at in range(0, len(strings), size)]
    assert blocks == [" ".join(" ".join(part).split()) for part in parts]


@pytest.mark.parametrize("views", [False, True])
def test_a_character_split_between_two_strings_is_refused(views: bool) -> None:
    whole = canonical_msgpack.encode({"names": ["é"]})
    split = whole[:-3] + b"\xa1\xc3\xa1\xa9"
    data = split.replace(b"\x91", b"\x92")
    with pytest.raises(BundleError) as caught:
        canonical_msgpack.decode(data, "a.msgpack", views=views)
    assert [finding.rule for finding in caught.value.findings] == ["MSG-04"]


def test_views_are_not_copies() -> None:
    data = canonical_msgpack.encode({"a": bytes(100), "b": ["x", 1], "c": []})
    found = canonical_msgpack.decode(data, "a.msgpack", views=True)
    assert isinstance(found["a"], memoryview)
    assert found["a"].obj is data
    assert (found["b"], found["c"]) == (["x", 1], [])


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4), st.integers(0, 2)), max_size=20))
def test_ranges_and_their_digests(rows: list[tuple[int, int, int]]) -> None:
    file, offset, length = (
        np.array([row[at] for row in rows], dtype) for at, dtype in enumerate(("<u4", "<u8", "<u8"))
    )
    ranges = distinct(file, offset, length)
    expected = sorted({row for row in rows if row[2]})
    found = list(zip(ranges.file.tolist(), ranges.spans(slice(0, len(ranges))), strict=True))
    assert [(code, *span) for code, span in found] == expected
    digests = RangeDigests(ranges, ["a", "b", "c"])
    for code, path in enumerate(["a", "b", "c", "d"]):
        spans = list(digests.spans(path))
        assert spans == [row[1:] for row in expected if row[0] == code]
        if path != "d":
            digests.note(path, b"".join(sha256(f"{code} {s}".encode()).digest() for s in spans))
    stated = [sha256(f"{row[0]} {row[1:]}".encode() if row[2] else b"").digest() for row in rows]
    assert digests.column() == b"".join(stated)
    assert not list(digests.differing(b"".join(stated)))
    other = [bytes(32), *stated[1:]][: len(rows)]
    expected_rows = [(0, stated[0])] if rows else []
    assert list(digests.differing(b"".join(other))) == expected_rows
