"""Invalid tensor indexes, on their own and in their bundle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from generator.cases import Suite
from generator.edits import (
    drop,
    item,
    put,
    repeat,
    swap,
)  # fmt: skip
from generator.raw import Change, packed

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


def add_table(
    suite: Suite,
    area: str,
    table: Table,
    why: str,
    twin: str = "archive/plain",
    stage: str = "index",
    file: str = INDEX,
    phase: str = "index",
) -> None:
    for id, title, change, rules, pointer in table:
        place = f"{file}#{pointer}" if pointer else file
        about = _ABOUT.get(f"{area}/{id}", ())
        suite.invalid(
            f"{area}/{id}",
            title,
            twin=twin,
            stage=stage,
            change=change,
            rules=rules[:1],
            also=rules[1:],
            place=place,
            phase=phase,
            why=why,
            about=about,
        )


def _members(suite: Suite) -> None:
    why = "An index of another shape means nothing that two implementations agree on."
    columns = ("dtype", "rank", "shape", "file", "offset", "length", "digest", "role")
    arrays = ("names", "dtypes", "files", "roles", "namespaces", "attributes")
    table: list[tuple[str, str, Change, Sequence[str], str]] = []
    for name in ("count", *arrays, *columns):
        table.append((f"missing-{name}", f"{name} is missing", drop(f"/{name}"), ["TEN-01"], ""))
    for name in ("count", *arrays, "shape", "digest"):
        table.append(
            (f"type-{name}", f"{name} is a string", put(f"/{name}", "x"), ["TEN-01"], f"/{name}")
        )
    for name in ("names", "dtypes", "files", "roles"):
        table.append(
            (
                f"item-type-{name}",
                f"An item of {name} is an integer",
                put(f"/{name}/0", 1),
                ["TEN-01"],
                f"/{name}",
            )
        )
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
        table.append(
            (
                f"short-{name}",
                f"The column {name} lacks its last byte",
                shorten(name),
                ["TEN-02"],
                f"/{name}",
            )
        )
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
    add_table(suite, "index", table, why)


def shorten(name: str) -> Change:
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
    add_table(suite, "index", table, why)


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
    add_table(suite, "index", table, why)
    add_table(
        suite,
        "index",
        [
            (
                "empty-range-outside",
                "An empty range beyond its file",
                item("offset", 0, 65),
                ["TEN-06"],
                "/offset",
            ),
        ],
        why,
        "shapes/zero-size-at-end",
    )
    add_table(
        suite,
        "index",
        [
            ("rank-33", "A tensor of rank 33", _rank33, ["TEN-08"], "/"),
        ],
        why,
        "shapes/rank-32",
    )
    add_table(
        suite,
        "index",
        [
            (
                "packed-length",
                "A packed tensor of a byte an element",
                item("length", 0, 15),
                ["TEN-08"],
                "/length",
            ),
        ],
        why,
        "dtypes/int4-packed",
    )
    add_table(
        suite,
        "index",
        [
            (
                "file-composed",
                "A tensor in a composed file",
                put("/files/0", "whole.bin"),
                ["TEN-07"],
                "/files",
            ),
        ],
        why,
        "archive/composed",
    )


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
    add_table(suite, "index", table, why)


def _emptied(value: dict[str, Any]) -> None:
    value["namespaces"][0] |= {"tensors": b"", "names": []}
