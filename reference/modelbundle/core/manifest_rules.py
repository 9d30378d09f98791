"""Rules about the manifest: what its JSON value has to be (VER, MAN, COM, SIG, REQ, EXT).

Three stages, each relying on the one before: the version, the shape (members and their types),
the content. A stage gives all its findings, so that an author can mend them at once. Every check
takes time and memory in proportion to the manifest, whatever it holds.

    settle(check_version(value))
    settle(check_shape(value))
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from modelbundle.core import component_kinds, digests, dtypes, paths
from modelbundle.core.findings import Finding, checks, clip
from modelbundle.core.limits import LIMITS

MAJOR, MINOR = 1, 0
"""The version of the standard that is implemented here."""

PLACE = paths.MANIFEST

EXTENSIONS: frozenset[str] = frozenset()
"""Extensions that this implementation understands."""

_VERSION = re.compile(r"([1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})(-draft)?")
_EXTENSION = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)
_CHOICES = {
    "role": ("source", "part", "derived", "index"),
    "storage": ("stored", "composed"),
}

_Json = dict[str, Any]


@checks("MAN-12")
def check_size(size: int) -> Iterator[Finding]:
    """A finding where a manifest of `size` bytes is over the limit."""
    if size > LIMITS.manifest_bytes:
        yield Finding("MAN-12", PLACE, f"at most {LIMITS.manifest_bytes} bytes", str(size))


@checks("MAN-02", "VER-01")
def check_version(value: Any) -> Iterator[Finding]:
    """A finding where the value says no version, or one of another major number."""
    place = f"{PLACE}#/modelbundle"
    version = value.get("modelbundle") if isinstance(value, dict) else None
    match = _VERSION.fullmatch(version) if isinstance(version, str) else None
    if not match:
        hint = "is this file the manifest of a model bundle?"
        yield Finding("MAN-02", place, "a version such as 1.0", clip(version), hint)
    elif int(match[1]) != MAJOR:
        hint = "use an implementation of that version"
        yield Finding("VER-01", place, f"version {MAJOR}.x", clip(version), hint)


def minor(version: str) -> int:
    """The minor number of a version."""
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
        {"id": "string", "kind": "name", "files": "array"},
        {"derivedFrom": "string", "mustUnderstand": "boolean", "properties": "object"},
    ),
    "signature": (
        {"name": "name", "component": "name", "inputs": "array", "outputs": "array"}, {},
    ),
    "port": ({"name": "name", "dtype": "string", "shape": "shape"}, {}),
    "requirements": (
        {"layers": "array", "customObjects": "array", "ops": "array", "dtypes": "array"}, {},
    ),
    "custom object": (
        {"registeredName": "name", "className": "name", "component": "name"},
        {"module": "string"},
    ),
}  # fmt: skip
"""Required and optional members of each object, with their types."""

_TYPES: dict[str, type] = {"string": str, "array": list, "object": dict, "boolean": bool}


def check_shape(value: Any) -> Iterator[Finding]:
    """Findings about types and members, here and in all objects within (MAN-01, -03, -11).

    In a manifest of a newer minor version unknown members are ignored (VER-02).
    """
    yield from _Shape(newer=minor(value["modelbundle"]) > MINOR).check(value)


@dataclass(frozen=True, slots=True)
class _Shape:
    newer: bool

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
            if name in value:
                is_optional = name in optional
                yield from _check_member(value[name], wanted, f"{place}/{name}", is_optional)
            elif name in required:
                yield Finding("MAN-01", place, f"a member {name!r}", "none")
        for name in () if self.newer else sorted(value.keys() - required.keys() - optional.keys()):
            hint = "use `extensions` or `metadata` for members of your own"
            yield Finding("MAN-03", place, "no other members", clip(name), hint)


def _check_member(item: Any, wanted: str, place: str, is_optional: bool) -> Iterator[Finding]:
    if is_optional and item in (None, "", False, [], {}):
        hint = "leave the member out"
        yield Finding("MAN-11", place, "a value, or no member", clip(item), hint)
    elif not _is_a(item, wanted):
        yield Finding("MAN-01", place, f"a value of type {wanted}", clip(item))


def _is_a(value: Any, wanted: str) -> bool:
    match wanted:
        case "integer":
            return type(value) is int and value >= 0
        case "shape":
            return value is None or isinstance(value, list)
        case "name":
            return isinstance(value, str) and value != ""
        case _:
            return isinstance(value, _TYPES[wanted])


def _check_strings(values: Any, pointer: str) -> Iterator[Finding]:
    for index, value in enumerate(values if isinstance(values, list) else ()):
        if not isinstance(value, str) or not value:
            yield Finding("MAN-01", f"{PLACE}#{pointer}/{index}", "a non-empty string", clip(value))


def check_content(value: _Json) -> Iterator[Finding]:
    """Findings about everything that needs the shape to be right."""
    files: list[_Json] = value["files"]
    listed = [entry["path"] for entry in files]
    directories: list[str] = value.get("directories", [])
    yield from _check_files(files)
    yield from _check_algorithms(files)
    yield from _check_totals(files)
    yield from _check_index_files(files)
    yield from _check_directories(directories, sorted(listed))
    own = [] if paths.MANIFEST in listed else [paths.MANIFEST]  # else PTH-06 says it
    yield from paths.check_collisions([*own, *listed, *directories], f"{PLACE}#/files")
    yield from _check_components(value["components"], frozenset(listed))
    yield from _check_kinds(value["components"])
    ids = frozenset(component["id"] for component in value["components"])
    yield from _check_signatures(value["signatures"], ids)
    yield from _check_requirements(value["requirements"])
    yield from _check_extensions(value.get("extensions", {}))


@checks("MAN-04", "MAN-05")
def _check_files(files: Sequence[_Json]) -> Iterator[Finding]:
    if len(files) > LIMITS.files:
        yield Finding("MAN-05", f"{PLACE}#/files", f"at most {LIMITS.files} files", str(len(files)))
        return
    yield from _check_ascending([f["path"] for f in files], "MAN-04", "/files")
    for index, entry in enumerate(files):
        place = f"{PLACE}#/files/{index}"
        yield from paths.check_path(entry["path"], f"{place}/path")
        if not _is_foreign(entry["digest"]) and not digests.PATTERN.fullmatch(entry["digest"]):
            expected = "sha256: and 64 lower-case hexadecimal digits"
            yield Finding("MAN-05", f"{place}/digest", expected, clip(entry["digest"]))
        for name, known in _CHOICES.items():
            if entry[name] not in known:
                expected = f"one of {', '.join(known)}"
                yield Finding("MAN-05", f"{place}/{name}", expected, clip(entry[name]))
        if not _MEDIA_TYPE.fullmatch(entry["mediaType"]):
            yield Finding("MAN-05", f"{place}/mediaType", "a media type", clip(entry["mediaType"]))


@checks("MAN-06")
def _check_algorithms(files: Sequence[_Json]) -> Iterator[Finding]:
    for index, entry in enumerate(files):
        if _is_foreign(entry["digest"]):
            place = f"{PLACE}#/files/{index}/digest"
            yield Finding("MAN-06", place, "a digest by sha256", clip(entry["digest"]))


def _is_foreign(digest: str) -> bool:
    """Whether `digest` names an algorithm that is not known here."""
    algorithm, colon, _ = digest.partition(":")
    return colon != "" and algorithm != digests.ALGORITHM


@checks("MAN-07")
def _check_totals(files: Sequence[_Json]) -> Iterator[Finding]:
    stored, composed = (
        sum(entry["size"] for entry in files if entry["storage"] == kind)
        for kind in _CHOICES["storage"]
    )
    if max(stored, composed) > LIMITS.safe_integer:
        found = str(max(stored, composed))
        yield Finding("MAN-07", f"{PLACE}#/files", "sizes that sum to less than 2^53", found)
    elif composed > LIMITS.composed_ratio * stored:
        expected = f"composed bytes at most {LIMITS.composed_ratio} times the stored {stored}"
        yield Finding("MAN-07", f"{PLACE}#/files", expected, str(composed))


@checks("MAN-08", "PTH-06")
def _check_index_files(files: Sequence[_Json]) -> Iterator[Finding]:
    place = f"{PLACE}#/files"
    by_path = {entry["path"]: entry for entry in files}
    if paths.MANIFEST in by_path:
        yield Finding("PTH-06", place, f"no file named {paths.MANIFEST}", paths.MANIFEST)
    for path, entry in by_path.items():
        if (path in paths.INDEX_FILES) != (entry["role"] == "index"):
            expected = "role index for index files, and for them only"
            yield Finding("PTH-06", place, expected, clip(path))
    found = paths.INDEX_FILES & by_path.keys()
    composed = any(entry["storage"] == "composed" for entry in files)
    wanted = {paths.TENSORS} | ({paths.COMPOSITIONS} if composed else set())
    for path in sorted(found):
        if by_path[path]["storage"] != "stored":
            yield Finding("MAN-08", place, f"{path} stored", clip(by_path[path]["storage"]))
    if found - {paths.RESIDUE} != wanted:
        expected = " and ".join(sorted(wanted, reverse=True))
        yield Finding("MAN-08", place, expected, ", ".join(sorted(found)) or "none")


@checks("MAN-10")
def _check_directories(directories: Sequence[str], files: Sequence[str]) -> Iterator[Finding]:
    yield from _check_ascending(directories, "MAN-10", "/directories")
    for index, path in enumerate(directories):
        place = f"{PLACE}#/directories/{index}"
        yield from paths.check_path(path, place)
        at = bisect_left(files, path)
        if files[at : at + 1] == [path] or paths.has_below(files, path):
            yield Finding("MAN-10", place, "a directory without files", clip(path))


@checks("COM-01", "COM-02", "COM-04", "COM-05")
def _check_components(components: Sequence[_Json], files: frozenset[str]) -> Iterator[Finding]:
    yield from _check_ascending([c["id"] for c in components], "COM-01", "/components")
    rootless = _rootless({component["id"]: component for component in components})
    for index, component in enumerate(components):
        pointer = f"/components/{index}"
        yield from _check_ascending(component["files"], "COM-02", f"{pointer}/files")
        if not 0 < len(component["id"].encode()) <= LIMITS.path_bytes:
            found = clip(component["id"])
            yield Finding("COM-01", f"{PLACE}#{pointer}/id", "1 to 1024 bytes", found)
        for path in component["files"]:
            if path not in files:
                expected = "a file that the manifest lists"
                yield Finding("COM-02", f"{PLACE}#{pointer}/files", expected, clip(path))
        if component["id"] in rootless:
            place = f"{PLACE}#{pointer}/derivedFrom"
            found = clip(component["derivedFrom"])
            yield Finding("COM-04", place, "another component, without a cycle", found)
        for place, expected, found in component_kinds.faults(component):
            yield Finding("COM-05", f"{PLACE}#{pointer}{place}", expected, clip(found))


def _rootless(by_id: Mapping[str, _Json]) -> frozenset[str]:
    """The ids of components from which `derivedFrom` leads nowhere or round in a circle."""
    rooted: dict[str, bool] = {}
    for start in by_id:
        chain: list[str] = []
        on_chain: set[str] = set()
        here: str | None = start
        while here is not None and here in by_id and here not in rooted and here not in on_chain:
            chain.append(here)
            on_chain.add(here)
            here = by_id[here].get("derivedFrom")
        rooted.update(dict.fromkeys(chain, here is None or rooted.get(here, False)))
    return frozenset(name for name, outcome in rooted.items() if not outcome)


@checks("COM-03")
def _check_kinds(components: Sequence[_Json]) -> Iterator[Finding]:
    for index, component in enumerate(components):
        if component.get("mustUnderstand") and component["kind"] not in component_kinds.KINDS:
            place = f"{PLACE}#/components/{index}/kind"
            expected = "a kind known here, since mustUnderstand is set"
            yield Finding("COM-03", place, expected, clip(component["kind"]))


@checks("SIG-01", "SIG-02", "SIG-03")
def _check_signatures(signatures: Sequence[_Json], ids: frozenset[str]) -> Iterator[Finding]:
    keys = [(signature["name"], signature["component"]) for signature in signatures]
    yield from _check_ascending(keys, "SIG-01", "/signatures")
    for index, signature in enumerate(signatures):
        place = f"{PLACE}#/signatures/{index}"
        if signature["component"] not in ids:
            found = clip(signature["component"])
            yield Finding("SIG-02", f"{place}/component", "the id of a component", found)
        for side in ("inputs", "outputs"):
            ports = signature[side]
            if len({port["name"] for port in ports}) != len(ports):
                expected = "ports with different names"
                yield Finding("SIG-01", f"{place}/{side}", expected, "a name twice")
            for at, port in enumerate(ports):
                if not (dtypes.is_known(port["dtype"]) and _is_shape(port["shape"])):
                    found = clip(f"{port['dtype']} {port['shape']}")
                    expected = "a known dtype and a valid shape"
                    yield Finding("SIG-03", f"{place}/{side}/{at}", expected, found)


def _is_shape(shape: Sequence[Any] | None) -> bool:
    if shape is None:
        return True
    return len(shape) <= LIMITS.rank and all(
        dim is None or (type(dim) is int and dim >= 0) or (isinstance(dim, str) and dim != "")
        for dim in shape
    )


@checks("REQ-01")
def _check_requirements(needs: _Json) -> Iterator[Finding]:
    for name in ("layers", "ops", "dtypes"):
        yield from _check_ascending(needs[name], "REQ-01", f"/requirements/{name}")
    keys = [
        (c["registeredName"], c["className"], c.get("module", ""), c["component"])
        for c in needs["customObjects"]
    ]
    yield from _check_ascending(keys, "REQ-01", "/requirements/customObjects")


@checks("EXT-01", "EXT-02")
def _check_extensions(extensions: _Json) -> Iterator[Finding]:
    for name, value in extensions.items():
        place = f"{PLACE}#/extensions/{name.replace('~', '~0').replace('/', '~1')}"
        if not _EXTENSION.fullmatch(name) or not isinstance(value, dict):
            expected = "an object under a reverse domain name"
            yield Finding("EXT-01", clip(place), expected, clip(name))
        elif value.get("mustUnderstand", True) is not True:
            found = clip(value["mustUnderstand"])
            yield Finding("EXT-01", clip(f"{place}/mustUnderstand"), "true, or no member", found)
        elif "mustUnderstand" in value and name not in EXTENSIONS:
            expected = "an extension known here, since mustUnderstand is set"
            yield Finding("EXT-02", clip(place), expected, clip(name))


def _check_ascending(values: Sequence[Any], rule: str, pointer: str) -> Iterator[Finding]:
    """A finding where `values` do not ascend strictly; code points order as UTF-8 bytes do."""
    for index, (one, two) in enumerate(pairwise(values)):
        if one >= two:
            found = f"{clip(two, 80)!r} after {clip(one, 80)!r}"
            place = f"{PLACE}#{pointer}/{index + 1}"
            yield Finding(rule, place, "strictly ascending order", found)
            return
