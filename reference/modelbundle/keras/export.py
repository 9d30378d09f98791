"""Out of a bundle again: `.keras`, `.h5`, `.weights.h5`, safetensors, checkpoint, SavedModel.

A bundle that carries the file gives it back, byte for byte. Otherwise the model is restored and
Keras or TensorFlow writes it; safetensors is written without any framework. Everything is written
under a temporary name and moved into place when complete; nothing is overwritten.

    report = export(bundle, "net.keras")
    print(report)
"""

from __future__ import annotations

import glob
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from modelbundle.bundle import Bundle
from modelbundle.core.manifest import Component
from modelbundle.keras.export_report import FORMATS, ExportReport, losses
from modelbundle.keras.matching import WEIGHTS
from modelbundle.keras.naming import family_of, sources_of
from modelbundle.sources.safetensors_layout import Slot, lay_out
from modelbundle.unpacking import unpack

_SUFFIXES = {
    ".keras": "keras",
    ".weights.h5": "weights.h5",
    ".h5": "h5",
    ".hdf5": "h5",
    ".safetensors": "safetensors",
}
_KINDS = {
    "keras": "keras.archive",
    "h5": "hdf5",
    "weights.h5": "hdf5",
    "safetensors": "safetensors",
    "checkpoint": "tensorflow.checkpoint",
    "saved_model": "tensorflow.saved_model",
}
_PART = re.compile(r"\.index|\.data-\d+-of-\d+")
"""What follows the prefix in the names of the files of a checkpoint."""

_LAYOUTS = {"h5": ("keras-model", "keras-weights"), "weights.h5": ("keras-weights-v3",)}


def export(
    bundle: Bundle,
    path: str | Path,
    format: str | None = None,  # what people call it
    *,
    component: str | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    allow_unsafe: bool = False,
) -> ExportReport:
    """Write one model of a bundle to `path` in a native format, and say what is not in it.

    `format` is `keras`, `h5`, `weights.h5`, `safetensors`, `checkpoint` (then `path` is a prefix)
    or `saved_model` (a directory); without it the end of `path` tells. `component` names the model
    where there are several. `custom_objects` and `allow_unsafe` are those of `to_keras`.

    Raises `FileNotFoundError` where the directory of `path` is not there, `FileExistsError` where
    something is at `path`, `ValueError` for an unknown format,
    `BundleError` as `to_keras` does where the model has to be restored, `ImportError` where that
    needs a framework that is missing.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no directory {str(target.parent)!r} to write in")
    form = format or _told_by(target)
    if form not in FORMATS:
        raise ValueError(f"no format {form!r}; there are {', '.join(FORMATS)}")
    _refuse_existing(target, form)
    carried = _carried(bundle, form, component)
    with tempfile.TemporaryDirectory(prefix=".export", dir=target.parent) as folder:
        if carried is not None:
            made = _given_back(bundle, carried, form, Path(folder))
        elif form == "safetensors":
            made = {"": _write_safetensors(bundle, component, Path(folder, "net"))}
        else:
            from modelbundle.keras.restore import to_keras

            model = to_keras(
                bundle, component, custom_objects=custom_objects, allow_unsafe=allow_unsafe
            )
            made = _WRITERS[form](model, Path(folder))
        files = _moved(made, target)
    lost = () if carried is not None else losses(bundle, form, component)
    return ExportReport(form, files, carried is not None, lost)


def _told_by(path: Path) -> str:
    for suffix, form in _SUFFIXES.items():
        if path.name.endswith(suffix):
            return form
    hint = "give format='checkpoint' or 'saved_model', or a name that ends as one of"
    raise ValueError(f"{path.name!r} does not tell the format: {hint} {', '.join(_SUFFIXES)}")


def _refuse_existing(target: Path, form: str) -> None:
    found = [target]
    if form == "checkpoint":
        found = [file for file in target.parent.glob(f"{glob.escape(target.name)}.*")
                 if _PART.fullmatch(file.name.removeprefix(target.name))]  # fmt: skip
    for file in found:
        if os.path.lexists(file):
            raise FileExistsError(f"{file} exists already: nothing is overwritten")


def _carried(bundle: Bundle, form: str, component: str | None) -> Component | None:
    """The component that is the file asked for; raises `ValueError` where there are several."""
    family = family_of(bundle, component)
    found = [
        item
        for item in bundle.manifest.components
        if item.kind == _KINDS[form]
        and item.id in family
        and item.properties.get("layout") in _LAYOUTS.get(form, (None,))
        and (item.derived_from is None or component == item.id)
        and (form != "safetensors" or "shards" not in item.properties)
    ]
    if len(found) > 1:
        names = ", ".join(item.id for item in found)
        raise ValueError(f"several components are {form}: name one by component=: {names}")
    return found[0] if found else None


_Made = dict[str, Path]
"""What was written, by what follows the path asked for in its name."""


def _given_back(bundle: Bundle, carried: Component, form: str, folder: Path) -> _Made:
    if form == "saved_model":
        unpack(bundle, folder, only=[carried.id])
        return {"": folder / carried.id}
    if form == "checkpoint":
        prefix = _prefix(carried)
        files = [path for path in carried.files if _PART.fullmatch(path.removeprefix(prefix))]
    else:
        prefix, files = carried.id, [carried.id]
    unpack(bundle, folder, only=files)
    return {path.removeprefix(prefix): folder / path for path in files}


def _prefix(carried: Component) -> str:
    """The path that all files of a checkpoint begin with; that of the latest of a directory."""
    name = carried.properties.get("prefix")
    within = any(path.startswith(f"{carried.id}/{name}.") for path in carried.files)
    return f"{carried.id}/{name}" if within else carried.id


def _write_safetensors(bundle: Bundle, component: str | None, path: Path) -> Path:
    """The weights under the names that they have in the bundle."""
    names = [source.name for source in sources_of(bundle, WEIGHTS, component)]
    tensors = {name: bundle.tensors[name] for name in names}
    if not tensors:
        raise ValueError("the bundle has no weights to write")
    layout = lay_out(
        Slot(name, tensor.dtype, tensor.shape, tensor.row.length)
        for name, tensor in tensors.items()
    )
    with path.open("wb") as file:
        file.write(layout.header)
        for slot in layout.slots:
            file.write(tensors[slot.name].data())
    return path


def _write_keras(model: Any, folder: Path) -> _Made:
    model.save(folder / "net.keras")
    return {"": folder / "net.keras"}


def _write_h5(model: Any, folder: Path) -> _Made:
    model.save(folder / "net.h5")
    return {"": folder / "net.h5"}


def _write_weights(model: Any, folder: Path) -> _Made:
    model.save_weights(folder / "net.weights.h5")
    return {"": folder / "net.weights.h5"}


def _write_saved_model(model: Any, folder: Path) -> _Made:
    _need_tensorflow("a SavedModel")
    model.export(folder / "net", verbose=False)
    return {"": folder / "net"}


def _write_checkpoint(model: Any, folder: Path) -> _Made:
    _need_tensorflow("a checkpoint")
    import tensorflow as tf

    tf.train.Checkpoint(model).write(str(folder / "net"))
    return {path.name.removeprefix("net"): path for path in folder.glob("net.*")}


def _need_tensorflow(what: str) -> None:
    import keras

    if (backend := keras.backend.backend()) != "tensorflow":
        raise ValueError(f"{what} is written by the tensorflow backend of Keras, not by {backend}")


_WRITERS: dict[str, Callable[[Any, Path], _Made]] = {
    "keras": _write_keras,
    "h5": _write_h5,
    "weights.h5": _write_weights,
    "saved_model": _write_saved_model,
    "checkpoint": _write_checkpoint,
}


def _moved(made: _Made, target: Path) -> tuple[str, ...]:
    """Put what was written into place; returns the paths."""
    for rest, source in made.items():
        source.rename(target.parent / f"{target.name}{rest}")
    return tuple(str(target.parent / f"{target.name}{rest}") for rest in sorted(made))
