"""Every layer class of Keras 3, captured and restored: equal variables, equal outputs."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_layer_table
import keras_zoo
import numpy as np
import pytest
from keras_states import assert_same

import modelbundle as mb

keras = pytest.importorskip("keras")

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

IN_A_MODEL = [label for label in keras_zoo.names(keras) if keras_zoo.LAYERS[label][2]]


def test_no_class_is_forgotten() -> None:
    forgotten = keras_layer_table.classes(keras) - keras_layer_table.covered(keras)
    assert {c.__name__ for c in forgotten} == set()


def restored(target: Any, folder: Path) -> Any:
    mb.pack(target, folder / "m.modelbundle")
    with mb.open(folder / "m.modelbundle") as bundle:
        return bundle.to_keras()


def alike(call: Callable[[], Any]) -> Any:
    """`call()` with the generators of the process in one state, which some layers ask.

    AugMix asks Python's, and on Torch a layer without a seed asks Torch's.
    """
    random.seed(1)
    if keras.backend.backend() == "torch":
        import torch

        torch.manual_seed(1)
    return call()


def as_json(target: Any) -> str:
    """Its config as Keras writes it, for which a tuple is a list."""
    return json.dumps(keras.saving.serialize_keras_object(target), sort_keys=True)


def assert_equal(first: Any, second: Any) -> None:
    one, two = keras.tree.flatten(first), keras.tree.flatten(second)
    assert len(one) == len(two)
    for a, b in zip(one, two, strict=True):
        values = [np.asarray(keras.ops.convert_to_numpy(x)) for x in (a, b)]
        assert values[0].dtype == values[1].dtype
        assert values[0].tobytes() == values[1].tobytes()


@pytest.mark.parametrize("label", IN_A_MODEL)
def test_in_a_model(label: str, tmp_path: Path) -> None:
    class_name, arguments, shapes = keras_zoo.LAYERS[label]
    inputs, output = keras_zoo.call(keras, keras_zoo.make(keras, class_name, arguments), shapes)
    model = keras.Model(inputs, output)
    numbers = np.random.default_rng(0)
    for item in model.weights:
        item.assign(numbers.random(item.shape).astype(item.dtype))
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # it computes with constants made of its variables
    batch = [numbers.random((2, *x.shape[1:])).astype(x.dtype) for x in inputs]
    if class_name == "CategoryEncoding" or "mbedding" in class_name:
        batch = [np.floor(x * 3) for x in batch]
    found = restored(model, tmp_path)
    assert_same(model, found)
    assert as_json(model) == as_json(found)
    assert_equal(model(batch), found(batch))
    assert_equal(*(alike(lambda x=x: x(batch, training=True)) for x in (model, found)))
    assert_same(model, found)


@pytest.mark.parametrize("label", keras_layer_table.EAGER)
def test_by_itself(label: str, tmp_path: Path) -> None:
    class_name, arguments, batch = keras_layer_table.EAGER[label]
    if not hasattr(keras.layers, class_name):
        pytest.skip(f"this Keras has no {class_name}")
    layer = keras_zoo.make(keras, class_name, arguments)
    call = (lambda x: x(*batch)) if isinstance(batch, tuple) and "cell" in label else None
    call = call or (lambda x: x(batch))
    if batch is not None:
        call(layer)
    found = restored(layer, tmp_path)
    assert type(found) is type(layer)
    assert as_json(layer) == as_json(found)
    assert_same(layer, found)
    if batch is not None:
        assert_equal(*(alike(lambda x=x: call(x)) for x in (layer, found)))
        assert_same(layer, found)
