"""Sharded Keras weights: `NAME.weights.json` and the `.weights.h5` files that it names.

    {"metadata": {"total_size": 3532.0},
     "weight_map": {"/layers/dense/vars": ["net_00000.weights.h5", "net_00001.weights.h5"]}}

The index says for each group of variables in which shards it lies; group and shards are read
together, so that numbers and names are those of the whole model.

    files = {"net.weights.json": index, "net_00000.weights.h5": shard}
    artifact = read(Tree("net.weights.json", files))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from modelbundle.core.findings import BundleError, checks, clip, refuse
from modelbundle.sources.artifact import Artifact, ArtifactFile, Component, Tree
from modelbundle.sources.hdf5.contents import MEDIA_TYPE, Contents, read_contents, tensors_of
from modelbundle.sources.keras import config_json as keras_json
from modelbundle.sources.keras.weights import SHARDED, STRUCTURAL, labels_of

_SUFFIX = ".json"
_HEAD_BYTES = 4096
_MOST_BYTES = 64 << 20


def recognise(tree: Tree) -> bool:
    """Whether the root is an index of shards, by name and the start of its content."""
    blob = tree.files.get(tree.root)
    if blob is None or not tree.root.endswith(_SUFFIX) or blob.size > _MOST_BYTES:
        return False
    head = blob.read(0, min(blob.size, _HEAD_BYTES)).lstrip()
    return head.startswith(b"{") and b'"weight_map"' in head and b".safetensors" not in head


def companions(tree: Tree) -> tuple[str, ...]:
    """Names of the shards, as the index has them; raises BundleError (KHF-03)."""
    return tuple(sorted({name for names in _weight_map(tree).values() for name in names}))


def read(tree: Tree, derived_from: str | None = None, config: bytes | None = None) -> Artifact:
    """The shards as one artifact, `config` that of the model; raises BundleError (KHF-03, HDF)."""
    weight_map = _weight_map(tree)
    paths = _shard_paths(tree, weight_map)
    shards = [read_contents(tree.files[path], path) for path in paths]
    _check_map(tree, weight_map, shards)
    labels = labels_of(shards, STRUCTURAL, config)
    each = [tensors_of(shard, labels) for shard in shards]
    component = Component(tree.root, "hdf5", (tree.root, *paths), derived_from, {"layout": SHARDED})
    return Artifact(
        (
            ArtifactFile(tree.root, tree.files[tree.root], "application/json"),
            *(ArtifactFile(path, tree.files[path], MEDIA_TYPE) for path in paths),
            *(file for tensors in each for file in tensors.files),
        ),
        tuple(row for tensors in each for row in tensors.rows),
        (
            component,
            *(replace(more, derived_from=tree.root) for found in each for more in found.components),
        ),
    )


def _weight_map(tree: Tree) -> dict[str, list[str]]:
    """Group path to shard names, in the order of the index."""
    blob = tree.files[tree.root]
    try:
        index: Any = keras_json.parse(blob.read(0, min(blob.size, _MOST_BYTES)), tree.root).value
    except BundleError as error:
        raise _malformed(tree, "", "JSON", error.findings[0].found) from None
    entries = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(entries, dict):
        raise _malformed(tree, "/weight_map", "an object of group paths", type(entries).__name__)
    return {group.strip("/"): _names(tree, group, value) for group, value in entries.items()}


def _names(tree: Tree, group: str, value: object) -> list[str]:
    names = value if isinstance(value, list) else [value]
    found = [name for name in names if isinstance(name, str) and _is_beside(name)]
    if len(found) != len(names):
        expected = "names of files beside the index"
        raise _malformed(tree, "/weight_map", expected, f"{clip(group)}: {clip(value)}")
    return found


def _is_beside(name: str) -> bool:
    """Whether a name cannot lead elsewhere."""
    return name not in ("", ".", "..") and not set(name) & set("/\\\0:")


def _shard_paths(tree: Tree, weight_map: Mapping[str, Sequence[str]]) -> list[str]:
    """Paths of all shards in the tree, which stand beside the index."""
    folder = tree.root.rpartition("/")[0]
    paths = {
        f"{folder}/{name}" if folder else name for names in weight_map.values() for name in names
    }
    missing = sorted(paths - tree.files.keys())
    if missing:
        raise _malformed(
            tree, "/weight_map", "every shard beside the index", f"no {clip(missing[0])}"
        )
    return sorted(paths)


def _check_map(
    tree: Tree, weight_map: Mapping[str, Sequence[str]], shards: Sequence[Contents]
) -> None:
    """Each group is in the shards that the index names, and no dataset is in two of them."""
    by_name = {shard.path.rpartition("/")[2]: shard for shard in shards}
    for group, names in weight_map.items():
        for name in names:
            if group not in by_name[name].groups:
                raise _malformed(
                    tree, "/weight_map", f"group {clip(group)!r} in {clip(name)}", "no such group"
                )
    seen: dict[str, str] = {}
    for shard in shards:
        for path in shard.datasets:
            other = seen.setdefault(path, shard.path)
            if other is not shard.path:
                raise _malformed(
                    tree, "", f"{clip(path)!r} in one shard", f"it in {other} and {shard.path}"
                )


@checks("KHF-03")
def _malformed(tree: Tree, pointer: str, expected: str, found: str) -> BundleError:
    return refuse(
        "KHF-03",
        f"{tree.root}#{pointer}",
        expected,
        found,
        "put the shards beside the index, unchanged",
    )
