"""The links of a group: names and the object headers they lead to (Specification, III and IV).

Hard links only. A soft, external or user-defined link is refused wherever it leads.

    read_links(source, header)       # [("dense", 2048), …]
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import pairwise

from modelbundle.core.findings import BundleError, checks, refuse
from modelbundle.core.limits import LIMITS
from modelbundle.sources.hdf5.btrees import GROUP_NODES, leaves_v1, records_v2
from modelbundle.sources.hdf5.headers import LINK, LINK_INFO, SYMBOL_TABLE, Header
from modelbundle.sources.hdf5.heaps import FractalHeap
from modelbundle.sources.hdf5.source import Cursor, Source

_HARD, _SOFT, _EXTERNAL = 0, 1, 64
_CACHED_SOFT_LINK = 2
_NAME_RECORDS = 5

# Name and object header, cache type, scratch space; by the width of addresses.
_ENTRIES = {
    width: struct.Struct(f"<{code}{code}I20x") for width, code in ((2, "H"), (4, "I"), (8, "Q"))
}


def is_group(header: Header) -> bool:
    """Whether an object is a group."""
    return any(message.kind in (SYMBOL_TABLE, LINK_INFO, LINK) for message in header.messages)


def read_links(source: Source, header: Header) -> list[tuple[str, int]]:
    """Names and object header addresses, sorted by the names' bytes.

    Raises BundleError (HDF-02, HDF-03, HDF-08).
    """
    links = sorted(_all_links(source, header))
    for (name, _), (following, _) in pairwise(links):
        if name == following:
            raise source.malformed(header.address, "each name once in a group", repr(name))
    return [(_decode(source, header, name), address) for name, address in links]


def _all_links(source: Source, header: Header) -> Iterator[tuple[bytes, int]]:
    table = header.first(SYMBOL_TABLE)
    if table is not None:
        yield from _symbol_table(source, Cursor(source, table.data, table.address))
    for message in header.all(LINK):
        yield _read_link(Cursor(source, message.data, message.address))
    info = header.first(LINK_INFO)
    if info is not None:
        yield from _dense_links(source, Cursor(source, info.data, info.address))


def _decode(source: Source, header: Header, name: bytes) -> str:
    try:
        text = name.decode()
    except UnicodeDecodeError:
        raise source.malformed(header.address, "a link name in UTF-8", name[:80]) from None
    if not text or text == "." or "/" in text or len(name) > LIMITS.name_bytes:
        raise source.malformed(
            header.address, f"a link name of 1 to {LIMITS.name_bytes} bytes, no '/'", text
        )
    return text


def _symbol_table(source: Source, cursor: Cursor) -> Iterator[tuple[bytes, int]]:
    tree, heap = cursor.defined(), cursor.defined()
    names, names_bytes = _local_heap(source, heap)
    entry = _ENTRIES[source.offset_bytes]
    for _, node in leaves_v1(source, tree, GROUP_NODES, source.length_bytes):
        head = source.cursor(node, 8)
        head.expect(b"SNOD\1\0", "signature and version")
        entries = source.read(node + 8, head.uint(2) * entry.size)
        for at, address, cached in entry.iter_unpack(entries):
            name = source.read_name(names + at, names_bytes - at)
            if cached == _CACHED_SOFT_LINK:
                raise _refuse_link(source, node, _SOFT, name)
            if address == source.undefined:
                raise source.malformed(
                    node, f"an address for {name[:80]!r}", "the undefined address"
                )
            yield name, address


def _local_heap(source: Source, address: int) -> tuple[int, int]:
    """Address and size of the names of a symbol table."""
    cursor = source.cursor(address, 8 + 2 * source.length_bytes + source.offset_bytes)
    cursor.expect(b"HEAP\0", "signature and version")
    cursor.take(3)
    size = cursor.length()
    cursor.length()
    return cursor.defined(), size


def _dense_links(source: Source, cursor: Cursor) -> Iterator[tuple[bytes, int]]:
    cursor.version(0)
    cursor.take(8 if cursor.uint(1) & 1 else 0)
    heap_address, tree = cursor.offset(), cursor.offset()
    if heap_address is None or tree is None:
        return
    heap = FractalHeap(source, heap_address)
    for _, record in records_v2(source, tree, (_NAME_RECORDS,)):
        data, address = heap.get(record[4:11])
        yield _read_link(Cursor(source, data, address))


def _read_link(cursor: Cursor) -> tuple[bytes, int]:
    cursor.version(1)
    flags = cursor.uint(1)
    kind = cursor.uint(1) if flags & 8 else _HARD
    cursor.take((8 if flags & 4 else 0) + (1 if flags & 16 else 0))
    name = cursor.take(cursor.uint(1 << (flags & 3)))
    if kind != _HARD:
        raise _refuse_link(cursor.source, cursor.address, kind, name)
    return name, cursor.defined()


@checks("HDF-02", "HDF-03")
def _refuse_link(source: Source, address: int, kind: int, name: bytes) -> BundleError:
    """An external link leads into another file; a soft one to whatever has its name."""
    rule = "HDF-02" if kind == _EXTERNAL else "HDF-03"
    names = {_SOFT: "soft", _EXTERNAL: "external"}
    return refuse(
        rule,
        f"{source.place}@{source.base + address}",
        "hard links only",
        f"{names.get(kind, 'user-defined')} link {name[:80].decode(errors='replace')!r}",
        "replace the link by the data that it leads to",
    )
