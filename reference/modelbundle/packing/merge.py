"""The tensor index of several artifacts: which of their tensors are one and the same (rule WRT-06).

Tensors of two components become one row when dtype, shape and bytes are equal and, asked in this
order: some naming system has the same name for both; or the Keras name of one ends with that of
the other (`net/dense/kernel`, `dense/kernel`); or the bytes are distinctive (64 bytes or more, not
one element repeated) and occur once in each. A rule that would bind two tensors to one row binds
neither. Nothing else is guessed: equal zeros stay apart, though they share a range.

    rows = merge(artifacts, plan)
    index = build(rows)
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from modelbundle.core import dtypes
from modelbundle.core.blobs import Blob
from modelbundle.core.digests import DIGEST_BYTES
from modelbundle.core.findings import checks, refuse
from modelbundle.core.tensor_index import U1, U4, U8, Namespace, TensorIndex
from modelbundle.packing.compose import MIN_SHARED_BYTES, Plan
from modelbundle.sources.artifact import Artifact, ArtifactTensor, TensorRole

MAX_DTYPES = 256
_DISTINCTIVE_BYTES = 64
_KERAS = "keras"

_Content = tuple[str, tuple[int, ...], object]
_Key = TypeVar("_Key", bound=Hashable)


@dataclass(slots=True, eq=False)
class MergedRow:
    """A row of the index to be: where its bytes are stored and what each component calls it."""

    file: str
    offset: int
    holders: tuple[tuple[str, ArtifactTensor], ...]
    """The components that have the tensor, one at least, each with what it says of it."""

    @property
    def tensor(self) -> ArtifactTensor:
        """The tensor as the first of its holders has it."""
        return self.holders[0][1]

    @property
    def components(self) -> set[str]:
        """The components that have the tensor."""
        return {component for component, _ in self.holders}

    @property
    def role(self) -> TensorRole:
        """What the first holder that knows its role says."""
        roles = (tensor.role for _, tensor in self.holders)
        return next((role for role in roles if role != "other"), "other")

    @property
    def names(self) -> dict[tuple[str, str], str]:
        """Name by component and naming system."""
        return {
            (component, system): name
            for component, tensor in self.holders
            for system, name in tensor.names.items()
        }

    @property
    def attributes(self) -> dict[str, str]:
        """What its holders say beyond bytes, dtype and shape; the last one counts."""
        return {
            key: value for _, tensor in self.holders for key, value in tensor.attributes.items()
        }

    @property
    def keras(self) -> str | None:
        """The shortest of its Keras names, if it has any."""
        names = (tensor.names[_KERAS] for _, tensor in self.holders if _KERAS in tensor.names)
        return min(names, key=lambda name: (len(name), name), default=None)


_Table = dict[_Key, MergedRow | None]
"""Rows by a key; None where several rows have it."""


class _Alike:
    """The rows so far with one content, found by name."""

    def __init__(self) -> None:
        self.rows: list[MergedRow] = []
        self.by_name: _Table[tuple[str, str]] = {}
        self.by_path: _Table[str] = {}
        self.by_end: _Table[str] = {}

    def note(self, row: MergedRow, tensor: ArtifactTensor) -> None:
        """Know `row` by the names of `tensor` too."""
        for pair in tensor.names.items():
            _note(self.by_name, pair, row)
        if path := tensor.names.get(_KERAS):
            _note(self.by_path, path, row)
            for end in _ends(path):
                _note(self.by_end, end, row)


def _note(table: _Table[_Key], key: _Key, row: MergedRow) -> None:
    table[key] = row if table.get(key, row) is row else None


def _ends(path: str) -> Iterator[str]:
    """What remains of `path`, down to two segments, when segments are taken away in front."""
    segments = path.split("/")
    return ("/".join(segments[start:]) for start in range(len(segments) - 1))


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A tensor of the artifact at hand, with what may be the same."""

    tensor: ArtifactTensor
    alike: _Alike
    blob: Blob
    alone: bool
    """No other tensor of the artifact has the same content."""


def _by_name(candidate: _Candidate) -> MergedRow | None:
    by_name = candidate.alike.by_name
    return _only(by_name[pair] for pair in candidate.tensor.names.items() if pair in by_name)


def _by_path(candidate: _Candidate) -> MergedRow | None:
    alike, path = candidate.alike, candidate.tensor.names.get(_KERAS)
    if path is None:
        return None
    found = [alike.by_path[end] for end in _ends(path) if end in alike.by_path]
    if "/" in path and path in alike.by_end:
        found.append(alike.by_end[path])
    return _only(found)


def _only(found: Iterable[MergedRow | None]) -> MergedRow | None:
    """The row if all that was found is that one."""
    rows = set(found)
    return rows.pop() if len(rows) == 1 else None


def _by_bytes(candidate: _Candidate) -> MergedRow | None:
    rows = candidate.alike.rows
    sure = candidate.alone and len(rows) == 1 and _is_distinctive(candidate.tensor, candidate.blob)
    return rows[0] if sure else None


_RULES: tuple[Callable[[_Candidate], MergedRow | None], ...] = (_by_name, _by_path, _by_bytes)


def merge(artifacts: Sequence[Artifact], plan: Plan) -> list[MergedRow]:
    """The rows for all tensors of `artifacts`, in no particular order."""
    if len(artifacts) == 1:  # nothing to merge with, so nothing is kept to find it by
        (artifact,) = artifacts
        return [_row(tensor, artifact.components[0].id, plan) for tensor in artifact.tensors]
    rows: list[MergedRow] = []
    known: dict[_Content, _Alike] = defaultdict(_Alike)
    for artifact in artifacts:
        component = artifact.components[0].id
        candidates = _candidates(artifact, plan, known)
        for candidate, partner in zip(candidates, _partners(candidates), strict=True):
            tensor, row = candidate.tensor, partner
            if row is None:
                row = _row(tensor, component, plan)
                rows.append(row)
                candidate.alike.rows.append(row)
            else:
                row.holders += ((component, tensor),)
            candidate.alike.note(row, tensor)
    return rows


def _row(tensor: ArtifactTensor, component: str, plan: Plan) -> MergedRow:
    file, offset = plan.locate(tensor.path, tensor.offset, tensor.length)
    return MergedRow(file, offset, ((component, tensor),))


def _candidates(
    artifact: Artifact, plan: Plan, known: Mapping[_Content, _Alike]
) -> list[_Candidate]:
    blobs = {file.path: file.blob for file in artifact.files}
    contents = [_content(tensor, plan, blobs) for tensor in artifact.tensors]
    count = Counter(contents)
    return [
        _Candidate(tensor, known[content], blobs[tensor.path], count[content] == 1)
        for tensor, content in zip(artifact.tensors, contents, strict=True)
    ]


def _content(tensor: ArtifactTensor, plan: Plan, blobs: Mapping[str, Blob]) -> _Content:
    """What equal tensors have in common: a stored range is one content, short ones are read."""
    if tensor.length >= MIN_SHARED_BYTES:
        place = plan.locate(tensor.path, tensor.offset, tensor.length)
        return tensor.dtype, tensor.shape, place
    return tensor.dtype, tensor.shape, blobs[tensor.path].read(tensor.offset, tensor.length)


def _partners(candidates: Sequence[_Candidate]) -> list[MergedRow | None]:
    """For each candidate the row that it is, by the first rule that names one for it alone."""
    partners: list[MergedRow | None] = [None] * len(candidates)
    taken: set[MergedRow] = set()
    for rule in _RULES:
        proposals: dict[MergedRow, list[int]] = defaultdict(list)
        for number, candidate in enumerate(candidates):
            if partners[number] is None and (row := rule(candidate)) is not None:
                proposals[row].append(number)
        for row, numbers in proposals.items():
            if len(numbers) == 1 and row not in taken:
                partners[numbers[0]] = row
                taken.add(row)
    return partners


def _is_distinctive(tensor: ArtifactTensor, blob: Blob) -> bool:
    """Whether the first bytes are more than one element repeated."""
    if tensor.length < _DISTINCTIVE_BYTES:
        return False
    head = blob.read(tensor.offset, min(tensor.length, 16 * _DISTINCTIVE_BYTES))
    width = max((dtypes.element_bits(tensor.dtype) or 8) // 8, 1)
    return head[width:] != head[:-width]


def name_rows(rows: Sequence[MergedRow]) -> list[str]:
    """A name for each row, each once: its Keras name, or its own.

    Where several rows want one name, each gets its component and its own name.
    """
    wanted = [row.keras or row.tensor.name for row in rows]
    if len(set(wanted)) == len(wanted):
        return wanted
    count = Counter(wanted)
    for number, row in enumerate(rows):
        if count[wanted[number]] > 1:
            wanted[number] = f"{min(row.components)}:{row.tensor.name}"
    return _numbered(wanted)


def _numbered(names: Sequence[str]) -> list[str]:
    """`names` with `#2`, `#3`, … after those that stand there more than once."""
    taken = set(names)
    seen: set[str] = set()
    unique = []
    for name in names:
        candidate = name
        number = 1
        while candidate in seen or (number > 1 and candidate in taken):
            number += 1
            candidate = f"{name}#{number}"
        seen.add(candidate)
        unique.append(candidate)
    return unique


@checks("WRT-04")
def _check_dtypes(found: Sequence[str]) -> None:
    """A code of a dtype is one byte."""
    if len(found) > MAX_DTYPES:
        hint = "strings of many widths are many dtypes: pack them in several bundles"
        expected = f"at most {MAX_DTYPES} dtypes in a bundle"
        raise refuse("WRT-04", "tensors.msgpack#/dtypes", expected, len(found), hint)


def build(rows: Sequence[MergedRow]) -> TensorIndex:
    """The index of `rows`, ascending by name, with zeros for digests."""
    names = name_rows(rows)
    order = sorted(range(len(rows)), key=names.__getitem__)
    ordered = [rows[number] for number in order]
    tables: dict[str, list[str]] = {
        "dtypes": sorted({row.tensor.dtype for row in ordered}),
        "files": sorted({row.file for row in ordered}),
        "roles": sorted({str(row.role) for row in ordered}),
    }
    _check_dtypes(tables["dtypes"])
    code = {name: {entry: at for at, entry in enumerate(table)} for name, table in tables.items()}
    dimensions = chain.from_iterable(row.tensor.shape for row in ordered)
    return TensorIndex(
        names=[names[number] for number in order],
        dtypes=tables["dtypes"],
        files=tables["files"],
        roles=tables["roles"],
        dtype=_column(U1, (code["dtypes"][row.tensor.dtype] for row in ordered)),
        rank=_column(U1, (len(row.tensor.shape) for row in ordered)),
        shape=_column(U8, dimensions),
        file=_column(U4, (code["files"][row.file] for row in ordered)),
        offset=_column(U8, (row.offset for row in ordered)),
        length=_column(U8, (row.tensor.length for row in ordered)),
        digest=bytes(DIGEST_BYTES * len(ordered)),
        role=_column(U1, (code["roles"][row.role] for row in ordered)),
        namespaces=_namespaces(ordered),
        attributes={
            at: attributes for at, row in enumerate(ordered) if (attributes := row.attributes)
        },
    )


def _column(dtype: np.dtype[Any], values: Iterable[int]) -> NDArray[Any]:
    return np.fromiter(values, dtype)


def _namespaces(rows: Sequence[MergedRow]) -> list[Namespace]:
    spaces: dict[tuple[str, str], tuple[array[int], list[str]]]
    spaces = defaultdict(lambda: (array("Q"), []))
    for number, row in enumerate(rows):
        for component, tensor in row.holders:
            for system, name in tensor.names.items():
                numbers, names = spaces[system, component]
                numbers.append(number)
                names.append(name)
    return [
        Namespace(component, system, np.array(numbers, U4), names)
        for (system, component), (numbers, names) in sorted(spaces.items())
    ]
