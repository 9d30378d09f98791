"""The tensor index of several artifacts: which of their tensors are one and the same (rule WRT-06).

Tensors of two components become one row when dtype, shape and bytes are equal and either some
naming system has the same name for both, or the bytes are distinctive (64 bytes or more, not one element repeated) and
occur once in each. Nothing else is guessed: equal zeros stay apart, though they share a range.

    rows = merge(artifacts, plan)
    index = build(rows, digests)
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from modelbundle.compose import MIN_SHARED_BYTES, Plan
from modelbundle.core import dtypes
from modelbundle.core.blobs import Blob
from modelbundle.core.digests import DIGEST_BYTES
from modelbundle.core.tensor_index import U1, U4, U8, Namespace, TensorIndex
from modelbundle.sources.artifact import Artifact, ArtifactTensor
from modelbundle.storage.scan import Range

_DISTINCTIVE_BYTES = 64
_KERAS = "keras"

_Content = tuple[str, tuple[int, ...], object]


@dataclass(slots=True)
class MergedRow:
    """A row of the index to be: where its bytes are stored and what each component calls it."""

    tensor: ArtifactTensor
    file: str
    offset: int
    names: dict[tuple[str, str], str] = field(default_factory=dict)
    """Name by component and naming system."""
    components: set[str] = field(default_factory=set)
    attributes: dict[str, str] = field(default_factory=dict)
    known_as: set[tuple[str, str]] = field(default_factory=set)
    """Naming systems and names, whatever the component."""
    keras: str | None = None

    @property
    def range(self) -> Range:
        """Offset and length in the stored file."""
        return self.offset, self.tensor.length

    def absorb(self, tensor: ArtifactTensor, component: str) -> None:
        """Note that `component` has this tensor too."""
        self.components.add(component)
        self.keras = self.keras or tensor.names.get(_KERAS)
        self.known_as.update(tensor.names.items())
        self.names.update({(component, system): name for system, name in tensor.names.items()})
        self.attributes.update(tensor.attributes)
        if self.tensor.role == "other":
            self.tensor = _with_role(self.tensor, tensor)


def _with_role(tensor: ArtifactTensor, other: ArtifactTensor) -> ArtifactTensor:
    from dataclasses import replace

    return replace(tensor, role=other.role) if other.role != "other" else tensor


def merge(artifacts: Sequence[Artifact], plan: Plan) -> list[MergedRow]:
    """The rows for all tensors of `artifacts`, in no particular order."""
    rows: list[MergedRow] = []
    by_content: dict[_Content, list[MergedRow]] = defaultdict(list)
    for artifact in artifacts:
        component = artifact.components[0].id
        blobs = {file.path: file.blob for file in artifact.files}
        placed = [(tensor, *plan.locate(tensor.path, tensor.offset, tensor.length)) for tensor in artifact.tensors]
        contents = [_content(tensor, file, offset, blobs) for tensor, file, offset in placed]
        count = Counter(contents)
        for (tensor, file, offset), content in zip(placed, contents, strict=True):
            row = _partner(tensor, component, by_content[content], alone=count[content] == 1, blob=blobs[tensor.path])
            if row is None:
                row = MergedRow(tensor, file, offset)
                rows.append(row)
                by_content[content].append(row)
            row.absorb(tensor, component)
    return rows


def _content(tensor: ArtifactTensor, file: str, offset: int, blobs: Mapping[str, Blob]) -> _Content:
    """What equal tensors have in common: a stored range is one content, short ones are read."""
    if tensor.length >= MIN_SHARED_BYTES:
        return tensor.dtype, tensor.shape, (file, offset)
    return tensor.dtype, tensor.shape, blobs[tensor.path].read(tensor.offset, tensor.length)


def _partner(
    tensor: ArtifactTensor, component: str, rows: Sequence[MergedRow], *, alone: bool, blob: Blob
) -> MergedRow | None:
    others = [row for row in rows if component not in row.components]
    names = set(tensor.names.items())
    for row in others:
        if names & row.known_as:
            return row
    if alone and len(rows) == 1 and others and _is_distinctive(tensor, blob):
        return others[0]
    return None


def _is_distinctive(tensor: ArtifactTensor, blob: Blob) -> bool:
    """Whether the first bytes are more than one element repeated."""
    if tensor.length < _DISTINCTIVE_BYTES:
        return False
    head = blob.read(tensor.offset, min(tensor.length, 16 * _DISTINCTIVE_BYTES))
    width = max((dtypes.element_bits(tensor.dtype) or 8) // 8, 1)
    return head[width:] != head[:-width]


def name_rows(rows: Sequence[MergedRow]) -> list[str]:
    """A name for each row, each once: its Keras name or its own; where several rows want one
    name, each gets its component before it."""
    wanted = [row.keras or row.tensor.name for row in rows]
    contested = {name for name, count in Counter(wanted).items() if count > 1}
    names = [
        f"{min(row.components)}:{row.tensor.name}" if name in contested else name
        for row, name in zip(rows, wanted, strict=True)
    ]
    counts: Counter[str] = Counter()
    unique = []
    taken = set(names)
    for name in names:
        counts[name] += 1
        candidate = name
        while counts[name] > 1 and candidate in taken:
            candidate = f"{name}#{counts[name]}"
            counts[name] += candidate in taken
        taken.add(candidate)
        unique.append(candidate)
    return unique


def build(rows: Sequence[MergedRow], digest: Mapping[tuple[str, Range], bytes] | None) -> TensorIndex:
    """The index of `rows`; without digests, one of the same length with zeros for them."""
    order = sorted(zip(name_rows(rows), rows, strict=True), key=lambda pair: pair[0])
    names = [name for name, _ in order]
    ordered = [row for _, row in order]
    tables = {
        "dtypes": sorted({row.tensor.dtype for row in ordered}),
        "files": sorted({row.file for row in ordered}),
        "roles": sorted({row.tensor.role for row in ordered}),
    }
    code = {name: {entry: at for at, entry in enumerate(table)} for name, table in tables.items()}
    raw = bytes(DIGEST_BYTES * len(ordered))
    if digest is not None:
        raw = b"".join(digest[row.file, row.range] for row in ordered)
    return TensorIndex(
        names=names,
        dtypes=tables["dtypes"],
        files=tables["files"],
        roles=list(tables["roles"]),
        dtype=np.array([code["dtypes"][row.tensor.dtype] for row in ordered], U1),
        rank=np.array([len(row.tensor.shape) for row in ordered], U1),
        shape=np.array([dim for row in ordered for dim in row.tensor.shape], U8),
        file=np.array([code["files"][row.file] for row in ordered], U4),
        offset=np.array([row.offset for row in ordered], U8),
        length=np.array([row.tensor.length for row in ordered], U8),
        digest=raw,
        role=np.array([code["roles"][row.tensor.role] for row in ordered], U1),
        namespaces=_namespaces(ordered),
        attributes={at: row.attributes for at, row in enumerate(ordered) if row.attributes},
    )


def _namespaces(rows: Sequence[MergedRow]) -> list[Namespace]:
    spaces: dict[tuple[str, str], tuple[list[int], list[str]]] = defaultdict(lambda: ([], []))
    for number, row in enumerate(rows):
        for (component, system), name in row.names.items():
            numbers, names = spaces[system, component]
            numbers.append(number)
            names.append(name)
    return [
        Namespace(component, system, np.array(numbers, U4), names)
        for (system, component), (numbers, names) in sorted(spaces.items())
    ]
