"""Invalid compositions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from generator import raw
from generator.broken_indexes import COMPOSITIONS, add_table, shorten
from generator.cases import Suite
from generator.edits import column, drop, item, put, swap
from generator.raw import Change, packed


def add(suite: Suite) -> None:
    """Add the cases to `suite`."""
    why = (
        "A composed file is made of what the segments say: other bytes come back, or far too many."
    )
    names = ("files", "segments", "sources", "source", "offset", "length")
    table: list[tuple[str, str, Change, Sequence[str], str]] = [
        (f"missing-{name}", f"{name} is missing", drop(f"/{name}"), ["CMP-01"], "")
        for name in names
    ]
    table += [
        (f"type-{name}", f"{name} is a string", put(f"/{name}", "x"), ["CMP-01"], f"/{name}")
        for name in ("files", "offset")
    ]
    table += [(f"short-{name}", f"The column {name} lacks its last byte", shorten(name), ["CMP-01"], f"/{name}")
              for name in ("segments", "offset")]  # fmt: skip
    table += [
        ("unknown-member", "An unknown member", put("/sizes", b""), ["CMP-01"], ""),
        ("file-order", "Files in another order", swap("/files", 0, 1), ["CMP-01"], "/files"),
        ("source-order", "Sources in another order", swap("/sources", 0, 1), ["CMP-01"], "/sources"),
        ("source-unused", "A source that no segment uses", put("/sources/-", "zzz.bin"), ["CMP-01", "CMP-03"], "/source"),
        ("source-position", "A position beyond the sources", item("source", 0, 9), ["CMP-01"], "/source"),
        ("segments-huge", "A file of 2^32 - 1 segments", item("segments", 1, 2**32 - 1), ["CMP-01"], "/"),
        ("segments-moved", "A segment counted to the next file", column("segments", [2, 2]), ["CMP-05"], "/"),
        ("no-segments", "A file without segments", column("segments", [0, 4]), ["CMP-05", "CMP-01"], "/"),
        ("file-unlisted", "A file that the manifest does not list", put("/files/1", "zzz.bin"), ["CMP-02"], "/files"),
        ("file-stored", "A file that is stored", put("/files/1", "net.bin"), ["CMP-02", "CMP-01"], "/files"),
        ("file-missing", "A composed file without segments", _without_last_file, ["CMP-02"], "/files"),
        ("source-composed", "A segment of a composed file", put("/sources/1", "whole.bin"), ["CMP-03"], "/sources"),
        ("source-itself", "A file made of itself", put("/sources/0", "copy.bin"), ["CMP-03"], "/sources"),
        ("source-unlisted", "A segment of a file that is not there", put("/sources/1", "zzz.bin"), ["CMP-03"], "/sources"),
        ("source-manifest", "A segment of the manifest", put("/sources/0", "manifest.json"), ["CMP-03"], "/sources"),
        ("source-traversal", "A segment of a file outside", put("/sources/0", "../etc"), ["CMP-03"], "/sources"),
        ("segment-past-end", "A segment that ends after its source", item("offset", 3, 1), ["CMP-04"], "/offset"),
        ("segment-overflow", "An offset that overflows", item("offset", 0, 2**64 - 1), ["CMP-04"], "/offset"),
        ("segment-wraps", "Offset and length that sum to 0", item("offset", 1, 2**64 - 16), ["CMP-04"], "/offset"),
        ("segment-empty", "A segment without bytes", _with_empty_segment, ["CMP-05"], "/length"),
        ("segment-unjoined", "Two segments that are one", _split_segment, ["CMP-05"], "/offset"),
        ("size-short", "Segments of fewer bytes than the file", item("length", 0, 4), ["CMP-05"], "/files"),
        ("size-long", "Segments of more bytes than the file", item("length", 1, 17), ["CMP-05"], "/files"),
        ("length-huge", "A segment of 2^63 bytes", item("length", 0, 2**63), ["CMP-04", "CMP-05"], "/"),
    ]  # fmt: skip
    add_table(
        suite,
        "compositions",
        table,
        why,
        "archive/composed",
        "compositions",
        COMPOSITIONS,
        "compositions",
    )
    suite.invalid(
        "compositions/wrong-bytes",
        "Segments of other bytes of the same size",
        twin="archive/composed",
        stage="compositions",
        change=item("offset", 1, 20),
        rules=["CMP-06"],
        place="copy.bin",
        phase="bytes",
        why=why,
    )
    suite.invalid(
        "compositions/wrong-order",
        "Two segments in another order",
        twin="archive/composed",
        stage="compositions",
        change=_exchanged,
        rules=["CMP-06"],
        place="copy.bin",
        phase="bytes",
        why=why,
    )
    size_zero = put("/files/1/size", 0)
    suite.invalid(
        "compositions/size-zero",
        "A composed file of size 0",
        twin="archive/composed",
        stage="manifest",
        change=size_zero,
        rules=["CMP-05"],
        place="",
        phase="compositions",
        also=["MAN-05"],
        why="A file without bytes is stored.",
    )


def _exchanged(value: dict[str, Any]) -> None:
    """Exchange the first and the third segment, both of the residue: 5 bytes and 4."""
    value["offset"] = packed("Q", [5, 16, 0, 0])
    value["length"] = packed("Q", [4, 16, 5, 64])


def _without_last_file(value: dict[str, Any]) -> dict[str, Any]:
    return raw.compositions(
        {"copy.bin": [("residue.bin", 0, 5), ("net.bin", 16, 16), ("residue.bin", 5, 4)]}
    )


def _with_empty_segment(value: dict[str, Any]) -> None:
    value |= {"segments": packed("I", [3, 2]), "source": value["source"] + packed("I", [1]),
              "offset": value["offset"] + packed("Q", [0]), "length": value["length"] + packed("Q", [0])}  # fmt: skip


def _split_segment(value: dict[str, Any]) -> None:
    value |= {"segments": packed("I", [3, 2]), "source": value["source"] + packed("I", [0]),
              "offset": packed("Q", [0, 16, 5, 0, 32]), "length": packed("Q", [5, 16, 4, 32, 32])}  # fmt: skip
