"""Canonical JSON and MessagePack: rules JSN-01 to JSN-08 and MSG-01 to MSG-04."""

from __future__ import annotations

import json
import struct
from typing import Any

import msgpack
import pytest
from building import rules_of
from hypothesis import given, settings
from hypothesis import strategies as st

from modelbundle.core import canonical_json, canonical_msgpack
from modelbundle.core.findings import BundleError
from modelbundle.core.limits import LIMITS

PLACE = "doc"

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)
MSGPACK = st.recursive(
    st.integers(0, 2**64 - 1) | TEXTS | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def _is_writable(value: Any) -> bool:
    """Whether no float in `value` is an integer that JSON would have to be read as."""
    if isinstance(value, dict):
        return all(map(_is_writable, value.values()))
    if isinstance(value, list):
        return all(map(_is_writable, value))
    return not isinstance(value, float) or abs(value) < 2**53 or abs(value) >= 1e21


@settings(deadline=None, max_examples=150)
@given(JSON.filter(_is_writable))
def test_json_round_trip(value: Any) -> None:
    data = canonical_json.encode(value)
    again = canonical_json.decode(data, PLACE)
    assert again == value
    assert canonical_json.encode(again) == data


# Appendix B and section 3.2 of RFC 8785.
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (struct.unpack(">d", bytes.fromhex("0000000000000001"))[0], "5e-324"),
        (struct.unpack(">d", bytes.fromhex("7fefffffffffffff"))[0], "1.7976931348623157e+308"),
        (struct.unpack(">d", bytes.fromhex("44b52d02c7e14af6"))[0], "1e+23"),
        (struct.unpack(">d", bytes.fromhex("41b3de4355555553"))[0], "333333333.3333332"),
        (struct.unpack(">d", bytes.fromhex("becbf647612f3696"))[0], "-0.0000033333333333333333"),
        (1e-7, "1e-7"),
        (1e-6, "0.000001"),
        ([56.0, {"d": True, "10": None, "1": []}], '[56,{"1":[],"10":null,"d":true}]'),
        ('\u20ac$\u000f\nA\'B"\\\\"/', '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'),
    ],
)
def test_json_vectors(value: Any, text: str) -> None:
    assert canonical_json.encode(value) == text.encode()
    assert canonical_json.decode(text.encode(), PLACE) == value


def test_json_names_ascend_by_utf16() -> None:
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    data = canonical_json.encode(dict.fromkeys(names, 0))
    expected = ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    assert list(json.loads(data)) == expected


@pytest.mark.parametrize(
    ("rule", "data"),
    [
        ("JSN-01", b"\xef\xbb\xbf{}"),
        ("JSN-01", b"\xff\xfe{\0}\0"),
        ("JSN-01", b'"\xff"'),
        ("JSN-01", b'"\xed\xa0\x80"'),
        ("JSN-02", b'{"a":1,"a":1}'),
        ("JSN-02", b'{"a":1,"\\u0061":2}'),
        ("JSN-03", b"[NaN]"),
        ("JSN-03", b"-Infinity"),
        ("JSN-04", b"[" * 65 + b"]" * 65),
        ("JSN-04", b"[" * 100_000),
        ("JSN-04", b"[" + b"[]," * LIMITS.json_values + b"[]]"),
        ("JSN-05", b"9007199254740992"),
        ("JSN-05", b"1e400"),
        ("JSN-05", b"-" + b"9" * 5000),
        ("JSN-06", b'"\\ud800"'),
        ("JSN-06", b'{"\\udfff":1}'),
        ("JSN-07", b"[1, 2]"),
        ("JSN-07", b"[1.0]"),
        ("JSN-07", b"-0"),
        ("JSN-07", b'"\\u0041"'),
        ("JSN-07", b'{"b":1,"a":2}'),
        ("JSN-08", b""),
        ("JSN-08", b"{} {}"),
        ("JSN-08", b'"\t"'),
        ("JSN-08", b"{'a':1}"),
        ("JSN-08", b"[1,]"),
    ],
)
def test_json_refuses(rule: str, data: bytes) -> None:
    assert rules_of(lambda: canonical_json.decode(data, PLACE)) == [rule]


def test_json_depth_is_counted_from_the_document() -> None:
    deepest = b"[" * 64 + b"1" + b"]" * 64
    assert canonical_json.decode(deepest, PLACE)


def test_json_commas_in_strings_are_no_values() -> None:
    text = json.dumps("," * (LIMITS.json_values + 1)).encode()
    assert canonical_json.decode(text, PLACE)


def test_json_place_is_a_byte_offset() -> None:
    with pytest.raises(BundleError) as caught:
        canonical_json.decode('["é" 1]'.encode(), PLACE)
    assert caught.value.findings[0].place == "doc@6"


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=60) | JSON.map(lambda v: json.dumps(v).encode()))
def test_json_decodes_or_refuses(data: bytes) -> None:
    rules = rules_of(lambda: canonical_json.decode(data, PLACE))
    assert all(rule.startswith("JSN") for rule in rules)


@pytest.mark.parametrize("value", [2**53, float("nan"), float("inf"), {1: 2}, b"bytes"])
def test_json_does_not_write_what_it_cannot_read(value: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        canonical_json.encode({"x": value})


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(TEXTS, MSGPACK, max_size=5))
def test_msgpack_round_trip(value: dict[str, Any]) -> None:
    data = canonical_msgpack.encode(value)
    assert canonical_msgpack.decode(data, PLACE) == value
    assert msgpack.unpackb(data) == value


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(TEXTS, MSGPACK, max_size=4), st.data())
def test_msgpack_has_one_form(value: dict[str, Any], data: st.DataObject) -> None:
    """Other bytes of the same value are refused: a mutation gives another value or a finding."""
    encoded = canonical_msgpack.encode(value)
    at = data.draw(st.integers(0, len(encoded) - 1))
    mutated = bytearray(encoded)
    mutated[at] ^= data.draw(st.integers(1, 255))
    try:
        other = canonical_msgpack.decode(bytes(mutated), PLACE)
    except BundleError as error:
        assert error.findings[0].rule.startswith("MSG")
    else:
        assert other != value
        assert canonical_msgpack.encode(other) == bytes(mutated)


@pytest.mark.parametrize(
    ("rule", "data"),
    [
        ("MSG-01", "81a161cc01"),  # 1 as u8
        ("MSG-01", "81a161cd00ff"),
        ("MSG-01", "81a161ce0000ffff"),
        ("MSG-01", "81a161cf00000000ffffffff"),
        ("MSG-01", "81a161d001"),  # 1 as i8
        ("MSG-01", "81a161d90161"),
        ("MSG-01", "81a161da000161"),
        ("MSG-01", "81a161db0000000161"),
        ("MSG-01", "81a161c5000100"),
        ("MSG-01", "81a161c60000000100"),
        ("MSG-01", "81a161dc000101"),
        ("MSG-01", "81a161dd0000000101"),
        ("MSG-01", "81a161de0001a16101"),
        ("MSG-01", "de0001a16101"),
        ("MSG-01", "82a16201a16101"),  # keys b, a
        ("MSG-01", "82a16101a16101"),  # key a twice
        ("MSG-01", "81a16101c0"),  # something after it
        ("MSG-02", "01"),
        ("MSG-02", "90"),
        ("MSG-02", "810101"),  # key 1
        ("MSG-02", "81c4016101"),  # key of type bin
        ("MSG-02", "81a161c0"),
        ("MSG-02", "81a161c3"),
        ("MSG-02", "81a161cb0000000000000000"),
        ("MSG-02", "81a161ff"),
        ("MSG-02", "81a161d0ff"),
        ("MSG-02", "81a161d40000"),
        ("MSG-02", "81a161c70000"),
        ("MSG-02", "81a16191c2"),
        ("MSG-03", "81a161" + "91" * 16 + "01"),
        ("MSG-03", "81a161ddffffffff"),
        ("MSG-03", "81a161dfffffffff"),
        ("MSG-03", "81a161dbffffffff61"),
        ("MSG-03", "81a161c6ffffffff00"),
        ("MSG-03", "81a16192a36162"),
        ("MSG-04", ""),
        ("MSG-03", "81"),
        ("MSG-04", "81a161"),
        ("MSG-04", "81a161cd00"),
        ("MSG-04", "81a161c1"),
        ("MSG-04", "81a161a1ff"),
        ("MSG-04", "81a161a3eda080"),
    ],
)
def test_msgpack_refuses(rule: str, data: str) -> None:
    document = bytes.fromhex(data)
    assert rules_of(lambda: canonical_msgpack.decode(document, PLACE)) == [rule]


@pytest.mark.parametrize("length", [0, 31, 32, 255, 256, 65535, 65536])
def test_msgpack_lengths(length: int) -> None:
    value = {"array": ["ab"] * length, "bin": bytes(length), "int": length, "str": "x" * length}
    value["map"] = {f"{i:05}": i for i in range(length)}
    assert canonical_msgpack.decode(canonical_msgpack.encode(value), PLACE) == value


def test_msgpack_depth_limit_is_sixteen() -> None:
    deepest = bytes.fromhex("81a161" + "91" * 15 + "01")
    assert canonical_msgpack.decode(deepest, PLACE)


def test_msgpack_values_are_counted_before_they_are_made() -> None:
    many = LIMITS.msgpack_values * 2
    data = b"\x81\xa1a\xdd" + many.to_bytes(4) + b"\x80" * many
    assert rules_of(lambda: canonical_msgpack.decode(data, PLACE)) == ["MSG-03"]


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=80))
def test_msgpack_decodes_or_refuses(data: bytes) -> None:
    for document in (data, b"\x81\xa1a" + data):
        rules = rules_of(lambda document=document: canonical_msgpack.decode(document, PLACE))
        assert all(rule.startswith("MSG") for rule in rules)
