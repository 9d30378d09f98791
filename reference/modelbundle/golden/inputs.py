"""Inputs for golden vectors: drawn from ports where none are given, the same in every process.

Floats are normal, integers lie within the smallest vocabulary of the model, strings come from it.
An unknown first dimension is 4, an unknown dimension of an image 64, any other 16.

    draw(signature.inputs, seed=0, vocabulary=Vocabulary())
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbundle.bundle import Bundle
from modelbundle.core import dtypes
from modelbundle.core.manifest import Component, Port

Array = NDArray[Any]

BATCH, IMAGE, OTHER = 4, 64, 16
_IMAGE_RANK = 4
_WORDS = (b"a", b"model", b"bundle", b"holds", b"what", b"it", b"computes", b"")
_SIZE = 10
_MOST_EXACT = 4


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What integer and string inputs are drawn from: ids below `size`, and `words`."""

    size: int = _SIZE
    words: tuple[bytes, ...] = _WORDS


def vocabulary_of(bundle: Bundle) -> Vocabulary:
    """The smallest vocabulary of an Embedding of the bundle's topologies, and their words."""
    records = [record for each in topologies(bundle).values() for record in _records(each)]
    configs = [record.get("config", {}) for record in records]
    sizes = [
        config["input_dim"]
        for record, config in zip(records, configs, strict=True)
        if record.get("class") == "Embedding" and isinstance(config.get("input_dim"), int)
    ]
    texts = [config.get("vocabulary") for config in configs]
    lists = [text for text in texts if isinstance(text, list)]
    words = tuple(word.encode() for text in lists for word in text if isinstance(word, str))
    return Vocabulary(min(sizes, default=_SIZE), words or _WORDS)


def topologies(bundle: Bundle) -> dict[str, Mapping[str, Any]]:
    """The topology of each Keras config of a bundle that has one, by the id of the component."""
    found: dict[str, Mapping[str, Any]] = {}
    for component in bundle.manifest.components:
        path = _topology_path(component)
        if path is not None:
            found[component.id] = json.loads(bundle.read(path))
    return found


def _topology_path(component: Component) -> str | None:
    if component.kind != "keras.config":
        return None
    return next((p for p in component.files if p.endswith("/topology.json")), None)


def _records(record: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A record of a topology and all within it."""
    yield record
    for key in ("layers", "sublayers"):
        for inner in record.get(key, ()):
            yield from _records(inner)


def draw(
    ports: Sequence[Port], seed: int, vocabulary: Vocabulary, *, whole: bool = False
) -> dict[str, Array]:
    """Arrays for `ports`; with `whole`, floats are small integers, which can be exact.

    Raises `ValueError` for a port of unknown rank or of a dtype that cannot be drawn.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    symbols: dict[str, int] = {}
    return {port.name: _drawn(port, random, vocabulary, whole, symbols) for port in ports}


def _drawn(
    port: Port,
    random: np.random.Generator,
    vocabulary: Vocabulary,
    whole: bool,
    symbols: dict[str, int],
) -> Array:
    if port.shape is None:
        raise ValueError(f"no inputs can be drawn for {port.name}, whose rank is not known")
    shape = tuple(_size(at, dim, len(port.shape), symbols) for at, dim in enumerate(port.shape))
    if port.dtype == dtypes.STRING:
        words = np.empty(len(vocabulary.words), object)
        words[:] = vocabulary.words
        return words[random.integers(0, len(words), shape)]
    if port.dtype.startswith(("complex", "bytes")) or port.dtype.endswith("_packed"):
        raise ValueError(f"no inputs can be drawn for {port.name} of {port.dtype}")
    dtype = dtypes.to_numpy(port.dtype)
    if "float" in port.dtype:
        most = _MOST_EXACT
        floats = random.integers(-most, most + 1, shape) if whole else random.normal(size=shape)
        return np.asarray(floats).astype(dtype)
    most = 2 if dtype.kind == "b" else min(vocabulary.size, 100)
    return random.integers(0, most, shape).astype(dtype)


def _size(at: int, dim: int | str | None, rank: int, symbols: dict[str, int]) -> int:
    usual = BATCH if at == 0 else IMAGE if rank == _IMAGE_RANK else OTHER
    if isinstance(dim, str):
        return symbols.setdefault(dim, usual)
    return usual if dim is None else dim
