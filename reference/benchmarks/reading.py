"""Opening and reading: time, bytes and requests for one tensor; start of the interpreter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import modelbundle as mb
from benchmarks.measuring import MODELBUNDLE, Figure, alternate, first_number, median_of, run
from benchmarks.models import Big
from benchmarks.serving import serve
from modelbundle.bundle import Bundle
from modelbundle.core import paths
from modelbundle.core.blobs import Blob
from modelbundle.storage.files import FileBlob
from modelbundle.storage.layouts import ArchiveStorage

_TENSOR_BYTES = 4 << 20

_READ = """
import sys, time
import modelbundle as mb
mb.open, mb.Tensor
from modelbundle.core import dtypes
start = time.perf_counter()
array = mb.open(sys.argv[1]).tensors[sys.argv[2]].numpy()
print(time.perf_counter() - start, array.nbytes)
"""

_IMPORT = """
import sys, time
start = time.perf_counter()
import modelbundle
seconds = time.perf_counter() - start
frameworks = {"tensorflow", "keras", "tf_keras", "jax", "torch"} & set(sys.modules)
assert not frameworks, frameworks
print(seconds)
"""

_IMPORT_ALL = """
import sys, time
start = time.perf_counter()
import modelbundle
for name in modelbundle.__all__: getattr(modelbundle, name)
print(time.perf_counter() - start)
"""


class _Counting:
    """A blob that counts the bytes read of it."""

    def __init__(self, blob: Blob) -> None:
        self._blob = blob
        self.size = blob.size
        self.bytes_read = 0

    def read(self, offset: int, length: int) -> bytes:
        self.bytes_read += length
        return self._blob.read(offset, length)


def measure(big: Big, scratch: Path, runs: int) -> Iterator[Figure]:
    """Figures for the archive of the `.keras` file of `big` and for a small bundle."""
    archive = scratch / "net.modelbundle"
    mb.pack(big.keras, archive)
    name = _four_mib(archive)
    seconds = median_of(lambda: first_number(_READ, archive, name), runs)
    yield Figure("open, read 4 MiB tensor", 1000 * seconds, "ms", 10, "fresh process, after import")
    yield _bytes_beyond(archive, name)
    yield from _over_http(archive, name)
    archive.unlink()
    yield from _starting(scratch, runs)


def _four_mib(archive: Path) -> str:
    with mb.open(archive) as bundle:
        return next(name for name, t in bundle.tensors.items() if t.row.length == _TENSOR_BYTES)


def _bytes_beyond(archive: Path, name: str) -> Figure:
    counting = _Counting(FileBlob(archive))
    bundle = Bundle(ArchiveStorage(counting, archive.name))
    assert bundle.tensors[name].numpy().nbytes == _TENSOR_BYTES
    needed = _needed(bundle)
    beyond = (counting.bytes_read - needed) / 1024
    detail = f"{needed / 1024:.0f} KiB needed"
    return Figure("read beyond manifest, index, tensor", beyond, "KiB", 64, detail)


def _needed(bundle: Bundle) -> int:
    return len(bundle.manifest_bytes) + bundle.manifest.by_path[paths.TENSORS].size + _TENSOR_BYTES


def _over_http(archive: Path, name: str) -> Iterator[Figure]:
    with serve(archive.parent) as server, mb.open(f"{server.url}/{archive.name}") as bundle:
        assert bundle.tensors[name].numpy().nbytes == _TENSOR_BYTES
        beyond = (server.bytes_sent - _needed(bundle)) / 1024
        yield Figure("the same over HTTP: requests", server.requests, "", 4)
        yield Figure("the same over HTTP: beyond what is needed", beyond, "KiB", 64)


def _starting(scratch: Path, runs: int) -> Iterator[Figure]:
    seconds = median_of(lambda: first_number(_IMPORT), runs)
    everything = median_of(lambda: first_number(_IMPORT_ALL), runs)
    detail = f"with all that it offers {1000 * everything:.0f} ms; no framework"
    yield Figure("import modelbundle", 1000 * seconds, "ms", 150, detail)
    config = scratch / "layer.json"
    config.write_text('{"class_name": "Dense", "config": {"name": "dense", "units": 2}}')
    bundle = scratch / "small.modelbundle"
    mb.pack(config, bundle, overwrite=True)
    (inspect,) = alternate([lambda: run(*MODELBUNDLE, "inspect", bundle)], runs)
    yield Figure("inspect a small bundle", inspect.seconds, "s", 0.4, "the whole process")
    bundle.unlink()
