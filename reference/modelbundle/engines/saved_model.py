"""A SavedModel loaded by TensorFlow, its variables assigned straight from the bundle.

Only the graph, its assets and its fingerprint are written to a temporary directory, where
TensorFlow looks for them; values are read from the bundle by checkpoint key. Where a SavedModel
keeps in its checkpoint what is no variable (a mutable table) or a slice of one, its variables are
written there too, and TensorFlow restores them itself.

    function = load(bundle, signature, "/CPU:0").function
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelbundle.bundle import Bundle, check_digest
from modelbundle.core.findings import BundleError, checks, refuse, settle
from modelbundle.core.manifest import Component, Signature
from modelbundle.engines.engine import component_of, place
from modelbundle.storage.scan import scanner

KIND = "tensorflow.saved_model"

_NEEDED = ("saved_model.pb", "fingerprint.pb", "assets/", "assets.extra/")
"""Files of a SavedModel beside its variables."""
_REFERENCES = ("VariableV2", "Variable")
"""Operations that are variables of TensorFlow 1."""
_VALUE = "VARIABLE_VALUE"
_PASSIVE = frozenset({_VALUE, "OBJECT_CONFIG_JSON"})
"""Saved values that are variables, or that no graph reads."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A function of a SavedModel, whose `root` it must not outlive; variables by checkpoint key."""

    root: Any
    function: Any
    variables: Mapping[str, Any]


def load(bundle: Bundle, signature: Signature, device: str) -> Loaded:
    """Load a signature, on `device` as TensorFlow names it.

    Raises `BundleError` (RUN-05) where a variable that the function reads has no value.
    """
    import tensorflow as tf

    component = component_of(bundle, signature)
    tags, name = _tags(component, signature.name)
    nodes = _object_graph(bundle, component)
    whole = _restores_itself(nodes)
    with tempfile.TemporaryDirectory() as folder, tf.device(device):
        _write(bundle, component, Path(folder), whole=whole)
        options = tf.saved_model.LoadOptions(experimental_skip_checkpoint=not whole)
        root = tf.saved_model.load(folder, tags, options)
        variables = dict(_variables(root, nodes))
        assigned = _assign(bundle, component, variables, values=not whole)
    function = root.signatures[name]
    if not whole:
        _check_bound(function, assigned, signature)
    return Loaded(root, function, assigned)


def _tags(component: Component, name: str) -> tuple[list[str] | None, str]:
    """The tags of the graph that has the signature, and its name there (spec 13.6)."""
    sets: list[list[str]] = component.properties.get("tags", [])
    if len(sets) < 2:
        return None, name
    for tags in sets[1:]:
        prefix = f"{'+'.join(tags)}/"
        if name.startswith(prefix):
            return tags, name.removeprefix(prefix)
    return sets[0], name


def _object_graph(bundle: Bundle, component: Component) -> list[dict[str, Any]]:
    path = f"{component.id}.derived/object_graph.json"
    if path not in component.files:
        return []
    nodes: list[dict[str, Any]] = json.loads(bundle.read(path))["nodes"]
    return nodes


def _restores_itself(nodes: list[dict[str, Any]]) -> bool:
    """Whether something of the graph is restored in a way that only TensorFlow knows."""
    return any(value["name"] not in _PASSIVE for node in nodes for value in node.get("values", ()))


def _write(bundle: Bundle, component: Component, folder: Path, *, whole: bool) -> None:
    """The files that TensorFlow needs, each held against its digest."""
    prefix = f"{component.id}/"
    with scanner() as scans:
        for path in component.files:
            name = path.removeprefix(prefix)
            if not path.startswith(prefix) or not (whole or name.startswith(_NEEDED)):
                continue
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                scan = scans.scan(bundle.file(path), sink=file.write, crc=False)
            settle(check_digest(bundle.manifest.by_path[path], scan.digest))


def _variables(root: Any, nodes: list[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Checkpoint keys with the variables that they belong to: by the object graph, or by name."""
    if not nodes:
        yield from ((variable.name.rpartition(":")[0], variable) for variable in root.variables)
        yield from ((name, found) for name, found in _references(root))
        return
    import tensorflow as tf

    objects, waiting = {0: root}, [0]
    while waiting:
        number = waiting.pop()
        children = tf.train.TrackableView.children(objects[number])
        for name, child in nodes[number].get("children", {}).items():
            if name in children and child not in objects:
                objects[child] = children[name]
                waiting.append(child)
    for number, found in objects.items():
        for value in nodes[number].get("values", ()):
            if value["name"] == _VALUE and hasattr(found, "assign"):
                yield value["key"], found


@dataclass(frozen=True, slots=True)
class _Reference:
    """A variable of TensorFlow 1, for which TensorFlow 2 has no object."""

    root: Any
    handle: Any

    def assign(self, value: Any) -> None:
        """Give it a value, by a function made of the graph."""
        import tensorflow as tf

        with self.root.graph.as_default():
            given = tf.compat.v1.placeholder(self.handle.dtype.base_dtype, self.handle.shape)
            done = tf.identity(tf.compat.v1.assign(self.handle, given))
        self.root.prune(given, done)(tf.constant(value))


def _references(root: Any) -> Iterator[tuple[str, _Reference]]:
    for operation in root.graph.get_operations():
        if operation.type in _REFERENCES:
            yield operation.name, _Reference(root, operation.outputs[0])


def _assign(
    bundle: Bundle, component: Component, variables: Mapping[str, Any], *, values: bool
) -> dict[str, Any]:
    """Give variables their values; those that have one, by checkpoint key."""
    names = bundle.tensors.named(component.id, KIND)
    assigned = {key: variable for key, variable in variables.items() if key in names}
    if values:
        for key, variable in assigned.items():
            variable.assign(names[key].numpy())
    return assigned


@checks("RUN-05")
def _check_bound(function: Any, assigned: Mapping[str, Any], signature: Signature) -> None:
    """Every variable that the function reads has got its value."""
    handles = {id(variable.handle) for variable in assigned.values()}
    unbound = [v.name for v in function.graph.variables if id(v.handle) not in handles]
    operations = function.graph.get_operations()
    unbound += [op.name for op in operations if op.type in _REFERENCES and op.name not in assigned]
    if unbound:
        raise unbound_error(signature, unbound)


def unbound_error(signature: Signature, names: list[str]) -> BundleError:
    """The error for variables of a graph that no tensor of the bundle is for."""
    hint = "nothing was run: with values left out, the outputs would be wrong"
    expected = "a tensor for every variable and argument of the graph"
    return refuse("RUN-05", place(signature), expected, f"none for {', '.join(names)}", hint)
