"""Unpacking: files of a bundle onto disk, all of them or none.

    unpack("net.modelbundle", "out")                      # the sources, as they were given
    unpack("net.modelbundle", "out", only=["net.h5"])     # any file of the bundle

Files are written to a temporary directory beside the destination, each held against its digest,
and moved into place when all are right (rules UNP-01 to UNP-04).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import takewhile
from pathlib import Path

from modelbundle.bundle import Bundle, check_digest, open_bundle
from modelbundle.core.findings import checks, settle
from modelbundle.core.manifest import FileEntry
from modelbundle.storage.scan import Progress, scanner
from modelbundle.storage.writing import staging


def unpack(
    bundle: Bundle | str | Path,
    destination: str | Path,
    *,
    only: Iterable[str] = (),
    progress: Progress | None = None,
) -> list[Path]:
    """Write files of `bundle` below `destination` and return their paths, ascending.

    Without `only`, the sources as they were given, empty directories too; with it, those files,
    or all that is below those directories. Raises `KeyError` for a path that the bundle does not
    have, `FileExistsError` where a file is in the way, `BundleError` where a digest is wrong.
    """
    if not isinstance(bundle, Bundle):
        with open_bundle(bundle) as opened:
            return unpack(opened, destination, only=only, progress=progress)
    target = Path(destination)
    wanted = tuple(only)
    entries = select(bundle, wanted)
    files = [entry.path for entry in entries]
    folders = [path for path in bundle.manifest.directories if not wanted or _named(path, wanted)]
    _refuse_existing(target, [*files, *folders])
    with _made(target), staging(target / "unpack", directory=True) as stage:
        _write(bundle, entries, folders, stage, progress)
        _refuse_existing(target, [*files, *folders])
        _move(stage, target, files, folders)
    return [target / path for path in files]


def select(bundle: Bundle, only: Sequence[str]) -> list[FileEntry]:
    """The entries to unpack, ascending by path. Raises `KeyError` for what is not there."""
    manifest = bundle.manifest
    if not only:
        return [entry for entry in manifest.files if entry.role == "source"]
    for path in only:
        if not any(_named(each, [path]) for each in (*manifest.by_path, *manifest.directories)):
            raise KeyError(f"the bundle has no file {path!r}")
    return [entry for entry in manifest.files if _named(entry.path, only)]


def _named(path: str, wanted: Iterable[str]) -> bool:
    """Whether `path` is one of `wanted`, or below it."""
    return any(path == each or path.startswith(f"{each.rstrip('/')}/") for each in wanted)


@checks("UNP-01")
def _refuse_existing(target: Path, paths: Iterable[str]) -> None:
    """Refuse to overwrite, and to write through a symbolic link (UNP-04)."""
    for path in paths:
        here = target
        for segment in path.split("/"):
            here /= segment
            if here.is_symlink():
                raise FileExistsError(f"{here} is a symbolic link: nothing is written through it")
        if os.path.lexists(here):
            raise FileExistsError(f"{here} exists already: unpack into an empty directory")


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """`folder` with its parents while the block runs; those made here go again if it fails."""
    missing = list(takewhile(lambda path: not path.exists(), _upwards(folder.absolute())))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for made in missing:
            with suppress(OSError):  # something else was put there meanwhile
                made.rmdir()
        raise


def _upwards(folder: Path) -> Iterator[Path]:
    yield folder
    yield from folder.parents


@checks("UNP-03")
def _write(
    bundle: Bundle,
    entries: Iterable[FileEntry],
    folders: Iterable[str],
    stage: Path,
    progress: Progress | None,
) -> None:
    for folder in folders:
        (stage / folder).mkdir(parents=True, exist_ok=True)
    with scanner(progress) as scans:
        for entry in entries:
            path = stage / entry.path
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                scan = scans.scan(bundle.file(entry.path), sink=file.write, crc=False)
            settle(check_digest(entry, scan.digest))


@checks("UNP-02", "UNP-04")
def _move(stage: Path, target: Path, files: Sequence[str], folders: Iterable[str]) -> None:
    """Move files into place; on failure, take back what was moved."""
    with ExitStack() as made:
        for folder in sorted({*folders, *(path.rpartition("/")[0] for path in files)}):
            made.enter_context(_made(target / folder))
        try:
            for path in files:
                (stage / path).rename(target / path)
        except BaseException:
            for path in files:
                if not os.path.lexists(stage / path):
                    (target / path).unlink()
            raise
