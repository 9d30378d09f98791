"""Rules about the directory layout (DIR): what is there is what the manifest lists, and no more."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from modelbundle.core import paths
from modelbundle.core.findings import Finding, checks, clip
from modelbundle.core.manifest import Manifest
from modelbundle.storage.files import kind_of
from modelbundle.storage.layouts import missing  # noqa: F401  (DIR-01 is checked there when reading)


def check(root: Path, manifest: Manifest) -> Iterator[Finding]:
    """Findings about the files below `root`."""
    listed = {entry.path: entry.size for entry in manifest.stored}
    folders = {parent for path in (*listed, *_inside(manifest.directories)) for parent in _parents(path)}
    found: set[str] = set()
    for path, status in _walk(root, ""):
        found.add(path)
        yield from _check_kind(path, status)
        if stat.S_ISDIR(status.st_mode):
            known = path in folders or path in manifest.directories
        else:
            known = path in listed or path == paths.MANIFEST
        yield from _check_listed(path, known)
        if path in listed and stat.S_ISREG(status.st_mode):
            yield from _check_size(path, status.st_size, listed[path])
    for path in sorted(({*listed, *manifest.directories}) - found):
        yield Finding("DIR-01", clip(path), "what the manifest lists at this path", "nothing",
                      "copy the whole directory")


def _inside(directories: tuple[str, ...]) -> Iterator[str]:
    return (f"{path}/." for path in directories)


def _parents(path: str) -> list[str]:
    return [path[:at] for at, c in enumerate(path) if c == "/"]


def _walk(folder: Path, prefix: str) -> Iterator[tuple[str, os.stat_result]]:
    """Everything below `folder`, links not followed, with paths relative to the root."""
    stack = [(folder, prefix)]
    while stack:
        here, before = stack.pop()
        with os.scandir(here) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                path = before + entry.name
                yield path, entry.stat(follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False):
                    stack.append((Path(entry.path), f"{path}/"))


@checks("DIR-02", "DIR-03")
def _check_kind(path: str, status: os.stat_result) -> Iterator[Finding]:
    if stat.S_ISLNK(status.st_mode):
        yield Finding("DIR-02", clip(path), "no symbolic link", "one", "put the file itself there")
    elif stat.S_ISREG(status.st_mode):
        if status.st_nlink > 1:
            yield Finding("DIR-03", clip(path), "a file with one hard link", f"{status.st_nlink} links",
                          "copy the file, so that no other name changes it")
    elif not stat.S_ISDIR(status.st_mode):
        yield Finding("DIR-03", clip(path), "a regular file", kind_of(status.st_mode))


@checks("DIR-04")
def _check_listed(path: str, known: bool) -> Iterator[Finding]:
    if not known:
        yield Finding("DIR-04", clip(path), "only what the manifest lists", "something else",
                      "remove it, or pack again with it")


@checks("DIR-05")
def _check_size(path: str, size: int, wanted: int) -> Iterator[Finding]:
    if size != wanted:
        yield Finding("DIR-05", clip(path), f"{wanted} bytes", f"{size} bytes", "copy the file again")
