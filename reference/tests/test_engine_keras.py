"""The engines of Keras: one model, restored on each backend, alone in its process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from engine_models import Arrays, convolutional, inputs_of

from modelbundle.bundle import open_bundle
from modelbundle.engines import open_session, run
from modelbundle.engines.signatures import signatures
from modelbundle.packing import pack

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

BACKENDS = {"keras-tensorflow": "tensorflow", "keras-jax": "jax", "keras-torch": "torch"}


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Arrays, np.ndarray]:
    """A bundle, inputs, and what Keras here computes of them."""
    import keras

    model = convolutional(keras)
    path = tmp_path_factory.mktemp("keras") / "net.modelbundle"
    pack(model, path)
    inputs = inputs_of("keras3", "call")
    return path, inputs, np.asarray(keras.ops.convert_to_numpy(model(inputs["x"], training=False)))


@pytest.mark.parametrize(
    "engine",
    [
        "keras-tensorflow",
        "keras-jax",
        pytest.param("keras-torch", marks=pytest.mark.backends),
    ],
)
def test_the_model_is_the_same_on(engine: str, packed: tuple[Path, Arrays, np.ndarray]) -> None:
    path, inputs, expected = packed
    with open_bundle(path) as bundle:
        (signature,) = signatures(bundle)
        with open_session(bundle, signature, engine) as session:
            one, two = session.run(inputs), session.run(inputs)
    np.testing.assert_allclose(one.outputs["output_0"], expected, rtol=1e-5, atol=1e-6)
    assert one.outputs["output_0"].tobytes() == two.outputs["output_0"].tobytes()
    assert one.description.engine == engine
    assert "cpu" in one.description.device.lower()
    others = {"tensorflow", "tf_keras"} - {BACKENDS[engine]}
    assert not others & set(one.modules)


def test_another_batch(packed: tuple[Path, Arrays, np.ndarray]) -> None:
    path, inputs, expected = packed
    with open_bundle(path) as bundle:
        result = run(bundle, {"x": inputs["x"][:1]}, engine="keras-jax")
    np.testing.assert_allclose(result.outputs["output_0"], expected[:1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "engine", ["keras-jax", pytest.param("keras-torch", marks=pytest.mark.backends)]
)
def test_generators_of_another_backend(engine: str, tmp_path: Path) -> None:
    """A model with dropout, captured on TensorFlow, whose generators count in another dtype."""
    import keras

    inputs = keras.Input((5, 3), name="x")
    hidden = keras.layers.LSTM(4, dropout=0.3, seed=7)(inputs)
    model = keras.Model(inputs, keras.layers.Dropout(0.5, seed=2**31 - 1)(hidden))
    pack(model, tmp_path / "net.modelbundle")
    x = np.ones((2, 5, 3), np.float32)
    with open_bundle(tmp_path / "net.modelbundle") as bundle:
        assert {t.dtype for t in bundle.tensors.values() if t.role == "rng"} == {"int64"}
        result = run(bundle, {"x": x}, engine=engine)
    expected = np.asarray(keras.ops.convert_to_numpy(model(x, training=False)))
    np.testing.assert_allclose(result.outputs["output_0"], expected, rtol=1e-5, atol=1e-6)
