"""The files that a revived model adds to a bundle: a captured model without tensors of its own.

Its variables are rows of the old model under new names; what had to be rearranged stands in a
safetensors file beside it, `ROOT.safetensors`, whose tensors are called `ROOT/VARIABLE`.

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
from modelbundle.reviving.plan import Plan
from modelbundle.sources import safetensors
from modelbundle.sources.artifact import Artifact, Tree
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
    made = f"{root}.safetensors"
    files = {captured.CONFIG: plan.config}
    if plan.training is not None:
        files[captured.TRAINING] = plan.training
    files[captured.MODEL] = _facts(plan)
    blobs = {f"{root}/{name}": BytesBlob(data) for name, data in sorted(files.items())}
    artifacts = [model.read(Tree(root, blobs))]
    if plan.made:
        data = encoded({f"{root}/{name}": array for name, array in plan.made.items()})
        artifacts.append(safetensors.read(Tree(made, {made: BytesBlob(data)})))
    names = {**plan.bound, **{name: f"{root}/{name}" for name in plan.made}}
    bindings = (Binding(root, "keras", name, tensor) for name, tensor in names.items())
    return Added(root, tuple(artifacts), tuple(bindings))


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
    selection = ["architecture", "training"] if plan.training else ["architecture"]
    functions = {name for name in rows.functions().values() if ">" in name}
    used = sorted(name for name in functions if f'"{name}"'.encode() in plan.config)
    facts = {
        captured.MARK: captured.VERSION,
        "kind": "model",
        "module": "keras" if is_sequential else "keras.src.models.functional",
        "class_name": "Sequential" if is_sequential else "Functional",
        "selection": selection,
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
        "tensors": [],
        "bound": sorted({*plan.bound, *plan.made}),
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
