"""What a captured model says of itself: `model.json` and `training.json`, and what holds for them.

facts = read_facts(blob, "model/model.json")
facts.selection, facts.tensors["dense/kernel"].role
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from modelbundle.core import canonical_json, dtypes
from modelbundle.core.blobs import Blob
from modelbundle.core.findings import BundleError, Finding, checks, clip, refuse
from modelbundle.core.limits import LIMITS
from modelbundle.sources.artifact import CustomObject, TensorRole
from modelbundle.sources.keras import config_json, exact_values

VERSION = "1.0-draft"
MODEL, CONFIG, TRAINING, ASSETS = "model.json", "config.json", "training.json", "assets"
OWN_VARIABLES = "own_variables.safetensors"
"""Among the assets of a layer: what it stores by itself that is no variable of Keras's."""
MARK, TRAINING_MARK = "keras_model", "keras_training"

Selection = Literal["architecture", "weights", "training"]
SELECTIONS: tuple[Selection, ...] = get_args(Selection)

FILE_OF_ROLE: Mapping[str, str] = {
    "trainable": "weights.safetensors",
    "non-trainable": "weights.safetensors",
    "optimizer": "optimizer.safetensors",
    "metric": "state.safetensors",
    "rng": "state.safetensors",
    "other": "state.safetensors",
}
SELECTED_BY: Mapping[str, Selection] = {
    CONFIG: "architecture",
    ASSETS: "architecture",
    TRAINING: "training",
    "weights.safetensors": "weights",
    "optimizer.safetensors": "training",
    "state.safetensors": "training",
}
"""File to the selection that it belongs to."""

_REQUIRED = {
    MARK: str, "kind": str, "keras_version": str, "backend": str, "class_name": str,
    "selection": list, "floatx": str, "image_data_format": str, "dtype_policy": dict,
    "tensors": list,
}  # fmt: skip
_OPTIONAL = {
    "module": str, "registered_name": str, "frozen": list, "functions": dict, "bound": list,
    "settings": dict, "optimizers": dict,
}  # fmt: skip
_TRAINING = {TRAINING_MARK: str, "compile_config": dict, "built": dict}
_TRAINING_OPTIONAL = {
    "optimizer": dict, "trained": list, "losses": list, "loss_metrics": list, "metrics": dict,
}  # fmt: skip
_NOTHING = type(None)
_LOSS: Mapping[str, Any] = {
    "path": list, "name": (str, _NOTHING), "weight": (int, float, _NOTHING),
    "object": (dict, _NOTHING),
}  # fmt: skip
_METRICS: Mapping[str, Any] = {"output": (str, _NOTHING), "metrics": list}
_TENSOR = {"name": str, "role": str}
_TENSOR_OPTIONAL = {"dtype": str, "shape": list, "slot": str, "of": str, "packing": str}


@dataclass(frozen=True, slots=True)
class CapturedTensor:
    """A variable as `model.json` lists it; `dtype` and `shape` where the file tells others."""

    name: str
    role: TensorRole
    dtype: str | None = None
    shape: tuple[int, ...] | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The entry of `model.json`."""
        stored = {"dtype": self.dtype, "shape": None if self.shape is None else list(self.shape)}
        known = {key: value for key, value in stored.items() if value is not None}
        return {"name": self.name, "role": self.role, **known, **self.attributes}


@dataclass(frozen=True, slots=True)
class Facts:
    """`model.json`, read."""

    value: Mapping[str, Any]
    selection: tuple[Selection, ...]
    tensors: Mapping[str, CapturedTensor]
    bound: frozenset[str] = frozenset()
    """Variables whose tensors are rows of other components."""


@checks("KMD-12")
def unbound(names: Iterable[str], place: str) -> Iterator[Finding]:
    """Findings for variables that no tensor of the bundle is bound to."""
    for name in names:
        expected = f"a tensor for the variable {clip(name)}"
        yield Finding("KMD-12", place, expected, "none", "bind a tensor to the name")


@checks("KMD-01")
def read_facts(blob: Blob, place: str) -> Facts:
    """The facts of `model.json`; raises BundleError (KMD-01, JSN)."""
    if blob.size > LIMITS.config_bytes:
        raise refuse("KMD-01", place, f"at most {LIMITS.config_bytes} bytes", blob.size)
    value = canonical_json.decode(blob.read(0, blob.size), place)
    if problem := _problem(value):
        raise refuse("KMD-01", place, "facts about a captured model", problem)
    tensors = [_tensor(entry) for entry in value["tensors"]]
    names = [tensor.name for tensor in tensors]
    if names != sorted(set(names)):
        raise refuse("KMD-01", place, "tensors ascending by name, each once", "another order")
    by_name = {tensor.name: tensor for tensor in tensors}
    bound = frozenset(value.get("bound", ()))
    return Facts(value, tuple(value["selection"]), by_name, bound)


def _problem(value: Any) -> str:
    """What is wrong with the members of `model.json`; empty where nothing is."""
    if not isinstance(value, dict) or value.get(MARK) != VERSION:
        return f"no {MARK} {VERSION}"
    if problem := _mistyped(value, _REQUIRED, _OPTIONAL):
        return problem
    if value["kind"] not in ("model", "layer"):
        return f"the kind {value['kind']!r}"
    selection = value["selection"]
    if not selection or selection != [name for name in SELECTIONS if name in selection]:
        return f"the selection {selection}"
    return _lists_problem(value) or next(filter(None, map(_tensor_problem, value["tensors"])), "")


def _lists_problem(value: Mapping[str, Any]) -> str:
    """What is wrong with the paths, modules and names of `model.json`."""
    bound = value.get("bound", ())
    texts = [*value.get("frozen", ()), *value.get("functions", {}).values(), *bound]
    if not all(isinstance(text, str) for text in texts):
        return "a path or a module that is no text"
    if problem := _beside_problem(value):
        return problem
    if "bound" in value and (not bound or bound != sorted(set(bound))):
        return "names in bound that do not ascend, each once"
    return ""


def _beside_problem(value: Mapping[str, Any]) -> str:
    """What is wrong with the settings of layers, and with what optimizers serve."""
    for settings in value.get("settings", {}).values():
        if not isinstance(settings, dict) or _mistyped(settings, {}, {"lora_alpha": (int, float)}):
            return f"the settings {settings!r}"
    for entry in value.get("optimizers", {}).values():
        lists = entry.values() if isinstance(entry, dict) else ()
        names = [name for item in lists for name in (item if isinstance(item, list) else (None,))]
        if not isinstance(entry, dict) or _mistyped(entry, {}, _SERVED):
            return f"the optimizer {entry!r}"
        if not all(isinstance(name, str) for name in names):
            return f"the optimizer {entry!r}"
    return ""


_SERVED = {"serves": list, "no_weight_decay": list}


def _mistyped(
    value: Mapping[str, Any], required: Mapping[str, Any], optional: Mapping[str, Any]
) -> str:
    """The first member of an object that is missing, unknown or of another type."""
    allowed = {**required, **optional}
    for name in sorted(required.keys() - value.keys()):
        return f"no member {name}"
    for name, item in value.items():
        if name not in allowed or not isinstance(item, allowed[name]):
            return f"the member {name}: {item!r}"
    return ""


def _tensor_problem(entry: Any) -> str:
    if not isinstance(entry, dict) or _mistyped(entry, _TENSOR, _TENSOR_OPTIONAL):
        return f"the tensor {entry!r}"
    if entry["role"] not in FILE_OF_ROLE or ("slot" in entry) != ("of" in entry):
        return f"the tensor {entry!r}"
    shape = entry.get("shape", [])
    if entry.get("packing", "int4") != "int4":
        return f"the packing {entry['packing']!r}"
    sizes = all(type(size) is int and size >= 0 for size in shape) and len(shape) <= LIMITS.rank
    known = "dtype" not in entry or dtypes.is_known(entry["dtype"])
    return "" if sizes and known and ("dtype" in entry) == ("shape" in entry) else f"{entry!r}"


def _tensor(entry: Mapping[str, Any]) -> CapturedTensor:
    shape = tuple(entry["shape"]) if "shape" in entry else None
    attributes = {key: entry[key] for key in ("slot", "of", "packing") if key in entry}
    return CapturedTensor(entry["name"], entry["role"], entry.get("dtype"), shape, attributes)


@checks("KMD-04")
def read_config(data: bytes, place: str) -> Any:
    """The Python values of `config.json` or `training.json`; raises BundleError (KMD-04, KCF)."""
    parsed = config_json.parse(data, place)
    if parsed.non_finite:
        hint = 'write {"class_name": "__float__", "value": "Infinity"}'
        raise refuse("KMD-04", place, "JSON numbers", "NaN or Infinity", hint)
    if (number := _unnumbered(parsed.value)) is not None:
        expected = "shared objects numbered from 0 in order of appearance"
        raise refuse("KMD-04", place, expected, number)
    try:
        return exact_values.decode(parsed.value)
    except (ValueError, RecursionError) as error:
        raise refuse("KMD-04", place, "tagged values of known form", str(error)) from None


def _unnumbered(value: Any) -> str | None:
    """The first `shared_object_id` that is not the next number or one before it."""
    known = 0
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            number = item.get("shared_object_id")
            if number is not None and (type(number) is not int or not 0 <= number <= known):
                return repr(number)
            known += number == known
            stack.extend(reversed(item.values()))
        elif isinstance(item, list):
            stack.extend(reversed(item))
    return None


@checks("KMD-05")
def read_training(data: bytes, place: str) -> Mapping[str, Any]:
    """The values of `training.json`; raises BundleError (KMD-04, KMD-05)."""
    value = read_config(data, place)
    if not isinstance(value, dict) or value.get(TRAINING_MARK) != VERSION:
        raise refuse("KMD-05", place, f"{TRAINING_MARK} {VERSION}", clip(value))
    problem = _mistyped(value, _TRAINING, _TRAINING_OPTIONAL) or _unlike(value)
    if problem:
        raise refuse("KMD-05", place, "how a model was compiled", clip(problem))
    return value


def _unlike(value: Mapping[str, Any]) -> str:
    """The first part of `training.json` that has another form."""
    for found, required in (
        (value["built"], dict.fromkeys(("optimizer", "loss", "metrics"), bool)),
        *((loss, _LOSS) for loss in value.get("losses", ())),
        *((item, _METRICS) for items in _lists(value) for item in items if item is not None),
    ):
        if not isinstance(found, dict) or _mistyped(found, required, {}):
            return f"{found!r}"
    for key in ("trained", "loss_metrics"):
        if not all(isinstance(name, str) for name in value.get(key, ())):
            return f"{key} with what is no name"
    return ""


def _lists(value: Mapping[str, Any]) -> Iterator[list[Any]]:
    for name, found in value.get("metrics", {}).items():
        known = name in ("metrics", "weighted_metrics") and isinstance(found, list)
        yield found if known else [name]


def has_module(item: CustomObject) -> bool:
    """Whether a config tells the module of a custom object; of a function Keras writes none."""
    return item.module not in (None, "builtins")


def is_facts(blob: Blob) -> bool:
    """Whether a `model.json` is that of a captured model; never raises on bad input."""
    if blob.size > LIMITS.config_bytes:
        return False
    try:
        value = canonical_json.decode(blob.read(0, blob.size), MODEL)
    except BundleError:
        return False
    return isinstance(value, dict) and MARK in value
