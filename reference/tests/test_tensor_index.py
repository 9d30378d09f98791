"""The tensor index: round trips, every TEN rule that needs no bytes, hostile columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from math import prod
from typing import Any

import numpy as np
import pytest
from building import ids, rules_of
from hypothesis import given, settings
from hypothesis import strategies as st

from modelbundle.core import canonical_msgpack, data_model, dtypes, tensor_index
from modelbundle.core.findings import BundleError
from modelbundle.core.tensor_index import U1, U4, U8, Namespace, TensorIndex

FIXED = sorted(dtypes.BITS)
FILES = {"a.bin": 1 << 40, "b.bin": 1 << 40}
COMPONENTS = frozenset({"net"})


def index_of(rows: list[dict[str, Any]], **changes: Any) -> TensorIndex:
    """An index of rows with name, dtype, shape and, if not the defaults, file, offset, length."""
    rows = sorted(rows, key=lambda row: row["name"])
    at = 0
    for row in rows:
        row.setdefault("file", "a.bin")
        row.setdefault("role", "other")
        if "length" not in row:
            row["length"] = dtypes.byte_length(row["dtype"], row["shape"])
        row.setdefault("offset", at)
        at = max(at, row["offset"] + row["length"])
    tables = {key: sorted({row[key] for row in rows}) for key in ("dtype", "file", "role")}
    codes = {key: [tables[key].index(row[key]) for row in rows] for key in tables}
    return replace(
        TensorIndex(
            names=[row["name"] for row in rows],
            dtypes=tables["dtype"],
            files=tables["file"],
            roles=tables["role"],
            dtype=np.array(codes["dtype"], U1),
            rank=np.array([len(row["shape"]) for row in rows], U1),
            shape=np.array([dim for row in rows for dim in row["shape"]], U8),
            file=np.array(codes["file"], U4),
            offset=np.array([row["offset"] for row in rows], U8),
            length=np.array([row["length"] for row in rows], U8),
            digest=b"".join(sha256(row["name"].encode()).digest() for row in rows),
            role=np.array(codes["role"], U1),
        ),
        **changes,
    )


def small() -> TensorIndex:
    rows = [
        {"name": "bias", "dtype": "float32", "shape": (4,), "role": "trainable"},
        {"name": "kernel", "dtype": "float32", "shape": (2, 4), "role": "trainable"},
        {"name": "text", "dtype": "string", "shape": (2,), "length": 9, "file": "b.bin"},
    ]
    spaces = [Namespace("net", "keras", np.array([0, 1], U4), ["k/b", "k/k"])]
    return index_of(rows, namespaces=spaces, attributes={1: {"slot": "m"}})


def check(index: TensorIndex) -> list[str]:
    """The rules broken by `index`, decoded from its bytes and held against its bundle."""

    def run() -> None:
        decoded = tensor_index.decode(tensor_index.encode(index))
        found = list(tensor_index.check_against(decoded, FILES, COMPONENTS))
        if found:
            raise BundleError(found)

    return rules_of(run)


def as_value(index: TensorIndex) -> dict[str, Any]:
    return canonical_msgpack.decode(tensor_index.encode(index), "index")


def rules(value: Mapping[str, Any]) -> list[str]:
    return rules_of(lambda: tensor_index.decode(canonical_msgpack.encode(value)))


SHAPES = st.lists(st.integers(0, 5), max_size=4).map(tuple)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.text("abcé/_", min_size=1, max_size=6),
            "dtype": st.sampled_from([*FIXED, "bytes7"]),
            "shape": SHAPES,
            "file": st.sampled_from(sorted(FILES)),
            "role": st.sampled_from(sorted(tensor_index.ROLES)),
        }
    ),
    unique_by=lambda row: row["name"],
    max_size=8,
)


@settings(deadline=None, max_examples=40)
@given(ROWS, st.data())
def test_generated_indexes_round_trip(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    count = len(rows)
    chosen = data.draw(st.sets(st.integers(0, count - 1)) if count else st.just(set()))
    names = [f"n{row}" for row in sorted(chosen)]
    spaces = [Namespace("net", "keras", np.array(sorted(chosen), U4), names)] if chosen else []
    attributes = {row: {"of": "x"} for row in sorted(chosen)}
    index = index_of(rows, namespaces=spaces, attributes=attributes)
    encoded = tensor_index.encode(index)
    decoded = tensor_index.decode(encoded)
    assert tensor_index.encode(decoded) == encoded
    assert check(index) == []
    rows.sort(key=lambda row: row["name"])
    assert data_model.index_model(decoded) == data_model.index_model(index)
    for number, row in enumerate(rows):
        found = decoded.row(number)
        wanted = (row["name"], row["dtype"], row["shape"], row["file"], row["offset"])
        assert (found.name, found.dtype, found.shape, found.file, found.offset) == wanted
        assert decoded.position[row["name"]] == number


def test_empty_index() -> None:
    index = tensor_index.decode(tensor_index.encode(index_of([])))
    assert (len(index), index.distinct_bytes()) == (0, 0)
    assert check(index) == []


def test_distinct_bytes_count_shared_ranges_once() -> None:
    rows = [
        {"name": "a", "dtype": "uint8", "shape": (10,), "offset": 0},
        {"name": "b", "dtype": "int8", "shape": (2, 5), "offset": 0},
        {"name": "c", "dtype": "uint8", "shape": (10,), "offset": 0, "file": "b.bin"},
        {"name": "d", "dtype": "uint8", "shape": (0,), "offset": 5},
    ]
    index = index_of(rows)
    assert index.distinct_bytes() == 20
    assert check(index) == []


COLUMNS = [*tensor_index.COLUMNS, "digest"]


@pytest.mark.parametrize("name", sorted(tensor_index._MEMBERS))
@pytest.mark.parametrize("wrong", [None, 5, "x", b"x", [5], ["b", "a"], {}])
def test_wrong_members(name: str, wrong: Any) -> None:
    value = as_value(small())
    if wrong is None:
        del value[name]
        assert rules(value) == ["TEN-01"]
    else:
        value[name] = wrong
        assert rules(value)


def test_unknown_members_are_for_newer_versions() -> None:
    value = {**as_value(small()), "zebra": 1}
    value["namespaces"][0]["zebra"] = []
    assert rules(value) == ["TEN-01", "TEN-01"]
    data = canonical_msgpack.encode(value)
    assert len(tensor_index.decode(data, newer=True)) == 3


@settings(deadline=None, max_examples=400)
@given(st.sampled_from(COLUMNS), st.data())
def test_mutated_columns_give_findings_or_an_index(column: str, data: st.DataObject) -> None:
    value = as_value(small())
    mutated = bytearray(value[column])
    match data.draw(st.sampled_from(["flip", "cut", "grow", "huge"])):
        case "flip":
            mutated[data.draw(st.integers(0, len(mutated) - 1))] ^= data.draw(st.integers(1, 255))
        case "cut":
            del mutated[data.draw(st.integers(0, len(mutated) - 1)) :]
        case "grow":
            mutated += bytes(data.draw(st.integers(1, 40)))
        case "huge":
            mutated[:] = b"\xff" * len(mutated)
    value[column] = bytes(mutated)
    try:
        index = tensor_index.decode(canonical_msgpack.encode(value))
        found = ids(tensor_index.check_against(index, FILES, COMPONENTS))
    except BundleError as error:
        found = ids(error.findings)
    assert all(rule.startswith("TEN") for rule in found)


def _with(**changes: Any) -> TensorIndex:
    return replace(small(), **changes)


def _row(**changes: Any) -> TensorIndex:
    return index_of([{"name": "x", "dtype": "float32", "shape": (2,), **changes}])


LONG = "x" * 4097


@pytest.mark.parametrize(
    ("rule", "index"),
    [
        ("TEN-02", _with(names=["a", "b"])),
        ("TEN-02", _with(digest=bytes(95))),
        ("TEN-02", _with(shape=np.zeros(5, U8))),
        ("TEN-03", _with(names=["b", "a", "c"])),
        ("TEN-03", _with(names=["a", "a", "c"])),
        ("TEN-03", _row(name="")),
        ("TEN-03", _row(name="a\nb")),
        ("TEN-03", _row(name="a\x85")),
        ("TEN-03", _row(name=LONG)),
        ("TEN-03", _row(name="é" * 2049)),
        ("TEN-04", _row(dtype="float31", length=8)),
        ("TEN-04", _row(dtype="bytes0", length=8)),
        ("TEN-05", _with(files=["a.bin", "b.bin", "c.bin"])),
        ("TEN-05", _with(files=["b.bin", "a.bin"])),
        ("TEN-05", _with(dtype=np.array([0, 0, 2], U1))),
        ("TEN-05", _with(role=np.array([0, 255, 1], U1))),
        ("TEN-06", _row(offset=(1 << 40) - 7)),
        ("TEN-06", _row(offset=(1 << 64) - 8)),
        ("TEN-06", _row(offset=(1 << 40) + 1, shape=(0,))),
        ("TEN-07", _row(file="c.bin")),
        ("TEN-08", _row(length=7)),
        ("TEN-08", _row(shape=(1,) * 33, length=4)),
        ("TEN-08", _row(shape=(1 << 63, 2), length=0)),
        ("TEN-08", _row(shape=(1 << 32, 1 << 32), length=0)),
        ("TEN-08", _row(shape=((1 << 64) - 1,) * 32, length=4)),
        ("TEN-08", _row(dtype="int4_packed", shape=(3,), length=1)),
        ("TEN-08", _row(dtype="string", shape=(3,), length=6)),
        ("TEN-08", _row(dtype="string", shape=(0,), length=5)),
        ("TEN-08", _row(dtype="string", shape=(0,), length=0)),
        ("TEN-08", _row(dtype="uint8", shape=(1 << 53,), length=1 << 53)),
        ("TEN-11", _with(namespaces=[Namespace("net", "Keras", np.array([0], U4), ["a"])])),
        ("TEN-11", _with(namespaces=[Namespace("net", "k", np.array([], U4), [])])),
        ("TEN-11", _with(namespaces=[Namespace("net", "k", np.array([3], U4), ["a"])])),
        ("TEN-11", _with(namespaces=[Namespace("net", "k", np.array([1, 0], U4), ["a", "b"])])),
        ("TEN-11", _with(namespaces=[Namespace("net", "k", np.array([0, 1], U4), ["a", "a"])])),
        ("TEN-11", _with(namespaces=[Namespace("net", "k", np.array([0], U4), ["\0"])])),
        ("TEN-11", _with(namespaces=[Namespace("net", "k", np.array([0], U4), ["a"])] * 2)),
        ("TEN-12", _row(role="frozen")),
        ("TEN-15", _with(attributes={3: {"a": "b"}})),
        ("TEN-15", _with(attributes={0: {}})),
        ("TEN-15", _with(attributes={0: {"": "b"}})),
        ("TEN-15", _with(attributes={0: {LONG: "b"}})),
        ("TEN-16", _with(namespaces=[Namespace("other", "k", np.array([0], U4), ["a"])])),
    ],
)
def test_single_faults(rule: str, index: TensorIndex) -> None:
    assert set(check(index)) == {rule}


@pytest.mark.parametrize("values", [{"a": 1}, {"a": b"b"}, {"a": ["b"]}])
def test_attributes_are_strings(values: dict[str, Any]) -> None:
    value = as_value(small())
    value["attributes"] = [{"tensor": 0, "values": values}]
    assert rules(value) == ["TEN-15"]


def test_attributes_of_one_row_come_once() -> None:
    value = as_value(small())
    value["attributes"] *= 2
    assert rules(value) == ["TEN-15"]


def test_names_of_namespaces_are_strings() -> None:
    value = as_value(small())
    value["namespaces"][0]["names"] = [1, {}]
    assert rules(value) == ["TEN-01"]


@pytest.mark.parametrize(
    ("shape", "dtype", "length"),
    [
        ((1 << 63, 0, 1 << 63), "float32", 0),
        (((1 << 64) - 1,) * 31 + (0,), "float64", 0),
        ((0, 1 << 60), "string", 4),
        ((), "complex128", 16),
        ((3,), "float6_e2m3fn_packed", 3),
        (((1 << 51) + 1,), "float6_e2m3fn_packed", -(-((1 << 51) + 1) * 6 // 8)),
    ],
)
def test_lengths_are_exact(shape: tuple[int, ...], dtype: str, length: int) -> None:
    def found(stated: int) -> list[str]:
        row = {"name": "x", "dtype": dtype, "shape": shape, "length": stated}
        return rules_of(lambda: tensor_index.decode(tensor_index.encode(index_of([row]))))

    assert found(length) == []
    assert found(length + 1) == ["TEN-08"]


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from([*FIXED, "bytes999999"]),
    st.lists(st.integers(0, 9) | st.integers(0, 2**64 - 1), max_size=4).map(tuple),
    st.integers(0, 2**64 - 1) | st.none(),
)
def test_lengths_agree_with_exact_arithmetic(
    dtype: str, shape: tuple[int, ...], length: int | None
) -> None:
    exact = -(-prod(shape) * (dtypes.element_bits(dtype) or 0) // 8)
    stated = min(exact, 2**64 - 1) if length is None else length
    row = {"name": "x", "dtype": dtype, "shape": shape, "length": stated, "offset": 0}
    found = rules_of(lambda: tensor_index.decode(tensor_index.encode(index_of([row]))))
    assert found == ([] if stated == exact < 2**53 else ["TEN-08"])


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 10)), max_size=5))
def test_ranges_are_the_same_or_apart(ranges: list[tuple[int, int]]) -> None:
    rows = [
        {"name": f"{at}", "dtype": "uint8", "shape": (length,), "offset": offset}
        for at, (offset, length) in enumerate(ranges)
    ]
    distinct = {(offset, length) for offset, length in ranges if length}
    overlap = any(
        one != two and one[0] < two[0] + two[1] and two[0] < one[0] + one[1]
        for one in distinct
        for two in distinct
    )
    found = set(check(index_of(rows)))
    assert found == ({"TEN-09"} if overlap else set())


def test_a_million_wrong_rows_say_so_in_a_hundred_findings() -> None:
    count = 1000
    rows = [{"name": f"{i:04}", "dtype": "uint8", "shape": (2,), "length": 1} for i in range(count)]
    assert len(check(index_of(rows))) == 100


def test_dtypes_agree_with_numpy() -> None:
    for name in dtypes.BITS:
        made = dtypes.to_numpy(name)
        if not name.endswith("_packed"):
            assert made.itemsize * 8 == dtypes.element_bits(name)
    for name in ("float32", "bfloat16", "float8_e4m3fn", "int4", "bool", "complex64", "bytes5"):
        assert dtypes.from_numpy(dtypes.to_numpy(name)) == name
    for unknown in ("float31", "bytes", "bytes01", "string", "object"):
        with pytest.raises(KeyError):
            dtypes.to_numpy(unknown)
