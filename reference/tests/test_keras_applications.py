"""`keras.applications`, captured and restored: equal weights, outputs equal bit for bit."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_states import assert_same

import modelbundle as mb

keras = pytest.importorskip("keras")

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

SMALL = ("MobileNet", "MobileNetV2", "MobileNetV3Small", "EfficientNetV2B0")
"""In every run; the others with `make test-backends`."""


def constructors() -> list[str]:
    found = vars(keras.applications).items()
    return sorted(name for name, item in found if inspect.isfunction(item))


def check(name: str, folder: Path) -> None:
    options: dict[str, Any] = {"weights": None, "classes": 5}
    if "NASNet" not in name:
        options["input_shape"] = (96, 96, 3)
    model = getattr(keras.applications, name)(**options)
    for item in model.weights:
        if item.name in ("moving_mean", "moving_variance"):
            item.assign(item + np.random.default_rng(0).random(item.shape).astype("float32"))
    mb.pack(model, folder / "m.modelbundle")
    with mb.open(folder / "m.modelbundle") as bundle:
        found = bundle.to_keras()
    assert_same(model, found)
    x = np.random.default_rng(1).random((1, *model.input_shape[1:])).astype("float32") * 255
    one, two = (np.asarray(keras.ops.convert_to_numpy(each(x))) for each in (model, found))
    assert one.tobytes() == two.tobytes()
    keras.backend.clear_session()


@pytest.mark.parametrize("name", SMALL)
def test_small(name: str, tmp_path: Path) -> None:
    check(name, tmp_path)


@pytest.mark.backends
@pytest.mark.parametrize("name", [name for name in constructors() if name not in SMALL])
def test_large(name: str, tmp_path: Path) -> None:
    check(name, tmp_path)


def test_there_are_forty() -> None:
    assert len(constructors()) >= 38 and set(SMALL) <= set(constructors())
