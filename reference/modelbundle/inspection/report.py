"""What a bundle is, carries, needs and lacks, told from its manifest and index alone.

The layer graphs of its configs (`topology.json`) are read for the order of layers; no data is.

    answer = inspect("net.modelbundle")
    answer.missing                      # ("no optimizer state",)
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modelbundle.bundle import Bundle, open_bundle
from modelbundle.core import manifest as manifests
from modelbundle.core.as_json import as_json
from modelbundle.core.findings import BundleError, clip
from modelbundle.core.limits import LIMITS
from modelbundle.core.manifest import Component, Manifest
from modelbundle.inspection import layer_totals
from modelbundle.inspection.gaps import Holdings, missing
from modelbundle.inspection.layer_totals import LayerOrder, LayerTotal, Parameters, Total
from modelbundle.sources.keras import config_json as keras_json
from modelbundle.storage.layouts import DirectoryStorage

CONFIG_KIND = "keras.config"
_TOPOLOGY = "topology.json"


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes: of the stored files and the manifest; of the composed files; of the sources, which
    is what they take apart from one another."""

    stored: int
    composed: int
    sources: int


@dataclass(frozen=True, slots=True)
class Part:
    """A component: how many files it has and their bytes, and who wrote it where that is known."""

    id: str
    kind: str
    files: int
    bytes: int
    derived_from: str | None
    details: str | None
    written_by: str | None


@dataclass(frozen=True, slots=True)
class Hazard:
    """What a loader of `component` must not follow unasked (spec: Components)."""

    component: str
    layer: str
    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class Inspection:
    """The answer. `parts` has each source before what was taken from it."""

    digest: str
    layout: str
    title: str
    manifest: Manifest
    sizes: Sizes
    parts: tuple[Part, ...]
    parameters: Parameters
    layers: tuple[LayerTotal, ...]
    dtypes: tuple[Total, ...]
    roles: tuple[Total, ...]
    missing: tuple[str, ...]
    hazards: tuple[Hazard, ...]

    def to_json(self) -> dict[str, Any]:
        """The answer as `schemas/answers/inspect.schema.json` has it, without `tensors`."""
        document = json.loads(manifests.encode(self.manifest))
        kept = ("name", "metadata", "signatures", "requirements")
        return {
            "digest": self.digest,
            "version": self.manifest.version,
            "layout": self.layout,
            "title": self.title,
            **{key: document[key] for key in kept if key in document},
            "sizes": as_json(self.sizes),
            "components": as_json(self.parts),
            "parameters": as_json(self.parameters),
            "layers": as_json(self.layers),
            "dtypes": as_json(self.dtypes),
            "roles": as_json(self.roles),
            "missing": list(self.missing),
            "hazards": as_json(self.hazards),
        }


def inspect(bundle: Bundle | str | Path) -> Inspection:
    """Inspect a bundle, open or at a path or URL. Raises as `open` does, and `BundleError`."""
    if not isinstance(bundle, Bundle):
        with open_bundle(bundle) as opened:
            return inspect(opened)
    manifest, index = bundle.manifest, bundle.index
    order = LayerOrder(_topologies(bundle))
    layers = layer_totals.by_layer(index, order)
    roles = layer_totals.by_code(index, index.role, index.roles)
    optimizer = sum(total.tensors for total in roles if total.name == "optimizer")
    count = sum(layer.tensors for layer in layers)
    return Inspection(
        digest=bundle.digest,
        layout="directory" if isinstance(bundle.storage, DirectoryStorage) else "archive",
        title=_title(manifest),
        manifest=manifest,
        sizes=_sizes(bundle),
        parts=tuple(_parts(manifest)),
        parameters=layer_totals.parameters(index),
        layers=layers,
        dtypes=layer_totals.by_code(index, index.dtype, index.dtypes),
        roles=roles,
        missing=missing(
            Holdings(
                manifest, count, optimizer, _held(bundle), order.custom, [*order.without_vocabulary]
            )
        ),
        hazards=tuple(_hazards(manifest)),
    )


def tensor_rows(bundle: Bundle) -> Iterator[dict[str, Any]]:
    """Every tensor as the answer of `inspect --tensors --json` has it, ascending by name."""
    for tensor in bundle.tensors.values():
        row = tensor.row
        yield {
            "name": row.name,
            "dtype": row.dtype,
            "shape": list(row.shape),
            "file": row.file,
            "offset": row.offset,
            "length": row.length,
            "digest": row.digest,
            "role": row.role,
            "names": dict(tensor.names),
            **({"attributes": dict(tensor.attributes)} if tensor.attributes else {}),
        }


def _title(manifest: Manifest) -> str:
    """What to call the bundle: its name, else that of its model, else that of its first source."""
    configs = (c.properties.get("name") for c in manifest.components if c.kind == CONFIG_KIND)
    sources = (c.id for c in manifest.components if c.derived_from is None)
    named = (name for name in (manifest.name, *configs, *sources) if isinstance(name, str) and name)
    return next(named, "unnamed")


def _sizes(bundle: Bundle) -> Sizes:
    manifest = bundle.manifest
    stored = len(bundle.manifest_bytes) + sum(entry.size for entry in manifest.stored)
    composed = sum(entry.size for entry in manifest.composed)
    sources = sum(entry.size for entry in manifest.files if entry.role == "source")
    return Sizes(stored, composed, sources)


def _parts(manifest: Manifest) -> Iterator[Part]:
    """Each source, followed by what was taken from it."""

    def place(component: Component) -> tuple[str, str, str]:
        return _source_of(component, manifest).id, component.derived_from or "", component.id

    for component in sorted(manifest.components, key=place):
        yield Part(
            component.id,
            component.kind,
            len(component.files),
            sum(manifest.by_path[path].size for path in component.files),
            component.derived_from,
            _details(component),
            _written_by(component),
        )


def _source_of(component: Component, manifest: Manifest) -> Component:
    by_id = {each.id: each for each in manifest.components}
    while component.derived_from is not None:
        component = by_id[component.derived_from]
    return component


def _details(component: Component) -> str | None:
    """The properties that tell one component of its kind from another, as text."""
    keys = ("layout", "form", "dialect", "keys")
    texts = [value for key in keys if isinstance(value := component.properties.get(key), str)]
    if isinstance(selection := component.properties.get("selection"), list):
        texts += [text for text in selection if isinstance(text, str)]
    return ", ".join(map(clip, texts)) or None


_WRITERS = {"keras_version": "Keras ", "tensorflow_version": "TensorFlow ", "producer": ""}


def _written_by(component: Component) -> str | None:
    facts = component.properties
    said = ((name, facts.get(key)) for key, name in _WRITERS.items())
    texts = [f"{name}{fact}" for name, fact in said if isinstance(fact, str)]
    backend = facts.get("backend")
    text = ", ".join(texts) + (f" on {backend}" if texts and isinstance(backend, str) else "")
    return clip(text) or None


def _topologies(bundle: Bundle) -> Iterator[Any]:
    """The layer graphs of the bundle's configs; one that cannot be read only costs the order."""
    for component in bundle.manifest.components:
        for path in component.files if component.kind == CONFIG_KIND else ():
            small = bundle.manifest.by_path[path].size <= LIMITS.config_bytes
            if path.rpartition("/")[2] == _TOPOLOGY and small:
                data = bundle.read(path)
                with suppress(BundleError):
                    yield keras_json.parse(data, path).value


def _held(bundle: Bundle) -> dict[str, tuple[int, int]]:
    """For each source, the number of weights that it holds, and of those that it alone holds."""
    by_id = {component.id: component for component in bundle.manifest.components}
    rows: dict[str, set[int]] = {c.id: set() for c in by_id.values() if c.derived_from is None}
    weights = layer_totals.weights(bundle.index)
    for space in bundle.index.namespaces:
        source = _source_of(by_id[space.component], bundle.manifest)
        rows[source.id].update(space.tensors[weights[space.tensors]].tolist())
    holders = np.zeros(len(bundle.index), dtype=np.int64)
    for found in rows.values():
        holders[list(found)] += 1
    return {
        source: (len(r), sum(1 for row in r if holders[row] == 1)) for source, r in rows.items()
    }


def _hazards(manifest: Manifest) -> Iterator[Hazard]:
    for component in manifest.components:
        listed = component.properties.get("hazards", ())
        for hazard in listed if isinstance(listed, list) else ():
            if isinstance(hazard, dict):
                texts = (clip(str(hazard.get(key, ""))) for key in ("layer", "kind", "detail"))
                yield Hazard(component.id, *texts)
