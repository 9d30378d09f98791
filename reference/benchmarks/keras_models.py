"""Live Keras models to bundles and back, beside Keras's own files, in one process and run.

Two models: 512 MiB in 23 dense kernels, and EfficientNetB7; and 2,000 small tensors. Rounds of both
ways alternate. Memory is the peak that a call adds to what the process held before it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measuring import Figure, python

_MODELS = """
import os, sys, time, json
from pathlib import Path
import keras
import modelbundle as mb

folder, name, runs = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
bundle, native = folder / f"{name}.modelbundle", folder / f"{name}.keras"
weights = folder / f"{name}.weights.h5"

def dense():
    layers = keras.layers
    inputs = keras.Input((1024,))
    x = inputs
    for _ in range(16):
        x = layers.Dense(1024, use_bias=False)(x)
    x = layers.UpSampling1D(4)(layers.Reshape((1024, 1))(x))
    x = layers.Reshape((4096,))(x)
    for _ in range(7):
        x = layers.Dense(4096, use_bias=False)(x)
    return keras.Model(inputs, x)

def efficient():
    return keras.applications.EfficientNetB7(weights=None)

def small():
    inputs = keras.Input((8,))
    outputs = [keras.layers.Dense(8)(inputs) for _ in range(1000)]
    return keras.Model(inputs, keras.layers.Add()(outputs))

def resident(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    found = next((line for line in lines if line.startswith(field)), "0 0")
    return int(found.split()[1]) * 1024

def measured(call):
    Path("/proc/self/clear_refs").write_text("5")
    before, start = resident("VmRSS"), time.perf_counter()
    kept = call()
    seconds = time.perf_counter() - start
    return seconds, resident("VmHWM") - before

def rounds(tasks):
    found = {key: [] for key in tasks}
    for number in range(runs + 1):
        for key, (prepare, call) in tasks.items():
            prepare()
            result = measured(call)
            found[key] += [result] if number else []
    print(json.dumps(found))
"""

_SAVE = f"""{_MODELS}
model = globals()[name]()
def remove():
    for path in (bundle, native, weights):
        path.unlink(missing_ok=True)
    os.sync()
rounds({{
    "pack": (remove, lambda: mb.pack(model, bundle)),
    "save": (remove, lambda: model.save(native)),
    "pack weights": (remove, lambda: mb.pack(model, bundle, include=["weights"])),
    "save weights": (remove, lambda: model.save_weights(weights)),
}})
mb.pack(model, bundle, overwrite=True)
model.save(native)
model.save_weights(weights)
print(sum(v.numpy().nbytes for v in model.variables))
"""

_LOAD = f"""{_MODELS}
def restore():
    with mb.open(bundle) as opened:
        return opened.to_keras()
rounds({{
    "restore": (keras.backend.clear_session, restore),
    "load": (keras.backend.clear_session, lambda: keras.models.load_model(native)),
}})
"""

_LOAD_WEIGHTS = f"""{_MODELS}
model = globals()[name]()
def load_into():
    with mb.open(bundle) as opened:
        return opened.load_into(model)
rounds({{
    "load_into": (lambda: None, load_into),
    "load weights": (lambda: None, lambda: model.load_weights(weights)),
}})
"""


@dataclass(frozen=True)
class _Way:
    """Median seconds of one way, and the largest peak that it added (bytes)."""

    seconds: float
    peak_bytes: int


def measure(scratch: Path, runs: int) -> Iterator[Figure]:
    """Figures for packing and restoring live models, each against Keras's own file."""
    folder = scratch / "keras"
    folder.mkdir()
    runs = max(runs, 5)
    for name, faster in (("dense", 8), ("efficient", 3)):
        saved, size = _saved(folder, name, runs)
        yield _ratio(f"pack {name}", saved["pack"], saved["save"], "model.save", 1 / 4)
        added = saved["pack"].peak_bytes / 1e6
        yield Figure(f"pack {name}: memory added", added, "MB", 64)
        loaded, _ = _run(_LOAD, folder, name, runs)
        limit = 1 / faster
        yield _ratio(f"to_keras {name}", loaded["restore"], loaded["load"], "load_model", limit)
        added = loaded["restore"].peak_bytes / size
        native = f"load_model {loaded['load'].peak_bytes / size:.2f}"
        yield Figure(
            f"to_keras {name}: memory added", added, "x", 1.15, f"of the weights; {native}"
        )
    saved, _ = _saved(folder, "small", runs)
    one, two = saved["pack weights"], saved["save weights"]
    yield _ratio("pack 2,000 small tensors", one, two, ".weights.h5", 1)
    loaded, _ = _run(_LOAD_WEIGHTS, folder, "small", runs)
    one, two = loaded["load_into"], loaded["load weights"]
    yield _ratio("load 2,000 small tensors", one, two, ".weights.h5", 1)


def _saved(folder: Path, name: str, runs: int) -> tuple[dict[str, _Way], int]:
    """What saving took, and the bytes of the weights; the files are then there."""
    found, lines = _run(_SAVE, folder, name, runs)
    return found, int(lines[-1])


def _run(code: str, folder: Path, name: str, runs: int) -> tuple[dict[str, _Way], list[str]]:
    lines = python(code, folder, name, str(runs)).output.splitlines()
    found: dict[str, Any] = json.loads(next(line for line in lines if line.startswith('{"')))
    ways = {
        key: _Way(median(seconds for seconds, _ in rounds), max(peak for _, peak in rounds))
        for key, rounds in found.items()
    }
    return ways, lines


def _ratio(what: str, ours: _Way, theirs: _Way, name: str, limit: float) -> Figure:
    detail = f"{ours.seconds:.2f} s; {name} {theirs.seconds:.2f} s"
    return Figure(what, ours.seconds / theirs.seconds, "x", limit, detail)
