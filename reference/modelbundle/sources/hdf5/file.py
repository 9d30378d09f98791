"""An HDF5 file opened for its structure: groups, attributes, and where each dataset's bytes lie.

file = File(blob, "net.h5")
for dataset in file.datasets():
    dataset.path, dataset.datatype.dtype, dataset.shape, dataset.plain_range
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from modelbundle.core.blobs import Blob
from modelbundle.core.findings import checks, clip, refuse
from modelbundle.core.limits import LIMITS
from modelbundle.sources.hdf5.attributes import AttributeBudget, Attributes
from modelbundle.sources.hdf5.datatypes import PAD_NUL, Datatype
from modelbundle.sources.hdf5.headers import (
    DATASPACE,
    DATATYPE,
    EXTERNAL_FILES,
    FILL_VALUE,
    FILL_VALUE_OLD,
    FILTERS,
    LAYOUT,
    Header,
    Message,
    read_header,
)
from modelbundle.sources.hdf5.links import is_group, read_links
from modelbundle.sources.hdf5.messages import (
    Chunked,
    Contiguous,
    Dataspace,
    Filter,
    read_fill_value,
    read_filters,
    read_layout,
    read_old_fill_value,
)
from modelbundle.sources.hdf5.shared import Shared
from modelbundle.sources.hdf5.source import Cursor, Source, mismatch
from modelbundle.sources.hdf5.superblock import read_superblock

_MOST_BYTES = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Group:
    """A group: its path, without leading slash and empty for the root, and its attributes."""

    path: str
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset: what its elements are, and where and how they are stored.

    `plain_range` is offset in the file and length, in bytes, where the stored bytes are just the
    tensor's; None where they must be decoded.
    """

    path: str
    address: int
    datatype: Datatype
    dtype: str
    space: Dataspace
    layout: Contiguous | Chunked
    size: int
    """Bytes of all elements."""
    plain_range: tuple[int, int] | None
    attributes: Attributes
    filters: tuple[Filter, ...] = ()
    fill_value: bytes | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape, () for a scalar; (0,) for the null dataspace, which has no elements."""
        return (0,) if self.space.dims is None else self.space.dims


class File:
    """The structure of one HDF5 file; raises BundleError (HDF-01 to HDF-10), also while walking."""

    def __init__(self, blob: Blob, place: str) -> None:
        self.source = Source(blob, place)
        superblock = read_superblock(self.source)
        self._root = superblock.root
        self._shared = Shared(self.source, superblock.extension)
        self._budget = AttributeBudget()
        self._decoded = 0

    def datasets(self) -> Iterator[Dataset]:
        """Every dataset, groups depth first and names in order of their bytes."""
        return (found for found in self.walk() if isinstance(found, Dataset))

    def walk(self) -> Iterator[Group | Dataset]:
        """Every group and dataset, the root first; a dataset of two names comes twice."""
        seen: dict[int, str] = {}
        pending = [("", self._root)]
        count = 0
        while pending:
            path, address = pending.pop()
            count += 1
            self._check_count(address, count)
            header = read_header(self.source, address)
            if is_group(header):
                self._check_once(address, path, seen)
                yield Group(path, self._attributes(header))
                prefix = f"{path}/" if path else ""
                links = read_links(self.source, header)
                pending.extend((prefix + name, child) for name, child in reversed(links))
            elif (layout := header.first(LAYOUT)) is not None:
                yield self._dataset(path, header, layout)
            elif header.first(DATATYPE) is None:
                raise self.source.malformed(
                    address, "a group, a dataset or a datatype", f"{clip(path)!r}"
                )

    @checks("HDF-10")
    def _check_once(self, address: int, path: str, seen: dict[int, str]) -> None:
        """A group stands at one path: two are a cycle, or could multiply without end."""
        other = seen.setdefault(address, path)
        if other is not path:
            raise refuse(
                "HDF-10",
                f"{self.source.place}@{self.source.base + address}",
                "a group at one path",
                f"/{clip(path)} and /{clip(other)}",
                "write the file without hard links to groups",
            )
        if len(path.encode()) > LIMITS.name_bytes:
            raise self.source.malformed(
                address, f"paths of at most {LIMITS.name_bytes} bytes", clip(path)
            )

    def _check_count(self, address: int, count: int) -> None:
        if count > LIMITS.hdf5_objects:
            raise self.source.malformed(address, f"at most {LIMITS.hdf5_objects} objects", "more")

    def _attributes(self, header: Header) -> Attributes:
        return Attributes(self.source, header, self._shared, self._budget)

    def _dataset(self, path: str, header: Header, layout_message: Message) -> Dataset:
        self._check_storage(header, path)
        type_message, space_message = header.first(DATATYPE), header.first(DATASPACE)
        if type_message is None or space_message is None:
            raise self.source.malformed(
                header.address, "a dataset with datatype and dataspace", clip(path)
            )
        datatype = self._shared.datatype(
            type_message.data, type_message.address, type_message.shared
        )
        space = self._shared.dataspace(
            space_message.data, space_message.address, space_message.shared
        )
        layout = read_layout(Cursor(self.source, layout_message.data, layout_message.address), path)
        size = 0 if space.dims is None else prod(space.dims) * datatype.size
        dtype = self._dtype(datatype, path, header)
        found = self._plain_range(datatype, layout, size)
        attributes = self._attributes(header)
        more = (self._filters(header, path), self._fill_value(header)) if found is None else ()
        dataset = Dataset(
            path, header.address, datatype, dtype, space, layout, size, found, attributes, *more
        )
        self._check_size(dataset)
        return dataset

    def _plain_range(
        self, datatype: Datatype, layout: Contiguous | Chunked, size: int
    ) -> tuple[int, int] | None:
        if not size:
            return 0, 0
        is_plain = not datatype.swapped and datatype.padding == PAD_NUL
        if not is_plain or isinstance(layout, Chunked) or layout.address is None:
            return None
        return self.source.base + layout.address, size

    @checks("HDF-01")
    def _check_storage(self, header: Header, path: str) -> None:
        external = header.first(EXTERNAL_FILES)
        if external is not None:
            raise refuse(
                "HDF-01",
                f"{self.source.place}@{self.source.base + external.address}",
                "data stored in this file",
                f"{clip(path)!r} keeps its data in other files",
                "repack the file with h5repack",
            )

    @checks("HDF-06")
    def _dtype(self, datatype: Datatype, path: str, header: Header) -> str:
        if datatype.dtype is None:
            raise refuse(
                "HDF-06",
                f"{self.source.place}@{self.source.base + header.address}",
                "elements of a fixed size that a tensor can have",
                f"{clip(path)!r} holds {datatype.reason}",
                "store numbers or fixed-length strings",
            )
        return datatype.dtype

    def _filters(self, header: Header, path: str) -> tuple[Filter, ...]:
        message = header.first(FILTERS)
        if message is None:
            return ()
        return read_filters(Cursor(self.source, *self._shared.resolve(message)), path)

    def _fill_value(self, header: Header) -> bytes | None:
        message, read = header.first(FILL_VALUE), read_fill_value
        if message is None:
            message, read = header.first(FILL_VALUE_OLD), read_old_fill_value
        return (
            None if message is None else read(Cursor(self.source, *self._shared.resolve(message)))
        )

    def _check_size(self, dataset: Dataset) -> None:
        """What is declared is what is stored, and what must be decoded stays within the limit."""
        place = f"{self.source.place}@{self.source.base + dataset.address}"
        what = f"{dataset.dtype} of shape {dataset.shape}"
        if max(dataset.size, *dataset.shape, 0) > _MOST_BYTES:
            raise mismatch(place, f"at most {_MOST_BYTES} bytes", what)
        if dataset.fill_value is not None and len(dataset.fill_value) != dataset.datatype.size:
            raise mismatch(
                place, f"a fill value of {dataset.datatype.size} bytes", len(dataset.fill_value)
            )
        if isinstance(dataset.layout, Chunked):
            self._check_chunks(dataset, dataset.layout, place)
        elif dataset.layout.address is not None:
            self._check_stored(dataset, dataset.layout, place, what)
        if dataset.plain_range is None:
            self._decoded += dataset.size
            limit = LIMITS.hdf5_decoded_ratio * self.source.size
            if self._decoded > limit:
                raise mismatch(place, f"at most {limit} decoded bytes in this file", what)

    def _check_chunks(self, dataset: Dataset, layout: Chunked, place: str) -> None:
        if len(layout.dims) != len(dataset.shape) or layout.element_bytes != dataset.datatype.size:
            found = f"{layout.dims} of {layout.element_bytes}"
            raise mismatch(
                place, f"chunks for shape {dataset.shape} of {dataset.datatype.size} bytes", found
            )

    def _check_stored(self, dataset: Dataset, layout: Contiguous, place: str, what: str) -> None:
        stored = dataset.size if layout.size is None else layout.size
        if stored != dataset.size:
            raise mismatch(place, f"{dataset.size} bytes for {what}", stored)
        end = self.source.base + (layout.address or 0) + stored
        if stored and end > self.source.size:
            raise mismatch(
                place, f"{what} within {self.source.size} bytes of file", f"its end at {end}"
            )
