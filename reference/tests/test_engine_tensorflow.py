"""SavedModels under the engine `tensorflow`: bit for bit what TensorFlow computes itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from engine_models import SAVED_MODELS, inputs_of, natively, save_module

from modelbundle.bundle import Bundle, open_bundle
from modelbundle.core.findings import BundleError
from modelbundle.engines import open_session, saved_model
from modelbundle.packing import pack

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*tf.lookup.*:DeprecationWarning"),
]


@pytest.mark.parametrize("name", SAVED_MODELS)
def test_outputs_are_those_of_tensorflow(name: str, tmp_path: Path) -> None:
    path = SAVED_MODELS[name](tmp_path / "net")
    pack(path, tmp_path / "net.modelbundle")
    with open_bundle(tmp_path / "net.modelbundle") as bundle:
        names = [s.name for s in bundle.manifest.signatures if s.name not in ("shake", "serve")]
        assert names
        for signature in names:
            inputs = inputs_of(name, signature)
            found = bundle.run(inputs, signature)
            wanted = natively(path, signature, inputs)
            assert found.keys() == wanted.keys()
            for port, array in found.items():
                assert array.dtype == wanted[port].dtype
                assert array.tolist() == wanted[port].tolist(), (signature, port)


@pytest.fixture
def bundle(tmp_path: Path) -> Iterator[Bundle]:
    pack(save_module(tmp_path / "net"), tmp_path / "net.modelbundle")
    with open_bundle(tmp_path / "net.modelbundle") as opened:
        yield opened


def test_variables_are_not_unpacked(bundle: Bundle, tmp_path: Path) -> None:
    (component,) = (c for c in bundle.manifest.components if c.kind == saved_model.KIND)
    folder = tmp_path / "private"
    folder.mkdir()
    saved_model._write(bundle, component, folder, whole=False)
    written = {path.relative_to(folder).parts[0] for path in folder.rglob("*")}
    assert written == {"saved_model.pb", "fingerprint.pb", "assets"}


def test_a_variable_without_value(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process: no bundle that is valid lacks one."""
    signature = next(s for s in bundle.manifest.signatures if s.name == "serving_default")
    monkeypatch.setattr(type(bundle.tensors), "named", lambda self, component, system: {})
    with pytest.raises(BundleError, match=r"RUN-05 .* none for kernel"):
        saved_model.load(bundle, signature, "/CPU:0")


def test_a_damaged_weight_is_not_run(bundle: Bundle, tmp_path: Path) -> None:
    tensor = bundle.tensors.find("kernel/.ATTRIBUTES/VARIABLE_VALUE", system=saved_model.KIND)
    path = tmp_path / "damaged.modelbundle"
    data = bytearray((tmp_path / "net.modelbundle").read_bytes())
    at = data.index(tensor.numpy().tobytes())
    data[at] ^= 1
    path.write_bytes(data)
    with open_bundle(path) as opened, pytest.raises(BundleError, match="TEN-10"):
        opened.run({"x": np.ones((1, 4), np.float32)}, "serving_default")


def test_runs_agree_in_one_process(bundle: Bundle) -> None:
    signature = next(s for s in bundle.manifest.signatures if s.name == "serving_default")
    x = {"x": np.ones((2, 4), np.float32)}
    with open_session(bundle, signature, "tensorflow") as session:
        one, two = session.run(x), session.run(x)
    assert one.outputs["y"].tobytes() == two.outputs["y"].tobytes()
    assert one.description.device == "cpu:0"
