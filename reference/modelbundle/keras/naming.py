"""Tensors of a bundle and variables of a live object under all their names, ready to be matched.

targets, sources = targets_of(model, WEIGHTS), sources_of(bundle, WEIGHTS)
pairs = match(targets, sources)
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from modelbundle.core import dtypes
from modelbundle.keras import stored_paths
from modelbundle.keras.matching import Named, normal
from modelbundle.keras.variables import Owned, layers, owned
from modelbundle.sources.tensorflow.checkpoint_variables import VALUE_SUFFIX

if TYPE_CHECKING:
    from modelbundle.bundle import Bundle

CAPTURED = "keras.model"
_CHECKPOINTS = frozenset({"tensorflow.checkpoint", "tensorflow.saved_model"})
_NAMES = frozenset({"keras", "tensorflow.variable"})
_PATHS = frozenset({"keras", "safetensors", *_CHECKPOINTS})
_BOOKS = re.compile(r"(.*/)?(_CHECKPOINTABLE_OBJECT_GRAPH|save_counter|_all_variables/\d+)")
"""What TensorFlow writes beside the variables: the object graph, how often it saved, and the
second copy of every weight in what Keras 3 exports."""

_NUMBER = re.compile(r"_\d+$")


def is_captured(bundle: Bundle, component: str | None) -> bool:
    """Whether tensors are named by path, since a live model was captured."""
    family = family_of(bundle, component)
    return any(c.kind == CAPTURED and c.id in family for c in bundle.manifest.components)


def sources_of(
    bundle: Bundle, roles: Collection[str], component: str | None = None
) -> tuple[Named, ...]:
    """The tensors of a bundle that have one of `roles`, or none that is known, under their names.

    `component` limits them to those that it, or a component derived from it, names.
    Raises `KeyError` where the bundle has no such component.
    """
    family = family_of(bundle, component)
    names = _names_by_row(bundle, family)
    captured = is_captured(bundle, component)
    found = []
    for number, name in enumerate(bundle.index.names):
        row = bundle.index.row(number)
        wanted = row.role in roles or row.role == "other"
        known = number in names or component is None
        if wanted and known and row.dtype != dtypes.STRING and not _is_book(name, names[number]):
            found.append(_source(bundle, number, names[number], captured))
    return tuple(found)


def roots_of(bundle: Bundle) -> list[str]:
    """The sources within a bundle that name tensors, captured models first."""
    naming = {space.component for space in bundle.index.namespaces}
    roots = [c for c in bundle.manifest.components if c.derived_from is None]
    found = [c for c in roots if naming & family_of(bundle, c.id)]
    return [c.id for c in sorted(found, key=lambda c: (c.kind != CAPTURED, c.id))]


def has_numbers(bundle: Bundle) -> bool:
    """Whether a tensor is called by a number, as those of `.weights.h5` are without a config."""
    return any(name.rpartition("/")[2].isdecimal() for name in bundle.index.names)


def family_of(bundle: Bundle, component: str | None) -> frozenset[str]:
    """A component and what is derived from it; all of them for None. Raises `KeyError`."""
    parents = {item.id: item.derived_from for item in bundle.manifest.components}
    if component is None:
        return frozenset(parents)
    if component not in parents:
        raise KeyError(f"the bundle has no component {component!r}; it has {', '.join(parents)}")
    family = {component}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return frozenset(family)


_SystemNames = dict[str, set[str]]


def _names_by_row(bundle: Bundle, family: frozenset[str]) -> defaultdict[int, _SystemNames]:
    """By row: names by naming system."""
    found: defaultdict[int, _SystemNames] = defaultdict(lambda: defaultdict(set))
    for space in bundle.index.namespaces:
        if space.component in family:
            for row, name in zip(space.tensors.tolist(), space.names, strict=True):
                found[row][space.system].add(name)
    return found


def _is_book(name: str, names: _SystemNames) -> bool:
    called = set().union(*(names[system] for system in _CHECKPOINTS & names.keys())) or {name}
    return "keras" not in names and all(
        _BOOKS.fullmatch(each.removesuffix(VALUE_SUFFIX)) for each in called
    )


def _source(bundle: Bundle, number: int, names: _SystemNames, captured: bool) -> Named:
    from modelbundle.bundle import Tensor

    tensor = Tensor(bundle, number)
    systems = {system: _normal(called) for system, called in names.items()}
    own = _normal({tensor.name})
    attributes = _of_systems(systems, _CHECKPOINTS | ({"keras"} if captured else set()))
    names_of_layers = _of_systems(systems, _NAMES) | (own - attributes)
    if tensor.role == "optimizer":
        names_of_layers |= frozenset(map(_unnumbered, names_of_layers))
    every = {tensor.name}.union(*names.values())
    return Named(
        tensor.name,
        tensor.role,
        tensor.dtype,
        tensor.shape,
        own | attributes | _of_systems(systems, _PATHS),
        names_of_layers,
        attributes,
        frozenset(every) | _normal(every),
        systems,
        content=tensor.row.digest,
        read=tensor.numpy,
    )


def _of_systems(systems: Mapping[str, frozenset[str]], wanted: Collection[str]) -> frozenset[str]:
    return frozenset().union(*(names for system, names in systems.items() if system in wanted))


def _unnumbered(name: str) -> str:
    """The name of an optimizer's variable without the number that Keras gave the optimizer."""
    first, _, rest = name.partition("/")
    return f"{_NUMBER.sub('', first)}/{rest}"


def _normal(names: Iterable[str]) -> frozenset[str]:
    return frozenset(map(normal, names))


def targets_of(target: Any, roles: Collection[str], *, numbered: bool = True) -> tuple[Named, ...]:
    """The variables of a model, a layer or a mapping that have one of `roles`.

    Values of a mapping are variables, or layers, whose variables are then called `KEY/NAME`.
    `numbered`: with their numbers as names too, which takes a while to find out.
    """
    if isinstance(target, Mapping):
        return tuple(_of_mapping(target, roles, numbered))
    training = not {"optimizer", "metric"}.isdisjoint(roles)
    items = [item for item in owned(target, training=training) if item.role in roles]
    called, by_number = _layer_names(target), defaultdict[int, set[str]](set)
    if numbered:
        by_number = _numbered_names(target)
    return tuple(
        variable_as(
            item.name,
            item.variable,
            item.role,
            paths={item.name},
            names=by_number[id(item.variable)].union(
                _own_names(item)
                if item.role == "optimizer"
                else {*_rooted(target, called(item.owner, item.name)), item.variable.path}
            ),
        )
        for item in items
    )


def _own_names(item: Owned) -> set[str]:
    """What Keras calls an optimizer's variable: `adam/dense_kernel_momentum`."""
    path = str(item.variable.path)
    return {path, _unnumbered(path)}


def variable_as(
    name: str, variable: Any, role: str, paths: Collection[str], names: Collection[str]
) -> Named:
    """A variable of Keras or TensorFlow under the names given."""
    path = str(getattr(variable, "path", name))
    systems = {
        "tensorflow.variable": _normal({path}),
        "keras": _normal({*paths, *names}),
        "safetensors": _normal({*paths, *names}),
    }
    return Named(
        name,
        role,
        str(getattr(variable.dtype, "name", variable.dtype)).removeprefix("torch."),
        tuple(int(size) for size in variable.shape),
        _normal(paths),
        _normal(names),
        _normal(paths),
        _normal({*paths, *names}),
        systems,
        value=variable,
        read=lambda: _value(variable),
    )


def _value(variable: Any) -> Any:
    from keras import ops

    return ops.convert_to_numpy(getattr(variable, "value", variable))


def _of_mapping(
    target: Mapping[str, Any], roles: Collection[str], numbered: bool
) -> Iterator[Named]:
    for key, value in target.items():
        if hasattr(value, "trainable_variables"):
            for item in targets_of(value, roles, numbered=numbered):
                name, names = f"{key}/{item.name}", {f"{key}/{each}" for each in item.names}
                yield variable_as(name, item.value, item.role, {name}, names)
        else:
            yield variable_as(key, value, "trainable", {key}, {key})


def _rooted(target: Any, name: str) -> set[str]:
    """A name below the object itself, and one that begins with the object's own."""
    return {name, f"{target.name}/{name}"}


def _layer_names(target: Any) -> Callable[[str, str], str]:
    """What makes a name of layers' own names out of a path of attributes."""
    known = layers(target)

    def called(owner: str, name: str) -> str:
        steps: list[str] = []
        pending: list[str] = []
        walked = ""
        for step in filter(None, owner.split("/")):
            walked = f"{walked}/{step}" if walked else step
            pending.append(step)
            if walked in known:
                steps.append(known[walked].name)
                pending = []
        variable = name[len(owner) + 1 :] if owner else name
        return "/".join([*steps, *pending, variable])

    return called


def _numbered_names(target: Any) -> defaultdict[int, set[str]]:
    """By identity of a variable: `LAYER/NUMBER`, as `.weights.h5` has it without a config."""
    objects = stored_paths.objects(target)
    found: defaultdict[int, set[str]] = defaultdict(set)
    for path, variable in stored_paths.variables(target, objects).items():
        owner, _, number = path.rpartition("/vars/")
        steps = owner.split("/")
        if not path.startswith(("optimizer/", "vars/")):
            prefixes = ("/".join(steps[: depth + 1]) for depth in range(len(steps)))
            names = [str(objects[prefix].name) for prefix in prefixes
                     if hasattr(objects.get(prefix), "name")]  # fmt: skip
            found[id(variable)].update(_rooted(target, "/".join([*names, number])))
        elif path.startswith("vars/"):
            found[id(variable)].update(_rooted(target, number))
    return found


def structural(target: Any) -> dict[int, set[str]]:
    """By identity of a variable: its paths in a `.weights.h5`, `layers/dense/vars/0`."""
    found: defaultdict[int, set[str]] = defaultdict(set)
    for path, variable in stored_paths.variables(target).items():
        found[id(variable)].add(path)
    return found


def checkpoint_keys(target: Any) -> dict[int, set[str]]:
    """By identity of a variable: the keys that a checkpoint of `target` alone would have.

    Raises `ImportError` without TensorFlow.
    """
    import tensorflow as tf

    view = tf.train.TrackableView(target)
    found: defaultdict[int, set[str]] = defaultdict(set)
    reached: dict[int, Any] = {id(target): target}  # kept alive, so that no identity is used twice
    waiting = [("", target)]
    for path, item in waiting:
        for name, child in view.children(item).items():
            below = f"{path}/{name}" if path else name
            found[id(child)].add(below)
            if id(child) not in reached:
                reached[id(child)] = child
                waiting.append((below, child))
    return found
