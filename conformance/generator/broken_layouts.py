"""Invalid archives: every header field, what is in the wrong place, missing or too much."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

from generator.archives import Member, end_records
from generator.cases import Suite
from generator.edits import (
    append,
    at_header,
    both,
    cut,
    extra_file,
    insert_before,
    member,
    prepend,
)  # fmt: skip
from generator.raw import Change

ARCHIVE = "archive@"
HEADER_WHY = "Readers that trust different headers see different files: every byte that is not data is fixed."
STRUCTURE_WHY = "Bytes that no Reader looks at can hide anything, and change no digest."

_LOCAL_FIELDS: Sequence[tuple[str, int, bytes, Sequence[str]]] = (
    ("signature", 0, b"PK\3\5", ["ARC-06"]),
    ("version", 4, b"\x14\0", ["ARC-08"]),
    ("flag-encrypted", 6, b"\1\x08", ["ARC-02"]),
    ("flag-descriptor", 6, b"\x08\x08", ["ARC-02"]),
    ("flag-no-utf8", 6, b"\0\0", ["ARC-02"]),
    ("method-deflate", 8, b"\x08\0", ["ARC-02"]),
    ("time", 10, b"\1\0", ["ARC-08"]),
    ("date", 12, b"\x22\0", ["ARC-08"]),
    ("crc", 14, b"\1\2\3\4", ["ARC-03"]),
    ("compressed-size", 18, b"\x3f\0\0\0", ["ARC-11"]),
    ("size", 22, b"\x3f\0\0\0", ["ARC-11"]),
    ("size-zip64", 22, b"\xff\xff\xff\xff", ["ARC-11"]),
    ("name-length", 26, b"\x06\0", ["ARC-05"]),
    ("extra-length", 28, b"\0\0", ["ARC-06"]),
    ("name", 30, b"nat.bin", ["ARC-05"]),
    ("padding-id", 37, b"\x42\x4d", ["ARC-06"]),
    ("padding-length", 39, b"\xff\0", ["ARC-06"]),
    ("padding-not-zero", 41, b"\1", ["ARC-06"]),
    ("extra-is-zip64", 37, b"\1\0", ["ARC-09"]),
)
_CENTRAL_FIELDS: Sequence[tuple[str, int, bytes, Sequence[str]]] = (
    ("signature", 0, b"PK\1\3", ["ARC-07"]),
    ("made-by-unix", 4, b"\x2d\3", ["ARC-08"]),
    ("version", 6, b"\x14\0", ["ARC-08"]),
    ("flags", 8, b"\0\0", ["ARC-02"]),
    ("method", 10, b"\x08\0", ["ARC-02"]),
    ("date", 14, b"\x22\0", ["ARC-08"]),
    ("crc", 16, b"\1\2\3\4", ["ARC-03"]),
    ("size", 24, b"\x3f\0\0\0", ["ARC-11"]),
    ("name-length", 28, b"\x06\0", ["ARC-05"]),
    ("extra-length", 30, b"\4\0", ["ARC-06"]),
    ("comment-length", 32, b"\1\0", ["ARC-08"]),
    ("disk", 34, b"\1\0", ["ARC-08"]),
    ("internal-attributes", 36, b"\1\0", ["ARC-08"]),
    ("external-attributes-link", 38, b"\0\0\xff\xa1", ["ARC-08"]),
    ("offset", 42, b"\0\0\0\0", ["ARC-04"]),
    ("offset-zip64", 42, b"\xff\xff\xff\xff", ["ARC-04"]),
    ("name", 46, b"nat.bin", ["ARC-05"]),
    ("name-traversal", 46, b"../a.bi", ["ARC-05"]),
)
_END_FIELDS: Sequence[tuple[str, int, bytes]] = (
    ("signature", 0, b"PK\5\7"),
    ("disk", 4, b"\1\0"),
    ("directory-disk", 6, b"\1\0"),
    ("count-on-disk", 8, b"\1\0"),
    ("count", 10, b"\1\0"),
    ("count-zip64", 10, b"\xff\xff"),
    ("directory-size", 12, b"\0\0\0\0"),
    ("directory-offset", 16, b"\0\0\0\0"),
    ("comment-length", 20, b"\1\0"),
)
_MANIFEST_FIELDS: Sequence[tuple[str, int, bytes, Sequence[str]]] = (
    ("signature", 0, b"PK\0\0", ["ARC-01", "RDR-01"]),
    ("name", 30, b"Manifest.json", ["ARC-01", "RDR-01"]),
    ("name-length", 26, b"\x0c\0", ["ARC-01", "RDR-01"]),
    ("size-beyond-end", 18, struct.pack("<2L", 1 << 20, 1 << 20), ["ARC-07", "ARC-11"]),
    ("size-over-limit", 18, struct.pack("<2L", 1 << 25, 1 << 25), ["MAN-12"]),
)


def add(suite: Suite) -> None:
    """Add the cases to `suite`."""
    _headers(suite)
    _structure(suite)


def _refuse(
    suite: Suite,
    id: str,
    title: str,
    stage: str,
    change: Change,
    rules: Sequence[str],
    why: str = STRUCTURE_WHY,
    place: str = ARCHIVE,
    also: Sequence[str] = (),
) -> None:
    suite.invalid(
        f"archive/{id}",
        title,
        twin="archive/plain",
        stage=stage,
        change=change,
        rules=rules[:1],
        also=[*rules[1:], *also],
        place=place,
        phase="layout",
        why=why,
    )


def _headers(suite: Suite) -> None:
    tables = (("local", _LOCAL_FIELDS), ("central", _CENTRAL_FIELDS))
    for kind, table in tables:
        for id, offset, new, rules in table:
            title = f"The {kind} header of net.bin: {id.replace('-', ' ')}"
            change = at_header(kind, "net.bin", offset, new)
            _refuse(suite, f"{kind}-{id}", title, "archive", change, rules, HEADER_WHY)
    for id, offset, new in _END_FIELDS:
        _refuse(
            suite,
            f"end-{id}",
            f"The end record: {id.replace('-', ' ')}",
            "archive",
            at_header("end", "", offset, new),
            ["ARC-07"],
            HEADER_WHY,
        )
    for id, offset, new, rules in _MANIFEST_FIELDS:
        place = "manifest.json" if rules == ["MAN-12"] else ARCHIVE
        _refuse(
            suite,
            f"manifest-{id}",
            f"The header of the manifest: {id.replace('-', ' ')}",
            "archive",
            at_header("local", "manifest.json", offset, new),
            rules,
            "The first header is all that a Reader knows before it has the manifest.",
            place,
        )


def _structure(suite: Suite) -> None:
    hidden = Member(b"hidden.bin", b"hidden")
    comment = lambda data: data[:-2] + b"\5\0hello"  # noqa: E731
    zip64 = struct.pack("<2H2Q", 1, 16, 64, 64)
    end64 = end_records(0xFFFF, 0, 0)[:-22]
    deflated = zlib.compress(bytes(64), wbits=-15)
    table: list[tuple[str, str, str, Change, Sequence[str]]] = [
        ("byte-before", "A byte before the first header", "archive", prepend(b"\0"), ["ARC-01", "RDR-01"]),
        ("script-before", "A program before the archive", "archive", prepend(b"#!/bin/sh\nexit\n"),
         ["ARC-01", "RDR-01"]),
        ("byte-after", "A byte after the end record", "archive", append(b"\0"), ["ARC-07"]),
        ("comment", "A comment", "archive", comment, ["ARC-07"]),
        ("second-archive-after", "Another archive after the end", "archive",
         lambda data: data + data, ["ARC-07"]),
        ("truncated-one-byte", "The last byte is missing", "archive", cut(1), ["ARC-07"]),
        ("truncated-end-record", "The end record is missing", "archive", cut(22), ["ARC-07"]),
        ("truncated-directory", "The archive ends within the central directory", "archive", cut(60), ["ARC-07", "ARC-04"]),
        ("truncated-header", "The archive ends within the header of the manifest", "archive",
         lambda data: data[:40], ["ARC-01", "ARC-07", "RDR-01"]),
        ("truncated-manifest", "The archive ends within the manifest", "archive",
         lambda data: data[:200], ["ARC-07"]),
        ("empty", "A file without a byte", "archive", lambda _: b"", ["ARC-01", "RDR-01"]),
        ("gap", "Bytes between two members", "members", member("net.bin", before=bytes(64)), ["ARC-06"]),
        ("gap-before-directory", "Bytes between the last member and the directory", "archive",
         insert_before("central", "manifest.json", b"data"), ["ARC-06", "ARC-07", "ARC-04"]),
        ("gap-before-end", "Bytes between the directory and the end record", "archive",
         insert_before("end", "", b"data"), ["ARC-07"]),
        ("unlisted-member", "A member that the manifest does not list", "members",
         lambda members: [*members, hidden], ["ARC-05"]),
        ("unlisted-in-directory", "A member that the central directory does not list", "members",
         lambda members: [*members[:-1], Member(members[-1].name, members[-1].data, listed=False)],
         ["ARC-05", "ARC-07", "ARC-04"]),
        ("hidden-member", "A member in neither manifest nor central directory", "members",
         lambda members: [*members, Member(b"hidden.bin", b"hidden", listed=False)],
         ["ARC-05", "ARC-06", "ARC-04", "ARC-07"]),
        ("missing-member", "A stored file without a member", "members",
         lambda members: members[:-1], ["ARC-05", "ARC-06"]),
        ("duplicate-member", "A member twice", "members",
         lambda members: [*members, members[-1]], ["ARC-05"]),
        ("duplicate-manifest", "A second manifest.json", "members",
         lambda members: [*members, Member(b"manifest.json", b"{}")], ["ARC-05"]),
        ("order", "Two members in another order", "members",
         lambda members: [*members[:-2], members[-1], members[-2]], ["ARC-05"]),
        ("index-not-second", "The tensor index is not the second member", "members",
         lambda members: [members[0], *members[2:], members[1]], ["ARC-05"]),
        ("directory-member", "A member for a directory", "members",
         lambda members: [*members, Member(b"sub/", b"")], ["ARC-05"]),
        ("member-traversal", "A member named ../net.bin", "members",
         member("net.bin", name=b"../net.bin"), ["ARC-05"]),
        ("deflated", "A deflated member", "members",
         member("net.bin", data=deflated, method=8, size=64), ["ARC-02"]),
        ("zip64-local", "A zip64 field for a small size", "members",
         member("net.bin", extra_before_padding=zip64), ["ARC-09", "ARC-06"]),
        ("zip64-central", "A zip64 field in the directory for a small size", "members",
         member("net.bin", central_extra=zip64), ["ARC-09"]),
        ("zip64-end", "Zip64 end records for few members", "archive",
         insert_before("end", "", end64), ["ARC-09", "ARC-07"]),
        ("other-extra-field", "An extra field of another kind", "members",
         member("net.bin", extra_before_padding=b"UT\5\0\1\0\0\0\0"), ["ARC-06"]),
        ("unaligned", "Padding that does not align", "archive", _unaligned, ["ARC-06"]),
        ("member-longer", "A member longer than its file", "members",
         member("net.bin", data=bytes(65)), ["ARC-11"]),
        ("member-shorter", "A member shorter than its file", "members",
         member("net.bin", data=bytes(63)), ["ARC-11"]),
        ("index-size", "The tensor index longer than the manifest says", "members",
         lambda members: [members[0], Member(members[1].name, members[1].data + b"\0"), *members[2:]],
         ["ARC-11"]),
    ]  # fmt: skip
    for id, title, stage, change, rules in table:
        _refuse(suite, id, title, stage, change, rules)
    crc = both(
        at_header("local", "net.bin", 14, b"\1\2\3\4"),
        at_header("central", "net.bin", 16, b"\1\2\3\4"),
    )
    suite.invalid(
        "archive/crc",
        "Another CRC-32, in both headers",
        twin="archive/plain",
        stage="archive",
        change=crc,
        rules=["ARC-10"],
        place=ARCHIVE,
        phase="bytes",
        why="ZIP tools compare nothing else with the data.",
    )
    suite.invalid(
        "archive/composed-stored",
        "A member for a composed file",
        twin="archive/composed",
        stage="stored",
        change=extra_file("copy.bin", b"head-"),
        rules=["ARC-05"],
        place=ARCHIVE,
        phase="layout",
        why="What is composed is not stored as well.",
    )


def _unaligned(data: bytes) -> bytes:
    """Move the padding of net.bin to the data after it: its header's extra field is empty."""
    found = at_header("local", "net.bin", 39, b"\0\0")(data)
    return at_header("local", "net.bin", 28, b"\4\0")(found)
