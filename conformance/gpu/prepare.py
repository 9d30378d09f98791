"""Bundles with golden vectors for a machine that has a GPU and no TensorFlow.

    python conformance/gpu/prepare.py build/gpu/bundles

Needs TensorFlow, JAX and Torch. Each Keras model comes with a portable graph for any batch; each
SavedModel, which is all that its bundle has of the model, with graphs that TensorFlow lowered. The
vectors are float64 of the Keras model, those of a SavedModel's graph as well.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "conformance"), str(ROOT / "reference")]
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

KERAS = ("mlp", "residual", "lstm", "encoder", "decoder")
SAVED = ("residual", "encoder")
"""Architectures of the calibration study."""
BATCHES = (4, 1, 64)
"""Of the graphs of SavedModels; the first is that of the vectors."""


def keras_bundle(name: str, folder: Path) -> tuple[Any, Path]:
    """A model of the study, and its bundle with graph and vectors."""
    from calibration.models import build, inputs_of
    from modelbundle.engines.graphs import add_graph
    from modelbundle.golden.artifact import add_golden
    from modelbundle.packing import pack

    model, path = build(name), folder / f"keras-{name}.modelbundle"
    with tempfile.TemporaryDirectory() as scratch:
        plain, graph = Path(scratch) / "plain", Path(scratch) / "graph"
        pack(model, plain)
        add_graph(plain, graph)
        x = inputs_of(model, name)
        add_golden(graph, path, {model.inputs[0].name: x}, overwrite=True)
    return model, path


def saved_bundle(name: str, model: Any, folder: Path, vectors: Sequence[Any]) -> Path:
    """The bundle of the SavedModel of a model, with graphs and the model's `vectors`."""
    from modelbundle.engines.graphs import add_graph
    from modelbundle.packing import pack
    from modelbundle.packing.extend import extend

    path = folder / f"saved-{name}.modelbundle"
    with tempfile.TemporaryDirectory() as scratch:
        saved, plain, graph = (Path(scratch) / each for each in ("net", "plain", "graph"))
        model.export(saved, format="tf_saved_model", verbose=False)
        pack(saved, plain)
        add_graph(plain, graph, signature="serving_default", batches=BATCHES)
        extend(graph, [_golden(graph, vectors)], path, overwrite=True)
    return path


def _golden(path: Path, vectors: Sequence[Any]) -> Any:
    """The vectors under the names of the graph for their batch."""
    from modelbundle.bundle import open_bundle
    from modelbundle.golden.artifact import Made

    with open_bundle(path) as bundle:
        (graph,) = (s for s in bundle.manifest.signatures if f".b{BATCHES[0]}." in s.component)
    moved = [
        replace(
            vector,
            component=graph.component,
            signature=graph.name,
            inputs=_renamed(vector.inputs, graph.inputs),
            outputs=_renamed(vector.outputs, graph.outputs),
        )
        for vector in vectors
    ]
    return Made(tuple(moved)).artifact()


def _renamed(values: Any, ports: Any) -> dict[str, Any]:
    return {port.name: value for port, value in zip(ports, values.values(), strict=True)}


def vectors_of(path: Path) -> list[Any]:
    """The vectors of a bundle's Keras model that somebody gave the inputs of."""
    from modelbundle.bundle import open_bundle
    from modelbundle.golden.load_check import vectors_of as vectors
    from modelbundle.rules.golden import CALL

    with open_bundle(path) as bundle:
        return [
            vector
            for signature, vector in vectors(bundle)
            if signature.name == CALL and vector.name == "given"
            and not signature.component.endswith(".stablehlo")
        ]  # fmt: skip


def prepare(folder: Path, keras: Sequence[str] = KERAS, saved: Sequence[str] = SAVED) -> None:
    """Write all bundles to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in keras:
        model, path = keras_bundle(name, folder)
        print(path.name, flush=True)
        if name in saved:
            print(saved_bundle(name, model, folder, vectors_of(path)).name, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make the bundles of the GPU suite.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--keras", nargs="*", default=KERAS, metavar="NAME")
    given = parser.parse_args()
    prepare(given.folder, given.keras)
