"""What Keras calls the datasets of its HDF5 files, and what part they play.

Three layouts: a legacy file lists layers and weights in attributes `layer_names` and
`weight_names`; Keras 3 numbers the variables of each object in a group `vars`, whose attribute
`name` is what the user called the object; anything else is plain HDF5. Names are only given where
the file or its config tells them, roles only where they follow from names or config.

    layout_of([contents])                           # "keras-weights-v3"
    labels_of([contents], layout)["layers/dense/vars/0"].keras   # "my_dense/0"
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from modelbundle.core.findings import checks, clip, refuse
from modelbundle.sources.artifact import TensorRole
from modelbundle.sources.hdf5_contents import Contents, Label, unambiguous

LEGACY_MODEL = "keras-model"
LEGACY_WEIGHTS = "keras-weights"
STRUCTURAL = "keras-weights-v3"
SHARDED = "keras-weights-sharded"
PLAIN = "plain"

MODEL_WEIGHTS = "model_weights"
OPTIMIZER_WEIGHTS = "optimizer_weights"
TOP_LEVEL_WEIGHTS = "top_level_model_weights"
VARIABLES = "vars"

_OUTPUT_INDEX = re.compile(r":\d+$")
_METRICS = {"metrics", "_metrics", "compile_metrics", "_compile_metrics"}
_NON_TRAINABLE = {"moving_mean", "moving_variance", "moving_std", "running_mean", "running_std",
                  "running_variance"}  # fmt: skip
_RNG = {"seed_generator_state", "StateVar"}
_SEED_GENERATOR = "seed_generator"


def layout_of(files: Sequence[Contents]) -> str:
    """The layout of a file, or of the shards of one."""
    first = files[0]
    if joined_strings(first, "", "model_config"):
        return LEGACY_MODEL
    if any(has_strings(first, group, "layer_names") for group in ("", MODEL_WEIGHTS)):
        return LEGACY_WEIGHTS
    if any(path.rpartition("/")[2] == VARIABLES for found in files for path in found.groups):
        return STRUCTURAL
    return PLAIN


def labels_of(files: Sequence[Contents], layout: str) -> dict[str, Label]:
    """A label for each dataset; raises BundleError (KHF-01) where a legacy file names what it lacks."""
    labels: dict[str, Label] = {}
    if layout in (LEGACY_MODEL, LEGACY_WEIGHTS):
        labels = _legacy_labels(files[0])
    elif layout == STRUCTURAL:
        labels = _structural_labels(files)
    return unambiguous({path for found in files for path in found.datasets}, labels)


def has_strings(contents: Contents, group: str, name: str) -> bool:
    """Whether a group has an attribute of a name, whole or split."""
    return any(contents.attribute(group, found) is not None for found in (name, f"{name}0"))


def split_strings(contents: Contents, group: str, name: str) -> list[bytes]:
    """The strings of an attribute that may be split into `name0`, `name1`, …; [] where it is not there."""
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
    """The bytes of an attribute that holds one text, whole or split; None where it is not there."""
    strings = split_strings(contents, group, name)
    return b"".join(strings) if strings else None


def _legacy_labels(contents: Contents) -> dict[str, Label]:
    base = MODEL_WEIGHTS if MODEL_WEIGHTS in contents.groups else ""
    weights = list(_legacy_weights(contents, base))
    count = Counter(name for _, _, name in weights)
    labels = {}
    for path, layer, name in weights:
        unique = name if count[name] == 1 else f"{layer}/{name}"
        labels[path] = Label(unique, _legacy_role(name))
    for path, name in _weights_of(contents, OPTIMIZER_WEIGHTS):
        labels[path] = Label(name, "optimizer")
    return labels


def _legacy_weights(contents: Contents, base: str) -> Iterator[tuple[str, str, str]]:
    """Path, layer and name of every weight that the model's attributes list."""
    layers = [_text(name) for name in split_strings(contents, base, "layer_names")]
    if _join(base, TOP_LEVEL_WEIGHTS) in contents.groups and TOP_LEVEL_WEIGHTS not in layers:
        layers.append(TOP_LEVEL_WEIGHTS)
    for layer in layers:
        group = _join(base, layer)
        _check_named(contents, group in contents.groups, base, "layer_names", layer)
        for path, name in _weights_of(contents, group):
            yield path, layer, name


def _weights_of(contents: Contents, group: str) -> Iterator[tuple[str, str]]:
    """Path and name of every weight that the attribute `weight_names` of a group lists."""
    for raw in split_strings(contents, group, "weight_names"):
        weight = _text(raw)
        path = _join(group, weight)
        _check_named(contents, path in contents.datasets, group, "weight_names", weight)
        yield path, _OUTPUT_INDEX.sub("", weight)


@checks("KHF-01")
def _check_named(contents: Contents, there: bool, group: str, attribute: str, name: str) -> None:
    if not there:
        raise refuse("KHF-01", f"{contents.path}#/{group}", f"what {attribute} lists to be in the file",
                     f"no {clip(name)!r}", "the file was written in part or changed; save it again")  # fmt: skip


def _legacy_role(name: str) -> TensorRole:
    last = name.rpartition("/")[2]
    if last in _NON_TRAINABLE:
        return "non-trainable"
    return "rng" if last in _RNG else "other"


def _structural_labels(files: Sequence[Contents]) -> dict[str, Label]:
    names = dict(_object_names(files))
    owners = {path.rpartition("/")[0] for found in files for path in found.groups
              if path.rpartition("/")[2] == VARIABLES}  # fmt: skip
    labels = {}
    for found in files:
        for path in found.datasets:
            group, _, index = path.rpartition("/")
            owner, _, last = group.rpartition("/")
            if last == VARIABLES:
                labels[path] = Label(_called(owner, index, names, owners), _structural_role(owner))
    return labels


def _object_names(files: Sequence[Contents]) -> Iterator[tuple[str, str]]:
    """Owner of each `vars` group and the user's name for it, where Keras wrote one."""
    for found in files:
        for path in found.groups:
            owner, _, last = path.rpartition("/")
            if last == VARIABLES and (name := found.text(path, "name")) is not None:
                yield owner, name


def _called(owner: str, index: str, names: Mapping[str, str], owners: set[str]) -> str | None:
    """The names of the objects that lead to `owner`, then the number of its variable.

    Groups that only hold other objects, such as `layers`, are no part of a name.
    """
    if not owner:
        return _join(names[""], index) if names.get("") else None
    steps = owner.split("/")
    prefixes = ["/".join(steps[: depth + 1]) for depth in range(len(steps))]
    if not any(prefix in names for prefix in prefixes):
        return None
    parts = [names.get(prefix, step) for prefix, step in zip(prefixes, steps, strict=True) if prefix in owners]
    return "/".join([*parts, index])


def _structural_role(owner: str) -> TensorRole:
    steps = owner.split("/")
    if steps[0] == "optimizer":
        return "optimizer"
    if steps[0] in _METRICS:
        return "metric"
    return "rng" if steps[-1].lstrip("_").startswith(_SEED_GENERATOR) else "other"


def _join(group: str, name: str) -> str:
    return f"{group}/{name}" if group else name


def _text(name: bytes) -> str:
    return name.decode(errors="replace")
