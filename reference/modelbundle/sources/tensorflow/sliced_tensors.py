"""Checkpoint tensors that were saved in slices, put together as one range each.

A tensor sliced along its first axis mostly lies in one piece already (`checkpoint_tensors`). Any
other is woven from its parts, row by row, and a part that is cut along another axis so before it,
into a derived safetensors file. Nothing is read until the derived file is.

    derived = assemble(tree, {"": bundle})
    derived.places[""]["embedding"].offset
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np

from modelbundle.core.blobs import CHUNK_BYTES, Blob, ComposedBlob, SliceBlob, check_range
from modelbundle.sources.artifact import ArtifactFile, Component, Tree
from modelbundle.sources.derived_tensors import DerivedTensor, Put, derived_file
from modelbundle.sources.tensorflow.checkpoint_tensors import Place, is_range
from modelbundle.sources.tensorflow.tensor_bundle import Bundle, Entry, Sliced


@dataclass(frozen=True, slots=True)
class Assembled:
    """Derived files and their components; places by the bundle's folder, then by key."""

    files: tuple[ArtifactFile, ...] = ()
    components: tuple[Component, ...] = ()
    places: Mapping[str, Mapping[str, Place]] = field(default_factory=dict)


class WovenBlob:
    """Rows that are each one row of every part, in order: parts of a matrix, side by side.

    `parts` are blobs of `rows` rows each; all of them are non-empty.
    """

    def __init__(self, parts: Sequence[Blob], rows: int) -> None:
        self._parts, self._rows = parts, rows
        self._widths = [part.size // rows for part in parts]
        self._width = sum(self._widths)

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self._width * self._rows

    def read(self, offset: int, length: int) -> bytes:
        """See `Blob.read`; whole rows are read, so it takes up to two rows more memory."""
        check_range(self.size, offset, length)
        if not length:
            return b""
        first, last = offset // self._width, -(-(offset + length) // self._width)
        block = np.empty((last - first, self._width), np.uint8)
        at = 0
        for part, width in zip(self._parts, self._widths, strict=True):
            data = part.read(first * width, (last - first) * width)
            block[:, at : at + width] = np.frombuffer(data, np.uint8).reshape(-1, width)
            at += width
        start = offset - first * self._width
        return block.reshape(-1)[start : start + length].tobytes()


def woven(files: Mapping[str, Blob], bundle: Bundle, whole: Sliced) -> Blob:
    """The bytes of a sliced tensor, in C order."""
    parts = [blob for part in whole.parts if (blob := _part(files, bundle, part)).size]
    rows = prod(whole.shape[: whole.axis]) if parts else 1
    if sum(part.size for part in parts) <= rows * CHUNK_BYTES:
        if rows > 1:
            return WovenBlob(parts, rows)
        return ComposedBlob([SliceBlob(part, 0, part.size) for part in parts])
    return ComposedBlob(
        [
            SliceBlob(part, row * (part.size // rows), part.size // rows)
            for row in range(rows)
            for part in parts
        ]
    )


def _part(files: Mapping[str, Blob], bundle: Bundle, part: Entry | Sliced) -> Blob:
    if isinstance(part, Sliced):
        return woven(files, bundle, part)
    return SliceBlob(files[bundle.shards[part.shard]], part.offset, part.size)


def assemble(tree: Tree, bundles: Mapping[str, Bundle]) -> Assembled:
    """The derived file with all sliced tensors of `bundles`, named by folder, that need it."""
    wanted = {
        f"{folder}/{key}" if folder else key: (folder, bundle, whole)
        for folder, bundle in bundles.items()
        for key, whole in bundle.sliced.items()
        if not is_range(whole)
    }
    if not wanted:
        return Assembled()
    tensors = [
        _derived(name, whole, woven(tree.files, bundle, whole))
        for name, (_, bundle, whole) in wanted.items()
    ]
    file, component, ranges = derived_file(tree.root, tensors)
    places: dict[str, dict[str, Place]] = {folder: {} for folder in bundles}
    for name, (folder, _, whole) in wanted.items():
        places[folder][whole.key] = Place(whole.dtype, whole.shape, file.path, *ranges[name])
    return Assembled((file,), (component,), places)


def _derived(name: str, whole: Sliced, blob: Blob) -> DerivedTensor:
    def decode(put: Put) -> None:
        for offset in range(0, blob.size, CHUNK_BYTES):
            put(offset, blob.read(offset, min(CHUNK_BYTES, blob.size - offset)))

    return DerivedTensor(name, whole.dtype, whole.shape, blob.size, decode)
