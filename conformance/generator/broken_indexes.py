"""Invalid tensor indexes and compositions, and bytes that do not have their digests."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from generator import raw
from generator.cases import Suite
from generator.edits import (
    at, column, drop, flip, item, put, repeat, stored_file, swap,
)  # fmt: skip
from generator.raw import Change, packed
from generator.valid_tensors import string_checksum, string_tensor

INDEX, COMPOSITIONS = "tensors.msgpack", "compositions.msgpack"
Table = Sequence[tuple[str, str, Change, Sequence[str], str]]


_ABOUT = {"index/name-control": ["SEC-02"], "compositions/source-traversal": ["RDR-05"],
          "index/count-huge": ["RDR-04"]}  # fmt: skip
"""Rules of behaviour that cases are about."""


def add(suite: Suite) -> None:
    """Add the cases to `suite`."""
    _members(suite)
    _tables(suite)
    _ranges(suite)
    _namespaces(suite)
    _compositions(suite)
    _contents(suite)
    _digests(suite)


def _add(suite: Suite, area: str, table: Table, why: str, twin: str = "archive/plain",
         stage: str = "index", file: str = INDEX, phase: str = "index") -> None:  # fmt: skip
    for id, title, change, rules, pointer in table:
        place = f"{file}#{pointer}" if pointer else file
        about = _ABOUT.get(f"{area}/{id}", ())
        suite.invalid(f"{area}/{id}", title, twin=twin, stage=stage, change=change, rules=rules[:1],
                      also=rules[1:], place=place, phase=phase, why=why, about=about)  # fmt: skip


def _members(suite: Suite) -> None:
    why = "An index of another shape means nothing that two implementations agree on."
    columns = ("dtype", "rank", "shape", "file", "offset", "length", "digest", "role")
    arrays = ("names", "dtypes", "files", "roles", "namespaces", "attributes")
    table: list[tuple[str, str, Change, Sequence[str], str]] = []
    for name in ("count", *arrays, *columns):
        table.append((f"missing-{name}", f"{name} is missing", drop(f"/{name}"), ["TEN-01"], ""))
        table.append((f"type-{name}", f"{name} is a string", put(f"/{name}", "x"), ["TEN-01"], f"/{name}"))
    for name in ("names", "dtypes", "files", "roles"):
        table.append((f"item-type-{name}", f"An item of {name} is an integer", put(f"/{name}/0", 1),
                      ["TEN-01"], f"/{name}"))  # fmt: skip
    table += [
        ("unknown-member", "An unknown member", put("/shapes", b""), ["TEN-01"], ""),
        ("unknown-namespace-member", "An unknown member in a namespace", put("/namespaces/0/x", 1), ["TEN-01"], "/namespaces/0"),
        ("missing-namespace-member", "A namespace without a system", drop("/namespaces/0/system"), ["TEN-01"], "/namespaces/0"),
        ("namespace-type", "A namespace that is a string", put("/namespaces/0", "x"), ["TEN-01"], "/namespaces/0"),
        ("namespace-name-type", "A name in a namespace that is a binary", put("/namespaces/0/names/0", b"b"),
         ["TEN-01", "TEN-11"], "/namespaces/0"),
        ("unknown-attribute-member", "An unknown member in attributes", put("/attributes/0/x", 1), ["TEN-01"], "/attributes/0"),
        ("attribute-value-type", "An attribute that is an integer", put("/attributes/0/values/slot", 1),
         ["TEN-01", "TEN-15"], "/attributes"),
        ("attributes-map", "Attributes as a map", put("/attributes", {"0": {}}), ["TEN-01"], "/attributes"),
    ]  # fmt: skip
    for name in columns:
        table.append((f"short-{name}", f"The column {name} lacks its last byte", _shorten(name), ["TEN-02"], f"/{name}"))
    table += [
        ("long-offset", "A column with an item more", _lengthen("offset"), ["TEN-02"], "/offset"),
        ("long-shape", "A dimension more than the ranks sum to", _lengthen("shape"), ["TEN-02"], "/shape"),
        ("count-low", "A count less than the rows", put("/count", 3), ["TEN-02"], ""),
        ("count-high", "A count greater than the rows", put("/count", 5), ["TEN-02"], ""),
        ("count-huge", "A count of 2^64 - 1", put("/count", 2**64 - 1), ["TEN-02"], ""),
        ("names-short", "A name less than rows", drop("/names/3"), ["TEN-02"], "/names"),
        ("namespace-short", "Fewer names than rows in a namespace", drop("/namespaces/0/names/2"),
         ["TEN-02", "TEN-11"], "/namespaces/0"),
    ]  # fmt: skip
    _add(suite, "index", table, why)


def _shorten(name: str) -> Change:
    return lambda value: value | {name: value[name][:-1]}


def _lengthen(name: str) -> Change:
    return lambda value: value | {name: value[name] + bytes(8)}


def _tables(suite: Suite) -> None:
    why = "Positions and tables decide which bytes a name stands for."
    table: Table = [
        ("name-order", "Names in another order", swap("/names", 0, 1), ["TEN-03"], "/names"),
        ("name-twice", "A name twice", put("/names/1", "bias"), ["TEN-03"], "/names"),
        ("name-empty", "An empty name", put("/names/0", ""), ["TEN-03"], "/names"),
        ("name-long", "A name of 4097 bytes", put("/names/3", "z" * 4097), ["TEN-03"], "/names"),
        ("name-long-in-bytes", "A name of 2049 characters and 4098 bytes", put("/names/3", "é" * 2049), ["TEN-03"], "/names"),
        ("name-control", "A name with an escape character", put("/names/3", "z\x1b[31m"), ["TEN-03"], "/names"),
        ("name-nul", "A name with a zero byte", put("/names/3", "z\0"), ["TEN-03"], "/names"),
        ("name-c1", "A name with a C1 control character", put("/names/3", "z\x9b"), ["TEN-03"], "/names"),
        ("dtype-unknown", "An unknown dtype", put("/dtypes/0", "float31"), ["TEN-04"], "/dtypes"),
        ("dtype-numpy", "A dtype as numpy writes it", put("/dtypes/0", "<f4"), ["TEN-04"], "/dtypes"),
        ("dtype-bytes0", "bytes0", put("/dtypes/0", "bytes0"), ["TEN-04"], "/dtypes"),
        ("dtype-bytes-large", "bytes10000000", put("/dtypes/0", "bytes10000000"), ["TEN-04"], "/dtypes"),
        ("dtype-order", "Dtypes in another order", swap("/dtypes", 0, 1), ["TEN-05"], "/dtypes"),
        ("dtype-unused", "A dtype that no row has", put("/dtypes/-", "uint9"), ["TEN-05", "TEN-04"], "/dtypes"),
        ("dtype-position", "A position beyond the dtypes", item("dtype", 3, 3), ["TEN-05"], "/dtype"),
        ("file-order", "Files in another order", swap("/files", 0, 1), ["TEN-05"], "/files"),
        ("file-unused", "A file that no row is in", put("/files/-", "sub/z"), ["TEN-05", "TEN-07"], "/files"),
        ("file-twice", "A file twice", put("/files/1", "net.bin"), ["TEN-05"], "/files"),
        ("file-position", "A position beyond the files", item("file", 3, 2**32 - 1), ["TEN-05"], "/file"),
        ("role-order", "Roles in another order", swap("/roles", 0, 1), ["TEN-05"], "/roles"),
        ("role-unused", "A role that no row has", put("/roles/-", "zzz"), ["TEN-05", "TEN-12"], "/roles"),
        ("role-position", "A position beyond the roles", item("role", 0, 255), ["TEN-05"], "/role"),
        ("role-unknown", "An unknown role", put("/roles/2", "weight"), ["TEN-12"], "/roles"),
        ("role-case", "A role in upper case", put("/roles/0", "Optimizer"), ["TEN-12"], "/roles"),
    ]  # fmt: skip
    _add(suite, "index", table, why)


def _ranges(suite: Suite) -> None:
    why = "A Reader maps the file and gives out what the range says: beyond it lie other data."
    huge = 2**64 - 1
    table: Table = [
        ("range-past-end", "A range that ends a byte after its file", item("offset", 2, 1), ["TEN-06"], "/offset"),
        ("range-far", "An offset far beyond the file", item("offset", 0, 2**40), ["TEN-06"], "/offset"),
        ("range-overflow", "An offset that overflows with the length", item("offset", 0, huge), ["TEN-06"], "/offset"),
        ("range-wraps", "Offset and length that sum to 0 in 64 bits", item("offset", 0, 2**64 - 8), ["TEN-06"], "/offset"),
        ("file-unlisted", "A file that the manifest does not list", put("/files/1", "zzz.bin"), ["TEN-07"], "/files"),
        ("file-manifest", "The manifest as a file of tensors", put("/files/0", "manifest.json"), ["TEN-07"], "/files"),
        ("length-short", "A length less than the shape implies", item("length", 0, 7), ["TEN-08"], "/length"),
        ("length-long", "A length greater than the shape implies", item("length", 3, 16), ["TEN-08"], "/length"),
        ("length-zero", "No bytes for elements", item("length", 0, 0), ["TEN-08"], "/length"),
        ("length-huge", "A length of 2^64 - 1", item("length", 0, huge), ["TEN-08", "TEN-06"], "/"),
        ("shape-larger", "A shape of more elements than bytes", item("shape", 0, 3), ["TEN-08"], "/length"),
        ("shape-overflow", "A product of dimensions that is 0 in 64 bits", item("shape", 1, 2**63), ["TEN-08"], "/length"),
        ("shape-wraps", "A product of dimensions that is right in 64 bits", item("shape", 0, 2**62 + 2), ["TEN-08"], "/length"),
        ("shape-zero", "A shape without elements over bytes", item("shape", 0, 0), ["TEN-08"], "/length"),
        ("overlap", "Ranges that share bytes", item("offset", 1, 4), ["TEN-09"], "/offset"),
        ("overlap-inside", "A range within another", item("offset", 3, 16), ["TEN-09"], "/offset"),
        ("overlap-same-start", "Ranges that begin alike and end apart", item("offset", 0, 8), ["TEN-09"], "/offset"),
    ]  # fmt: skip
    _add(suite, "index", table, why)
    _add(suite, "index", [
        ("empty-range-outside", "An empty range beyond its file", item("offset", 0, 65), ["TEN-06"], "/offset"),
    ], why, "shapes/zero-size-at-end")  # fmt: skip
    _add(suite, "index", [
        ("rank-33", "A tensor of rank 33", _rank33, ["TEN-08"], "/"),
    ], why, "shapes/rank-32")  # fmt: skip
    _add(suite, "index", [
        ("packed-length", "A packed tensor of a byte an element", item("length", 0, 15), ["TEN-08"], "/length"),
    ], why, "dtypes/int4-packed")  # fmt: skip
    _add(suite, "index", [
        ("file-composed", "A tensor in a composed file", put("/files/0", "whole.bin"), ["TEN-07"], "/files"),
    ], why, "archive/composed")  # fmt: skip


def _rank33(value: dict[str, Any]) -> dict[str, Any]:
    return value | {"rank": b"\x21", "shape": value["shape"] + packed("Q", [1])}


def _namespaces(suite: Suite) -> None:
    why = "Weights bind by name: a name that means two tensors loads the wrong one in silence."
    space = "/namespaces/0"
    table: Table = [
        ("namespace-order", "Namespaces in another order", swap("/namespaces", 0, 1), ["TEN-11"], "/namespaces"),
        ("namespace-twice", "A namespace twice", repeat("/namespaces", 0), ["TEN-11"], "/namespaces"),
        ("namespace-system", "A system in upper case", put(f"{space}/system", "Example"), ["TEN-11"], space),
        ("namespace-system-empty", "An empty system", put(f"{space}/system", ""), ["TEN-11"], space),
        ("namespace-system-dots", "A system that ends in a dot", put(f"{space}/system", "example."), ["TEN-11"], space),
        ("namespace-no-rows", "A namespace without rows", _emptied, ["TEN-11"], space),
        ("namespace-row-order", "Rows in another order", put(f"{space}/tensors", packed("I", [1, 0, 3])), ["TEN-11"], space),
        ("namespace-row-twice", "A row twice", put(f"{space}/tensors", packed("I", [0, 0, 3])), ["TEN-11"], space),
        ("namespace-row-outside", "A row that is not there", put(f"{space}/tensors", packed("I", [0, 1, 4])), ["TEN-11"], space),
        ("namespace-name-twice", "A name twice", put(f"{space}/names/1", "b:0"), ["TEN-11"], space),
        ("namespace-name-empty", "An empty name", put(f"{space}/names/1", ""), ["TEN-11"], space),
        ("namespace-name-long", "A name of 4097 bytes", put(f"{space}/names/1", "n" * 4097), ["TEN-11"], space),
        ("namespace-name-control", "A name with a line end", put(f"{space}/names/1", "k\n"), ["TEN-11"], space),
        ("namespace-component", "A component that is not there", put(f"{space}/component", "nothing"), ["TEN-16"], "/namespaces"),
        ("attribute-row", "Attributes of a row that is not there", put("/attributes/0/tensor", 4), ["TEN-15"], "/attributes"),
        ("attribute-row-huge", "Attributes of row 2^64 - 1", put("/attributes/0/tensor", 2**64 - 1), ["TEN-15"], "/attributes"),
        ("attribute-empty", "Attributes without values", put("/attributes/0/values", {}), ["TEN-15"], "/attributes"),
        ("attribute-key-empty", "An empty key", put("/attributes/0/values/", "x"), ["TEN-15"], "/attributes"),
        ("attribute-key-long", "A key of 4097 bytes", put(f"/attributes/0/values/{'k' * 4097}", "x"), ["TEN-15"], "/attributes"),
        ("attribute-twice", "Two entries of one row", repeat("/attributes", 0), ["TEN-15"], "/attributes"),
    ]  # fmt: skip
    _add(suite, "index", table, why)


def _emptied(value: dict[str, Any]) -> None:
    value["namespaces"][0] |= {"tensors": b"", "names": []}


def _compositions(suite: Suite) -> None:
    why = "A composed file is made of what the segments say: other bytes come back, or far too many."
    names = ("files", "segments", "sources", "source", "offset", "length")
    table: list[tuple[str, str, Change, Sequence[str], str]] = [
        (f"missing-{name}", f"{name} is missing", drop(f"/{name}"), ["CMP-01"], "") for name in names
    ]
    table += [(f"type-{name}", f"{name} is a string", put(f"/{name}", "x"), ["CMP-01"], f"/{name}") for name in names]
    table += [(f"short-{name}", f"The column {name} lacks its last byte", _shorten(name), ["CMP-01"], f"/{name}")
              for name in ("segments", "source", "offset", "length")]  # fmt: skip
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
    _add(suite, "compositions", table, why, "archive/composed", "compositions", COMPOSITIONS, "compositions")
    suite.invalid("compositions/wrong-bytes", "Segments of other bytes of the same size", twin="archive/composed",
                  stage="compositions", change=item("offset", 1, 20), rules=["CMP-06"], place="copy.bin",
                  phase="bytes", why=why)  # fmt: skip
    suite.invalid("compositions/wrong-order", "Two segments in another order", twin="archive/composed",
                  stage="compositions", change=_exchanged, rules=["CMP-06"],
                  place="copy.bin", phase="bytes", why=why)  # fmt: skip
    size_zero = put("/files/1/size", 0)
    suite.invalid("compositions/size-zero", "A composed file of size 0", twin="archive/composed", stage="manifest",
                  change=size_zero, rules=["CMP-05"], place="", phase="compositions",
                  also=["MAN-05"], why="A file without bytes is stored.")  # fmt: skip


def _exchanged(value: dict[str, Any]) -> None:
    """Exchange the first and the third segment, both of the residue: 5 bytes and 4."""
    value["offset"] = packed("Q", [5, 16, 0, 0])
    value["length"] = packed("Q", [4, 16, 5, 64])


def _without_last_file(value: dict[str, Any]) -> dict[str, Any]:
    return raw.compositions({"copy.bin": [("residue.bin", 0, 5), ("net.bin", 16, 16), ("residue.bin", 5, 4)]})


def _with_empty_segment(value: dict[str, Any]) -> None:
    value |= {"segments": packed("I", [3, 2]), "source": value["source"] + packed("I", [1]),
              "offset": value["offset"] + packed("Q", [0]), "length": value["length"] + packed("Q", [0])}  # fmt: skip


def _split_segment(value: dict[str, Any]) -> None:
    value |= {"segments": packed("I", [3, 2]), "source": value["source"] + packed("I", [0]),
              "offset": packed("Q", [0, 16, 5, 0, 32]), "length": packed("Q", [5, 16, 4, 32, 32])}  # fmt: skip


def _contents(suite: Suite) -> None:
    """Strings and bools: the twin's data with a change, digests following."""
    why = "Elements that are not of their dtype make one reader fail and another read beyond."
    words = string_tensor([b"hi", b"", b"abc"])

    def refuse(id: str, title: str, twin: str, rule: str, edit: Callable[[bytes], bytes]) -> None:
        suite.invalid(f"contents/{id}", title, twin=twin, stage="data", change=edit, rules=[rule],
                      place="", phase="bytes", why=why)  # fmt: skip

    refuse("string-checksum", "A wrong checksum of the lengths", "strings/vector", "TEN-13", flip(3))
    refuse("string-length-long", "Lengths that sum to more than the content", "strings/vector", "TEN-13",
           lambda _: b"\x02\0\x04" + string_checksum([2, 0, 4]) + words[7:])  # fmt: skip
    refuse("string-length-short", "Lengths that sum to less than the content", "strings/vector", "TEN-13",
           lambda _: b"\x02\0\x02" + string_checksum([2, 0, 2]) + words[7:])  # fmt: skip
    refuse("string-varint-endless", "A length that does not end", "strings/vector", "TEN-13",
           lambda data: b"\xff" * len(data))  # fmt: skip
    refuse("string-length-huge", "A length of 2^63", "strings/long", "TEN-13",
           lambda data: b"\x80" * 9 + b"\x01" + data[10:])  # fmt: skip
    refuse("string-empty-checksum", "A wrong checksum of no lengths", "strings/empty", "TEN-13", at(0, struct.pack("<I", 1)))
    refuse("bool-two", "A bool of 2", "dtypes/bool", "TEN-14", at(1, b"\x02"))
    refuse("bool-255", "A bool of 255", "dtypes/bool", "TEN-14", at(2, b"\xff"))
    _add(suite, "contents", [
        ("string-too-short", "A string tensor shorter than elements + 4", item("length", 0, 6), ["TEN-08"], "/length"),
    ], why, "strings/vector")  # fmt: skip
    _add(suite, "contents", [
        ("string-empty-too-long", "A string tensor without elements of five bytes",
         item("length", 0, 5), ["TEN-08"], "/length"),
    ], why, "strings/empty")  # fmt: skip


def _digests(suite: Suite) -> None:
    why = "Whoever has the bundle digest has every byte: a single bit that differs is seen."
    for layout in ("archive", "directory"):
        twin = f"{layout}/plain"
        table = [("file", "A bit of a file of tensors", "net.bin", 20), ("small", "A bit of another file", "sub/more.bin", -1),
                 ("unused", "A bit that no tensor has", "net.bin", 60)]  # fmt: skip
        for id, title, path, where in table:
            suite.invalid(f"integrity/{layout}-{id}", f"{title} is flipped ({layout})", twin=twin, stage="stored",
                          change=stored_file(path, flip(where)), rules=["IDN-02"], place=path, phase="bytes", why=why)  # fmt: skip
        suite.invalid(f"integrity/{layout}-index", f"A bit of the tensor index is flipped ({layout})", twin=twin,
                      stage="stored", change=stored_file(INDEX, flip(-2)), rules=["IDN-02"], place=INDEX,
                      phase="index", also=["RDR-02"], why="The index is compared with its digest before it is decoded.")  # fmt: skip
        composed = f"{layout}/composed"
        suite.invalid(f"integrity/{layout}-compositions", f"A bit of the compositions is flipped ({layout})",
                      twin=composed, stage="stored", change=stored_file(COMPOSITIONS, flip(-2)), rules=["IDN-02"],
                      place=COMPOSITIONS, phase="compositions", also=["RDR-02"], why=why)  # fmt: skip
        suite.invalid(f"integrity/{layout}-residue", f"A bit of the residue is flipped ({layout})", twin=composed,
                      stage="stored", change=stored_file("residue.bin", flip(0)), rules=["IDN-02"],
                      place="residue.bin", phase="bytes", why=why)  # fmt: skip
    for id, path, pointer in (("digest-of-file", "net.bin", "/files/1/digest"), ("digest-of-empty", "empty.bin", "/files/0/digest")):
        suite.invalid(f"integrity/{id}", f"The manifest has another digest of {path}", twin="archive/plain",
                      stage="manifest", change=put(pointer, "sha256:" + "1" * 64), rules=["IDN-02"], place=path,
                      phase="bytes", why=why)  # fmt: skip
    suite.invalid("integrity/digest-of-composed", "The manifest has another digest of a composed file",
                  twin="archive/composed", stage="manifest", change=put("/files/1/digest", "sha256:" + "1" * 64),
                  rules=["CMP-06"], place="", phase="bytes", why=why)  # fmt: skip
    suite.invalid("integrity/size-of-file", "The manifest has another size of net.bin", twin="directory/plain",
                  stage="manifest", change=put("/files/1/size", 65), rules=["IDN-03"], also=["DIR-05"], place="net.bin",
                  phase="layout", why=why)  # fmt: skip
    suite.invalid("integrity/digest-of-tensor", "The index has another digest of a row", twin="archive/plain",
                  stage="index", change=lambda value: value | {"digest": flip(40)(value["digest"])}, rules=["TEN-10"],
                  place="net.bin", phase="bytes", why=why)  # fmt: skip
    suite.invalid("integrity/digest-of-empty-tensor", "The index has another digest of no bytes",
                  twin="shapes/zero-size", stage="index",
                  change=lambda value: value | {"digest": flip(0)(value["digest"])}, rules=["TEN-10"],
                  place="net.bin", phase="bytes", why=why)  # fmt: skip
    suite.invalid("integrity/digests-swapped", "The digests of two rows are exchanged", twin="archive/plain",
                  stage="index", change=_swapped_digests, rules=["TEN-10"], place="net.bin", phase="bytes", why=why)  # fmt: skip


def _swapped_digests(value: dict[str, Any]) -> dict[str, Any]:
    digest = value["digest"]
    return value | {"digest": digest[32:64] + digest[:32] + digest[64:]}
