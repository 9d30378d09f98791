"""The examples of the guide run, each as a program of its own, and leave no warning.

They run in one process after another's state was cleared, so that Keras is imported once.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = Path(__file__).resolve().parents[1] / "examples" / "guide"
SCRIPTS = sorted(GUIDE.glob("*.py"))

RUNNER = """
import os, pathlib, runpy, sys, traceback
import keras
for script in sys.argv[1:]:
    folder = pathlib.Path(script).stem
    os.mkdir(folder)
    os.chdir(folder)
    keras.backend.clear_session()
    try:
        runpy.run_path(script, run_name="__main__")
        print("RAN", folder, flush=True)
    except BaseException:
        traceback.print_exc()
    os.chdir("..")
"""


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> tuple[set[str], str]:
    """Names of the scripts that ran to their ends, and what was said of the others."""
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, *map(str, SCRIPTS)],
        cwd=tmp_path_factory.mktemp("guide"),
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    lines = done.stdout.splitlines()
    return {line.split()[1] for line in lines if line.startswith("RAN ")}, done.stderr


@pytest.mark.frameworks
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_example_runs(outcome: tuple[set[str], str], script: Path) -> None:
    ran, errors = outcome
    assert script.stem in ran, errors


def test_the_guide_is_covered() -> None:
    assert {script.stem for script in SCRIPTS} >= {
        "whole_model", "whole_model_h5", "custom_model", "without_graph", "architecture",
        "custom_layer", "clone", "transfer_in_memory", "checkpoint", "weights_h5",
        "transfer_learning", "exact_layers", "nested_layers", "extract_layers",
    }  # fmt: skip
