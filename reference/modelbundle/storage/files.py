"""Local files as blobs, read by `pread` and, for zero-copy views, by memory map.

A `FileBlob` opens its file when first read and never follows a symbolic link at its last step.

    blob = FileBlob(Path("net.h5"))
    blob.read(0, 8)
"""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from threading import Lock

from modelbundle.core.blobs import check_range
from modelbundle.core.findings import BundleError, checks, refuse

MAX_KEPT_OPEN = 200
"""Files that stay open between reads; beyond them a file is opened for each read."""

_kept_open = 0
_opening = Lock()
"""Held while a descriptor is kept: several threads may read one file."""


class FileBlob:
    """A regular file; raises `BundleError` (SRC-02, SRC-03) where it is none, or shrank since."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._status = regular_file(path)
        self.size = self._status.st_size
        self._kept: int | None = None

    @contextmanager
    def _descriptor(self) -> Iterator[int]:
        """The open file, kept open afterwards unless very many are."""
        if self._kept is None:
            self._keep()
        if self._kept is not None:
            yield self._kept
            return
        descriptor = os.open(self.path, _FLAGS)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _keep(self) -> None:
        """Open the file and keep it so, unless another thread has or very many are open."""
        global _kept_open  # noqa: PLW0603  # one count for the process, as its limit is
        with _opening:
            if self._kept is None and _kept_open < MAX_KEPT_OPEN:
                self._kept = os.open(self.path, _FLAGS)
                _kept_open += 1

    @cached_property
    def _map(self) -> mmap.mmap:
        with self._descriptor() as descriptor:
            return mmap.mmap(descriptor, self.size, access=mmap.ACCESS_READ)

    def read(self, offset: int, length: int) -> bytes:
        """See `Blob.read`."""
        check_range(self.size, offset, length)
        pieces = []
        with self._descriptor() as descriptor:
            while length:
                piece = os.pread(descriptor, length, offset)
                if not piece:
                    raise self._changed("a file that became shorter")
                pieces.append(piece)
                offset, length = offset + len(piece), length - len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read_into(self, offset: int, target: memoryview) -> None:
        """See `read_into` in `core.blobs`."""
        check_range(self.size, offset, len(target))
        with self._descriptor() as descriptor:
            while len(target):
                count = os.preadv(descriptor, [target], offset)
                if not count:
                    raise self._changed("a file that became shorter")
                offset, target = offset + count, target[count:]

    @checks("SRC-02")
    def _changed(self, found: str) -> BundleError:
        expected = f"the file of {self.size} bytes that was opened"
        hint = "do not change a file while it is read"
        return refuse("SRC-02", str(self.path), expected, found, hint)

    def check_unchanged(self) -> None:
        """Raise `BundleError` (SRC-02) where the file is another or was written since."""
        status = regular_file(self.path)
        if _identity(status) != _identity(self._status):
            raise self._changed("one that was changed meanwhile")

    def view(self, offset: int, length: int) -> memoryview:
        """Bytes `offset` to `offset + length`, not copied."""
        check_range(self.size, offset, length)
        return memoryview(self._map)[offset : offset + length] if length else memoryview(b"")

    def close(self) -> None:
        """Give the descriptor back; views that are still held stay valid."""
        global _kept_open  # noqa: PLW0603
        self.__dict__.pop("_map", None)
        if (descriptor := self.__dict__.pop("_kept", None)) is not None:
            os.close(descriptor)
            _kept_open -= 1
        self._kept = None

    def __del__(self) -> None:
        self.close()


_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


@checks("SRC-03")
def regular_file(path: Path) -> os.stat_result:
    """The status of the regular file at `path`; a link, device, socket or directory is refused."""
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise refuse(
            "SRC-03",
            str(path),
            "a regular file",
            kind_of(status.st_mode),
            "give the path of the file itself",
        )
    return status


def kind_of(mode: int) -> str:
    """What a file of `mode` is, for people."""
    kinds = {
        stat.S_ISLNK: "a symbolic link", stat.S_ISDIR: "a directory", stat.S_ISFIFO: "a pipe",
        stat.S_ISSOCK: "a socket", stat.S_ISBLK: "a device", stat.S_ISCHR: "a device",
    }  # fmt: skip
    return next((name for test, name in kinds.items() if test(mode)), "a regular file")
