"""Vocabularies and other files that layers of a live model keep beside config and variables.

A layer writes them itself (`save_assets`). What it stores by `save_own_variables` that is no
variable of Keras's, such as the weights of TF-IDF, goes to `own_variables.safetensors` beside them.

    assets_of(model, "model")["text/vocabulary.txt"]
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from modelbundle.core import dtypes
from modelbundle.core.blobs import Blob, BytesBlob
from modelbundle.core.findings import checks, clip, refuse
from modelbundle.keras.variables import layers
from modelbundle.sources.keras.builtins import is_home
from modelbundle.sources.keras.captured import OWN_VARIABLES
from modelbundle.sources.safetensors_layout import Slot, lay_out

_VOCABULARY = "vocabulary.txt"


def assets_of(target: Any, root: str) -> dict[str, Blob]:
    """The files of all layers, by path of the layer and name.

    Raises BundleError (KMD-11) for a vocabulary that its file would not give back.
    """
    found: dict[str, Blob] = {}
    writers: list[str] = []
    for path, layer in layers(target).items():
        if any(_is_below(path, writer) for writer in writers):
            continue  # the layer around it has written this one's
        files = dict((*_saved(layer), *_own_variables(layer)))
        if hasattr(layer, "save_assets") and is_home(type(layer).__module__):
            writers.append(path)
            if _VOCABULARY in files:
                _check_vocabulary(layer, f"{root}/{path}".rstrip("/"))
        found.update({f"{path}/{name}" if path else name: blob for name, blob in files.items()})
    return found


def _is_below(path: str, parent: str) -> bool:
    return path.startswith(f"{parent}/") if parent else bool(path)


def _saved(layer: Any) -> Iterator[tuple[str, Blob]]:
    if hasattr(layer, "save_assets"):
        with tempfile.TemporaryDirectory() as folder:
            layer.save_assets(folder)
            for file in sorted(Path(folder).rglob("*")):
                if file.is_file():
                    yield file.relative_to(folder).as_posix(), BytesBlob(file.read_bytes())


def _own_variables(layer: Any) -> Iterator[tuple[str, Blob]]:
    """What a layer stores by itself, where that is more than its variables."""
    from keras.layers import Layer

    is_own = type(layer).save_own_variables is not Layer.save_own_variables
    if not is_own or (is_home(type(layer).__module__) and not hasattr(layer, "save_assets")):
        return
    store: dict[str, Any] = {}
    layer.save_own_variables(store)
    variables = {id(variable) for variable in layer.variables}
    if any(id(value) not in variables for value in store.values()):
        yield OWN_VARIABLES, _safetensors(store)


def _safetensors(store: Mapping[str, Any]) -> BytesBlob:
    import numpy as np

    arrays = {name: np.ascontiguousarray(value) for name, value in store.items()}
    slots = [
        Slot(name, dtypes.from_numpy(array.dtype), np.shape(store[name]), array.nbytes)
        for name, array in arrays.items()
    ]
    layout = lay_out(slots)
    data = (arrays[slot.name].tobytes() for slot in layout.slots)
    return BytesBlob(b"".join((layout.header, *data)))


@checks("KMD-11")
def _check_vocabulary(layer: Any, place: str) -> None:
    """Refuse words that a file of lines does not give back, as Keras reads it."""
    words = [str(word) for word in layer.get_vocabulary()]
    if not words or words == _read_back("\n".join(words)):
        return
    broken = next((word for word in words if len(word.splitlines()) > 1), words[-1])
    hint = "give the layer its vocabulary when it is made: vocabulary=[…]; then the config has it"
    raise refuse("KMD-11", place, "words that stand on a line each", repr(clip(broken)), hint)


def _read_back(text: str) -> list[str]:
    lines = text.splitlines()
    while lines and lines[-1] == "":
        lines.pop()
    return lines
