"""Where a case is set up: a fresh copy for each item, always under the same path.

A tool never gets the committed files, and a tool that answers from what it remembers of a path
answers wrongly, since each case stands where the last one stood.

    with Workspace(suite) as space:
        path = space.prepare(case)      # the input, with the steps of its recipe done
"""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import tempfile
from pathlib import Path
from types import ModuleType

from modelbundle_conformance.cases import ANSWER, VECTORS, Case, Suite

Listing = dict[str, tuple[int, int, int]]


class SetupError(Exception):
    """The case cannot be set up on this machine."""


class Workspace:
    """A temporary folder with the case, what a tool made of it, and the scratch folder."""

    def __init__(self, suite: Suite) -> None:
        self._suite = suite
        self.root = Path(tempfile.mkdtemp(prefix="modelbundle-conformance-")).resolve()
        self.case = self.root / "case"
        self.made = self.root / "made"
        self.scratch = self.root / "scratch"

    def prepare(self, case: Case) -> Path:
        """Set the case up, and give the path of its input. Raises `SetupError`."""
        self.clear()
        try:
            shutil.copytree(case.folder, self.case, symlinks=True)
            for name in ("case.json", ANSWER, VECTORS):
                (self.case / name).unlink(missing_ok=True)
            if "recipe" in case.data:
                self._recipes().run(case.data["recipe"], self.case)
        except (OSError, KeyError, ImportError, ValueError, shutil.Error) as error:
            raise SetupError(f"{type(error).__name__}: {error}") from error
        self.made.mkdir()
        return self.case / str(case.data["input"])

    def clear(self) -> None:
        """Remove the case and what was made of it."""
        for folder in (self.case, self.made):
            if folder.exists():
                _remove(folder)

    def listing(self) -> Listing:
        """Everything in the workspace but the scratch folder, so that a change shows."""
        found: Listing = {}
        for folder, folders, files in os.walk(self.root):
            if folder == str(self.root):
                folders[:] = [name for name in folders if name != self.scratch.name]
            for name in [*folders, *files]:
                path = os.path.join(folder, name)  # noqa: PTH118 (a hundred times a second)
                status = os.lstat(path)
                size = 0 if name in folders else status.st_size
                changed = 0 if name in folders else status.st_mtime_ns
                found[os.path.relpath(path, self.root)] = (status.st_mode, size, changed)
        return found

    def close(self) -> None:
        """Remove the workspace."""
        _remove(self.root)

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _recipes(self) -> ModuleType:
        root = str(self._suite.root)
        if root not in sys.path:
            sys.path.insert(0, root)
        return importlib.import_module("generator.recipes")


def _remove(folder: Path) -> None:
    """Remove a folder, also where a tool took away the right to."""
    for _ in range(2):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        for path in [folder, *folder.rglob("*")]:
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)
