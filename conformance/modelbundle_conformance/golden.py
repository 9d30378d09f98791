"""Golden vectors as the suite has them (section 18.1): inputs, outputs, and their answer to noise.

    (vector,) = vectors(data)
    vector.inputs[0].name, vector.outputs[0].channels["st"]

Arrays stay bytes until they are judged. Only the form is read here; that the vectors of a case are
sound is checked where cases are generated.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgpack

CHANNELS = ("st", "ab", "acc", "mm", "wt")


@dataclass(frozen=True)
class Array:
    """A named array: `data` holds its elements, little-endian, in C order (section 4.6)."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    data: bytes
    channels: Mapping[str, Sequence[float]]
    """float64 outputs: by channel, the root-mean-square answer of each element to noise."""
    decided: bytes | None = None
    """Other outputs: 1 for each element that kept its value under noise."""


@dataclass(frozen=True)
class Vector:
    """Inputs of a signature, and the outputs that belong to them."""

    component: str
    signature: str
    name: str
    exact: bool
    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]


def vectors(data: bytes) -> list[Vector]:
    """The vectors of a golden file. Raises `ValueError` where it is none."""
    try:
        return [_vector(each) for each in msgpack.unpackb(data)["vectors"]]
    except (KeyError, TypeError, struct.error) as error:
        raise ValueError(f"no golden vectors: {error}") from error


def _vector(value: Mapping[str, Any]) -> Vector:
    arrays = [tuple(map(_array, value[key])) for key in ("inputs", "outputs")]
    names = (value["component"], value["signature"], value["name"])
    return Vector(*names, value["exact"] == 1, *arrays)


def _array(value: Mapping[str, Any]) -> Array:
    channels = {name: _floats(column) for name, column in value.get("channels", {}).items()}
    shape = tuple(value["shape"])
    return Array(
        value["name"], value["dtype"], shape, value["data"], channels, value.get("decided")
    )


def _floats(column: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(column) // 4}f", column)
