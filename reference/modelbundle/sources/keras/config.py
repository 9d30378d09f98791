"""A Keras config as a source or as a part of one: JSON in; component, topology, needs out.

Accepted are `to_json()` of Keras 1 to 3, the bare `get_config()` of a model, one serialised layer
and one layer's bare `get_config()`. The config is kept byte for byte; beside it stands its
topology, the same graph in one dialect. Nothing that a config names is imported or opened.

    files, component, requirements = config_component("net.h5", text, derived_from="net.h5")
    files[1].path  # 'net.h5.derived/topology.json'
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from modelbundle.core.blobs import Blob, BytesBlob
from modelbundle.core.findings import BundleError, refuse
from modelbundle.core.limits import LIMITS
from modelbundle.sources.artifact import (
    Artifact,
    ArtifactFile,
    Component,
    Requirements,
    Tree,
)
from modelbundle.sources.keras import topology
from modelbundle.sources.keras.config_json import malformed, parse, within
from modelbundle.sources.keras.objects import Dialect, Form, dialect_of, is_object, root_form
from modelbundle.sources.keras.requirements import Survey, survey

KIND = "keras.config"
MEDIA_TYPE = "application/json"

_HEAD_BYTES = 1 << 16
_SERIALISED = re.compile(rb'"class_name"\s*:\s*"')


@dataclass(frozen=True, slots=True)
class KerasConfig:
    """A parsed config: its value, and what can be said before looking at its layers."""

    value: Any
    form: Form
    dialect: Dialect
    non_finite: bool

    @property
    def name(self) -> str | None:
        """The name of the model or layer."""
        inner = self.value.get("config") if is_object(self.value) else self.value
        return _text(inner, "name")

    def stated(self, key: str) -> str | None:
        """What `to_json` of Keras 1 and 2 adds: `keras_version` or `backend`."""
        return _text(self.value, key)


def load(config: bytes, place: str, *, of_model: bool = False) -> KerasConfig:
    """Parse and classify a config; `place` is its bundle path, for findings.

    `of_model` says that it is known to be a whole model's, so that a custom class is a model.
    Raises BundleError (KCF-01, KCF-02).
    """
    parsed = parse(config, place)
    form = root_form(parsed.value)
    if form is None:
        raise malformed(place, "the config of a Keras model or layer", _summary(parsed.value))
    if of_model and form == "layer":
        form = "subclassed"
    dialect = dialect_of(parsed.value, _text(parsed.value, "keras_version"))
    return KerasConfig(parsed.value, form, dialect, parsed.non_finite)


def _text(value: Any, key: str) -> str | None:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, str) else None


def _summary(value: Any) -> str:
    return f"keys {', '.join(sorted(value)[:8])}" if isinstance(value, dict) else repr(value)


def config_component(
    root: str,
    config: bytes,
    *,
    derived_from: str | None,
    path: str | None = None,
    of_model: bool | None = None,
) -> tuple[tuple[ArtifactFile, ...], Component, Requirements]:
    """The files, the component and the requirements of one config.

    `path` names the file that already holds the config; without it the config becomes the derived
    file `<root>.derived/config.json`. The topology is always new: `<root>.derived/topology.json`.
    The config is taken for that of a model if `of_model` says so, or else with `derived_from`.
    Raises BundleError (KCF-01 to KCF-03).
    """
    at = path or f"{root}.derived/config.json"
    loaded = load(config, at, of_model=derived_from is not None if of_model is None else of_model)
    record, canonical = _topology(loaded, at)
    graph = f"{root}.derived/topology.json"
    made = {graph: canonical} if path else {at: config, graph: canonical}
    files = (ArtifactFile(n, BytesBlob(data), MEDIA_TYPE, "derived") for n, data in made.items())
    found = survey(loaded.value, at)
    properties = _properties(loaded, record, found, at)
    component = Component(at, KIND, (at, graph), derived_from, properties)
    return tuple(files), component, found.requirements


def _topology(loaded: KerasConfig, place: str) -> tuple[topology.Record, bytes]:
    try:
        record = topology.build(loaded.value, loaded.form, loaded.dialect, place)
        return record, topology.dump(record, place)
    except RecursionError:
        raise refuse("KCF-02", place, "nesting that the stack has room for", "none left") from None


def _properties(
    loaded: KerasConfig, record: topology.Record, found: Survey, place: str
) -> dict[str, Any]:
    """What is known of a config; unknown properties are left out."""
    within(LIMITS.name_bytes, len((loaded.name or "").encode()), "bytes in a name", place)
    facts = {
        "dialect": loaded.dialect,
        "form": loaded.form,
        "name": loaded.name,
        "keras_version": loaded.stated("keras_version"),
        "backend": loaded.stated("backend"),
        "parameters_need_build": _needs_build(loaded.form, record),
        "non_finite": loaded.non_finite or None,
        "hazards": found.listed_hazards() or None,
    }
    return {key: value for key, value in facts.items() if value is not None}


def _needs_build(form: Form, record: topology.Record) -> bool:
    """Whether the shapes of the parameters cannot be told from the config alone."""
    if form == "functional":
        return False
    if form == "sequential":
        return not (record["layers"] and "batch_shape" in record["layers"][0])
    return "build_config" not in record


def recognise(tree: Tree) -> bool:
    """Whether `tree` is one file of JSON that is a Keras config, or begins as a serialised one."""
    blob = tree.single
    if blob is None or blob.size > LIMITS.config_bytes:
        return False
    head = blob.read(0, min(_HEAD_BYTES, blob.size))
    if head.lstrip()[:1] not in (b"{", b"["):
        return False
    return bool(_SERIALISED.search(head)) or (b'"name"' in head and _is_bare(blob, tree.root))


def _is_bare(blob: Blob, place: str) -> bool:
    try:
        load(blob.read(0, blob.size), place)
    except BundleError:
        return False
    return True


def read(tree: Tree) -> Artifact:
    """The artifact of a config that is a file of its own; raises BundleError (KCF-01 to KCF-03)."""
    blob = tree.single
    if blob is None:
        raise malformed(tree.root, "one file", f"{len(tree.files)} files")
    within(LIMITS.config_bytes, blob.size, "bytes", tree.root)
    config = blob.read(0, blob.size)
    files, component, requirements = config_component(
        tree.root, config, derived_from=None, path=tree.root
    )
    source = ArtifactFile(tree.root, blob, MEDIA_TYPE)
    return Artifact((source, *files), (), (component,), requirements=requirements)
