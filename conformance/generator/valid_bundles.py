"""Valid cases of bundles as a whole: layouts, paths, JSON, manifests, compositions, versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from generator.bases import COMPOSED, KIND, NUMBERS, PLAIN, RICH, component, port
from generator.cases import Suite
from generator.edits import both, put
from generator.edits import replace as substitute
from generator.raw import Draft, row

MADE = [{"do": "mkdir", "path": "bundle/logs"}, {"do": "mkdir", "path": "bundle/sub/assets"}]
"""The empty directories that `RICH` lists; git keeps none."""


def with_manifest(draft: Draft, **members: Any) -> Draft:
    """`draft` with members of the manifest."""
    return replace(draft, manifest={**draft.manifest, **members})


def add(suite: Suite) -> None:
    """Add the cases to `suite`."""
    _layouts(suite)
    _paths(suite)
    _json(suite)
    _manifests(suite)
    _compositions(suite)
    _versions(suite)


def _layouts(suite: Suite) -> None:
    for layout in ("archive", "directory"):
        for id, draft in (("plain", PLAIN), ("composed", COMPOSED), ("rich", RICH)):
            suite.valid(
                f"{layout}/{id}", f"The {id} bundle as {layout}", draft, layout=layout,
                rules=["DIR-01", "DIR-05"] if layout == "directory" else ["ARC-01", "ARC-05"],
                recipe=MADE if (layout, id) == ("directory", "rich") else (),
                features=[id], why="One content has one digest in both layouts.",
            )  # fmt: skip
    linked = [{"do": "move", "path": "bundle", "to": "elsewhere"},
              {"do": "symlink", "path": "bundle", "target": "elsewhere"}]  # fmt: skip
    suite.valid(
        "directory/root-is-link",
        "The root is reached by a symbolic link",
        PLAIN,
        layout="directory",
        recipe=linked,
        rules=["DIR-02"],
        features=["symlink"],
        why="Caches give directories by links; only what is below the root is refused.",
    )
    # A path of 1 byte at a header that begins at a multiple of 64 needs 29 bytes of padding; one
    # of 30 bytes needs none, and one of 31 bytes needs 63.
    for padding, name in ((29, "a"), (0, "n" * 30), (63, "n" * 31)):
        draft = Draft(files={"0" * 30: bytes(64), name: b"x"}, components=[])
        suite.valid(
            f"archive/padding-{padding}",
            f"A member that needs {padding} bytes of padding",
            draft,
            rules=["ARC-06"],
            features=["alignment"],
            why="The padding field is always there, and as short as it can be.",
        )
    suite.valid(
        "archive/only-empty-files",
        "Members without data",
        rules=["ARC-10", "ARC-11"],
        draft=Draft(files={"a": b"", "b": b"", "c/d": b""}, components=[]),
        features=["empty"],
        why="Two members can have their data at one offset.",
    )


def _paths(suite: Suite) -> None:
    why = "What the path rules do not forbid is a path: names of models are not all ASCII."
    table = {
        "unicode": ["größe.bin", "模型/权重.bin", "модель.bin"],
        "emoji": ["\U0001f986.bin", "a b.bin"],
        "astral-order": ["\uff5e.bin", "\U00010000.bin"],
        "dots": [".hidden", "..a", "a..b", "...b/c", "a.b.c"],
        "device-like": ["console", "com10", "lpt", "com0", "auxiliary.bin", "a.con", "con_"],
        "punctuation": ["#1", "%2e%2e", "a&b", "a;b", "~", "$HOME", "-rf", "a'b", "{x}", "a@2048"],
        "deep": ["/".join("d" * 100)],
        "long": ["/".join(["p" * 204] * 5), "/".join(["é" * 102] * 5)],
        "case-in-folders": ["A/x", "A/y", "b/X"],
        "manifest-below": ["sub/manifest.json", "sub/tensors.msgpack", "sub/residue.bin"],
        "prefix-is-no-parent": ["a", "a.b/c", "a-b", "ab/c"],
    }
    for id, paths in table.items():
        draft = Draft(
            files={path: path.encode()[:4] for path in paths}, components=[component("all", *paths)]
        )
        suite.valid(
            f"paths/{id}",
            f"Paths: {id.replace('-', ' ')}",
            draft,
            rules=["PTH-01", "PTH-02", "PTH-03", "PTH-05"],
            features=["unicode"],
            why=why,
        )
    suite.valid(
        "paths/unicode-directory",
        "Unicode paths in a directory layout",
        layout="directory",
        draft=Draft(files={"größe/模型.bin": b"x"}, components=[]),
        rules=["DIR-01"],
        features=["unicode"],
        why="The file system gets the path as it stands.",
    )


def _json(suite: Suite) -> None:
    deep: Any = {"leaf": {}}
    for _ in range(60):
        deep = [deep]
    texts = {"": "empty name", "\u20ac": "€", "\r": "\b\t\n\f\r\"\\/\x00\x1f\x7f",
             "\ufb33": "1", "\U0001f600": "2", "1": "3", "\x80": "\u2028\ufeff"}  # fmt: skip
    table: dict[str, tuple[str, dict[str, Any], list[str], str]] = {
        "depth-64": ("Arrays and objects 64 deep", {"deep": deep}, ["JSN-04"],
                     "The limit itself is allowed."),
        "member-order": ("Members whose UTF-16 order is not their UTF-8 order", texts, ["JSN-07"],
                         "RFC 8785 sorts by UTF-16 code units; U+FB33 comes after U+1F600."),
        "integers": ("The largest integers", {"n": [2**53 - 1, -(2**53) + 1, 0]}, ["JSN-05"],
                     "The limit itself is allowed."),
        "empties": ("Empty values in metadata", {"x": [None, False, "", [], {}]}, ["MAN-11"],
                    "Metadata are the author's: nothing in them has to be left out."),
        "any-names": ("Names of members of the standard in metadata",
                      {"modelbundle": "9.9", "mustUnderstand": True, "files": 1}, ["MAN-03"],
                      "Metadata have no meaning here, whatever the names."),
    }  # fmt: skip
    for id, (title, metadata, rules, why) in table.items():
        suite.valid(
            f"json/{id}",
            title,
            with_manifest(PLAIN, metadata=metadata),
            rules=rules,
            features=["json"],
            why=why,
        )
    numbers = (
        b"[0.1,1e-7,0.000001,1e+21,5e-324,"
        b"1.7976931348623157e+308,-0.5,9007199254740991,333333333.3333333]"
    )
    suite.valid(
        "json/fractions",
        "Numbers in their shortest forms",
        rules=["JSN-05", "JSN-07"],
        draft=with_manifest(PLAIN, metadata={"numbers": "HERE"}),
        stage="manifest_bytes",
        change=substitute(b'"HERE"', numbers),
        features=["json"],
        why="RFC 8785 writes numbers as ECMAScript does.",
    )


def _manifests(suite: Suite) -> None:
    shapes = [[None], ["batch"], [2**53 - 1], [1] * 32, [], None, [0, "größe", None]]
    ports = [port(f"x{at}", "float32", shape) for at, shape in enumerate(shapes)]
    signature = {"name": "f", "component": "net", "inputs": ports, "outputs": ports[::-1]}
    all_kinds = [f"org.example.{at}" for at in range(3)] + [
        "card",
        "tensors",
    ]
    components = [{"id": kind, "kind": kind, "files": []} for kind in all_kinds]
    table: dict[str, tuple[str, dict[str, Any], list[str], str]] = {
        "shapes-of-ports": ("Ports of every kind of shape", {"signatures": [signature]}, ["SIG-03"],
                            "Unknown rank, unknown size and a symbol are three things."),
        "port-order": ("Ports in no order", {"signatures": [{**signature, "inputs": [
            port("z", "bool", []), port("a", "bool", [])], "outputs": []}]}, ["SIG-01"],
            "Ports keep the order of their source."),
        "same-port-both-sides": ("An output named like an input", {"signatures": [{**signature,
            "inputs": ports[:1], "outputs": ports[:1]}]}, ["SIG-01"],
            "Inputs and outputs have names of their own."),
        "extension-ignored": ("An extension that nobody knows",
                              {"extensions": {"org.example.x-1": {"a": [1]}}}, ["EXT-01", "EXT-02"],
                              "Without mustUnderstand it is ignored."),
        "name": ("A name of one character", {"name": "\U0001f986"}, ["MAN-01"], "Any text names."),
    }  # fmt: skip
    for id, (title, members, rules, why) in table.items():
        suite.valid(
            f"manifest/{id}",
            title,
            with_manifest(PLAIN, **members),
            rules=rules,
            features=["manifest"],
            why=why,
        )
    suite.valid(
        "components/unknown-kinds",
        "Components of unknown and reserved kinds",
        replace(PLAIN, components=[*components, *PLAIN.components]),
        rules=["COM-03"],
        features=["components"],
        why="Without mustUnderstand an unknown kind is ignored.",
    )
    assets = {"id": "vocabulary", "kind": "assets", "files": ["net.bin"], "mustUnderstand": True}
    suite.valid(
        "components/known-must-understand",
        "mustUnderstand for a kind of the standard",
        replace(PLAIN, components=[*PLAIN.components, assets]),
        rules=["COM-03"],
        features=["components"],
        why="mustUnderstand refuses only what is not known.",
    )
    shared = [component("a", "net.bin"), component("b", "net.bin", derivedFrom="a"),
              component("c", derivedFrom="b", properties={"any": {"thing": None}})]  # fmt: skip
    suite.valid(
        "components/chain",
        "A chain of derived components that share a file",
        replace(PLAIN, components=[*PLAIN.components, *shared]),
        rules=["COM-04"],
        features=["components"],
        why="A file can belong to several components.",
    )
    wide = {"id": "i" * 1024, "kind": KIND, "files": []}
    suite.valid(
        "components/long-id",
        "A component id of 1024 bytes",
        replace(PLAIN, components=[*PLAIN.components, wide]),
        rules=["COM-01"],
        features=["components"],
        why="The limit itself is allowed.",
    )
    roles = {"net.bin": {"role": "part"}, "sub/more.bin": {"role": "derived"},
             "empty.bin": {"mediaType": "x-A_1.+/y-B_2.+"}}  # fmt: skip
    suite.valid(
        "manifest/file-roles",
        "Files of each role, and a media type of all characters",
        replace(PLAIN, entries=roles),
        rules=["MAN-05"],
        features=["manifest"],
        why="Only sources come back when a bundle is unpacked.",
    )


def _compositions(suite: Suite) -> None:
    pieces: dict[str, tuple[str, Mapping[str, list[tuple[str, int, int]]]]] = {
        "one-byte": ("A segment of one byte", {"c": [("net.bin", 63, 1)]}),
        "repeated": ("One range three times", {"c": [("net.bin", 0, 8)] * 3}),
        "overlapping": ("Segments whose ranges overlap", {"c": [("net.bin", 0, 8), ("net.bin", 4, 8)]}),
        "backwards": ("Segments in descending order", {"c": [("net.bin", 32, 8), ("net.bin", 0, 8)]}),
        "continued-in-next-file": ("Two files whose segments continue one another",
                                   {"c": [("net.bin", 0, 8)], "d": [("net.bin", 8, 8)]}),
        "continued-in-another-source": ("A segment at the offset where one of another source ended",
                                        {"c": [("net.bin", 0, 4), ("residue.bin", 4, 2)]}),
        "ratio-256": ("Composed bytes up to the limit", {"c": [("net.bin", 0, 64)] * 64}),
    }  # fmt: skip
    for id, (title, composed) in pieces.items():
        draft = replace(COMPOSED, composed=composed, components=[component("net.bin", "net.bin")])
        suite.valid(
            f"compositions/{id}",
            title,
            draft,
            rules=["CMP-04", "CMP-05"],
            features=["composed"],
            why="A composed file is its segments, one after another.",
        )
    draft = replace(COMPOSED, rows=[*COMPOSED.rows, row("head", "uint8", [4], "residue.bin", 0, 4)])
    suite.valid(
        "compositions/tensor-in-residue",
        "A tensor whose bytes are in the residue",
        draft,
        rules=["TEN-07"],
        features=["composed", "residue"],
        why="What a composed file does not share stands in the residue, tensors too.",
    )
    draft = replace(
        COMPOSED,
        files={"net.bin": NUMBERS},
        composed={"whole.bin": [("net.bin", 0, 64)]},
        components=[component("net.bin", "net.bin", "whole.bin")],
    )
    suite.valid(
        "compositions/no-residue",
        "Compositions without a residue",
        draft,
        rules=["MAN-08"],
        features=["composed"],
        why="residue.bin is optional.",
    )


def _versions(suite: Suite) -> None:
    why = "A newer minor version can add optional members; what is known keeps its meaning."
    for version in ("1.0", "1.1", "1.1-draft", "1.999999999"):
        suite.valid(
            f"versions/{version}",
            f"Version {version}",
            with_manifest(PLAIN, modelbundle=version),
            rules=["MAN-02", "VER-02"],
            features=["version"],
            why=why,
        )
    newer = {"modelbundle": "1.7"}
    more = both(
        put("/later", [1]),
        put("/files/0/later", None),
        put("/tensors/later", 1),
        put("/components/0/later", {}),
        put("/requirements/later", False),
        put("/signatures/0/later", ""),
        put("/signatures/0/inputs/0/later", 1),
    )
    suite.valid(
        "versions/newer-manifest-members",
        "Unknown members in each object of a newer manifest",
        replace(RICH, manifest={**RICH.manifest, **newer}),
        stage="manifest",
        change=more,
        rules=["VER-02"],
        features=["version"],
        why=why,
    )
    suite.valid(
        "versions/newer-index-members",
        "An unknown member in a newer index",
        with_manifest(PLAIN, **newer),
        stage="index",
        change=both(
            put("/later", b"x"), put("/namespaces/0/later", 1), put("/attributes/0/later", [])
        ),
        rules=["VER-02"],
        features=["version"],
        why=why,
    )
    suite.valid(
        "versions/newer-compositions-members",
        "An unknown member in newer compositions",
        with_manifest(COMPOSED, **newer),
        stage="compositions",
        change=put("/later", [1]),
        rules=["VER-02"],
        features=["version"],
        why=why,
    )
