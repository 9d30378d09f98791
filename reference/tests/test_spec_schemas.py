"""The schemas hold: valid, explicit, alike where they overlap, as strict as the reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import pytest
from spec_text import (
    OWN,
    SCHEMAS,
    decoded,
    encoded,
    example,
    fragment,
    manifest_example,
    strict,
    tiny,
)

from modelbundle.core import canonical_json, manifest, tensor_index
from modelbundle.core.findings import BundleError, Finding
from modelbundle.sources.keras.config import config_component


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
        for sample in node.get("examples", ()):
            found += 1
            fragment(f"{name}#{pointer}").validate(sample)
    assert found


@pytest.mark.parametrize("name", SCHEMAS)
def test_objects_say_whether_they_are_open(name: str) -> None:
    closers = {"additionalProperties", "unevaluatedProperties", "$ref"}
    silent = [
        pointer
        for pointer, node in nodes(SCHEMAS[name])
        if "object" in kinds(node)
        and not pointer.endswith("/if")
        and not closers & node.keys()
        and "by unevaluatedProperties, where it is used" not in node.get("description", "")
    ]
    assert silent == []


@pytest.mark.parametrize("name", SCHEMAS)
def test_objects_that_others_extend_are_closed_where_they_are_used(name: str) -> None:
    mixins = {
        f"#/$defs/{key}"
        for key, node in SCHEMAS[name].get("$defs", {}).items()
        if "by unevaluatedProperties, where it is used" in node.get("description", "")
    }
    for pointer, node in nodes(SCHEMAS[name]):
        used = {node.get("$ref"), *(part.get("$ref") for part in node.get("allOf", ()))}
        assert not used & mixins or "unevaluatedProperties" in node or "/allOf/" in pointer


def kinds(node: dict[str, Any]) -> list[str]:
    """The JSON types that a node names."""
    found = node.get("type", [])
    return [found] if isinstance(found, str) else found


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
        elif key in ("allOf", "anyOf", "oneOf", "prefixItems"):
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
    ("COM-05", put("components", 0, "files", [])),
    ("COM-05", put("components", 0, "properties", "keys", "path")),
    ("COM-05", put("components", 1, "properties", {"backend": "jax"})),
    ("COM-05", put("components", 2, "properties", "non_finite", 1)),
    ("SIG-03", put("signatures", 0, "inputs", 0, "dtype", "float")),
    ("SIG-03", put("signatures", 0, "inputs", 0, "shape", [-1])),
    ("SIG-03", put("signatures", 0, "inputs", 0, "shape", [""])),
    ("EXT-01", put("extensions", {"audit": {}})),
    ("EXT-01", put("extensions", {"Org.example": {}})),
]


@pytest.mark.parametrize(("rule", "mutate"), MANIFEST_MUTATIONS)
def test_schema_and_reference_refuse_the_same_manifests(rule: str, mutate: Mutation) -> None:
    value = manifest_example()
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
def test_schema_and_reference_refuse_the_same_indexes(rule: str, mutate: Mutation) -> None:
    value = decoded(tiny()["tensors.msgpack"])
    mutate(value)
    assert not fragment("tensor_index").is_valid(value)
    with pytest.raises(BundleError) as caught:
        tensor_index.decode(encoded(value))
    assert rule in {finding.rule for finding in caught.value.findings}


def test_findings_of_the_reference_follow_their_schema() -> None:
    found = [Finding("TEN-06", "tensors.msgpack#/offset/3", "a range", "another", "hint"),
             Finding("ARC-07", "net.modelbundle", "1651 bytes", "1650")]  # fmt: skip
    fragment("findings").validate({"findings": [finding.to_json() for finding in found]})


def test_topology_of_the_text_is_what_its_config_gives() -> None:
    text = example("schema", "keras_config.keras3", "08-").text.encode()
    made, _, needs = config_component("net.json", text, derived_from=None, path="net.json")
    shown = strict(example("schema", "topology", "08-").text)
    assert made[0].blob.read(0, made[0].blob.size) == canonical_json.encode(shown)
    assert needs.layers == {"Dense", "Functional", "InputLayer"}
