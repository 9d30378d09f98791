"""Out again in every native format: read by the native libraries, or byte for byte as it came."""

from __future__ import annotations

import filecmp
import json
import warnings
from pathlib import Path
from typing import Any

import answer_bundles as made
import keras_models as models
import numpy as np
import pytest
from click.testing import CliRunner
from keras import layers
from safetensors.numpy import load_file, save_file

import modelbundle as mb
from modelbundle.cli import cli

keras: Any = models.keras

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*HDF5 file:UserWarning"),
]
X, Y = np.ones((8, 6), "float32"), np.ones((8, 10), "float32")


@pytest.fixture
def model() -> Any:
    """A trained model with an optimizer, a metric and a random generator.

    Made anew for each test: a model that Keras saved as `.h5` forgets its optimizer.
    """
    made = models.mlp(dropout=True)
    made.compile("adam", "mean_squared_error", metrics=["mean_absolute_error"])
    made.train_on_batch(X, Y)
    return made


@pytest.fixture
def path(model: Any, tmp_path: Path) -> Path:
    """The model, captured."""
    mb.pack(model, tmp_path / "net.modelbundle")
    return tmp_path / "net.modelbundle"


def lost(report: mb.ExportReport) -> set[str]:
    made.check_answer("export", report.to_json())
    return {loss.what for loss in report.lost}


STATE = {"metric state", "random state"}


@pytest.mark.parametrize(
    ("name", "without"), [("net.keras", STATE), ("net.h5", STATE), ("net.hdf5", STATE)]
)
def test_whole_models_load_natively(
    tmp_path: Path, model: Any, path: Path, name: str, without: set[str]
) -> None:
    with mb.open(path) as bundle:
        report = bundle.export(tmp_path / name)
    assert (report.files, report.native) == ((str(tmp_path / name),), False)
    assert lost(report) == without
    loaded = keras.models.load_model(tmp_path / name)
    assert models.same_values(model, loaded)
    if name != "net.keras":  # Keras writes the slots to HDF5, and does not read them
        loaded.compile("adam", "mean_squared_error")
        loaded.optimizer.build(loaded.trainable_variables)
        with models.packed(tmp_path / name, tmp_path / "again") as bundle:
            roles = ("trainable", "non-trainable", "optimizer")
            assert bundle.load_into(loaded, roles=roles, cast=True).complete
    for ours, theirs in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        assert np.array_equal(ours.numpy(), theirs.numpy())
    assert np.array_equal(model.predict(X, verbose=0), loaded.predict(X, verbose=0))


def test_weights_load_natively(tmp_path: Path, model: Any, path: Path) -> None:
    with mb.open(path) as bundle:
        report = bundle.export(tmp_path / "net.weights.h5")
    assert lost(report) == {"config", "training config", *STATE}
    target = models.mlp(dropout=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the target has no optimizer
        target.load_weights(tmp_path / "net.weights.h5")
    assert models.same_values(model, target)


def test_a_checkpoint_restores_natively(tmp_path: Path, model: Any, path: Path) -> None:
    import tensorflow as tf

    with mb.open(path) as bundle:
        report = bundle.export(tmp_path / "net", "checkpoint")
        assert {Path(file).name for file in report.files} == {
            "net.index", "net.data-00000-of-00001",
        }  # fmt: skip
        with pytest.raises(FileExistsError, match=r"net\."):
            bundle.export(tmp_path / "net", "checkpoint")
    target = models.mlp(dropout=True)
    tf.train.Checkpoint(target).restore(str(tmp_path / "net")).expect_partial()
    assert models.same_values(model, target)
    assert "config" in lost(report)


def test_a_saved_model_runs_natively(tmp_path: Path, model: Any, path: Path) -> None:
    import tensorflow as tf

    with mb.open(path) as bundle:
        report = bundle.export(tmp_path / "net", format="saved_model")
    assert lost(report) == {"config", "training config", "optimizer state", "metric state"}
    loaded = tf.saved_model.load(str(tmp_path / "net"))
    answer = loaded.serve(X).numpy()
    np.testing.assert_allclose(answer, model.predict(X, verbose=0), rtol=1e-5)


def test_safetensors_by_the_names_of_the_bundle(tmp_path: Path, model: Any, path: Path) -> None:
    with mb.open(path) as bundle:
        report = bundle.export(tmp_path / "net.safetensors")
    assert {"config", "training config", "optimizer state"} <= lost(report)
    found = load_file(tmp_path / "net.safetensors")
    assert found.keys() == {variable.path for variable in model.weights}
    for variable in model.weights:
        assert np.array_equal(found[variable.path], variable.numpy())
    assert "without optimizer state: " in str(report)


def test_assets_are_lost_in_h5_and_not_in_keras(tmp_path: Path) -> None:
    words = layers.StringLookup(name="words")
    words.adapt(["a", "b", "a"])
    inputs = keras.Input((1,), dtype="string")
    x = layers.Embedding(4, 2, name="vectors")(words(inputs))
    with models.packed(keras.Model(inputs, x), tmp_path / "b") as bundle:
        assert "assets" in lost(bundle.export(tmp_path / "net.h5"))
        assert "assets" not in lost(bundle.export(tmp_path / "net.keras"))
    loaded = keras.models.load_model(tmp_path / "net.keras")
    assert loaded.get_layer("words").get_vocabulary() == words.get_vocabulary()


def test_files_that_the_bundle_carries_come_back_as_they_were(tmp_path: Path, model: Any) -> None:
    import tensorflow as tf

    given, out = tmp_path / "given", tmp_path / "out"
    for folder in (given, out):
        folder.mkdir()
    model.save(given / "net.keras")
    model.save(given / "net.h5")
    model.save_weights(given / "net.weights.h5")
    save_file({v.path: v.numpy() for v in model.weights}, given / "net.safetensors")
    tf.train.Checkpoint(model).write(str(given / "ckpt"))
    tf.train.Checkpoint(model=model).save(str(given / "folder" / "ckpt"))
    model.export(given / "saved", verbose=False)
    names = ["net.keras", "net.h5", "net.weights.h5", "net.safetensors", "ckpt", "saved"]
    with models.packed([given / name for name in names], tmp_path / "b") as bundle:
        for name in names[:4]:
            report = bundle.export(out / name)
            assert report.native and lost(report) == set()
            assert filecmp.cmp(given / name, out / name, shallow=False)
        report = bundle.export(out / "other", "checkpoint")
        assert bundle.export(out / "saved", "saved_model").native
    assert report.files == (str(out / "other.data-00000-of-00001"), str(out / "other.index"))
    assert filecmp.cmp(given / "ckpt.index", out / "other.index", shallow=False)
    compared = filecmp.dircmp(given / "saved", out / "saved")
    assert (compared.left_only, compared.right_only, compared.diff_files) == ([], [], [])
    assert "folder" not in bundle.manifest.by_path
    with models.packed(given / "folder", tmp_path / "b") as bundle:
        bundle.export(out / "from_folder", "checkpoint")
    assert filecmp.cmp(given / "folder" / "ckpt-1.index", out / "from_folder.index", shallow=False)


def test_other_formats_become_keras(tmp_path: Path, model: Any) -> None:
    model.save(tmp_path / "net.keras")
    with models.packed(tmp_path / "net.keras", tmp_path / "b") as bundle:
        assert not bundle.export(tmp_path / "net.h5").native
    assert models.same_values(model, keras.models.load_model(tmp_path / "net.h5"))


@pytest.mark.parametrize("name", ["net.keras", "net.h5"])
def test_models_that_were_compiled_and_not_trained(tmp_path: Path, name: str) -> None:
    model = models.mlp()
    model.compile("adam", "mean_squared_error")
    model.save(tmp_path / name)
    with models.packed(tmp_path / name, tmp_path / "b") as bundle:
        restored = bundle.to_keras()
    assert models.same_values(model, restored)
    restored.fit(X, Y, verbose=0)


def test_weights_alone_become_safetensors_and_nothing_else(tmp_path: Path, model: Any) -> None:
    model.save_weights(tmp_path / "net.weights.h5")
    with models.packed(tmp_path / "net.weights.h5", tmp_path / "b") as bundle:
        bundle.export(tmp_path / "net.safetensors")
        with pytest.raises(mb.BundleError, match="RST-01"):
            bundle.export(tmp_path / "net.keras")
    assert sorted(load_file(tmp_path / "net.safetensors"))[0] == "dense_1/0"
    assert not (tmp_path / "net.keras").exists()
    assert not list(tmp_path.glob(".export*"))


def test_what_is_asked_for_has_to_be_clear(tmp_path: Path, path: Path) -> None:
    (tmp_path / "net.keras").write_text("something")
    with mb.open(path) as bundle:
        with pytest.raises(FileExistsError, match=r"net\.keras"):
            bundle.export(tmp_path / "net.keras")
        with pytest.raises(ValueError, match="does not tell the format"):
            bundle.export(tmp_path / "net")
        with pytest.raises(ValueError, match="no format 'pt'"):
            bundle.export(tmp_path / "net", "pt")
        with pytest.raises(KeyError, match="no component"):
            bundle.export(tmp_path / "net.h5", component="other")
    assert (tmp_path / "net.keras").read_text() == "something"


def test_several_files_of_a_format_are_named(tmp_path: Path, model: Any) -> None:
    for name in ("one.keras", "two.keras"):
        model.save(tmp_path / name)
    both = [tmp_path / "one.keras", tmp_path / "two.keras"]
    with models.packed(both, tmp_path / "b") as bundle:
        with pytest.raises(ValueError, match=r"one\.keras, two\.keras"):
            bundle.export(tmp_path / "three.keras")
        bundle.export(tmp_path / "three.keras", component="two.keras")
    assert filecmp.cmp(tmp_path / "two.keras", tmp_path / "three.keras", shallow=False)


def test_on_the_command_line(tmp_path: Path, path: Path) -> None:
    target = tmp_path / "net.safetensors"
    done = CliRunner().invoke(cli, ["export", str(path), str(target), "--json"])
    assert done.exit_code == 0, done.output
    answer = json.loads(done.output)
    made.check_answer("export", answer)
    assert answer["files"] == [str(target)]
    again = CliRunner().invoke(cli, ["export", str(path), str(target)])
    assert again.exit_code == 2 and "nothing is overwritten" in again.output
    arguments = ["export", str(path), str(tmp_path / "x"), "--format", "safetensors"]
    done = CliRunner().invoke(cli, [*arguments, "--component", "model"])
    assert done.output.startswith("safetensors written: ")
