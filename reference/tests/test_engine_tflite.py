"""TensorFlow Lite models: signatures from the file, outputs as TensorFlow Lite computes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from engine_models import BIAS, WEIGHT, save_tflite

from modelbundle.bundle import open_bundle
from modelbundle.core.manifest import Port
from modelbundle.engines import run, tflite_model
from modelbundle.engines.signatures import signatures
from modelbundle.packing import pack

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorflow"),
]

X = np.random.default_rng(3).normal(size=(3, 64)).astype(np.float32)
EXPECTED = X @ WEIGHT + BIAS


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """One function, with a signature and without."""
    data = save_tflite(tmp_path_factory.mktemp("tflite") / "net.tflite").read_bytes()
    return {"defined": data, "main": _without_signatures(data)}


def _without_signatures(data: bytes) -> bytes:
    """The same model, its field `signature_defs` struck out of the vtable."""
    made = bytearray(data)
    root = int.from_bytes(data[:4], "little")
    vtable = root - int.from_bytes(data[root : root + 4], "little", signed=True)
    field = vtable + 4 + 2 * tflite_model._SIGNATURES
    made[field : field + 2] = bytes(2)
    return bytes(made)


@pytest.mark.parametrize("kind", ["defined", "main"])
def test_signatures_are_read_and_run(
    kind: str, converted: dict[str, bytes], tmp_path: Path
) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(converted[kind])
    pack(path, tmp_path / "net.modelbundle")
    with open_bundle(tmp_path / "net.modelbundle") as bundle:
        (found,) = signatures(bundle)
        assert found.name == {"defined": "serving_default", "main": "main"}[kind]
        assert [(port.dtype, port.shape) for port in found.inputs] == [("float32", (None, 64))]
        if kind == "defined":
            assert found.inputs == (Port("x", "float32", (None, 64)),)
        result = run(bundle, {found.inputs[0].name: X})
    assert result.description.engine == "tflite"
    assert result.description.device == "cpu:0"
    np.testing.assert_allclose(result.outputs[found.outputs[0].name], EXPECTED, 1e-4, 1e-5)


def test_damaged_models_have_no_signature(converted: dict[str, bytes]) -> None:
    """Cut or overwritten anywhere: none, or one of what is left, and no other exception."""
    data = converted["defined"]
    assert tflite_model.signatures_of(data, "net")
    assert tflite_model.signatures_of(data[:40], "net") == ()
    places = np.random.default_rng(0).integers(0, len(data), 300)
    for at in places.tolist():
        damaged = data[:at] + b"\xff\xff\xff\xff" + data[at + 4 :]
        assert len(tflite_model.signatures_of(damaged, "net")) <= 1
