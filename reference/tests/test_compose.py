"""Which files are stored and which composed (WRT-05), and that all come back byte for byte."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

import pytest
from building import artifact, random_bytes, rules_of
from hypothesis import given, settings
from hypothesis import strategies as st

from modelbundle.core.blobs import BytesBlob
from modelbundle.packing.compose import MIN_SHARED_BYTES, Plan, compose
from modelbundle.sources.artifact import ArtifactFile, Part
from modelbundle.storage.scan import Range

Ranges = Mapping[str, Sequence[Range]]
A, B, C = (random_bytes(size, seed) for seed, size in enumerate((1000, 500, 300)))


def plan_of(
    files: Mapping[str, bytes], ranges: Ranges, parts: Mapping[str, tuple[Part, ...]] | None = None
) -> Plan:
    """The plan, after checking that it gives back every file and every range."""
    made = [
        ArtifactFile(path, BytesBlob(data), "x/y", "source", (parts or {}).get(path, ()))
        for path, data in files.items()
    ]
    plan = compose(made, ranges)
    stored = {path: blob.read(0, blob.size) for path, blob in plan.stored.items()}
    for path, data in files.items():
        if path in plan.composed:
            pieces = [stored[p][at : at + length] for p, at, length in plan.composed[path]]
            assert b"".join(pieces) == data
        else:
            assert stored[path] == data
        for offset, length in ranges.get(path, ()):
            where, start = plan.locate(path, offset, length)
            assert stored[where][start : start + length] == data[offset : offset + length]
    return plan


def test_nothing_shared_is_stored_as_it_is() -> None:
    plan = plan_of({"a": A, "b": B}, {"a": [(0, 1000)], "b": [(0, 500)]})
    assert set(plan.stored) == {"a", "b"}
    assert not plan.composed


def test_duplicates_across_files() -> None:
    files = {"big": b"x" + A + B, "small": b"y" + A + b"z"}
    plan = plan_of(files, {"big": [(1, 1000), (1001, 500)], "small": [(1, 1000)]})
    assert set(plan.stored) == {"big", "residue.bin"}
    assert plan.composed["small"] == [
        ("residue.bin", 0, 1),
        ("big", 1, 1000),
        ("residue.bin", 1, 1),
    ]


def test_duplicates_inside_one_file() -> None:
    plan = plan_of({"a": A + A + B}, {"a": [(0, 1000), (1000, 1000), (2000, 500)]})
    assert set(plan.stored) == {"residue.bin"}
    assert plan.stored["residue.bin"].size == 1024 + 500
    assert plan.composed["a"] == [
        ("residue.bin", 0, 1000),
        ("residue.bin", 0, 1000),
        ("residue.bin", 1024, 500),
    ]


def test_whole_files_that_are_equal() -> None:
    plan = plan_of({"a": A, "b": A, "c": A}, {})
    assert set(plan.stored) == {"a"}
    assert plan.composed == {"b": [("a", 0, 1000)], "c": [("a", 0, 1000)]}


def test_equal_files_that_are_composed() -> None:
    twice = A + b"-" + A
    ranges = [(0, 1000), (1001, 1000)]
    plan = plan_of({"a": twice, "b": twice}, {"a": ranges, "b": ranges})
    assert plan.composed["a"] == plan.composed["b"]
    assert plan.stored["residue.bin"].size == 1001


def test_short_ranges_are_not_shared() -> None:
    short = A[: MIN_SHARED_BYTES - 1]
    plan = plan_of({"a": short + B, "b": short}, {"a": [(0, 255)], "b": [(0, 255)]})
    assert not plan.composed


def test_the_most_tensor_bytes_are_stored_in_place() -> None:
    files = {"a": A, "b": A + B, "c": A + B + C}
    ranges = {"a": [(0, 1000)], "b": [(0, 1000)], "c": [(0, 1000), (1000, 500)]}
    plan = plan_of(files, ranges)
    assert set(plan.stored) == {"c", "residue.bin"}
    equal = plan_of({"long": A + b"more", "short": A}, {"long": [(0, 1000)], "short": [(0, 1000)]})
    assert "short" in equal.stored
    by_path = plan_of({"q": A + b"1", "p": A + b"2"}, {"q": [(0, 1000)], "p": [(0, 1000)]})
    assert "p" in by_path.stored


def test_a_tensor_stored_twice_counts_once() -> None:
    files = {"twice": A + A, "more": A + B}
    ranges = {"twice": [(0, 1000), (1000, 1000)], "more": [(0, 1000), (1000, 500)]}
    assert set(plan_of(files, ranges).stored) == {"more"}


def test_parts() -> None:
    files = {"zip": b"<" + A + b"|" + B + b">", "zip.d/a": A, "zip.d/b": B}
    parts = {"zip": (Part(1002, "zip.d/b"), Part(1, "zip.d/a"))}
    plan = plan_of(files, {"zip.d/a": [(10, 600)]}, parts)
    assert set(plan.stored) == {"zip.d/a", "zip.d/b", "residue.bin"}
    assert plan.stored["residue.bin"].read(0, 3) == b"<|>"


def test_parts_that_are_composed_themselves() -> None:
    files = {"zip": b"<" + A + b">", "zip.d/a": A, "net": b"!" + A + B}
    parts = {"zip": (Part(1, "zip.d/a"),)}
    plan = plan_of(files, {"zip.d/a": [(0, 1000)], "net": [(1, 1000)]}, parts)
    assert plan.composed["zip"][1] == ("zip.d/a", 0, 1000)
    files["net"] = b"!" + A
    more = {"zip.d/a": [(0, 1000)], "net": [(1, 1000)], "big": [(0, 1000), (1000, 500)]}
    plan = plan_of(files | {"big": A + B}, more, parts)
    assert plan.composed["zip"][1] == ("big", 0, 1000)


def test_residue_is_aligned_for_tensors_only() -> None:
    files = {"big": A + B, "small": b"head" + C + b"tail" + A}
    ranges = {"big": [(0, 1000), (1000, 500)], "small": [(4, 300), (308, 1000)]}
    plan = plan_of(files, ranges)
    assert plan.locate("small", 4, 300) == ("residue.bin", 64)
    assert plan.composed["small"] == [
        ("residue.bin", 0, 4),
        ("residue.bin", 64, 304),
        ("big", 0, 1000),
    ]


def test_overlapping_ranges_are_refused() -> None:
    files = {"a": A + C, "b": A + B + C}
    ranges = {"a": [(0, 1000), (900, 300)], "b": [(0, 1000), (1000, 500)]}
    assert rules_of(lambda: plan_of(files, ranges)) == ["TEN-09"]


def test_an_artifact_with_a_part_that_it_lacks() -> None:
    broken = artifact({"a": A}, parts={"a": (Part(0, "b"),)})
    with pytest.raises(AssertionError, match="no file of the artifact"):
        compose(broken.files, {})


CHUNKS = [random_bytes(size, seed) for seed, size in enumerate((256, 256, 300, 700, 64, 10))]
FILES = st.lists(
    st.lists(st.tuples(st.integers(0, 5), st.binary(max_size=9)), max_size=6),
    min_size=1,
    max_size=4,
)


@settings(deadline=None, max_examples=150)
@given(FILES, st.integers(0, 1000))
def test_shared_ranges_come_back(contents: list[list[tuple[int, bytes]]], order: int) -> None:
    files: dict[str, bytes] = {}
    ranges: dict[str, list[Range]] = {}
    for number, pieces in enumerate(contents):
        data, spans = b"", []
        for chunk, glue in pieces:
            spans.append((len(data), len(CHUNKS[chunk])))
            data += CHUNKS[chunk] + glue
        files[f"f{number}"], ranges[f"f{number}"] = data, spans
    plan = plan_of(files, ranges)
    shuffled = list(files)
    Random(order).shuffle(shuffled)
    again = plan_of({path: files[path] for path in shuffled}, ranges)
    assert again.composed == plan.composed
    assert {p: b.read(0, b.size) for p, b in again.stored.items()} == {
        p: b.read(0, b.size) for p, b in plan.stored.items()
    }
    distinct = {chunk for pieces in contents for chunk, _ in pieces if len(CHUNKS[chunk]) >= 256}
    shared = sum(
        len(CHUNKS[chunk]) for p in contents for chunk, _ in p if len(CHUNKS[chunk]) >= 256
    )
    total = sum(map(len, files.values()))
    bound = total - shared + sum(len(CHUNKS[chunk]) + 63 for chunk in distinct)
    assert sum(blob.size for blob in plan.stored.values()) <= bound
