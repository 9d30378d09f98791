"""String tensors: lengths, their checksum, content; checked without taking any of it in."""

from __future__ import annotations

import pytest
from building import rules_of
from hypothesis import given
from hypothesis import strategies as hs

from modelbundle.core import strings
from modelbundle.core.blobs import BytesBlob


@given(hs.lists(hs.binary(max_size=300), max_size=50))
def test_elements_come_back(elements: list[bytes]) -> None:
    data = strings.encode(elements)
    assert strings.decode(data, (len(elements),), "x").tolist() == elements
    assert strings.check(BytesBlob(data), (len(elements),), "x") == len(data) - sum(
        map(len, elements)
    )


@given(hs.binary(max_size=40), hs.integers(0, 8))
def test_what_is_no_tensor_is_refused(data: bytes, count: int) -> None:
    """Anything at all ends in elements, or in TEN-13."""
    if rules_of(lambda: strings.decode(data, (count,), "x")) not in ([], ["TEN-13"]):
        pytest.fail("neither elements nor TEN-13")


class Content:
    """A tensor of one element of 2^40 bytes; it is never read beyond its head."""

    def __init__(self) -> None:
        length = 1 << 40
        head = bytes([0x80] * 5 + [0x20])
        self._head = head + strings.checksum([length]).to_bytes(4, "little")
        self.size = len(self._head) + length

    def read(self, offset: int, length: int) -> bytes:
        assert length <= 1 << 20
        return self._head[offset : offset + length].ljust(length, b"?")


def test_content_is_not_read() -> None:
    assert strings.check(Content(), (1,), "x") == 10
