"""The calibration study: clean engines, faults and small perturbations under the rules of chapter 18.

    python conformance/calibration/study.py            run what is missing, write the table
    python conformance/calibration/study.py --fresh    run everything anew

Each stage is a process of its own, whose result is kept in `build/calibration/`; a study that was
cut off goes on where it was, and what is new in `models.py` and `faults.py` is added. `results.json` and `RESULTS.md` are written at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "calibration"
sys.path[:0] = [str(ROOT / "conformance"), str(ROOT / "reference")]

from modelbundle.golden.tolerance import (  # noqa: E402
    CHANNELS,
    PROFILES,
    Channels,
    Judgement,
    explaining,
    judge,
)

STAGES: dict[str, dict[str, str]] = {
    "reference": {"KERAS_BACKEND": "jax"},
    "second-torch": {"KERAS_BACKEND": "torch"},
    "second-tensorflow": {"KERAS_BACKEND": "tensorflow", "TF_ENABLE_ONEDNN_OPTS": "0"},
    "clean-jax-eager": {"KERAS_BACKEND": "jax"},
    "clean-jax-jit": {"KERAS_BACKEND": "jax"},
    "clean-tensorflow-eager": {"KERAS_BACKEND": "tensorflow", "TF_ENABLE_ONEDNN_OPTS": "0"},
    "clean-tensorflow-function": {"KERAS_BACKEND": "tensorflow", "TF_ENABLE_ONEDNN_OPTS": "0"},
    "clean-tensorflow-xla": {"KERAS_BACKEND": "tensorflow", "TF_ENABLE_ONEDNN_OPTS": "0"},
    "clean-tensorflow-onednn": {"KERAS_BACKEND": "tensorflow", "TF_ENABLE_ONEDNN_OPTS": "1"},
    "clean-torch": {"KERAS_BACKEND": "torch"},
    "clean-torch-no-onednn": {"KERAS_BACKEND": "torch"},
    "clean-onnxruntime": {"KERAS_BACKEND": "torch"},
    "faults": {"KERAS_BACKEND": "tensorflow", "TF_ENABLE_ONEDNN_OPTS": "0"},
    "weights": {"KERAS_BACKEND": "jax"},
}
"""Stages in order, with the environment of their process."""

RELATIVE = (1e-1, 1e-2, 1e-3, 1e-4)
BITS = {"exponent": 23, "high mantissa": 22, "middle mantissa": 12, "low mantissa": 3}
TRIALS = 6
"""Weights perturbed in each way, a model."""


def main() -> int:
    """Run the stages that have no result yet, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--stage", choices=STAGES)
    options = parser.parse_args()
    BUILD.mkdir(parents=True, exist_ok=True)
    if options.stage:
        return _stage(options.stage)
    for name, environment in STAGES.items():
        path = BUILD / f"{name}.json"
        if options.fresh:
            path.unlink(missing_ok=True)
        if not _is_complete(name):
            started = time.monotonic()
            subprocess.run(
                [sys.executable, __file__, "--stage", name],
                env={**os.environ, "CUDA_VISIBLE_DEVICES": "", **environment},
                check=False,
                stderr=subprocess.DEVNULL,
            )
            print(f"{name}: {time.monotonic() - started:.0f} s", flush=True)
    from calibration.report import write

    return write({name: _result(name) for name in STAGES})


def _is_complete(name: str) -> bool:
    """Whether a stage has a result for all that it is about."""
    done = _result(name)
    return bool(done) and _wanted(name) <= done.keys()


def _wanted(name: str) -> set[str]:
    """The architectures, or the faults; read from the text, since importing them needs Keras."""
    file = "faults.py" if name == "faults" else "models.py"
    text = (HERE / file).read_text("utf-8")
    tables = re.findall(r"^(?:ARCHITECTURES|FAULTS)\b.*?^}", text, re.MULTILINE | re.DOTALL)
    return set(re.findall(r'^    "([^"]+)": ', "".join(tables), re.MULTILINE))


def _result(name: str) -> dict[str, Any]:
    path = BUILD / f"{name}.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def _stage(name: str) -> int:
    family = name.split("-", maxsplit=1)[0]
    run = {"reference": _reference, "second": _second, "faults": _faults, "weights": _weights}
    done = _result(name)
    made = run[family](done) if family in run else _clean(name.removeprefix("clean-"), done)
    (BUILD / f"{name}.json").write_text(json.dumps(done | made, indent=1), "utf-8")
    return 0


def _each(done: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Name, model and inputs of each architecture that is not in `done`."""
    from calibration import models

    for name in (n for n in models.ARCHITECTURES if n not in done):
        model = models.build(name)
        yield name, model, models.inputs_of(model, name)


def _reference(done: Mapping[str, Any]) -> dict[str, Any]:
    """Golden outputs and channels of every architecture, to `build/`."""
    import jax

    jax.config.update("jax_enable_x64", True)
    from modelbundle.golden import noise, route, trace

    made = {}
    for name, narrow, x in _each(done):
        route.widen_keras()
        program, arguments = route.traced(route.in_float64(narrow), [x])
        y = np.asarray(trace.evaluate(program, arguments, trace.Visitor())[0])
        started = time.monotonic()
        found = noise.response(program, arguments, [y], seed=0)
        np.savez(BUILD / f"{name}.npz", y=y, **found.channels[0].values)
        made[name] = {
            "seconds": time.monotonic() - started,
            "elements": y.size,
            "unmodelled": list(found.unmodelled),
        }
        _narrow_keras()
    return made


def _narrow_keras() -> None:
    import keras

    keras.config.set_floatx("float32")


def golden(name: str) -> tuple[Any, Channels]:
    """The golden output and the channels of an architecture."""
    with np.load(BUILD / f"{name}.npz") as stored:
        return stored["y"], Channels({channel: stored[channel] for channel in CHANNELS})


def _second(done: Mapping[str, Any]) -> dict[str, Any]:
    """Bits below sigma to which a second float64 route agrees."""
    from modelbundle.golden import route
    from modelbundle.golden.reference64 import agreed_bits
    from modelbundle.sources.golden import Output

    made = {}
    for name, narrow, x in _each(done):
        route.widen_keras()
        y, channels = golden(name)
        other = route.on_keras(route.in_float64(narrow), [x])
        made[name] = agreed_bits([Output(y, dict(channels.values))], other)
        _narrow_keras()
    return made


def _clean(setting: str, done: Mapping[str, Any]) -> dict[str, Any]:
    """Every architecture on one engine setting, in float32."""
    made = {}
    for name, model, x in _each(done):
        try:
            y = np.asarray(_RUNNERS[setting](model, x))
        except Exception as error:  # an engine that cannot is no false alarm; it is told
            made[name] = {"error": f"{type(error).__name__}: {error}"[:200]}
            continue
        made[name] = _told(judge(y, *golden(name), PROFILES["float32"]))
    return made


def _told(found: Judgement) -> dict[str, Any]:
    figures = {"passed": found.passed, "max": found.max_ratio, "rms": found.rms_ratio}
    return figures | ({} if found.passed else {"reason": found.reason})


def _keras(model: Any, x: Any) -> Any:
    import keras

    return keras.ops.convert_to_numpy(model(x, training=False))


def _jitted(model: Any, x: Any) -> Any:
    return jitted(model)(model.trainable_variables, model.non_trainable_variables, x)


def jitted(model: Any) -> Callable[[Any, Any, Any], Any]:
    """The model as a compiled function of the values of its weights."""
    import jax

    call = jax.jit(lambda t, n, x: model.stateless_call(t, n, x, training=False)[0])
    return lambda t, n, x: np.asarray(call([_value(v) for v in t], [_value(v) for v in n], x))


def _value(variable: Any) -> Any:
    return getattr(variable, "value", variable)


def _function(model: Any, x: Any) -> Any:
    import tensorflow as tf

    return tf.function(lambda y: model(y, training=False))(tf.constant(x)).numpy()


def _xla(model: Any, x: Any) -> Any:
    import tensorflow as tf

    return tf.function(lambda y: model(y, training=False), jit_compile=True)(tf.constant(x)).numpy()


def _no_onednn(model: Any, x: Any) -> Any:
    import torch

    with torch.backends.mkldnn.flags(enabled=False):
        return _keras(model, x)


def _onnxruntime(model: Any, x: Any) -> Any:
    """ONNX by Torch's exporter, run by ONNX Runtime."""
    import onnxruntime
    import torch

    file = BUILD / "model.onnx"
    example = (torch.as_tensor(x),)
    torch.onnx.export(model.eval(), example, str(file), dynamo=False)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


_RUNNERS: Mapping[str, Callable[[Any, Any], Any]] = {
    "jax-eager": _keras,
    "jax-jit": _jitted,
    "tensorflow-eager": _keras,
    "tensorflow-function": _function,
    "tensorflow-xla": _xla,
    "tensorflow-onednn": _function,
    "torch": _keras,
    "torch-no-onednn": _no_onednn,
    "onnxruntime": _onnxruntime,
}


def _faults(done: Mapping[str, Any]) -> dict[str, Any]:
    """Every fault, in float32."""
    from calibration import faults, models

    made: dict[str, Any] = {}
    for group, table in (("faults", faults.FAULTS), ("edges", faults.EDGES)):
        for title, (name, fault) in table.items():
            if title in done:
                continue
            model = models.build(name)
            x = models.inputs_of(model, name)
            try:
                y = _keras(*fault(model, x))
            except Exception as error:
                made[title] = {"group": group, "model": name, "error": str(error)[:200]}
                continue
            told = _told(judge(y, *golden(name), PROFILES["float32"]))
            made[title] = {"group": group, "model": name, **told,
                           "explained": explaining(y, *golden(name))}  # fmt: skip
    return made


def _weights(done: Mapping[str, Any]) -> dict[str, Any]:
    """How many single perturbed weights and bits were caught, and of how many, by model and size."""
    import jax

    made: dict[str, dict[str, list[int]]] = {}
    for name, model, x in _each(done):
        kept = [np.array(v.value) for v in model.trainable_variables]
        others = [v.value for v in model.non_trainable_variables]
        call, reference = jitted(model), golden(name)
        random = np.random.default_rng(list(name.encode()))
        mine: dict[str, list[bool]] = {}
        for kind, change in _CHANGES.items():
            for _ in range(TRIALS):
                values = [np.array(v) for v in kept]
                at = int(random.choice([n for n, v in enumerate(values) if v.ndim > 1]))
                flat = values[at].reshape(-1)
                where = int(random.integers(flat.size))
                flat[where] = change(flat[where])
                y = call([jax.numpy.asarray(v) for v in values], others, x)
                caught = not judge(y, *reference, PROFILES["float32"]).passed
                mine.setdefault(kind, []).append(caught)
        made[name] = {kind: [sum(each), len(each)] for kind, each in mine.items()}
    return made


def _flipped(bit: int) -> Callable[[Any], Any]:
    return lambda w: (np.float32(w).view(np.uint32) ^ np.uint32(1 << bit)).view(np.float32)


_CHANGES: dict[str, Callable[[Any], Any]] = {
    "sign": lambda w: -w,
    "zero": lambda w: 0.0,
    **{f"off by {size:g}": (lambda w, s=size: w * (1 + s)) for size in RELATIVE},
    **{f"bit {bit} ({name})": _flipped(bit) for name, bit in BITS.items()},
}


if __name__ == "__main__":
    sys.exit(main())
