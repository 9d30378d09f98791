"""Where the stored files of a bundle are: in a directory or in an archive, local or remote.

A `Storage` gives the manifest's bytes first and, once told what the manifest lists, each stored
file as a blob. Opening reads no more than it needs; `rules` checks what opening need not.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from modelbundle.core import manifest as manifests
from modelbundle.core import paths
from modelbundle.core.archive_layout import LOCAL_BYTES, ArchiveLayout, parse_local
from modelbundle.core.blobs import Blob, SliceBlob
from modelbundle.core.findings import BundleError, Finding, checks, clip, refuse, settle
from modelbundle.core.manifest import FileEntry
from modelbundle.storage.files import FileBlob, kind_of


class Storage(Protocol):
    """The stored files of one bundle."""

    remote: bool
    """Whether its bytes come over a network, so that none is read twice."""

    def read_manifest(self) -> bytes:
        """The bytes of `manifest.json`, at most as many as the limit allows."""
        ...

    def place(self, manifest_size: int, stored: Sequence[FileEntry]) -> None:
        """Tell where files are to be looked for; `stored` in archive order."""
        ...

    def blob(self, path: str) -> Blob:
        """The stored file at `path`."""
        ...

    def close(self) -> None:
        """Give back what is held open."""
        ...


class DirectoryStorage:
    """Files at their paths below `root`."""

    remote = False

    def __init__(self, root: Path) -> None:
        self.root = root
        self._blobs: dict[str, FileBlob] = {}
        self._sizes: dict[str, int] = {}

    def read_manifest(self) -> bytes:
        """See `Storage`; raises `BundleError` (DIR-02, DIR-03, MAN-12)."""
        blob = self._open(paths.MANIFEST)
        settle(manifests.check_size(blob.size))
        return blob.read(0, blob.size)

    def place(self, manifest_size: int, stored: Sequence[FileEntry]) -> None:
        """See `Storage`."""
        self._sizes = {entry.path: entry.size for entry in stored}

    def blob(self, path: str) -> Blob:
        """See `Storage`; raises `BundleError` (DIR-01, DIR-02, DIR-03, DIR-05)."""
        if path not in self._blobs:
            blob = self._open(path)
            settle(check_stored_size(path, blob.size, self._sizes[path]))
            self._blobs[path] = blob
        return self._blobs[path]

    def _open(self, path: str) -> FileBlob:
        here = self.root
        for segment in path.split("/"):
            here /= segment
            if not os.path.lexists(here):
                raise missing(path)
            settle(check_no_link(path, here.lstat()))
        settle(check_regular(path, here.lstat()))
        return FileBlob(here)

    def close(self) -> None:
        """See `Storage`."""
        for blob in self._blobs.values():
            blob.close()
        self._blobs.clear()


@checks("DIR-01")
def missing(path: str) -> BundleError:
    """The error for a stored file that is not in the directory."""
    expected = "a stored file at this path"
    return refuse("DIR-01", clip(path), expected, "none", "copy the whole directory")


@checks("DIR-02")
def check_no_link(path: str, status: os.stat_result) -> Iterator[Finding]:
    """A finding where `status` is of a symbolic link."""
    if stat.S_ISLNK(status.st_mode):
        hint = "put the file itself there"
        yield Finding("DIR-02", clip(path), "no symbolic link", "one", hint)


@checks("DIR-03")
def check_regular(path: str, status: os.stat_result) -> Iterator[Finding]:
    """A finding where `status` is of no regular file, or of one with other names."""
    if not stat.S_ISREG(status.st_mode):
        yield Finding("DIR-03", clip(path), "a regular file", kind_of(status.st_mode))
    elif status.st_nlink > 1:
        found = f"{status.st_nlink} links"
        hint = "copy the file, so that no other name changes it"
        yield Finding("DIR-03", clip(path), "a file with one hard link", found, hint)


@checks("DIR-05")
def check_stored_size(path: str, size: int, wanted: int) -> Iterator[Finding]:
    """A finding where a stored file has not the size that the manifest states (bytes)."""
    if size != wanted:
        hint = "the directory is incomplete or was changed: copy it again"
        yield Finding("DIR-05", clip(path), f"{wanted} bytes", f"{size} bytes", hint)


class ArchiveStorage:
    """Members of an archive, found from the manifest alone."""

    def __init__(self, blob: Blob, name: str, *, remote: bool = False) -> None:
        self.remote = remote
        self._archive = blob
        self._name = name
        self._layout = ArchiveLayout([])

    @checks("ARC-01")
    def read_manifest(self) -> bytes:
        """See `Storage`; raises `BundleError` (ARC-01, ARC-07, MAN-12)."""
        head = self._archive.read(0, min(LOCAL_BYTES + len(paths.MANIFEST), self._archive.size))
        sizes = parse_local(head)
        name = paths.MANIFEST.encode()
        if sizes is None or sizes[1] != len(name) or head[LOCAL_BYTES:] != name:
            expected = f"the local header of {paths.MANIFEST}"
            found = head[:8].hex() or "an empty file"
            hint = "is this file a model bundle?"
            raise refuse("ARC-01", "archive@0", expected, found, hint)
        settle(manifests.check_size(sizes[0]))
        member = ArchiveLayout([(paths.MANIFEST, sizes[0])]).members[0]
        if member.end > self._archive.size:
            raise self._wrong_size(f"{member.end} bytes or more")
        return self._archive.read(member.data_offset, sizes[0])

    def place(self, manifest_size: int, stored: Sequence[FileEntry]) -> None:
        """See `Storage`; raises `BundleError` (ARC-07) for another size than determined."""
        self._layout = layout_of(manifest_size, stored)
        if self._layout.size != self._archive.size:
            raise self._wrong_size(f"{self._layout.size} bytes, as the manifest determines")

    @checks("ARC-07")
    def _wrong_size(self, expected: str) -> BundleError:
        hint = "the archive is truncated or was changed: copy it again"
        size = self._archive.size
        return refuse("ARC-07", f"archive@{size}", expected, f"{size} bytes", hint)

    def blob(self, path: str) -> Blob:
        """See `Storage`."""
        member = self._layout.by_path[path]
        return SliceBlob(self._archive, member.data_offset, member.size)

    @property
    def archive(self) -> Blob:
        """The whole archive."""
        return self._archive

    @property
    def layout(self) -> ArchiveLayout:
        """Where everything is."""
        return self._layout

    def crc32(self, path: str) -> int:
        """The CRC-32 that the local header of a member states."""
        header = self._archive.read(self._layout.by_path[path].header_offset, LOCAL_BYTES)
        return int.from_bytes(header[14:18], "little")

    def close(self) -> None:
        """See `Storage`."""
        if (close := getattr(self._archive, "close", None)) is not None:
            close()


def layout_of(manifest_size: int, stored: Sequence[FileEntry]) -> ArchiveLayout:
    """The layout of the archive with these stored files, in archive order."""
    return ArchiveLayout([(paths.MANIFEST, manifest_size), *((f.path, f.size) for f in stored)])


def open_storage(location: str | Path) -> Storage:
    """The storage at a path or URL; raises `BundleError` (RDR-01) where there is no bundle.

    A URL that ends with `/` is that of a directory.
    """
    text = str(location)
    if "://" in text:
        from modelbundle.storage.remote import RemoteBlob, RemoteDirectory

        if text.endswith("/"):
            return RemoteDirectory(text)
        return ArchiveStorage(RemoteBlob(text), text, remote=True)
    path = Path(os.path.realpath(location))
    if path.is_dir():
        return _directory(path)
    mode = path.lstat().st_mode
    if not stat.S_ISREG(mode):
        raise _no_bundle(path, "a directory or a regular file", kind_of(mode))
    return ArchiveStorage(FileBlob(path), path.name)


def _directory(path: Path) -> DirectoryStorage:
    if not os.path.lexists(path / paths.MANIFEST):
        raise _no_bundle(path, f"a directory with {paths.MANIFEST}", "none")
    return DirectoryStorage(path)


@checks("RDR-01")
def _no_bundle(path: Path, expected: str, found: str) -> BundleError:
    hint = "`modelbundle pack` makes a bundle of a model"
    return refuse("RDR-01", str(path), expected, found, hint)
