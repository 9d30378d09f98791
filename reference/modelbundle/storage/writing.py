"""Writing a bundle, complete or not at all (rules WRT-02 and WRT-03).

Everything is written under a temporary name beside the destination and renamed at the end; on
failure nothing is left. In a directory the manifest comes last.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from modelbundle.core import paths
from modelbundle.core.archive_layout import LOCAL_BYTES, ArchiveLayout, parse_local
from modelbundle.core.canonical_json import decode_lenient
from modelbundle.core.findings import BundleError
from modelbundle.core.limits import LIMITS
from modelbundle.core.manifest import FileEntry
from modelbundle.storage.layouts import layout_of

_PREFIX_CHARACTERS = 32
"""Of the destination's name, in temporary ones: 128 bytes at most."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What a write fails with where there is no room."""

Sink = Callable[[bytes | memoryview], object]


class Writer(Protocol):
    """Takes the members of one bundle, in any order, then its manifest."""

    needs_crc32: bool

    def begin(
        self, manifest_size: int, stored: Sequence[FileEntry], directories: Sequence[str]
    ) -> None:
        """Tell what will come: stored files in archive order, sizes in bytes."""
        ...

    @contextmanager
    def member(self, path: str) -> Iterator[Sink]:
        """A sink for the bytes of the file at `path`."""
        ...

    def record(self, path: str, crc32: int) -> None:
        """Tell the checksum of a member that was written."""
        ...

    def finish(self, manifest: bytes) -> None:
        """Write the manifest and all that frames it."""
        ...


class DirectoryWriter:
    """Writes files at their paths below `root`."""

    needs_crc32 = False

    def __init__(self, root: Path) -> None:
        self._root = root

    def begin(
        self,
        manifest_size: int,
        stored: Sequence[FileEntry],
        directories: Sequence[str],
    ) -> None:
        """See `Writer`."""
        folders = {Path(entry.path).parent for entry in stored} | {Path(d) for d in directories}
        for folder in sorted(folders):
            (self._root / folder).mkdir(parents=True, exist_ok=True)

    @contextmanager
    def member(self, path: str) -> Iterator[Sink]:
        """See `Writer`."""
        with (self._root / path).open("xb") as file:
            yield file.write

    def record(self, path: str, crc32: int) -> None:
        """See `Writer`; a directory has no checksums."""

    def finish(self, manifest: bytes) -> None:
        """See `Writer`."""
        (self._root / paths.MANIFEST).write_bytes(manifest)


class ArchiveWriter:
    """Writes members at the offsets that the layout determines."""

    needs_crc32 = True

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._layout = ArchiveLayout([])
        self._crc32s: dict[str, int] = {}

    def begin(
        self,
        manifest_size: int,
        stored: Sequence[FileEntry],
        directories: Sequence[str],
    ) -> None:
        """See `Writer`."""
        self._layout = layout_of(manifest_size, stored)

    @contextmanager
    def member(self, path: str) -> Iterator[Sink]:
        """See `Writer`."""
        member = self._layout.by_path[path]
        self._file.seek(member.data_offset)
        yield self._file.write
        if self._file.tell() != member.end:
            raise RuntimeError(
                f"{path}: {self._file.tell() - member.data_offset} bytes written of {member.size}"
            )

    def record(self, path: str, crc32: int) -> None:
        """See `Writer`."""
        self._crc32s[path] = crc32

    def finish(self, manifest: bytes) -> None:
        """See `Writer`."""
        with self.member(paths.MANIFEST) as sink:
            sink(manifest)
        self.record(paths.MANIFEST, zlib.crc32(manifest))
        for member in self._layout.members:
            self._file.seek(member.header_offset)
            self._file.write(member.local_header(self._crc32s[member.path]))
        self._file.seek(self._layout.central_offset)
        self._file.write(self._layout.tail([self._crc32s[m.path] for m in self._layout.members]))


@contextmanager
def open_writer(destination: Path, directory: bool, overwrite: bool = False) -> Iterator[Writer]:
    """A writer whose result appears at `destination` when the block ends without an error.

    Raises `FileExistsError` where something is there and `overwrite` is not set, or what is there
    is no bundle.
    """
    _refuse_existing(destination, overwrite)
    with staging(destination, directory=directory) as temporary:
        if directory:
            yield DirectoryWriter(temporary)
        else:
            with temporary.open(
                "r+b"
            ) as file:  # not truncated: ext4 flushes such a file on closing
                yield ArchiveWriter(file)
        _refuse_existing(destination, overwrite)
        _put(temporary, destination)


def _put(temporary: Path, destination: Path) -> None:
    """Rename `temporary`; a directory in the way is put back where that fails, else removed."""
    if destination.is_symlink() or not (destination.is_dir() or temporary.is_dir()):
        temporary.replace(destination)
        return
    old = temporary.with_suffix(".old")
    if os.path.lexists(destination):
        destination.rename(old)
    try:
        temporary.rename(destination)
    except BaseException:
        if os.path.lexists(old):
            old.rename(destination)
        raise
    _remove(old)


def _refuse_existing(destination: Path, overwrite: bool) -> None:
    if not os.path.lexists(destination):
        return
    if not overwrite:
        hint = "choose another name or allow overwriting"
        raise FileExistsError(f"{destination} exists already: {hint}")
    if not _is_bundle(destination):
        raise FileExistsError(f"{destination} is no bundle: it is not overwritten")


def _is_bundle(path: Path) -> bool:
    """Whether there is a bundle at `path`, whole or damaged, by how it begins."""
    if not path.is_dir():
        name = paths.MANIFEST.encode()
        header = _head(path, LOCAL_BYTES + len(name))
        return parse_local(header) is not None and header.endswith(name)
    with suppress(BundleError):
        manifest = path / paths.MANIFEST
        value = decode_lenient(_head(manifest, LIMITS.manifest_bytes), paths.MANIFEST)
        return isinstance(value, dict) and "modelbundle" in value
    return False


def _head(path: Path, size: int) -> bytes:
    """The first `size` bytes of a file; none where no regular file is."""
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(size)


@contextmanager
def staging(destination: Path, *, directory: bool) -> Iterator[Path]:
    """A temporary file or directory beside `destination`, gone at the end unless renamed."""
    folder = destination.absolute().parent
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no directory: create it first")
    prefix = f".{destination.name[:_PREFIX_CHARACTERS]}."
    if directory:
        temporary = Path(tempfile.mkdtemp(".partial", prefix, folder))
    else:
        descriptor, name = tempfile.mkstemp(".partial", prefix, folder)
        os.close(descriptor)
        temporary = Path(name)
    try:
        temporary.chmod((0o777 if directory else 0o666) & ~_umask())
        yield temporary
    except OSError as error:
        if error.errno in _FULL and error.filename is None:
            error.filename = str(destination)  # a failed write does not tell what it wrote to
        raise
    finally:
        _remove(temporary)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
