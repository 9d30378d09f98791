"""B-trees of both versions (Specification, III.A).

Version 1 indexes the symbol tables of old groups and the chunks of datasets, version 2 dense
links, dense attributes, huge heap objects and the chunks of newer datasets. Levels must go down
by one from parent to child, so no tree is deeper than its root says.

    for record in records_v2(source, address, kinds=(5,)): ...
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from modelbundle.sources.hdf5.source import Cursor, Source

GROUP_NODES = 0
CHUNK_NODES = 1
_DEEPEST = 40


def leaves_v1(
    source: Source, address: int, kind: int, key_bytes: int
) -> Iterator[tuple[bytes, int]]:
    """Key and child address of every entry at level 0 of the tree at `address`."""
    pending: list[tuple[int, int | None]] = [(address, None)]
    while pending:
        node, expected_level = pending.pop()
        level, entries = _node_v1(source, node, kind, key_bytes, expected_level)
        if level == 0:
            yield from entries
        else:
            pending.extend((child, level - 1) for _, child in reversed(entries))


def _node_v1(
    source: Source, address: int, kind: int, key_bytes: int, expected_level: int | None
) -> tuple[int, list[tuple[bytes, int]]]:
    cursor = source.cursor(address, 8 + 2 * source.offset_bytes)
    cursor.expect(b"TREE" + bytes([kind]), "signature and node type")
    level, count = cursor.uint(1), cursor.uint(2)
    if level != (level if expected_level is None else expected_level) or level > _DEEPEST:
        raise cursor.malformed(f"level {expected_level} of at most {_DEEPEST}", level)
    entry_bytes = key_bytes + source.offset_bytes
    body = source.cursor(address + len(cursor.data), count * entry_bytes)
    return level, [(body.take(key_bytes), body.defined()) for _ in range(count)]


@dataclass(frozen=True, slots=True)
class _Tree:
    """What the header of a version 2 tree says."""

    kind: int
    node_bytes: int
    record_bytes: int
    depth: int
    root: int | None
    root_records: int


def records_v2(source: Source, address: int, kinds: tuple[int, ...]) -> Iterator[tuple[int, bytes]]:
    """Type of the tree and bytes of each record, not in order."""
    tree = _read_header_v2(source, address, kinds)
    if tree.root is None:
        return
    counts = _capacities(source, tree)
    pending = [(tree.root, tree.root_records, tree.depth)]
    while pending:
        node, count, depth = pending.pop()
        pointer = source.offset_bytes + sum(counts[depth])
        used = 10 + count * tree.record_bytes + ((count + 1) * pointer if depth else 0)
        cursor = source.checked(node, min(used, tree.node_bytes))
        cursor.expect(
            (b"BTIN" if depth else b"BTLF") + bytes([0, tree.kind]), "signature and node type"
        )
        for _ in range(count):
            yield tree.kind, cursor.take(tree.record_bytes)
        if depth:
            pending.extend(_children(cursor, count, depth, counts[depth]))


def _read_header_v2(source: Source, address: int, kinds: tuple[int, ...]) -> _Tree:
    cursor = source.checked(address, 22 + source.offset_bytes + source.length_bytes)
    cursor.expect(b"BTHD\0", "signature and version")
    kind, node_bytes, record_bytes = cursor.uint(1), cursor.uint(4), cursor.uint(2)
    depth = cursor.uint(2)
    cursor.take(2)
    root, root_records = cursor.offset(), cursor.uint(2)
    if kind not in kinds or not record_bytes or node_bytes < 10 + record_bytes or depth > _DEEPEST:
        raise cursor.malformed(f"a tree of type {kinds}", (kind, node_bytes, record_bytes, depth))
    return _Tree(kind, node_bytes, record_bytes, depth, root, root_records)


def _capacities(source: Source, tree: _Tree) -> list[tuple[int, int]]:
    """By depth, how many bytes the two counts beside a child pointer take."""
    leaf = (tree.node_bytes - 10) // tree.record_bytes
    own = count_bytes(leaf)
    cumulative, widths = leaf, [(0, 0)]
    for depth in range(1, tree.depth + 1):
        total = count_bytes(cumulative) if depth > 1 else 0
        pointer = source.offset_bytes + own + total
        most = max(tree.node_bytes - 10 - pointer, 0) // (tree.record_bytes + pointer)
        cumulative = (most + 1) * cumulative + most
        widths.append((own, total))
    return widths


def _children(
    cursor: Cursor, count: int, depth: int, widths: tuple[int, int]
) -> list[tuple[int, int, int]]:
    own, total = widths
    children = []
    for _ in range(count + 1):
        child = cursor.defined()
        children.append((child, cursor.uint(own), depth - 1))
        cursor.take(total)
    return children


def count_bytes(largest: int) -> int:
    """How many bytes HDF5 takes for a number up to `largest`."""
    return (max(largest, 1).bit_length() - 1) // 8 + 1
