"""Portable graphs as sources: version, arguments file, constants, and what they are bound to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import building
import jsonschema
import numpy as np
import pytest
from safetensors.numpy import save_file

from modelbundle.bundle import open_bundle
from modelbundle.core import schemas
from modelbundle.packing import pack, read_source
from modelbundle.packing.extend import Binding, extend
from modelbundle.rules import validate

ARTIFACT = b"ML\xefR\x0dStableHLO_v1.2.3\0and more"
X = {"input": "x", "dtype": "float32", "shape": ["n", 2]}
Y = {"output": "y", "dtype": "float32", "shape": ["n", 2]}
KERNEL = {"tensor": "kernel", "dtype": "float32", "shape": [2, 2]}
SCALE = {"tensor": "scale", "dtype": "float16", "shape": []}


def document(**changes: Any) -> dict[str, Any]:
    start = {"stablehlo_arguments": "1.0-draft", "signature": "f"}
    return {**start, "arguments": [X, SCALE], "results": [Y], **changes}


def write(folder: Path, value: Any, artifact: bytes = ARTIFACT) -> Path:
    """A graph with a scalar constant."""
    path = folder / "g.stablehlo"
    path.write_bytes(artifact)
    path.with_name("g.stablehlo.arguments.json").write_text(json.dumps(value))
    save_file({"scale": np.array(2, np.float16)}, folder / "g.stablehlo.constants.safetensors")
    return path


def test_a_graph_is_packed(tmp_path: Path) -> None:
    pack(write(tmp_path, document(platforms=["cpu"])), tmp_path / "g.modelbundle")
    assert validate(tmp_path / "g.modelbundle").findings == ()
    with open_bundle(tmp_path / "g.modelbundle") as bundle:
        (component,) = bundle.manifest.components
        (signature,) = bundle.manifest.signatures
        assert component.properties == {"format_version": "1.2.3", "platforms": ["cpu"]}
        assert len(component.files) == 3
        assert (signature.name, signature.inputs[0].shape) == ("f", ("n", 2))
        assert bundle.tensors["g.stablehlo/scale"].names == {"stablehlo": "scale"}


MALFORMED: dict[str, Any] = {
    "no object": [],
    "a member missing": {"stablehlo_arguments": "1.0-draft"},
    "a member too many": document(other=1),
    "another version": document(stablehlo_arguments="2.0"),
    "no name": document(signature=""),
    "platforms": document(platforms="cpu"),
    "no array": document(arguments={}),
    "neither port nor tensor": document(arguments=[{"dtype": "float32", "shape": []}]),
    "both": document(arguments=[{**X, "tensor": "w"}]),
    "a result that is a tensor": document(results=[KERNEL]),
    "a dtype": document(arguments=[{**X, "dtype": "float7"}]),
    "strings": document(arguments=[{**X, "dtype": "string"}]),
    "a shape": document(arguments=[{**X, "shape": [-1]}]),
    "an unknown size": document(arguments=[{**X, "shape": [None]}]),
    "a rank": document(arguments=[{**X, "shape": [1] * 33}]),
    "a symbol in a tensor": document(arguments=[SCALE, {**KERNEL, "shape": ["n", 2]}]),
    "a port twice": document(arguments=[SCALE, X, X]),
    "a result twice": document(results=[Y, Y]),
    "one tensor in two shapes": document(arguments=[SCALE, KERNEL, {**KERNEL, "shape": [4]}]),
    "a constant that is no argument": document(arguments=[X]),
}
BEYOND_SCHEMA = {
    "a dtype", "strings", "a port twice", "a result twice", "one tensor in two shapes",
    "a constant that is no argument",
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_arguments(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, MALFORMED[name])
    assert building.rules_of(lambda: read_source(path)) == ["SHL-02"]
    accepted = jsonschema.Draft202012Validator(schemas.load("stablehlo_arguments"))
    assert accepted.is_valid(MALFORMED[name]) == (name in BEYOND_SCHEMA)


def test_no_arguments(tmp_path: Path) -> None:
    path = write(tmp_path, document())
    path.with_name("g.stablehlo.arguments.json").unlink()
    assert building.rules_of(lambda: read_source(path)) == ["SHL-02"]


@pytest.mark.parametrize(
    "artifact",
    [b"ML\xefR", b"ML\xefR\x0dMLIR23.0.0git\0", b"ML\xefR\x0dStableHLO_v1.2\0", ARTIFACT[:20]],
)
def test_bytecode_without_a_version(artifact: bytes, tmp_path: Path) -> None:
    path = write(tmp_path, document(), artifact)
    assert building.rules_of(lambda: read_source(path)) == ["SHL-01"]


def test_names_alone_bind_to_nothing(tmp_path: Path) -> None:
    save_file({"kernel": np.ones((2, 2), np.float32)}, tmp_path / "net.safetensors")
    graph = write(tmp_path, document(arguments=[X, KERNEL, SCALE]))
    sources = [tmp_path / "net.safetensors", graph]
    assert building.rules_of(lambda: pack(sources, tmp_path / "g.modelbundle")) == ["SHL-03"]


def bound(folder: Path, kernel: np.ndarray[Any, Any], name: str = "kernel") -> Path:
    """A bundle with a kernel and a graph that has it as an argument."""
    save_file({"kernel": kernel}, folder / "net.safetensors")
    pack(folder / "net.safetensors", folder / "net.modelbundle")
    artifact = read_source(write(folder, document(arguments=[X, KERNEL, SCALE])))
    binding = Binding("g.stablehlo", "stablehlo", name, "kernel")
    extend(folder / "net.modelbundle", [artifact], folder / "g.modelbundle", bindings=[binding])
    return folder / "g.modelbundle"


def test_arguments_are_bound_to_tensors(tmp_path: Path) -> None:
    path = bound(tmp_path, np.ones((2, 2), np.float32))
    assert validate(path).findings == ()
    with open_bundle(path) as bundle:
        named = bundle.tensors.named("g.stablehlo", "stablehlo")
        assert {name: tensor.name for name, tensor in named.items()} == {
            "kernel": "kernel",
            "scale": "g.stablehlo/scale",
        }


@pytest.mark.parametrize("kernel", [np.ones((2, 2), np.int32), np.ones((4,), np.float32)])
def test_another_dtype_or_shape(kernel: np.ndarray[Any, Any], tmp_path: Path) -> None:
    report = validate(bound(tmp_path, kernel))
    assert [finding.rule for finding in report.findings] == ["SHL-04"]


def test_a_binding_that_is_missing(tmp_path: Path) -> None:
    assert building.rules_of(lambda: bound(tmp_path, np.ones((2, 2), np.float32), "other")) == [
        "SHL-03"
    ]
