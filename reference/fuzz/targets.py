"""The fuzz targets: for each parser, what is done with bytes and where to start from.

TARGETS["manifest"].run(b"{}")      # a value or BundleError
"""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fuzz.seeds import Seeds
from modelbundle import packing, rules
from modelbundle.bundle import Bundle
from modelbundle.core import canonical_json, canonical_msgpack, compositions, manifest, tensor_index
from modelbundle.core.blobs import BytesBlob
from modelbundle.core.findings import BundleError
from modelbundle.sources import recognition
from modelbundle.sources.artifact import Tree
from modelbundle.storage.layouts import ArchiveStorage


@dataclass(frozen=True, slots=True)
class Target:
    """`run` takes an input, `seeds` gives the first ones."""

    run: Callable[[bytes], object]
    seeds: Callable[[Seeds], list[bytes]]


def _json(data: bytes) -> None:
    value = canonical_json.decode_lenient(data, "a.json")
    assert canonical_json.decode(canonical_json.encode(value), "a.json") == value


def _msgpack(data: bytes) -> None:
    value = canonical_msgpack.decode(data, "a.msgpack")
    assert canonical_msgpack.encode(value) == data, "a canonical value has one encoding"


def _manifest(data: bytes) -> None:
    found = manifest.decode(data)
    assert found.newer or manifest.encode(found) == data, "a manifest has one encoding"


def _tensor_index(data: bytes) -> None:
    index = tensor_index.decode(data)
    list(tensor_index.check_against(index, dict.fromkeys(index.files, 1 << 20), frozenset()))
    assert tensor_index.encode(index) == data, "an index has one encoding"


def _compositions(data: bytes) -> None:
    found = compositions.decode(data)
    sizes = dict.fromkeys(found.sources, 1 << 20)
    list(compositions.check_against(found, sizes, dict.fromkeys(found.files, 1 << 10)))
    assert compositions.encode(found) == data, "compositions have one encoding"


def _archive(data: bytes) -> None:
    storage = ArchiveStorage(BytesBlob(data), "a.modelbundle")
    bundle = Bundle(storage)
    for tensor in bundle.tensors.values():
        tensor.numpy()
    rules.validate(bundle)


def _source(root: str, path: str | None = None) -> Callable[[bytes], None]:
    """Read a source whose file at `path` (the source itself) is the input, and plan its bundle."""

    def run(data: bytes) -> None:
        _plan(Tree(root, {path or root: BytesBlob(data)}))

    return run


def _checkpoint_table(data: bytes) -> None:
    shard = BytesBlob(bytes(1 << 14))
    _plan(Tree("ckpt", {"ckpt.index": BytesBlob(data), "ckpt.data-00000-of-00001": shard}))


def _pieces(root: str, *paths: str) -> Callable[[bytes], None]:
    """Read a source of several files from one input: each begins with its length in four bytes."""

    def run(data: bytes) -> None:
        files = {}
        for path in paths:
            size, data = int.from_bytes(data[:4], "little"), data[4:]
            files[path], data = BytesBlob(data[:size]), data[size:]
        _plan(Tree(root, files))

    return run


def _joined(seeds: Seeds, *names: str) -> bytes:
    """The input for `_pieces` that has these artifact files."""
    pieces = seeds.artifacts(*names)
    return b"".join(len(piece).to_bytes(4, "little") + piece for piece in pieces)


def _captured(_: Seeds) -> bytes:
    """The input for `_pieces` that is a captured model."""
    folder = _SOURCES / "keras-model" / "whole"
    pieces = [(folder / name).read_bytes() for name in _CAPTURED]
    return b"".join(len(piece).to_bytes(4, "little") + piece for piece in pieces)


def _plan(tree: Tree) -> None:
    recognition.recognise(tree)
    packing.pack_artifacts([recognition.read(tree)], _scratch() / "a.modelbundle", overwrite=True)
    report = rules.validate(_scratch() / "a.modelbundle")
    assert report.ok, f"what was packed is not valid: {report.findings}"


_SCRATCH: list[tempfile.TemporaryDirectory[str]] = []


def _scratch() -> Path:
    """A folder for this process, in memory where the system has such a place."""
    if not _SCRATCH:
        memory = Path("/dev/shm")
        _SCRATCH.append(tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None))
    return Path(_SCRATCH[0].name)


def _zips(seeds: Seeds) -> list[bytes]:
    """The archives, and one whose members are compressed."""
    packed = io.BytesIO()
    whole = zipfile.ZipFile(io.BytesIO(seeds.artifact("net.keras")))
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name in whole.namelist():
            file.writestr(zipfile.ZipInfo(name), whole.read(name), zipfile.ZIP_DEFLATED)
    return [*seeds.artifacts("net.keras", "2-net.keras"), packed.getvalue()]


_H5 = ("net.h5", "2-net.h5", "net.weights.h5", "2-weights.h5", "oldest.h5", "latest.h5")

_SHARDS = ("net.weights.json", "net_00000.weights.h5")

_SOURCES = Path(__file__).resolve().parents[2] / "conformance" / "sources"

_CAPTURED = tuple(
    f"model/{name}"
    for name in ("model.json", "config.json", "training.json", "weights.safetensors",
                 "optimizer.safetensors", "state.safetensors")
)  # fmt: skip

_VARIABLES = ("variables/variables.index", "variables/variables.data-00000-of-00001")

TARGETS: Mapping[str, Target] = {
    "json": Target(_json, lambda seeds: seeds.cases("manifest.json")),
    "msgpack": Target(_msgpack, lambda seeds: seeds.cases("*.msgpack")),
    "manifest": Target(_manifest, lambda seeds: seeds.cases("manifest.json")),
    "tensor_index": Target(_tensor_index, lambda seeds: seeds.cases("tensors.msgpack")),
    "compositions": Target(_compositions, lambda seeds: seeds.cases("compositions.msgpack")),
    "archive": Target(_archive, lambda seeds: seeds.cases("bundle.modelbundle")),
    "hdf5": Target(_source("a.h5"), lambda seeds: seeds.artifacts(*_H5)),
    "keras_archive": Target(_source("a.keras"), _zips),
    "keras_config": Target(
        _source("a.json"), lambda seeds: seeds.artifacts("net.json", "2-net.json")
    ),
    "keras_model": Target(_pieces("model", *_CAPTURED), lambda seeds: [_captured(seeds)]),
    "checkpoint_table": Target(
        _checkpoint_table,
        lambda seeds: seeds.artifacts("ckpt.index", f"export/{_VARIABLES[0]}"),
    ),
    "checkpoint": Target(
        _pieces("ckpt", "ckpt.index", "ckpt.data-00000-of-00001"),
        lambda seeds: [
            _joined(seeds, "ckpt.index", "ckpt.data-00000-of-00001"),
            _joined(seeds, *(f"export/{name}" for name in _VARIABLES)),
        ],
    ),
    "saved_model": Target(
        _pieces("a", "a/saved_model.pb", *(f"a/{name}" for name in _VARIABLES)),
        lambda seeds: [
            _joined(seeds, *(f"{root}/{name}" for name in ("saved_model.pb", *_VARIABLES)))
            for root in ("export", "2-saved_model")
        ],
    ),
    "keras_shards": Target(
        _pieces(*_SHARDS[:1], *_SHARDS), lambda seeds: [_joined(seeds, *_SHARDS)]
    ),
    "safetensors": Target(
        _source("a.safetensors"), lambda seeds: seeds.artifacts("net.safetensors")
    ),
    "onnx": Target(_source("a.onnx"), lambda seeds: seeds.artifacts("net.onnx")),
    "tflite": Target(_source("a.tflite"), lambda seeds: seeds.artifacts("net.tflite")),
    "any": Target(
        _source("a"),
        lambda seeds: seeds.artifacts("net.h5", "net.keras", "net.json", "net.safetensors"),
    ),
}


def accepts(name: str, data: bytes) -> bool:
    """Run a target; whether it took the input. Raises what is neither a value nor `BundleError`."""
    try:
        TARGETS[name].run(data)
    except BundleError:
        return False
    return True
