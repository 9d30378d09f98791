"""Recipes: what a case needs that cannot lie in a repository, as steps to be done on a copy.

    run([{"do": "symlink", "path": "bundle/net.bin", "target": "../net.bin"}], folder)

Paths are relative to the folder of the case. The steps are described in `conformance/README.md`.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from generator import large

Step = Mapping[str, Any]


def run(steps: Sequence[Step], folder: Path) -> None:
    """Do `steps` in `folder`; raises `KeyError` for a step that is not known."""
    for step in steps:
        _STEPS[step["do"]](folder / step["path"], step, folder)


def _mkdir(path: Path, step: Step, folder: Path) -> None:
    path.mkdir(parents=True)


def _remove(path: Path, step: Step, folder: Path) -> None:
    path.unlink()


def _move(path: Path, step: Step, folder: Path) -> None:
    path.rename(folder / step["to"])


def _symlink(path: Path, step: Step, folder: Path) -> None:
    path.symlink_to(step["target"])


def _hardlink(path: Path, step: Step, folder: Path) -> None:
    path.hardlink_to(folder / step["target"])


def _fifo(path: Path, step: Step, folder: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path, step: Step, folder: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the address of a socket is at most 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def _write(path: Path, step: Step, folder: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(step["text"])


def _truncate(path: Path, step: Step, folder: Path) -> None:
    with path.open("ab") as file:
        file.truncate(step["size"])


def _copytree(path: Path, step: Step, folder: Path) -> None:
    shutil.copytree(path, folder / step["to"], symlinks=True)


def _build(path: Path, step: Step, folder: Path) -> None:
    path.write_bytes(large.BUILDERS[step["what"]](step["count"], step.get("break", "")))


_STEPS: Mapping[str, Callable[[Path, Step, Path], None]] = {
    "mkdir": _mkdir,
    "remove": _remove,
    "move": _move,
    "symlink": _symlink,
    "hardlink": _hardlink,
    "fifo": _fifo,
    "socket": _socket,
    "write": _write,
    "truncate": _truncate,
    "copy": _copytree,
    "build": _build,
}
