"""The written standard holds: every example is run, tables agree with code, schemas are used.

The bundle of the introduction is built by `mini_writer`, which knows the text and not the
reference; both have to agree with the text and with each other.
"""

from __future__ import annotations

import io
import json
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import mini_writer
import msgpack
import pytest
import referencing

from modelbundle.core import (
    canonical_json,
    canonical_msgpack,
    compositions,
    dtypes,
    manifest,
    tensor_index,
)
from modelbundle.core.archive_layout import ArchiveLayout
from modelbundle.core.findings import CHECKS, UNSUPPORTED, BundleError, Finding
from modelbundle.core.limits import LIMITS

ROOT = Path(__file__).resolve().parents[2]
SPEC = ROOT / "spec"
sys.path.insert(0, str(ROOT / "reference" / "tools"))

import rule_table  # noqa: E402

DOCUMENTS = sorted(path for path in SPEC.rglob("*.md") if path.name != "rules.md")
SCHEMAS = {p.name.removesuffix(".schema.json"): json.loads(p.read_text("utf-8"))
           for p in sorted((ROOT / "schemas").rglob("*.schema.json"))}  # fmt: skip
REGISTRY: referencing.Registry[Any] = referencing.Registry().with_contents(
    (schema["$id"], schema) for schema in SCHEMAS.values()
)
OWN = ("manifest", "tensor_index", "compositions", "findings")
TAGS = {"json", "hex", "python", "text"}


@dataclass(frozen=True)
class Fence:
    """A fenced block: where it is, its tag and options, its text."""

    place: str
    tag: str
    options: dict[str, str]
    text: str


def fences(path: Path) -> Iterator[Fence]:
    lines = iter(enumerate(path.read_text("utf-8").splitlines(), 1))
    for number, line in lines:
        if line.lstrip().startswith("```"):
            tag, *options = line.strip().removeprefix("```").split() or [""]
            body = []
            for _, inner in lines:
                if inner.strip() == "```":
                    break
                body.append(inner)
            pairs = (option.partition("=") for option in options)
            text = "\n".join(body)
            yield Fence(f"{path.name}:{number}", tag, {k: v for k, _, v in pairs}, text)


FENCES = [fence for path in DOCUMENTS for fence in fences(path)]


def tagged(*tags: str) -> Any:
    chosen = [fence for fence in FENCES if fence.tag in tags]
    return pytest.mark.parametrize("fence", chosen, ids=[fence.place for fence in chosen])


@pytest.fixture(scope="module")
def tiny() -> dict[str, bytes]:
    """The bundle of the introduction, from the source file given there as hex."""
    source = next(f for f in FENCES if f.options.get("bytes") == "tiny/net.safetensors")
    files = mini_writer.bundle("net.safetensors", from_hex(source.text))
    return {**files, "archive": mini_writer.archive(files)}


def from_hex(text: str) -> bytes:
    return bytes.fromhex(" ".join(line.partition(";")[0] for line in text.splitlines()))


def strict(text: str) -> Any:
    return canonical_json.decode_lenient(text.encode(), "example")


def fragment(location: str) -> jsonschema.Draft202012Validator:
    """A validator for a schema (`manifest`) or for one node of it (`manifest#/$defs/file`)."""
    name, _, pointer = location.partition("#")
    return jsonschema.Draft202012Validator(
        {"$ref": f"{SCHEMAS[name]['$id']}#{pointer}"}, registry=REGISTRY
    )


# Examples


@pytest.mark.parametrize("fence", FENCES, ids=[fence.place for fence in FENCES])
def test_every_fence_has_a_tag_that_is_checked(fence: Fence) -> None:
    assert fence.tag in TAGS
    wanted = {"json": {"schema", "fragment"}, "hex": {"bytes"}, "python": {"run"}}
    assert fence.tag == "text" or wanted[fence.tag] & fence.options.keys()


@tagged("json")
def test_json_examples_follow_their_schema(fence: Fence, tiny: dict[str, bytes]) -> None:
    value = strict(fence.text)
    location = fence.options.get("schema") or fence.options["fragment"]
    fragment(location).validate(value)
    if "value" in fence.options:
        name = fence.options["value"].removeprefix("tiny/")
        assert value == (json.loads(tiny[name]) if name.endswith(".json") else decoded(tiny[name]))


@tagged("hex")
def test_hex_examples_are_what_the_mini_writer_writes(fence: Fence, tiny: dict[str, bytes]) -> None:
    data = tiny[fence.options["bytes"].removeprefix("tiny/")]
    shown = from_hex(fence.text)
    start = int(fence.options.get("at", 0))
    assert data[start : start + len(shown)] == shown
    assert "at" in fence.options or len(shown) == len(data)


@tagged("python")
def test_python_examples_run(fence: Fence, tiny: dict[str, bytes]) -> None:
    run(fence, tiny)


def run(fence: Fence, tiny: dict[str, bytes]) -> dict[str, Any]:
    names: dict[str, Any] = {"tiny": tiny}
    exec(compile(fence.text, fence.place, "exec"), names)
    return names


@tagged("text")
def test_text_examples_with_a_digest_show_it(fence: Fence, tiny: dict[str, bytes]) -> None:
    if "digest" in fence.options:
        name = fence.options["digest"].removeprefix("tiny/")
        assert fence.text == mini_writer.digest(tiny[name])


WIDTHS = {"dtype": "B", "rank": "B", "role": "B", "file": "I", "tensors": "I", "segments": "I",
          "source": "I", "shape": "Q", "offset": "Q", "length": "Q"}  # fmt: skip


def decoded(data: bytes) -> Any:
    """The decoded data model of MessagePack bytes (section 4.4.1), without the reference."""
    return _decoded(msgpack.unpackb(data))


def _decoded(value: Any, name: str = "") -> Any:
    if isinstance(value, bytes) and name == "digest":
        return [f"sha256:{value[at : at + 32].hex()}" for at in range(0, len(value), 32)]
    if isinstance(value, bytes):
        return [item for (item,) in struct.iter_unpack(f"<{WIDTHS[name]}", value)]
    if isinstance(value, dict):
        return {key: _decoded(item, key) for key, item in value.items()}
    return [_decoded(item) for item in value] if isinstance(value, list) else value


def encoded(value: Any) -> bytes:
    """The inverse of `decoded`, in canonical form."""
    return canonical_msgpack.encode(_encoded(value))


def _encoded(value: Any, name: str = "") -> Any:
    if isinstance(value, list) and name == "digest":
        return b"".join(bytes.fromhex(item.removeprefix("sha256:")) for item in value)
    if isinstance(value, list) and name in WIDTHS:
        return struct.pack(f"<{len(value)}{WIDTHS[name]}", *value)
    if isinstance(value, dict):
        return {key: _encoded(item, key) for key, item in value.items()}
    return [_encoded(item) for item in value] if isinstance(value, list) else value


# The introduction's bundle and the reference


def test_reference_reads_the_tiny_bundle_and_writes_the_same_bytes(tiny: dict[str, bytes]) -> None:
    head = manifest.decode(tiny["manifest.json"])
    assert manifest.encode(head) == tiny["manifest.json"]
    index = tensor_index.decode(tiny["tensors.msgpack"])
    assert tensor_index.encode(index) == tiny["tensors.msgpack"]
    sizes = {entry.path: entry.size for entry in head.stored}
    ids = frozenset(component.id for component in head.components)
    assert list(tensor_index.check_against(index, sizes, ids)) == []
    assert (len(index), index.distinct_bytes()) == (head.tensor_count, head.tensor_bytes)
    assert index.row(1).shape == (2, 2)


def test_reference_determines_the_tiny_archive(tiny: dict[str, bytes]) -> None:
    files = {path: data for path, data in tiny.items() if path != "archive"}
    layout = ArchiveLayout([(path, len(data)) for path, data in files.items()])
    crc32s = [zlib.crc32(data) for data in files.values()]
    members = zip(layout.members, crc32s, files.values(), strict=True)
    data = b"".join(member.local_header(crc) + content for member, crc, content in members)
    assert data + layout.tail(crc32s) == tiny["archive"]
    assert layout.size == len(tiny["archive"])


def test_zip_tools_read_the_tiny_archive(tiny: dict[str, bytes]) -> None:
    with zipfile.ZipFile(io.BytesIO(tiny["archive"])) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["manifest.json", "tensors.msgpack", "net.safetensors"]


G4 = 0xFFFFFFFF


SIZES = [
    [0], [1, 63, 64, 65], [G4 - 1, 5], [G4, 5], [G4 + 1, 0, 7], [3, G4 - 200, 9, 9],
    [1] * 65533, [1] * 65534,
]  # fmt: skip


@pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: f"{len(sizes)}x{sizes[0]}")
def test_offsets_of_the_text_are_those_of_the_reference(
    sizes: list[int], tiny: dict[str, bytes]
) -> None:
    fence = next(f for f in FENCES if f.tag == "python" and "def data_offsets" in f.text)
    members = [
        ("manifest.json", 700),
        *((f"d/{number}é", size) for number, size in enumerate(sizes)),
    ]
    places, total = run(fence, tiny)["data_offsets"](members)
    layout = ArchiveLayout(members)
    assert places == {member.path: member.data_offset for member in layout.members}
    assert total == layout.size


def test_reference_reads_the_compositions_example() -> None:
    fence = next(f for f in FENCES if f.options.get("schema") == "compositions")
    value = strict(fence.text)
    read = compositions.decode(encoded(value))
    assert decoded(compositions.encode(read)) == value
    stored = {"net.bin": 5000, "residue.bin": 12}
    assert list(compositions.check_against(read, stored, {"copy.bin": 4108})) == []


def test_reference_reads_the_manifest_example() -> None:
    fence = next(f for f in FENCES if f.place.startswith("05-") and "schema" in f.options)
    manifest.decode(canonical_json.encode(strict(fence.text)))


# Schemas


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_are_valid_and_identified(name: str) -> None:
    schema = SCHEMAS[name]
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"https://modelbundle.org/schemas/1.0-draft/{name}.schema.json"
    assert schema["title"] and schema["description"]


@pytest.mark.parametrize("name", OWN)
def test_examples_within_schemas_hold(name: str) -> None:
    found = 0
    for pointer, node in nodes(SCHEMAS[name]):
        for example in node.get("examples", ()):
            found += 1
            fragment(f"{name}#{pointer}").validate(example)
    assert found


@pytest.mark.parametrize("name", OWN)
def test_objects_say_whether_they_are_open(name: str) -> None:
    closed = [pointer for pointer, node in nodes(SCHEMAS[name])
              if node.get("type") == "object" and "additionalProperties" not in node]  # fmt: skip
    assert closed == []


def test_shared_definitions_are_the_same_everywhere() -> None:
    for name in OWN:
        for key, definition in SCHEMAS[name].get("$defs", {}).items():
            others = [SCHEMAS[other].get("$defs", {}).get(key, definition) for other in OWN]
            assert all(other == definition for other in others), key


def nodes(node: Any, pointer: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """The subschemas of a schema with their pointers."""
    if not isinstance(node, dict):
        return
    yield pointer, node
    for key, value in node.items():
        if key in ("properties", "$defs"):
            for name, child in value.items():
                yield from nodes(child, f"{pointer}/{key}/{name}")
        elif key in ("allOf", "anyOf", "oneOf"):
            for number, child in enumerate(value):
                yield from nodes(child, f"{pointer}/{key}/{number}")
        elif key in ("items", "additionalProperties", "propertyNames", "not", "if", "then", "else"):
            yield from nodes(value, f"{pointer}/{key}")


Mutation = Callable[[Any], Any]


def put(*keys_and_value: Any) -> Mutation:
    """A mutation: `put("files", 0, "size", -1)` sets a value at a path of keys."""
    *keys, last, value = keys_and_value

    def mutate(document: Any) -> None:
        for key in keys:
            document = document[key]
        document[last] = value

    return mutate


def drop(*keys: Any) -> Mutation:
    def mutate(document: Any) -> None:
        for key in keys[:-1]:
            document = document[key]
        del document[keys[-1]]

    return mutate


MANIFEST_MUTATIONS = [
    ("MAN-01", drop("files")),
    ("MAN-01", drop("requirements", "ops")),
    ("MAN-01", put("files", 0, "size", -1)),
    ("MAN-01", put("components", 0, "files", [7])),
    ("MAN-02", put("modelbundle", "1")),
    ("MAN-02", put("modelbundle", "01.0")),
    ("MAN-03", put("file", [])),
    ("MAN-03", put("files", 0, "mediatype", "a/b")),
    ("MAN-03", put("signatures", 0, "inputs", 0, "rank", 2)),
    ("MAN-05", put("files", 0, "digest", "sha256:" + 64 * "A")),
    ("MAN-05", put("files", 0, "mediaType", "json")),
    ("MAN-05", put("files", 0, "role", "asset")),
    ("MAN-05", put("files", 0, "storage", "inline")),
    ("MAN-11", put("name", "")),
    ("MAN-11", put("metadata", {})),
    ("MAN-11", put("components", 0, "mustUnderstand", False)),
    ("PTH-01", put("files", 0, "path", "a/../b")),
    ("PTH-01", put("files", 0, "path", "/a")),
    ("PTH-02", put("files", 0, "path", "C:a")),
    ("PTH-02", put("files", 0, "path", "a\x85")),
    ("PTH-03", put("files", 0, "path", "a/Com¹.txt")),
    ("PTH-03", put("files", 0, "path", "a./b")),
    ("PTH-03", put("files", 0, "path", "NUL .x")),
    ("PTH-06", put("files", 0, "path", "manifest.json")),
    ("PTH-06", put("files", 6, "role", "source")),
    ("PTH-06", put("files", 0, "role", "index")),
    ("MAN-08", put("files", 6, "storage", "composed")),
    ("SIG-03", put("signatures", 0, "inputs", 0, "dtype", "float")),
    ("SIG-03", put("signatures", 0, "inputs", 0, "shape", [-1])),
    ("SIG-03", put("signatures", 0, "inputs", 0, "shape", [""])),
    ("EXT-01", put("extensions", {"audit": {}})),
    ("EXT-01", put("extensions", {"Org.example": {}})),
]


@pytest.mark.parametrize(("rule", "mutate"), MANIFEST_MUTATIONS)
def test_schema_and_reference_refuse_the_same_manifests(rule: str, mutate: Mutation) -> None:
    fence = next(f for f in FENCES if f.place.startswith("05-") and "schema" in f.options)
    value = strict(fence.text)
    mutate(value)
    assert not fragment("manifest").is_valid(value)
    with pytest.raises(BundleError) as caught:
        manifest.decode(canonical_json.encode(value))
    assert rule in {finding.rule for finding in caught.value.findings}


INDEX_MUTATIONS = [
    ("TEN-01", drop("attributes")),
    ("TEN-01", put("extra", 1)),
    ("TEN-01", drop("namespaces", 0, "system")),
    ("TEN-03", put("names", ["dense/bias", "dense/\x07"])),
    ("TEN-04", put("dtypes", ["float"])),
    ("TEN-04", put("dtypes", ["bytes01"])),
    ("TEN-11", put("namespaces", 0, "system", "Keras")),
    ("TEN-11", put("namespaces", 0, "names", ["", "x"])),
    ("TEN-12", put("roles", ["weights"])),
    ("TEN-15", put("attributes", [{"tensor": 0, "values": {}}])),
]


@pytest.mark.parametrize(("rule", "mutate"), INDEX_MUTATIONS)
def test_schema_and_reference_refuse_the_same_indexes(
    rule: str, mutate: Mutation, tiny: dict[str, bytes]
) -> None:
    value = decoded(tiny["tensors.msgpack"])
    mutate(value)
    assert not fragment("tensor_index").is_valid(value)
    with pytest.raises(BundleError) as caught:
        tensor_index.decode(encoded(value))
    assert rule in {finding.rule for finding in caught.value.findings}


def test_findings_of_the_reference_follow_their_schema() -> None:
    found = [Finding("TEN-06", "tensors.msgpack#/offset/3", "a range", "another", "hint"),
             Finding("ARC-07", "net.modelbundle", "1651 bytes", "1650")]  # fmt: skip
    fragment("findings").validate({"findings": [finding.to_json() for finding in found]})


# Tables of the text and the code


def rows(document: str, first: str) -> Iterator[list[str]]:
    """The rows of the table in `document` whose header begins with the column `first`."""
    lines = iter((SPEC / document).read_text("utf-8").splitlines())
    for line in lines:
        if line.startswith(f"| {first} |"):
            next(lines)
            for row in lines:
                if not row.startswith("|"):
                    break
                yield [cell.strip() for cell in row.strip("|").split("|")]


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
