"""The traced graph beside the captured model: runs without classes, weights stored once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras_models as models
import numpy as np
import pytest
from keras import layers

import modelbundle as mb
from modelbundle.making import NotLowered

keras: Any = models.keras

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]
X = np.random.default_rng(0).normal(size=(3, 6)).astype("float32")


def run(folder: Path) -> Any:
    """What the unpacked graph answers."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(folder))  # the function does not keep its variables
    return loaded.serve(X).numpy()


def test_a_model_runs_where_its_class_is_lost(tmp_path: Path) -> None:
    model = models.subclassed()
    expected = model(X).numpy()
    mb.pack(model, tmp_path / "b", graph=True)
    with mb.open(tmp_path / "b") as bundle:
        assert {c.kind for c in bundle.manifest.components} >= {
            "keras.model", "tensorflow.saved_model",
        }  # fmt: skip
        assert "serve" in {signature.name for signature in bundle.manifest.signatures}
        mb.unpack(bundle, tmp_path / "out", only=["model.graph"])
        target = models.subclassed()
        assert bundle.load_into(target).complete
    np.testing.assert_allclose(run(tmp_path / "out" / "model.graph"), expected, rtol=1e-6)
    assert models.same_values(model, target)
    assert mb.validate(tmp_path / "b").ok


def test_weights_are_stored_once(tmp_path: Path) -> None:
    inputs = keras.Input((6,))
    x = layers.Dense(2000, name="wide")(inputs)
    model = models.filled(keras.Model(inputs, layers.Dense(2000, name="last")(x)))
    mb.pack(model, tmp_path / "plain")
    mb.pack(model, tmp_path / "graph", graph=True)
    weights = sum(variable.numpy().nbytes for variable in model.weights)
    plain, graph = ((tmp_path / name).stat().st_size for name in ("plain", "graph"))
    assert weights > 16_000_000
    assert graph <= 1.02 * plain
    with mb.open(tmp_path / "graph") as bundle:
        entry = bundle.manifest.by_path["model.graph/variables/variables.data-00000-of-00001"]
        assert entry.storage == "composed"
        assert entry.size > 2 * weights


class NoConfig(keras.Model):  # type: ignore[misc]
    """Cannot be made again from anything that is written down."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function, self.dense = function, layers.Dense(2)

    def call(self, inputs: Any) -> Any:
        return self.function(self.dense(inputs))


def test_a_class_without_config_needs_a_graph(tmp_path: Path) -> None:
    model = NoConfig(lambda x: 2 * x)
    expected = model(X).numpy()
    with pytest.raises(mb.BundleError, match=r"KMD-07.*NoConfig"):
        mb.pack(model, tmp_path / "b")
    mb.pack(model, tmp_path / "b", graph=True)
    with mb.open(tmp_path / "b") as bundle:
        mb.unpack(bundle, tmp_path / "out", only=["model.graph"])
        with pytest.raises(mb.BundleError, match="RST-01"):
            bundle.to_keras()
        target = NoConfig(lambda x: x)
        target(X)
        assert bundle.load_into(target).complete
    np.testing.assert_allclose(run(tmp_path / "out" / "model.graph"), expected, rtol=1e-6)


def test_what_cannot_be_traced(tmp_path: Path) -> None:
    layer = layers.Dense(2)
    layer.build((None, 3))
    with pytest.raises(ValueError, match="graph=True is for models"):
        mb.pack(layer, tmp_path / "b", graph=True)
    models.mlp().save(tmp_path / "net.keras")
    with pytest.raises(ValueError, match="for live models"):
        mb.pack(tmp_path / "net.keras", tmp_path / "b", graph=True)
    assert not (tmp_path / "b").exists()


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    mb.pack(models.mlp(), tmp_path / "b", graph=True)
    assert list(scratch.iterdir()) == []


def test_a_portable_graph_for_any_batch(tmp_path: Path) -> None:
    """From the model in the bundle, lowered on JAX; weights are those that are stored."""
    model = models.mlp()
    digest = mb.pack(model, tmp_path / "b", graph=True)
    with mb.open(tmp_path / "b") as bundle:
        assert bundle.digest == digest
        (signature,) = (s for s in bundle.manifest.signatures if s.component.endswith(".stablehlo"))
        assert signature.inputs[0].shape is not None
        assert signature.inputs[0].shape[0] == "batch"
        x = np.ones((2, *signature.inputs[0].shape[1:]), "float32")
        answer = bundle.run({signature.inputs[0].name: x}, signature.name, engine="stablehlo")
    np.testing.assert_allclose(answer["output_0"], model(x).numpy(), rtol=1e-5, atol=1e-6)
    assert mb.validate(tmp_path / "b").ok


class Upper(keras.Model):  # type: ignore[misc]
    """Its graph handles strings, which StableHLO has not."""

    def call(self, inputs: Any) -> Any:
        import tensorflow as tf

        return tf.strings.length(tf.strings.as_string(inputs))


def test_a_graph_that_cannot_be_lowered_is_told(tmp_path: Path) -> None:
    model = Upper()
    model(X)
    with pytest.warns(NotLowered, match="RUN-09"):
        digest = mb.pack(model, tmp_path / "b", graph=True)
    with mb.open(tmp_path / "b") as bundle:
        assert bundle.digest == digest
        kinds = {component.kind for component in bundle.manifest.components}
    assert "tensorflow.saved_model" in kinds
    assert "stablehlo" not in kinds
