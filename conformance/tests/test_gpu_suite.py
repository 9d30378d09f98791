"""The GPU suite, on the CPU: bundles, engines, measurements and the report."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

GPU = Path(__file__).parents[1] / "gpu"


def script(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(GPU / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_without_a_gpu(tmp_path: Path) -> None:
    """No machine has a GPU of this number."""
    answer = script("run.py", "--device", "gpu:99", "--bundles", tmp_path, "--reports", tmp_path)
    assert answer.returncode == 2
    assert "no GPU" in answer.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.backends
def test_on_the_cpu(tmp_path: Path) -> None:
    """Keras on JAX and Torch, and the graph of a SavedModel, pass; a report tells it."""
    bundles, reports = tmp_path / "bundles", tmp_path / "reports"
    made = script("prepare.py", bundles, "--keras", "encoder")
    assert made.returncode == 0, made.stderr
    answer = script(
        "run.py", "--device", "cpu", "--bundles", bundles, "--reports", reports,
        "--packages", tmp_path / "packages", "--repeats", "2", "--load-mib", "64", "--no-large",
    )  # fmt: skip
    assert answer.returncode == 0, answer.stdout + answer.stderr
    (path,) = reports.glob("*.json")
    report = json.loads(path.read_text())
    passed = {(row["bundle"], row["engine"]) for row in report["load_check"]}
    assert all(row["status"] == "pass" for row in report["load_check"])
    assert passed == {
        ("keras-encoder.modelbundle", "keras-jax"),
        ("keras-encoder.modelbundle", "keras-torch"),
        ("keras-encoder.modelbundle", "stablehlo"),
        ("saved-encoder.modelbundle", "stablehlo"),
    }
    assert not report["tensorflow_loaded"]
    assert {row["framework"] for row in report["loading"]} == {"jax", "torch"}
    assert all(row["bytes"] == 64 << 20 for row in report["loading"])
    assert "## Golden vectors" in path.with_suffix(".md").read_text()
