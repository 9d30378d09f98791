"""The files of a source on disk, as a tree of blobs under bundle paths.

A directory gives all files below it, a checkpoint prefix its index, shards and graph (`.meta`, of
TensorFlow 1), a file itself and, where its content names others beside it (shards, external data),
those.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

from modelbundle.core import paths
from modelbundle.core.findings import checks, refuse, settle
from modelbundle.sources.artifact import Tree
from modelbundle.storage.files import FileBlob

_INDEX = ".index"
_META = ".meta"
"""The graph that TensorFlow 1 saves beside a checkpoint."""


@checks("SRC-04")
def read_tree(source: Path) -> Tree:
    """The tree of the source at `source`, which may be a checkpoint prefix.

    Raises `BundleError` (SRC-03, SRC-04, PTH) where it is missing, no regular file or directory,
    or has a name that a bundle cannot hold.
    """
    source = Path(os.path.normpath(source.absolute()))
    if source.is_dir():
        return _directory(source)
    if source.suffix == _INDEX and _shards(source.with_suffix("")):
        source = source.with_suffix("")
    if os.path.lexists(source):
        return _tree(source.name, {source.name: source})
    index = source.with_name(source.name + _INDEX)
    if os.path.lexists(index):
        return _tree(source.name, {path.name: path for path in _of_prefix(source)})
    expected = "a file, a directory or a checkpoint prefix"
    raise refuse("SRC-04", str(source), expected, "nothing there", "check the path")


def with_companions(tree: Tree, source: Path, names: Iterable[str]) -> Tree:
    """`tree` and those of the files `names` that stand beside `source`."""
    beside = {name: source.parent / name for name in names if (source.parent / name).is_file()}
    more = _tree(tree.root, {name: path for name, path in beside.items() if name not in tree.files})
    return Tree(tree.root, {**tree.files, **more.files}, tree.directories)


def _of_prefix(prefix: Path) -> list[Path]:
    """The files of the checkpoint `prefix`: index, shards and, where there is one, graph."""
    index, graph = (prefix.with_name(prefix.name + suffix) for suffix in (_INDEX, _META))
    return [index, *_shards(prefix), *([graph] if os.path.lexists(graph) else [])]


def _shards(prefix: Path) -> list[Path]:
    return sorted(prefix.parent.glob(f"{glob.escape(prefix.name)}.data-?????-of-?????"))


def _directory(source: Path) -> Tree:
    files: dict[str, Path] = {}
    empty: list[str] = []
    for folder, subfolders, names in os.walk(source, onerror=_raise):
        subfolders.sort()
        here = Path(folder)
        prefix = "/".join((source.name, *here.relative_to(source).parts))
        for name in subfolders:
            _refuse_link(here / name)
        files.update({f"{prefix}/{name}": here / name for name in names})
        if not names and not subfolders and here != source:
            empty.append(prefix)
    return _tree(source.name, files, tuple(sorted(empty)))


def _raise(error: OSError) -> NoReturn:
    """A directory that cannot be read is not left out in silence (WRT-04)."""
    raise error


def _refuse_link(folder: Path) -> None:
    if folder.is_symlink():
        hint = "copy the files it leads to"
        raise refuse("SRC-03", str(folder), "a directory", "a symbolic link", hint)


def _tree(root: str, files: dict[str, Path], directories: tuple[str, ...] = ()) -> Tree:
    for path in (*files, *directories):
        settle(paths.check_path(path, str(files.get(path, path))))
    return Tree(root, {path: FileBlob(files[path]) for path in sorted(files)}, directories)
