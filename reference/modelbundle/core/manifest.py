"""The manifest: files, components, signatures and requirements of a bundle, as values.

`decode` turns the bytes of `manifest.json` into a `Manifest` and refuses everything that breaks
a rule; `encode` is its inverse. Nothing here reads a file: bytes in, values out.

    manifest = decode(data)
    manifest.by_path["net.h5"].size
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from modelbundle.core import canonical_json, manifest_rules, paths
from modelbundle.core.component_kinds import KINDS
from modelbundle.core.findings import settle
from modelbundle.core.manifest_rules import EXTENSIONS, MAJOR, MINOR, PLACE, check_size

__all__ = [
    "EXTENSIONS",
    "KINDS",
    "MAJOR",
    "MINOR",
    "PLACE",
    "VERSION",
    "Component",
    "CustomObject",
    "FileEntry",
    "FileRole",
    "Manifest",
    "Port",
    "Requirements",
    "Signature",
    "Storage",
    "check_size",
    "decode",
    "encode",
]

VERSION = "1.0-draft"

FileRole = Literal["source", "part", "derived", "index"]
Storage = Literal["stored", "composed"]

_Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file of the bundle: `size` in bytes, `digest` of its bytes."""

    path: str
    size: int
    digest: str
    media_type: str
    role: FileRole
    storage: Storage = "stored"


@dataclass(frozen=True, slots=True)
class Component:
    """A functional part of the bundle; `properties` is JSON (see spec: Components)."""

    id: str
    kind: str
    files: tuple[str, ...]
    derived_from: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    must_understand: bool = False


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a signature; an unknown dimension is None, a symbolic one its name."""

    name: str
    dtype: str
    shape: tuple[int | str | None, ...] | None


@dataclass(frozen=True, slots=True)
class Signature:
    """A named function that a component implements."""

    name: str
    component: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


@dataclass(frozen=True, slots=True)
class CustomObject:
    """A class or function that is not part of Keras and must be supplied by whoever loads."""

    registered_name: str
    class_name: str
    module: str | None
    component: str


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a consumer needs, known before loading."""

    layers: frozenset[str] = frozenset()
    custom_objects: frozenset[CustomObject] = frozenset()
    ops: frozenset[str] = frozenset()
    dtypes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Manifest:
    """A bundle's manifest. Collections are in canonical order however they were given."""

    files: tuple[FileEntry, ...]
    tensor_count: int
    tensor_bytes: int
    components: tuple[Component, ...] = ()
    signatures: tuple[Signature, ...] = ()
    requirements: Requirements = Requirements()
    directories: tuple[str, ...] = ()
    name: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    extensions: Mapping[str, Any] = field(default_factory=dict)
    version: str = VERSION

    @cached_property
    def by_path(self) -> Mapping[str, FileEntry]:
        """The files by their paths."""
        return {entry.path: entry for entry in self.files}

    @property
    def newer(self) -> bool:
        """Whether its minor version is newer than the one implemented here (VER-02)."""
        return manifest_rules.minor(self.version) > MINOR

    @property
    def stored(self) -> tuple[FileEntry, ...]:
        """Stored files in archive order: the indexes first, then ascending by path."""
        first = {paths.TENSORS: 0, paths.COMPOSITIONS: 1}
        stored = (entry for entry in self.files if entry.storage == "stored")
        return tuple(sorted(stored, key=lambda entry: (first.get(entry.path, 2), entry.path)))

    @property
    def composed(self) -> tuple[FileEntry, ...]:
        """Composed files, ascending by path."""
        return tuple(entry for entry in self.files if entry.storage == "composed")


def encode(manifest: Manifest) -> bytes:
    """The canonical bytes of `manifest`; as long whatever its digests are."""
    needs = manifest.requirements
    value: _Json = {
        "modelbundle": manifest.version,
        "files": [_file_json(entry) for entry in sorted(manifest.files, key=lambda f: f.path)],
        "tensors": {"count": manifest.tensor_count, "bytes": manifest.tensor_bytes},
        "components": [_component_json(c) for c in sorted(manifest.components, key=lambda c: c.id)],
        "signatures": [
            _signature_json(s)
            for s in sorted(manifest.signatures, key=lambda s: (s.name, s.component))
        ],
        "requirements": {
            "layers": sorted(needs.layers),
            "customObjects": [
                _custom_json(c) for c in sorted(needs.custom_objects, key=_custom_order)
            ],
            "ops": sorted(needs.ops),
            "dtypes": sorted(needs.dtypes),
        },
        "directories": sorted(manifest.directories),
        "name": manifest.name,
        "metadata": dict(manifest.metadata),
        "extensions": dict(manifest.extensions),
    }
    optional = ("directories", "name", "metadata", "extensions")
    return canonical_json.encode({k: v for k, v in value.items() if v or k not in optional})


def _file_json(entry: FileEntry) -> _Json:
    return {
        "path": entry.path,
        "size": entry.size,
        "digest": entry.digest,
        "mediaType": entry.media_type,
        "role": entry.role,
        "storage": entry.storage,
    }


def _component_json(component: Component) -> _Json:
    value: _Json = {
        "id": component.id,
        "kind": component.kind,
        "files": sorted(component.files),
        "derivedFrom": component.derived_from,
        "mustUnderstand": component.must_understand,
        "properties": dict(component.properties),
    }
    required = ("id", "kind", "files")
    return {key: item for key, item in value.items() if item or key in required}


def _signature_json(signature: Signature) -> _Json:
    return {
        "name": signature.name,
        "component": signature.component,
        "inputs": [_port_json(port) for port in signature.inputs],
        "outputs": [_port_json(port) for port in signature.outputs],
    }


def _port_json(port: Port) -> _Json:
    shape = None if port.shape is None else list(port.shape)
    return {"name": port.name, "dtype": port.dtype, "shape": shape}


def _custom_json(custom: CustomObject) -> _Json:
    value = {
        "registeredName": custom.registered_name,
        "className": custom.class_name,
        "module": custom.module,
        "component": custom.component,
    }
    return {key: item for key, item in value.items() if item is not None}


def _custom_order(custom: CustomObject) -> tuple[str, str, str, str]:
    return custom.registered_name, custom.class_name, custom.module or "", custom.component


_UNDERSTANDING = frozenset({"COM-03", "EXT-02"})


def decode(data: bytes, *, carried: bool = False) -> Manifest:
    """The manifest that `data` holds; raises `BundleError` with what one stage of checks found.

    `carried`: for a Copier, which need not understand what it carries (COM-03, EXT-02).
    """
    settle(check_size(len(data)))
    value = canonical_json.decode(data, PLACE)
    settle(manifest_rules.check_version(value))
    settle(manifest_rules.check_shape(value))
    findings = manifest_rules.check_content(value)
    settle(f for f in findings if not (carried and f.rule in _UNDERSTANDING))
    return _manifest(value)


def _manifest(value: _Json) -> Manifest:
    needs = value["requirements"]
    return Manifest(
        files=tuple(_file(entry) for entry in value["files"]),
        tensor_count=value["tensors"]["count"],
        tensor_bytes=value["tensors"]["bytes"],
        components=tuple(_component(component) for component in value["components"]),
        signatures=tuple(_signature(signature) for signature in value["signatures"]),
        requirements=Requirements(
            frozenset(needs["layers"]),
            frozenset(_custom(custom) for custom in needs["customObjects"]),
            frozenset(needs["ops"]),
            frozenset(needs["dtypes"]),
        ),
        directories=tuple(value.get("directories", ())),
        name=value.get("name"),
        metadata=value.get("metadata", {}),
        extensions=value.get("extensions", {}),
        version=value["modelbundle"],
    )


def _file(entry: _Json) -> FileEntry:
    return FileEntry(
        entry["path"],
        entry["size"],
        entry["digest"],
        entry["mediaType"],
        entry["role"],
        entry["storage"],
    )


def _component(value: _Json) -> Component:
    return Component(
        value["id"],
        value["kind"],
        tuple(value["files"]),
        value.get("derivedFrom"),
        value.get("properties", {}),
        value.get("mustUnderstand", False),
    )


def _signature(value: _Json) -> Signature:
    return Signature(
        value["name"], value["component"], _ports(value["inputs"]), _ports(value["outputs"])
    )


def _ports(values: Iterable[_Json]) -> tuple[Port, ...]:
    return tuple(
        Port(port["name"], port["dtype"], None if port["shape"] is None else tuple(port["shape"]))
        for port in values
    )


def _custom(value: _Json) -> CustomObject:
    return CustomObject(
        value["registeredName"], value["className"], value.get("module"), value["component"]
    )
