"""A model of a public package, whose custom layers are not at hand, on every engine that can.

`make real` downloads it first; it is skipped where it is not there.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from modelbundle.bundle import open_bundle
from modelbundle.engines import run
from modelbundle.engines.graphs import add_graph
from modelbundle.packing import pack

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

from real_artifacts import PACKAGES, models

pytestmark = pytest.mark.real

OUTPUTS = {
    "contour": "StatefulPartitionedCall:0",
    "note": "StatefulPartitionedCall:1",
    "onset": "StatefulPartitionedCall:2",
}
"""The same outputs in the SavedModel and in the ONNX model."""


def test_basic_pitch_is_the_same_on_every_engine(tmp_path: Path) -> None:
    found = {path.suffix: path for path in models(PACKAGES[0])}
    if not found:
        pytest.skip("basic-pitch is not there: `make real` downloads it")
    pack(found[""], tmp_path / "saved.modelbundle")
    pack(found[".onnx"], tmp_path / "onnx.modelbundle")
    pack(found[".tflite"], tmp_path / "lite.modelbundle")
    add_graph(tmp_path / "saved.modelbundle", tmp_path / "graph.modelbundle")
    x = np.random.default_rng(0).uniform(-1, 1, (1, 43844, 1)).astype(np.float32)
    with open_bundle(tmp_path / "graph.modelbundle") as bundle:
        native = run(bundle, {"input_2": x}, engine="tensorflow")
        portable = run(bundle, {"input_2": x}, engine="stablehlo")
    with open_bundle(tmp_path / "onnx.modelbundle") as bundle:
        onnx = run(bundle, {"serving_default_input_2:0": x}, engine="onnx")
    assert "tensorflow" not in (*portable.modules, *onnx.modules)
    with open_bundle(tmp_path / "lite.modelbundle") as bundle:
        lite = run(bundle, {"input_2": x}, engine="tflite")
    for name, other in OUTPUTS.items():
        np.testing.assert_allclose(portable.outputs[name], native.outputs[name], atol=1e-5)
        np.testing.assert_allclose(onnx.outputs[other], native.outputs[name], atol=1e-4)
        np.testing.assert_allclose(lite.outputs[name], native.outputs[name], atol=1e-4)
