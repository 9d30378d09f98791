"""Portable graphs: lowered by TensorFlow, run on JAX alone, added without changing the rest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from answer_bundles import check_answer
from click.testing import CliRunner
from engine_models import (
    SAVED_MODELS,
    graph_bundle,
    inputs_of,
    natively,
    save_keras_file,
    save_module,
    save_session,
)

from modelbundle.bundle import open_bundle
from modelbundle.cli import cli
from modelbundle.core.findings import BundleError
from modelbundle.engines import run
from modelbundle.engines.graphs import add_graph
from modelbundle.packing import pack
from modelbundle.rules import validate

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

FRAMEWORKS_OF_TENSORFLOW = {"tensorflow", "keras", "tf_keras"}


@pytest.mark.parametrize("name", ["keras3", "keras2", "module"])
def test_graphs_agree_with_tensorflow(name: str, tmp_path: Path) -> None:
    """Batch 1 and the batch of the inputs, within 1e-5, and no TensorFlow in the process."""
    source, portable = tmp_path / "net.modelbundle", tmp_path / "portable.modelbundle"
    pack(SAVED_MODELS[name](tmp_path / "net"), source)
    added = add_graph(source, portable, signature="serving_default", batches=(1, 3))
    assert len(added.graphs) == 2
    assert validate(portable).findings == ()
    with open_bundle(source) as old, open_bundle(portable) as new:
        for rows in (1, 3):
            inputs = inputs_of(name, "serving_default", rows)
            wanted = natively(tmp_path / "net", "serving_default", inputs)
            result = run(new, inputs, "serving_default", "stablehlo")
            assert not FRAMEWORKS_OF_TENSORFLOW & set(result.modules)
            for port, array in wanted.items():
                np.testing.assert_allclose(result.outputs[port], array, rtol=1e-5, atol=1e-6)
        stored = {entry.path: entry.digest for entry in new.manifest.stored}
        for entry in old.manifest.stored:
            assert entry.path == "tensors.msgpack" or stored[entry.path] == entry.digest
        weights = new.manifest.tensor_bytes - old.manifest.tensor_bytes
        assert weights == (2 * 3 * 4 if name == "module" else 0)
        with pytest.raises(BundleError, match="RUN-02"):
            new.run(inputs_of(name, "serving_default", 2), "serving_default", "stablehlo")


def test_a_keras_model_is_lowered_for_any_batch(tmp_path: Path) -> None:
    """Restored on JAX, and as Keras on TensorFlow computes it."""
    source, portable = tmp_path / "net.modelbundle", tmp_path / "portable.modelbundle"
    pack(save_keras_file(tmp_path / "net.keras"), source)
    added = add_graph(source, portable)
    assert added.graphs == ("net.keras.call.stablehlo",)
    assert validate(portable).findings == ()
    with open_bundle(portable) as bundle:
        (signature,) = bundle.manifest.signatures
        assert signature.inputs[0].shape == ("batch", 8, 8, 3)
        assert signature.outputs[0].shape == ("batch", 5)
        for rows in (1, 4):
            inputs = inputs_of("keras3", "call", rows)
            result = run(bundle, inputs, engine="stablehlo")
            wanted = run(bundle, inputs, engine="keras-tensorflow")
            assert not FRAMEWORKS_OF_TENSORFLOW & set(result.modules)
            assert wanted.outputs.keys() == result.outputs.keys() == {"output_0"}
            found = result.outputs["output_0"]
            np.testing.assert_allclose(found, wanted.outputs["output_0"], rtol=1e-5, atol=1e-6)


def test_lowering_gives_the_same_bytes(tmp_path: Path) -> None:
    pack(save_module(tmp_path / "net"), tmp_path / "net.modelbundle")
    source = tmp_path / "net.modelbundle"
    digests = [
        add_graph(source, tmp_path / f"{n}.modelbundle", signature="serving_default").digest
        for n in range(2)
    ]
    assert digests[0] == digests[1]


def test_what_cannot_be_lowered(tmp_path: Path) -> None:
    pack(save_module(tmp_path / "net"), tmp_path / "net.modelbundle")
    added = add_graph(tmp_path / "net.modelbundle", tmp_path / "portable.modelbundle")
    found = {finding.place: finding for finding in added.refused}
    assert {finding.rule for finding in added.refused} == {"RUN-09"}
    assert found.keys() == {"net#look_up", "net#shake"}
    assert "RandomStandardNormal" in found["net#shake"].found
    assert "LookupTableFindV2" in found["net#look_up"].found
    assert "strings in t" in found["net#look_up"].found


def test_variables_of_tensorflow_1_cannot_be_lowered(tmp_path: Path) -> None:
    pack(save_session(tmp_path / "net"), tmp_path / "net.modelbundle")
    source, portable = tmp_path / "net.modelbundle", tmp_path / "portable.modelbundle"
    with pytest.raises(BundleError, match="VariableV2"):
        add_graph(source, portable, signature="serving_default")
    assert not (tmp_path / "portable.modelbundle").exists()


def test_a_graph_of_jax(tmp_path: Path) -> None:
    """Packed from its files, and run."""
    path = graph_bundle(tmp_path)
    assert validate(path).findings == ()
    with open_bundle(path) as bundle:
        assert bundle.run({"x": np.array([[1, 2]], np.float32)})["y"].tolist() == [[2, 4]]


def test_a_graph_that_is_too_new(tmp_path: Path) -> None:
    graph_bundle(tmp_path)
    path = tmp_path / "double.stablehlo"
    head, end = path.read_bytes().split(b"StableHLO_v", 1)[0], b"\0"
    rest = path.read_bytes().split(end, 1)[1]
    path.write_bytes(head + b"StableHLO_v99.0.0" + end + rest)
    pack(path, tmp_path / "new.modelbundle")
    refused = pytest.raises(BundleError, match=r"RUN-08 .*99\.0\.0")
    with open_bundle(tmp_path / "new.modelbundle") as bundle, refused:
        bundle.run({"x": np.zeros((1, 2), np.float32)})


def test_add_graph_on_the_command_line(tmp_path: Path) -> None:
    source, portable = tmp_path / "net.modelbundle", tmp_path / "portable.modelbundle"
    pack(save_module(tmp_path / "net"), source)
    np.savez(tmp_path / "x.npz", x=np.zeros((5, 4), np.float32))
    arguments = ["add-graph", str(source), "-o", str(portable), "--like", str(tmp_path / "x.npz")]
    result = CliRunner().invoke(cli, [*arguments, "--signature", "serving_default", "--json"])
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    check_answer("add-graph", answer)
    assert answer["graphs"] == ["net.serving_default.like-5x4.stablehlo"]
