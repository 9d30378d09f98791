"""Choosing an engine, inputs held to signatures, `run` and `engines` on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from answer_bundles import check_answer
from click.testing import CliRunner
from engine_bundles import one_function

from modelbundle.bundle import Bundle, open_bundle
from modelbundle.cli import cli
from modelbundle.core.findings import BundleError, UnsupportedError
from modelbundle.core.manifest import Port, Signature
from modelbundle.engines import ENGINES, Setup, load, messages
from modelbundle.engines.inputs import check_inputs

VECTOR = Port("x", "float32", ("n", 2))
F32 = np.float32


@pytest.fixture
def bundle(tmp_path: Path) -> Iterator[Bundle]:
    with open_bundle(one_function(tmp_path)) as opened:
        yield opened


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "fake", "fake_engines:ECHO")


BAD_INPUTS: dict[str, dict[str, Any]] = {
    "none": {},
    "another": {"x": np.zeros((1, 2), F32), "z": np.zeros(1, F32)},
    "dtype": {"x": np.zeros((1, 2), np.float64)},
    "integers": {"x": [[1, 2]]},
    "rank": {"x": np.zeros(2, F32)},
    "size": {"x": np.zeros((1, 3), F32)},
    "objects": {"x": np.array([[None, {}]], object)},
}


@pytest.mark.parametrize("name", BAD_INPUTS)
def test_inputs_are_held_to_the_signature(name: str) -> None:
    signature = Signature("f", "net", (VECTOR,), ())
    with pytest.raises(BundleError) as caught:
        check_inputs(signature, BAD_INPUTS[name])
    assert {finding.rule for finding in caught.value.findings} == {"RUN-02"}


def test_a_symbol_is_one_size() -> None:
    signature = Signature("f", "net", (VECTOR, Port("m", "bool", ("n",))), ())
    x = np.zeros((3, 2), F32)
    assert set(check_inputs(signature, {"x": x, "m": np.zeros(3, bool)})) == {"x", "m"}
    with pytest.raises(BundleError, match="n is 3"):
        check_inputs(signature, {"x": x, "m": np.zeros(2, bool)})


def test_texts_are_strings() -> None:
    signature = Signature("f", "net", (Port("t", "string", None),), ())
    for texts in (["a", "ü"], np.array(["a", "ü"]), np.array([b"a", "ü".encode()])):
        assert check_inputs(signature, {"t": texts})["t"].tolist() == [b"a", "ü".encode()]


def test_arrays_go_through_pipes_as_they_are(tmp_path: Path) -> None:
    import ml_dtypes

    arrays = {
        "scalar": np.array(7, np.int64),
        "empty": np.zeros((0, 3), np.uint8),
        "turned": np.arange(6, dtype=np.float16).reshape(2, 3).T,
        "big-endian": np.arange(3, dtype=">i4"),
        "short": np.array([1, 2.5], ml_dtypes.bfloat16),
        "texts": np.array([[b"", b"\0a"], [b"b", b"c"]], object),
        "complex": np.array([1 + 2j]),
    }
    path = tmp_path / "message"
    with path.open("wb") as file:
        messages.write(file, {"a": [1, None]}, arrays)
    with path.open("rb") as file:
        value, found = messages.read(file)
    assert value == {"a": [1, None]}
    for name, array in arrays.items():
        assert found[name].tolist() == array.tolist(), name
        assert found[name].dtype == array.dtype.newbyteorder("="), name


def test_no_such_signature(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="RUN-01"):
        bundle.run({}, "g")


def test_an_engine_that_cannot(bundle: Bundle) -> None:
    with pytest.raises(UnsupportedError) as caught:
        bundle.run({"x": np.zeros((1, 2), F32)})
    assert {finding.rule for finding in caught.value.findings} == {"RUN-04"}
    assert len(caught.value.findings) == len(ENGINES)


def test_an_engine_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelbundle.engines.engine.find_spec", lambda name: None)
    for name in ENGINES:
        engine = load(name)
        reason = engine.available()
        assert reason is not None
        assert f"modelbundle[{engine.extra}]" in reason


def test_setups_that_make_no_sense() -> None:
    for arguments in (("gpu",), ("cuda:0",), ("gpu:-1",), ("cpu", "bf16"), ("cpu", "tf32")):
        with pytest.raises(ValueError, match=r"no device|no precision|of GPUs"):
            Setup(*arguments)


def command(*arguments: str | Path) -> tuple[int, Any]:
    result = CliRunner().invoke(cli, [*map(str, arguments), "--json"])
    return result.exit_code, json.loads(result.stdout) if result.stdout else result.output


@pytest.mark.usefixtures("fake")
def test_run_on_the_command_line(bundle: Bundle, tmp_path: Path) -> None:
    x = np.arange(4, dtype=F32).reshape(2, 2)
    np.savez(tmp_path / "x.npz", x=x)
    np.save(tmp_path / "x.npy", x)
    path, y = bundle.location, tmp_path / "y.npz"
    status, answer = command(
        "run", path, "--input", tmp_path / "x.npz", "--engine", "fake", "-o", y
    )
    assert status == 0
    check_answer("run", answer)
    assert answer["outputs"] == [{"name": "y", "dtype": "float32", "shape": [2, 2]}]
    assert np.load(y)["y"].tolist() == x.tolist()
    given = f"x={tmp_path / 'x.npy'}"
    shown = CliRunner().invoke(cli, ["run", str(path), "--input", given, "--engine", "fake"])
    assert shown.exit_code == 0, shown.output
    assert "y: float32[2, 2]" in shown.output


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (("--engine", "fake"), 1, "RUN-02"),
        (("--engine", "nothing"), 2, "No engine"),
        (("--engine", "fake", "--device", "tpu"), 2, "no device"),
        (("--engine", "fake", "--precision", "tf32"), 2, "of GPUs"),
        (("--engine", "onnx"), 2, "RUN-04"),
        (("--engine", "fake", "--signature", "g"), 1, "RUN-01"),
        (("--engine", "fake", "--input", "missing.npz"), 2, "missing.npz"),
        (("--engine", "fake", "--input", "bad.npz"), 2, "no .npz or .npy file"),
    ],
)
def test_what_run_refuses(
    bundle: Bundle, arguments: tuple[str, ...], status: int, text: str, tmp_path: Path
) -> None:
    (tmp_path / "bad.npz").write_bytes(b"no numbers")
    placed = [str(tmp_path / each) if each.endswith(".npz") else each for each in arguments]
    result = CliRunner().invoke(cli, ["run", str(bundle.location), *placed])
    assert result.exit_code == status, result.output
    assert text in result.output


def test_engines_on_the_command_line(bundle: Bundle) -> None:
    status, answer = command("engines")
    assert status == 0
    check_answer("engines", answer)
    assert [engine["name"] for engine in answer["engines"]] == list(ENGINES)
    status, answer = command("engines", bundle.location)
    assert status == 0
    check_answer("engines", answer)
    assert not any(each["able"] for engine in answer["engines"] for each in engine["signatures"])
    assert "cannot run" in CliRunner().invoke(cli, ["engines", str(bundle.location)]).output


@pytest.mark.frameworks
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("engine", list(ENGINES))
def test_no_gpu(engine: str, tmp_path: Path) -> None:
    """Asked of each library: a GPU with a number that no machine has."""
    from engine_models import runnable_by

    if (reason := load(engine).available()) is not None:
        pytest.skip(reason)
    path, inputs = runnable_by(engine, tmp_path)
    with open_bundle(path) as opened, pytest.raises(UnsupportedError) as caught:
        opened.run(inputs, engine=engine, device="gpu:77")
    assert [finding.rule for finding in caught.value.findings] == ["RUN-03"]
