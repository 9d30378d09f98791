"""The manifest: files, components, signatures and requirements of a bundle, as values.

`decode` turns the bytes of `manifest.json` into a `Manifest` and refuses everything that breaks
a rule; `encode` is its inverse. Nothing here reads a file: bytes in, values out.

    manifest = decode(data)
    manifest.file("net.h5").size
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, cast

from modelbundle.core import canonical_json, digests, dtypes, paths
from modelbundle.core.findings import Finding, checks, clip, settle
from modelbundle.core.limits import LIMITS

VERSION = "1.0-draft"
MAJOR, MINOR = 1, 0
PLACE = paths.MANIFEST

FileRole = Literal["source", "part", "derived", "index"]
Storage = Literal["stored", "composed"]

KINDS = frozenset(
    {
        "assets", "card", "golden", "hdf5", "keras.archive", "keras.config", "onnx", "safetensors",
        "stablehlo", "tensorflow.checkpoint", "tensorflow.saved_model", "tflite", "training",
    }
)  # fmt: skip
"""Component kinds that the standard defines."""

EXTENSIONS: frozenset[str] = frozenset()
"""Extensions that this implementation understands."""

_VERSION = re.compile(r"([1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})(-draft)?")
_EXTENSION = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")

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
        return _minor(self.version) > MINOR

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


def decode(data: bytes) -> Manifest:
    """The manifest that `data` holds; raises `BundleError` naming every rule broken at one stage."""
    settle(check_size(len(data)))
    value = canonical_json.decode(data, PLACE)
    settle(_check_version(value))
    settle(_Shape(newer=_minor(value["modelbundle"]) > MINOR).check(value))
    settle(_check_content(value))
    return _manifest(value)


@checks("MAN-12")
def check_size(size: int) -> Iterator[Finding]:
    """A finding where a manifest of `size` bytes is over the limit."""
    if size > LIMITS.manifest_bytes:
        yield Finding("MAN-12", PLACE, f"at most {LIMITS.manifest_bytes} bytes", str(size))


@checks("MAN-02", "VER-01")
def _check_version(value: Any) -> Iterator[Finding]:
    version = value.get("modelbundle") if isinstance(value, dict) else None
    match = _VERSION.fullmatch(version) if isinstance(version, str) else None
    if not match:
        yield Finding(
            "MAN-02", f"{PLACE}#/modelbundle", "a version such as 1.0", clip(version),
            "is this file the manifest of a model bundle?",
        )  # fmt: skip
    elif int(match[1]) != MAJOR:
        yield Finding(
            "VER-01", f"{PLACE}#/modelbundle", f"version {MAJOR}.x", clip(version),
            "use an implementation of that version",
        )  # fmt: skip


def _minor(version: str) -> int:
    match = _VERSION.fullmatch(version)
    return int(match[2]) if match else 0


_MEMBERS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "manifest": (
        {"modelbundle": "string", "files": "array", "tensors": "object", "components": "array",
         "signatures": "array", "requirements": "object"},
        {"directories": "array", "name": "string", "metadata": "object", "extensions": "object"},
    ),
    "file": (
        {"path": "string", "size": "integer", "digest": "string", "mediaType": "string",
         "role": "string", "storage": "string"},
        {},
    ),
    "tensors": ({"count": "integer", "bytes": "integer"}, {}),
    "component": (
        {"id": "string", "kind": "string", "files": "array"},
        {"derivedFrom": "string", "mustUnderstand": "boolean", "properties": "object"},
    ),
    "signature": (
        {"name": "string", "component": "string", "inputs": "array", "outputs": "array"}, {},
    ),
    "port": ({"name": "string", "dtype": "string", "shape": "shape"}, {}),
    "requirements": (
        {"layers": "array", "customObjects": "array", "ops": "array", "dtypes": "array"}, {},
    ),
    "custom object": (
        {"registeredName": "string", "className": "string", "component": "string"},
        {"module": "string"},
    ),
}  # fmt: skip
"""Required and optional members of each object, with their types."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """Types and members of the whole manifest: MAN-01, MAN-03, MAN-11."""

    newer: bool
    """The minor version is newer than ours: unknown members are ignored (VER-02)."""

    def check(self, value: Any) -> Iterator[Finding]:
        whole = list(self._object(value, "manifest", ""))
        yield from whole
        if whole:
            return
        yield from self._object(value["tensors"], "tensors", "/tensors")
        yield from self._each(value["files"], "file", "/files")
        yield from self._each(value["components"], "component", "/components")
        yield from self._each(value["signatures"], "signature", "/signatures")
        for index, signature in enumerate(value["signatures"]):
            for side in ("inputs", "outputs"):
                ports = signature.get(side) if isinstance(signature, dict) else None
                yield from self._each(ports, "port", f"/signatures/{index}/{side}")
        yield from self._requirements(value["requirements"])
        yield from self._strings(value)

    def _requirements(self, value: _Json) -> Iterator[Finding]:
        yield from self._object(value, "requirements", "/requirements")
        objects = value.get("customObjects")
        yield from self._each(objects, "custom object", "/requirements/customObjects")
        for name in ("layers", "ops", "dtypes"):
            yield from _check_strings(value.get(name), f"/requirements/{name}")

    def _strings(self, value: _Json) -> Iterator[Finding]:
        yield from _check_strings(value.get("directories", []), "/directories")
        for index, component in enumerate(value["components"]):
            files = component.get("files") if isinstance(component, dict) else None
            yield from _check_strings(files, f"/components/{index}/files")

    def _each(self, items: Any, kind: str, pointer: str) -> Iterator[Finding]:
        for index, item in enumerate(items if isinstance(items, list) else ()):
            yield from self._object(item, kind, f"{pointer}/{index}")

    @checks("MAN-01", "MAN-03", "MAN-11", "VER-02")
    def _object(self, value: Any, kind: str, pointer: str) -> Iterator[Finding]:
        required, optional = _MEMBERS[kind]
        place = f"{PLACE}#{pointer}"
        if not isinstance(value, dict):
            yield Finding("MAN-01", place, f"an object ({kind})", clip(value))
            return
        for name, wanted in {**required, **optional}.items():
            if name not in value:
                if name in required:
                    yield Finding("MAN-01", place, f"a member {name!r}", "none")
            elif name in optional and value[name] in (None, "", False, [], {}):
                found = clip(value[name])
                yield Finding("MAN-11", f"{place}/{name}", "a value, or no member", found, "leave the member out")
            elif not _is_a(value[name], wanted):
                yield Finding("MAN-01", f"{place}/{name}", f"a value of type {wanted}", clip(value[name]))
        for name in () if self.newer else sorted(value.keys() - required.keys() - optional.keys()):
            hint = "use `extensions` or `metadata` for members of your own"
            yield Finding("MAN-03", place, "no other members", clip(name), hint)


def _is_a(value: Any, wanted: str) -> bool:
    match wanted:
        case "integer":
            return type(value) is int and value >= 0
        case "shape":
            return value is None or isinstance(value, list)
        case _:
            kinds = {"string": str, "array": list, "object": dict, "boolean": bool}
            return isinstance(value, kinds[wanted])


def _check_strings(values: Any, pointer: str) -> Iterator[Finding]:
    for index, value in enumerate(values if isinstance(values, list) else ()):
        if not isinstance(value, str) or not value:
            yield Finding("MAN-01", f"{PLACE}#{pointer}/{index}", "a non-empty string", clip(value))


def _check_content(value: _Json) -> Iterator[Finding]:
    """Everything that needs the shape to be right."""
    files = cast("list[_Json]", value["files"])
    yield from _check_files(files)
    yield from _check_algorithms(files)
    yield from _check_totals(files)
    yield from _check_index_files(files)
    yield from _check_directories(value.get("directories", []), {f["path"] for f in files})
    everything = [*(f["path"] for f in files), *value.get("directories", [])]
    yield from paths.check_collisions(everything, f"{PLACE}#/files")
    yield from _check_components(value["components"], {f["path"] for f in files})
    yield from _check_kinds(value["components"])
    ids = {c["id"] for c in value["components"]}
    yield from _check_signatures(value["signatures"], ids)
    yield from _check_requirements(value["requirements"], ids)
    yield from _check_extensions(value.get("extensions", {}))


@checks("MAN-04", "MAN-05")
def _check_files(files: list[_Json]) -> Iterator[Finding]:
    if len(files) > LIMITS.files:
        yield Finding("MAN-05", f"{PLACE}#/files", f"at most {LIMITS.files} files", str(len(files)))
        return
    yield from _check_ascending([f["path"] for f in files], "MAN-04", "/files")
    for index, entry in enumerate(files):
        place = f"{PLACE}#/files/{index}"
        yield from paths.check_path(entry["path"], f"{place}/path")
        well_formed = digests.PATTERN.fullmatch(entry["digest"])
        if not well_formed and entry["digest"].startswith(f"{digests.ALGORITHM}:"):
            expected = "sha256: and 64 lower-case hexadecimal digits"
            yield Finding("MAN-05", f"{place}/digest", expected, clip(entry["digest"]))
        for name, known in (("role", ("source", "part", "derived", "index")), ("storage", ("stored", "composed"))):
            if entry[name] not in known:
                yield Finding("MAN-05", f"{place}/{name}", f"one of {', '.join(known)}", clip(entry[name]))
        if not re.fullmatch(r"[\w.+-]+/[\w.+-]+", entry["mediaType"], re.ASCII):
            yield Finding("MAN-05", f"{place}/mediaType", "a media type", clip(entry["mediaType"]))


@checks("MAN-06")
def _check_algorithms(files: list[_Json]) -> Iterator[Finding]:
    for index, entry in enumerate(files):
        if not entry["digest"].startswith(f"{digests.ALGORITHM}:"):
            place = f"{PLACE}#/files/{index}/digest"
            yield Finding("MAN-06", place, "a digest by sha256", clip(entry["digest"]))


@checks("MAN-07")
def _check_totals(files: list[_Json]) -> Iterator[Finding]:
    total = {kind: sum(f["size"] for f in files if f["storage"] == kind) for kind in ("stored", "composed")}
    if max(total.values()) > LIMITS.safe_integer:
        yield Finding("MAN-07", f"{PLACE}#/files", "sizes that sum to less than 2^53", str(max(total.values())))
    elif total["composed"] > LIMITS.composed_ratio * total["stored"]:
        expected = f"composed bytes at most {LIMITS.composed_ratio} times the stored {total['stored']}"
        yield Finding("MAN-07", f"{PLACE}#/files", expected, str(total["composed"]))


@checks("MAN-08", "PTH-06")
def _check_index_files(files: list[_Json]) -> Iterator[Finding]:
    place = f"{PLACE}#/files"
    by_path = {f["path"]: f for f in files}
    if paths.MANIFEST in by_path:
        yield Finding("PTH-06", place, f"no file named {paths.MANIFEST}", paths.MANIFEST)
    for path, entry in by_path.items():
        if (path in paths.INDEX_FILES) != (entry["role"] == "index"):
            yield Finding("PTH-06", place, "role index for index files, and for them only", clip(path))
    stored = {path for path in paths.INDEX_FILES & by_path.keys() if by_path[path]["storage"] == "stored"}
    composed = any(f["storage"] == "composed" for f in files)
    wanted = {paths.TENSORS} | ({paths.COMPOSITIONS} if composed else set())
    if stored - {paths.RESIDUE} != wanted or paths.INDEX_FILES & by_path.keys() != stored:
        expected = f"stored {' and '.join(sorted(wanted, reverse=True))}"
        yield Finding("MAN-08", place, expected, ", ".join(sorted(stored)) or "none")


@checks("MAN-10")
def _check_directories(directories: list[str], files: set[str]) -> Iterator[Finding]:
    yield from _check_ascending(directories, "MAN-10", "/directories")
    parents = {path[:at] for path in files for at, c in enumerate(path) if c == "/"}
    for index, path in enumerate(directories):
        place = f"{PLACE}#/directories/{index}"
        yield from paths.check_path(path, place)
        if path in files or path in parents:
            yield Finding("MAN-10", place, "a directory without files", clip(path))


@checks("COM-01", "COM-02", "COM-04", "COM-05")
def _check_components(components: list[_Json], files: set[str]) -> Iterator[Finding]:
    yield from _check_ascending([c["id"] for c in components], "COM-01", "/components")
    by_id = {c["id"]: c for c in components}
    for index, component in enumerate(components):
        pointer = f"/components/{index}"
        yield from _check_ascending(component["files"], "COM-02", f"{pointer}/files")
        if not 0 < len(component["id"].encode()) <= LIMITS.path_bytes:
            yield Finding("COM-01", f"{PLACE}#{pointer}/id", "1 to 1024 bytes", clip(component["id"]))
        for path in component["files"]:
            if path not in files:
                yield Finding("COM-02", f"{PLACE}#{pointer}/files", "a file that the manifest lists", clip(path))
        if not _is_rooted(component, by_id):
            found = clip(component["derivedFrom"])
            yield Finding("COM-04", f"{PLACE}#{pointer}/derivedFrom", "another component, without a cycle", found)
        if component["kind"] in KINDS and not component["files"]:
            yield Finding("COM-05", f"{PLACE}#{pointer}/files", f"the files of the {component['kind']}", "none")


def _is_rooted(component: _Json, by_id: Mapping[str, _Json]) -> bool:
    for _ in range(len(by_id) + 1):
        if "derivedFrom" not in component:
            return True
        parent = by_id.get(component["derivedFrom"])
        if parent is None:
            return False
        component = parent
    return False


@checks("COM-03")
def _check_kinds(components: list[_Json]) -> Iterator[Finding]:
    for index, component in enumerate(components):
        if component.get("mustUnderstand") and component["kind"] not in KINDS:
            place = f"{PLACE}#/components/{index}/kind"
            yield Finding("COM-03", place, "a kind known here, since mustUnderstand is set", clip(component["kind"]))


@checks("SIG-01", "SIG-02", "SIG-03")
def _check_signatures(signatures: list[_Json], ids: set[str]) -> Iterator[Finding]:
    keys = [(s["name"], s["component"]) for s in signatures]
    yield from _check_ascending(keys, "SIG-01", "/signatures")
    for index, signature in enumerate(signatures):
        place = f"{PLACE}#/signatures/{index}"
        if signature["component"] not in ids:
            yield Finding("SIG-02", f"{place}/component", "the id of a component", clip(signature["component"]))
        for side in ("inputs", "outputs"):
            ports = signature[side]
            if len({port["name"] for port in ports}) != len(ports):
                yield Finding("SIG-01", f"{place}/{side}", "ports with different names", "a name twice")
            for at, port in enumerate(ports):
                if not (dtypes.is_known(port["dtype"]) and _is_shape(port["shape"])):
                    found = clip(f"{port['dtype']} {port['shape']}")
                    yield Finding("SIG-03", f"{place}/{side}/{at}", "a known dtype and a valid shape", found)


def _is_shape(shape: list[Any] | None) -> bool:
    if shape is None:
        return True
    return len(shape) <= LIMITS.rank and all(
        dim is None or (type(dim) is int and dim >= 0) or (isinstance(dim, str) and dim != "")
        for dim in shape
    )


@checks("REQ-01")
def _check_requirements(needs: _Json, ids: set[str]) -> Iterator[Finding]:
    for name in ("layers", "ops", "dtypes"):
        yield from _check_ascending(needs[name], "REQ-01", f"/requirements/{name}")
    keys = [
        (c["registeredName"], c["className"], c.get("module", ""), c["component"])
        for c in needs["customObjects"]
    ]
    yield from _check_ascending(keys, "REQ-01", "/requirements/customObjects")
    for *_, component in keys:
        if component not in ids:
            place = f"{PLACE}#/requirements/customObjects"
            yield Finding("REQ-01", place, "the id of a component", clip(component))


@checks("EXT-01", "EXT-02")
def _check_extensions(extensions: _Json) -> Iterator[Finding]:
    for name, value in extensions.items():
        place = f"{PLACE}#/extensions/{name.replace('~', '~0').replace('/', '~1')}"
        if not _EXTENSION.fullmatch(name) or not isinstance(value, dict):
            yield Finding("EXT-01", clip(place), "an object under a reverse domain name", clip(name))
        elif value.get("mustUnderstand", False) is not False and name not in EXTENSIONS:
            yield Finding("EXT-02", place, "an extension known here, since mustUnderstand is set", name)


def _check_ascending(values: list[Any], rule: str, pointer: str) -> Iterator[Finding]:
    """A finding where `values` are not strictly ascending; code points order as UTF-8 bytes do."""
    for index, (one, two) in enumerate(zip(values, values[1:], strict=False)):
        if one >= two:
            found = f"{clip(two, 80)!r} after {clip(one, 80)!r}"
            yield Finding(rule, f"{PLACE}#{pointer}/{index + 1}", "strictly ascending order", found)
            return


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
        entry["path"], entry["size"], entry["digest"], entry["mediaType"], entry["role"], entry["storage"]
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
