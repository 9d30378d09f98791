"""Small artifacts, manifests and bundles for tests of the core, storage, packing and reading."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from modelbundle.core import canonical_json
from modelbundle.core.blobs import BytesBlob
from modelbundle.core.findings import BundleError, Finding
from modelbundle.packing import pack_artifacts
from modelbundle.sources.artifact import (
    Artifact,
    ArtifactFile,
    ArtifactTensor,
    Component,
    Part,
)

ZERO_DIGEST = f"sha256:{'0' * 64}"


def rules_of(action: Callable[[], object]) -> list[str]:
    """The rules that `action` finds broken; fails where it raises anything but `BundleError`."""
    try:
        action()
    except BundleError as error:
        return [finding.rule for finding in error.findings]
    return []


def ids(findings: Iterable[Finding]) -> list[str]:
    return [finding.rule for finding in findings]


def file_json(path: str, size: int = 1, **changes: Any) -> dict[str, Any]:
    role = "index" if path.endswith(".msgpack") or path == "residue.bin" else "source"
    return {
        "path": path,
        "size": size,
        "digest": ZERO_DIGEST,
        "mediaType": "application/octet-stream",
        "role": role,
        "storage": "stored",
        **changes,
    }


def manifest_json(*files: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A valid manifest with one component, one signature and one custom object."""
    listed = list(files) or [file_json("net.bin", 64)]
    port = {"name": "x", "dtype": "float32", "shape": ["batch", 4, None]}
    return {
        "modelbundle": "1.0-draft",
        "files": sorted([*listed, file_json("tensors.msgpack", 9)], key=lambda f: f["path"]),
        "tensors": {"count": 0, "bytes": 0},
        "components": [{"id": "net.bin", "kind": "org.example.net", "files": [listed[0]["path"]]}],
        "signatures": [{"name": "f", "component": "net.bin", "inputs": [port], "outputs": []}],
        "requirements": {
            "layers": ["Dense"],
            "customObjects": [
                {"registeredName": "a>B", "className": "B", "component": "net.bin"},
            ],
            "ops": ["MatMul"],
            "dtypes": ["float32"],
        },
        **changes,
    }


def as_bytes(value: Any) -> bytes:
    return canonical_json.encode(value)


def artifact(
    files: dict[str, bytes],
    tensors: Sequence[tuple[str, str, int, int]] = (),
    *,
    root: str | None = None,
    parts: dict[str, tuple[Part, ...]] | None = None,
    system: str = "test",
    dtype: str = "uint8",
) -> Artifact:
    """An artifact of these files; a tensor is (name, path, offset, elements of one byte)."""
    root = root or next(iter(files))
    parts = parts or {}
    return Artifact(
        tuple(
            ArtifactFile(path, BytesBlob(data), "application/x-test", "source", parts.get(path, ()))
            for path, data in files.items()
        ),
        tuple(
            ArtifactTensor(name, dtype, (length,), path, offset, length, names={system: name})
            for name, path, offset, length in tensors
        ),
        (Component(root, "org.example.test", tuple(files)),),
    )


def random_bytes(count: int, seed: int = 0) -> bytes:
    return np.random.default_rng(seed).bytes(count)


def write_net(path: Path, seed: int = 0, rows: int = 64) -> Path:
    """A safetensors file with two weights, one of them twice, a scalar and an empty tensor."""
    generator = np.random.default_rng(seed)
    kernel = generator.normal(size=(rows, 16)).astype(np.float32)
    tensors = {
        "dense/kernel": kernel,
        "dense/copy": kernel,
        "dense/bias": generator.normal(size=16).astype(np.float16),
        "flags": np.array([True, False, True]),
        "step": np.array(7, np.int64),
        "empty": np.zeros((3, 0), np.int8),
    }
    save_file(tensors, path)
    return path


def pack_small(destination: Path, *, directory: bool = False) -> Path:
    """A bundle with stored and composed files, two components and an empty directory."""
    weights = random_bytes(256)
    one = artifact({"one.bin": b"head" + weights + b"tail"}, [("w", "one.bin", 4, 256)])
    two = artifact({"two.bin": weights + b"!"}, [("w", "two.bin", 0, 256)])
    folder = Artifact(one.files, one.tensors, one.components, directories=("empty",))
    pack_artifacts([folder, two], destination, directory=directory, name="small")
    return destination
