"""Golden vectors made for a bundle, and engines held against them: the whole way, in processes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from golden_models import affine
from jsonschema import Draft202012Validator

from modelbundle.bundle import open_bundle
from modelbundle.cli import cli
from modelbundle.core import schemas
from modelbundle.core.findings import UnsupportedError
from modelbundle.golden import load_check as checking
from modelbundle.golden.artifact import Made, add_golden, fitted
from modelbundle.golden.load_check import load_check
from modelbundle.golden.reference64 import agreed_bits, ask
from modelbundle.packing import pack
from modelbundle.packing.extend import extend
from modelbundle.rules import validate
from modelbundle.sources import golden
from modelbundle.sources.golden import CHANNELS, Output, Reference, Vector

X = np.float32(np.random.default_rng(0).normal(size=(4, 3)))


@pytest.fixture
def onnx_bundle(tmp_path: Path) -> Path:
    """An ONNX model y = x·w + b with whole weights."""
    (tmp_path / "net.onnx").write_bytes(affine())
    pack(tmp_path / "net.onnx", tmp_path / "net.modelbundle")
    return tmp_path / "net.modelbundle"


def with_vectors(bundle: Path, *, shift: float = 0.0, exact: bool = False) -> Path:
    """The bundle with a verified vector, its outputs off by `shift`."""
    x = np.round(X) if exact else X
    with open_bundle(bundle) as opened:
        signature = opened.manifest.signatures[0]
        wide = x.astype(float) @ [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]] + [0.5, -0.5]
        answer = {name: np.full(wide.shape, 9, np.float32) for name in CHANNELS}
        vector = Vector(
            signature.component,
            signature.name,
            "given",
            {"x": x},
            {"y": Output(wide + shift, {} if exact else answer)},
            "verified",
            (Reference("one", "1", "float64"), Reference("two", "1", "float64")),
            30,
            exact,
        )
        target = bundle.with_name("checked.modelbundle")
        extend(opened, [Made((vector,)).artifact()], target, overwrite=True)
    return target


def run(*arguments: str) -> Any:
    return CliRunner().invoke(cli, list(arguments))


@pytest.mark.frameworks
def test_a_sound_engine_passes(onnx_bundle: Path) -> None:
    bundle = with_vectors(onnx_bundle)
    assert validate(bundle).ok
    with open_bundle(bundle) as opened:
        report = load_check(opened, engines=["onnx"])
    (row,) = report.rows
    assert (row.status, row.repeatable, report.ok) == ("pass", True, True)
    assert row.judgements is not None
    assert row.judgements["y"].decisions > 0
    assert row.judgements["y"].top1 == 1.0


@pytest.mark.frameworks
def test_exit_statuses_and_answer(onnx_bundle: Path) -> None:
    passed = run("load-check", str(with_vectors(onnx_bundle)), "--engine", "onnx", "--json")
    assert passed.exit_code == 0
    assert list(Draft202012Validator(schemas.load("answers/load-check")).iter_errors(
        json.loads(passed.output))) == []  # fmt: skip
    failed = run("load-check", str(with_vectors(onnx_bundle, shift=1e-3)), "--engine", "onnx")
    assert failed.exit_code == 1
    assert "max ratio" in failed.output
    idle = run("load-check", str(with_vectors(onnx_bundle)), "--engine", "keras-jax", "--json")
    assert idle.exit_code == 2
    assert json.loads(idle.output)["ran"] is False


@pytest.mark.frameworks
def test_exact_vectors_take_no_error(onnx_bundle: Path) -> None:
    for shift, status in ((0.0, "pass"), (2.0**-20, "fail")):
        with open_bundle(with_vectors(onnx_bundle, shift=shift, exact=True)) as opened:
            assert load_check(opened, engines=["onnx"]).rows[0].status == status


def test_no_vectors_is_no_answer(onnx_bundle: Path) -> None:
    with open_bundle(onnx_bundle) as opened, pytest.raises(UnsupportedError, match="GLD-10"):
        load_check(opened)
    assert run("load-check", str(onnx_bundle)).exit_code == 2


@pytest.mark.frameworks
def test_a_graph_alone_is_consistent(onnx_bundle: Path) -> None:
    target = onnx_bundle.with_name("consistent.modelbundle")
    answer = run("golden", str(onnx_bundle), "-o", str(target), "--json")
    assert answer.exit_code == 0, answer.output
    made = json.loads(answer.output)
    assert list(Draft202012Validator(schemas.load("answers/golden")).iter_errors(made)) == []
    assert [vector["grade"] for vector in made["vectors"]] == ["consistent"]
    assert validate(target).ok
    with open_bundle(target) as opened:
        row = load_check(opened, engines=["onnx"]).rows[0]
    assert row.status == "consistent"


def test_inputs_are_not_cast(onnx_bundle: Path) -> None:
    with open_bundle(onnx_bundle) as opened:
        ports = opened.manifest.signatures[0].inputs
    assert list(fitted(ports, {"arr_0": X})) == ["x"]
    with pytest.raises(ValueError, match="nothing is cast"):
        fitted(ports, {"x": X.astype(float)})
    with pytest.raises(ValueError, match="are due"):
        fitted(ports, {"x": X, "y": X})


@pytest.mark.frameworks
def test_undeclared_tf32_is_named(onnx_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that rounds the operands of its contractions, though float32 is declared."""
    bundle = with_vectors(onnx_bundle)

    def rounded(*arguments: Any) -> Iterator[list[Any]]:
        for runs in real(*arguments):
            for each in runs:
                outputs = {name: y * np.float32(1 + 2.0**-13) for name, y in each.outputs.items()}
                object.__setattr__(each, "outputs", outputs)
            yield runs

    real = checking._run
    monkeypatch.setattr(checking, "_run", rounded)
    with open_bundle(bundle) as opened:
        row = load_check(opened, engines=["onnx"]).rows[0]
    assert row.status == "fail"
    assert "tf32 was used for float32" in row.reason
    assert row.judgements is not None
    assert row.judgements["y"].explained_by == "tf32"


def keras_model(path: Path) -> None:
    """A model with weights that are small multiples of 1/4, and ReLU: exact on whole inputs."""
    import keras

    layers = keras.layers
    inputs = keras.Input((6,), name="x")
    hidden = layers.Dense(5, activation="relu")(inputs)
    model = keras.Model(inputs, layers.Dense(2)(hidden))
    random = np.random.default_rng(1)
    model.set_weights([random.integers(-8, 9, w.shape) / 4 for w in model.get_weights()])
    model.save(path)


@pytest.mark.frameworks
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras
def test_a_keras_model_is_verified(tmp_path: Path) -> None:
    """Two float64 routes, channels, an exact vector, and two engines that pass both."""
    pytest.importorskip("jax")
    keras_model(tmp_path / "net.keras")
    pack(tmp_path / "net.keras", tmp_path / "net.modelbundle")
    target = tmp_path / "checked.modelbundle"
    made = add_golden(tmp_path / "net.modelbundle", target).made
    assert [(v.name, v.grade, v.exact) for v in made.vectors] == [
        ("drawn", "verified", False),
        ("exact", "verified", True),
    ]
    assert made.vectors[0].unmodelled == ()
    assert validate(target).ok
    with open_bundle(target) as opened:
        report = load_check(opened, engines=["keras-jax", "onnx"])
    status = {(row.engine, row.vector): row.status for row in report.rows}
    assert status[("keras-jax", "drawn")] == "pass"
    assert status[("keras-jax", "exact")] == "pass"
    assert status[("onnx", "drawn")] == "not run"


@pytest.mark.frameworks
def test_a_route_that_fails_says_why() -> None:
    request = {"model": "nowhere.keras", "component": "", "seed": 0, "noise": False}
    found = ask("jax", request, [X], 300.0)
    assert "nowhere.keras" in found.about["error"]
    assert "no answer" in ask("jax", request, [X], 0.01).about["error"]


def test_agreement() -> None:
    golden_output = Output(np.ones(3), {name: np.ones(3, np.float32) for name in CHANNELS})
    unit = 2.0**-24 * np.sqrt(3)
    assert agreed_bits([golden_output], [np.ones(3)]) == 64
    assert agreed_bits([golden_output], [np.ones(3) + unit / 1000]) == 9
    assert agreed_bits([golden_output], [np.ones(3) + unit * 2]) == 0
    assert agreed_bits([golden_output], [np.array([1, 1, np.nan])]) == 0
    assert agreed_bits([golden_output], [np.ones(2)]) == 0
    assert agreed_bits([Output(np.array([1, 2]))], [np.array([1, 3])]) == 0
    assert golden.AGREED_BITS == 6
