"""Names, roles and paths of numbered variables, against what Keras stores."""

from __future__ import annotations

import io
import json
import os
import zipfile
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import h5py
import keras_zoo
import numpy as np
import pytest

from modelbundle.core.findings import BundleError
from modelbundle.sources.keras.variables import LayerRef, layer_paths, roles, variable_names

keras = pytest.importorskip("keras")
tf_keras = pytest.importorskip("tf_keras")

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

Stored = dict[str, dict[str, np.ndarray]]
"""Object path to its variables by number."""

_OPTIMIZERS = [
    *("Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lamb", "Lion"),
    *("Nadam", "RMSprop", "SGD", "ScheduleFreeAdamW"),
]


def stored(weights: io.BytesIO | str) -> Stored:
    """What a `.weights.h5` holds."""
    found: Stored = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            owner, _, number = name.rpartition("/vars/")
            found.setdefault(owner, {})[number] = item[()]

    with h5py.File(weights, "r") as file:
        file.visititems(visit)
    return found


def fill(variables: list[Any]) -> None:
    """Give every variable a value of its own."""
    for seed, variable in enumerate(variables):
        values = np.arange(np.prod(variable.shape, dtype=int)).reshape(variable.shape)
        variable.assign((values + 1000 * seed + 1).astype(np.dtype(variable.dtype)))


def in_a_model(library: Any, label: str) -> Any:
    """A Functional model of one layer, with distinct values."""
    class_name, arguments, shapes = keras_zoo.LAYERS[label]
    layer = keras_zoo.make(library, class_name, arguments)
    inputs, output = keras_zoo.call(library, layer, shapes)
    return library.Model(inputs, output)


def _with_weights(library: Any) -> list[str]:
    """Labels of the layers that are called on floats, so that a model can be made of them."""
    return [label for label in keras_zoo.names(library) if keras_zoo.LAYERS[label][2]]


@pytest.mark.parametrize("label", _with_weights(keras))
def test_names_are_those_of_the_stored_values(label: str, tmp_path: Any) -> None:
    model = in_a_model(keras, label)
    fill([variable for variable in model.variables if variable.name != "seed_generator_state"])
    model.save_weights(tmp_path / "m.weights.h5")
    paths = layer_paths(model.to_json().encode())
    for owner, variables in stored(str(tmp_path / "m.weights.h5")).items():
        ref = paths[owner]
        names = variable_names(ref.class_name, ref.config, len(variables))
        assert names is not None, (owner, ref.class_name)
        known = {
            (variable.name, bytes(np.asarray(variable).tobytes())): variable
            for variable in model.variables
        }
        for number, name in enumerate(names):
            value = variables[str(number)]
            assert (name, value.tobytes()) in known, (owner, name)


@pytest.mark.parametrize("label", _with_weights(keras))
def test_roles_are_those_of_keras(label: str) -> None:
    layer = keras_zoo.build(keras, label)
    own = layer._trainable_variables + layer._non_trainable_variables
    config = layer.get_config()
    found = roles(type(layer).__name__.replace("GroupedQ", "GroupQ"), config, len(own))
    if label == "spectral_normalization":  # stores the wrapped kernel too
        return
    expected = ["trainable" if variable.trainable else "non-trainable" for variable in own]
    assert found == tuple(expected)
    frozen = roles(type(layer).__name__, {**config, "trainable": False}, len(own))
    assert set(frozen or ()) <= {"non-trainable"}


def _quantized() -> list[tuple[str, str]]:
    """Modes with the layers that Keras quantizes so."""
    dense = ["dense", "dense_no_bias", "einsum_dense"]
    integers = [*dense, "embedding", "reversible_embedding_untied"]
    modes = {"int8": integers, "int4": integers, "float8": dense}
    return [(mode, label) for mode, labels in modes.items() for label in labels]


@pytest.mark.parametrize(("mode", "label"), _quantized())
def test_quantized_layers(mode: str, label: str, tmp_path: Any) -> None:
    model = in_a_model(keras, label)
    layer = model.layers[-1]
    layer.quantize(mode)
    model.save_weights(tmp_path / "m.weights.h5")
    paths = layer_paths(model.to_json().encode())
    (owner, variables), *_ = stored(str(tmp_path / "m.weights.h5")).items()
    ref = paths[owner]
    names = variable_names(ref.class_name, ref.config, len(variables))
    assert names is not None
    by_name = {variable.name: variable for variable in layer.variables}
    assert set(names) == set(by_name)
    for number, name in enumerate(names):
        assert variables[str(number)].shape == tuple(by_name[name].shape), name
        assert variables[str(number)].tobytes() == np.asarray(by_name[name]).tobytes(), name
    expected = tuple("trainable" if by_name[n].trainable else "non-trainable" for n in names)
    assert roles(ref.class_name, ref.config, len(variables)) == expected


def _optimizers() -> list[tuple[str, dict[str, Any]]]:
    more = {"use_ema": True, "gradient_accumulation_steps": 2}
    options: list[tuple[str, dict[str, Any]]] = [
        (n, extra) for n in _OPTIMIZERS for extra in ({}, more)
    ]
    return [
        *options,
        ("SGD", {"momentum": 0.9}),
        ("RMSprop", {"momentum": 0.9, "centered": True}),
        ("Adam", {"amsgrad": True}),
    ]


@pytest.mark.parametrize(("name", "arguments"), _optimizers())
def test_optimizer_variables(name: str, arguments: dict[str, Any]) -> None:
    variables = [keras.Variable(np.ones((4, 3)), name="a"), keras.Variable(np.ones(3), name="b")]
    optimizer = getattr(keras.optimizers, name)(**arguments)
    optimizer.build(variables)
    names = variable_names(name, optimizer.get_config(), len(optimizer.variables))
    assert names is not None
    for found, variable in zip(names, optimizer.variables, strict=True):
        slot, _, index = found.partition("/")
        if index and slot not in ("r", "c"):
            assert variable.name == f"{'ab'[int(index)]}_{slot}"
        elif not index and slot != "u_product":
            assert variable.name == slot
    assert set(roles(name, optimizer.get_config(), len(names)) or ()) == {"optimizer"}


def test_optimizer_inside_a_loss_scale_optimizer() -> None:
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(momentum=0.9))
    optimizer.build([keras.Variable(np.ones(3), name="a")])
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(optimizer)))["config"]
    names = variable_names("LossScaleOptimizer", config, len(optimizer.variables))
    assert names is not None
    assert names[2:5] == ("step_counter", "dynamic_scale", "inner_optimizer/iteration")
    assert names[-1] == "inner_optimizer/momentum/0"


def test_optimizer_with_a_schedule_has_no_learning_rate() -> None:
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    optimizer = keras.optimizers.Adam(schedule)
    optimizer.build([keras.Variable(np.ones(3), name="a")])
    names = variable_names("Adam", optimizer.get_config(), len(optimizer.variables))
    assert names == ("iteration", "momentum/0", "velocity/0")


def _nested(library: Any) -> Any:
    """A model with nested, shared, wrapped and repeated layers."""
    layers = library.layers
    inputs = library.Input((6, 4), name="tokens")
    shared = layers.Dense(4, name="shared")
    inner = library.Sequential([layers.Dense(4, name="a"), layers.Dense(4, name="b")], name="inner")
    tail_input = library.Input((6, 4))
    tail = library.Model(
        tail_input, layers.BatchNormalization(name="norm")(tail_input), name="tail"
    )
    hidden = inner(shared(shared(inputs)))
    step = library.Sequential([layers.Dense(4, name="c")], name="step")
    hidden = layers.TimeDistributed(step, name="each")(tail(hidden))
    hidden = layers.Bidirectional(layers.GRU(3, name="r"), name="both")(hidden)
    return library.Model(inputs, layers.Dense(2, name="out")(hidden), name="net")


@pytest.mark.parametrize("library", [keras, tf_keras], ids=["keras3", "tf_keras"])
def test_paths_of_nested_models(library: Any, tmp_path: Any) -> None:
    model = _nested(library)
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        paths = layer_paths(archive.read("config.json"))
        found = stored(io.BytesIO(archive.read("model.weights.h5")))
    owners = {owner for owner in found if owner.startswith("layers/")}
    assert owners <= set(paths)
    assert paths["layers/dense"].name == "shared"
    assert paths["layers/sequential/layers/dense_1"].name == "inner/b"
    assert paths["layers/functional/layers/batch_normalization"].name == "tail/norm"
    assert paths["layers/bidirectional/forward_layer/cell"].name == "both/forward_r/gru_cell"
    assert paths["layers/time_distributed/layer/layers/dense"].name == "each/step/c"
    assert paths["layers/dense_1"].name == "out"
    for owner in owners:
        ref = paths[owner]
        assert variable_names(ref.class_name, ref.config, len(found[owner])) is not None, owner


@pytest.mark.parametrize("library", [keras, tf_keras], ids=["keras3", "tf_keras"])
def test_optimizer_of_a_trained_model(library: Any, tmp_path: Any) -> None:
    model = library.Sequential([library.Input((4,)), library.layers.Dense(3)])
    model.compile(library.optimizers.Adam(), "mse")
    model.fit(np.ones((2, 4)), np.ones((2, 3)), verbose=0)
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        config = json.loads(archive.read("config.json"))["compile_config"]["optimizer"]["config"]
        found = stored(io.BytesIO(archive.read("model.weights.h5")))["optimizer"]
    names = variable_names("Adam", config, len(found))
    assert names is not None
    slots = [name for name in names if "/" in name]
    assert slots == ["momentum/0", "velocity/0", "momentum/1", "velocity/1"]
    assert found[str(names.index("velocity/0"))].shape == (4, 3)


def test_paths_of_a_bare_config() -> None:
    model = _nested(keras)
    bare = layer_paths(json.dumps(model.get_config()).encode())
    assert bare.keys() == layer_paths(model.to_json().encode()).keys()
    assert bare["layers/dense"].name == "shared"


def test_unknown_classes_and_counts_have_no_names() -> None:
    assert variable_names("Mystery", {}, 1) is None
    assert variable_names("Dense", {"use_bias": True}, 1) is None
    assert variable_names("Muon", {}, 5) is None
    assert roles("Mystery", {}, 1) is None
    assert variable_names("Flatten", {}, 0) == ()


def test_older_seed_generators_are_named() -> None:
    config = b'{"class_name": "Sequential", "config": {"name": "s", "layers": [{"class_name": \
"Dropout", "config": {"name": "drop", "trainable": true, "rate": 0.5, "seed": null}}]}}'
    ref = layer_paths(config)["layers/dropout/seed_generator"]
    assert ref == LayerRef("drop/seed_generator", "SeedGenerator", {})
    assert roles(ref.class_name, ref.config, 1) == ("rng",)


def test_paths_of_a_broken_config() -> None:
    with pytest.raises(BundleError, match="KCF-01"):
        layer_paths(b"{")


def test_metrics_of_tf_keras() -> None:
    assert variable_names("Mean", {"name": "loss"}, 2) == ("total", "count")
    assert roles("Mean", {"name": "loss"}, 2) == ("metric", "metric")
