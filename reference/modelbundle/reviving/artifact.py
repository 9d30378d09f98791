"""The files that a revived model adds to a bundle: a captured model.

Its variables are rows of the old model under new names; it has tensors of its own only for what
stands in another arrangement now.

    added = describe(plan, taken=set())
    extend(bundle, added.artifacts, "new.modelbundle", bindings=added.bindings)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from modelbundle.core import canonical_json, dtypes
from modelbundle.core.blobs import BytesBlob
from modelbundle.packing.extend import Binding
from modelbundle.reviving import rows
from modelbundle.reviving.layouts import Array
from modelbundle.reviving.plan import Plan
from modelbundle.sources.artifact import Artifact, TensorRole, Tree
from modelbundle.sources.keras import captured, model
from modelbundle.sources.keras.variables import layer_paths
from modelbundle.sources.safetensors_layout import Slot, lay_out

ROOT = "revived"
LEGACY_MODULE = "modelbundle.keras.legacy"


@dataclass(frozen=True, slots=True)
class Added:
    """What a bundle is extended by."""

    root: str
    artifacts: tuple[Artifact, ...]
    bindings: tuple[Binding, ...]


def describe(plan: Plan, taken: Collection[str]) -> Added:
    """The artifacts and bindings of a plan; `taken` are the paths that the bundle has."""
    root = free_name(ROOT, taken)
    files = {captured.CONFIG: plan.config, **_tensor_files(plan)}
    if plan.training is not None:
        files[captured.TRAINING] = plan.training
    files[captured.MODEL] = _facts(plan)
    blobs = {f"{root}/{name}": BytesBlob(data) for name, data in sorted(files.items())}
    artifact = model.read(Tree(root, blobs))
    bindings = (Binding(root, "keras", name, tensor) for name, tensor in plan.bound.items())
    return Added(root, (artifact,), tuple(bindings))


def _tensor_files(plan: Plan) -> dict[str, bytes]:
    """The safetensors files of what is stored anew."""
    by_file: dict[str, dict[str, Array]] = {}
    for name, array in plan.made.items():
        by_file.setdefault(captured.FILE_OF_ROLE[_role(name, plan)], {})[name] = array
    return {file: encoded(arrays) for file, arrays in by_file.items()}


def _role(name: str, plan: Plan) -> TensorRole:
    if name.startswith("optimizer/"):
        return "optimizer"
    return "non-trainable" if name.rpartition("/")[0] in frozen(plan.config) else "trainable"


def free_name(name: str, taken: Collection[str]) -> str:
    """`name`, or with a number where a path of the bundle begins so already."""
    used = {path.split("/")[0].split(".")[0] for path in taken}
    number, found = 1, name
    while found in used:
        number += 1
        found = f"{name}_{number}"
    return found


def _facts(plan: Plan) -> bytes:
    """`model.json`: Keras 2 had these settings unless the config says otherwise."""
    is_sequential = plan.config.startswith(b'{"module":"keras","class_name":"Sequential"')
    roles = {name: _role(name, plan) for name in sorted(plan.made)}
    has_weights = not set(roles.values()) <= {"optimizer"}
    parts = {"architecture": True, "weights": has_weights, "training": plan.training is not None}
    functions = {name for name in rows.functions().values() if ">" in name}
    used = sorted(name for name in functions if f'"{name}"'.encode() in plan.config)
    facts = {
        captured.MARK: captured.VERSION,
        "kind": "model",
        "module": "keras" if is_sequential else "keras.src.models.functional",
        "class_name": "Sequential" if is_sequential else "Functional",
        "selection": [name for name, is_there in parts.items() if is_there],
        "keras_version": rows.keras_version(),
        "backend": "tensorflow",
        "floatx": "float32",
        "image_data_format": "channels_last",
        "dtype_policy": {
            "module": "keras",
            "class_name": "DTypePolicy",
            "config": {"name": "float32"},
            "registered_name": None,
        },
        "frozen": frozen(plan.config),
        "functions": dict.fromkeys(used, LEGACY_MODULE),
        "tensors": [{"name": name, "role": role} for name, role in roles.items()],
        "bound": sorted(plan.bound),
    }
    optional = ("frozen", "functions", "bound")
    known = {key: value for key, value in facts.items() if value or key not in optional}
    return canonical_json.encode(known)


def frozen(config: bytes) -> list[str]:
    """Paths of the layers that are not trained, and of what stands within them."""
    paths = {ref.name: ref.config.get("trainable", True) for ref in layer_paths(config).values()}
    outer = [path for path, trainable in paths.items() if trainable is False]
    inner = {path for path in paths for above in outer if path.startswith(f"{above}/")}
    return sorted({*outer, *inner})


def encoded(arrays: Mapping[str, Any]) -> bytes:
    """A safetensors file of `arrays`."""
    names = {name: dtypes.from_numpy(array.dtype) for name, array in arrays.items()}
    layout = lay_out(Slot(n, names[n], a.shape, a.nbytes) for n, a in arrays.items())
    return b"".join((layout.header, *(arrays[slot.name].tobytes() for slot in layout.slots)))
