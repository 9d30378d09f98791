"""Vocabularies and other files of a bundle, given back to the layers that wrote them.

Each layer reads a directory that holds its own files and nothing else: no path that a config names
is opened.

    load_assets(model, find(bundle))
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelbundle.core.blobs import BytesBlob
from modelbundle.core.dtypes import to_numpy
from modelbundle.core.findings import checks, clip, refuse
from modelbundle.keras import stored_paths
from modelbundle.keras.saved import Saved
from modelbundle.keras.variables import layers
from modelbundle.sources.artifact import ArtifactTensor, Tree
from modelbundle.sources.keras.captured import OWN_VARIABLES
from modelbundle.sources.safetensors import read


def load_assets(target: Any, saved: Saved) -> None:
    """Have each layer load its files; raises `BundleError` (RST-05) for files of no layer."""
    files = saved.assets()
    if not files:
        return
    owners = layers(target) if saved.captured else stored_paths.objects(target)
    by_owner: dict[str, dict[str, bytes]] = {}
    for path, place in files.items():
        owner = _owner(path, owners, saved.place)
        name = path.removeprefix(f"{owner}/") if owner else path
        by_owner.setdefault(owner, {})[name] = saved.bundle.read(place)
    for owner, found in by_owner.items():
        _load(owners[owner], found)


@checks("RST-05")
def _owner(path: str, owners: Mapping[str, Any], place: str) -> str:
    """The path of the innermost layer that a file is for."""
    steps = path.split("/")[:-1]
    for depth in range(len(steps), -1, -1):
        owner = "/".join(steps[:depth])
        if hasattr(owners.get(owner), "load_assets") or path.endswith(f"{owner}/{OWN_VARIABLES}"):
            return owner
    raise refuse("RST-05", place, "a layer for each set of assets", clip(path))


def _load(layer: Any, files: dict[str, bytes]) -> None:
    if (own := files.pop(OWN_VARIABLES, None)) is not None:
        layer.load_own_variables(_arrays(own))
    if not files:
        return
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            file = Path(folder, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        layer.load_assets(folder)


def _arrays(data: bytes) -> dict[str, Any]:
    """The arrays of a safetensors file by name."""

    artifact = read(Tree(OWN_VARIABLES, {OWN_VARIABLES: BytesBlob(data)}))
    return {row.name: _array(data, row) for row in artifact.tensors}


def _array(data: bytes, row: ArtifactTensor) -> Any:
    import numpy as np

    flat = np.frombuffer(data[row.offset : row.offset + row.length], to_numpy(row.dtype))
    return flat.reshape(row.shape)
