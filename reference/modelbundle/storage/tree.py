"""The files of a source on disk, as a tree of blobs under bundle paths.

A directory gives all files below it, a checkpoint prefix its index and shards, a file itself and,
where its content names others beside it (shards, external data), those.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from modelbundle.core import paths
from modelbundle.core.findings import checks, refuse, settle
from modelbundle.sources.artifact import Tree
from modelbundle.storage.files import FileBlob

_INDEX = ".index"


@checks("SRC-04")
def read_tree(source: Path) -> Tree:
    """The tree of the source at `source`, which may be a checkpoint prefix.

    Raises `BundleError` (SRC-03, SRC-04, PTH) where it is missing, no regular file or directory,
    or has a name that a bundle cannot hold.
    """
    source = Path(os.path.abspath(source))
    if source.is_dir():
        return _directory(source)
    if source.suffix == _INDEX and _shards(source.with_suffix("")):
        source = source.with_suffix("")
    if os.path.lexists(source):
        return _tree(source.name, {source.name: source})
    index = source.with_name(source.name + _INDEX)
    if os.path.lexists(index):
        return _tree(source.name, {path.name: path for path in (index, *_shards(source))})
    raise refuse("SRC-04", str(source), "a file, a directory or a checkpoint prefix", "nothing there",
                 "check the path")


def with_companions(tree: Tree, source: Path, names: Iterator[str] | tuple[str, ...]) -> Tree:
    """`tree` and those of the files `names` that stand beside `source`."""
    beside = {name: source.parent / name for name in names if (source.parent / name).is_file()}
    more = _tree(tree.root, {name: path for name, path in beside.items() if name not in tree.files})
    return Tree(tree.root, {**tree.files, **more.files}, tree.directories)


def _shards(prefix: Path) -> list[Path]:
    return sorted(prefix.parent.glob(f"{_glob_escape(prefix.name)}.data-?????-of-?????"))


def _glob_escape(name: str) -> str:
    import glob

    return glob.escape(name)


def _directory(source: Path) -> Tree:
    files: dict[str, Path] = {}
    empty: list[str] = []
    for folder, subfolders, names in os.walk(source):
        subfolders.sort()
        here = Path(folder)
        prefix = "/".join((source.name, *here.relative_to(source).parts))
        for name in subfolders:
            if (here / name).is_symlink():
                raise refuse("SRC-03", str(here / name), "a directory", "a symbolic link",
                             "copy the files it leads to")
        files.update({f"{prefix}/{name}": here / name for name in names})
        if not names and not subfolders and here != source:
            empty.append(prefix)
    return _tree(source.name, files, tuple(sorted(empty)))


def _tree(root: str, files: dict[str, Path], directories: tuple[str, ...] = ()) -> Tree:
    for path in (*files, *directories):
        settle(paths.check_path(path, str(files.get(path, path))))
    return Tree(root, {path: FileBlob(files[path]) for path in sorted(files)}, directories)
