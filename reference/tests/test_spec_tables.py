"""Tables of the text agree with the code, links lead somewhere, and every rule is in the table."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from spec_text import DOCUMENTS, ROOT, SCHEMAS, SPEC, rows

from modelbundle.core import component_kinds, dtypes, manifest, tensor_index
from modelbundle.core.findings import CHECKS, UNSUPPORTED
from modelbundle.core.limits import LIMITS
from modelbundle.sources import protobuf_wire, safetensors, spool
from modelbundle.sources.hdf5 import chunks, superblock
from modelbundle.sources.keras import requirements, zip_members
from modelbundle.sources.onnx import model as onnx
from modelbundle.sources.tensorflow import leveldb_table, object_graph

sys.path.insert(0, str(ROOT / "reference" / "tools"))

import rule_table
import variable_table


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


LIMIT_ROWS = {
    "manifest": "manifest_bytes",
    "tensor index": "index_bytes",
    "compositions": "compositions_bytes",
    "files": "files",
    "path; component id": "path_bytes",
    "name of a row, name in a namespace, attribute key": "name_bytes",
    "nesting of JSON": "json_depth",
    "members and items of a JSON document": "json_values",
    "nesting of MessagePack": "msgpack_depth",
    "entries and items of a MessagePack document": "msgpack_values",
    "rank": "rank",
    "integers in JSON": "safe_integer",
    "composed bytes": "composed_ratio",
    "Keras config": "config_bytes",
    "Keras config: nesting": "config_depth",
    "Keras config: values and keys; escapes": "config_values",
    "Keras config: calls, tensors in them and tagged values": "config_calls",
    "Keras config: layers": "config_layers",
    "Keras config: layers inside one another": "config_layer_depth",
    "HDF5: groups, datasets and links of a file": "hdf5_objects",
    "HDF5: attributes of a file": "hdf5_attribute_bytes",
    "HDF5: decoded bytes of a file": "hdf5_decoded_ratio",
    "`.keras`: members": "archive_members",
    "`.keras`: inflated bytes": "archive_inflated_ratio",
    "safetensors: header; index of a set": "safetensors_header_bytes",
    "safetensors: members of an object; tensors of a set": "safetensors_members",
    "safetensors: string, as written": "safetensors_string_characters",
    "checkpoint: `.index`": "table_bytes",
    "`saved_model.pb`, `.onnx`": "protobuf_bytes",
    "golden vectors: file": "golden_bytes",
}
"""Rows of chapter 16 with the member of `LIMITS` that each states."""

SOURCE_LIMITS = {
    "Keras config: name; path of a layer": LIMITS.name_bytes,
    "hazards that are listed": requirements.HAZARDS,
    "HDF5: path": LIMITS.name_bytes,
    "HDF5: chunks of a dataset": chunks._MOST_CHUNKS,
    "HDF5: chunk that does not cover whole rows": spool.MEMORY_BYTES,
    "HDF5: bytes before the superblock": superblock._LARGEST_USER_BLOCK,
    "`.keras`: central directory": zip_members._MOST_DIRECTORY_BYTES,
    "safetensors: entry of a tensor": safetensors._ENTRY_CHARACTERS,
    "checkpoint: block of the table": leveldb_table._BLOCK_BYTES,
    "checkpoint: key; all keys": LIMITS.name_bytes,
    "object graph": object_graph.GRAPH_BYTES,
    "object graph: nodes": object_graph.NODES,
    "`keras_metadata.pb`": LIMITS.config_bytes,
    "ONNX: graphs inside one another": onnx._DEPTH,
    "protobuf: a text; a list": protobuf_wire.TEXT_BYTES,
}
BEYOND_CODE = {
    "rows",
    "sum of the sizes of stored files; of composed files",
    "kind of a component; naming system",
}
"""Limits of the text that a width, a sum or a schema sets in the code."""


def limit(words: str) -> int:
    """The number that a value of chapter 16 begins with: `16 MiB`, `2^20 each`."""
    found = re.match(r"([0-9,]+)(?:\^([0-9]+))?( \u2212 1)?(?: (KiB|MiB|GiB))?", words)
    assert found, words
    unit = {None: 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}[found[4]]
    number = int(found[1].replace(",", "")) ** int(found[2] or 1)
    return int(number - bool(found[3])) * unit


def test_limits_of_the_text_are_those_of_the_reference() -> None:
    text = {row[0]: limit(row[1]) for row in rows("16-limits.md", "limit")}
    assert text.keys() == {*LIMIT_ROWS, *SOURCE_LIMITS, *BEYOND_CODE}
    assert {name: text[row] for row, name in LIMIT_ROWS.items()} == asdict(LIMITS)
    assert {row: text[row] for row in SOURCE_LIMITS} == SOURCE_LIMITS


def test_limits_name_rules_that_speak_of_them() -> None:
    chapters = {rule.id: rule.text for rule in rule_table.collect()}
    for name, _, cited in rows("16-limits.md", "limit"):
        assert all(rule in chapters for rule in re.findall(r"[A-Z]{3}-[0-9]{2}", cited)), name


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


def test_properties_of_kinds_in_the_schema_are_those_of_the_reference() -> None:
    for name, kind in component_kinds._KINDS.items():
        schema = SCHEMAS["manifest"]["$defs"][name]
        assert schema["properties"].keys() == kind.required.keys() | kind.optional.keys()
        assert set(schema.get("required", ())) == kind.required.keys()


def test_roles_of_the_text_are_those_of_the_reference() -> None:
    assert {row[0].strip("`") for row in rows("06-tensor-index.md", "role")} == tensor_index.ROLES


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text("utf-8")):
        assert target.startswith("https://") or (path.parent / target).exists(), target


# Rules


def test_keras_variables_are_those_of_the_reference() -> None:
    assert variable_table.main(["--check"]) == 0


def test_rule_table_is_up_to_date() -> None:
    assert rule_table.main(["--check"]) == 0


def test_rules_that_the_reference_checks_are_in_the_text() -> None:
    rules = {rule.id: rule for rule in rule_table.collect()}
    assert rules.keys() >= CHECKS.keys()
    assert {rule for rule in rules if rules[rule].verdict == "unsupported"} == UNSUPPORTED


def test_rules_that_the_code_names_are_in_the_text() -> None:
    rules = {rule.id for rule in rule_table.collect()}
    for path in sorted((ROOT / "reference" / "modelbundle").rglob("*.py")):
        named = set(re.findall(r'"([A-Z]{3}-[0-9]{2})"', path.read_text("utf-8")))
        assert named <= rules, path.name


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
