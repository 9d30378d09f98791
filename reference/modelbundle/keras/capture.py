"""A live Keras model or layer as the files of a captured model (spec: Captured models).

Weights are not copied: the files are blobs over the variables' own memory, read when the bundle
is written.

    tree = capture(model)
    artifact = read(tree)         # sources.keras.model
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from modelbundle.core import canonical_json
from modelbundle.core.blobs import Blob, BytesBlob, ComposedBlob, SliceBlob
from modelbundle.core.findings import checks, refuse
from modelbundle.keras import beside
from modelbundle.keras.assets import assets_of
from modelbundle.keras.config import config_of
from modelbundle.keras.functions import modules_of
from modelbundle.keras.memory import VariableBlob
from modelbundle.keras.training import training_of
from modelbundle.keras.variables import Owned, layers, owned
from modelbundle.sources.artifact import Tree
from modelbundle.sources.keras import captured
from modelbundle.sources.keras.builtins import is_function
from modelbundle.sources.keras.captured import SELECTIONS, CapturedTensor, Selection
from modelbundle.sources.keras.variables import INTEGERS
from modelbundle.sources.safetensors import DTYPES
from modelbundle.sources.safetensors_layout import Slot, lay_out

ROOT = "model"

_STORED = frozenset(DTYPES.values())
_BYTES = frozenset({"int8", "uint8"})
_CONFIGS = (captured.CONFIG, captured.TRAINING)
_FUNCTION = re.compile(rb'"class_name":"function","config":("(?:[^"\\]|\\.)*")')
"""A function as Keras serialises it."""


def capture(target: Any, root: str = ROOT, include: Iterable[str] = SELECTIONS) -> Tree:
    """The files of a model or layer; `include` says which of architecture, weights and training.

    Raises BundleError (KMD-07 to KMD-10) where something of it cannot be captured, `ValueError`
    for another selection, and `RuntimeError` while JAX trains the model. Warns (`NotCaptured`) of
    what is left out and of what cannot be put back.
    """
    selection = _selection(include)
    if selection != ("architecture",):
        _check_built(target, root)
        _check_values(target)
    beside.report(target)
    found = [item for item in owned(target) if _selected(item, selection)]
    blobs = {item.name: VariableBlob(item.variable) for item in found}
    packed = {path for path, layer in layers(target).items() if _is_int4(layer)}
    tensors = [_described(item, blobs, packed=item.owner in packed) for item in found]
    files: dict[str, Blob] = dict(_tensor_files(found, blobs))
    if "architecture" in selection:
        config = config_of(target, f"{root}/{captured.CONFIG}", compiled="training" in selection)
        files[captured.CONFIG] = BytesBlob(config)
        assets = assets_of(target, root)
        files |= {f"{captured.ASSETS}/{path}": blob for path, blob in assets.items()}
    if "training" in selection:
        training = training_of(target, f"{root}/{captured.TRAINING}")
        files |= {captured.TRAINING: BytesBlob(training)} if training else {}
    functions = modules_of(target, _functions_of(files))
    names = {id(item.variable): item.name for item in found}
    optimizers = beside.optimizers_of(target, names) if "training" in selection else {}
    more: dict[str, Mapping[str, Any]] = {"functions": functions, "optimizers": optimizers}
    files[captured.MODEL] = BytesBlob(_facts(target, selection, tensors, more))
    return Tree(root, {f"{root}/{path}": files[path] for path in sorted(files)})


def _selection(include: Iterable[str]) -> tuple[Selection, ...]:
    asked = {include} if isinstance(include, str) else set(include)
    if not asked or not asked <= set(SELECTIONS):
        raise ValueError(f"include takes {', '.join(SELECTIONS)}, not {sorted(asked)}")
    return tuple(name for name in SELECTIONS if name in asked)


def _selected(item: Owned, selection: Sequence[str]) -> bool:
    return captured.SELECTED_BY[captured.FILE_OF_ROLE[item.role]] in selection


@checks("KMD-10")
def _check_built(target: Any, root: str) -> None:
    """Refuse a model whose variables are not there yet."""
    from keras.src.utils.python_utils import is_default

    has_state = not is_default(target.build) and not hasattr(target, "save_assets")
    if has_state and not target.built:
        hint = (
            "call it once on data, or call build(input_shape); "
            "include=('architecture',) packs it as it is"
        )
        raise refuse("KMD-10", root, f"{target.name} with weights", "not built yet", hint)


def _check_values(target: Any) -> None:
    """Raise `RuntimeError` while the values of variables are elsewhere: JAX trains without them."""
    if any(variable._value is None for variable in target.variables):
        raise RuntimeError(
            f"{target.name} has no values now: while it trains on JAX, the trainer holds them. In "
            "a callback, pack self.model, which has them; else pack after fit()"
        )


def _is_int4(layer: Any) -> bool:
    return getattr(layer, "quantization_mode", None) == "int4"


def _described(item: Owned, blobs: Mapping[str, VariableBlob], *, packed: bool) -> CapturedTensor:
    """The entry of a variable; a slot of a variable that is not captured is told by its name."""
    blob = blobs[item.name]
    attributes = {"slot": item.slot, "of": item.of} if item.of in blobs else {}
    if packed and item.name.rpartition("/")[2] in INTEGERS and blob.dtype in _BYTES:
        attributes["packing"] = "int4"
    plain = blob.dtype in _STORED
    return CapturedTensor(
        item.name,
        item.role,
        None if plain else blob.dtype,
        None if plain else blob.shape,
        attributes,
    )


def _tensor_files(
    items: Sequence[Owned], blobs: dict[str, VariableBlob]
) -> Iterator[tuple[str, Blob]]:
    """The safetensors files that have tensors, each over the memory of its variables."""
    by_file: dict[str, list[Slot]] = {}
    for item in items:
        blob = blobs[item.name]
        slots = by_file.setdefault(captured.FILE_OF_ROLE[item.role], [])
        slots.append(Slot(item.name, blob.dtype, blob.shape, blob.size))
    for name, slots in by_file.items():
        layout = lay_out(slots)
        pieces: list[Blob] = [BytesBlob(layout.header), *(blobs[s.name] for s in layout.slots)]
        yield name, ComposedBlob([SliceBlob(blob, 0, blob.size) for blob in pieces])


def _functions_of(files: Mapping[str, Blob]) -> set[str]:
    """The names of custom functions in config and training: Keras does not write their modules."""
    texts = (blob.read(0, blob.size) for name, blob in files.items() if name in _CONFIGS)
    names = {json.loads(name) for text in texts for name in _FUNCTION.findall(text)}
    return {name for name in names if not is_function(name, "builtins")}


def _facts(
    target: Any,
    selection: Sequence[Selection],
    tensors: Iterable[CapturedTensor],
    more: Mapping[str, Mapping[str, Any]],
) -> bytes:
    """`model.json`: where and under which settings the model was captured, and its variables."""
    import keras

    policy = keras.saving.serialize_keras_object(keras.config.dtype_policy())
    facts = {
        captured.MARK: captured.VERSION,
        "kind": "model" if isinstance(target, keras.Model) else "layer",
        **_class_of(target),
        "selection": list(selection),
        "keras_version": keras.__version__,
        "backend": keras.config.backend(),
        "floatx": keras.config.floatx(),
        "image_data_format": keras.config.image_data_format(),
        "dtype_policy": policy,
        "frozen": sorted(path for path, layer in layers(target).items() if not layer._trainable),
        "settings": beside.settings_of(target),
        **more,
        "tensors": [entry.to_json() for entry in sorted(tensors, key=lambda entry: entry.name)],
    }
    optional = {"frozen", "functions", "settings", "optimizers"}
    known = {key: value for key, value in facts.items() if value or key not in optional}
    return canonical_json.encode(known)


def _class_of(target: Any) -> dict[str, str]:
    from keras.src.saving import serialization_lib as keras_lib

    found = keras_lib.serialize_with_public_class(type(target))
    known = {key: found[key] for key in ("class_name", "module", "registered_name")}
    return {key: value for key, value in known.items() if value and value != "__main__"}
