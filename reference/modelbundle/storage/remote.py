"""Files behind a URL, read by ranges through fsspec.

The first bytes are fetched at once, since manifest and index stand there: opening takes a
request for the size, one for the head and one for the rest of the index, if it has one.
"""

from __future__ import annotations

from modelbundle.core.blobs import check_range

HEAD_BYTES = 60 << 10
"""Fetched on opening: less than the 64 KiB that opening may read beyond what it needs."""


class RemoteBlob:
    """The file at `url`; errors of the transport are fsspec's, as `OSError`."""

    def __init__(self, url: str) -> None:
        import fsspec

        self.url = url
        self._system, self._path = fsspec.core.url_to_fs(url)
        size = self._system.info(self._path).get("size")
        if size is None:
            raise OSError(f"{url}: the server does not tell the size of the file")
        self.size: int = size
        self._head: bytes | None = None

    def read(self, offset: int, length: int) -> bytes:
        """See `Blob.read`."""
        check_range(self.size, offset, length)
        if offset >= HEAD_BYTES:
            return self._fetch(offset, length)
        if self._head is None:
            self._head = self._fetch(0, min(HEAD_BYTES, self.size))
        known = self._head[offset : offset + length]
        rest = length - len(known)
        return known + self._fetch(offset + len(known), rest) if rest else known

    def _fetch(self, offset: int, length: int) -> bytes:
        if not length:
            return b""
        data = bytes(self._system.cat_file(self._path, start=offset, end=offset + length))
        if len(data) != length:
            raise OSError(f"{self.url}: asked for {length} bytes at {offset}, got {len(data)}")
        return data
