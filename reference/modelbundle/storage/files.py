"""Local files as blobs, read by `pread` and, for zero-copy views, by memory map.

A `FileBlob` opens its file when first read and never follows a symbolic link at its last step.
"""

from __future__ import annotations

import mmap
import os
import stat
from functools import cached_property
from pathlib import Path

from modelbundle.core.blobs import check_range
from modelbundle.core.findings import checks, refuse


class FileBlob:
    """A regular file; raises `BundleError` (SRC-02, SRC-03) where it is none or shrank meanwhile."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = regular_file(path).st_size

    @cached_property
    def _descriptor(self) -> int:
        return os.open(self.path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))

    @cached_property
    def _map(self) -> mmap.mmap:
        return mmap.mmap(self._descriptor, self.size, access=mmap.ACCESS_READ)

    @checks("SRC-02")
    def read(self, offset: int, length: int) -> bytes:
        """See `Blob.read`."""
        check_range(self.size, offset, length)
        data = os.pread(self._descriptor, length, offset)
        while len(data) < length:
            more = os.pread(self._descriptor, length - len(data), offset + len(data))
            if not more:
                raise refuse("SRC-02", str(self.path), f"{self.size} bytes", "a file that became shorter",
                             "do not change a file while it is read")
            data += more
        return data

    def view(self, offset: int, length: int) -> memoryview:
        """Bytes `offset` to `offset + length`, not copied."""
        check_range(self.size, offset, length)
        return memoryview(self._map)[offset : offset + length] if length else memoryview(b"")

    def close(self) -> None:
        """Give the descriptor back; views that are still held stay valid."""
        self.__dict__.pop("_map", None)
        if (descriptor := self.__dict__.pop("_descriptor", None)) is not None:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()


@checks("SRC-03")
def regular_file(path: Path) -> os.stat_result:
    """The status of the regular file at `path`; a link, device, socket or directory is refused."""
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise refuse("SRC-03", str(path), "a regular file", kind_of(status.st_mode),
                     "give the path of the file itself")
    return status


def kind_of(mode: int) -> str:
    """What a file of `mode` is, for people."""
    kinds = {
        stat.S_ISLNK: "a symbolic link", stat.S_ISDIR: "a directory", stat.S_ISFIFO: "a pipe",
        stat.S_ISSOCK: "a socket", stat.S_ISBLK: "a device", stat.S_ISCHR: "a device",
    }  # fmt: skip
    return next((name for test, name in kinds.items() if test(mode)), "a regular file")
