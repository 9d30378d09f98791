"""An HDF5 file as tensors: each dataset a byte range of the file, or decoded beside it.

contents = read_contents(blob, "net.h5")
tensors = tensors_of(contents, labels)
tensors.rows, tensors.files, tensors.components
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial

from modelbundle.core.blobs import Blob
from modelbundle.core.dtypes import element_bits, is_known
from modelbundle.sources.artifact import ArtifactFile, ArtifactTensor, Component, TensorRole
from modelbundle.sources.derived_tensors import DerivedTensor, derived_file
from modelbundle.sources.hdf5.attributes import Attribute, Attributes
from modelbundle.sources.hdf5.datatypes import OPAQUE
from modelbundle.sources.hdf5.decode import check_decodable, decode
from modelbundle.sources.hdf5.file import Dataset, File, Group
from modelbundle.sources.hdf5.source import mismatch

MEDIA_TYPE = "application/x-hdf5"


@dataclass(frozen=True, slots=True)
class Label:
    """What is known about a dataset besides its bytes: `name` is what people call it."""

    name: str | None = None
    role: TensorRole = "other"
    attributes: Mapping[str, str] = field(default_factory=dict)
    is_keras: bool = True
    """Whether Keras calls it by `name` too; it does not where a number stands for the variable."""


@dataclass(frozen=True, slots=True)
class Contents:
    """A file's groups and datasets by path, in the order of the walk; the root's path is empty."""

    path: str
    blob: Blob
    file: File
    groups: Mapping[str, Attributes]
    datasets: Mapping[str, Dataset]

    def attribute(self, group: str, name: str) -> Attribute | None:
        """An attribute of a group; None where group or attribute are not there."""
        attributes = self.groups.get(group)
        return None if attributes is None else attributes.get(name)

    def text(self, group: str, name: str) -> str | None:
        """An attribute that is one string; None where it is something else or not there."""
        attribute = self.attribute(group, name)
        if (
            attribute is None
            or not attribute.datatype.is_text
            or len(strings := attribute.strings()) != 1
        ):
            return None
        return strings[0].decode(errors="replace")


def read_contents(blob: Blob, path: str) -> Contents:
    """Walk the whole file at bundle path `path`; raises BundleError (HDF-01 to HDF-10)."""
    groups: dict[str, Attributes] = {}
    datasets: dict[str, Dataset] = {}
    file = File(blob, path)
    for found in file.walk():
        if isinstance(found, Group):
            groups[found.path] = found.attributes
        else:
            datasets[found.path] = found
    _check_apart(datasets.values(), path)
    return Contents(path, blob, file, groups, datasets)


def _check_apart(datasets: Collection[Dataset], place: str) -> None:
    """Bytes belong to one dataset: else a small file could declare any amount of data."""
    ranges = sorted(
        (*found.plain_range, found.address, found.path) for found in datasets if found.plain_range
    )
    end, owner, name = 0, 0, ""
    for offset, length, address, path in ranges:
        if length and offset < end and address != owner:
            raise mismatch(
                f"{place}@{offset}", "bytes of one dataset", f"bytes of {name!r} and of {path!r}"
            )
        if offset + length > end:
            end, owner, name = offset + length, address, path


@dataclass(frozen=True, slots=True)
class Tensors:
    """Tensors of one file, and what had to be derived for them."""

    rows: tuple[ArtifactTensor, ...]
    files: tuple[ArtifactFile, ...] = ()
    components: tuple[Component, ...] = ()


def tensors_of(contents: Contents, labels: Mapping[str, Label]) -> Tensors:
    """A tensor for each dataset, called by its label's name or else by its path.

    `labels` come from `unambiguous`.
    """
    derived = [
        _derived(contents, dataset, labels[path])
        for path, dataset in contents.datasets.items()
        if dataset.plain_range is None
    ]
    ranges: dict[str, tuple[int, int]] = {}
    files: tuple[ArtifactFile, ...] = ()
    components: tuple[Component, ...] = ()
    if derived:
        file, component, ranges = derived_file(contents.path, derived)
        files, components = (file,), (component,)
    rows = tuple(
        _row(contents, dataset, labels[path], files, ranges)
        for path, dataset in contents.datasets.items()
    )
    return Tensors(rows, files, components)


def unambiguous(paths: Collection[str], labels: Mapping[str, Label]) -> dict[str, Label]:
    """A label for each path, without the names that two share, or that are another's path."""
    count = Counter(label.name for label in labels.values())
    found = {}
    for path in paths:
        label = labels.get(path, Label())
        name = label.name
        clashes = name is not None and (count[name] > 1 or (name != path and name in paths))
        found[path] = Label(None, label.role, label.attributes) if clashes else label
    return found


def _derived(contents: Contents, dataset: Dataset, label: Label) -> DerivedTensor:
    check_decodable(contents.file.source, dataset)
    name = label.name or dataset.path
    decoder = partial(decode, contents.file.source, dataset)
    return DerivedTensor(name, _dtype(dataset), dataset.shape, dataset.size, decoder)


def _row(
    contents: Contents,
    dataset: Dataset,
    label: Label,
    files: tuple[ArtifactFile, ...],
    ranges: Mapping[str, tuple[int, int]],
) -> ArtifactTensor:
    name = label.name or dataset.path
    names = {"hdf5": dataset.path} | ({"keras": name} if label.name and label.is_keras else {})
    path, place = contents.path, dataset.plain_range
    if place is None:
        path, place = files[0].path, ranges[name]
    attributes = {
        **label.attributes,
        **({"hdf5.dataspace": "null"} if dataset.space.dims is None else {}),
    }
    return ArtifactTensor(
        name,
        _dtype(dataset),
        dataset.shape,
        path,
        *place,
        role=label.role,
        names=names,
        attributes=attributes,
    )


def _dtype(dataset: Dataset) -> str:
    """The dataset's dtype; Keras names that of opaque elements (bfloat16) in an attribute."""
    if dataset.datatype.kind == OPAQUE:
        attribute = dataset.attributes.get("dtype")
        named = attribute.string().decode(errors="replace") if attribute is not None else ""
        if is_known(named) and element_bits(named) == 8 * dataset.datatype.size:
            return named
    return dataset.dtype
