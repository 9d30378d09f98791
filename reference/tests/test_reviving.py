"""Reviving: old files become bundles that Keras 3 restores, with the same numbers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import modelbundle as mb
from modelbundle.packing.extend import extend
from modelbundle.reviving import layouts, rows
from modelbundle.reviving.artifact import describe
from modelbundle.reviving.old_model import NotRevivableError, find_old
from modelbundle.reviving.plan import make_plan
from modelbundle.reviving.training import translate_training
from modelbundle.sources.keras import captured

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

import keras_annex

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore::UserWarning"),  # tf_keras: HDF5 is a legacy format
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def old_model() -> Any:
    """A model with what changed: hard_sigmoid, GRU, a renamed argument, a slash in a name."""
    import tf_keras

    tf_keras.utils.set_random_seed(1)
    layers = tf_keras.layers
    x = tf_keras.Input((6, 4), name="x")
    y = layers.GRU(3, recurrent_activation="hard_sigmoid", return_sequences=True, name="gru")(x)
    y = layers.Bidirectional(layers.LSTM(2, recurrent_activation="hard_sigmoid"), name="both")(y)
    y = layers.LeakyReLU(alpha=0.2, name="leaky")(y)
    y = layers.Dense(2, name="block/dense")(y)
    return tf_keras.Model(x, layers.BatchNormalization(axis=[1], name="norm")(y), name="old")


@pytest.fixture(scope="module")
def trained() -> Any:
    """An old model after a few steps, with a decaying rate."""
    import tf_keras

    model = old_model()
    schedule = tf_keras.optimizers.schedules.InverseTimeDecay(0.01, 1, 0.1)
    model.compile(tf_keras.optimizers.Adam(schedule), "mse", ["mae"])
    random = np.random.default_rng(0)
    model.fit(random.normal(size=(8, 6, 4)), random.normal(size=(8, 2)), verbose=0)
    return model


@pytest.fixture(params=["h5", "keras", "saved_model"])
def revived(request: Any, trained: Any, tmp_path: Path) -> tuple[Any, Any, Path]:
    """The old model, the new one, and the bundle, by way of each old format."""
    old, new = tmp_path / f"old.{request.param}", tmp_path / "new.modelbundle"
    if request.param == "saved_model":
        trained.save(old, save_format="tf")
    else:
        trained.save(old)
    report = mb.revive(old, new, verify=False)
    assert report.ok and report.renamed == {"block/dense": "block_dense"}
    with mb.open(new) as bundle:
        return trained, bundle.to_keras(), new


def test_the_same_numbers(revived: tuple[Any, Any, Path]) -> None:
    old, new, _ = revived
    x = np.random.default_rng(3).normal(size=(5, 6, 4)).astype("float32") * 3
    expected, found = np.asarray(old(x)), np.asarray(new(x))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_training_goes_on(revived: tuple[Any, Any, Path]) -> None:
    """One more step from the same state is the same step, where slots are called by name."""
    import tf_keras

    old, new, path = revived
    twin = tf_keras.models.clone_model(old)
    del twin
    assert type(new.optimizer).__name__ == "Adam" and new.loss == "mse"
    assert new.optimizer.get_config()["learning_rate"]["class_name"] == "InverseTimeDecay"
    with mb.open(path) as bundle:
        slots = [n for n in bundle.tensors.named("revived", "keras") if n.startswith("optimizer/")]
    if not slots:
        pytest.skip("this format does not call the slots by name")
    assert int(new.optimizer.iterations) == int(old.optimizer.iterations)
    moments = {v.path: np.asarray(v) for v in new.optimizer.variables}
    found = next(v for k, v in moments.items() if "block_dense_kernel_momentum" in k)
    expected = next(v for v in old.optimizer.variables if "m/block/dense/kernel" in v.name)
    np.testing.assert_array_equal(found, np.asarray(expected))


def test_the_bundle_is_sound(revived: tuple[Any, Any, Path], tmp_path: Path) -> None:
    _, _, path = revived
    assert mb.validate(path).findings == ()
    with mb.open(path) as bundle:
        root = next(c.id for c in bundle.manifest.components if c.id.startswith("old."))
        assert bundle.manifest.metadata["revived"]["revived"]["verified"] is False
    mb.unpack(path, tmp_path / "back")
    for file in sorted(p for p in (tmp_path / root).rglob("*") if p.is_file()):
        assert (tmp_path / "back" / file.relative_to(tmp_path)).read_bytes() == file.read_bytes()


def test_verified(trained: Any, tmp_path: Path) -> None:
    """Both models run; the vector and the evidence are in the bundle."""
    trained.save(tmp_path / "old.h5")
    report = mb.revive(tmp_path / "old.h5", tmp_path / "new.modelbundle")
    assert report.verified and report.evidence["max_ratio"] < 10
    with mb.open(tmp_path / "new.modelbundle") as bundle:
        kinds = {component.kind for component in bundle.manifest.components}
        told = bundle.manifest.metadata["revived"]["revived"]
    assert "modelbundle.golden" in kinds or any("golden" in kind for kind in kinds)
    assert told["verified"] and told["by"].startswith("tf_keras")


def test_a_difference_names_the_layer(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the table is wrong, nothing is written and the first layer is named."""
    trained.save(tmp_path / "old.h5")
    monkeypatch.setattr(rows, "functions", lambda: {})  # hard_sigmoid taken for that of Keras 3
    with pytest.raises(mb.ReviveError, match="first at gru"):
        mb.revive(tmp_path / "old.h5", tmp_path / "new.modelbundle")
    assert not (tmp_path / "new.modelbundle").exists()


def test_all_problems_at_once(tmp_path: Path) -> None:
    import tf_keras

    layers = tf_keras.layers
    model = tf_keras.Sequential(
        [
            layers.LocallyConnected1D(2, 3, input_shape=(6, 4), name="local"),
            layers.Lambda(lambda x: x + 1, name="plus"),
            layers.UpSampling1D(name="up"),
        ]
    )
    model.save(tmp_path / "old.h5")
    with pytest.raises(mb.ReviveError) as error:
        mb.revive(tmp_path / "old.h5", tmp_path / "new.modelbundle")
    text = str(error.value)
    assert "local" in text and "plus" in text and "up:" not in text
    assert not (tmp_path / "new.modelbundle").exists()


def test_a_layer_that_needs_a_class_is_described(tmp_path: Path) -> None:
    """Inputs, outputs, weights and config: what a person needs to write the class."""
    import tf_keras

    class Scale(tf_keras.layers.Layer):  # type: ignore[misc]  # tf_keras has no types
        """A layer of somebody's own."""

        def build(self, shape: Any) -> None:
            self.factor = self.add_weight(name="factor", shape=shape[-1:])

        def call(self, x: Any) -> Any:
            return x * self.factor

    x = tf_keras.Input((3,), name="x")
    y = tf_keras.layers.Dense(2, name="out")(Scale(name="scale")(x))
    tf_keras.Model(x, y).save(tmp_path / "old.h5")
    with pytest.raises(mb.ReviveError) as error:
        mb.revive(tmp_path / "old.h5", tmp_path / "new.modelbundle")
    (problem,) = error.value.report.problems
    assert (problem.inputs, problem.outputs) == (("x",), ("out",))
    assert problem.weights == ("scale/factor float32[3]",)
    assert "Scale" in problem.what and '"name": "scale"' in problem.found


def test_nothing_to_revive(tmp_path: Path) -> None:
    import keras

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.save(tmp_path / "new.keras")
    with pytest.raises(NotRevivableError, match="keras3"):
        mb.revive(tmp_path / "new.keras", tmp_path / "b.modelbundle")


def test_command(trained: Any, tmp_path: Path) -> None:
    trained.save(tmp_path / "old.h5")
    command = "from modelbundle.cli import main; main()"
    arguments = ["revive", "old.h5", "-o", "new.modelbundle", "--unverified", "--json"]
    ended = subprocess.run(
        [sys.executable, "-c", command, *arguments], cwd=tmp_path, capture_output=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    answer = json.loads(ended.stdout)
    assert answer["revived"] is True
    schema = Path(__file__).parents[2] / "schemas" / "answers" / "revive.schema.json"
    jsonschema.validate(answer, json.loads(schema.read_text("utf-8")))


def test_a_name_without_a_tensor_is_refused(trained: Any, tmp_path: Path) -> None:
    """KMD-12, when writing and when validating."""
    trained.save(tmp_path / "old.h5")
    mb.pack(tmp_path / "old.h5", tmp_path / "old.modelbundle")
    with mb.open(tmp_path / "old.modelbundle") as bundle:
        added = describe(make_plan(find_old(bundle)), ())
        with pytest.raises(mb.BundleError, match="KMD-12"):
            extend(bundle, added.artifacts, tmp_path / "new.modelbundle", bindings=[])
    assert next(iter(captured.unbound(["dense/kernel"], "revived"))).rule == "KMD-12"


def test_the_annex_is_that_of_the_table() -> None:
    annex = Path(__file__).parents[2] / "spec" / "annex-keras-2-and-3.md"
    assert annex.read_text("utf-8") == keras_annex.text(), "run `make rules`"


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_cudnn_layout(kind: str) -> None:
    """The inverse of what tf_keras writes for cuDNN gives back the plain weights."""
    from tf_keras.src.saving.legacy import hdf5_format

    gates = {"lstm": 4, "gru": 3}[kind]
    random = np.random.default_rng(0)
    units, inputs = 3, 5
    old = {
        "kernel": random.normal(size=(inputs, gates * units)),
        "recurrent_kernel": random.normal(size=(units, gates * units)),
        "bias": random.normal(size=2 * gates * units),
    }

    class Target:
        """What the conversion of tf_keras asks of a layer."""

        reset_after = True

    Target.__name__ = kind.upper()
    Target.units = units
    expected = hdf5_format._convert_rnn_weights(Target(), [value.copy() for value in old.values()])
    found = layouts.LAYOUTS[f"cudnn_{kind}"].make(old)
    for name, value in zip(old, expected, strict=True):
        np.testing.assert_array_equal(found[name], value)


def test_gates_of_keras_1() -> None:
    """The arrays of single gates stand side by side, in the order i, f, c, o."""
    layout = layouts.LAYOUTS["keras1_lstm"]
    old = {name: np.full((1, 2), number) for number, name in enumerate(layout.reads)}
    made = layout.make(old)
    expected = [layout.reads.index(f"W_{gate}") for gate in "ifco" for _ in range(2)]
    assert made["kernel"].tolist() == [expected]


def test_kernels_of_theano_are_flipped() -> None:
    kernel = np.arange(24).reshape(2, 3, 2, 2)
    np.testing.assert_array_equal(layouts.flipped("kernel", kernel), kernel[::-1, ::-1])


def test_decay_becomes_a_schedule() -> None:
    config = {"lr": 0.1, "decay": 0.01, "momentum": 0.9, "clipnorm": 1.0}
    old = {"optimizer_config": {"class_name": "SGD", "config": config}, "loss": "mse"}
    found = translate_training(old, "2.2.4", 1)
    assert found is not None
    made = found.optimizer["config"]
    assert made["learning_rate"]["class_name"] == "InverseTimeDecay"
    assert made["global_clipnorm"] == 1.0 and "clipnorm" not in made
    later = translate_training(old, "2.11.0", 1)
    assert later is not None and later.optimizer["config"]["clipnorm"] == 1.0


def test_every_row_leads_to_a_class_of_keras() -> None:
    for row in rows.rows():
        for name in row.classes:
            assert row.unsupported or rows.arguments("layers", row.to or name) is not None, name


def test_a_plan_covers_every_variable(trained: Any, tmp_path: Path) -> None:
    trained.save(tmp_path / "old.h5")
    mb.pack(tmp_path / "old.h5", tmp_path / "old.modelbundle")
    with mb.open(tmp_path / "old.modelbundle") as bundle:
        plan = make_plan(find_old(bundle))
    assert not plan.problems
    assert len([n for n in plan.bound if not n.startswith("optimizer/")]) == len(trained.weights)
