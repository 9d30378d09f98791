"""Cases of reading, unpacking and copying: what is done with a bundle, beside validating it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from generator import raw
from generator.archives import archive
from generator.bases import COMPOSED, PLAIN, RICH
from generator.cases import ARCHIVE, DIRECTORY, Case, Suite, answer, document, header, refusal
from generator.edits import flip, item, put, stored_file
from generator.raw import Change, Draft

OUT = "out"
_DRAFTS = {"plain": PLAIN, "composed": COMPOSED, "rich": RICH}


def add(suite: Suite) -> None:
    """Add the cases to `suite`."""
    _reads(suite)
    _unpacks(suite)
    _copies(suite)


def _case(
    suite: Suite,
    id: str,
    title: str,
    twin: str,
    rules: Sequence[str],
    why: str,
    *,
    operation: str,
    role: str,
    arguments: Mapping[str, Any] | None = None,
    change: Change | None = None,
    refused: Sequence[str] = (),
    recipe: Sequence[Mapping[str, Any]] = (),
    base: str | None = None,
    stage: str = "stored",
    more: Mapping[str, bytes] | None = None,
) -> None:
    """A case whose bundle is the bundle `twin`, changed once it was stored."""
    made = suite.twins[twin]
    stored = made.make(stage, change) if change else made.make("", None)
    expected = refusal(refused, "", "operation") if refused else {"verdict": "accept"}
    data = header(id, title, rules, why, made, expected, twin=base, operation=operation, role=role)
    data |= {"arguments": dict(arguments or {})} if arguments else {}
    steps = [*made.recipe, *recipe]
    data |= {"recipe": steps} if steps else {}
    if made.layout == "archive":
        files = {ARCHIVE: archive(stored)}
    else:
        files = {f"{DIRECTORY}/{path}": content for path, content in stored.items()}
    suite.add(Case(id, data, {**files, **(more or {})}))


def _expected(draft: Draft) -> dict[str, bytes]:
    return {"expected.json": document(answer(raw.build(draft), draft))}


def _reads(suite: Suite) -> None:
    digest = raw.digest(raw.build(PLAIN)[raw.MANIFEST])
    why = "Who has the digest from someone they trust needs to trust nobody else."
    _case(
        suite,
        "read/expected-digest",
        "The digest that the caller expects",
        "archive/plain",
        ["RDR-06", "IDN-01"],
        why,
        operation="read",
        role="Reader",
        arguments={"digest": digest},
        more=_expected(PLAIN),
    )
    _case(
        suite,
        "read/other-digest",
        "Another digest than the caller expects",
        "archive/plain",
        ["RDR-06"],
        why,
        operation="read",
        role="Reader",
        arguments={"digest": "sha256:" + "0" * 64},
        refused=["RDR-06"],
        base="read/expected-digest",
    )
    why = "A Reader that verifies gives out no byte that the bundle digest does not cover."
    for id, draft in _DRAFTS.items():
        _case(
            suite,
            f"read/{id}",
            f"Every tensor and file of the {id} bundle is read",
            f"archive/{id}",
            ["RDR-03"],
            why,
            operation="read",
            role="Reader",
            more=_expected(draft),
        )
    for id, path, rules in (("tensor", "net.bin", ["TEN-10", "IDN-02"]), ("file", "sub/more.bin", ["TEN-10", "IDN-02"]),
                            ("index", "tensors.msgpack", ["IDN-02", "RDR-02"])):  # fmt: skip
        _case(
            suite,
            f"read/flipped-{id}",
            f"A bit of {path} is flipped",
            "archive/plain",
            ["RDR-03" if id != "index" else "RDR-02"],
            why,
            operation="read",
            role="Reader",
            change=stored_file(path, flip(5)),
            refused=rules,
            base="read/plain",
        )
    _case(
        suite,
        "read/flipped-composed",
        "A bit of a stored part of a composed file is flipped",
        "archive/composed",
        ["RDR-03", "CMP-06"],
        why,
        operation="read",
        role="Reader",
        change=stored_file("residue.bin", flip(0)),
        refused=["CMP-06", "IDN-02"],
        base="read/composed",
    )

    why = "Nothing is given out of a bundle whose index is wrong anywhere."
    for id, stage, change, rule in (("range", "index", item("offset", 0, 2**40), "TEN-06"),
                                    ("path", "manifest", put("/files/0/path", "../net.bin"), "PTH-01"),
                                    ("name", "index", put("/names/0", ""), "TEN-03")):  # fmt: skip
        _case(
            suite,
            f"read/stops-{id}",
            f"A breach of {rule}, elsewhere than what is read",
            "archive/plain",
            ["RDR-07"],
            why,
            operation="read",
            role="Reader",
            change=change,
            stage=stage,
            refused=[rule, "MAN-04"],
            base="read/plain",
        )


def _unpacks(suite: Suite) -> None:
    arguments = {"destination": OUT}
    why = "Unpacking gives the sources back, all of them or nothing, and touches nothing else."
    for id, draft in _DRAFTS.items():
        _case(
            suite,
            f"unpack/{id}",
            f"The {id} bundle is unpacked",
            f"archive/{id}",
            ["UNP-03"],
            why,
            operation="unpack",
            role="Reader",
            arguments=arguments,
            more=_expected(draft),
        )
    taken = [{"do": "write", "path": f"{OUT}/sub/more.bin", "text": "mine"}]
    refuse: Sequence[tuple[str, str, str, list[dict[str, str]], Change | None, list[str]]] = (
        ("file-there", "A file is there already", "UNP-01", taken, None, ["UNP-01"]),
        ("directory-there", "A directory is where a file has to be", "UNP-01",
         [{"do": "mkdir", "path": f"{OUT}/net.bin"}], None, ["UNP-01"]),
        ("link-there", "A link is where a file has to be", "UNP-04",
         [{"do": "mkdir", "path": OUT}, {"do": "symlink", "path": f"{OUT}/net.bin", "target": "../elsewhere"}], None,
         ["UNP-01", "UNP-04"]),
        ("link-in-the-way", "A directory of a path is a link", "UNP-04",
         [{"do": "mkdir", "path": "elsewhere"}, {"do": "mkdir", "path": OUT},
          {"do": "symlink", "path": f"{OUT}/sub", "target": "../elsewhere"}], None, ["UNP-01", "UNP-04"]),
        ("file-in-the-way", "A file is where a directory has to be", "UNP-01",
         [{"do": "write", "path": f"{OUT}/sub", "text": "mine"}], None, ["UNP-01", "UNP-04"]),
        ("flipped", "A bit of the last file is flipped", "UNP-02", [], stored_file("sub/more.bin", flip(0)), ["IDN-02"]),
        ("flipped-first", "A bit of the first file is flipped", "UNP-03", [], stored_file("net.bin", flip(0)), ["IDN-02"]),
    )  # fmt: skip
    for id, title, rule, recipe, change, refused in refuse:
        _case(
            suite,
            f"unpack/{id}",
            title,
            "archive/plain",
            [rule],
            why,
            operation="unpack",
            role="Reader",
            arguments=arguments,
            change=change,
            refused=refused,
            recipe=recipe,
            base="unpack/plain",
        )


def _copies(suite: Suite) -> None:
    """From one layout to the other: the expected bytes are the same bundle in the other layout."""
    why = "A copy is the same bundle, byte for byte, whatever the Copier does not know."
    twins = {"plain": "plain", "composed": "composed", "unknown-kinds": "components/unknown-kinds",
             "newer": "versions/newer-manifest-members"}  # fmt: skip
    for id, name in twins.items():
        for layout in ("archive", "directory"):
            twin = name if "/" in name else f"{layout}/{name}"
            made = suite.twins[twin]
            if made.layout != layout:
                continue
            other = "directory" if layout == "archive" else "archive"
            stored = made.make("", None)
            expected = {"digest": raw.digest(stored[raw.MANIFEST]),
                        "copy": {path: raw.digest(content) for path, content in stored.items()}
                        if other == "directory" else {"": raw.digest(archive(stored))}}  # fmt: skip
            _case(
                suite,
                f"copy/{id}-to-{other}",
                f"The {id} bundle is copied to {other} layout",
                twin,
                ["CPY-01", "CPY-02", "CPY-03"],
                why,
                operation="copy",
                role="Copier",
                arguments={"layout": other},
                more={"expected.json": document(expected)},
            )
    demanding = put("/extensions/org.example.audit/mustUnderstand", True)
    stored = suite.twins["archive/rich"].make("manifest", demanding)
    copied = {path: raw.digest(content) for path, content in stored.items()}
    expected = {"digest": raw.digest(stored[raw.MANIFEST]), "copy": copied}
    _case(
        suite,
        "copy/must-understand",
        "A bundle that asks to be understood is carried by who need not understand it",
        "archive/rich",
        ["CPY-01", "CPY-02", "CPY-03"],
        why,
        operation="copy",
        role="Copier",
        arguments={"layout": "directory"},
        change=demanding,
        stage="manifest",
        more={"expected.json": document(expected)},
    )
    _case(
        suite,
        "copy/flipped",
        "A bit of a file is flipped",
        "archive/plain",
        ["CPY-04"],
        why,
        operation="copy",
        role="Copier",
        arguments={"layout": "directory"},
        change=stored_file("net.bin", flip(0)),
        refused=["IDN-02", "CPY-04"],
        base="copy/plain-to-directory",
    )
