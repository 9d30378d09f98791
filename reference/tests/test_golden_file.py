"""The file of golden vectors: written, read, refused; and held to the bundle that it is in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from modelbundle.core import canonical_msgpack, schemas
from modelbundle.core.blobs import BytesBlob
from modelbundle.core.findings import BundleError
from modelbundle.core.manifest import Port, Signature
from modelbundle.golden.inputs import Vocabulary, draw
from modelbundle.rules.golden import check_vector
from modelbundle.sources import golden, recognition
from modelbundle.sources.artifact import Tree
from modelbundle.sources.golden import CHANNELS, Output, Reference, Vector, decode, encode

FLOATS = np.arange(6.0).reshape(2, 3)
ANSWER = {name: np.full((2, 3), at, np.float32) for at, name in enumerate(CHANNELS)}
TEXTS = np.array([b"a", b"", b"long" * 50], object)


def vector(**changes: Any) -> Vector:
    members = {
        "component": "net",
        "signature": "f",
        "name": "drawn",
        "inputs": {"x": np.ones((2, 4), np.float32), "ids": np.array([1, 2]), "s": TEXTS},
        "outputs": {
            "y": Output(FLOATS, ANSWER),
            "label": Output(np.array([True, False]), {}, np.array([True, False])),
        },
        "grade": "verified",
        "references": (Reference("one", "1", "float64"), Reference("two", "1", "float64")),
        "agreement": 20,
        "seed": 3,
        "noise": (16, 0),
    }
    return Vector(**{**members, **changes})


def test_what_is_written_is_read() -> None:
    data = encode([vector(name="z"), vector(unmodelled=("fft",), exact=True)])
    found = decode(data, "g")
    assert [each.name for each in found] == ["drawn", "z"]
    assert encode(found) == data
    first = found[0]
    assert (first.exact, first.seed, first.noise, first.unmodelled) == (True, 3, (16, 0), ("fft",))
    assert first.inputs["s"].tolist() == TEXTS.tolist()
    np.testing.assert_array_equal(first.outputs["y"].array, FLOATS)
    np.testing.assert_array_equal(first.outputs["y"].channels["acc"], ANSWER["acc"])
    decided = first.outputs["label"].decided
    assert decided is not None
    assert decided.tolist() == [True, False]


def test_the_schema_describes_the_file() -> None:
    schema = schemas.load("golden")
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    bare = vector(grade="consistent", agreement=None, seed=None, noise=None)
    assert list(validator.iter_errors(golden.document(encode([bare, vector(name="z")]), "g"))) == []
    assert all(list(validator.iter_errors(example)) == [] for example in schema["examples"])


CASES = Path(__file__).parents[2] / "conformance" / "cases" / "golden"


def broken_files() -> list[tuple[str, str, bytes]]:
    """Name, rule and file of the conformance cases that a file alone shows."""
    import zipfile

    found = []
    for folder in sorted(CASES.iterdir()):
        case = json.loads((folder / "case.json").read_text("utf-8"))
        rules = [rule for each in case["expected"].get("findings", ()) for rule in each["rules"]]
        with zipfile.ZipFile(folder / case["input"]) as archive:
            data = archive.read("vectors.golden")
        found.append((folder.name, rules[0] if rules else "", data))
    return found


BEYOND_SCHEMA = (
    "verified", "data", "dtype", "bool", "channel", "shape", "name-twice", "decided-float",
)  # fmt: skip
BROKEN = [case for case in broken_files() if case[1] in ("GLD-01", "GLD-02", "GLD-03", "GLD-05")]


@pytest.mark.parametrize(("name", "rule", "data"), BROKEN, ids=lambda value: str(value)[:30])
def test_the_schema_refuses_what_it_can(name: str, rule: str, data: bytes) -> None:
    with pytest.raises(BundleError) as caught:
        decode(data, "g")
    assert {finding.rule for finding in caught.value.findings} == {rule}
    errors = list(
        Draft202012Validator(schemas.load("golden")).iter_errors(golden.document(data, "g"))
    )
    assert bool(errors) != name.startswith(BEYOND_SCHEMA)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_files_are_refused_or_read(data: Any) -> None:
    content = bytearray(encode([vector()]))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(content), "g")
    except BundleError as error:
        assert {f.rule[:3] for f in error.findings} <= {"GLD", "MSG"}


KEYS = st.sampled_from(["name", "data", "shape", "dtype", "st"])
VALUES = st.recursive(
    st.integers(0, 9) | st.text(max_size=3) | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner),
)
MEMBERS = ["inputs", "outputs", "references", "noise", "grade", "unmodelled", "seed"]


@settings(max_examples=150, deadline=None)
@given(VALUES, st.sampled_from(MEMBERS))
def test_any_value_anywhere_is_refused_or_read(value: Any, member: str) -> None:
    document = msgpack.unpackb(encode([vector()]))
    document["vectors"][0][member] = value
    try:
        decode(canonical_msgpack.encode(document), "g")
    except BundleError as error:
        assert {f.rule[:3] for f in error.findings} == {"GLD"}


def test_recognised_by_content() -> None:
    tree = Tree("any.bin", {"any.bin": BytesBlob(encode([vector()]))})
    artifact = recognition.read(tree)
    assert (artifact.components[0].kind, artifact.components[0].id) == ("golden", "any.bin")
    assert artifact.components[0].properties == {"vectors": 1}


SIGNATURE = Signature(
    "f",
    "net",
    (Port("x", "float32", ("n", 4)), Port("ids", "int64", ("n",)), Port("s", "string", (None,))),
    (Port("y", "bfloat16", ("n", 3)), Port("label", "bool", None)),
)


IDS = np.array([1, 2])
ONE = Output(np.array(True))


def inputs(x: Any) -> dict[str, Any]:
    return {"x": x, "ids": IDS, "s": TEXTS}


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({}, []),
        ({"inputs": inputs(np.ones((2, 4)))}, ["GLD-07"]),
        ({"inputs": inputs(np.ones((3, 4), "f4"))}, ["GLD-07", "GLD-08"]),
        ({"inputs": {"ids": IDS, **inputs(np.ones((2, 4), "f4"))}}, ["GLD-07"]),
        ({"outputs": {"y": Output(FLOATS)}}, ["GLD-08"]),
        ({"outputs": {"y": Output(FLOATS.astype("f4")), "label": ONE}}, ["GLD-08"]),
        ({"outputs": {"y": Output(FLOATS[:1]), "label": ONE}}, ["GLD-08"]),
    ],
)
def test_vectors_are_held_to_their_signature(changes: dict[str, Any], rules: list[str]) -> None:
    found = list(check_vector(vector(**changes), SIGNATURE, "g"))
    assert sorted({finding.rule for finding in found}) == rules


def test_no_signature() -> None:
    assert [f.rule for f in check_vector(vector(), None, "g")] == ["GLD-06"]


PORTS = (
    Port("image", "float32", ("n", None, None, 3)),
    Port("tokens", "int32", ("n", None)),
    Port("flag", "bool", ("n",)),
    Port("words", "string", (2,)),
    Port("narrow", "bfloat16", ()),
)


def test_drawn_inputs_fit_and_repeat() -> None:
    drawn = [draw(PORTS, 5, Vocabulary(7)) for _ in range(2)]
    for name, array in drawn[0].items():
        assert array.tolist() == drawn[1][name].tolist()
    shapes = {name: array.shape for name, array in drawn[0].items()}
    assert list(shapes.values()) == [(4, 64, 64, 3), (4, 16), (4,), (2,), ()]
    assert drawn[0]["tokens"].max() < 7
    assert [golden.dtype_of(array) for array in drawn[0].values()] == [p.dtype for p in PORTS]
    whole = draw(PORTS[:1], 5, Vocabulary(), whole=True)["image"]
    np.testing.assert_array_equal(whole, np.round(whole))
    other = draw(PORTS[:1], 6, Vocabulary())["image"]
    assert (other != drawn[0]["image"]).any()


@pytest.mark.parametrize("port", [Port("x", "float32", None), Port("x", "complex64", (2,))])
def test_what_cannot_be_drawn_is_said(port: Port) -> None:
    with pytest.raises(ValueError, match="no inputs can be drawn for x"):
        draw([port], 0, Vocabulary())
