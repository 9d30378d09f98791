"""What a source is once it has been read: files, tensors as byte ranges, components.

Every source module has the same two functions:

    def recognise(tree: Tree) -> bool        # by content, cheap, never raises on bad input
    def read(tree: Tree) -> Artifact         # raises BundleError with a rule ID on bad input

A `Tree` is the files of one source under the paths that they will have in the bundle. The same
code therefore reads a source on disk, when packing, and inside a bundle, when validating. No
framework is imported, nothing of a file is executed, and nothing is decompressed, allocated or
kept on the word of a header before it was checked against the stored size and the limits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from modelbundle.core.blobs import Blob
from modelbundle.core.findings import Finding
from modelbundle.core.manifest import (
    Component,
    CustomObject,
    FileRole,
    Port,
    Requirements,
    Signature,
)

__all__ = [
    "Artifact",
    "ArtifactFile",
    "ArtifactTensor",
    "Component",
    "CustomObject",
    "FileRole",
    "Part",
    "Port",
    "Requirements",
    "Signature",
    "TensorRole",
    "Tree",
]

TensorRole = Literal["trainable", "non-trainable", "optimizer", "metric", "rng", "other"]

NONE: Mapping[str, str] = MappingProxyType({})
"""No attributes, as of most tensors: one object for all of them."""


@dataclass(frozen=True, slots=True)
class Tree:
    """The files of one source. `root` is its name: of the file, the directory or the prefix."""

    root: str
    files: Mapping[str, Blob]
    """Bundle path to content; every path is `root`, starts with `root/` or, for a prefix such as
    `ckpt-1` or a file with shards, stands beside it."""
    directories: tuple[str, ...] = ()
    """Empty directories of the source, as bundle paths."""

    @property
    def single(self) -> Blob | None:
        """The content where the source is one file at `root`."""
        return self.files.get(self.root) if len(self.files) == 1 else None


@dataclass(frozen=True, slots=True)
class Part:
    """File `path` of the same artifact stands, whole, at `offset` of the file that has the part."""

    offset: int
    path: str


@dataclass(frozen=True, slots=True)
class ArtifactFile:
    """A file for the bundle.

    `source`: as the person gave it; comes back when unpacking. `part`: a member of a source, kept
    as a file of its own. `derived`: made from a source by a stated rule.
    """

    path: str
    blob: Blob
    media_type: str
    role: FileRole = "source"
    parts: tuple[Part, ...] = ()
    crc32: int | None = None
    """What the source states as the CRC-32 of the bytes (KAR-05)."""


@dataclass(frozen=True, slots=True)
class ArtifactTensor:
    """A tensor as a byte range of one of the artifact's files.

    `names` gives its name by naming system (`hdf5`, `keras`, `tensorflow.checkpoint`,
    `tensorflow.variable`, `safetensors`, `onnx`); `name` is the one that people would use.
    `attributes` are facts that bytes, dtype and shape do not tell, string to string.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    path: str
    offset: int
    length: int
    role: TensorRole = "other"
    names: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=lambda: NONE)


@dataclass(frozen=True, slots=True)
class Artifact:
    """One source, read. The first component is the source itself; its id is `tree.root`."""

    files: tuple[ArtifactFile, ...]
    tensors: tuple[ArtifactTensor, ...]
    components: tuple[Component, ...]
    signatures: tuple[Signature, ...] = ()
    requirements: Requirements = field(default_factory=Requirements)
    directories: tuple[str, ...] = ()
    bound: frozenset[tuple[str, str]] = frozenset()
    """Naming system and name of tensors that the source refers to and does not hold."""
    verify: Callable[[], None] | None = field(default=None, compare=False)
    """Reads the data and holds it to the checksums of the source, where it has some; raises
    `BundleError`. Not needed where each file that has a `crc32` is held to it otherwise."""

    @property
    def stated(self) -> dict[str, int]:
        """The CRC-32 that the source states, by path of the file."""
        return {file.path: file.crc32 for file in self.files if file.crc32 is not None}

    def disproved(self, found: Mapping[str, int]) -> Iterator[Finding]:
        """Findings (KAR-05) where a file has another CRC-32 than the source states."""
        for path, stated in self.stated.items():
            if found.get(path, stated) != stated:
                expected, other = f"CRC-32 {stated:08x}", f"{found[path]:08x}"
                yield Finding("KAR-05", path, expected, other, "the source is damaged")
