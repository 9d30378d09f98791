"""The SavedModel of each layer of the zoo, under `tensorflow` and, lowered, under `stablehlo`.

TensorFlow runs and lowers in this process; the graphs run in one process of an engine, where no
TensorFlow is imported. What StableHLO cannot hold is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras_zoo
import numpy as np
import pytest

from modelbundle.bundle import open_bundle
from modelbundle.core.findings import BundleError
from modelbundle.engines import ENGINES, Setup, graphs, load
from modelbundle.engines.lowering import lower
from modelbundle.engines.process import EngineProcess
from modelbundle.engines.running import request_for
from modelbundle.packing import pack
from modelbundle.packing.extend import extend

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:keras"),
    pytest.mark.filterwarnings("ignore::UserWarning:tf_keras"),
]

LIBRARIES = ("keras", "tf_keras")
LABELS = [label for label, (_, _, shapes) in keras_zoo.LAYERS.items() if shapes]

IN_CI = "gru"
"""The rest takes minutes: `make test-backends`."""

_COUNTING = (
    "lstm_dropout", "gru_dropout", "random_flip", "random_rotation", "random_zoom",
    "random_translation", "random_contrast", "random_brightness", "random_crop", "random_erasing",
    "random_hue",
)  # fmt: skip

REFUSED = {
    **{("keras", label): "AssignVariableOp" for label in _COUNTING},
    ("tf_keras", "random_crop"): "RngReadAndSkip",
    ("keras", "category_encoding"): "DenseBincount",
    ("tf_keras", "category_encoding"): "DenseBincount",
}
"""Layers that no portable graph can be made of, and what is said of them: generators of random
numbers that Keras 3 lets count in inference too, and sizes that are not known before it runs."""


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineProcess]:
    with EngineProcess("stablehlo", "corpus") as process:
        yield process


def saved(library: str, label: str, path: Path) -> Path:
    """The SavedModel of a model with one layer."""
    module: Any = pytest.importorskip(library)
    class_name, arguments, shapes = keras_zoo.LAYERS[label]
    if label not in keras_zoo.names(module):
        pytest.skip(f"{library} has no {class_name} that works")
    layer = keras_zoo.make(module, class_name, arguments)
    inputs, outputs = keras_zoo.call(module, layer, shapes)
    model = module.Model(inputs, outputs)
    if library == "keras":
        model.export(path, verbose=False)
    else:
        model.save(path, save_format="tf")
    return path


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    "label",
    [
        pytest.param(label, marks=[] if label == IN_CI else [pytest.mark.backends])
        for label in LABELS
    ],
)
def test_a_layer(library: str, label: str, engine: EngineProcess, tmp_path: Path) -> None:
    source, portable = tmp_path / "net.modelbundle", tmp_path / "portable.modelbundle"
    pack(saved(library, label, tmp_path / "net"), source)
    with open_bundle(source) as bundle:
        signature = next(s for s in bundle.manifest.signatures if s.name == "serving_default")
        shapes = {port.name: [2, *(port.shape or ())[1:]] for port in signature.inputs}
        random = np.random.default_rng(0)
        inputs = {
            port.name: random.random(shapes[port.name]).astype(port.dtype)
            for port in signature.inputs
        }
        wanted = load("tensorflow").prepare(bundle, signature, Setup()).run(inputs)
        if (library, label) in REFUSED:
            with pytest.raises(BundleError, match=f"RUN-09 .*{REFUSED[library, label]}"):
                lower(bundle, signature, shapes)
            return
        lowered = graphs._artifact("net.graph", *lower(bundle, signature, shapes))
        extend(bundle, [lowered.artifact], portable, bindings=lowered.bindings)
    found, modules = run_alone(engine, portable, inputs)
    assert not {"tensorflow", "keras", "tf_keras"} & set(modules)
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=1e-5)


def run_alone(
    engine: EngineProcess, path: Path, inputs: dict[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Outputs of the graph in a bundle, and the frameworks that the engine has loaded."""
    with open_bundle(path) as bundle:
        signature = next(s for s in bundle.manifest.signatures if s.component == "net.graph")
        setup = {"engine": ENGINES["stablehlo"], "setup": asdict(Setup())}
        engine.ask({"call": "prepare", **setup, **request_for(bundle, signature)})
        answer, outputs = engine.ask({"call": "run"}, inputs)
    return dict(outputs), answer["modules"]
