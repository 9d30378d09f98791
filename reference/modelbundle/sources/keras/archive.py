"""`.keras` files of Keras 3 and tf_keras: a zip of config, weights and assets.

Each member becomes a file of its own under `NAME.keras.members/`, so that the config is readable
as it is and the weights are HDF5 like any other; the archive itself is those files and what lies
between them.

    artifact = read(Tree("net.keras", {"net.keras": blob}))
    [file.path for file in artifact.files if file.role == "part"]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelbundle.core import canonical_json
from modelbundle.core.blobs import Blob, BytesBlob
from modelbundle.core.findings import BundleError, checks, refuse
from modelbundle.core.limits import LIMITS
from modelbundle.sources.artifact import Artifact, ArtifactFile, Component, FileRole, Part, Tree
from modelbundle.sources.hdf5.contents import MEDIA_TYPE as HDF5
from modelbundle.sources.keras import config_json as keras_json
from modelbundle.sources.keras import hdf5 as keras_hdf5
from modelbundle.sources.keras import shards as keras_shards
from modelbundle.sources.keras.config import config_component
from modelbundle.sources.keras.zip_members import (
    STORED,
    Member,
    content,
    first_name,
    looks_like_zip,
    read_members,
    verify,
)

CONFIG = "config.json"
METADATA = "metadata.json"
WEIGHTS = "model.weights.h5"
SHARDED_WEIGHTS = "model.weights.json"
ASSETS = "assets/"

_SUFFIX = ".keras"
_TAIL_BYTES = 1 << 16
_BUNDLE_FIRST = b"manifest.json"
_MEDIA_TYPES = {".json": "application/json", ".h5": HDF5}


def recognise(tree: Tree) -> bool:
    """Whether the source is a zip file that holds a Keras config, or is called one."""
    blob = tree.single
    if blob is None or not looks_like_zip(blob) or first_name(blob) == _BUNDLE_FIRST:
        return False
    tail = min(blob.size, _TAIL_BYTES)
    return tree.root.endswith(_SUFFIX) or CONFIG.encode() in blob.read(blob.size - tail, tail)


def read(tree: Tree) -> Artifact:
    """The source as an artifact; raises BundleError (KAR-01 to KAR-06, HDF, KHF, KCF)."""
    root, blob = tree.root, tree.files[tree.root]
    members = read_members(blob, root)
    folder = f"{root}.members"
    contents = {f"{folder}/{member.name}": content(blob, member, root) for member in members}
    config, weights = _check_complete(tree, folder, contents)
    files = _files(tree, folder, members, contents)
    component = Component(
        root,
        "keras.archive",
        tuple(file.path for file in files),
        None,
        _properties(contents.get(f"{folder}/{METADATA}")),
    )
    topology, config_of, requirements = config_component(
        root, config, derived_from=root, path=f"{folder}/{CONFIG}"
    )
    training = _training(root, folder, config)
    weighed = _weights(weights, contents, config, root)
    derived = [file for file in weighed.files if file.path not in contents]
    return Artifact(
        (*files, *topology, *training.files, *derived),
        weighed.tensors,
        (
            component,
            config_of,
            *training.components,
            *weighed.components,
            *_assets(folder, members, root),
        ),
        requirements=requirements,
    )


def verify_checksums(tree: Tree) -> None:
    """Read all stored members and hold them to their CRC-32; raises BundleError (KAR-05)."""
    blob = tree.files[tree.root]
    for member in read_members(blob, tree.root):
        if member.method == STORED:
            verify(blob, member, tree.root)


@checks("KAR-06")
def _check_complete(tree: Tree, folder: str, contents: Mapping[str, Blob]) -> tuple[bytes, str]:
    """The config's bytes and the path of the weights."""
    config = contents.get(f"{folder}/{CONFIG}")
    weights = [
        path for name in (WEIGHTS, SHARDED_WEIGHTS) if (path := f"{folder}/{name}") in contents
    ]
    if config is None or not weights or config.size > LIMITS.config_bytes:
        found = ", ".join(sorted(path.rpartition("/")[2] for path in contents)[:8]) or "nothing"
        raise refuse(
            "KAR-06",
            tree.root,
            f"{CONFIG} of at most {LIMITS.config_bytes} bytes and {WEIGHTS}",
            found,
            "save the model with model.save('NAME.keras')",
        )
    return config.read(0, config.size), weights[0]


def _files(
    tree: Tree, folder: str, members: Sequence[Member], contents: Mapping[str, Blob]
) -> tuple[ArtifactFile, ...]:
    """The archive and its members; an inflated member is no range of the archive."""
    parts = tuple(
        Part(member.offset, f"{folder}/{member.name}")
        for member in members
        if member.method == STORED
    )
    archive = ArtifactFile(
        tree.root, tree.files[tree.root], _archive_type(tree.root), "source", parts
    )
    rest = []
    for member in members:
        path = f"{folder}/{member.name}"
        stored = member.method == STORED
        role: FileRole = "part" if stored else "derived"
        crc32 = member.crc if stored else None
        rest.append(ArtifactFile(path, contents[path], _media_type(path), role, crc32=crc32))
    return (archive, *rest)


def _archive_type(root: str) -> str:
    return "application/zip" if root.endswith((_SUFFIX, ".zip")) else "application/octet-stream"


def _media_type(path: str) -> str:
    suffix = path[path.rfind(".") :] if "." in path.rpartition("/")[2] else ""
    return _MEDIA_TYPES.get(suffix, "application/octet-stream")


def _properties(metadata: Blob | None) -> dict[str, Any]:
    """The version of Keras; when the file was written is no property of the model."""
    if metadata is None or metadata.size > LIMITS.config_bytes:
        return {}
    try:
        value = keras_json.parse(metadata.read(0, metadata.size), METADATA).value
    except BundleError:
        return {}
    version = value.get("keras_version") if isinstance(value, dict) else None
    return {"keras_version": version} if isinstance(version, str) else {}


def _training(root: str, folder: str, config: bytes) -> Artifact:
    """How the model was compiled, where its config says so."""
    value = keras_json.parse(config, f"{folder}/{CONFIG}").value
    compiled = value.get("compile_config") if isinstance(value, dict) else None
    if not compiled:
        return Artifact((), (), ())
    path = f"{root}.derived/training.json"
    try:
        data = canonical_json.encode({"compile_config": compiled})
    except ValueError:
        # Not JSON that everyone reads (Infinity): it stays where it is.
        pointer = {"pointer": "/compile_config"}
        return Artifact(
            (), (), (Component(path, "training", (f"{folder}/{CONFIG}",), root, pointer),)
        )
    file = ArtifactFile(path, BytesBlob(data), "application/json", "derived")
    return Artifact((file,), (), (Component(path, "training", (path,), root),))


def _weights(path: str, contents: Mapping[str, Blob], config: bytes, root: str) -> Artifact:
    if path.endswith(SHARDED_WEIGHTS):
        return keras_shards.read(Tree(path, contents), derived_from=root, config=config)
    return keras_hdf5.read_file(contents[path], path, derived_from=root, config=config)


def _assets(folder: str, members: Sequence[Member], root: str) -> tuple[Component, ...]:
    paths = tuple(f"{folder}/{member.name}" for member in members if member.name.startswith(ASSETS))
    return (Component(f"{folder}/assets", "assets", paths, root),) if paths else ()
