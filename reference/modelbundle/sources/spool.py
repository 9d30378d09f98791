"""Blobs for bytes that are made piece by piece: in memory while small, else in a temporary file.

blob = collect(pieces, size)
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from typing import BinaryIO

from modelbundle.core.blobs import Blob, BytesBlob, check_range

MEMORY_BYTES = 16 << 20
"""Blobs up to this size stay in memory."""


def collect(pieces: Iterable[bytes], size: int) -> Blob:
    """A blob of `pieces`, which are expected to be `size` bytes together."""
    return BytesBlob(b"".join(pieces)) if size <= MEMORY_BYTES else Spool(pieces)


class Spool:
    """Bytes in a temporary file, which goes away with this object."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the blob)
        for piece in pieces:
            self._file.write(piece)
        self._file.flush()
        self.size = self._file.tell()

    def write(self, offset: int, data: bytes) -> None:
        """Put `data` at `offset`; what lies between the end and `offset` becomes zero."""
        view = memoryview(data)
        self.size = max(self.size, offset + len(view))
        while view:
            written = os.pwrite(self._file.fileno(), view, offset)
            view, offset = view[written:], offset + written

    def resize(self, size: int) -> None:
        """Cut off, or extend with zeros, to `size` bytes."""
        os.truncate(self._file.fileno(), size)
        self.size = size

    def read(self, offset: int, length: int) -> bytes:
        """See `Blob.read`."""
        check_range(self.size, offset, length)
        return os.pread(self._file.fileno(), length, offset)

    def __del__(self) -> None:
        self._file.close()
