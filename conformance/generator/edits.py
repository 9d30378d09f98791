"""Changes that a case makes at one stage: each function gives a `Change`.

put("/files/0/size", 7)            # a member of the manifest or of a MessagePack map
item("offset", 0, 2**63)           # an item of a packed column
at_header("local", "net.bin", 8, b"\\x08\\0")   # bytes of a header of an archive
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from generator import raw
from generator.archives import Member
from generator.raw import Change, Stored

_CODES = {"B": 1, "I": 4, "Q": 8}
_COLUMNS = {"dtype": "B", "rank": "B", "role": "B", "file": "I", "segments": "I", "source": "I",
            "shape": "Q", "offset": "Q", "length": "Q"}  # fmt: skip


def _find(value: Any, pointer: str) -> tuple[Any, Any]:
    """The container and the key that a JSON pointer leads to."""
    *parts, last = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    for part in parts:
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value, int(last) if isinstance(value, list) and last != "-" else last


def put(pointer: str, new: Any) -> Change:
    """Set the value at `pointer`; `-` as last part appends to an array."""

    def change(value: Any) -> None:
        container, key = _find(value, pointer)
        if key == "-":
            container.append(new)
        else:
            container[key] = new

    return change


def drop(pointer: str) -> Change:
    """Take the member or item at `pointer` out."""

    def change(value: Any) -> None:
        container, key = _find(value, pointer)
        del container[key]

    return change


def swap(pointer: str, one: int, two: int) -> Change:
    """Exchange two items of the array at `pointer`."""

    def change(value: Any) -> None:
        container, key = _find(value, pointer)
        array = container[key]
        array[one], array[two] = array[two], array[one]

    return change


def repeat(pointer: str, number: int) -> Change:
    """Write an item of the array at `pointer` twice."""

    def change(value: Any) -> None:
        container, key = _find(value, pointer)
        container[key].insert(number, container[key][number])

    return change


def column(name: str, numbers: Sequence[int]) -> Change:
    """Replace a packed column."""
    return put(f"/{name}", raw.packed(_COLUMNS[name], numbers))


def item(name: str, number: int, new: int) -> Change:
    """Set an item of a packed column."""

    def change(value: dict[str, Any]) -> None:
        width = _CODES[_COLUMNS[name]]
        data = bytearray(value[name])
        data[number * width : (number + 1) * width] = new.to_bytes(width, "little")
        value[name] = bytes(data)

    return change


def both(*changes: Change) -> Change:
    """Several edits that make one change, such as an entry and the count of entries."""

    def change(value: Any) -> Any:
        for each in changes:
            changed = each(value)
            value = value if changed is None else changed
        return value

    return change


def replace(old: bytes, new: bytes, count: int = 1) -> Change:
    """Replace bytes, which have to be there."""

    def change(data: bytes) -> bytes:
        if old not in data:
            raise ValueError(f"{old!r} is not there to be replaced")
        return data.replace(old, new, count)

    return change


def append(more: bytes) -> Change:
    """Add bytes at the end."""
    return lambda data: data + more


def prepend(more: bytes) -> Change:
    """Add bytes at the beginning."""
    return lambda data: more + data


def cut(length: int) -> Change:
    """Take `length` bytes off the end."""
    return lambda data: data[:-length]


def become(data: bytes) -> Change:
    """Replace all there is."""
    return lambda _: data


def at(offset: int, new: bytes) -> Change:
    """Overwrite bytes at `offset`."""
    return lambda data: data[:offset] + new + data[offset + len(new) :]


def flip(offset: int) -> Change:
    """Flip a bit of the byte at `offset`, which can be counted from the end."""

    def change(data: bytes) -> bytes:
        changed = bytearray(data)
        changed[offset] ^= 1
        return bytes(changed)

    return change


def stored_file(path: str, change: Change | None) -> Change:
    """Change a stored file after its size and digest were taken; None takes the file away."""

    def whole(stored: Stored) -> Stored:
        changed = {name: data for name, data in stored.items() if name != path or change}
        return changed | ({path: change(stored[path])} if change else {})

    return whole


def extra_file(path: str, data: bytes) -> Change:
    """Add a stored file that the manifest does not list."""
    return lambda stored: stored | {path: data}


def offsets(data: bytes) -> dict[tuple[str, str], int]:
    """Where the headers of an archive are: ("local" or "central", path), and ("end", "")."""
    end = data.rindex(b"PK\5\6")
    found = {("end", ""): end}
    at = struct.unpack_from("<L", data, end + 16)[0]
    while data[at : at + 4] == b"PK\1\2":
        name, extra = struct.unpack_from("<2H", data, at + 28)
        path = data[at + 46 : at + 46 + name].decode()
        found["local", path] = struct.unpack_from("<L", data, at + 42)[0]
        found["central", path] = at
        at += 46 + name + extra
    return found


def at_header(kind: str, path: str, offset: int, new: bytes) -> Change:
    """Overwrite bytes of a header of an archive, `offset` counted from its signature."""
    return lambda data: at(offsets(data)[kind, path] + offset, new)(data)


def insert_before(kind: str, path: str, new: bytes) -> Change:
    """Insert bytes before a header of an archive."""

    def change(data: bytes) -> bytes:
        where = offsets(data)[kind, path]
        return data[:where] + new + data[where:]

    return change


def member(path: str, **fields: Any) -> Change:
    """Set fields of a member of an archive."""

    def change(members: list[Member]) -> None:
        for each in members:
            if each.name == path.encode():
                for name, new in fields.items():
                    setattr(each, name, new)

    return change
