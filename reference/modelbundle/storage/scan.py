"""Passes over a blob: its digest, its CRC-32, the digests of its ranges, and a copy of it.

Each is a pass of its own on a thread of its own, which reads for itself: reading, hashlib and zlib
give the interpreter lock back, so all cores are busy whatever is asked, and a second pass reads
from the page cache. A small blob, or one that is dear to read, gets one pass that feeds all of
them from each chunk. Memory: a chunk a thread.

    with scanner() as scans:
        scan = scans.scan(blob, ranges=[(64, 4096)])
        scan.digest, scan.crc32, scan.ranges[:32]     # each waits until it is known
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import Protocol, TypeVar

from modelbundle.core.blobs import Blob, read_into, resident
from modelbundle.core.digests import ALGORITHM

CHUNK_BYTES = 1 << 20
_THREADS = 4
"""Passes at a time: more than cores, so that none idles while another ends its long pass."""

_T = TypeVar("_T")

Range = tuple[int, int]
"""Offset and length in bytes."""

Progress = Callable[[int], None]
"""Called with the number of bytes done since the last call."""

Sink = Callable[[memoryview], object]
"""Takes the next bytes of a copy."""


class _Consumer(Protocol):
    """Is fed a blob's consecutive chunks, each with its offset."""

    def feed(self, chunk: memoryview, offset: int) -> None: ...


class Scan:
    """What passes over a blob find; each property waits for its pass and raises what that did."""

    def __init__(
        self,
        whole: tuple[_Digest, Future[None]],
        crc: tuple[_Crc32, Future[None]],
        parts: tuple[_RangeDigests, Future[None]],
    ) -> None:
        self._whole, self._crc, self._parts = whole, crc, parts

    @property
    def digest(self) -> str:
        """The digest of the whole."""
        consumer, done = self._whole
        done.result()
        return consumer.digest

    @property
    def crc32(self) -> int:
        """The CRC-32 of the whole; 0 where none was asked for."""
        consumer, done = self._crc
        done.result()
        return consumer.value

    @property
    def ranges(self) -> bytearray:
        """The sha256 of each range, 32 bytes each, in their order."""
        consumer, done = self._parts
        done.result()
        return consumer.digests


class Scanner:
    """Scans blobs on threads that it keeps between scans.

    With `once`, each byte of a blob is read once: for what comes over a network.
    """

    def __init__(self, progress: Progress | None = None, *, once: bool = False) -> None:
        self._pool = ThreadPoolExecutor(_THREADS)
        self._closed = False
        self.once = once
        self._progress = progress
        self._telling = Lock()

    def scan(
        self,
        blob: Blob,
        ranges: Iterable[Range] = (),
        sink: Sink | None = None,
        *,
        crc: bool = True,
    ) -> Scan:
        """Scan `blob`; `ranges` are disjoint, ascending and not empty.

        `sink` gets every byte before this returns; what is found may be known later.
        """
        whole, crc32, parts = _Digest(), _Crc32(), _RangeDigests(ranges)
        copying: list[_Consumer] = [*([_Copy(sink)] if sink else []), *([crc32] if crc else [])]
        if self.once or blob.size <= CHUNK_BYTES:
            copied = digested = parted = self._start(blob, [*copying, whole, parts], told=True)
        elif sink:
            digested, parted = self._start(blob, [whole]), self._start(blob, parts.wanted)
            copied = self._start(blob, copying, told=True)
        else:
            copied = digested = self._start(blob, [*copying, whole], told=True)
            parted = self._start(blob, parts.wanted)
        if sink:
            copied.result()
        return Scan((whole, digested), (crc32, copied), (parts, parted))

    def digest_later(self, blob: Blob) -> Future[str]:
        """The digest of `blob`, computed beside the scans that follow."""
        whole = _Digest()

        def digest() -> str:
            self._pass(blob, [whole])
            return whole.digest

        return self._pool.submit(digest)

    def ranges_later(self, blob: Blob, ranges: Iterable[Range]) -> Future[bytearray]:
        """`Scan.ranges` of `blob`, computed beside the scans that follow."""
        parts = _RangeDigests(ranges)

        def digests() -> bytearray:
            self._pass(blob, parts.wanted)
            return parts.digests

        return self._pool.submit(digests)

    def beside(self, work: Callable[[], _T]) -> Future[_T]:
        """Do `work` beside the scans that follow."""
        return self._pool.submit(work)

    def close(self) -> None:
        """Stop the threads; what they have not done is left."""
        self._closed = True
        self._pool.shutdown(cancel_futures=True)

    def _at_once(self, blob: Blob) -> bool:
        return self.once or blob.size <= CHUNK_BYTES

    def _start(
        self, blob: Blob, consumers: Sequence[_Consumer], *, told: bool = False
    ) -> Future[None]:
        return self._pool.submit(self._pass, blob, consumers, told)

    def _pass(self, blob: Blob, consumers: Sequence[_Consumer], told: bool = False) -> None:
        """Feed `blob` to `consumers`; with `told`, its bytes count as progress."""
        buffer = memoryview(bytearray(min(CHUNK_BYTES, blob.size)))
        for offset in range(0, blob.size if consumers else 0, CHUNK_BYTES):
            if self._closed:
                raise CancelledError
            length = min(CHUNK_BYTES, blob.size - offset)
            chunk = resident(blob, offset, length)
            if chunk is None:
                chunk = buffer[:length]
                read_into(blob, offset, chunk)
            for consumer in consumers:
                consumer.feed(chunk, offset)
            if told and self._progress:
                with self._telling:
                    self._progress(len(chunk))


@contextmanager
def scanner(progress: Progress | None = None, *, once: bool = False) -> Iterator[Scanner]:
    """A scanner whose threads are stopped at the end."""
    made = Scanner(progress, once=once)
    try:
        yield made
    finally:
        made.close()


class _Copy:
    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def feed(self, chunk: memoryview, offset: int) -> None:
        self._sink(chunk)


class _Crc32:
    def __init__(self) -> None:
        self.value = 0

    def feed(self, chunk: memoryview, offset: int) -> None:
        self.value = zlib.crc32(chunk, self.value)


class _Digest:
    def __init__(self) -> None:
        self._hash = hashlib.new(ALGORITHM)

    @property
    def digest(self) -> str:
        return f"{ALGORITHM}:{self._hash.hexdigest()}"

    def feed(self, chunk: memoryview, offset: int) -> None:
        self._hash.update(chunk)


class _RangeDigests:
    """Digests of ascending ranges."""

    def __init__(self, ranges: Iterable[Range]) -> None:
        self.digests = bytearray()
        self._ranges = iter(ranges)
        self._hash = hashlib.new(ALGORITHM)
        self._current: Range | None = next(self._ranges, None)

    @property
    def wanted(self) -> list[_Consumer]:
        """Itself, where there are ranges."""
        return [self] if self._current else []

    def feed(self, chunk: memoryview, offset: int) -> None:
        while self._current is not None:
            start, length = self._current
            first = max(start - offset, 0)
            last = min(start + length - offset, len(chunk))
            if first < last:
                self._hash.update(chunk[first:last])
            if start + length > offset + len(chunk):
                return
            self.digests += self._hash.digest()
            self._hash = hashlib.new(ALGORITHM)
            self._current = next(self._ranges, None)
