"""Files behind a URL, read by ranges through fsspec.

The first bytes are fetched at once, since manifest and index stand there: opening takes a
request for the size, one for the head and one for the rest of the index, if it has one. Of a
directory, each file that is read takes two.

    blob = RemoteBlob("https://example.org/net.modelbundle")
    blob.read(0, 64)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, TypeVar
from urllib.parse import quote

from modelbundle.core import manifest as manifests
from modelbundle.core import paths
from modelbundle.core.blobs import Blob, check_range
from modelbundle.core.findings import settle
from modelbundle.core.manifest import FileEntry
from modelbundle.storage.layouts import check_stored_size

HEAD_BYTES = 60 << 10
"""Fetched on opening: less than the 64 KiB that opening may read beyond what it needs."""

_NOT_FOUND = 404
_AS_IT_IS = {"Accept-Encoding": "identity"}
_T = TypeVar("_T")


class RemoteDirectory:
    """A directory layout below `url`, which ends with `/`: each file is asked for by its path.

    What else is there is not known: a server need not tell.
    """

    remote = True

    def __init__(self, url: str) -> None:
        self._url = url
        self._blobs: dict[str, RemoteBlob] = {}
        self._sizes: dict[str, int] = {}

    def read_manifest(self) -> bytes:
        """See `Storage`; raises `BundleError` (MAN-12) and `OSError`."""
        blob = self._open(paths.MANIFEST)
        settle(manifests.check_size(blob.size))
        return blob.read(0, blob.size)

    def place(self, manifest_size: int, stored: Sequence[FileEntry]) -> None:
        """See `Storage`."""
        self._sizes = {entry.path: entry.size for entry in stored}

    def blob(self, path: str) -> Blob:
        """See `Storage`; raises `BundleError` (DIR-05) and `OSError`."""
        blob = self._open(path)
        settle(check_stored_size(path, blob.size, self._sizes[path]))
        return blob

    def _open(self, path: str) -> RemoteBlob:
        if path not in self._blobs:
            self._blobs[path] = RemoteBlob(self._url + quote(path))
        return self._blobs[path]

    def close(self) -> None:
        """See `Storage`."""
        for blob in self._blobs.values():
            blob.close()
        self._blobs.clear()


class RemoteBlob:
    """The file at `url`; whatever goes wrong on the way is raised as `OSError`.

    A server that ignores ranges is noticed before more than the range is taken in.
    """

    def __init__(self, url: str) -> None:
        import fsspec

        self.url = url
        system, path = fsspec.core.url_to_fs(url)
        size = self._attempt(lambda: system.info(path).get("size"))
        if size is None:
            raise OSError(f"{url}: the server does not tell the size of the file")
        self.size: int = size
        over_http = "http" in system.protocol
        options: dict[str, Any] = {"size": size, "headers": _AS_IT_IS} if over_http else {}
        self._file = self._attempt(
            lambda: system.open(path, "rb", block_size=1, cache_type="none", **options)
        )
        self._lock = Lock()
        self._head: bytes | None = None

    def read(self, offset: int, length: int) -> bytes:
        """See `Blob.read`."""
        check_range(self.size, offset, length)
        if offset >= HEAD_BYTES:
            return self._fetch(offset, length)
        if self._head is None:
            self._head = self._fetch(0, min(HEAD_BYTES, self.size))
        known = self._head[offset : offset + length]
        return known + self._fetch(offset + len(known), length - len(known))

    def close(self) -> None:
        """Give the connection back."""
        self._file.close()

    def _fetch(self, offset: int, length: int) -> bytes:
        if not length:
            return b""

        def fetch() -> bytes:
            with self._lock:
                self._file.seek(offset)
                return bytes(self._file.read(length))

        data = self._attempt(fetch)
        if len(data) != length:
            raise OSError(f"{self.url}: asked for {length} bytes at {offset}, got {len(data)}")
        return data

    def _attempt(self, step: Callable[[], _T]) -> _T:
        try:
            return step()
        except FileNotFoundError as error:  # fsspec says so of every failure to ask a web server
            cause = error.__cause__
            there = cause is not None and getattr(cause, "status", None) != _NOT_FOUND
            kind = OSError if there else FileNotFoundError
            raise kind(f"{self.url}: {cause or 'not found'}") from error
        except OSError:
            raise
        except Exception as error:  # transports have exceptions of their own
            raise OSError(f"{self.url}: {type(error).__name__}: {error}") from error
