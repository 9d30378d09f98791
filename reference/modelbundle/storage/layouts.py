"""Where the stored files of a bundle are: in a directory or in an archive, local or remote.

A `Storage` gives the manifest's bytes first and, once told what the manifest lists, each stored
file as a blob. Opening reads no more than it needs; `rules` checks what opening need not.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from modelbundle.core import manifest as manifests
from modelbundle.core import paths
from modelbundle.core.archive_layout import LOCAL_BYTES, ArchiveLayout, parse_local
from modelbundle.core.blobs import Blob, SliceBlob
from modelbundle.core.findings import checks, clip, refuse, settle
from modelbundle.core.manifest import FileEntry
from modelbundle.storage.files import FileBlob, regular_file


class Storage(Protocol):
    """The stored files of one bundle."""

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

    def __init__(self, root: Path) -> None:
        self.root = root
        self._blobs: dict[str, FileBlob] = {}
        self._sizes: dict[str, int] = {}

    def read_manifest(self) -> bytes:
        """See `Storage`."""
        blob = FileBlob(self.root / paths.MANIFEST)
        settle(manifests.check_size(blob.size))
        return blob.read(0, blob.size)

    def place(self, manifest_size: int, stored: Sequence[FileEntry]) -> None:  # noqa: ARG002
        """See `Storage`."""
        self._sizes = {entry.path: entry.size for entry in stored}

    def blob(self, path: str) -> Blob:
        """See `Storage`; raises `BundleError` (DIR-01, DIR-02, DIR-03, DIR-05)."""
        if path not in self._blobs:
            self._blobs[path] = self._open(path)
        return self._blobs[path]

    def _open(self, path: str) -> FileBlob:
        file = self.root / path
        self._refuse_links(path)
        if not file.exists():
            raise missing(path)
        blob = FileBlob(file)
        if blob.size != self._sizes[path]:
            raise refuse("DIR-05", path, f"{self._sizes[path]} bytes", f"{blob.size} bytes",
                         "the directory is incomplete or was changed: copy it again")
        return blob

    def _refuse_links(self, path: str) -> None:
        file = self.root
        for segment in path.split("/"):
            file /= segment
            if file.is_symlink():
                raise refuse("DIR-02", path, "no symbolic link", str(file.relative_to(self.root)))

    def close(self) -> None:
        """See `Storage`."""
        for blob in self._blobs.values():
            blob.close()
        self._blobs.clear()


@checks("DIR-01")
def missing(path: str) -> Exception:
    """The error for a stored file that is not in the directory."""
    return refuse("DIR-01", clip(path), "a stored file at this path", "none", "copy the whole directory")


class ArchiveStorage:
    """Members of an archive, found from the manifest alone."""

    def __init__(self, blob: Blob, name: str) -> None:
        self._archive = blob
        self._name = name
        self._layout = ArchiveLayout([])

    @checks("ARC-01", "RDR-01")
    def read_manifest(self) -> bytes:
        """See `Storage`; raises `BundleError` (ARC-01, MAN-12)."""
        head = self._archive.read(0, min(LOCAL_BYTES + len(paths.MANIFEST), self._archive.size))
        sizes = parse_local(head)
        if sizes is None or head[LOCAL_BYTES:] != paths.MANIFEST.encode():
            raise refuse("ARC-01", f"{self._name}@0", f"the local header of {paths.MANIFEST}",
                         head[:8].hex() or "an empty file", "is this file a model bundle?")
        settle(manifests.check_size(sizes[0]))
        member = ArchiveLayout([(paths.MANIFEST, sizes[0])]).members[0]
        if member.end > self._archive.size:
            raise refuse("ARC-07", self._name, f"{member.end} bytes or more", str(self._archive.size),
                         "the archive is truncated: copy it again")
        return self._archive.read(member.data_offset, sizes[0])

    @checks("ARC-07")
    def place(self, manifest_size: int, stored: Sequence[FileEntry]) -> None:
        """See `Storage`; raises `BundleError` where the archive's size is not the determined one."""
        self._layout = layout_of(manifest_size, stored)
        if self._layout.size != self._archive.size:
            raise refuse("ARC-07", self._name, f"{self._layout.size} bytes, as the manifest determines",
                         f"{self._archive.size} bytes", "the archive is truncated or was changed: copy it again")

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

    def close(self) -> None:
        """See `Storage`."""
        if isinstance(self._archive, FileBlob):
            self._archive.close()


def layout_of(manifest_size: int, stored: Sequence[FileEntry]) -> ArchiveLayout:
    """The layout of the archive with these stored files, in archive order."""
    return ArchiveLayout([(paths.MANIFEST, manifest_size), *((f.path, f.size) for f in stored)])


def open_storage(location: str | Path) -> Storage:
    """The storage at a path or URL; raises `BundleError` (RDR-01) where there is no bundle."""
    text = str(location)
    if "://" in text:
        from modelbundle.storage.remote import RemoteBlob

        return ArchiveStorage(RemoteBlob(text), text)
    path = Path(location)
    if path.is_dir():
        return _directory(path)
    regular_file(path.resolve())
    return ArchiveStorage(FileBlob(path.resolve()), path.name)


def _directory(path: Path) -> DirectoryStorage:
    manifest = path / paths.MANIFEST
    if not manifest.exists():
        raise refuse("RDR-01", str(path), f"a directory with {paths.MANIFEST}", "none",
                     "`modelbundle pack` makes a bundle of a model directory")
    if manifest.is_symlink():
        raise refuse("DIR-02", paths.MANIFEST, "no symbolic link", "one")
    return DirectoryStorage(path)
