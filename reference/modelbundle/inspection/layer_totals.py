"""Tensors added up: by layer, by dtype and by role, from the columns of the index alone.

A layer is what stands before the last `/` of a tensor's name (the last `.` where there is no `/`).
Layers stand in the order of the topology where there is one, the others after them by name.

    totals = by_layer(index, LayerOrder([topology]))
    totals[0].name, totals[0].parameters
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbundle.core.dtypes import STRING
from modelbundle.core.tensor_index import TensorIndex

WEIGHT_ROLES = frozenset({"trainable", "non-trainable", "other"})
"""Roles of the tensors that make up a model, as opposed to the state of its training."""


_ROLE_RANK = {"trainable": 0, "non-trainable": 1}


@dataclass(frozen=True, slots=True)
class Total:
    """Tensors that have something in common: how many, their elements and their bytes.

    Tensors that share bytes are counted each.
    """

    name: str
    tensors: int
    elements: int
    bytes: int


@dataclass(frozen=True, slots=True)
class LayerTotal:
    """The weights of one layer. `name` is empty for tensors that belong to none."""

    name: str
    class_name: str | None
    tensors: int
    parameters: int
    trainable: int
    non_trainable: int
    bytes: int
    dtypes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Parameters:
    """Elements of the weights, those that share their bytes counted once; of which trainable and
    non-trainable, where that is known."""

    count: int
    trainable: int
    non_trainable: int


_LOOKUPS = frozenset({"IntegerLookup", "StringLookup", "TextVectorization"})


class LayerOrder:
    """Layers of some topologies in their order, found by path or by name."""

    def __init__(self, topologies: Iterable[Any]) -> None:
        self._found: dict[str, tuple[int, str | None]] = {}
        self.custom: dict[str, str] = {}
        """What each custom class is, a layer or a model, by the name of the class."""
        self.without_vocabulary: dict[str, None] = {}
        """Names of lookup layers whose config holds no vocabulary, in order."""
        for number, record in enumerate(r for each in topologies for r in _records(each)):
            self._add(number, record)

    def _add(self, number: int, record: Mapping[str, Any]) -> None:
        class_name = record.get("class") if isinstance(record.get("class"), str) else None
        for key in ("path", "name"):
            if isinstance(name := record.get(key), str) and name:
                self._found.setdefault(name, (number, class_name))
        if record.get("custom") is True and class_name:
            self.custom.setdefault(class_name, "model" if record.get("form") else "layer")
        config = record.get("config")
        if class_name in _LOOKUPS and isinstance(config, dict) and not config.get("vocabulary"):
            self.without_vocabulary.setdefault(str(record.get("name")))

    def find(self, name: str) -> tuple[float, str | None]:
        """Position and class of the layer `name`, or of the innermost known one around it."""
        exact = self._found.get(name)
        while exact is None and name:
            name = name.rpartition("/")[0]
            if name in self._found:
                return self._found[name][0], None
        return exact or (inf, None)


def _records(topology: Any) -> Iterator[Mapping[str, Any]]:
    """The layers of a topology, outer ones first, in order; without recursion."""
    stack = [topology]
    while stack:
        record = stack.pop()
        if isinstance(record, dict):
            yield record
            for key in ("sublayers", "layers"):
                inner = record.get(key)
                stack.extend(reversed(inner if isinstance(inner, list) else []))


def elements(index: TensorIndex) -> NDArray[np.int64]:
    """Elements of each tensor."""
    product = np.ones(len(index), dtype=np.int64)
    for axis in range(int(index.rank.max(initial=0))):
        has = index.rank > axis
        product[has] *= index.shape[index.shape_start[:-1][has] + axis].astype(np.int64)
    return product


def weights(index: TensorIndex) -> NDArray[np.bool_]:
    """Which rows are weights: numbers, of a role of `WEIGHT_ROLES`, and no copies of other rows."""
    roles = np.array([role in WEIGHT_ROLES for role in index.roles], dtype=bool)
    numbers = np.array([dtype != STRING for dtype in index.dtypes], dtype=bool)
    found = roles[index.role] & numbers[index.dtype] if len(index) else np.zeros(0, dtype=bool)
    found[[row for row, values in index.attributes.items() if "copy_of" in values]] = False
    return found


def by_code(
    index: TensorIndex, codes: NDArray[np.uint8], table: Sequence[str]
) -> tuple[Total, ...]:
    """Totals by the entries of a table: `index.dtype` with `index.dtypes`, or roles."""
    counts = np.bincount(codes, minlength=len(table)).tolist()
    sizes, lengths = _sums(codes, elements(index), table), _sums(codes, index.length, table)
    return tuple(map(Total, table, counts, sizes, lengths))


def _sums(codes: NDArray[Any], values: NDArray[Any], table: Sequence[object]) -> list[int]:
    """Exact sums of `values` by entry of `table`."""
    sums = np.zeros(len(table), dtype=np.int64)
    np.add.at(sums, codes, values.astype(np.int64))
    return sums.tolist()


def parameters(index: TensorIndex) -> Parameters:
    """The parameters of the whole model."""
    ranks = [_ROLE_RANK.get(role, len(_ROLE_RANK)) for role in index.roles]
    rows = np.flatnonzero(weights(index))
    role = np.array(ranks, dtype=np.int64)[index.role[rows]]
    place = [column[rows] for column in (index.length, index.offset, index.file)]
    order = np.lexsort((role, *place))
    first = np.ones(len(rows), dtype=bool)
    first[1:] = np.any([column[order][1:] != column[order][:-1] for column in place], axis=0)
    sums = _sums(role[order][first], elements(index)[rows][order][first], range(3))
    return Parameters(sum(sums), *sums[:2])


def by_layer(index: TensorIndex, order: LayerOrder) -> tuple[LayerTotal, ...]:
    """The weights by layer."""
    rows = np.flatnonzero(weights(index))
    names, codes = _groups(index.names[row] for row in rows.tolist())
    sizes = elements(index)[rows]
    trained, fixed = (sizes * _has_role(index, rows, r) for r in ("trainable", "non-trainable"))
    found = [order.find(name) for name in names]
    totals = map(
        LayerTotal,
        names,
        (class_name for _, class_name in found),
        _sums(codes, np.ones(len(rows)), names),
        *(_sums(codes, column, names) for column in (sizes, trained, fixed, index.length[rows])),
        _dtypes(index, rows, codes, len(names)),
    )
    positions = {name: position for name, (position, _) in zip(names, found, strict=True)}
    return tuple(sorted(totals, key=lambda total: (positions[total.name], total.name)))


def _groups(names: Iterable[str]) -> tuple[list[str], NDArray[np.int64]]:
    """Layers in order of appearance, and each name's number among them."""
    numbers: dict[str, int] = {}
    codes = [numbers.setdefault(layer_of(name), len(numbers)) for name in names]
    return list(numbers), np.array(codes, dtype=np.int64)


def layer_of(name: str) -> str:
    """The layer that a tensor's name tells."""
    return name.rpartition("/" if "/" in name else ".")[0]


def _has_role(index: TensorIndex, rows: NDArray[np.intp], role: str) -> NDArray[np.bool_]:
    codes = [code for code, name in enumerate(index.roles) if name == role]
    return np.isin(index.role[rows], codes)


def _dtypes(
    index: TensorIndex, rows: NDArray[np.intp], codes: NDArray[np.int64], count: int
) -> list[tuple[str, ...]]:
    """The dtypes of each layer's tensors, ascending."""
    found: list[set[str]] = [set() for _ in range(count)]
    for layer, dtype in set(zip(codes.tolist(), index.dtype[rows].tolist(), strict=True)):
        found[layer].add(index.dtypes[dtype])
    return [tuple(sorted(names)) for names in found]
