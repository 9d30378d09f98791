"""Heaps: the global heap of variable-length data and the fractal heap (Specification, III).

heap = FractalHeap(source, address)
data, address = heap.get(heap_id)
"""

from __future__ import annotations

from modelbundle.sources.hdf5.btrees import count_bytes, records_v2
from modelbundle.sources.hdf5.source import Cursor, Source

_MANAGED, _HUGE, _TINY = range(3)
_HUGE_RECORDS = 1
_LARGEST_SPACE_BITS = 64


class GlobalHeaps:
    """The global heap collections of a file; each is indexed once."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._collections: dict[int, dict[int, tuple[int, int]]] = {}

    def get(self, address: int, index: int, length: int) -> bytes:
        """The first `length` bytes of object `index` of the collection at `address`."""
        if address not in self._collections:
            self._collections[address] = self._index(address)
        start, size = self._collections[address].get(index, (0, -1))
        if length > size:
            raise self._source.malformed(address, f"a heap object {index} of {length} bytes", size)
        return self._source.read(start, length)

    def _index(self, address: int) -> dict[int, tuple[int, int]]:
        """Address and size of each object; index 0 is the free space at the end."""
        source = self._source
        header_bytes = 8 + source.length_bytes
        cursor = source.cursor(address, header_bytes)
        cursor.expect(b"GCOL\1", "signature and version")
        cursor.take(3)
        at, end = address + header_bytes, address + cursor.length()
        objects = {}
        while at + header_bytes <= end:
            entry = source.cursor(at, header_bytes)
            index = entry.uint(2)
            entry.take(6)
            size = entry.length()
            if index == 0:
                break
            objects[index] = at + header_bytes, size
            at += header_bytes + (size + 7) // 8 * 8
        return objects


class FractalHeap:
    """The objects of one fractal heap, by heap ID; raises BundleError (HDF-08)."""

    def __init__(self, source: Source, address: int) -> None:
        self._source = source
        self._address = address
        cursor = source.checked(address, 26 + 12 * source.length_bytes + 3 * source.offset_bytes)
        cursor.expect(b"FRHP\0", "signature and version")
        self.id_bytes, filters, flags = cursor.uint(2), cursor.uint(2), cursor.uint(1)
        if filters:
            raise cursor.malformed("a heap without filters", f"filters of {filters} bytes")
        self._block_checksums = bool(flags & 2)
        largest_managed = cursor.uint(4)
        cursor.length()
        self._huge_tree = cursor.offset()
        cursor.length()
        cursor.offset()
        for _ in range(8):
            cursor.length()
        self._read_table(cursor, largest_managed)
        self._huge: dict[int, tuple[int, int]] | None = None
        self._blocks: dict[int, int] = {}

    def _read_table(self, cursor: Cursor, largest_managed: int) -> None:
        """The doubling table: rows of `width` blocks, whose size doubles from the third row on."""
        self._width = cursor.uint(2)
        self._first_block, self._largest_direct = cursor.length(), cursor.length()
        bits = cursor.uint(2)
        cursor.take(2)
        self._root, self._root_rows = cursor.offset(), cursor.uint(2)
        sizes = (self._width, self._first_block, self._largest_direct)
        if (
            any(size < 1 or size & size - 1 for size in sizes)
            or not 1 <= bits <= _LARGEST_SPACE_BITS
        ):
            raise cursor.malformed("a doubling table of powers of two", (*sizes, bits))
        self._space_bytes = (bits + 7) // 8
        self._length_bytes = count_bytes(min(self._largest_direct, largest_managed))
        self._direct_rows = max(
            self._largest_direct.bit_length() - self._first_block.bit_length() + 2, 0
        )

    def get(self, heap_id: bytes) -> tuple[bytes, int]:
        """The bytes of an object and the address at which they lie."""
        cursor = Cursor(self._source, heap_id, self._address)
        kind = cursor.uint(1) >> 4
        if kind == _MANAGED:
            offset = cursor.uint(self._space_bytes)
            length = cursor.uint(self._length_bytes)
            address = self._managed(offset, length)
        elif kind == _HUGE:
            address, length = self._find_huge(cursor)
        elif kind == _TINY:
            return self._tiny(heap_id), self._address
        else:
            raise cursor.malformed("a heap ID of a known kind", kind)
        return self._source.read(address, length), address

    def _tiny(self, heap_id: bytes) -> bytes:
        """An object within its ID: a length of 4 bits, or of 12 where IDs are long."""
        length, start = (heap_id[0] & 15) + 1, 1
        if self.id_bytes > 17:
            length, start = ((heap_id[0] & 15) << 8 | heap_id[1]) + 1, 2
        return heap_id[start : start + length]

    def _find_huge(self, cursor: Cursor) -> tuple[int, int]:
        source = self._source
        if cursor.left >= source.offset_bytes + source.length_bytes:
            return cursor.defined(), cursor.length()
        if self._huge is None:
            self._huge = dict(self._huge_objects())
        found = self._huge.get(cursor.uint(min(cursor.left, source.length_bytes)))
        if found is None:
            raise cursor.malformed("the ID of a huge object of the heap", cursor.data.hex())
        return found

    def _huge_objects(self) -> list[tuple[int, tuple[int, int]]]:
        if self._huge_tree is None:
            return []
        objects = []
        for _, record in records_v2(self._source, self._huge_tree, (_HUGE_RECORDS,)):
            cursor = Cursor(self._source, record, self._huge_tree)
            address, length = cursor.defined(), cursor.length()
            objects.append((cursor.length(), (address, length)))
        return objects

    def _managed(self, offset: int, length: int) -> int:
        """The address of a managed object, which lies in one direct block."""
        base, size, address = 0, self._first_block, self._root
        rows = self._root_rows
        while rows and address is not None:
            row, column, block_base, size = self._place(offset - base)
            if row >= rows:
                raise self._source.malformed(self._address, "an object within the heap", offset)
            address = self._entry(address, rows, row * self._width + column)
            base += block_base
            rows = 0 if row < self._direct_rows else self._rows_of(size)
        if address is None or offset < base or offset - base + length > size:
            raise self._source.malformed(
                self._address, "an object within one block", (offset, length)
            )
        self._check_block(address, size)
        return address + offset - base

    def _place(self, offset: int) -> tuple[int, int, int, int]:
        """Row, column, start and size of the block of a doubling table that holds `offset`."""
        first_row = self._width * self._first_block
        row = (offset // first_row).bit_length()
        size = self._first_block << max(row - 1, 0)
        start = first_row << row - 1 if row else 0
        column = (offset - start) // size
        return row, column, start + column * size, size

    def _rows_of(self, size: int) -> int:
        """How many rows the indirect block has that spans `size` bytes."""
        return size.bit_length() - (self._first_block * self._width).bit_length() + 1

    def _entry(self, address: int, rows: int, index: int) -> int | None:
        """Address of the child `index` of the indirect block at `address`."""
        source = self._source
        prefix = 5 + source.offset_bytes + self._space_bytes
        if address not in self._blocks:
            size = prefix + rows * self._width * source.offset_bytes + 4
            source.checked(address, size).expect(b"FHIB\0", "signature and version")
            self._blocks[address] = size
        at = address + prefix + index * source.offset_bytes
        return source.cursor(at, source.offset_bytes).offset()

    def _check_block(self, address: int, size: int) -> None:
        """Check a direct block once; its checksum stands behind its prefix and counts as zero."""
        if address in self._blocks:
            return
        source = self._source
        source.cursor(address, 5).expect(b"FHDB\0", "signature and version")
        if self._block_checksums:
            at = 5 + source.offset_bytes + self._space_bytes
            source.check_hole(address, size, at)
        self._blocks[address] = size
