"""One tensor for people and as JSON: where it is, what it is called, its statistics, a corner.

print_tensor(describe(bundle, bundle.tensors["dense/kernel"]))
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbundle.bundle import Bundle, Tensor
from modelbundle.cli.npy import Written
from modelbundle.cli.printing import page, shape, shown, size, table
from modelbundle.comparing.tensor_values import Statistics, statistics
from modelbundle.core.as_json import as_json

CORNER = (6, 6)
"""Rows and columns of values that are shown."""

_TEXT_LENGTH = 60


@dataclass(frozen=True, slots=True)
class TensorAnswer:
    """What `tensor` answers. `corner` has up to two dimensions, at index 0 of all before them."""

    tensor: Tensor
    statistics: Statistics | None
    corner: Any
    written: Written | None = None

    def to_json(self) -> dict[str, Any]:
        """The answer as `schemas/answers/tensor.schema.json` has it."""
        row = self.tensor.row
        optional = {"statistics": self.statistics, "written": self.written}
        return {
            **as_json(row),
            "names": dict(self.tensor.names),
            "attributes": dict(self.tensor.attributes),
            "corner": self.corner,
            **as_json(optional),
        }


def describe(bundle: Bundle, tensor: Tensor, written: Written | None = None) -> TensorAnswer:
    """Read a tensor and say what there is to say; raises as `Tensor.data` does."""
    found = statistics(bundle, tensor.row)
    return TensorAnswer(tensor, found, _corner(tensor.numpy()), written)


def _corner(array: NDArray[np.generic]) -> Any:
    """The first values as nested lists of what JSON has: numbers, booleans and texts."""
    if not array.size:
        return []
    while array.ndim > len(CORNER):
        array = array[0]
    inside: Any = (*(slice(length) for length in CORNER[: array.ndim]), ...)
    return _plain(array[inside].tolist())


def _plain(value: Any) -> Any:
    match value:
        case list():
            return [_plain(item) for item in value]
        case bool() | int():
            return value
        case bytes():
            return shown(value[:_TEXT_LENGTH].decode(errors="backslashreplace"))
        case complex():
            return str(value)
    number = float(value)
    return number if isfinite(number) else str(number)


def print_tensor(answer: TensorAnswer) -> None:
    """Print the answer."""
    row = answer.tensor.row
    facts = table("", "")
    for label, text in _facts(answer):
        facts.add_row(label, shown(text))
    with page() as out:
        out.print(f"{shown(row.name)}   {row.dtype}{shape(row.shape)}", style="bold")
        out.print(facts)
        if answer.corner != []:
            out.print()
            out.print(_grid(answer))


def _facts(answer: TensorAnswer) -> list[tuple[str, str]]:
    row = answer.tensor.row
    facts = [
        ("place", f"{row.file}, offset {row.offset}, {size(row.length)} ({row.length} bytes)"),
        ("digest", row.digest),
        ("role", row.role),
        *((system, name) for system, name in answer.tensor.names.items()),
        *((key, value) for key, value in answer.tensor.attributes.items()),
    ]
    if (found := answer.statistics) is not None:
        facts.append(("values", f"{found.min:.6g} to {found.max:.6g}, mean {found.mean:.6g}"))
        if found.non_finite:
            facts.append(("", f"{found.non_finite:,} not finite"))
    if (written := answer.written) is not None:
        note = f", {written.note}" if written.note else ""
        facts.append(("written", f"{written.path}: {written.dtype}{shape(written.shape)}{note}"))
    return facts


def _grid(answer: TensorAnswer) -> Any:
    """The corner as rows of numbers, with dots where there is more."""
    corner, dims = answer.corner, answer.tensor.shape
    if answer.tensor.dtype.endswith("_packed"):
        dims = (answer.tensor.row.length,)
    rows = corner if isinstance(corner, list) else [corner]
    rows = rows if isinstance(rows[0], list) else [rows]
    grid = table(*[""] * (len(rows[0]) + 1))
    for column in grid.columns:
        column.justify = "right"
    more = "…" if dims and dims[-1] > CORNER[-1] else ""
    for row in rows:
        grid.add_row(*map(_number, row), more)
    if len(dims) > 1 and dims[-2] > CORNER[0]:
        grid.add_row(*["…"] * len(rows[0]))
    return grid


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
