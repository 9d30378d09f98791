"""What goes wrong in the native formats without an error, and cannot with a bundle.

Each test first shows that the native way is wrong, then that a bundle is right, or says no.
"""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import keras_models as models
import numpy as np
import pytest
from keras import layers

import modelbundle as mb

keras: Any = models.keras

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*HDF5 file:UserWarning"),
]

TRAINED = ("trainable", "non-trainable", "optimizer")
X, Y = np.ones((8, 6), "float32"), np.ones((8, 10), "float32")


def kernel(model: Any, *names: str) -> Any:
    """The kernel of a layer, found by attribute or by name."""
    for name in names:
        model = getattr(model, name, None) or model.get_layer(name)
    return model.kernel.numpy()


def chain(*names: str) -> Any:
    """Dense layers that are alike but for their names."""
    return models.filled(
        keras.Sequential([keras.Input((4,)), *(layers.Dense(4, name=name) for name in names)])
    )


def test_1_two_layers_of_one_shape_reordered(tmp_path: Path) -> None:
    model, target = chain("a", "b"), chain("b", "a")
    model.save_weights(tmp_path / "net.weights.h5")
    target.load_weights(tmp_path / "net.weights.h5")
    assert np.array_equal(kernel(target, "a"), kernel(model, "b"))  # swapped

    with models.packed(tmp_path / "net.weights.h5", tmp_path / "b") as bundle:
        assert bundle.load_into(target).complete
    assert np.array_equal(kernel(target, "a"), kernel(model, "a"))
    assert np.array_equal(kernel(target, "b"), kernel(model, "b"))


class Nested(layers.Layer):
    """The guide's NestedDenseLayer."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.dense_1 = layers.Dense(4, name="dense_1")
        self.dense_2 = layers.Dense(4, name="dense_2")

    def build(self, shape: Any) -> None:
        self.dense_1.build(shape)
        self.dense_2.build(shape)

    def call(self, inputs: Any) -> Any:
        return self.dense_2(self.dense_1(inputs))


def test_2_a_nested_layer_frozen_then_unfrozen(tmp_path: Path) -> None:
    model, target = (
        models.filled(keras.Sequential([keras.Input((4,)), Nested(name="nested")]))
        for _ in range(2)
    )
    model.get_layer("nested").dense_1.trainable = False
    model.save(tmp_path / "net.h5")
    target.load_weights(tmp_path / "net.h5")
    assert np.array_equal(kernel(target, "nested", "dense_1"), kernel(model, "nested", "dense_2"))

    with models.packed(tmp_path / "net.h5", tmp_path / "b") as bundle:
        assert bundle.load_into(target).complete
    for name in ("dense_1", "dense_2"):
        assert np.array_equal(kernel(target, "nested", name), kernel(model, "nested", name))


def one_layer(library: Any) -> Any:
    inputs = library.Input((6,), name="digits")
    outputs = library.layers.Dense(4, name="dense_1")(inputs)
    return models.filled(library.Model(inputs, outputs, name="pretrained"))


@pytest.mark.filterwarnings("ignore")
def test_3_a_checkpoint_of_what_a_sequential_wraps(tmp_path: Path) -> None:
    import tf_keras

    model = one_layer(tf_keras)
    model.save_weights(tmp_path / "net" / "ckpt")
    inner = one_layer(tf_keras)
    target = tf_keras.Sequential([inner, tf_keras.layers.Dense(5, name="predictions")])
    before = [variable.numpy() for variable in target.weights]
    target.load_weights(tmp_path / "net" / "ckpt")
    after = [variable.numpy() for variable in target.weights]
    assert all(map(np.array_equal, before, after))  # nothing was loaded, nothing was said

    inner = one_layer(keras)
    target = keras.Sequential([inner, layers.Dense(5, name="predictions")])
    target.build((None, 6))
    with models.packed(tmp_path / "net", tmp_path / "b") as bundle:
        with pytest.raises(mb.BindingError, match="predictions/kernel"):
            bundle.load_into(target)
        report = bundle.load_into(target, partial=True)
    assert report.missing == ("predictions/bias", "predictions/kernel")
    assert models.same_values(inner, model)


def replace(file: h5py.File, path: str, value: Any) -> None:
    del file[path]
    file[path] = value


def test_4_extra_tensors_and_values_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "net.weights.h5"
    models.mlp().save_weights(path)
    with h5py.File(path, "r+") as file:
        file["layers"].create_group("extra/vars")["0"] = np.ones(3, "f4")
        replace(file, "layers/dense/vars/0", np.full((6, 4), 2**40, "i8"))
        replace(file, "layers/dense_1/vars/0", np.full((4, 4), np.nan, "f4"))
        replace(file, "layers/dense_1/vars/1", np.array([b"1", b"2", b"3", b"4"]))
    target = models.mlp()
    target.load_weights(path)
    assert kernel(target, "dense_1")[0, 0] == np.float32(2**40)  # int64, and rounded
    assert np.isnan(kernel(target, "dense_2")).all()
    assert list(target.get_layer("dense_2").bias.numpy()) == [1, 2, 3, 4]  # strings

    target = models.mlp()
    with models.packed(path, tmp_path / "b") as bundle:
        with pytest.raises(mb.BindingError) as raised:
            bundle.load_into(target)
        report = raised.value.report
        assert [name for name in report.unexpected if "extra" in name]
        assert {(m.variable, m.what, m.found) for m in report.mismatched} == {
            ("dense_1/kernel", "dtype", "int64"), ("dense_2/bias", "dtype", "bytes1"),
        }  # fmt: skip
        report = bundle.load_into(target, partial=True, cast=True)
    assert report.non_finite == ("dense_2/0",)
    assert [m.variable for m in report.mismatched] == ["dense_2/bias"]
    assert "with NaN or infinity (1): dense_2/0" in str(report)


def trained(optimizer: Any) -> Any:
    model = models.mlp()
    model.compile(optimizer, "mean_squared_error")
    model.train_on_batch(X, Y)
    return model


def test_5_slots_of_another_optimizer(tmp_path: Path) -> None:
    model = trained(keras.optimizers.RMSprop(0.1))
    target = trained(keras.optimizers.SGD(0.1, momentum=0.9))
    model.save_weights(tmp_path / "net.weights.h5")
    target.load_weights(tmp_path / "net.weights.h5")
    theirs = model.optimizer._velocities[0].numpy()
    assert np.array_equal(target.optimizer.momentums[0].numpy(), theirs)

    model.save(tmp_path / "net.h5")
    for source in (tmp_path / "net.weights.h5", tmp_path / "net.h5", model):
        target = trained(keras.optimizers.SGD(0.1, momentum=0.9))
        before = [variable.numpy() for variable in target.optimizer.variables]
        with models.packed(source, tmp_path / "b") as bundle:
            with pytest.raises(mb.BindingError):
                bundle.load_into(target, roles=TRAINED)
            report = bundle.load_into(target, roles=TRAINED, partial=True)
        assert {bound.variable.split("/")[0] for bound in report.bound} == {
            "dense_1", "dense_2", "predictions",
        }  # fmt: skip
        after = [variable.numpy() for variable in target.optimizer.variables]
        assert all(map(np.array_equal, before, after))


def test_6_layers_that_by_name_and_skip_mismatch_skip(tmp_path: Path) -> None:
    models.mlp().save(tmp_path / "net.h5")
    target = models.mlp(head="other")
    before = kernel(target, "other")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        target.load_weights(tmp_path / "net.h5", by_name=True)
    assert np.array_equal(kernel(target, "other"), before)
    assert not said
    smaller = models.mlp(5)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        smaller.load_weights(tmp_path / "net.h5", by_name=True, skip_mismatch=True)
    assert said  # a warning is all

    with models.packed(tmp_path / "net.h5", tmp_path / "b") as bundle:
        with pytest.raises(mb.BindingError, match="other/kernel"):
            bundle.load_into(target)
        with pytest.raises(mb.BindingError, match=r"\[4, 5\].*\[4, 10\]"):
            bundle.load_into(smaller)


@pytest.fixture
def mixed_policy() -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy(before)


@pytest.mark.usefixtures("mixed_policy")
def test_7_mixed_precision_under_another_global_policy(tmp_path: Path) -> None:
    model = trained("adam")
    scaled = keras.optimizers.LossScaleOptimizer
    assert isinstance(model.optimizer, scaled)
    model.save(tmp_path / "net.keras")
    mb.pack(model, tmp_path / "b")
    keras.config.set_dtype_policy("float32")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        native = keras.models.load_model(tmp_path / "net.keras")
    assert not isinstance(native.optimizer, scaled)  # and its state is lost
    assert int(native.optimizer.iterations.numpy()) == 0

    with mb.open(tmp_path / "b") as bundle:
        restored = bundle.to_keras()
    assert isinstance(restored.optimizer, scaled)
    for ours, theirs in zip(model.optimizer.variables, restored.optimizer.variables, strict=True):
        assert np.array_equal(ours.numpy(), theirs.numpy())
    assert keras.config.dtype_policy().name == "float32"


def test_8_vocabularies(tmp_path: Path) -> None:
    words = layers.TextVectorization(max_tokens=10, name="words")
    words.adapt(["a b c", "b c"])
    inputs = keras.Input((1,), dtype="string")
    x = layers.Embedding(10, 2, name="vectors")(words(inputs))
    model = keras.Model(inputs, layers.Dense(2, name="head")(x))
    model.save(tmp_path / "net.h5")
    native = keras.models.load_model(tmp_path / "net.h5", compile=False)
    assert list(native.get_layer("words").get_vocabulary()) == ["", "[UNK]"]

    mb.pack(model, tmp_path / "b")
    with mb.open(tmp_path / "b") as bundle:
        restored = bundle.to_keras()
    assert list(restored.get_layer("words").get_vocabulary()) == list(words.get_vocabulary())


@keras.saving.register_keras_serializable("silent")  # type: ignore[untyped-decorator]
class Configured(layers.Layer):
    """Keeps what it was given."""

    def __init__(self, sizes: Any = (), names: Any = None, limit: float = 1.0, **options: Any):
        super().__init__(**options)
        self.sizes, self.names, self.limit = sizes, names, limit

    def call(self, inputs: Any) -> Any:
        return inputs

    def get_config(self) -> dict[str, Any]:
        own = {"sizes": self.sizes, "names": self.names, "limit": self.limit}
        return {**super().get_config(), **own}


def test_9_tuples_integer_keys_and_infinity_in_a_config(tmp_path: Path) -> None:
    made = Configured((1, (2, 3)), {0: "a"}, float("inf"), name="made")
    model = keras.Sequential([keras.Input((2,)), made, layers.Dense(1, name="head")])
    model.save(tmp_path / "net.keras")
    native = keras.models.load_model(tmp_path / "net.keras").get_layer("made")
    assert (native.sizes, native.names) == ([1, [2, 3]], {"0": "a"})
    config = zipfile.ZipFile(tmp_path / "net.keras").read("config.json")
    with pytest.raises(ValueError, match="Infinity"):
        json.loads(config, parse_constant=_refuse)

    mb.pack(model, tmp_path / "b")
    with mb.open(tmp_path / "b") as bundle:
        kept = bundle.to_keras().get_layer("made")
        json.loads(bundle.read("model/config.json"), parse_constant=_refuse)
        report = bundle.export(tmp_path / "again.keras")
    assert "keys that are no strings, infinity or NaN, tuples" in str(report)
    assert (kept.sizes, kept.names, kept.limit) == ((1, (2, 3)), {0: "a"}, float("inf"))
    assert isinstance(kept.sizes, tuple) and isinstance(kept.sizes[1], tuple)


def test_10_saving_as_h5_forgets_the_optimizer(tmp_path: Path) -> None:
    model = trained("adam")
    model.save(tmp_path / "net.h5")
    model.save(tmp_path / "net.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        native = keras.models.load_model(tmp_path / "net.keras")
    assert isinstance(native.optimizer, keras.optimizers.RMSprop)

    with models.packed(model, tmp_path / "b") as bundle:
        restored = bundle.to_keras()
    assert isinstance(restored.optimizer, keras.optimizers.Adam)
    for ours, theirs in zip(model.optimizer.variables, restored.optimizer.variables, strict=True):
        assert np.array_equal(ours.numpy(), theirs.numpy())


def _refuse(name: str) -> Any:
    raise ValueError(name)
