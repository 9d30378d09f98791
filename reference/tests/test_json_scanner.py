"""JSON through a window: the values are those of the standard library, whatever the window."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelbundle.core.blobs import BytesBlob
from modelbundle.sources import json_scanner
from modelbundle.sources.json_scanner import Scanner

VALUES = st.dictionaries(
    st.text(max_size=20),
    st.text(max_size=20) | st.lists(st.integers(-(2**53), 2**53), max_size=4),
    max_size=8,
)


def scanned(text: str | bytes, *, chunk: int = 3, longest: int = 100, limit: int = 100) -> Any:
    """The object that `text` is, each string by `string` and all else by `value`."""
    data = text if isinstance(text, bytes) else text.encode()
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_scanner, "_CHUNK_BYTES", chunk)
        scanner = Scanner(BytesBlob(b"##" + data + b"##"), 2, len(data), longest)
        for key in scanner.members(limit):
            try:
                found[key] = scanner.string()
            except ValueError:
                found[key] = scanner.value(100)
        scanner.finish()
    return found


@settings(deadline=None)
@given(VALUES, st.integers(1, 40), st.booleans(), st.sampled_from([None, 1]))
def test_values_are_those_of_json(
    value: dict[str, Any], chunk: int, ascii: bool, indent: int | None
) -> None:
    text = f" {json.dumps(value, ensure_ascii=ascii, indent=indent)}\n "
    assert scanned(text, chunk=chunk, longest=300) == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "no string at character 1"),
        ('{"a" 1}', "no `:` at character 5"),
        ('{"a": 1 "b": 2}', "no `}` at character 8"),
        ('{"a": 1}  x', "more text after the object at character 10"),
        ('{"a": "x", "a": "y"}', "the key 'a' twice"),
        ('{"a": "' + "x" * 99 + '"}', "Unterminated string|more than 100 characters"),
        ('{"a": ["' + "x" * 99 + '"]}', "Unterminated string"),
        ('{"a": "\\ud800"}', "Expecting value|surrogates not allowed"),
        (b'{"a": "\xff"}', "can't decode byte"),
        (b'{"a": "\xc3', "can't decode byte|unexpected end of data"),
        ("[]", "no `{` at character 0"),
        ("", "no `{` at character 0"),
        ('{"a": {"b": 1, "b": 2}}', "a key twice among"),
        ('{"a": NaN}', "the number NaN"),
    ],
)
def test_what_is_wrong_is_said(text: str | bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        scanned(text)


def test_limits_are_allowed() -> None:
    longest = "x" * 98
    assert scanned(json.dumps({"a": longest}))["a"] == longest
    many = {str(at): "" for at in range(9)}
    assert scanned(json.dumps(many), limit=9) == many
    with pytest.raises(ValueError, match="more than 8 members"):
        scanned(json.dumps(many), limit=8)


def test_blanks_take_no_memory() -> None:
    text = b"{" + b" " * (8 << 20) + b"}"
    blob = BytesBlob(text)
    tracemalloc.start()
    try:
        assert list(Scanner(blob, 0, len(text), 100).members(1)) == []
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20
