"""Every operation on every kind of source leaves the frameworks alone: none of them is imported."""

from __future__ import annotations

import filecmp
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz.seeds import Seeds

SOURCES = (
    "net.keras",
    "2-net.keras",
    "net.h5",
    "2-net.h5",
    "oldest.h5",
    "latest.h5",
    "net.weights.h5",
    "2-weights.h5",
    "export",
    "2-saved_model",
    "ckpt",
    "net.safetensors",
    "net.json",
    "2-net.json",
    "net.onnx",
    "net.tflite",
)

CODE = """
import sys
from pathlib import Path
import modelbundle as mb
from modelbundle.inspection import inspect
source, folder = Path(sys.argv[1]), Path(sys.argv[2])
mb.pack(source, folder / "one.modelbundle")
mb.pack(source, folder / "two", directory=True)
for bundle in ("one.modelbundle", "two"):
    report = mb.validate(folder / bundle)
    assert report.ok, report.findings
with mb.open(folder / "one.modelbundle") as one, mb.open(folder / "two") as two:
    assert one.digest == two.digest
    assert not mb.diff(one, two).to_json().get("tensors", {}).get("changed")
    inspect(one).to_json()
    for tensor in one.tensors.values():
        tensor.numpy()
mb.unpack(folder / "one.modelbundle", folder / "out")
frameworks = {"tensorflow", "keras", "tf_keras", "jax", "torch", "onnx", "safetensors"}
print(*frameworks & set(sys.modules))
"""


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Seeds(tmp_path_factory.mktemp("artifacts")).folder()


@pytest.mark.frameworks
@pytest.mark.parametrize("name", SOURCES)
def test_no_framework_is_needed(artifacts: Path, tmp_path: Path, name: str) -> None:
    command = [sys.executable, "-c", CODE, artifacts / name, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert files
    for file in files:
        original = artifacts / file.relative_to(tmp_path / "out")
        assert filecmp.cmp(file, original, shallow=False), file
