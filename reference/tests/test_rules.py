"""Every rule stands in text, table, code and cases, or says why not; schemas and rules agree."""

import ast
import functools
import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import modelbundle
from modelbundle.bundle import open_bundle
from modelbundle.core import compositions, schemas, tensor_index
from modelbundle.core.data_model import compositions_model, index_model
from modelbundle.core.findings import CHECKS, BundleError
from modelbundle.core.paths import COMPOSITIONS, MANIFEST, TENSORS
from modelbundle.packing import pack
from modelbundle.storage.writing import DirectoryWriter

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT / "conformance" / "cases"
SPEC = ROOT / "spec"
ID = re.compile(r"[A-Z]{3}-[0-9]{2}")


def document(name: str) -> Any:
    return json.loads((SPEC / name).read_text("utf-8"))


RULES = {rule["id"]: rule for rule in document("rules.json")["rules"]}
UNTESTABLE: dict[str, str] = document("untestable.json")
ELSEWHERE: dict[str, str] = document("tested_elsewhere.json")


@functools.cache
def cases() -> list[dict[str, Any]]:
    return [json.loads(path.read_text("utf-8")) for path in sorted(CASES.glob("*/*/case.json"))]


@functools.cache
def checked() -> dict[str, str]:
    """Rules with a checking function, all modules of the package being loaded."""
    for module in pkgutil.walk_packages(modelbundle.__path__, "modelbundle."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return CHECKS


def test_the_table_is_there() -> None:
    assert len(RULES) > 150
    assert len(cases()) > 320


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_code_and_a_case(rule: str) -> None:
    about = [case for case in cases() if rule in case["rules"]]
    refused = [case for case in about if case["expected"]["verdict"] != "accept"]
    assert rule in checked() or rule in ELSEWHERE or rule in UNTESTABLE, "no function, no test"
    assert about or rule in UNTESTABLE, "no case"
    assert refused or rule in UNTESTABLE or rule in ELSEWHERE, "no invalid case"


@pytest.mark.parametrize("rule", ELSEWHERE)
def test_tests_elsewhere_exist(rule: str) -> None:
    file, _, function = ELSEWHERE[rule].partition("::")
    tree = ast.parse((Path(__file__).parent / file).read_text("utf-8"))
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_no_rule_is_unknown() -> None:
    used = {rule: "a case" for case in cases() for rule in rules_of(case)}
    for path in (ROOT / "reference" / "modelbundle").rglob("*.py"):
        used |= dict.fromkeys(re.findall(rf'"({ID.pattern})"', path.read_text("utf-8")), path.name)
    used |= dict.fromkeys((*UNTESTABLE, *ELSEWHERE), "a list of spec/")
    assert {rule: place for rule, place in used.items() if rule not in RULES} == {}


def rules_of(case: dict[str, Any]) -> set[str]:
    findings = case["expected"].get("findings", [])
    return {*case["rules"], *(rule for finding in findings for rule in finding["rules"])}


def test_verdicts_of_cases_follow_the_table() -> None:
    for case in cases():
        for finding in case["expected"].get("findings", []):
            verdicts = {RULES[rule]["verdict"] for rule in finding["rules"]}
            if case["operation"] == "validate":
                assert case["expected"]["verdict"] in verdicts, case["id"]


EXPRESSIBLE = {
    "MAN-01", "MAN-02", "MAN-03", "MAN-05", "MAN-11", "PTH-01", "PTH-02", "PTH-03", "SEC-02",
    "SIG-03", "EXT-01",
}  # fmt: skip
"""Rules of which a schema can express every breach but those below."""
BEYOND = re.compile(r"in-bytes|bytes-large|superscript|too-long-in|count-huge")


def models(case: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The documents of a case as schemas see them: what cannot be decoded is left out."""
    source = CASES / case["id"] / case["input"]
    contents = _contents(source)
    try:
        manifest = json.loads(contents[MANIFEST])
    except (KeyError, ValueError, RecursionError):
        return
    yield "manifest", manifest
    for name, path, decode, model in (
        ("tensor_index", TENSORS, tensor_index.decode, index_model),
        ("compositions", COMPOSITIONS, compositions.decode, compositions_model),
    ):
        try:
            yield name, model(decode(contents[path]))  # type: ignore[operator]
        except (BundleError, KeyError):
            continue


def _contents(source: Path) -> dict[str, bytes]:
    """Manifest, index and compositions, from a directory or from the members' places."""
    names = (MANIFEST, TENSORS, COMPOSITIONS)
    if source.is_dir():
        return {name: (source / name).read_bytes() for name in names if (source / name).is_file()}
    data, found, at = source.read_bytes(), {}, 0
    while data[at : at + 4] == b"PK\3\4":
        size, name, extra = (
            int.from_bytes(data[at + n : at + n + w], "little")
            for n, w in ((22, 4), (26, 2), (28, 2))
        )
        begin = at + 30 + name + extra
        found[data[at + 30 : at + 30 + name].decode("utf-8", "replace")] = data[
            begin : begin + size
        ]
        at = begin + size
    return {name: found[name] for name in names if name in found}


@functools.cache
def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(schemas.load(name))


def errors_of(case: dict[str, Any]) -> list[str]:
    return [
        f"{case['id']}: {error.message[:200]}"
        for name, value in models(case)
        for error in validator(name).iter_errors(value)
    ]


def committed() -> list[dict[str, Any]]:
    """The cases to be validated whose bundles are there without a recipe that builds them."""
    found = [case for case in cases() if case["operation"] == "validate"]
    return [case for case in found if case["id"].split("/")[0] != "large"]


def test_schemas_accept_what_is_valid() -> None:
    valid = [case for case in committed() if case["expected"]["verdict"] == "accept"]
    known = [case for case in valid if "VER-02" not in case["rules"]]
    assert len(known) > 100
    assert [error for case in known for error in errors_of(case)] == []


def test_schemas_refuse_what_they_can_express() -> None:
    """MAN-13: the schemas stand behind the rules."""
    expressible = [
        case
        for case in committed()
        if case["expected"].get("phase") == "manifest"
        and EXPRESSIBLE.issuperset(case["rules"])
        and not BEYOND.search(case["id"])
    ]
    assert len(expressible) > 100
    assert [case["id"] for case in expressible if not errors_of(case)] == []


def test_the_manifest_is_written_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """WRT-03."""
    finish = DirectoryWriter.finish
    seen: set[str] = set()

    def observed(self: DirectoryWriter, manifest: bytes) -> None:
        seen.update(path.name for path in self._root.rglob("*"))
        finish(self, manifest)

    monkeypatch.setattr(DirectoryWriter, "finish", observed)
    source = CASES / "pack" / "safetensors-plain" / "source" / "net.safetensors"
    pack(source, tmp_path / "bundle", directory=True)
    with open_bundle(tmp_path / "bundle") as bundle:
        stored = {entry.path for entry in bundle.manifest.stored}
    assert seen == stored
