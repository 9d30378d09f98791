"""What Keras calls the datasets of its HDF5 files, and what part they play.

Three layouts: a legacy file lists layers and weights in attributes `layer_names` and
`weight_names`; Keras 3 numbers the variables of each object in a group `vars`, whose attribute
`name` is what the user called the object; anything else is plain HDF5. Names are only given where
the file or its config tells them, roles only where they follow from names or config.

    layout_of([contents])                                               # "keras-weights-v3"
    labels_of([contents], layout)["layers/dense/vars/0"].name          # "my_dense/0"
    labels_of([contents], layout, config)["layers/dense/vars/0"].name  # "my_dense/kernel"
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from modelbundle.core.findings import checks, clip, refuse
from modelbundle.sources.artifact import TensorRole
from modelbundle.sources.hdf5.contents import Contents, Label, unambiguous
from modelbundle.sources.keras.config_json import parse
from modelbundle.sources.keras.objects import describe, is_object
from modelbundle.sources.keras.variables import LayerRef, layer_paths, roles, variable_names

LEGACY_MODEL = "keras-model"
LEGACY_WEIGHTS = "keras-weights"
STRUCTURAL = "keras-weights-v3"
SHARDED = "keras-weights-sharded"
PLAIN = "plain"

MODEL_WEIGHTS = "model_weights"
OPTIMIZER_WEIGHTS = "optimizer_weights"
TOP_LEVEL_WEIGHTS = "top_level_model_weights"
VARIABLES = "vars"
OPTIMIZER = "optimizer"

_OUTPUT_INDEX = re.compile(r":\d+$")
_METRICS = {"metrics", "_metrics", "compile_metrics", "_compile_metrics"}
_NON_TRAINABLE = {"moving_mean", "moving_variance"}
_RNG = {"seed_generator_state", "StateVar"}
_PACKED_WEIGHTS = frozenset({"kernel", "embeddings", "reverse_embeddings"})
_INDEX_DIGITS = 10
_SEED_GENERATOR = "seed_generator"


def layout_of(files: Sequence[Contents]) -> str:
    """The layout of a file, or of the shards of one."""
    first = files[0]
    if _has(first, "", "model_config"):
        return LEGACY_MODEL
    if any(_has(first, group, "layer_names") for group in ("", MODEL_WEIGHTS)):
        return LEGACY_WEIGHTS
    is_structural = any(_owner(path) is not None for found in files for path in found.groups)
    return STRUCTURAL if is_structural else PLAIN


def labels_of(
    files: Sequence[Contents], layout: str, config: bytes | None = None
) -> dict[str, Label]:
    """A label for each dataset; `config` is that of the model, where it is known.

    Raises BundleError (KHF-01) where a legacy file names what it lacks, and those of the config.
    """
    labels: dict[str, Label] = {}
    objects = _objects(config) if config is not None else {}
    if layout in (LEGACY_MODEL, LEGACY_WEIGHTS):
        labels = _legacy_labels(files[0], objects)
    elif layout == STRUCTURAL:
        labels = _structural_labels(files, objects)
    return unambiguous({path for found in files for path in found.datasets}, labels)


def _objects(config: bytes) -> dict[str, LayerRef]:
    """What the config says about the objects of the model, by structural path."""
    objects = dict(layer_paths(config))
    value = parse(config, "config.json").value
    compiled = value.get("compile_config") if isinstance(value, dict) else None
    optimizer = compiled.get(OPTIMIZER) if isinstance(compiled, dict) else None
    if is_object(optimizer) and isinstance(settings := optimizer["config"], dict):
        name = settings.get("name")
        found = name if isinstance(name, str) else OPTIMIZER
        objects[OPTIMIZER] = LayerRef(found, describe(optimizer).class_name, settings)
    return objects


def _has(contents: Contents, group: str, name: str) -> bool:
    """Whether a group has an attribute of a name, whole or split."""
    return any(contents.attribute(group, found) is not None for found in (name, f"{name}0"))


def split_strings(contents: Contents, group: str, name: str) -> list[bytes]:
    """The strings of an attribute that may be split into `name0`, `name1`, …; [] if not there."""
    whole = contents.attribute(group, name)
    if whole is not None:
        return whole.strings()
    strings: list[bytes] = []
    part = 0
    while (attribute := contents.attribute(group, f"{name}{part}")) is not None:
        strings.extend(attribute.strings())
        part += 1
    return strings


def joined_strings(contents: Contents, group: str, name: str) -> bytes | None:
    """The bytes of an attribute that holds one text, whole or split; None if not there."""
    strings = split_strings(contents, group, name)
    return b"".join(strings) if strings else None


@dataclass(frozen=True, slots=True)
class _Weight:
    """A weight that a legacy file lists: the dataset, its layer and its name there."""

    path: str
    layer: str
    name: str

    @property
    def owner(self) -> str:
        """What the weight's name says it belongs to."""
        return self.name.rpartition("/")[0] or self.layer

    @property
    def variable(self) -> str:
        """The last part of its name."""
        return self.name.rpartition("/")[2]


def _legacy_labels(contents: Contents, objects: Mapping[str, LayerRef]) -> dict[str, Label]:
    base = MODEL_WEIGHTS if MODEL_WEIGHTS in contents.groups else ""
    weights = list(_legacy_weights(contents, base))
    count = Counter(weight.name for weight in weights)
    found = _legacy_roles(weights, {ref.name: ref for ref in objects.values()})
    labels = {}
    for weight in weights:
        name = weight.name if count[weight.name] == 1 else f"{weight.layer}/{weight.name}"
        labels[weight.path] = Label(name, found.get(weight.path) or _role_by_name(weight.variable))
    for weight in _weights_of(contents, OPTIMIZER_WEIGHTS, OPTIMIZER):
        labels[weight.path] = Label(weight.name, "optimizer")
    return labels


def _legacy_weights(contents: Contents, base: str) -> Iterator[_Weight]:
    """Every weight that the model's attributes list."""
    layers = [_text(name) for name in split_strings(contents, base, "layer_names")]
    if _join(base, TOP_LEVEL_WEIGHTS) in contents.groups and TOP_LEVEL_WEIGHTS not in layers:
        layers.append(TOP_LEVEL_WEIGHTS)
    for layer in layers:
        group = _join(base, layer)
        _check_named(contents, group in contents.groups, base, "layer_names", layer)
        yield from _weights_of(contents, group, layer)


def _weights_of(contents: Contents, group: str, layer: str) -> Iterator[_Weight]:
    """Every weight that the attribute `weight_names` of a group lists."""
    for raw in split_strings(contents, group, "weight_names"):
        name = _text(raw)
        path = _join(group, name)
        _check_named(contents, path in contents.datasets, group, "weight_names", name)
        yield _Weight(path, layer, _OUTPUT_INDEX.sub("", name))


@checks("KHF-01")
def _check_named(contents: Contents, there: bool, group: str, attribute: str, name: str) -> None:
    if not there:
        raise refuse(
            "KHF-01",
            f"{contents.path}#/{group}",
            f"what {attribute} lists to be in the file",
            f"no {clip(name)!r}",
            "the file was written in part or changed; save it again",
        )


def _legacy_roles(
    weights: Sequence[_Weight], refs: Mapping[str, LayerRef]
) -> dict[str, TensorRole]:
    """Roles by dataset, where the weight's layer is known and has just these variables."""
    by_owner: dict[tuple[str, str], list[_Weight]] = {}
    for weight in weights:
        by_owner.setdefault((weight.layer, weight.owner), []).append(weight)
    found: dict[str, TensorRole] = {}
    for (layer, owner), owned in by_owner.items():
        ref = (
            refs.get(f"{layer}/{owner}")
            or refs.get(owner)
            or (refs.get(layer) if owner == layer else None)
        )
        names = variable_names(ref.class_name, ref.config, len(owned)) if ref else None
        if ref and names and {weight.variable for weight in owned} == set(names):
            played = dict(
                zip(names, roles(ref.class_name, ref.config, len(owned)) or (), strict=False)
            )
            found.update(
                {
                    weight.path: played[weight.variable]
                    for weight in owned
                    if weight.variable in played
                }
            )
    return found


def _role_by_name(variable: str) -> TensorRole:
    if variable in _NON_TRAINABLE:
        return "non-trainable"
    return "rng" if variable in _RNG else "other"


def _structural_labels(
    files: Sequence[Contents], objects: Mapping[str, LayerRef]
) -> dict[str, Label]:
    names = dict(_object_names(files))
    owners = {
        owner for found in files for path in found.groups if (owner := _owner(path)) is not None
    }
    labels = {}
    for owner, stored in _variables(files).items():
        called = _called(owner, names, owners)
        ref = objects.get(owner)
        if ref is not None and names.get(owner) in (None, ref.name.rpartition("/")[2]):
            known = _known_labels(ref, called or ref.name, len(stored))
        else:
            known = []
        for path, index in stored:
            number = int(index) if index.isdecimal() and len(index) < _INDEX_DIGITS else len(known)
            name = None if called is None else _join(called, index)
            numbered = Label(name, _role_of(owner), is_keras=False)
            labels[path] = known[number] if number < len(known) else numbered
    return labels


def _variables(files: Sequence[Contents]) -> dict[str, list[tuple[str, str]]]:
    """Path and number of the variables that each object stores, over all shards."""
    found: dict[str, list[tuple[str, str]]] = {}
    for contents in files:
        for path in contents.datasets:
            group, _, index = path.rpartition("/")
            owner = _owner(group)
            if owner is not None:
                found.setdefault(owner, []).append((path, index))
    return found


def _owner(group: str) -> str | None:
    """The object whose variables a group holds; None where it is no group of variables."""
    owner, _, last = group.rpartition("/")
    return owner if last == VARIABLES else None


def _object_names(files: Sequence[Contents]) -> Iterator[tuple[str, str]]:
    """Owner of each `vars` group and the user's name for it, where Keras wrote one."""
    for found in files:
        for path in found.groups:
            owner = _owner(path)
            if owner is not None and (name := found.text(path, "name")):
                yield owner, name


def _known_labels(ref: LayerRef, name: str, count: int) -> list[Label]:
    """Labels of the `count` variables of an object of a built-in class; [] where they differ."""
    names = variable_names(ref.class_name, ref.config, count) or ()
    played = roles(ref.class_name, ref.config, count) or ()
    packed = _PACKED_WEIGHTS if _is_int4(ref) else frozenset[str]()
    return [
        Label(
            _join(name, variable),
            role,
            {"packing": "int4"} if variable in packed else {},
            is_keras=not variable[-1:].isdecimal(),
        )
        for variable, role in zip(names, played, strict=True)
    ]


def _is_int4(ref: LayerRef) -> bool:
    """Whether a layer's weights are int4, which Keras stores two to a byte, as int8."""
    dtype = ref.config.get("dtype")
    inner = dtype.get("config") if is_object(dtype) else None
    mode = inner.get("mode") if isinstance(inner, dict) else None
    return isinstance(mode, str) and mode.startswith("int4")


def _called(owner: str, names: Mapping[str, str], owners: Set[str]) -> str | None:
    """The names of the objects that lead to `owner`; None where the file has none of them.

    Groups that only hold other objects, such as `layers`, are no part of a name.
    """
    if not owner:
        return names.get("")
    steps = owner.split("/")
    prefixes = ["/".join(steps[: depth + 1]) for depth in range(len(steps))]
    if not any(prefix in names for prefix in prefixes):
        return None
    pairs = zip(prefixes, steps, strict=True)
    return "/".join(names.get(prefix, step) for prefix, step in pairs if prefix in owners)


def _role_of(owner: str) -> TensorRole:
    steps = owner.split("/")
    if steps[0] == OPTIMIZER:
        return "optimizer"
    if steps[0] in _METRICS:
        return "metric"
    return "rng" if steps[-1].lstrip("_").startswith(_SEED_GENERATOR) else "other"


def _join(group: str, name: str) -> str:
    return f"{group}/{name}" if group else name


def _text(name: bytes) -> str:
    return name.decode(errors="replace")
