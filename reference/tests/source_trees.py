"""Helpers for tests of source formats: trees of files on disk, tensors' bytes, damaged copies."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelbundle.core.blobs import BytesBlob
from modelbundle.core.findings import BundleError
from modelbundle.sources.artifact import Artifact, ArtifactTensor, Tree

SECONDS = 5.0
"""What reading a small damaged file may take at most."""


def tree_of(path: Path) -> Tree:
    """The tree of a file, a directory or a checkpoint prefix."""
    if path.is_dir():
        below = sorted(path.rglob("*"))
        files = {f"{path.name}/{p.relative_to(path)}": p for p in below if p.is_file()}
        empty = [p for p in below if p.is_dir() and not any(p.iterdir())]
        names = tuple(f"{path.name}/{p.relative_to(path)}" for p in empty)
        return Tree(
            path.name, {name: BytesBlob(p.read_bytes()) for name, p in files.items()}, names
        )
    if path.is_file():
        return Tree(path.name, {path.name: BytesBlob(path.read_bytes())})
    beside = sorted(path.parent.glob(path.name + ".*"))
    return Tree(path.name, {p.name: BytesBlob(p.read_bytes()) for p in beside})


def tree(root: str, **files: bytes) -> Tree:
    """A tree of files in memory; `root` alone names the one file given as `data`."""
    return Tree(root, {root if name == "data" else name: BytesBlob(b) for name, b in files.items()})


def with_file(source: Tree, path: str, data: bytes | None) -> Tree:
    """`source` with the file at `path` replaced, or left out where `data` is None."""
    files = {name: blob for name, blob in source.files.items() if name != path}
    if data is not None:
        files[path] = BytesBlob(data)
    return Tree(source.root, files, source.directories)


def content(source: Tree, path: str) -> bytes:
    return source.files[path].read(0, source.files[path].size)


def tensor_bytes(artifact: Artifact, tensor: ArtifactTensor) -> bytes:
    """The bytes of a tensor, from the artifact's own file."""
    (file,) = [file for file in artifact.files if file.path == tensor.path]
    return file.blob.read(tensor.offset, tensor.length)


def by_name(artifact: Artifact, system: str) -> dict[str, ArtifactTensor]:
    """Tensors by their name in a naming system; every one that has one there."""
    named = [tensor for tensor in artifact.tensors if system in tensor.names]
    result = {tensor.names[system]: tensor for tensor in named}
    assert len(result) == len(named)
    assert len({tensor.name for tensor in artifact.tensors}) == len(artifact.tensors)
    return result


def rule_of(call: Callable[[], object]) -> str:
    """The ID of the rule that `call` is refused by."""
    with pytest.raises(BundleError) as caught:
        call()
    finding = caught.value.findings[0]
    assert finding.place
    assert finding.expected
    assert finding.found
    return finding.rule


def damaged(data: bytes, flips: int, cuts: int, seed: int = 7) -> Iterator[bytes]:
    """`data` with single bytes changed, and cut short, at places drawn from `seed`."""
    chance = random.Random(seed)
    for _ in range(flips if data else 0):
        at = chance.randrange(len(data))
        changed = bytes([data[at] ^ chance.randrange(1, 256)])
        yield data[:at] + changed + data[at + 1 :]
    yield from (data[: chance.randrange(len(data))] for _ in range(cuts if data else 0))


def survives(source: Tree, path: str, read: Callable[[Tree], object], flips: int, cuts: int) -> int:
    """How many damaged copies of the file at `path` are refused; none fails in another way."""
    refused = 0
    for data in damaged(content(source, path), flips, cuts):
        start = time.process_time()
        try:
            read(with_file(source, path, data))
        except BundleError:
            refused += 1
        assert time.process_time() - start < SECONDS
    return refused
