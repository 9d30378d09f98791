"""Invalid elements of strings and bools, and bytes that do not have their digests."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from generator.broken_indexes import COMPOSITIONS, INDEX, add_table
from generator.cases import Suite
from generator.edits import at, flip, item, put, stored_file
from generator.valid_tensors import string_checksum, string_tensor


def add(suite: Suite) -> None:
    """Add the cases to `suite`."""
    _contents(suite)
    _digests(suite)


def _contents(suite: Suite) -> None:
    """Strings and bools: the twin's data with a change, digests following."""
    why = "Elements that are not of their dtype make one reader fail and another read beyond."
    words = string_tensor([b"hi", b"", b"abc"])

    def refuse(id: str, title: str, twin: str, rule: str, edit: Callable[[bytes], bytes]) -> None:
        suite.invalid(
            f"contents/{id}",
            title,
            twin=twin,
            stage="data",
            change=edit,
            rules=[rule],
            place="",
            phase="bytes",
            why=why,
        )

    refuse(
        "string-checksum", "A wrong checksum of the lengths", "strings/vector", "TEN-13", flip(3)
    )
    refuse(
        "string-length-long",
        "Lengths that sum to more than the content",
        "strings/vector",
        "TEN-13",
        lambda _: b"\x02\0\x04" + string_checksum([2, 0, 4]) + words[7:],
    )
    refuse(
        "string-length-short",
        "Lengths that sum to less than the content",
        "strings/vector",
        "TEN-13",
        lambda _: b"\x02\0\x02" + string_checksum([2, 0, 2]) + words[7:],
    )
    refuse(
        "string-varint-endless",
        "A length that does not end",
        "strings/vector",
        "TEN-13",
        lambda data: b"\xff" * len(data),
    )
    refuse(
        "string-length-huge",
        "A length of 2^63",
        "strings/long",
        "TEN-13",
        lambda data: b"\x80" * 9 + b"\x01" + data[10:],
    )
    refuse(
        "string-empty-checksum",
        "A wrong checksum of no lengths",
        "strings/empty",
        "TEN-13",
        at(0, struct.pack("<I", 1)),
    )
    refuse("bool-two", "A bool of 2", "dtypes/bool", "TEN-14", at(1, b"\x02"))
    refuse("bool-255", "A bool of 255", "dtypes/bool", "TEN-14", at(2, b"\xff"))
    add_table(
        suite,
        "contents",
        [
            (
                "string-too-short",
                "A string tensor shorter than elements + 4",
                item("length", 0, 6),
                ["TEN-08"],
                "/length",
            ),
        ],
        why,
        "strings/vector",
    )
    add_table(
        suite,
        "contents",
        [
            (
                "string-empty-too-long",
                "A string tensor without elements of five bytes",
                item("length", 0, 5),
                ["TEN-08"],
                "/length",
            ),
        ],
        why,
        "strings/empty",
    )


def _digests(suite: Suite) -> None:
    why = "Whoever has the bundle digest has every byte: a single bit that differs is seen."
    for layout in ("archive", "directory"):
        twin = f"{layout}/plain"
        table = [("file", "A bit of a file of tensors", "net.bin", 20), ("small", "A bit of another file", "sub/more.bin", -1),
                 ("unused", "A bit that no tensor has", "net.bin", 60)]  # fmt: skip
        for id, title, path, where in table:
            suite.invalid(
                f"integrity/{layout}-{id}",
                f"{title} is flipped ({layout})",
                twin=twin,
                stage="stored",
                change=stored_file(path, flip(where)),
                rules=["IDN-02"],
                place=path,
                phase="bytes",
                why=why,
            )
        suite.invalid(
            f"integrity/{layout}-index",
            f"A bit of the tensor index is flipped ({layout})",
            twin=twin,
            stage="stored",
            change=stored_file(INDEX, flip(-2)),
            rules=["IDN-02"],
            place=INDEX,
            phase="index",
            also=["RDR-02"],
            why="The index is compared with its digest before it is decoded.",
        )
        composed = f"{layout}/composed"
        suite.invalid(
            f"integrity/{layout}-compositions",
            f"A bit of the compositions is flipped ({layout})",
            twin=composed,
            stage="stored",
            change=stored_file(COMPOSITIONS, flip(-2)),
            rules=["IDN-02"],
            place=COMPOSITIONS,
            phase="compositions",
            also=["RDR-02"],
            why=why,
        )
        suite.invalid(
            f"integrity/{layout}-residue",
            f"A bit of the residue is flipped ({layout})",
            twin=composed,
            stage="stored",
            change=stored_file("residue.bin", flip(0)),
            rules=["IDN-02"],
            place="residue.bin",
            phase="bytes",
            why=why,
        )
    for id, path, pointer in (
        ("digest-of-file", "net.bin", "/files/1/digest"),
        ("digest-of-empty", "empty.bin", "/files/0/digest"),
    ):
        suite.invalid(
            f"integrity/{id}",
            f"The manifest has another digest of {path}",
            twin="archive/plain",
            stage="manifest",
            change=put(pointer, "sha256:" + "1" * 64),
            rules=["IDN-02"],
            place=path,
            phase="bytes",
            why=why,
        )
    suite.invalid(
        "integrity/digest-of-composed",
        "The manifest has another digest of a composed file",
        twin="archive/composed",
        stage="manifest",
        change=put("/files/1/digest", "sha256:" + "1" * 64),
        rules=["CMP-06"],
        place="",
        phase="bytes",
        why=why,
    )
    suite.invalid(
        "integrity/size-of-file",
        "The manifest has another size of net.bin",
        twin="directory/plain",
        stage="manifest",
        change=put("/files/1/size", 65),
        rules=["IDN-03"],
        also=["DIR-05"],
        place="net.bin",
        phase="layout",
        why=why,
    )
    suite.invalid(
        "integrity/digest-of-tensor",
        "The index has another digest of a row",
        twin="archive/plain",
        stage="index",
        change=lambda value: value | {"digest": flip(40)(value["digest"])},
        rules=["TEN-10"],
        place="net.bin",
        phase="bytes",
        why=why,
    )
    suite.invalid(
        "integrity/digest-of-empty-tensor",
        "The index has another digest of no bytes",
        twin="shapes/zero-size",
        stage="index",
        change=lambda value: value | {"digest": flip(0)(value["digest"])},
        rules=["TEN-10"],
        place="net.bin",
        phase="bytes",
        why=why,
    )
    suite.invalid(
        "integrity/digests-swapped",
        "The digests of two rows are exchanged",
        twin="archive/plain",
        stage="index",
        change=_swapped_digests,
        rules=["TEN-10"],
        place="net.bin",
        phase="bytes",
        why=why,
    )


def _swapped_digests(value: dict[str, Any]) -> dict[str, Any]:
    digest = value["digest"]
    return value | {"digest": digest[32:64] + digest[:32] + digest[64:]}
