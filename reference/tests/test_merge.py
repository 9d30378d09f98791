"""Which tensors of several sources are one row, and what rows are called (WRT-06)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from building import artifact, random_bytes
from hypothesis import given, settings
from hypothesis import strategies as st

from modelbundle.core import tensor_index
from modelbundle.core.findings import settle
from modelbundle.packing import merge
from modelbundle.packing.compose import compose
from modelbundle.packing.merge import MergedRow
from modelbundle.sources.artifact import Artifact

A, B = random_bytes(400, 1), random_bytes(400, 2)


def source(root: str, tensors: dict[str, bytes], **names: dict[str, str]) -> Artifact:
    """An artifact of one file; `names` gives, by naming system, names by tensor."""
    data, rows = b"", []
    for name, content in tensors.items():
        rows.append((name, root, len(data), len(content)))
        data += content
    made = artifact({root: data}, rows, system="own")
    named = []
    for tensor in made.tensors:
        more = {system.replace("__", "."): by[tensor.name] for system, by in names.items()}
        named.append(replace(tensor, names={f"own.{root[0]}": tensor.name, **more}))
    return replace(made, tensors=tuple(named))


def rows_of(*sources: Artifact) -> list[MergedRow]:
    files = [file for each in sources for file in each.files]
    ranges = {
        each.files[0].path: sorted({(t.offset, t.length) for t in each.tensors if t.length})
        for each in sources
    }
    return merge.merge(sources, compose(files, ranges))


def names_of(*sources: Artifact) -> list[str]:
    return sorted(merge.name_rows(rows_of(*sources)))


def test_equal_names_and_bytes_are_one_row() -> None:
    zeros = bytes(400)
    names = {"a": "dense/kernel"}
    rows = rows_of(source("x", {"a": zeros}, keras=names), source("y", {"a": zeros}, keras=names))
    assert len(rows) == 1
    assert rows[0].names == {
        ("x", "own.x"): "a",
        ("x", "keras"): "dense/kernel",
        ("y", "own.y"): "a",
        ("y", "keras"): "dense/kernel",
    }
    assert merge.name_rows(rows) == ["dense/kernel"]


def test_ends_of_keras_paths_are_equal_names() -> None:
    zeros = bytes(400)
    one = source("x", {"a": zeros}, keras={"a": "net/dense/kernel"})
    two = source("y", {"b": zeros}, keras={"b": "dense/kernel"})
    assert names_of(one, two) == ["dense/kernel"]


def test_distinctive_bytes_are_one_row() -> None:
    rows = rows_of(source("x", {"a": A, "b": B}), source("y", {"c": B, "d": A}))
    assert sorted(sorted(row.names.values()) for row in rows) == [["a", "d"], ["b", "c"]]


@pytest.mark.parametrize("data", [bytes(400), b"\1\2" * 200, bytes(60) + b"\1"])
def test_what_is_not_distinctive_stays_apart(data: bytes) -> None:
    kinds = {"dtype": "uint16"} if data.startswith(b"\1") else {}
    sources = [
        replace(made, tensors=tuple(replace(t, **kinds) for t in made.tensors))
        for made in (source("x", {"a": data}), source("y", {"b": data}))
    ]
    assert len(rows_of(*sources)) == 2


def test_bytes_that_occur_twice_in_a_source_stay_apart() -> None:
    rows = rows_of(source("x", {"a": A, "b": A}), source("y", {"c": A}))
    assert len(rows) == 3
    assert len({(row.file, row.offset) for row in rows}) == 1


def test_names_tell_equal_bytes_apart() -> None:
    names = {"a": "one", "b": "two"}
    one = source("x", {"a": A, "b": A}, keras=names)
    two = source("y", {"b": A, "a": A}, keras=names)
    rows = rows_of(one, two)
    assert sorted(row.keras or "" for row in rows) == ["one", "two"]
    assert all(row.components == {"x", "y"} for row in rows)


def test_same_bytes_of_another_shape_or_dtype_are_another_row() -> None:
    one, two = source("x", {"a": A}), source("y", {"a": A})
    other = replace(two.tensors[0], shape=(20, 20))
    assert len(rows_of(one, replace(two, tensors=(other,)))) == 2


def test_roles_and_attributes_are_joined() -> None:
    one, two = source("x", {"a": A}), source("y", {"a": A})
    known = replace(two.tensors[0], role="optimizer", attributes={"slot": "m"})
    rows = rows_of(one, replace(two, tensors=(known,)))
    assert [(row.role, row.attributes) for row in rows] == [("optimizer", {"slot": "m"})]


def test_contested_names_get_their_component() -> None:
    assert names_of(source("x", {"w": A}), source("y", {"w": B})) == ["x:w", "y:w"]
    same = replace(source("z", {"w": A, "v": B}), directories=())
    twice = replace(same, tensors=tuple(replace(t, name="w") for t in same.tensors))
    assert names_of(twice) == ["z:w", "z:w#2"]


NAMES = st.sampled_from(["a", "b", "x:a", "x:a#2"])


@settings(deadline=None, max_examples=100)
@given(st.lists(st.lists(st.tuples(NAMES, st.integers(0, 2)), max_size=4), min_size=1, max_size=3))
def test_any_rows_make_a_valid_index(sources: Sequence[Sequence[tuple[str, int]]]) -> None:
    contents = [A, bytes(300), b"\5" * 8]
    made = []
    for root, tensors in zip("xyz", sources, strict=False):
        each = source(root, {str(at): contents[kind] for at, (_, kind) in enumerate(tensors)})
        named = (replace(t, name=n) for t, (n, _) in zip(each.tensors, tensors, strict=True))
        made.append(replace(each, tensors=tuple(named)))
    made = [each for each in made if each.tensors]
    rows = rows_of(*made)

    index = merge.build(rows)
    decoded = tensor_index.decode(tensor_index.encode(index))
    sizes = dict.fromkeys(decoded.files, 10_000)
    settle(tensor_index.check_against(decoded, sizes, frozenset("xyz")))
    found = sorted((s.component, name) for s in decoded.namespaces for name in s.names)
    expected = sorted(
        (each.components[0].id, str(i)) for each in made for i in range(len(each.tensors))
    )
    assert found == expected
