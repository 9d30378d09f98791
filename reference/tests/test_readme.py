"""The README does what it says: its examples run, its table is the command line's."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import h5py
import numpy as np
import pytest

from modelbundle.cli import cli

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
FENCES = re.findall(r"^```(.*)\n([\s\S]*?)^```$", README, re.MULTILINE)
SHOWN = {"console", "text"}
"""Tags of blocks that are looked at and not run."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the old model that the examples speak of, and the command on the path."""
    with h5py.File(tmp_path / "old_model.h5", "w") as file:
        file.attrs["layer_names"] = [b"dense"]
        group = file.create_group("dense")
        group.attrs["weight_names"] = [b"dense/kernel:0"]
        group["dense/kernel:0"] = np.ones((2, 3), "f4")
    script = tmp_path / "bin" / "modelbundle"
    script.parent.mkdir()
    script.write_text(
        f"#!{sys.executable}\nfrom modelbundle.cli import main\nmain()\n", encoding="utf-8"
    )
    script.chmod(0o755)
    return tmp_path


@pytest.mark.frameworks
@pytest.mark.parametrize(("tag", "text"), [f for f in FENCES if f[0] not in SHOWN])
def test_example_runs(folder: Path, tag: str, text: str) -> None:
    command = {
        "sh": ["bash", "-euo", "pipefail", "-c", text],
        # TensorFlow warns of itself when it is imported
        "python": [sys.executable, *(() if "keras" in text else ("-W", "error")), "-c", text],
    }[tag]
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    pythonpath = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONPATH": pythonpath},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_kind_of_example_is_there() -> None:
    assert {tag for tag, _ in FENCES} == {"sh", "python", *SHOWN}


def test_table_has_every_command_with_every_option() -> None:
    rows = dict(re.findall(r"^\| `modelbundle ([\w-]+) ([^`]*)` \|", README, re.MULTILINE))
    assert rows.keys() == cli.commands.keys()
    for name, usage in rows.items():
        options = {
            flag
            for parameter in cli.commands[name].params
            if isinstance(parameter, click.Option)
            for flag in parameter.opts[:1]
        }
        told = set(re.findall(r"(?<![\w.-])--?[a-z][a-z-]*", usage))
        assert told == options - {"-h", "--help"}, name


def test_every_link_leads_to_a_file() -> None:
    for document in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        text = (ROOT / document).read_text("utf-8")
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
            assert (ROOT / target).exists(), f"{document}: {target}"


def test_targets_that_documents_name_are_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for document in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / document).read_text("utf-8")
        named = set(re.findall(r"(?:`|\$ |\()make ([a-z-]+)", text))
        assert named <= targets, document
