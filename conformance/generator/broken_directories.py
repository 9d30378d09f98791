"""Invalid directories: what is missing, not listed, of another size, a link or no file at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from generator.cases import Suite
from generator.edits import append, cut, extra_file, stored_file
from generator.raw import Change
from generator.valid_bundles import MADE


def add(suite: Suite) -> None:
    """Add the cases to `suite`."""

    def refuse(
        id: str,
        title: str,
        rules: Sequence[str],
        place: str,
        recipe: Sequence[dict[str, Any]] = (),
        change: Change = lambda _: None,
        why: str = "A directory holds what the manifest lists.",
        twin: str = "directory/plain",
        also: Sequence[str] = (),
    ) -> None:
        suite.invalid(
            f"directory/{id}",
            title,
            twin=twin,
            stage="stored",
            change=change,
            rules=rules,
            place=place,
            phase="layout",
            why=why,
            recipe=recipe,
            also=also,
        )

    _large(suite)
    links = "What is reached by a link can be anywhere, and change without a trace."
    refuse(
        "missing-file",
        "A stored file is missing",
        ["DIR-01"],
        "net.bin",
        change=stored_file("net.bin", None),
    )
    refuse(
        "missing-index",
        "The tensor index is missing",
        ["DIR-01"],
        "tensors.msgpack",
        change=stored_file("tensors.msgpack", None),
    )
    for id in ("logs", "sub/assets"):
        kept = [step for step in MADE if step["path"] != f"bundle/{id}"]
        refuse(
            f"missing-{id.replace('/', '-')}",
            "A listed directory is missing",
            ["DIR-01"],
            id,
            kept,
            twin="directory/rich",
        )
    refuse(
        "missing-manifest",
        "There is no manifest",
        ["RDR-01"],
        "",
        change=stored_file("manifest.json", None),
    )
    refuse(
        "unlisted-file",
        "A file that the manifest does not list",
        ["DIR-04"],
        "extra.bin",
        change=extra_file("extra.bin", b"x"),
    )
    refuse(
        "unlisted-file-deep",
        "A file in a directory of its own",
        ["DIR-04"],
        "deep",
        change=extra_file("deep/down/extra.bin", b"x"),
    )
    refuse(
        "unlisted-hidden",
        "A hidden file",
        ["DIR-04"],
        ".DS_Store",
        change=extra_file(".DS_Store", b"x"),
    )
    refuse(
        "composed-present",
        "A composed file is there",
        ["DIR-04"],
        "copy.bin",
        twin="directory/composed",
        change=extra_file("copy.bin", b"x"),
    )
    refuse(
        "unlisted-directory",
        "An empty directory that is not listed",
        ["DIR-04"],
        "void",
        [{"do": "mkdir", "path": "bundle/void"}],
    )
    refuse(
        "longer-file",
        "A file with a byte more",
        ["DIR-05"],
        "net.bin",
        change=stored_file("net.bin", append(b"\0")),
    )
    refuse(
        "shorter-file",
        "A file with a byte less",
        ["DIR-05"],
        "net.bin",
        change=stored_file("net.bin", cut(1)),
    )
    refuse(
        "file-is-directory",
        "A directory where a file has to be",
        ["DIR-01", "DIR-03"],
        "net.bin",
        [{"do": "remove", "path": "bundle/net.bin"}, {"do": "mkdir", "path": "bundle/net.bin"}],
        also=["DIR-04"],
    )
    moved = [{"do": "move", "path": "bundle/net.bin", "to": "net.bin"}]
    refuse(
        "symlink-outside",
        "A stored file is a link to a file outside",
        ["DIR-02"],
        "net.bin",
        [*moved, {"do": "symlink", "path": "bundle/net.bin", "target": "../net.bin"}],
        why=links,
    )
    refuse(
        "symlink-inside",
        "A stored file is a link to another one",
        ["DIR-02"],
        "net.bin",
        [
            {"do": "move", "path": "bundle/net.bin", "to": "bundle/sub/net.bin"},
            {"do": "symlink", "path": "bundle/net.bin", "target": "sub/net.bin"},
        ],
        why=links,
    )
    refuse(
        "symlink-dangling",
        "A link that leads nowhere",
        ["DIR-02"],
        "net.bin",
        [
            {"do": "remove", "path": "bundle/net.bin"},
            {"do": "symlink", "path": "bundle/net.bin", "target": "nowhere"},
        ],
        why=links,
    )
    refuse(
        "symlink-unlisted",
        "A link that is not listed",
        ["DIR-02"],
        "extra",
        [{"do": "symlink", "path": "bundle/extra", "target": "net.bin"}],
        why=links,
        also=["DIR-04"],
    )
    refuse(
        "symlink-directory",
        "A directory is a link",
        ["DIR-02"],
        "sub",
        [
            {"do": "move", "path": "bundle/sub", "to": "sub"},
            {"do": "symlink", "path": "bundle/sub", "target": "../sub"},
        ],
        why=links,
    )
    refuse(
        "symlink-loop",
        "A link to the directory that it is in",
        ["DIR-02"],
        "loop",
        [{"do": "symlink", "path": "bundle/loop", "target": "."}],
        why=links,
        also=["DIR-04"],
    )
    refuse(
        "symlink-manifest",
        "The manifest is a link",
        ["DIR-02"],
        "manifest.json",
        [
            {"do": "move", "path": "bundle/manifest.json", "to": "manifest.json"},
            {"do": "symlink", "path": "bundle/manifest.json", "target": "../manifest.json"},
        ],
        why=links,
    )
    refuse(
        "hardlink",
        "A stored file has a second name",
        ["DIR-03"],
        "net.bin",
        [{"do": "hardlink", "path": "net.bin", "target": "bundle/net.bin"}],
        why=links,
    )
    for kind in ("fifo", "socket"):
        refuse(
            kind,
            f"A {kind} where a file has to be",
            ["DIR-03"],
            "net.bin",
            [{"do": "remove", "path": "bundle/net.bin"}, {"do": kind, "path": "bundle/net.bin"}],
            why="Reading from it can wait for ever.",
        )
    refuse(
        "fifo-manifest",
        "A pipe for a manifest",
        ["DIR-03", "RDR-01"],
        "manifest.json",
        [
            {"do": "remove", "path": "bundle/manifest.json"},
            {"do": "fifo", "path": "bundle/manifest.json"},
        ],
        why="Reading from it can wait for ever.",
    )


def _large(suite: Suite) -> None:
    """Files over their limits: sparse ones, which take no room."""
    why = "A Reader refuses what is too large before it reads it."
    for id, twin, path, limit, rule, phase in (
        ("manifest-large", "directory/plain", "manifest.json", 16 << 20, "MAN-12", "manifest"),
        ("index-large", "directory/plain", "tensors.msgpack", 1 << 30, "TEN-17", "index"),
        (
            "compositions-large",
            "directory/composed",
            "compositions.msgpack",
            1 << 28,
            "CMP-07",
            "compositions",
        ),
    ):
        recipe = [{"do": "truncate", "path": f"bundle/{path}", "size": limit + 1}]
        change = (lambda _: None) if path == "manifest.json" else _resized(path, limit + 1)
        suite.invalid(
            f"directory/{id}",
            f"{path} of {limit + 1} bytes",
            twin=twin,
            stage="manifest",
            change=change,
            rules=[rule],
            place=path,
            phase=phase,
            why=why,
            about=["RDR-04"],
            recipe=recipe,
        )


def _resized(path: str, size: int) -> Change:
    """State another size of a file."""

    def change(manifest: dict[str, Any]) -> None:
        for entry in manifest["files"]:
            if entry["path"] == path:
                entry["size"] = size

    return change
