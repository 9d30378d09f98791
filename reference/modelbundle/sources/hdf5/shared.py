"""Messages that are stored once and referred to: committed datatypes and the shared message table.

data, address = shared.resolve(message)
"""

from __future__ import annotations

from modelbundle.sources.hdf5.datatypes import Datatype, read_datatype
from modelbundle.sources.hdf5.headers import DATATYPE, SHARED_TABLE, Message, read_header
from modelbundle.sources.hdf5.heaps import FractalHeap, GlobalHeaps
from modelbundle.sources.hdf5.messages import Dataspace, read_dataspace
from modelbundle.sources.hdf5.source import Cursor, Source

_IN_HEAP = 1
_HEAP_ID_BYTES = 8
_KEPT = 4096


class Shared:
    """Resolves references to shared messages; keeps datatypes and dataspaces already read."""

    def __init__(self, source: Source, extension: int | None) -> None:
        self.heaps = GlobalHeaps(source)
        self._source = source
        self._extension = extension
        self._tables: list[tuple[int, FractalHeap]] | None = None
        self._datatypes: dict[bytes, Datatype] = {}
        self._dataspaces: dict[bytes, Dataspace] = {}

    def resolve(self, message: Message) -> tuple[bytes, int]:
        """The bytes of a message and their address, wherever they are stored."""
        if not message.shared:
            return message.data, message.address
        return self._follow(message.kind, message.data, message.address)

    def datatype(self, data: bytes, address: int, is_shared: int = 0) -> Datatype:
        """The datatype that a message describes; raises BundleError (HDF-08)."""
        if is_shared:
            data, address = self._follow(DATATYPE, data, address)
        found = self._datatypes.get(data)
        if found is None:
            found = read_datatype(Cursor(self._source, data, address))
            if len(self._datatypes) < _KEPT:
                self._datatypes[data] = found
        return found

    def dataspace(self, data: bytes, address: int, is_shared: int = 0) -> Dataspace:
        """The dataspace that a message describes; raises BundleError (HDF-08)."""
        if is_shared:
            data, address = self._follow(1, data, address)
        found = self._dataspaces.get(data)
        if found is None:
            found = read_dataspace(Cursor(self._source, data, address))
            if len(self._dataspaces) < _KEPT:
                self._dataspaces[data] = found
        return found

    def from_heap(self, kind: int, heap_id: bytes) -> tuple[bytes, int]:
        """A message of a kind out of the file's shared message heaps."""
        if self._tables is None:
            self._tables = self._read_tables()
        for kinds, heap in self._tables:
            if kinds >> kind & 1:
                return heap.get(heap_id)
        raise self._source.malformed(0, f"a heap of shared messages of type {kind}", "none")

    def _follow(self, kind: int, data: bytes, address: int) -> tuple[bytes, int]:
        cursor = Cursor(self._source, data, address)
        version, where = cursor.version(1, 2, 3), cursor.uint(1)
        if version == 3 and where == _IN_HEAP:
            return self.from_heap(kind, cursor.take(_HEAP_ID_BYTES))
        cursor.take(6 if version == 1 else 0)
        message = read_header(self._source, cursor.defined()).first(kind)
        if message is None or message.shared:
            raise cursor.malformed(f"an object with a message of type {kind}", "none")
        return message.data, message.address

    def _read_tables(self) -> list[tuple[int, FractalHeap]]:
        """The shared message table: for each index, the message types it holds and their heap."""
        if self._extension is None:
            return []
        message = read_header(self._source, self._extension).first(SHARED_TABLE)
        if message is None:
            return []
        cursor = Cursor(self._source, message.data, message.address)
        cursor.version(0)
        address, count = cursor.defined(), cursor.uint(1)
        width = 14 + 2 * self._source.offset_bytes
        table = self._source.checked(address, 8 + count * width)
        table.expect(b"SMTB", "signature")
        return [found for _ in range(count) if (found := self._read_index(table))]

    def _read_index(self, table: Cursor) -> tuple[int, FractalHeap] | None:
        table.take(2)
        kinds = table.uint(2)
        table.take(10)
        table.offset()
        heap = table.offset()
        return None if heap is None else (kinds, FractalHeap(self._source, heap))
