"""Bundles of very many tensors: size of the manifest, time to open and to validate their structure.

The bundles are written through the tensor index itself: one file of float32 scalars, a name and a
Keras path for each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.measuring import Figure, first_number, median_of
from modelbundle.core import digests, manifest, paths, tensor_index
from modelbundle.core.blobs import BytesBlob
from modelbundle.core.manifest import Component, FileEntry, Manifest, Requirements
from modelbundle.core.tensor_index import U1, U4, U8, Namespace, TensorIndex
from modelbundle.packing import INDEX_TYPE
from modelbundle.storage.scan import scanner
from modelbundle.storage.writing import open_writer

_FILE = "weights.bin"
_KIND = "org.modelbundle.benchmark"

_OPEN = """
import sys, time
import modelbundle as mb
mb.open, mb.Tensor
start = time.perf_counter()
with mb.open(sys.argv[1]) as bundle:
    name = bundle.index.names[-1]
    bundle.tensors[name].numpy()
print(time.perf_counter() - start)
"""

_VALIDATE = """
import sys, time
import modelbundle as mb
mb.validate
start = time.perf_counter()
report = mb.validate(sys.argv[1], structure=True)
print(time.perf_counter() - start)
assert report.ok, report.findings
"""


def measure(scratch: Path, runs: int) -> Iterator[Figure]:
    """Figures for 100,000 and for 1,000,000 tensors."""
    for count, open_limit, validate_limit in ((100_000, 0.3, 1.0), (1_000_000, 3.0, 8.0)):
        bundle = scratch / f"{count}.modelbundle"
        size = write(bundle, count)
        what = f"{count:,} tensors"
        yield Figure(f"{what}: manifest", size / 1024, "KiB", 64)
        yield _timed(f"{what}: open", _OPEN, bundle, open_limit, runs)
        yield _timed(f"{what}: validate structure", _VALIDATE, bundle, validate_limit, runs)
        bundle.unlink()


def _timed(what: str, code: str, bundle: Path, limit: float, runs: int) -> Figure:
    seconds = median_of(lambda: first_number(code, bundle), runs)
    return Figure(what, seconds, "s", limit, "in a fresh process, after import")


def write(destination: Path, count: int) -> int:
    """Write a bundle of `count` tensors; returns the size of its manifest in bytes."""
    data = np.arange(count, dtype="<f4").tobytes()
    index = tensor_index.encode(_index(count, data))
    contents = {_FILE: data, paths.TENSORS: index}
    files = tuple(
        FileEntry(path, len(content), digests.of_bytes(content), media, role, "stored")
        for path, content, media, role in (
            (_FILE, data, "application/octet-stream", "source"),
            (paths.TENSORS, index, INDEX_TYPE, "index"),
        )
    )
    made = Manifest(
        files=files,
        tensor_count=count,
        tensor_bytes=len(data),
        components=(Component(_FILE, _KIND, (_FILE,)),),
        requirements=Requirements(dtypes=frozenset({"float32"})),
    )
    encoded = manifest.encode(made)
    with scanner() as scans, open_writer(destination, directory=False, overwrite=True) as writer:
        writer.begin(len(encoded), made.stored, ())
        for path, content in contents.items():
            with writer.member(path) as sink:
                crc32 = scans.scan(BytesBlob(content), sink=sink).crc32
            writer.record(path, crc32)
        writer.finish(encoded)
    return len(encoded)


def _index(count: int, data: bytes) -> TensorIndex:
    names = [
        f"model/block_{at // 2:06d}/{'bias' if at % 2 == 0 else 'kernel'}" for at in range(count)
    ]
    digest = b"".join(hashlib.sha256(data[at : at + 4]).digest() for at in range(0, len(data), 4))
    return TensorIndex(
        names=names,
        dtypes=["float32"],
        files=[_FILE],
        roles=["trainable"],
        dtype=np.zeros(count, U1),
        rank=np.zeros(count, U1),
        shape=np.zeros(0, U8),
        file=np.zeros(count, U4),
        offset=np.arange(0, 4 * count, 4, dtype=U8),
        length=np.full(count, 4, U8),
        digest=digest,
        role=np.zeros(count, U1),
        namespaces=[Namespace(_FILE, "keras", np.arange(count, dtype=U4), names)],
    )
