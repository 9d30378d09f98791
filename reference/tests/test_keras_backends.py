"""Restoring and resuming on JAX and Torch, and on another backend than the model was trained on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.frameworks, pytest.mark.backends]

HERE = Path(__file__).parent

TRAIN = """
import sys, numpy as np, modelbundle as mb
from test_keras_resume import OPTIMIZERS, batches, model, train
target = model(OPTIMIZERS["adam"]())
train(target)
mb.pack(target, sys.argv[1])
np.save(sys.argv[2], target.predict(batches()[0], verbose=0))
"""

RESTORE = """
import sys, numpy as np, modelbundle as mb
from test_keras_resume import batches, train
found = mb.open(sys.argv[1]).to_keras()
assert np.allclose(found.predict(batches()[0], verbose=0), np.load(sys.argv[2]), atol=1e-5)
train(found)
assert int(found.optimizer.iterations) == 8
"""


def run(backend: str, *arguments: str) -> None:
    paths = os.pathsep.join([str(HERE), *sys.path])
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": paths}
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]


@pytest.mark.parametrize("backend", ["jax", "torch"])
@pytest.mark.parametrize("tests", ["test_keras_resume.py", "test_keras_layers.py"])
def test_on(backend: str, tests: str) -> None:
    quiet = ("-W", "ignore::DeprecationWarning", "-W", "ignore::UserWarning")
    run(backend, "-m", "pytest", "-q", "-p", "no:cacheprovider", *quiet, str(HERE / tests))


@pytest.mark.parametrize("other", ["jax", "torch"])
@pytest.mark.parametrize("turned", [False, True])
def test_on_another_backend(other: str, turned: bool, tmp_path: Path) -> None:
    first, second = (other, "tensorflow") if turned else ("tensorflow", other)
    places = (str(tmp_path / "m.modelbundle"), str(tmp_path / "y.npy"))
    run(first, "-c", TRAIN, *places)
    run(second, "-c", RESTORE, *places)
