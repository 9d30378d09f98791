"""The operation `write`: files, rows and components that a caller states become a bundle.

write(Path("spec.json"), Path("out.modelbundle"))       # the bundle digest
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modelbundle.core.blobs import BytesBlob
from modelbundle.core.manifest import Component, Port, Requirements, Signature
from modelbundle.packing import pack_artifacts
from modelbundle.sources.artifact import Artifact, ArtifactFile, ArtifactTensor

Json = dict[str, Any]


def write(path: Path, destination: Path) -> str:
    """Write the bundle of the specification at `path`; its digest."""
    spec = json.loads(path.read_bytes())
    return pack_artifacts(
        [artifact_of(spec, path.parent)],
        destination,
        directory=destination.suffix != ".modelbundle",
        name=spec.get("name"),
        metadata=spec.get("metadata"),
    )


def artifact_of(spec: Json, folder: Path) -> Artifact:
    """The specification as a source that was read; its names are those of one component."""
    (named,) = {each["component"] for each in spec.get("namespaces", ())} or {""}
    components = sorted(spec.get("components", ()), key=lambda each: each["id"] != named)
    return Artifact(
        tuple(_file(each, folder) for each in spec["files"]),
        tuple(_tensors(spec)),
        tuple(map(_component, components)),
        tuple(map(_signature, spec.get("signatures", ()))),
        _requirements(spec.get("requirements", {})),
        tuple(spec.get("directories", ())),
    )


def _file(each: Json, folder: Path) -> ArtifactFile:
    data = (folder / each.get("from", each["path"])).read_bytes()
    return ArtifactFile(each["path"], BytesBlob(data), "application/octet-stream")


def _tensors(spec: Json) -> Iterator[ArtifactTensor]:
    for row in spec.get("rows", ()):
        names = {each["system"]: each["names"][row["name"]] for each in spec.get("namespaces", ())
                 if row["name"] in each["names"]}  # fmt: skip
        yield ArtifactTensor(
            row["name"], row["dtype"], tuple(row["shape"]), row["file"], row["offset"],
            row["length"], row["role"], names, spec.get("attributes", {}).get(row["name"], {}),
        )  # fmt: skip


def _component(each: Json) -> Component:
    return Component(each["id"], each["kind"], tuple(each["files"]))


def _signature(each: Json) -> Signature:
    ports = [[Port(port["name"], port["dtype"], port["shape"]) for port in each[key]]
             for key in ("inputs", "outputs")]  # fmt: skip
    return Signature(each["name"], each["component"], *map(tuple, ports))


def _requirements(needs: Json) -> Requirements:
    return Requirements(frozenset(needs.get("layers", ())), ops=frozenset(needs.get("ops", ())))
