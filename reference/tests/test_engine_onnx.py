"""ONNX models on ONNX Runtime, initialisers in the model and beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from engine_models import BIAS, WEIGHT, save_onnx

from modelbundle.bundle import open_bundle
from modelbundle.core.findings import BundleError
from modelbundle.engines import onnx as engine
from modelbundle.engines import run
from modelbundle.packing import pack

pytestmark = pytest.mark.frameworks

X = np.random.default_rng(0).normal(size=(3, 64)).astype(np.float32)


@pytest.mark.parametrize("external", [False, True])
def test_outputs_are_those_of_onnx_runtime(external: bool, tmp_path: Path) -> None:
    import onnxruntime

    path = save_onnx(tmp_path / "net.onnx", external=external)
    native = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    pack(path, tmp_path / "net.modelbundle")
    path.unlink()
    with open_bundle(tmp_path / "net.modelbundle") as bundle:
        result = run(bundle, {"x": X})
    assert result.modules == ("onnxruntime",)
    assert result.description.device.startswith("cpu:0")
    assert result.outputs["y"].tobytes() == native.run(None, {"x": X})[0].tobytes()
    np.testing.assert_allclose(result.outputs["y"], X @ WEIGHT + BIAS, rtol=1e-4, atol=1e-5)


def test_external_weights_are_not_copied(tmp_path: Path) -> None:
    pack(save_onnx(tmp_path / "net.onnx", external=True), tmp_path / "net.modelbundle")
    with open_bundle(tmp_path / "net.modelbundle") as bundle:
        (component,) = bundle.manifest.components
        external = {tensor.name for tensor in engine._external(bundle, component)}
        _, kept = engine._options(bundle, component)
        assert external == {"W", "b"}
        assert kept is not None
        arrays = [each for each in kept if isinstance(each, np.ndarray)]
        assert len(arrays) == 2
        for array in arrays:
            assert not array.flags.owndata
            assert not array.flags.writeable


def test_a_model_that_is_too_new(tmp_path: Path) -> None:
    pack(save_onnx(tmp_path / "net.onnx", ir_version=99), tmp_path / "net.modelbundle")
    with open_bundle(tmp_path / "net.modelbundle") as bundle, pytest.raises(BundleError) as caught:
        bundle.run({"x": X})
    assert [finding.rule for finding in caught.value.findings] == ["RUN-08"]
