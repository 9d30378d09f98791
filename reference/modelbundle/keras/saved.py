"""What a bundle tells about one Keras model: its config, how it was trained, its tensors by name.

A model is carried as a captured model (`keras.model`), as a `.keras` archive, as a whole model in
HDF5, or as a config and weights apart. `find` gives all of them one form; it imports no framework.

    saved = find(bundle)
    saved.config()["class_name"], sorted(saved.names("keras"))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from modelbundle.bundle import Bundle, Tensor
from modelbundle.core.findings import BundleError, Finding, UnsupportedError, checks, clip, refuse
from modelbundle.core.manifest import Component
from modelbundle.sources.keras import config_json, exact_values

CONFIG = "keras.config"
MODEL = "keras.model"
TRAINING = "training"
_ARCHIVE = "keras.archive"
_GRAPHS = frozenset({"tensorflow.saved_model", "stablehlo", "onnx", "tflite"})
_ASSETS = {MODEL: "/assets/", _ARCHIVE: ".members/assets/"}


@dataclass(frozen=True)
class Saved:
    """One Keras model of a bundle."""

    bundle: Bundle
    root: Component
    component: Component
    """The `keras.config`."""
    text: bytes
    training: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What `model.json` of a captured model says."""

    @property
    def captured(self) -> bool:
        """Whether a live model was captured, so that nothing of it may be missing."""
        return self.root.kind == MODEL

    def config(self) -> Any:
        """The config as Python values, made anew each time: Keras changes what it reads."""
        value = config_json.parse(self.text, self.place).value
        return exact_values.decode(value) if self.captured else value

    @property
    def version(self) -> str | None:
        """The version of Keras that wrote the model, where the bundle says it."""
        told = self.facts.get("keras_version")
        for component in (self.component, self.root):
            told = told or component.properties.get("keras_version")
        return told if isinstance(told, str) else None

    @property
    def place(self) -> str:
        """The path of the config."""
        return self.component.id

    @property
    def training_place(self) -> str:
        """The path of what says how the model was trained."""
        return f"{self.root.id}/training.json" if self.captured else self.place

    @cached_property
    def family(self) -> tuple[str, ...]:
        """Ids of the components whose tensors are this model's."""
        components = self.bundle.manifest.components
        holders = {space.component for space in self.bundle.index.namespaces}
        own = {c.id for c in components if _root(self.bundle, c) == self.root.id}
        if own & holders:
            return tuple(sorted(own & holders))
        roots = sorted({_root(self.bundle, c) for c in components if c.id in holders})
        if len(roots) > 1:
            hint = "pack the config and its weights in a bundle of their own"
            raise _unclear("weights of one source for the config", ", ".join(roots), hint)
        return tuple(sorted(holders))

    def names(self, system: str) -> dict[str, Tensor]:
        """The tensors of this model by their names in a naming system."""
        found: dict[str, Tensor] = {}
        for component in self.family:
            found |= self.bundle.tensors.named(component, system)
        return found

    def tensors(self) -> list[Tensor]:
        """The tensors of this model that have a name where Keras keeps them."""
        named = (self.names(system) for system in ("keras", "hdf5"))
        return list({t.name: t for names in named for t in names.values()}.values())

    def assets(self) -> dict[str, str]:
        """The files of layers: path below the directory of assets to bundle path."""
        prefix = self.root.id + _ASSETS.get(self.root.kind, "/")
        paths = [entry.path for entry in self.bundle.manifest.files]
        if self.root.kind not in _ASSETS:
            return {}
        return {path.removeprefix(prefix): path for path in paths if path.startswith(prefix)}


def find(bundle: Bundle, component: str | None = None) -> Saved:
    """The model of a bundle; `component` names it where there are several.

    It is the id of the source or of the config. Raises `BundleError` (RST-01 where there is no
    config, or several and none is named) and `UnsupportedError` (RST-04 for a config of Keras 1
    or 2).
    """
    found = _choose(bundle, component)
    root = _by_id(bundle)[_root(bundle, found)]
    _check_dialect(found)
    facts = _json(bundle, f"{root.id}/model.json") if root.kind == MODEL else {}
    text = bundle.read(found.id)
    return Saved(bundle, root, found, text, _training(bundle, root, text), facts)


def _by_id(bundle: Bundle) -> dict[str, Component]:
    return {component.id: component for component in bundle.manifest.components}


def _root(bundle: Bundle, component: Component) -> str:
    by_id = _by_id(bundle)
    while component.derived_from is not None:
        component = by_id[component.derived_from]
    return component.id


def _choose(bundle: Bundle, component: str | None) -> Component:
    configs = [c for c in bundle.manifest.components if c.kind == CONFIG]
    if component is not None:
        configs = [c for c in configs if component in (c.id, _root(bundle, c))]
    elif len(configs) > 1:  # an old model and what it was revived to
        configs = [c for c in configs if c.properties.get("dialect") == "keras3"] or configs
    if len(configs) == 1:
        return configs[0]
    if configs:
        found = ", ".join(c.id for c in configs)
        raise _unclear("one model", found, "name one: to_keras(component=…)")
    found = "none" if component is None else f"none of {clip(component)!r}"
    hint = "this bundle has weights only: build the model and call bundle.load_into(model)"
    if any(c.kind in _GRAPHS for c in bundle.manifest.components):
        hint = (
            "this bundle has weights and a graph: run it, bundle.run(inputs), "
            "or build the model and call bundle.load_into(model)"
        )
    raise _unclear("the config of a Keras model", found, hint)


@checks("RST-01")
def _unclear(expected: str, found: str, hint: str) -> BundleError:
    return refuse("RST-01", "manifest.json#/components", expected, found, hint)


@checks("RST-04")
def _check_dialect(component: Component) -> None:
    dialect = component.properties.get("dialect")
    if dialect != "keras3":
        hint = (
            "Keras 3 does not build this config. Its weights can be loaded into a model that you "
            "build: bundle.load_into(model)"
        )
        finding = Finding("RST-04", component.id, "a config of Keras 3", f"{dialect}", hint)
        raise UnsupportedError([finding])


def _training(bundle: Bundle, root: Component, config: bytes) -> Mapping[str, Any]:
    """As the config says where it does: `training.json` of a `.keras` writes 0.0 as 0."""
    if root.kind != MODEL:
        value = config_json.parse(config, root.id).value
        if isinstance(value, dict) and value.get("compile_config"):
            return {"compile_config": value["compile_config"]}
    for component in bundle.manifest.components:
        if component.kind == TRAINING and _root(bundle, component) == root.id:
            return _json(bundle, component.files[0])
    return {}


def _json(bundle: Bundle, path: str) -> Mapping[str, Any]:
    if path not in bundle.manifest.by_path:
        return {}
    value = exact_values.decode(config_json.parse(bundle.read(path), path).value)
    return value if isinstance(value, dict) else {}
