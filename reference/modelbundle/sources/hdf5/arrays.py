"""Fixed and extensible arrays, which index the chunks of newer datasets (Specification, VII).

Both yield (number, address, stored size, filter mask) of each element that was ever set; an
address of None is a chunk that was not written.

    for number, address, size, mask in fixed_array(source, address, chunk_bytes): ...
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from modelbundle.sources.hdf5.source import Cursor, Source

Element = tuple[int, int | None, int, int]

_MOST_BITS = 63


@dataclass(frozen=True, slots=True)
class _Shape:
    """How the elements of one array are stored."""

    source: Source
    client: int
    """0 for plain chunks, 1 for filtered ones."""
    element_bytes: int
    page_bits: int
    chunk_bytes: int

    def elements(self, cursor: Cursor, first: int, count: int) -> Iterator[Element]:
        """`count` elements from number `first` on."""
        for number in range(first, first + count):
            address = cursor.offset()
            size, mask = self.chunk_bytes, 0
            if self.client:
                size, mask = (
                    cursor.uint(self.element_bytes - self.source.offset_bytes - 4),
                    cursor.uint(4),
                )
            yield number, address, size, mask

    def pages(self, address: int, first: int, count: int, is_set: bytes) -> Iterator[Element]:
        """Elements in pages, each with a checksum; one whose bit is not set was never written."""
        page = 1 << self.page_bits
        for number in range(-(-count // page)):
            if is_set[number // 8] >> 7 - number % 8 & 1:
                held = min(page, count - number * page)
                start = address + number * (page * self.element_bytes + 4)
                cursor = self.source.checked(start, held * self.element_bytes + 4)
                yield from self.elements(cursor, first + number * page, held)


def _read_shape(cursor: Cursor, signature: bytes, chunk_bytes: int) -> tuple[int, int]:
    """Client and element size from the start of a header."""
    cursor.expect(signature + b"\0", "signature and version")
    client, element_bytes = cursor.uint(1), cursor.uint(1)
    smallest = cursor.source.offset_bytes + (5 if client else 0)
    is_known = client in (0, 1) and smallest <= element_bytes <= smallest + (7 if client else 0)
    if not is_known or chunk_bytes < 1:
        raise cursor.malformed("an array of chunks", (client, element_bytes))
    return client, element_bytes


def fixed_array(source: Source, address: int, chunk_bytes: int) -> Iterator[Element]:
    """The elements of the fixed array whose header is at `address`; raises BundleError (HDF-08)."""
    cursor = source.checked(address, 12 + source.length_bytes + source.offset_bytes)
    client, element_bytes = _read_shape(cursor, b"FAHD", chunk_bytes)
    shape = _Shape(source, client, element_bytes, min(cursor.uint(1), _MOST_BITS), chunk_bytes)
    count, block = cursor.length(), cursor.offset()
    if block is None:
        return
    prefix = 6 + source.offset_bytes
    pages = -(-count // (1 << shape.page_bits))
    if pages > 1:
        bitmap = (pages + 7) // 8
        head = source.checked(block, prefix + bitmap + 4)
        head.at = prefix
        yield from shape.pages(block + prefix + bitmap + 4, 0, count, head.take(bitmap))
    else:
        body = source.checked(block, prefix + count * element_bytes + 4)
        body.expect(b"FADB\0", "signature and version")
        body.at = prefix
        yield from shape.elements(body, 0, count)


class _ExtensibleArray:
    """An extensible array: elements in the index block, then in data blocks that double in size.

    Super block u stands for 2^(u//2) data blocks of 2^((u+1)//2) times the smallest size; the
    data blocks of the first super blocks are listed in the index block itself.
    """

    def __init__(self, source: Source, address: int, chunk_bytes: int) -> None:
        self._source = source
        cursor = source.checked(address, 16 + 6 * source.length_bytes + source.offset_bytes)
        client, element_bytes = _read_shape(cursor, b"EAHD", chunk_bytes)
        self._most_bits, self._in_index, self._smallest = (
            cursor.uint(1),
            cursor.uint(1),
            cursor.uint(1),
        )
        self._pointers, page_bits = cursor.uint(1), cursor.uint(1)
        for _ in range(4):
            cursor.length()
        self._used, _ = cursor.length(), cursor.length()
        self._block = cursor.offset()
        for size in (self._smallest, self._pointers):
            if size < 1 or size & size - 1:
                raise cursor.malformed("powers of two", size)
        smallest_bits = self._smallest.bit_length() - 1
        if not smallest_bits <= self._most_bits <= _MOST_BITS or page_bits > _MOST_BITS:
            raise cursor.malformed(f"at most 2^{_MOST_BITS} elements", (self._most_bits, page_bits))
        self._shape = _Shape(source, client, element_bytes, page_bits, chunk_bytes)
        self._super_blocks = 1 + self._most_bits - smallest_bits
        self._offset_bytes = (self._most_bits + 7) // 8

    def elements(self) -> Iterator[Element]:
        """Every element that was set."""
        if self._block is None:
            return
        source, shape = self._source, self._shape
        direct = 2 * (self._pointers.bit_length() - 1)
        listed = 2 * (self._pointers - 1)
        above = max(self._super_blocks - direct, 0)
        prefix = 6 + source.offset_bytes
        size = (
            prefix
            + self._in_index * shape.element_bytes
            + (listed + above) * source.offset_bytes
            + 4
        )
        cursor = source.checked(self._block, size)
        cursor.expect(b"EAIB\0", "signature and version")
        cursor.at = prefix
        yield from shape.elements(cursor, 0, self._in_index)
        first = self._in_index
        for number in range(direct):
            blocks, held = self._extent(number)
            for _ in range(blocks):
                yield from self._data_block(cursor.offset(), first, held, None)
                first += held
        for number in range(direct, direct + above):
            yield from self._super_block(cursor.offset(), first, number)
            first += self._extent(number)[0] * self._extent(number)[1]

    def _extent(self, number: int) -> tuple[int, int]:
        """How many data blocks a super block has, and of how many elements each."""
        return 1 << number // 2, self._smallest << (number + 1) // 2

    def _super_block(self, address: int | None, first: int, number: int) -> Iterator[Element]:
        if address is None:
            return
        source = self._source
        blocks, held = self._extent(number)
        bitmap = self._bitmap_bytes(held)
        prefix = 6 + source.offset_bytes + self._offset_bytes
        cursor = source.checked(address, prefix + blocks * (bitmap + source.offset_bytes) + 4)
        cursor.expect(b"EASB\0", "signature and version")
        cursor.at = prefix
        bitmaps = [cursor.take(bitmap) for _ in range(blocks)]
        for is_set in bitmaps:
            yield from self._data_block(cursor.offset(), first, held, is_set)
            first += held

    def _bitmap_bytes(self, held: int) -> int:
        """Bytes of the bitmap of a data block's pages; 0 where it has no pages."""
        pages = held >> self._shape.page_bits
        return (pages + 7) // 8 if pages > 1 else 0

    def _data_block(
        self, address: int | None, first: int, held: int, is_set: bytes | None
    ) -> Iterator[Element]:
        if address is None:
            return
        source, shape = self._source, self._shape
        prefix = 6 + source.offset_bytes + self._offset_bytes
        if is_set:
            source.checked(address, prefix + 4).expect(b"EADB\0", "signature and version")
            yield from shape.pages(address + prefix + 4, first, held, is_set)
            return
        cursor = source.checked(address, prefix + held * shape.element_bytes + 4)
        cursor.expect(b"EADB\0", "signature and version")
        cursor.at = prefix
        yield from shape.elements(cursor, first, held)


def extensible_array(source: Source, address: int, chunk_bytes: int) -> Iterator[Element]:
    """The elements of the extensible array at `address`; raises BundleError (HDF-08)."""
    return _ExtensibleArray(source, address, chunk_bytes).elements()
