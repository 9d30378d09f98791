"""Rules about the directory layout (DIR): what is there is what the manifest lists, and no more."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from modelbundle.core import paths
from modelbundle.core.findings import Finding, checks, clip
from modelbundle.core.manifest import Manifest
from modelbundle.storage.layouts import check_no_link, check_regular, check_stored_size, missing


def check(root: Path, manifest: Manifest) -> Iterator[Finding]:
    """Findings about the files below `root`."""
    sizes = {entry.path: entry.size for entry in manifest.stored}
    folders = frozenset(manifest.directories)
    listed = sorted({*sizes, *folders})
    found: set[str] = set()
    for path, status in _walk(root):
        found.add(path)
        yield from check_no_link(path, status)
        if stat.S_ISDIR(status.st_mode) and path not in sizes:
            yield from _check_listed(path, path in folders or paths.has_below(listed, path))
            continue
        if not stat.S_ISLNK(status.st_mode):
            yield from check_regular(path, status)
        yield from _check_listed(path, path in sizes or path == paths.MANIFEST)
        if path in sizes and stat.S_ISREG(status.st_mode):
            yield from check_stored_size(path, status.st_size, sizes[path])
    for path in listed:
        if path not in found:
            yield from missing(path).findings


def _walk(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Everything below `root`, links not followed, with paths relative to it."""
    stack = [(root, "")]
    while stack:
        here, before = stack.pop()
        with os.scandir(here) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                path = before + entry.name
                yield path, entry.stat(follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False):
                    stack.append((Path(entry.path), f"{path}/"))


@checks("DIR-04")
def _check_listed(path: str, known: bool) -> Iterator[Finding]:
    if not known:
        hint = "remove it, or pack again with it"
        yield Finding("DIR-04", clip(path), "only what the manifest lists", "something else", hint)
