"""A captured Keras model as a source: a directory that packing a live model makes.

    model/model.json              what this is, and what the other files cannot say
    model/config.json             the config, as Keras writes it, with exact values
    model/training.json           how it was compiled, and what of it is built
    model/weights.safetensors     variables by the names of `keras.variables.owned`
    model/optimizer.safetensors   those of the optimizer
    model/state.safetensors       those of metrics and random generators
    model/assets/LAYER/FILE       vocabularies and other assets of layers

No framework is needed to read one.

    artifact = read(Tree("model", blobs))
    artifact.components[0].kind    # 'keras.model'
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from modelbundle.core.blobs import Blob
from modelbundle.core.dtypes import byte_length
from modelbundle.core.findings import checks, refuse
from modelbundle.core.limits import LIMITS
from modelbundle.sources import safetensors
from modelbundle.sources.artifact import (
    Artifact,
    ArtifactFile,
    ArtifactTensor,
    Component,
    CustomObject,
    Requirements,
    Tree,
)
from modelbundle.sources.keras import captured
from modelbundle.sources.keras.captured import ASSETS, CONFIG, MODEL, TRAINING, Facts
from modelbundle.sources.keras.config import config_component
from modelbundle.sources.keras.config_json import within
from modelbundle.sources.keras.requirements import survey
from modelbundle.sources.safetensors_layout import Slot, lay_out, stored_as

KIND = "keras.model"
JSON_TYPE, BINARY_TYPE = "application/json", "application/octet-stream"

_TENSOR_FILES = ("weights.safetensors", "optimizer.safetensors", "state.safetensors")


def recognise(tree: Tree) -> bool:
    """Whether the tree has a `model.json` of a captured model."""
    blob = tree.files.get(f"{tree.root}/{MODEL}")
    return blob is not None and captured.is_facts(blob)


def read(tree: Tree) -> Artifact:
    """The source as an artifact; raises BundleError (KMD, KCF, STF)."""
    root = tree.root
    facts = captured.read_facts(tree.files[f"{root}/{MODEL}"], f"{root}/{MODEL}")
    _check_files(tree, facts)
    files = [ArtifactFile(path, blob, _media_type(path)) for path, blob in tree.files.items()]
    tensors = [tensor for name in _TENSOR_FILES for tensor in _tensors(tree, name, facts)]
    _check_all_there(root, facts, tensors)
    made, parts, needs = _described(tree, facts)
    model = Component(root, KIND, tuple(tree.files), None, _properties(facts))
    return Artifact(
        (*files, *made),
        tuple(tensors),
        (model, *parts, *_parts(tree)),
        requirements=needs,
        directories=tree.directories,
        bound=frozenset(("keras", name) for name in facts.bound),
    )


def _media_type(path: str) -> str:
    if path.endswith(".safetensors"):
        return safetensors.MEDIA_TYPE
    return JSON_TYPE if path.endswith(".json") else BINARY_TYPE


def _properties(facts: Facts) -> dict[str, Any]:
    kept = ("keras_version", "backend", "class_name", "module", "registered_name", "selection")
    return {key: facts.value[key] for key in kept if key in facts.value}


@checks("KMD-02")
def _check_files(tree: Tree, facts: Facts) -> None:
    """The files are those that the selection allows, and the config is there if selected."""
    prefix = f"{tree.root}/"
    for path in tree.files:
        name = path.removeprefix(prefix)
        top = ASSETS if name.startswith(f"{ASSETS}/") else name
        if name != MODEL and captured.SELECTED_BY.get(top) not in facts.selection:
            expected = f"files of {', '.join(facts.selection)}"
            raise refuse("KMD-02", path, expected, "another file", "take the file away")
    if "architecture" in facts.selection and f"{prefix}{CONFIG}" not in tree.files:
        raise refuse("KMD-02", f"{prefix}{CONFIG}", "a file of the architecture", "none")
    if tree.directories:
        raise refuse("KMD-02", tree.directories[0], "directories with files", "an empty one")


def _tensors(tree: Tree, name: str, facts: Facts) -> Iterator[ArtifactTensor]:
    """The tensors of one file, as `model.json` describes them, ascending by name."""
    path = f"{tree.root}/{name}"
    if (blob := tree.files.get(path)) is None:
        return
    header = safetensors.read_header(blob, path)
    entries = sorted(safetensors.tensors(header, path), key=lambda tensor: tensor.name)
    found = [_described_tensor(entry, name, facts) for entry in entries]
    _check_layout(blob, path, found)
    yield from found


@checks("KMD-03")
def _described_tensor(stored: ArtifactTensor, file: str, facts: Facts) -> ArtifactTensor:
    """A tensor of a file with what `model.json` says of it."""
    place = f"{stored.path}#{stored.name}"
    entry = facts.tensors.get(stored.name)
    if entry is None or captured.FILE_OF_ROLE[entry.role] != file:
        found = "none" if entry is None else f"a tensor of {captured.FILE_OF_ROLE[entry.role]}"
        raise refuse("KMD-03", place, f"an entry in {MODEL}", found)
    if (served := entry.attributes.get("of")) is not None and served not in facts.tensors:
        raise refuse("KMD-03", place, "a slot of a tensor of the model", repr(served))
    dtype = entry.dtype or stored.dtype
    shape = stored.shape if entry.shape is None else entry.shape
    as_stored = stored_as(dtype, shape, stored.length)
    if as_stored != stored_as(stored.dtype, stored.shape, stored.length) or (
        byte_length(dtype, shape) != stored.length
    ):
        expected = f"{dtype} {list(shape)}"
        raise refuse("KMD-03", place, expected, f"{stored.dtype} {list(stored.shape)}")
    return replace(
        stored,
        dtype=dtype,
        shape=shape,
        role=entry.role,
        names={"keras": stored.name},
        attributes=entry.attributes,
    )


@checks("KMD-06")
def _check_layout(blob: Blob, path: str, tensors: list[ArtifactTensor]) -> None:
    """The tensors stand in the one order, behind the one header."""
    layout = lay_out(Slot(t.name, t.dtype, t.shape, t.length) for t in tensors)
    if blob.read(0, min(len(layout.header), blob.size)) != layout.header:
        hint = "lay the file out as section 13.11 says"
        raise refuse("KMD-06", f"{path}@0", "the header of these tensors", "another", hint)
    if not tensors:
        raise refuse("KMD-06", path, "a tensor", "none", "leave the file out")


def _check_all_there(root: str, facts: Facts, tensors: list[ArtifactTensor]) -> None:
    missing = facts.tensors.keys() - {tensor.name for tensor in tensors}
    if missing:
        name = min(missing)
        raise refuse("KMD-03", f"{root}/{MODEL}#{name}", "a tensor of this name", "none")


def _described(
    tree: Tree, facts: Facts
) -> tuple[tuple[ArtifactFile, ...], list[Component], Requirements]:
    """What config and training say: derived files, components, requirements."""
    root = tree.root
    files: tuple[ArtifactFile, ...] = ()
    parts: list[Component] = []
    needs = Requirements()
    path = f"{root}/{CONFIG}"
    if path in tree.files:
        data = _content(tree, path)
        captured.read_config(data, path)
        is_model = facts.value["kind"] == "model"
        files, config, needs = config_component(
            root, data, derived_from=root, path=path, of_model=is_model
        )
        parts.append(config)
    path = f"{root}/{TRAINING}"
    if path in tree.files:
        training = captured.read_training(_content(tree, path), path)
        found = survey(training, path).requirements
        custom = needs.custom_objects | found.custom_objects
        needs = Requirements(needs.layers, frozenset(custom))
        parts.append(Component(path, "training", (path,), root))
    custom = frozenset(_with_module(item, facts) for item in needs.custom_objects)
    return files, parts, Requirements(needs.layers, custom)


def _with_module(item: CustomObject, facts: Facts) -> CustomObject:
    """A custom function with the module that `model.json` gives it."""
    modules = facts.value.get("functions", {})
    if captured.has_module(item) or item.registered_name not in modules:
        return item
    return replace(item, module=modules[item.registered_name])


def _content(tree: Tree, path: str) -> bytes:
    blob = tree.files[path]
    within(LIMITS.config_bytes, blob.size, "bytes", path)
    return blob.read(0, blob.size)


def _parts(tree: Tree) -> Iterator[Component]:
    """The tensor files and the assets as components of their own."""
    root = tree.root
    for name in _TENSOR_FILES:
        if (path := f"{root}/{name}") in tree.files:
            yield Component(path, "safetensors", (path,), root)
    assets = tuple(path for path in tree.files if path.startswith(f"{root}/{ASSETS}/"))
    if assets:
        yield Component(f"{root}/{ASSETS}", "assets", assets, root)
