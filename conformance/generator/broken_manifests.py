"""Invalid manifests: members, files, components, signatures, requirements, extensions, versions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from generator.cases import Suite
from generator.edits import drop, put, repeat, swap
from generator.raw import Change

PLACE = "manifest.json"
Table = Sequence[tuple[str, str, Change, Sequence[str], str]]
"""Id, title, change, rule and others that are as right, JSON pointer of the place."""

_TYPES: Sequence[tuple[str, Any]] = (
    ("/modelbundle", 1), ("/files", {}), ("/tensors", []), ("/components", "net"),
    ("/signatures", {}), ("/requirements", []), ("/directories", "logs"), ("/name", 7),
    ("/metadata", [1]), ("/extensions", ["org.example"]), ("/files/0", "a"), ("/files/0/path", 1),
    ("/files/0/size", "0"), ("/files/0/size", -1), ("/files/0/size", True),
    ("/files/0/digest", 0), ("/files/0/role", ["source"]),
    ("/tensors/count", "4"), ("/tensors/bytes", -1), ("/components/0", []),
    ("/components/0/files/0", 1),
    ("/components/0/properties", [1]),
    ("/components/0/mustUnderstand", "yes"), ("/signatures/0", "call"),
    ("/signatures/0/inputs/0", "x"),
    ("/signatures/0/inputs/0/name", None), ("/signatures/0/inputs/0/shape", 4),
    ("/requirements/layers", "Dense"), ("/requirements/layers/0", 1),
    ("/requirements/customObjects/0", "a>Scale"),
)  # fmt: skip
_REQUIRED = (
    "/modelbundle", "/files", "/tensors", "/components", "/signatures", "/requirements",
    "/files/0/path", "/files/0/size", "/files/0/digest", "/files/0/mediaType", "/files/0/role",
    "/files/0/storage", "/tensors/count", "/tensors/bytes", "/components/0/id",
    "/components/0/kind", "/components/0/files", "/signatures/0/name", "/signatures/0/component",
    "/signatures/0/inputs", "/signatures/0/outputs", "/signatures/0/inputs/0/name",
    "/signatures/0/inputs/0/dtype", "/signatures/0/inputs/0/shape", "/requirements/layers",
    "/requirements/customObjects", "/requirements/ops", "/requirements/dtypes",
    "/requirements/customObjects/0/registeredName", "/requirements/customObjects/0/className",
    "/requirements/customObjects/0/component",
)  # fmt: skip
_UNKNOWN = (
    "",
    "/files/0",
    "/tensors",
    "/components/0",
    "/signatures/0",
    "/signatures/0/inputs/0",
    "/requirements",
    "/requirements/customObjects/0",
)
_EMPTY: Sequence[tuple[str, Any]] = (
    ("/name", ""), ("/name", None), ("/directories", []), ("/metadata", {}), ("/extensions", {}),
    ("/components/0/derivedFrom", ""), ("/components/0/mustUnderstand", False),
    ("/components/0/properties", {}), ("/requirements/customObjects/1/module", ""),
)  # fmt: skip
_UNNAMED = (
    "/components/0/kind",
    "/signatures/0/name",
    "/signatures/0/inputs/0/name",
    "/requirements/customObjects/0/registeredName",
    "/requirements/customObjects/0/className",
)
_OPTIONAL = {"directories", "name", "metadata", "extensions", "derivedFrom", "properties",
             "mustUnderstand", "module"}  # fmt: skip


def add(suite: Suite) -> None:
    """Add the cases to `suite`."""
    _members(suite)
    _files(suite)
    _versions(suite)


def add_table(suite: Suite, area: str, table: Table, why: str, twin: str = "archive/rich") -> None:
    for id, title, change, rules, pointer in table:
        suite.invalid(
            f"{area}/{id}",
            title,
            twin=twin,
            stage="manifest",
            change=change,
            rules=rules[:1],
            also=rules[1:],
            place=f"{PLACE}#{pointer}",
            phase="manifest",
            why=why,
        )


def _slug(pointer: str) -> str:
    parts = [part for part in pointer.split("/") if part and not part.isdigit()]
    return "-".join("".join(f"-{c.lower()}" if c.isupper() else c for c in part) for part in parts)


def _members(suite: Suite) -> None:
    why = "A manifest of another shape means nothing that two implementations agree on."
    count: dict[str, int] = {}
    table: list[tuple[str, str, Change, Sequence[str], str]] = []
    for pointer, value in _TYPES:
        slug = _slug(pointer)
        count[slug] = count.get(slug, 0) + 1
        id = f"type-{slug}" + (f"-{count[slug]}" if count[slug] > 1 else "")
        rules = ["MAN-02"] if pointer == "/modelbundle" else ["MAN-01"]
        parent = pointer.rpartition("/")[0]
        table.append((id, f"{pointer} is {value!r}", put(pointer, value), rules, parent))
    for pointer in _REQUIRED:
        rules = ["MAN-01", "MAN-05"]
        if pointer == "/modelbundle":
            rules = ["MAN-02", "MAN-01"]
        elif pointer.startswith("/signatures/0/inputs"):
            rules = ["MAN-01"]
        parent = pointer.rpartition("/")[0]
        table.append(
            (f"missing-{_slug(pointer)}", f"{pointer} is missing", drop(pointer), rules, parent)
        )
    for pointer in _UNNAMED:
        table.append(
            (
                f"unnamed-{_slug(pointer)}",
                f"{pointer} is empty",
                put(pointer, ""),
                ["MAN-01"],
                pointer,
            )
        )
    for pointer in _UNKNOWN:
        table.append(
            (
                f"unknown-{_slug(pointer) or 'top'}",
                f"An unknown member in {pointer or 'the manifest'}",
                put(f"{pointer}/sizee", 1),
                ["MAN-03"],
                pointer,
            )
        )
    for pointer, value in _EMPTY:
        id = f"empty-{_slug(pointer)}" + ("-null" if value is None else "")
        table.append((id, f"{pointer} is {value!r}", put(pointer, value), ["MAN-11"], pointer))
    add_table(suite, "manifest", table, why)
    suite.invalid(
        "manifest/not-an-object",
        "An array instead of an object",
        twin="archive/plain",
        stage="manifest",
        change=lambda value: [value],
        rules=["MAN-02", "MAN-01"],
        place=PLACE,
        phase="manifest",
        why=why,
    )


def _files(suite: Suite) -> None:
    why = "Sizes and digests of files are what everything else is checked against."
    digest = "/files/1/digest"
    table: Table = [
        ("file-order", "Files in another order", swap("/files", 0, 1), ["MAN-04"], "/files"),
        ("file-twice", "A file twice", repeat("/files", 1), ["MAN-04", "PTH-05"], "/files"),
        ("digest-upper-case", "A digest in upper case", _upper(digest), ["MAN-05"], digest),
        ("digest-short", "A digest of 63 digits", _shorter(digest), ["MAN-05"], digest),
        ("digest-no-hex", "A digest with a letter g", put(digest, "sha256:" + "g" * 64), ["MAN-05"], digest),
        ("digest-no-algorithm", "A digest without its algorithm", put(digest, "0" * 64),
         ["MAN-05"], digest),
        ("digest-algorithm-upper-case", "The name of the algorithm in upper case",
         put(digest, "SHA256:" + "0" * 64), ["MAN-06"], digest),
        ("role-unknown", "An unknown file role", put("/files/1/role", "weights"), ["MAN-05"], "/files/1/role"),
        ("storage-unknown", "An unknown storage", put("/files/1/storage", "remote"), ["MAN-05"], "/files/1/storage"),
        ("media-type-empty", "An empty media type", put("/files/1/mediaType", ""), ["MAN-05", "MAN-01"], "/files/1/mediaType"),
        ("media-type-parameters", "A media type with parameters",
         put("/files/1/mediaType", "text/plain; charset=utf-8"), ["MAN-05"], "/files/1/mediaType"),
        ("media-type-no-subtype", "A media type without a subtype",
         put("/files/1/mediaType", "text"), ["MAN-05"], "/files/1/mediaType"),
        ("sizes-overflow", "Sizes that sum to 2^53", put("/files/1/size", 2**53 - 1), ["MAN-07"], "/files"),
        ("no-index", "The tensor index is not listed", drop("/files/3"), ["MAN-08"], "/files"),
        ("index-composed", "The tensor index is composed", put("/files/3/storage", "composed"), ["MAN-08"], "/files"),
        ("composed-without-compositions", "A composed file, and no compositions",
         put("/files/1/storage", "composed"), ["MAN-08"], "/files"),
        ("count-too-large", "A tensor count that is not the index's", put("/tensors/count", 5), ["MAN-09"], "/tensors"),
        ("bytes-wrong", "Tensor bytes that are not the index's", put("/tensors/bytes", 49), ["MAN-09"], "/tensors"),
        ("directory-order", "Directories in another order", swap("/directories", 0, 1), ["MAN-10"], "/directories"),
        ("directory-twice", "A directory twice", repeat("/directories", 0), ["MAN-10", "PTH-05"], "/directories"),
        ("directory-of-file", "A listed directory with a file below it", put("/directories/1", "sub"), ["MAN-10", "PTH-05"], "/"),
        ("directory-is-file", "A listed directory that is a file", put("/directories", ["net.bin"]), ["MAN-10", "PTH-05"], "/"),
        ("directory-in-directory", "A listed directory in another", put("/directories", ["logs", "logs/deep"]),
         ["MAN-10", "PTH-05"], "/"),
    ]  # fmt: skip
    late = {"count-too-large", "bytes-wrong"}
    add_table(suite, "manifest", [line for line in table if line[0] not in late], why)
    for id, title, change, rules, pointer in (line for line in table if line[0] in late):
        suite.invalid(
            f"manifest/{id}",
            title,
            twin="archive/rich",
            stage="manifest",
            change=change,
            rules=rules,
            place=f"{PLACE}#{pointer}",
            phase="index",
            why=why,
        )
    add_table(
        suite,
        "manifest",
        [
            (
                "algorithm-sha512",
                "A digest of another algorithm",
                put(digest, "sha512:" + "0" * 128),
                ["MAN-06"],
                digest,
            ),
            (
                "algorithm-md5",
                "A digest of a broken algorithm",
                put(digest, "md5:" + "0" * 32),
                ["MAN-06"],
                digest,
            ),
        ],
        "An algorithm that is not known is no reason to call the bundle wrong, nor to accept it.",
    )
    ratio = put("/files/1/size", 256 * 4096 * 64)
    add_table(
        suite,
        "manifest",
        [
            (
                "composed-ratio",
                "Composed bytes beyond 256 times the stored",
                ratio,
                ["MAN-07"],
                "/files",
            ),
            (
                "composed-overflow",
                "Composed sizes that sum to 2^53",
                put("/files/1/size", 2**53 - 1),
                ["MAN-07"],
                "/files",
            ),
            (
                "compositions-not-listed",
                "Compositions that are not listed",
                drop("/files/0"),
                ["MAN-08"],
                "/files",
            ),
            (
                "residue-composed",
                "A composed residue",
                put("/files/3/storage", "composed"),
                ["MAN-08"],
                "/files",
            ),
        ],
        "A small bundle must not unpack to a disk full of copies.",
        "archive/composed",
    )
    suite.invalid(
        "manifest/compositions-without-composed",
        "Compositions, and no composed file",
        twin="archive/plain",
        stage="compositions",
        change=lambda _: None,
        rules=["MAN-08"],
        place=f"{PLACE}#/files",
        phase="manifest",
        why="Files without a use hide things.",
    )


def _upper(pointer: str) -> Change:
    return _text(pointer, lambda text: text[:7] + text[7:].upper())


def _shorter(pointer: str) -> Change:
    return _text(pointer, lambda text: text[:-1])


def _text(pointer: str, edit: Any) -> Change:
    _, _, number, name = pointer.split("/")

    def change(manifest: dict[str, Any]) -> None:
        entry = manifest["files"][int(number)]
        entry[name] = edit(entry[name])

    return change


def _versions(suite: Suite) -> None:
    why = "A version that cannot be compared cannot be refused rightly."
    wrong = {"empty": "", "major-only": "1", "three-parts": "1.0.0", "leading-zero": "1.00",
             "leading-zero-major": "01.0", "major-zero": "0.9", "space": "1.0 ", "sign": "+1.0",
             "suffix": "1.0-rc", "ten-digits": "1.1000000000", "other-digits": "1.\u0663"}  # fmt: skip
    add_table(
        suite,
        "versions",
        [
            (
                f"malformed-{id}",
                f"Version {text!r}",
                put("/modelbundle", text),
                ["MAN-02"],
                "/modelbundle",
            )
            for id, text in wrong.items()
        ],
        why,
        "archive/plain",
    )
    add_table(
        suite,
        "versions",
        [
            (
                f"major-{text}",
                f"Version {text}",
                put("/modelbundle", text),
                ["VER-01"],
                "/modelbundle",
            )
            for text in ("2.0", "2.0-draft", "999999999.0")
        ],
        "Another major version can mean anything: neither right nor wrong.",
        "archive/plain",
    )

    def rewritten(manifest: dict[str, Any]) -> dict[str, Any]:
        return {"modelbundle": "2.0", "parts": manifest["files"]}

    suite.invalid(
        "versions/major-2-other-shape",
        "Version 2.0 with other members",
        twin="archive/plain",
        stage="manifest",
        change=rewritten,
        rules=["VER-01"],
        place=PLACE,
        phase="manifest",
        why="Of another major version nothing is checked but that it is JSON with a version.",
    )
