"""What Keras 2 and Keras 3 compute for every class that both have, by way of old files.

Layers of the corpus stand side by side in a few models, which tf_keras saves as HDF5 and which are
revived; each has to give the same in float64. Losses, metrics, optimizers and activations are
compared in float64 after their configs are translated.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from revive_corpus import ENTRIES, Entry
from revive_differences import FLOAT32, GONE, LOOSE, UNCOVERED, uncovered_arguments

import modelbundle as mb
from modelbundle.reviving import rows
from modelbundle.reviving.old_model import find_old
from modelbundle.reviving.plan import make_plan
from modelbundle.reviving.training import translate_training

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore::UserWarning"),  # tf_keras: HDF5 is a legacy format
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

Case = tuple[str, Entry, dict[str, Any]]
CHUNK = 100
EXACT = 1e-12
"""Largest difference in float64, as a part of the largest value or of 1."""


def cases() -> list[Case]:
    """Every entry with each of its arguments, and a name for the layer."""
    found = [(entry, arguments) for entry in ENTRIES for arguments in entry.arguments()]
    return [(f"case_{at}", entry, arguments) for at, (entry, arguments) in enumerate(found)]


CASES = cases()


def key(entry: Entry, arguments: dict[str, Any]) -> str:
    """How `GONE` and `LOOSE` call a case."""
    told = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    return f"{entry.class_name}({told})"


def is_gone(entry: Entry, arguments: dict[str, Any]) -> bool:
    """Whether Keras 3 has no word for the arguments."""
    return any(
        entry.class_name in names and arguments.get(name) == value for names, name, value in GONE
    )


def old_model(chosen: list[Case]) -> Any:
    """One model of tf_keras with an input and an output for each case, weights drawn."""
    import tf_keras

    inputs, outputs = [], []
    for name, entry, arguments in chosen:
        dtype = "float32" if entry.class_name in FLOAT32 else "float64"
        given = [
            tf_keras.Input(shape, dtype="int32" if entry.integers else dtype)
            for shape in entry.shapes
        ]
        layer = getattr(tf_keras.layers, entry.class_name)(dtype=dtype, name=name, **arguments)
        call = layer(*given) if entry.class_name == "MultiHeadAttention" else _called(layer, given)
        inputs += given
        outputs.append(call)
    model = tf_keras.Model(inputs, outputs)
    random = np.random.default_rng(1)
    for variable in model.weights:
        drawn = random.normal(size=variable.shape)
        variable.assign(np.abs(drawn) + 0.1 if "variance" in variable.name else drawn)
    return model


def _called(layer: Any, given: list[Any]) -> Any:
    return layer(given if len(given) > 1 else given[0])


def data(chosen: list[Case]) -> list[Any]:
    """Inputs of the model, three rows each."""
    random = np.random.default_rng(2)
    return [
        random.integers(0, entry.integers, (3, *shape))
        if entry.integers
        else (random.normal(size=(3, *shape)) * 2).astype(
            "float32" if entry.class_name in FLOAT32 else "float64"
        )
        for _, entry, _ in chosen
        for shape in entry.shapes
    ]


@pytest.mark.parametrize("start", range(0, len(CASES), CHUNK))
def test_layers(start: int, tmp_path: Path) -> None:
    chosen = [case for case in CASES[start : start + CHUNK] if not is_gone(*case[1:])]
    model = old_model(chosen)
    model.save(tmp_path / "old.h5")
    report = mb.revive(tmp_path / "old.h5", tmp_path / "new.modelbundle", verify=False)
    assert not report.renamed
    with mb.open(tmp_path / "new.modelbundle") as bundle:
        revived = bundle.to_keras()
    given = data(chosen)
    before, after = model(given, training=False), revived(given, training=False)
    different = [
        f"{key(entry, arguments)}: {distance:.3g}"
        for (_, entry, arguments), one, two in zip(chosen, before, after, strict=True)
        if not (distance := relative(one, two)) <= LOOSE.get(entry.class_name, EXACT)
    ]
    assert not different, "\n".join(different)


def relative(one: Any, two: Any) -> float:
    """Largest difference as a part of the largest value, or of 1 where that is less."""
    left, right = np.asarray(one), np.asarray(two)
    if left.shape != right.shape:
        return float("inf")
    if not np.array_equal(np.isnan(left), np.isnan(right)):
        return float("inf")
    scale = max(float(np.nanmax(np.abs(left), initial=0.0)), 1.0)
    return float(np.nanmax(np.abs(left - right), initial=0.0)) / scale


def test_what_keras_3_has_no_word_for_is_told(tmp_path: Path) -> None:
    chosen = [case for case in CASES if is_gone(*case[1:])]
    assert chosen
    old_model(chosen).save(tmp_path / "old.h5")
    mb.pack(tmp_path / "old.h5", tmp_path / "old.modelbundle")
    with mb.open(tmp_path / "old.modelbundle") as bundle:
        told = {problem.layer for problem in make_plan(find_old(bundle)).problems}
    assert told == {name for name, _, _ in chosen}


def shared(room: str) -> set[str]:
    """Classes that both libraries have, less the names that are aliases."""
    import keras
    import tf_keras

    old, new = vars(getattr(tf_keras, room)), vars(getattr(keras, room))
    return {
        name
        for name in old.keys() & new.keys()
        if inspect.isclass(old[name]) and inspect.isclass(new[name]) and name == old[name].__name__
    }


def test_every_shared_class_is_compared() -> None:
    compared = {entry.class_name for entry in ENTRIES}
    lacking = shared("layers") - compared - UNCOVERED.keys()
    assert not lacking, f"neither in the corpus nor in UNCOVERED: {sorted(lacking)}"
    assert not UNCOVERED.keys() & compared


def test_uncovered_arguments_are_listed() -> None:
    """The count is a ratchet: an argument more is a case more, or a decision."""
    listed = uncovered_arguments()
    assert all(names for names in listed.values())
    assert "units" not in listed.get("Dense", ())


# Activations, losses, metrics, optimizers

OLD_ACTIVATIONS = (
    "elu", "exponential", "gelu", "hard_sigmoid", "linear", "mish", "relu", "selu", "sigmoid",
    "softmax", "softplus", "softsign", "swish", "tanh",
)  # fmt: skip


def test_every_activation_is_compared() -> None:
    import tf_keras

    functions = {n for n, f in vars(tf_keras.activations).items() if inspect.isfunction(f)}
    assert functions - {"get", "serialize", "deserialize"} == set(OLD_ACTIVATIONS)


LOSSES = {
    "BinaryCrossentropy": ({}, {"from_logits": True}, {"label_smoothing": 0.1}),
    "BinaryFocalCrossentropy": ({}, {"gamma": 1.0}, {"apply_class_balancing": True}),
    "CategoricalCrossentropy": ({}, {"from_logits": True}, {"label_smoothing": 0.1}),
    "CategoricalFocalCrossentropy": ({}, {"gamma": 1.0}),
    "CategoricalHinge": ({},),
    "CosineSimilarity": ({}, {"axis": 0}),
    "Hinge": ({},),
    "Huber": ({}, {"delta": 0.3}),
    "KLDivergence": ({},),
    "LogCosh": ({},),
    "MeanAbsoluteError": ({}, {"reduction": "sum"}),
    "MeanAbsolutePercentageError": ({},),
    "MeanSquaredError": ({}, {"reduction": "none"}),
    "MeanSquaredLogarithmicError": ({},),
    "Poisson": ({},),
    "SparseCategoricalCrossentropy": ({}, {"from_logits": True}),
    "SquaredHinge": ({},),
}


def targets(name: str) -> tuple[Any, Any]:
    """What a loss or metric of this name compares: probabilities of three classes."""
    random = np.random.default_rng(4)
    scores = random.uniform(0.05, 1.0, (6, 3))
    found = scores / scores.sum(axis=1, keepdims=True)
    classes = random.integers(0, 3, 6)
    if name.startswith("Sparse"):
        return classes, found
    return np.eye(3)[classes], found


def compiled(loss: Any = "mse", metrics: Any = None, optimizer: Any = None) -> Any:
    """What the translation makes of a training config."""
    config = {
        "loss": loss,
        "metrics": metrics,
        "optimizer_config": optimizer or {"class_name": "SGD", "config": {}},
    }
    found = translate_training(config, "2.15.0", 1)
    assert found is not None and not found.lost, found
    return found.document["compile_config"]


def serialized(value: Any) -> dict[str, Any]:
    """As tf_keras writes an object in HDF5."""
    return {"class_name": type(value).__name__, "config": _plain(value.get_config())}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value.item() if isinstance(value, np.generic) else value


def loss_cases() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, options in LOSSES.items():
        for arguments in options:
            yield name, arguments


@pytest.mark.parametrize(("name", "arguments"), list(loss_cases()))
def test_losses(name: str, arguments: dict[str, Any]) -> None:
    import keras
    import tf_keras

    old = getattr(tf_keras.losses, name)(**arguments)
    config = compiled(serialized(old))["loss"]
    config["config"]["dtype"] = "float64"
    new = keras.losses.deserialize(config)
    y, p = targets(name)
    before = np.asarray(old(y.astype("float64"), p))
    assert relative(before, np.asarray(new(y, p))) < LOOSE.get(name, EXACT)


def test_every_loss_is_compared() -> None:
    assert shared("losses") - {"Loss"} == LOSSES.keys()


METRICS = {
    name: {}
    for name in (
        "Accuracy", "BinaryAccuracy", "BinaryCrossentropy", "CategoricalAccuracy",
        "CategoricalCrossentropy", "CategoricalHinge", "CosineSimilarity", "F1Score",
        "FalseNegatives", "FalsePositives", "FBetaScore", "Hinge", "KLDivergence", "LogCoshError",
        "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanSquaredError",
        "MeanSquaredLogarithmicError", "Poisson", "Precision", "R2Score", "Recall",
        "RootMeanSquaredError", "SparseCategoricalAccuracy", "SparseCategoricalCrossentropy",
        "SparseTopKCategoricalAccuracy", "SquaredHinge", "TopKCategoricalAccuracy",
        "TrueNegatives", "TruePositives", "AUC",
    )
}  # fmt: skip
METRICS |= {
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
    "TopKCategoricalAccuracy": {"k": 2},
    "SparseTopKCategoricalAccuracy": {"k": 2},
    "BinaryIoU": {},
    "IoU": {"num_classes": 3, "target_class_ids": [0]},
    "MeanIoU": {"num_classes": 3},
    "OneHotIoU": {"num_classes": 3, "target_class_ids": [1]},
    "OneHotMeanIoU": {"num_classes": 3},
}
OTHER_METRICS = frozenset({"Metric", "Mean", "Sum", "MeanMetricWrapper", "MeanTensor"})
"""Bases, and what takes values and no targets."""


@pytest.mark.parametrize("name", sorted(METRICS))
def test_metrics(name: str) -> None:
    import keras
    import tf_keras

    old = getattr(tf_keras.metrics, name)(**METRICS[name])
    (config,) = compiled(metrics=[serialized(old)])["metrics"]
    new = keras.metrics.deserialize(config)
    y, p = targets(name)
    if name in ("IoU", "MeanIoU"):
        y, p = y.argmax(axis=1), p.argmax(axis=1)
    old.update_state(y.astype("float32"), p.astype("float32"))
    new.update_state(y.astype("float32"), p.astype("float32"))
    assert relative(old.result(), new.result()) < 1e-6  # metrics count in float32


def test_every_metric_is_compared() -> None:
    assert shared("metrics") - OTHER_METRICS == METRICS.keys()


OPTIMIZERS: dict[str, tuple[dict[str, Any], ...]] = {
    "Adadelta": ({"learning_rate": 0.5}, {"rho": 0.8}),
    "Adafactor": ({}, {"relative_step": False}),
    "Adagrad": ({}, {"initial_accumulator_value": 0.5}),
    "Adam": ({}, {"amsgrad": True}, {"clipnorm": 0.1}, {"weight_decay": 0.01}),
    "AdamW": ({}, {"weight_decay": 0.1}),
    "Adamax": ({}, {"beta_1": 0.5}),
    "Ftrl": ({}, {"l1_regularization_strength": 0.01}),
    "Lion": ({}, {"weight_decay": 0.1}),
    "Nadam": ({},),
    "RMSprop": ({}, {"centered": True}, {"momentum": 0.9}),
    "SGD": ({}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, {"global_clipnorm": 0.1}),
}
STEPS = 5


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_optimizers(name: str) -> None:
    import keras
    import tensorflow as tf
    import tf_keras

    start = np.random.default_rng(6).normal(size=(4, 3))
    for arguments in OPTIMIZERS[name]:
        old = getattr(tf_keras.optimizers, name)(**arguments)
        config = compiled(optimizer=serialized(old))["optimizer"]
        new = keras.optimizers.deserialize(config)
        one, two = tf.Variable(start), keras.Variable(start, dtype="float64")
        for step in range(STEPS):
            gradient = np.cos(start * (step + 1))
            old.apply_gradients([(tf.constant(gradient), one)])
            new.apply([keras.ops.convert_to_tensor(gradient)], [two])
        moved = np.abs(np.asarray(one) - start).max()
        difference = np.abs(np.asarray(one) - np.asarray(two)).max()
        assert difference <= 1e-6 * moved, (name, arguments, difference, moved)


def test_every_optimizer_is_compared() -> None:
    import keras
    import tf_keras

    old = {n for n, c in vars(tf_keras.optimizers).items() if inspect.isclass(c)}
    assert old & vars(keras.optimizers).keys() - {"Optimizer"} == OPTIMIZERS.keys()


def test_schedules() -> None:
    import keras
    import tf_keras

    schedules = tf_keras.optimizers.schedules
    for old in (
        schedules.CosineDecay(0.1, 10, alpha=0.1),
        schedules.CosineDecayRestarts(0.1, 4),
        schedules.ExponentialDecay(0.1, 3, 0.5, staircase=True),
        schedules.InverseTimeDecay(0.1, 3, 0.5),
        schedules.PiecewiseConstantDecay([3, 6], [0.1, 0.05, 0.01]),
        schedules.PolynomialDecay(0.1, 7, power=2.0),
    ):
        optimizer = {"class_name": "SGD", "config": {"learning_rate": serialized(old)}}
        rate = compiled(optimizer=optimizer)["optimizer"]["config"]["learning_rate"]
        new = keras.optimizers.schedules.deserialize(rate)
        for step in range(12):
            assert relative(old(step), new(step)) < 1e-6, type(old).__name__


def test_initializers_that_draw_nothing() -> None:
    import keras
    import tf_keras

    for old in (
        tf_keras.initializers.Zeros(),
        tf_keras.initializers.Ones(),
        tf_keras.initializers.Constant(0.3),
        tf_keras.initializers.Identity(2.0),
    ):
        assert rows.arguments("initializers", type(old).__name__) is not None
        new = getattr(keras.initializers, type(old).__name__).from_config(old.get_config())
        np.testing.assert_array_equal(np.asarray(old((3, 3))), np.asarray(new((3, 3))))
