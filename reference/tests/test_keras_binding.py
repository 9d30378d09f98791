"""Weights by name into models, layers and mappings, from every format and from live models."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import answer_bundles as made
import keras_models as models
import numpy as np
import pytest
from keras import layers

import modelbundle as mb
from modelbundle.keras.matching import Named, match, normal

keras: Any = models.keras

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Any:
    """tf_keras and Keras warn of their own formats."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def save_keras(model: Any, folder: Path) -> Path:
    model.save(folder / "net.keras")
    return folder / "net.keras"


def save_h5(model: Any, folder: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(folder / "net.h5")
    return folder / "net.h5"


def save_weights(model: Any, folder: Path) -> Path:
    model.save_weights(folder / "net.weights.h5")
    return folder / "net.weights.h5"


def save_checkpoint(model: Any, folder: Path) -> Path:
    import tensorflow as tf

    tf.train.Checkpoint(model=model).save(str(folder / "net" / "ckpt"))
    return folder / "net"


def save_export(model: Any, folder: Path) -> Path:
    model.export(folder / "exported", verbose=False)
    return folder / "exported"


def save_safetensors(model: Any, folder: Path) -> Path:
    from safetensors.numpy import save_file

    names = {path.replace("/", "."): value for path, value in models.weights_of(model).items()}
    save_file(names, folder / "net.safetensors")
    return folder / "net.safetensors"


def save_saved_model(model: Any, folder: Path) -> Path:
    model.save(folder / "saved", save_format="tf")
    return folder / "saved"


FORMATS = [save_keras, save_h5, save_weights, save_checkpoint, save_export, save_safetensors]
OLD_FORMATS = [save_keras, save_h5, save_saved_model]


@pytest.mark.parametrize("save", FORMATS)
@pytest.mark.filterwarnings("ignore")
def test_every_format_of_keras_3_binds_fully(
    tmp_path: Path, save: Callable[[Any, Path], Path]
) -> None:
    model, target = models.nested(), models.nested()
    with models.packed(save(model, tmp_path), tmp_path / "b") as bundle:
        report = bundle.load_into(target)
    assert report.complete and len(report.bound) == 13
    made.check_answer("binding", report.to_json())
    assert models.same_values(model, target)


@pytest.mark.parametrize("save", OLD_FORMATS)
@pytest.mark.filterwarnings("ignore")
def test_formats_of_keras_2_bind_to_keras_3(
    tmp_path: Path, save: Callable[[Any, Path], Path]
) -> None:
    import tf_keras

    model, target = models.nested(tf_keras), models.nested()
    with models.packed(save(model, tmp_path), tmp_path / "b") as bundle:
        assert bundle.load_into(target).complete
    assert models.same_values(model, target)


@pytest.mark.parametrize("save", [save_weights, save_checkpoint, save_keras])
@pytest.mark.filterwarnings("ignore")
def test_a_subclassed_model_binds_to_its_like(
    tmp_path: Path, save: Callable[[Any, Path], Path]
) -> None:
    model, target = models.subclassed(), models.subclassed()
    with models.packed(save(model, tmp_path), tmp_path / "b") as bundle:
        assert bundle.load_into(target).complete
    assert models.same_values(model, target)


def test_attributes_name_layers_that_nobody_named(tmp_path: Path) -> None:
    import tensorflow as tf

    class Net(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = layers.Dense(3), layers.Dense(3)

        def call(self, inputs: Any) -> Any:
            return self.second(self.first(inputs))

    model, target = Net(), Net()
    for each in (model, target):
        each(np.ones((1, 3), "float32"))
        models.filled(each)
    tf.train.Checkpoint(model).save(str(tmp_path / "net" / "ckpt"))
    with models.packed(tmp_path / "net", tmp_path / "b") as bundle:
        report = bundle.load_into(target, match="path")
    assert {bound.variable for bound in report.bound} == {
        "first/kernel", "first/bias", "second/kernel", "second/bias",
    }  # fmt: skip
    assert models.same_values(model, target)


@pytest.fixture
def bundle(tmp_path: Path) -> Any:
    """The guide's model in `.h5`, which names what it holds."""
    model = models.mlp()
    with models.packed(save_h5(model, tmp_path), tmp_path / "b") as opened:
        opened.model = model
        yield opened


def test_another_head_is_missing_and_the_old_one_unexpected(bundle: Any) -> None:
    target = models.mlp(5, head="classes")
    before = target.get_layer("classes").get_weights()
    with pytest.raises(mb.BindingError, match="partial=True") as raised:
        bundle.load_into(target)
    report = raised.value.report
    assert report.missing == ("classes/bias", "classes/kernel")
    assert report.unexpected == ("predictions/bias", "predictions/kernel")
    report = bundle.load_into(target, partial=True)
    assert len(report.bound) == 4 and not report.complete
    for name in ("dense_1", "dense_2"):
        ours, theirs = (m.get_layer(name) for m in (bundle.model, target))
        assert models.same_values(ours, theirs)
    assert all(map(np.array_equal, before, target.get_layer("classes").get_weights()))
    made.check_answer("binding", report.to_json())
    assert str(report).startswith("4 of 6 variables have their tensor\n  missing (2): classes/bias")


def test_a_failed_load_changes_nothing(bundle: Any) -> None:
    target = models.mlp(5)
    before = models.weights_of(target)
    with pytest.raises(mb.BindingError) as raised:
        bundle.load_into(target)
    assert {m.what for m in raised.value.report.mismatched} == {"shape"}
    assert [m.expected for m in raised.value.report.mismatched] == ["[5]", "[4, 5]"]
    after = models.weights_of(target)
    assert all(np.array_equal(before[path], after[path]) for path in before)


def test_a_damaged_tensor_changes_nothing(tmp_path: Path, bundle: Any) -> None:
    offset = bundle.storage.blob("net.h5")
    row = bundle.tensors["predictions/kernel"].row
    path = tmp_path / "b"
    data = bytearray(path.read_bytes())
    at = data.find(offset.read(row.offset, row.length))
    data[at] ^= 1
    (tmp_path / "damaged").write_bytes(data)
    target = models.mlp()
    before = models.weights_of(target)
    with mb.open(tmp_path / "damaged") as damaged, pytest.raises(mb.BundleError, match="TEN-10"):
        damaged.load_into(target)
    after = models.weights_of(target)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_below_a_sequential_that_wraps_it(tmp_path: Path) -> None:
    source, inner = models.backbone(), models.backbone()
    model = keras.Sequential([inner, layers.Dense(5, name="predictions")])
    model.build((None, 6))
    with models.packed(save_h5(source, tmp_path), tmp_path / "b") as opened:
        report = opened.load_into(model, partial=True)
    assert report.missing == ("predictions/bias", "predictions/kernel")
    assert ("pretrained/dense_1/kernel", "dense_1/kernel") in {
        (bound.variable, bound.tensor) for bound in report.bound
    }
    assert models.same_values(source, inner)


def test_two_places_for_one_name_are_ambiguous(bundle: Any) -> None:
    one, two = models.backbone("one"), models.backbone("two")
    model = keras.Sequential([one, layers.Dense(6, name="between"), two])
    model.build((None, 6))
    with pytest.raises(mb.BindingError) as raised:
        bundle.load_into(model, partial=True)
    assert "one/dense_1/kernel" in {item.variable for item in raised.value.report.ambiguous}
    report = bundle.load_into(model, partial=True, match={"two": ""})
    assert {bound.variable.split("/")[0] for bound in report.bound} == {"two"}
    assert models.same_values(two.get_layer("dense_2"), bundle.model.get_layer("dense_2"))


def test_one_layer_of_a_model(bundle: Any) -> None:
    layer = layers.Dense(4, name="dense_2")
    layer.build((None, 4))
    report = bundle.load_into(layer, partial=True)
    assert [(b.variable, b.tensor) for b in report.bound] == [
        ("bias", "dense_2/bias"), ("kernel", "dense_2/kernel"),
    ]  # fmt: skip
    assert models.same_values(layer, bundle.model.get_layer("dense_2"))


def test_freezing_does_not_change_what_binds(bundle: Any) -> None:
    target = models.mlp()
    target.get_layer("dense_1").trainable = False
    assert bundle.load_into(target).complete
    assert models.same_values(target.get_layer("dense_1"), bundle.model.get_layer("dense_1"))
    assert models.same_values(target.get_layer("dense_2"), bundle.model.get_layer("dense_2"))


def test_renaming_by_mapping_and_by_function(bundle: Any) -> None:
    target = models.mlp(head="classes")
    report = bundle.load_into(target, match={"classes": "predictions"})
    assert report.complete and models.same_values(target, bundle.model)
    other = models.mlp(head="classes")
    assert bundle.load_into(other, match=lambda name: name.replace("classes", "predictions"))
    assert models.same_values(other, bundle.model)
    left_out = {"dense_1/kernel": "dense_1/kernel"}.get
    report = bundle.load_into(models.mlp(), match=left_out, partial=True)
    assert [bound.variable for bound in report.bound] == ["dense_1/kernel"]


def test_into_a_mapping_of_variables_and_layers(bundle: Any) -> None:
    first = layers.Dense(4, name="whatever")
    first.build((None, 6))
    layer = layers.Layer()
    kernel = layer.add_weight(shape=(4, 10))
    report = bundle.load_into({"dense_1": first, "predictions/kernel": kernel})
    assert not report.complete and not report.missing
    assert report.unexpected == ("dense_2/bias", "dense_2/kernel", "predictions/bias")
    assert models.same_values(first, bundle.model.get_layer("dense_1"))
    assert np.array_equal(kernel.numpy(), bundle.model.get_layer("predictions").kernel.numpy())
    with pytest.raises(mb.BindingError) as raised:
        bundle.load_into({"dense_1": first, "nothing": kernel})
    assert raised.value.report.missing == ("nothing",)


def test_a_mapping_takes_the_names_of_a_checkpoint(tmp_path: Path) -> None:
    """The guide's ContrivedModel: exact layers and variables into another model."""
    import tensorflow as tf

    model = models.mlp()
    first, last = model.layers[1], model.layers[-1]
    saved = tf.train.Checkpoint(dense=first, kernel=last.kernel, bias=last.bias)
    saved.save(str(tmp_path / "net" / "ckpt"))
    dense = layers.Dense(4)
    dense.build((None, 6))
    kernel, bias = tf.Variable(tf.zeros((4, 10))), tf.Variable(tf.zeros(10))
    with models.packed(tmp_path / "net", tmp_path / "b") as opened:
        wanted = {"dense": dense, "kernel": kernel, "bias": bias}
        report = opened.load_into(wanted, match="tensorflow.checkpoint")
    assert report.complete and not report.unexpected
    assert models.same_values(dense, first)
    assert np.array_equal(kernel.numpy(), last.kernel.numpy())


def test_by_the_paths_within_a_weights_file(tmp_path: Path) -> None:
    model, target = models.mlp(), models.mlp(head="classes")
    with models.packed(save_weights(model, tmp_path), tmp_path / "b") as opened:
        assert opened.load_into(target, match="hdf5").complete
        with pytest.raises(ValueError, match="hdf5"):
            opened.load_into(target, match="onnx")
    assert models.same_values(model, target)


def test_binding_nothing_is_an_error_even_where_partial(bundle: Any) -> None:
    other = keras.Sequential([keras.Input((2,)), layers.Dense(2, name="elsewhere")])
    with pytest.raises(mb.BindingError, match="no name binds"):
        bundle.load_into(other, partial=True)
    with pytest.raises(mb.BindingError, match="build it"):
        bundle.load_into(models.Subclassed(), partial=True)
    with pytest.raises(mb.BindingError):
        bundle.load_into(models.mlp(), roles=("rng",), partial=True)


def test_a_cast_is_asked_for(bundle: Any) -> None:
    target = models.mlp()
    with keras.dtype_policies.DTypePolicy("float32") and _policy("float16"):
        half = models.mlp()
    with pytest.raises(mb.BindingError) as raised:
        bundle.load_into(half)
    assert {(m.what, m.expected, m.found) for m in raised.value.report.mismatched} == {
        ("dtype", "float16", "float32")
    }
    report = bundle.load_into(half, cast=True)
    assert report.complete and {bound.cast_from for bound in report.bound} == {"float32"}
    assert bundle.load_into(target).complete
    for ours, theirs in zip(half.get_weights(), target.get_weights(), strict=True):
        assert np.array_equal(ours, theirs.astype("float16"))


class _policy:  # noqa: N801
    """The global dtype policy for a while."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        self.before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(self.name)

    def __exit__(self, *_: object) -> None:
        keras.config.set_dtype_policy(self.before)


def test_optimizer_state_only_where_asked_for(tmp_path: Path) -> None:
    model, target = models.mlp(), models.mlp()
    x, y = np.ones((8, 6), "float32"), np.ones((8, 10), "float32")
    for each, steps in ((model, 3), (target, 1)):
        each.compile(keras.optimizers.Adam(0.01), "mean_squared_error")
        for _ in range(steps):
            each.train_on_batch(x, y)
    with models.packed(save_h5(model, tmp_path), tmp_path / "b") as opened:
        assert opened.load_into(target).complete
        assert int(target.optimizer.iterations.value) == 1
        report = opened.load_into(
            target, roles=("trainable", "non-trainable", "optimizer"), cast=True
        )
    assert report.complete and len(report.bound) == 6 + 2 + 12
    for ours, theirs in zip(model.optimizer.variables, target.optimizer.variables, strict=True):
        assert np.array_equal(ours.numpy(), theirs.numpy())


def test_one_of_two_models_in_a_bundle(tmp_path: Path) -> None:
    one, two, target = models.mlp(), models.mlp(), models.mlp()
    one.save(tmp_path / "one.keras")
    two.save(tmp_path / "two.keras")
    both = [tmp_path / "one.keras", tmp_path / "two.keras"]
    with models.packed(both, tmp_path / "b") as opened:
        with pytest.raises(mb.BindingError):
            opened.load_into(target)
        assert opened.load_into(target, component="two.keras").complete
        with pytest.raises(KeyError, match=r"one\.keras"):
            opened.load_into(target, component="three.keras")
    assert models.same_values(two, target)


def test_several_files_of_one_model_in_a_bundle(tmp_path: Path) -> None:
    """Biases of zeros are rows of their own in each file, under other names."""
    model, target = models.mlp(), models.mlp()
    for variable in model.weights:
        variable.assign(np.zeros(variable.shape, "float32"))
    sources = [save(model, tmp_path) for save in (save_keras, save_weights, save_checkpoint)]
    with models.packed(sources, tmp_path / "b") as opened:
        assert opened.load_into(target).complete
        report = opened.load_into(target, match="tensorflow.checkpoint")
    assert report.complete
    assert models.same_values(model, target)


def test_slots_of_one_name_and_another_meaning(tmp_path: Path) -> None:
    """SGD and Lion keep the same variables under the same names."""
    x, y = np.ones((8, 6), "float32"), np.ones((8, 10), "float32")
    model, target = models.mlp(), models.mlp()
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), "mean_squared_error")
    target.compile(keras.optimizers.Lion(0.01), "mean_squared_error")
    for each in (model, target):
        each.train_on_batch(x, y)
    roles = ("trainable", "non-trainable", "optimizer")
    with models.packed(model, tmp_path / "b") as opened:
        with pytest.raises(mb.BindingError):
            opened.load_into(target, roles=roles)
        same = models.mlp()
        same.compile(keras.optimizers.SGD(0.01, momentum=0.9), "mean_squared_error")
        same.train_on_batch(x, y)
        assert opened.load_into(same, roles=roles).complete
    with pytest.raises(mb.BindingError):
        mb.transfer(model, target, roles=roles)
    assert mb.transfer(model, same, roles=roles).complete


def test_a_captured_model_binds_by_attributes_and_by_names(tmp_path: Path) -> None:
    model, like, other = models.subclassed(), models.subclassed(), models.mlp()
    with models.packed(model, tmp_path / "b") as opened:
        assert opened.load_into(like).complete
        with pytest.raises(mb.BindingError, match="predictions/kernel"):
            opened.load_into(other)
        assert opened.load_into(other, match={"predictions": "dense_3"}).complete
    assert models.same_values(model, like)
    assert models.same_values(model, other)


def test_transfer_between_layers_whatever_they_are_called() -> None:
    one, two = layers.Dense(4, name="one"), layers.Dense(4, name="two")
    for layer in (one, two):
        layer.build((None, 6))
        models.filled(layer)
    assert mb.transfer(one, two).complete
    assert models.same_values(one, two)


@pytest.mark.parametrize("direction", ["to", "from"])
def test_transfer_between_functional_and_subclassed(direction: str) -> None:
    pair = (models.mlp(), models.subclassed())
    source, target = pair if direction == "to" else pair[::-1]
    assert mb.transfer(source, target).complete
    assert models.same_values(source, target)


def test_transfer_does_not_mind_layers_without_weights() -> None:
    source, target = models.mlp(), models.mlp(dropout=True)
    assert mb.transfer(source, target).complete
    assert models.same_values(source, target)
    assert mb.transfer(target, models.mlp()).complete


def test_transfer_from_a_mapping_and_from_a_bundle(bundle: Any) -> None:
    target = models.mlp()
    first = models.mlp().get_layer("dense_1")
    report = mb.transfer({"dense_1": first}, target, partial=True)
    assert len(report.bound) == 2
    assert models.same_values(first, target.get_layer("dense_1"))
    assert mb.transfer(bundle, target).complete
    assert models.same_values(bundle.model, target)


def test_layers_taken_out_of_a_model_keep_their_names(bundle: Any) -> None:
    extracted = models.mlp().layers[:-1]
    model = keras.Sequential([*extracted, layers.Dense(5, name="dense_3")])
    report = bundle.load_into(model, partial=True)
    assert report.missing == ("dense_3/bias", "dense_3/kernel")
    assert len(report.bound) == 4


def named(name: str, *, path: str | None = None) -> Named:
    keys = frozenset({normal(name)})
    paths = keys if path is None else frozenset({path})
    return Named(name, "trainable", "float32", (2,), paths, keys)


def test_what_path_and_name_disagree_on_binds_only_where_one_of_them_is_whole() -> None:
    swapped = [named("a/kernel", path="b/kernel"), named("b/kernel", path="a/kernel")]
    sources = [named("a/kernel"), named("b/kernel")]
    pairs = match(swapped, sources)
    assert pairs.bound == {} and set(pairs.ambiguous) == {0, 1}
    assert match(swapped, sources, paths_hold=True).bound == {0: 1, 1: 0}
    targets = [named("a/kernel", path="x/kernel"), named("b/kernel", path="a/kernel")]
    assert match(targets, sources).bound == {0: 0, 1: 1}


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("net/dense/kernel:0", "net/dense/kernel"),
        ("layer/_kernel/.ATTRIBUTES/VARIABLE_VALUE", "layer/kernel"),
        ("dense.kernel", "dense/kernel"),
        ("block.1/kernel", "block.1/kernel"),
        ("_/kernel", "_/kernel"),
    ],
)
def test_the_form_in_which_names_are_compared(name: str, form: str) -> None:
    assert normal(name) == form


_BIND_HERE = """
import sys
import keras
import keras_models as models
import modelbundle as mb
source, folder = models.nested(), sys.argv[1]
source.save_weights(f"{folder}/net.weights.h5")
for number, given in enumerate((source, f"{folder}/net.weights.h5")):
    mb.pack(given, f"{folder}/{number}")
    target = models.nested()
    assert mb.open(f"{folder}/{number}").load_into(target).complete
    assert models.same_values(source, target)
target = models.nested()
assert mb.transfer(source, target).complete
assert models.same_values(source, target)
print(mb.open(f"{folder}/0").export(f"{folder}/out.keras"))
assert models.same_values(source, keras.models.load_model(f"{folder}/out.keras"))
"""


@pytest.mark.backends
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_backends(tmp_path: Path, backend: str) -> None:
    subprocess.run(
        [sys.executable, "-c", _BIND_HERE, str(tmp_path)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)]),
            "KERAS_BACKEND": backend,
        },
        check=True,
    )
