"""Tables of the text agree with the code, links lead somewhere, and every rule is in the table."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from spec_text import DOCUMENTS, ROOT, SCHEMAS, SPEC, rows

from modelbundle.core import dtypes, manifest, tensor_index
from modelbundle.core.findings import CHECKS, UNSUPPORTED
from modelbundle.core.limits import LIMITS

sys.path.insert(0, str(ROOT / "reference" / "tools"))

import rule_table


def test_dtypes_of_the_text_are_those_of_the_reference() -> None:
    bits: dict[str, int] = {}
    for names, widths, _ in rows("04-data-conventions.md", "dtype"):
        found = re.findall(r"`([a-z0-9_]+)`", names)
        each = [int(width) for width in widths.split() if width.isdigit()]
        bits |= dict(
            zip(found, each if len(each) == len(found) else each * len(found), strict=False)
        )
    assert bits == dtypes.BITS
    enum = set(SCHEMAS["manifest"]["$defs"]["dtype"]["anyOf"][0]["enum"])
    assert enum == {*dtypes.BITS, dtypes.STRING}


def test_limits_of_the_text_are_those_of_the_reference() -> None:
    text = {row[0]: row[1] for row in rows("16-limits.md", "limit")}
    expected = {
        "manifest": (LIMITS.manifest_bytes, "16 MiB"),
        "tensor index": (LIMITS.index_bytes, "1 GiB"),
        "compositions": (LIMITS.compositions_bytes, "256 MiB"),
        "files": (LIMITS.files, "2^20"),
        "path; component id": (LIMITS.path_bytes, "1024"),
        "name of a row, name in a namespace, attribute key": (LIMITS.name_bytes, "4096"),
        "rank": (LIMITS.rank, "32"),
        "nesting of JSON": (LIMITS.json_depth, "64"),
        "nesting of MessagePack": (LIMITS.msgpack_depth, "16"),
        "composed bytes": (LIMITS.composed_ratio, "256"),
        "integers in JSON": (LIMITS.safe_integer + 1, "2^53"),
        "HDF5: groups, datasets and links of a file": (LIMITS.hdf5_objects, "2^22"),
        "HDF5: attributes of a file": (LIMITS.hdf5_attribute_bytes, "64 MiB"),
        "HDF5: decoded bytes of a file": (LIMITS.hdf5_decoded_ratio, "4096"),
        "`.keras`: members": (LIMITS.archive_members, "2^16"),
        "`.keras`: inflated bytes": (LIMITS.archive_inflated_ratio, "1024"),
        "safetensors header": (LIMITS.safetensors_header_bytes, "100,000,000"),
        "checkpoint `.index`": (LIMITS.table_bytes, "1 GiB"),
        "`saved_model.pb`, `.onnx`": (LIMITS.protobuf_bytes, "2 GiB"),
        "Keras config": (LIMITS.config_bytes, "64 MiB"),
    }
    units = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
    for name, (value, words) in expected.items():
        assert text[name].startswith(words), name
        number, _, unit = words.replace(",", "").partition(" ")
        base, _, power = number.partition("^")
        assert int(base) ** int(power or 1) * units.get(unit, 1) == value, name
    config = f"nesting {LIMITS.config_depth}; 2^{LIMITS.config_values.bit_length() - 1} values"
    assert config in text["Keras config"]


def test_kinds_of_the_text_are_known_to_the_reference() -> None:
    assert {row[0].strip("`") for row in rows("08-components.md", "kind")} <= manifest.KINDS


TYPES = {
    "string": {"type": "string"},
    "integer": {"type": "integer", "minimum": 0},
    "boolean": {"type": "boolean"},
    "`true`": {"const": True},
    "array of strings": {"type": "array", "items": {"type": "string"}},
}


def test_properties_of_kinds_in_the_text_are_those_of_the_schema() -> None:
    definitions = SCHEMAS["manifest"]["$defs"]
    sections = (SPEC / "08-components.md").read_text("utf-8").split("\n### ")[1:]
    assert len(sections) == len(list(rows("08-components.md", "kind")))
    for section in sections:
        kind = section[1 : section.index("`", 1)]
        table = re.findall(r"^\| `(\w+)` \| (.*?) \| (\w+) \|", section, re.MULTILINE)
        assert definitions[kind]["properties"].keys() == {name for name, _, _ in table}
        required = {name for name, _, presence in table if presence == "required"}
        assert required == set(definitions[kind].get("required", ()))
        for name, words, _ in table:
            node = definitions[kind]["properties"][name]
            assert "enum" in node or TYPES.get(words, node) == node, (kind, name)


def test_roles_of_the_text_are_those_of_the_reference() -> None:
    assert {row[0].strip("`") for row in rows("06-tensor-index.md", "role")} == tensor_index.ROLES


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text("utf-8")):
        assert target.startswith("https://") or (path.parent / target).exists(), target


# Rules


def test_rule_table_is_up_to_date() -> None:
    assert rule_table.main(["--check"]) == 0


def test_rules_that_the_reference_checks_are_in_the_text() -> None:
    rules = {rule.id: rule for rule in rule_table.collect()}
    assert rules.keys() >= CHECKS.keys()
    assert {rule for rule in rules if rules[rule].verdict == "unsupported"} == UNSUPPORTED


CHAPTER = "- **ABC-01** A Writer MUST count.\n- **ABC-02** (Full) A Reader\n  SHOULD sing.\n"


def test_rules_are_read_from_paragraphs() -> None:
    rules, problems = rule_table.chapter_rules("01-x.md", CHAPTER)
    assert problems == []
    assert [(r.id, r.roles, r.severity, r.level, r.verdict) for r in rules] == [
        ("ABC-01", ("Writer",), "error", "Core", "reject"),
        ("ABC-02", ("Reader",), "warning", "Full", "accept"),
    ]
    assert rules[1].text == "A Reader SHOULD sing."


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("A Writer MUST count.", "keyword outside a rule"),
        ("**ABC-01** One MUST count.", "names no role"),
        ("**ABC-01** A Writer MUST count and SHOULD sing.", "one of them only"),
        ("**ABC-01** A Writer counts.", "wants MUST or SHOULD"),
        ("A Writer must count.", "in lower case"),
        ("It may rain.", "in lower case"),
    ],
)
def test_broken_conventions_are_found(text: str, problem: str) -> None:
    _, problems = rule_table.chapter_rules("01-x.md", text)
    assert any(problem in line for line in problems)


def test_quoted_keywords_and_code_are_no_rules() -> None:
    text = 'The word "MUST" and `mustUnderstand`.\n\n```text\nA MUST must may\n```\n'
    assert rule_table.chapter_rules("01-x.md", text) == ([], [])


def test_untestable_rules_have_reasons() -> None:
    reasons = json.loads((SPEC / "untestable.json").read_text("utf-8"))
    assert all(isinstance(reason, str) and reason for reason in reasons.values())
