r"""Protocol-buffer wire format over a blob, with absolute byte offsets.

A `Message` is a byte range; iterating it gives `(field number, value)`, where a length-delimited
field is again a `Message` and every other field the integer of its bits. Bytes are read when they
are asked for: fields of a large message are stepped over, so a graph with gigabytes of constants
costs its structure only. `Message.decode` turns a small message into a dict by a table.

Groups, tag zero, over-long varints and lengths past the end of the message are `WireError`s.
Nothing recurses here; callers bound the depth of what they descend into.
Layout: https://protobuf.dev/programming-guides/encoding/

    >>> Message.of(b"\x08\x96\x01").decode({1: ("value", UINT)})
    {'value': 150}
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from modelbundle.core.blobs import Blob, BytesBlob
from modelbundle.core.limits import LIMITS

VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5

IN_MEMORY_BYTES = 1 << 16
"""A message up to this long is read whole; a longer one is stepped through (bytes)."""
TEXT_BYTES = 64 << 20
"""The longest field that `Message.content` takes into memory unless told otherwise (bytes)."""
REPEATED = 1 << 20
"""The longest list that `Message.decode` makes: an empty element takes two bytes of a file."""
_HEAD_BYTES = 20
"""Tag and length, at most ten bytes each."""


class WireError(ValueError):
    """The bytes at `offset` of the blob are no well-formed message."""

    def __init__(self, offset: int, found: str) -> None:
        super().__init__(found)
        self.offset = offset


def varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The unsigned 64-bit varint at `at` and the offset after it; raises `WireError`."""
    value = shift = 0
    for position in range(at, min(end, at + 10)):
        byte = data[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> 64:
                raise WireError(at, "a varint over 64 bits")
            return value, position + 1
        shift += 7
    raise WireError(at, "a varint over ten bytes" if end - at >= 10 else "a truncated varint")


def signed(value: int) -> int:
    """`value`, 64 unsigned bits, as two's complement (int32, int64 and enum fields)."""
    return value - (1 << 64) if value >> 63 else value


def _short(data: bytes, at: int, end: int) -> tuple[int, int]:
    """As `varint`; most of them are of one byte."""
    if at < end and data[at] < 0x80:
        return data[at], at + 1
    return varint(data, at, end)


def size(value: int) -> int:
    """`value` as `signed`; raises `ValueError` beyond what JSON holds exactly."""
    value = signed(value)
    if abs(value) > LIMITS.safe_integer:
        raise ValueError(f"the number {value}")
    return value


def _head(data: bytes, at: int, end: int) -> tuple[int, int, int, int]:
    """Field number, wire type, value or length, and offset after tag and value or length."""
    tag, at = _short(data, at, end)
    number, wire = tag >> 3, tag & 7
    if not 0 < number < 1 << 29:
        raise WireError(at, f"field number {number}")
    if wire in (VARINT, DELIMITED):
        value, at = _short(data, at, end)
    elif wire in (FIXED32, FIXED64):
        stop = at + (4 if wire == FIXED32 else 8)
        if stop > end:
            raise WireError(at, "a truncated fixed-width field")
        value, at = int.from_bytes(data[at:stop], "little"), stop
    else:
        raise WireError(at, f"wire type {wire}")
    return number, wire, value, at


class Message:
    """Bytes `start` to `end` of `blob`: a message, a string, bytes or a packed field."""

    __slots__ = ("_base", "_data", "blob", "end", "start")

    def __init__(
        self, blob: Blob, start: int, end: int, data: bytes | None = None, base: int = 0
    ) -> None:
        self.blob, self.start, self.end = blob, start, end
        self._data, self._base = data, base

    @classmethod
    def of(cls, source: Blob | bytes) -> Message:
        """A whole blob, or bytes in memory, as a message; raises `WireError` over the limit."""
        blob = BytesBlob(source) if isinstance(source, bytes) else source
        if blob.size > LIMITS.protobuf_bytes:
            raise WireError(0, f"{blob.size} bytes, more than {LIMITS.protobuf_bytes}")
        return cls(blob, 0, blob.size)

    def __len__(self) -> int:
        return self.end - self.start

    def __iter__(self) -> Iterator[tuple[int, int | Message]]:
        """Fields in order of the bytes; raises `WireError`."""
        if self._data is None and len(self) <= IN_MEMORY_BYTES:
            self._data, self._base = self.blob.read(self.start, len(self)), self.start
        return self._stepped() if self._data is None else self._loaded(self._data)

    def _loaded(self, data: bytes) -> Iterator[tuple[int, int | Message]]:
        blob, base = self.blob, self._base
        at, end = self.start - base, self.end - base
        while at < end:
            try:
                number, wire, value, after = _head(data, at, end)
            except WireError as error:
                raise WireError(base + error.offset, str(error)) from None
            if wire != DELIMITED:
                yield number, value
            elif after + value > end:
                raise WireError(base + at, f"a field of {value} bytes, {end - after} left")
            else:
                yield number, Message(blob, base + after, base + after + value, data, base)
                after += value
            at = after

    def _stepped(self) -> Iterator[tuple[int, int | Message]]:
        at = self.start
        window, first = b"", at
        while at < self.end:
            if at + _HEAD_BYTES > first + len(window):
                window, first = self.blob.read(at, min(self.end - at, IN_MEMORY_BYTES)), at
            try:
                number, wire, value, after = _head(window, at - first, len(window))
            except WireError as error:
                raise WireError(first + error.offset, str(error)) from None
            after += first
            if wire != DELIMITED:
                yield number, value
            elif value > self.end - after:
                raise WireError(at, f"a field of {value} bytes, {self.end - after} left")
            elif after + value <= first + len(window):
                yield number, Message(self.blob, after, after + value, window, first)
                after += value
            else:
                yield number, Message(self.blob, after, after + value)
                after += value
            at = after

    def content(self, limit: int = TEXT_BYTES) -> bytes:
        """The bytes; raises `WireError` where there are more than `limit`."""
        if len(self) > limit:
            raise WireError(self.start, f"a field of {len(self)} bytes, limit {limit}")
        if self._data is None:
            return self.blob.read(self.start, len(self))
        return self._data[self.start - self._base : self.end - self._base]

    def text(self, limit: int = TEXT_BYTES) -> str:
        """The bytes as UTF-8; raises `WireError` where they are not."""
        try:
            return self.content(limit).decode()
        except UnicodeDecodeError:
            raise WireError(self.start, "bytes that are not UTF-8") from None

    def varints(self) -> Iterator[int]:
        """The values of a packed varint field; raises `WireError`."""
        data = self.content()
        at = 0
        while at < len(data):
            value, at = varint(data, at, len(data))
            yield value

    def decode(self, table: Table) -> dict[str, Any]:
        """The fields named in `table`, by name; others are skipped.

        A repeated field is a list, present once the field occurs; of others the last counts, as
        protobuf has it. Raises `WireError`, also where a field has another wire type.
        """
        result: dict[str, Any] = {}
        for number, value in self:
            if number in table:
                name, kind, *repeated = table[number]
                if repeated:
                    values = result.setdefault(name, [])
                    values += islice(_values(kind, value, self.start), REPEATED + 1)
                    if len(values) > REPEATED:
                        raise WireError(self.start, f"a list of over {REPEATED} values")
                else:
                    result[name] = _value(kind, value, self.start)
        return result


def message(value: int | Message, place: int = 0) -> Message:
    """`value` as length-delimited; raises `WireError` at `place` where it is an integer."""
    if isinstance(value, int):
        raise WireError(place, "an integer where bytes belong")
    return value


def integer(value: int | Message) -> int:
    """`value` as an integer; raises `WireError` where it is length-delimited."""
    if not isinstance(value, int):
        raise WireError(value.start, "bytes where an integer belongs")
    return value


Scalar = Callable[[int], Any]
"""How the bits of a varint or fixed-width field become a value: one of the kinds below."""
Kind = Any
"""`UINT`, `INT`, `SIZE`, `BOOL`, `TEXT`, `BYTES`, `MESSAGE`, or the `Table` of a nested message."""
Table = Mapping[int, tuple[Any, ...]]
"""Field number to `(name, kind)`, or `(name, kind, True)` for a repeated field."""

UINT: Scalar = int
INT: Scalar = signed
BOOL: Scalar = bool
SIZE: Scalar = size
TEXT, BYTES, MESSAGE = "text", "bytes", "message"
_READ: dict[str, Callable[[Message], Any]] = {
    TEXT: Message.text,
    BYTES: Message.content,
    MESSAGE: lambda value: value,
}


def _value(kind: Kind, value: int | Message, place: int) -> Any:
    if callable(kind):
        return _scalar(kind, integer(value), place)
    value = message(value, place)
    return _READ[kind](value) if isinstance(kind, str) else value.decode(kind)


def _scalar(kind: Scalar, bits: int, place: int) -> Any:
    try:
        return kind(bits)
    except ValueError as error:
        raise WireError(place, str(error)) from None


def _values(kind: Kind, value: int | Message, place: int) -> Iterator[Any]:
    if callable(kind) and isinstance(value, Message):
        return (_scalar(kind, bits, value.start) for bits in value.varints())
    return iter((_value(kind, value, place),))
