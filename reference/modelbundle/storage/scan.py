"""One pass over a blob: its digest, its CRC-32, the digests of its ranges, and a copy of it.

Bytes are read once, in chunks; two threads hash them (hashlib gives the interpreter lock back)
while the caller's thread computes the CRC, writes and reads on. Memory: a few chunks.
"""

from __future__ import annotations

import hashlib
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from modelbundle.core.blobs import Blob, read_into
from modelbundle.core.digests import ALGORITHM

CHUNK_BYTES = 1 << 20
_BUFFERS = 4
"""Chunks that are hashed while the next one is read."""

_T = TypeVar("_T")

Range = tuple[int, int]
"""Offset and length in bytes."""

Progress = Callable[[int], None]
"""Called with the number of bytes done since the last call."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What a pass over a blob found: sha256 of the whole and of each range, CRC-32."""

    digest: str
    crc32: int
    ranges: dict[Range, bytes]


class Scanner:
    """Scans blobs with two hashing threads that it keeps between scans."""

    def __init__(self, progress: Progress | None = None) -> None:
        self._whole = ThreadPoolExecutor(1)
        self._parts = ThreadPoolExecutor(1)
        self._background = ThreadPoolExecutor(1)
        self._closed = False
        self._free: list[bytearray] = []
        self._progress = progress

    def scan(
        self,
        blob: Blob,
        ranges: Iterable[Range] = (),
        sink: Callable[[memoryview], object] | None = None,
        *,
        crc: bool = True,
    ) -> Scan:
        """Scan `blob`; `ranges` are disjoint, ascending and not empty; `sink` gets every byte."""
        whole = hashlib.new(ALGORITHM)
        parts = _RangeHasher(ranges)
        crc32 = 0
        pending: deque[tuple[bytearray, list[Future[None]]]] = deque()
        for offset in range(0, blob.size, CHUNK_BYTES):
            if len(pending) >= _BUFFERS:
                self._give_back(*pending.popleft())
            buffer = self._free.pop() if self._free else bytearray(CHUNK_BYTES)
            chunk = memoryview(buffer)[: min(CHUNK_BYTES, blob.size - offset)]
            read_into(blob, offset, chunk)
            hashing = [self._whole.submit(whole.update, chunk)]
            if not parts.done:
                hashing.append(self._parts.submit(parts.update, chunk, offset))
            pending.append((buffer, hashing))
            if crc:
                crc32 = zlib.crc32(chunk, crc32)
            if sink:
                sink(chunk)
            if self._progress:
                self._progress(len(chunk))
        for buffer, hashing in pending:
            self._give_back(buffer, hashing)
        return Scan(f"{ALGORITHM}:{whole.hexdigest()}", crc32, parts.digests)

    def _give_back(self, buffer: bytearray, hashing: Iterable[Future[None]]) -> None:
        """Wait until a buffer is no longer hashed."""
        for future in hashing:
            future.result()
        self._free.append(buffer)

    def beside(self, work: Callable[[], _T]) -> Future[_T]:
        """Do `work` beside the scans that follow."""
        return self._background.submit(work)

    def digest_later(self, blob: Blob) -> Future[str]:
        """The digest of `blob`, computed beside the scans that follow."""

        def digest() -> str:
            whole = hashlib.new(ALGORITHM)
            buffer = memoryview(bytearray(min(CHUNK_BYTES, blob.size)))
            for offset in range(0, blob.size, CHUNK_BYTES):
                if self._closed:
                    raise CancelledError
                chunk = buffer[: min(CHUNK_BYTES, blob.size - offset)]
                read_into(blob, offset, chunk)
                whole.update(chunk)
            return f"{ALGORITHM}:{whole.hexdigest()}"

        return self._background.submit(digest)

    def close(self) -> None:
        """Stop the threads; what they have not done is left."""
        self._closed = True
        for pool in (self._whole, self._parts, self._background):
            pool.shutdown(cancel_futures=True)


@contextmanager
def scanner(progress: Progress | None = None) -> Iterator[Scanner]:
    """A scanner whose threads are stopped at the end."""
    made = Scanner(progress)
    try:
        yield made
    finally:
        made.close()


class _RangeHasher:
    """Digests of ascending ranges, fed with consecutive chunks."""

    def __init__(self, ranges: Iterable[Range]) -> None:
        self.digests: dict[Range, bytes] = {}
        self._ranges = iter(ranges)
        self._hash = hashlib.new(ALGORITHM)
        self._current: Range | None = next(self._ranges, None)

    @property
    def done(self) -> bool:
        return self._current is None

    def update(self, chunk: memoryview, offset: int) -> None:
        while self._current is not None:
            start, length = self._current
            first = max(start - offset, 0)
            last = min(start + length - offset, len(chunk))
            if first < last:
                self._hash.update(chunk[first:last])
            if start + length > offset + len(chunk):
                return
            self.digests[self._current] = self._hash.digest()
            self._hash = hashlib.new(ALGORITHM)
            self._current = next(self._ranges, None)
