"""The bytes of an HDF5 file, read by address, with a bound on how much is read.

Everything that describes the file (headers, heaps, trees) goes through `Source.read`, which keeps
a few pages and counts what it hands out. Structure of a sound file is read a few times at most;
a file whose links lead round in circles, or to the same bytes over and over, runs out of budget
and is refused. Thereby the time to read any file is linear in its size, without further guards.

    source = Source(blob, "net.h5")
    source.read(0, 8)
"""

from __future__ import annotations

from modelbundle.core.blobs import Blob
from modelbundle.core.findings import BundleError, checks, refuse
from modelbundle.sources.hdf5.checksum import lookup3

PAGE_BYTES = 1 << 14
_KEPT_PAGES = 512
_READ_AHEAD_PAGES = 64
_BUDGET_FACTOR = 24
_BUDGET_FLOOR_BYTES = 4 << 20


class Source:
    """A file, the place that findings name, and the widths that its superblock states.

    Addresses count from `base`, where the superblock stands.
    """

    __slots__ = (
        "_ahead",
        "_budget",
        "_last",
        "_pages",
        "base",
        "blob",
        "length_bytes",
        "offset_bytes",
        "place",
        "size",
        "undefined",
    )

    def __init__(self, blob: Blob, place: str) -> None:
        self.blob = blob
        self.place = place
        self.base = 0
        self.size = blob.size
        self.set_widths(8, 8)
        self._pages: dict[int, bytes] = {}
        self._last = -2
        self._ahead = 1
        self._budget = _BUDGET_FACTOR * blob.size + _BUDGET_FLOOR_BYTES

    def set_widths(self, offset_bytes: int, length_bytes: int) -> None:
        """Set how many bytes an address and a length take in this file."""
        self.offset_bytes = offset_bytes
        self.length_bytes = length_bytes
        self.undefined = (1 << 8 * offset_bytes) - 1

    def read(self, address: int, length: int) -> bytes:
        """`length` bytes at `address`; raises BundleError (HDF-08) outside the file."""
        start = self.base + address
        if address < 0 or length < 0 or start + length > self.size:
            raise self.malformed(
                address, f"{length} bytes within the file", f"{self.size} bytes of file"
            )
        self._budget -= length + 1
        if self._budget < 0:
            raise self.malformed(
                address, "structure that is met once", "a cycle, or structure shared many times"
            )
        page, at = divmod(start, PAGE_BYTES)
        if at + length <= PAGE_BYTES:
            return (self._pages.get(page) or self._load(page))[at : at + length]
        return self.blob.read(start, length)

    def read_name(self, address: int, limit: int) -> bytes:
        """The NUL-terminated bytes at `address`, which end before `address + limit`."""
        step = 48
        name = b""
        while (end := name.find(b"\0")) < 0:
            step = min(step, limit - len(name), self.size - self.base - address - len(name))
            if step <= 0:
                raise self.malformed(address, "a name that ends in NUL", "none")
            name += self.read(address + len(name), step)
            step *= 4
        return name[:end]

    def cursor(self, address: int, length: int) -> Cursor:
        """A cursor over `length` bytes at `address`."""
        return Cursor(self, self.read(address, length), address)

    def checked(self, address: int, length: int) -> Cursor:
        """A cursor over `length` bytes at `address`, whose last four are their checksum."""
        data = self.read(address, length)
        if length < 4 or lookup3(data[:-4]) != int.from_bytes(data[-4:], "little"):
            raise self.malformed(address, "the checksum stored with the structure", "other bytes")
        return Cursor(self, data[:-4], address)

    def check_hole(self, address: int, length: int, at: int) -> None:
        """Check `length` bytes whose checksum stands among them, `at`, and counts as zero."""
        data = self.read(address, length)
        stored = int.from_bytes(data[at : at + 4], "little")
        if lookup3(data[:at] + bytes(4) + data[at + 4 :]) != stored:
            raise self.malformed(address, "the checksum stored with the structure", "other bytes")

    @checks("HDF-08")
    def malformed(self, address: int, expected: str, found: object) -> BundleError:
        """The finding for structure that breaks the HDF5 file format; the caller raises it."""
        return refuse(
            "HDF-08",
            f"{self.place}@{self.base + address}",
            expected,
            found,
            "the file is damaged or no HDF5 file; fetch or save it again",
        )

    def _load(self, page: int) -> bytes:
        """Read a page, and more at once as long as pages are wanted one after another."""
        self._ahead = min(self._ahead * 2, _READ_AHEAD_PAGES) if page == self._last + 1 else 1
        start = page * PAGE_BYTES
        data = self.blob.read(start, min(self._ahead * PAGE_BYTES, self.size - start))
        self._last = page + self._ahead - 1
        while len(self._pages) > _KEPT_PAGES:
            del self._pages[next(iter(self._pages))]
        for at in range(0, len(data), PAGE_BYTES):
            self._pages[page + at // PAGE_BYTES] = data[at : at + PAGE_BYTES]
        return self._pages[page]


@checks("HDF-09")
def mismatch(place: str, expected: str, found: object) -> BundleError:
    """The finding for data that has not the size or form that is declared; the caller raises it."""
    return refuse(
        "HDF-09", place, expected, found, "the file is damaged, or made to exhaust memory"
    )


class Cursor:
    """A position in some bytes of a file; raises BundleError (HDF-08) where they end too early."""

    __slots__ = ("address", "at", "data", "source")

    def __init__(self, source: Source, data: bytes, address: int) -> None:
        self.source = source
        self.data = data
        self.address = address
        self.at = 0

    @property
    def left(self) -> int:
        """Bytes not yet taken."""
        return len(self.data) - self.at

    def take(self, length: int) -> bytes:
        """The next `length` bytes."""
        end = self.at + length
        if length < 0 or end > len(self.data):
            raise self.malformed(f"{length} more bytes", f"{self.left}")
        taken = self.data[self.at : end]
        self.at = end
        return taken

    def uint(self, width: int) -> int:
        """An unsigned little-endian integer of `width` bytes."""
        return int.from_bytes(self.take(width), "little")

    def offset(self) -> int | None:
        """An address; None where it is undefined."""
        value = self.uint(self.source.offset_bytes)
        return None if value == self.source.undefined else value

    def defined(self) -> int:
        """An address that must be there."""
        value = self.offset()
        if value is None:
            raise self.malformed("an address", "the undefined address")
        return value

    def length(self) -> int:
        """A length, as wide as the superblock says."""
        return self.uint(self.source.length_bytes)

    def name(self) -> bytes:
        """Bytes up to a NUL, which is taken too."""
        end = self.data.find(b"\0", self.at)
        if end < 0:
            raise self.malformed("a name that ends in NUL", "none")
        taken = self.take(end - self.at)
        self.at += 1
        return taken

    def expect(self, value: bytes, what: str) -> None:
        """Take `value`, or refuse."""
        found = self.take(min(len(value), self.left))
        if found != value:
            raise self.malformed(f"{what} {value!r}", repr(found))

    def version(self, *known: int) -> int:
        """A version byte, one of `known`."""
        value = self.uint(1)
        if value not in known:
            raise self.malformed(f"version {' or '.join(map(str, known))}", value)
        return value

    def malformed(self, expected: str, found: object) -> BundleError:
        """The finding at this position; the caller raises it."""
        return self.source.malformed(self.address + self.at, expected, found)
