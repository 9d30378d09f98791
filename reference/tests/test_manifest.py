"""The manifest: round trips, and rules VER, MAN, COM, SIG, REQ-01 and EXT one by one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from time import perf_counter
from typing import Any

import pytest
from building import ZERO_DIGEST, as_bytes, file_json, manifest_json, rules_of
from hypothesis import given, settings
from hypothesis import strategies as st

from modelbundle.core import digests, manifest
from modelbundle.core.findings import BundleError, UnsupportedError
from modelbundle.core.limits import LIMITS

Json = dict[str, Any]


def decode(value: Any) -> manifest.Manifest:
    return manifest.decode(as_bytes(value))


def rules(value: Any) -> list[str]:
    return rules_of(lambda: decode(value))


def test_round_trip() -> None:
    value = manifest_json(
        file_json("a.bin", 300, storage="composed"),
        file_json("net.bin", 64),
        file_json("compositions.msgpack", 10),
        file_json("residue.bin", 5),
        directories=["net/empty"],
        name="net",
        metadata={"any": [1, None, {"thing": 0.5}]},
        extensions={"org.example.audit": {"level": 3}},
    )
    data = as_bytes(value)
    decoded = manifest.decode(data)
    assert manifest.encode(decoded) == data
    assert [entry.path for entry in decoded.stored] == [
        "tensors.msgpack",
        "compositions.msgpack",
        "net.bin",
        "residue.bin",
    ]
    assert [entry.path for entry in decoded.composed] == ["a.bin"]
    assert decoded.signatures[0].inputs[0].shape == ("batch", 4, None)
    assert not decoded.newer


def test_encoding_puts_everything_in_order() -> None:
    decoded = decode(manifest_json(file_json("a"), file_json("b"), file_json("c")))
    shuffled = replace(decoded, files=decoded.files[::-1])
    assert manifest.encode(shuffled) == manifest.encode(decoded)


def test_length_does_not_depend_on_digests() -> None:
    decoded = decode(manifest_json())
    other = tuple(replace(entry, digest=f"sha256:{'f' * 64}") for entry in decoded.files)
    assert len(manifest.encode(replace(decoded, files=other))) == len(manifest.encode(decoded))


def _set(pointer: str, item: Any) -> Callable[[Json], None]:
    def change(value: Json) -> None:
        *parents, last = pointer.strip("/").split("/")
        target: Any = value
        for part in parents:
            target = target[int(part)] if isinstance(target, list) else target[part]
        if isinstance(target, list) and last == "+":
            target.append(item)
        elif isinstance(target, list):
            target[int(last)] = item
        else:
            target[last] = item

    return change


def _remove(pointer: str) -> Callable[[Json], None]:
    def change(value: Json) -> None:
        *parents, last = pointer.strip("/").split("/")
        target: Any = value
        for part in parents:
            target = target[int(part)] if isinstance(target, list) else target[part]
        del target[last]

    return change


FILE, PORT = "/files/0", "/signatures/0/inputs/0"
CUSTOM = "/requirements/customObjects/0"
REQUIRED = [
    *(["/files", "/tensors", "/components", "/signatures", "/requirements"]),
    *(f"{FILE}/{name}" for name in ["path", "size", "digest", "mediaType", "role", "storage"]),
    *("/tensors/count", "/tensors/bytes"),
    *("/components/0/id", "/components/0/kind", "/components/0/files"),
    *(f"/signatures/0/{name}" for name in ["name", "component", "inputs", "outputs"]),
    *(f"{PORT}/{name}" for name in ["name", "dtype", "shape"]),
    *(f"/requirements/{name}" for name in ["layers", "customObjects", "ops", "dtypes"]),
    *(f"{CUSTOM}/{name}" for name in ["registeredName", "className", "component"]),
]
OBJECTS = ["", FILE, "/tensors", "/components/0", "/signatures/0", PORT, "/requirements", CUSTOM]


@pytest.mark.parametrize("pointer", REQUIRED)
def test_required_members(pointer: str) -> None:
    value = manifest_json()
    _remove(pointer)(value)
    assert rules(value) == ["MAN-01"]


@pytest.mark.parametrize("pointer", REQUIRED)
@pytest.mark.parametrize("wrong", [True, 1.5, {"a": 1}, [[]], -1, None])
def test_types(pointer: str, wrong: Any) -> None:
    value = manifest_json()
    _set(pointer, wrong)(value)
    if pointer.endswith("/shape") and wrong in (None, [[]]):
        expected = [] if wrong is None else ["SIG-03"]
    elif pointer == "/requirements" and wrong == {"a": 1}:
        expected = [*["MAN-01"] * 4, "MAN-03"]
    elif pointer == "/tensors" and wrong == {"a": 1}:
        expected = ["MAN-01", "MAN-01", "MAN-03"]
    else:
        expected = ["MAN-01"]
    assert rules(value) == expected


@pytest.mark.parametrize("pointer", OBJECTS)
def test_unknown_members(pointer: str) -> None:
    value = manifest_json()
    _set(f"{pointer}/comment", "x")(value)
    assert rules(value) == ["MAN-03"]
    value["modelbundle"] = "1.1"
    assert decode(value).newer


@pytest.mark.parametrize("pointer", OBJECTS)
@pytest.mark.parametrize("wrong", [[], "x", 5, None])
def test_objects(pointer: str, wrong: Any) -> None:
    value: Any = manifest_json()
    if pointer:
        _set(pointer, wrong)(value)
        assert set(rules(value)) == {"MAN-01"}
    else:
        assert rules(wrong) == ["MAN-02"]


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("MAN-02", _set("/modelbundle", "01.0")),
        ("MAN-02", _set("/modelbundle", "1")),
        ("MAN-02", _set("/modelbundle", "1.0-final")),
        ("MAN-02", _set("/modelbundle", 1)),
        ("VER-01", _set("/modelbundle", "2.0")),
        ("MAN-05", _set(f"{FILE}/digest", f"sha256:{'A' * 64}")),
        ("MAN-05", _set(f"{FILE}/digest", "sha256:00")),
        ("MAN-05", _set(f"{FILE}/role", "other")),
        ("MAN-05", _set(f"{FILE}/mediaType", "text")),
        ("MAN-05", _set(f"{FILE}/mediaType", "text/é")),
        ("MAN-06", _set(f"{FILE}/digest", f"blake3:{'0' * 64}")),
        ("MAN-07", _set(f"{FILE}/size", 2**53 - 1)),
        ("MAN-10", _set("/directories", ["b", "a"])),
        ("MAN-10", _set("/directories", ["a", "a"])),
        ("PTH-01", _set("/directories", ["a/../b"])),
        ("MAN-11", _set("/name", "")),
        ("MAN-11", _set("/metadata", {})),
        ("MAN-11", _set("/extensions", None)),
        ("MAN-11", _set("/directories", [])),
        ("MAN-11", _set("/components/0/mustUnderstand", False)),
        ("MAN-11", _set(f"{CUSTOM}/module", "")),
        ("MAN-01", _set("/directories", [""])),
        ("MAN-01", _set("/requirements/layers", [1])),
        ("COM-01", _set("/components/0/id", "")),
        ("COM-01", _set("/components/0/id", "é" * 513)),
        ("COM-02", _set("/components/0/files", ["no.bin"])),
        ("COM-03", _set("/components/0/mustUnderstand", True)),
        ("COM-04", _set("/components/0/derivedFrom", "no")),
        ("COM-04", _set("/components/0/derivedFrom", "net.bin")),
        ("SIG-02", _set("/signatures/0/component", "no")),
        ("SIG-03", _set(f"{PORT}/dtype", "float31")),
        ("SIG-03", _set(f"{PORT}/shape", [-1])),
        ("SIG-03", _set(f"{PORT}/shape", [""])),
        ("SIG-03", _set(f"{PORT}/shape", [1.5])),
        ("SIG-03", _set(f"{PORT}/shape", [1] * 33)),
        ("REQ-01", _set("/requirements/ops", ["b", "a"])),
        ("EXT-01", _set("/extensions", {"audit": {}})),
        ("EXT-01", _set("/extensions", {"org.Example": {}})),
        ("EXT-01", _set("/extensions", {"org.example": 5})),
        ("EXT-01", _set("/extensions", {"org.example": {"mustUnderstand": False}})),
        ("EXT-02", _set("/extensions", {"org.example": {"mustUnderstand": True}})),
    ],
)
def test_single_faults(rule: str, change: Callable[[Json], None]) -> None:
    value = manifest_json()
    change(value)
    found = set(rules(value))
    assert rule in found
    assert found <= {rule, "COM-05", "SIG-02", "MAN-05"}


@pytest.mark.parametrize("rule", ["VER-01", "MAN-06", "COM-03", "EXT-02"])
def test_what_is_only_unknown_is_unsupported(rule: str) -> None:
    changes = {
        "VER-01": _set("/modelbundle", "9.3"),
        "MAN-06": _set(f"{FILE}/digest", "sha512:00"),
        "COM-03": _set("/components/0/mustUnderstand", True),
        "EXT-02": _set("/extensions", {"a.b": {"mustUnderstand": True}}),
    }
    value = manifest_json()
    changes[rule](value)
    with pytest.raises(UnsupportedError):
        decode(value)
    value["components"][0]["files"] = ["no.bin"]
    assert rule in rules(value)


def test_files_ascend_and_are_unique() -> None:
    value = manifest_json(file_json("b"), file_json("a"))
    value["files"].reverse()
    assert rules(value) == ["MAN-04"]
    value["files"] = [file_json("a"), file_json("a"), file_json("tensors.msgpack")]
    assert "MAN-04" in rules(value)


@pytest.mark.parametrize(
    ("rule", "files"),
    [
        ("MAN-08", [file_json("a", 9, storage="composed")]),
        ("MAN-08", [file_json("a"), file_json("compositions.msgpack")]),
        ("MAN-08", [file_json("a"), file_json("residue.bin", storage="composed")]),
        ("PTH-06", [file_json("manifest.json")]),
        ("PTH-06", [file_json("a", role="index")]),
        ("PTH-06", [file_json("a"), file_json("residue.bin", role="source")]),
        ("MAN-07", [file_json("a", 999_999, storage="composed"), file_json("b", 99)]),
        ("PTH-05", [file_json("A"), file_json("a")]),
        ("PTH-05", [file_json("a"), file_json("a/b")]),
    ],
)
def test_sets_of_files(rule: str, files: list[Json]) -> None:
    value = manifest_json(*files)
    assert rule in rules(value)


def test_tensor_index_is_required() -> None:
    value = manifest_json()
    value["files"] = [file_json("net.bin")]
    assert rules(value) == ["MAN-08"]


@pytest.mark.parametrize("directory", ["a", "a/b", "a/b/c.bin"])
def test_directories_are_empty(directory: str) -> None:
    value = manifest_json(file_json("a/b/c.bin"), directories=[directory])
    assert "MAN-10" in rules(value)
    value = manifest_json(file_json("a/b/c.bin"), directories=["a/c"])
    assert rules(value) == []


def test_components_derive_without_cycles() -> None:
    value = manifest_json()
    base = {"kind": "org.example.x", "files": []}
    value["components"] += [
        {**base, "id": "x1", "derivedFrom": "x2"},
        {**base, "id": "x2", "derivedFrom": "x3"},
        {**base, "id": "x3", "derivedFrom": "x2"},
        {**base, "id": "x4", "derivedFrom": "net.bin"},
        {**base, "id": "x5", "derivedFrom": "x4"},
    ]
    with pytest.raises(BundleError) as caught:
        decode(value)
    places = [finding.place for finding in caught.value.findings]
    assert places == [f"manifest.json#/components/{i}/derivedFrom" for i in (1, 2, 3)]


@pytest.mark.parametrize(
    ("pointer", "component"),
    [
        ("/files", {"kind": "hdf5", "properties": {"layout": "plain"}, "files": ["b"]}),
        ("/properties", {"kind": "hdf5"}),
        ("/properties/layout", {"kind": "hdf5", "properties": {"layout": "odd"}}),
        ("/files", {"kind": "training", "files": []}),
        ("/files", {"kind": "tensorflow.checkpoint"}),
        ("/files", {"kind": "tensorflow.saved_model"}),
        ("/properties/shards", {"kind": "safetensors", "properties": {"shards": "1"}}),
        ("/properties/tags", {"kind": "tensorflow.saved_model", "properties": {"tags": ["s"]}}),
    ],
)
def test_known_kinds(pointer: str, component: Json) -> None:
    value = manifest_json(file_json("a"), file_json("b"))
    value["components"] = [{"id": "a", "files": ["a"], **component}]
    value["signatures"] = []
    value["requirements"]["customObjects"] = []
    with pytest.raises(BundleError) as caught:
        decode(value)
    assert {finding.rule for finding in caught.value.findings} == {"COM-05"}
    places = [finding.place for finding in caught.value.findings]
    assert f"manifest.json#/components/0{pointer}" in places


@pytest.mark.parametrize("kind", ["card", "tensors"])
def test_reserved_kinds_are_unknown(kind: str) -> None:
    value = manifest_json()
    value["components"][0]["kind"] = kind
    assert rules(value) == []
    value["components"][0]["mustUnderstand"] = True
    assert rules(value) == ["COM-03"]


def test_order_of_signatures_and_ports() -> None:
    value = manifest_json()
    value["signatures"] *= 2
    assert rules(value) == ["SIG-01"]
    value = manifest_json()
    value["signatures"][0]["inputs"] *= 2
    assert rules(value) == ["SIG-01"]


def test_size_limit() -> None:
    assert rules_of(lambda: manifest.decode(b" " * (LIMITS.manifest_bytes + 1))) == ["MAN-12"]


def _chain(count: int) -> list[Json]:
    names = [f"{i:06}" for i in range(count)]
    return [
        {"id": name, "kind": "x.y", "files": [], "derivedFrom": following}
        for name, following in zip(names, [*names[1:], names[0]], strict=True)
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"components": _chain(20_000)},
        {"directories": sorted(f"{'d/' * 500}{i}" for i in range(3_000))},
    ],
    ids=["chain", "deep"],
)
def test_hostile_manifests_take_linear_time(changes: Json) -> None:
    data = as_bytes(manifest_json(signatures=[], **changes))
    start = perf_counter()
    rules_of(lambda: manifest.decode(data))
    assert perf_counter() - start < 10


WRONG = st.none() | st.booleans() | st.integers(-5, 2**53 - 1) | st.text("aé/.:", max_size=5)
WRONG |= st.lists(WRONG, max_size=2) | st.dictionaries(st.sampled_from("ab"), WRONG, max_size=2)


def _pointers(value: Any, before: str = "") -> list[str]:
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = [(str(at), item) for at, item in enumerate(value)]
    else:
        children = []
    return [p for k, item in children for p in (f"{before}/{k}", *_pointers(item, f"{before}/{k}"))]


FULL = manifest_json(
    name="n", metadata={"a": 1}, directories=["e"], extensions={"a.b": {"mustUnderstand": True}}
)
POINTERS = [p for p in _pointers(FULL) if not p.startswith("/metadata/")]


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(POINTERS), WRONG)
def test_any_change_gives_findings_or_a_manifest(pointer: str, wrong: Any) -> None:
    value = copy.deepcopy(FULL)
    _set(pointer, wrong)(value)
    assert all(rule[:3].isupper() for rule in rules(value))


def test_digest_placeholder_is_well_formed() -> None:
    assert digests.PLACEHOLDER == ZERO_DIGEST
    assert digests.PATTERN.fullmatch(digests.of_bytes(b""))
