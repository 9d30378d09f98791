"""A Keras 1 or 2 model that a bundle carries: its layer graph, its training config, its tensors.

old = find_old(bundle)
old.topology["dialect"], sorted(old.weights)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelbundle.bundle import Bundle, Tensor
from modelbundle.core.manifest import Component

CONFIG = "keras.config"
OLD_DIALECTS = frozenset({"keras1", "keras2"})
_SYSTEMS = ("keras", "tensorflow.variable", "hdf5")
"""Naming systems, the one first that calls tensors as layers do."""


class NotRevivableError(ValueError):
    """There is no model of Keras 1 or 2 to revive, or no single one."""


@dataclass(frozen=True, slots=True)
class OldModel:
    """One old model of a bundle."""

    root: Component
    config: Component
    topology: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    """By the name that the old model had for it."""
    optimizer: Mapping[str, Tensor] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)

    @property
    def backend(self) -> str:
        """What Keras ran on when the model was written, where the file tells it."""
        return str(self.root.properties.get("backend", ""))

    @property
    def version(self) -> str:
        """The version of Keras that wrote the model, where the file tells it."""
        told = self.config.properties.get("keras_version")
        return str(self.root.properties.get("keras_version") or told or "")


def find_old(bundle: Bundle, component: str | None = None) -> OldModel:
    """The old model of a bundle; `component` is the id of its source or config, where several are.

    Raises `NotRevivableError`.
    """
    components = {each.id: each for each in bundle.manifest.components}
    roots = {each.id: _root(each, components) for each in components.values()}
    configs = [each for each in components.values() if each.kind == CONFIG]
    old = [each for each in configs if each.properties.get("dialect") in OLD_DIALECTS]
    if component is not None:
        old = [each for each in old if component in (each.id, roots[each.id])]
    if len(old) != 1:
        raise NotRevivableError(_why_not(configs, old))
    root = roots[old[0].id]
    tensors = _named(bundle, roots, root)
    return OldModel(
        components[root],
        old[0],
        json.loads(bundle.read(_topology(old[0]))),
        {name: tensor for name, tensor in tensors.items() if tensor.role not in _STATE},
        {name: tensor for name, tensor in tensors.items() if tensor.role == "optimizer"},
        _training(bundle, roots, root),
    )


_STATE = frozenset({"optimizer", "metric", "rng"})


def _why_not(configs: list[Component], old: list[Component]) -> str:
    if old:
        return f"several old models: {', '.join(each.id for each in old)}; name one"
    if not configs:
        return "no config of a Keras model: there are weights or a graph only"
    return f"no config of Keras 1 or 2, but {configs[0].properties.get('dialect')}"


def _root(component: Component, components: Mapping[str, Component]) -> str:
    while component.derived_from is not None:
        component = components[component.derived_from]
    return component.id


def _topology(config: Component) -> str:
    return next(path for path in config.files if path.endswith("topology.json"))


def _named(bundle: Bundle, roots: Mapping[str, str], root: str) -> dict[str, Tensor]:
    """The tensors of one source by name; weights of another source where it has none itself."""
    spaces = bundle.index.namespaces
    own = {space.component for space in spaces if roots[space.component] == root}
    family = own or {space.component for space in spaces}
    found: dict[str, tuple[str, Tensor]] = {}
    for system in _SYSTEMS:
        for component in sorted(family):
            for name, tensor in bundle.tensors.named(component, system).items():
                found.setdefault(tensor.name, (name, tensor))
    return dict(found.values())


def _training(bundle: Bundle, roots: Mapping[str, str], root: str) -> Mapping[str, Any]:
    for component in bundle.manifest.components:
        if component.kind == "training" and roots[component.id] == root:
            value: Any = json.loads(bundle.read(component.files[0]))
            for step in str(component.properties.get("pointer", "")).split("/")[1:]:
                value = value[step]
            return value if isinstance(value, dict) else {}
    return {}
