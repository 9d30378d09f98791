"""The rows of the tensor index (section 12.2) from the text of the standard alone.

`rows(sources)` gives for each row its name, dtype, shape, role, attributes and names by source
and naming system. A source is its root and its tensors, in order.
"""

from dataclasses import dataclass, field
from itertools import count

Names = dict[str, str]


@dataclass(frozen=True)
class Tensor:
    name: str
    data: bytes
    dtype: str = "float32"
    role: str = "other"
    names: Names = field(default_factory=dict)
    attributes: Names = field(default_factory=dict)

    @property
    def content(self) -> tuple[str, bytes]:
        return self.dtype, self.data

    def is_distinctive(self) -> bool:
        width = {"float32": 4, "uint8": 1}[self.dtype]
        head = self.data[:1024]
        elements = {head[at : at + width] for at in range(0, len(head), width)}
        return len(self.data) >= 64 and len(elements) > 1


Row = list[tuple[str, Tensor]]
"""The tensors in a row, each with the root of its source; the first made the row."""


def keras_paths(row: Row) -> set[str]:
    return {tensor.names["keras"] for _, tensor in row if "keras" in tensor.names}


def is_end(short: str, long: str) -> bool:
    return short == long or ("/" in short and long.endswith(f"/{short}"))


def by_name(tensor: Tensor, alike: list[Row], alone: bool) -> list[Row]:
    return [row for row in alike if any(tensor.names.items() & t.names.items() for _, t in row)]


def by_path(tensor: Tensor, alike: list[Row], alone: bool) -> list[Row]:
    mine = tensor.names.get("keras", "")
    return [
        row
        for row in alike
        if any(is_end(mine, path) or is_end(path, mine) for path in keras_paths(row))
    ]


def by_bytes(tensor: Tensor, alike: list[Row], alone: bool) -> list[Row]:
    return alike if alone and tensor.is_distinctive() else []


def merge(sources: dict[str, list[Tensor]]) -> list[Row]:
    rows: list[Row] = []
    for root in sorted(sources):
        contents = [tensor.content for tensor in sources[root]]
        waiting = {tensor.name: tensor for tensor in sources[root]}
        earlier = list(rows)
        alike = {
            tensor.content: [row for row in earlier if row[0][1].content == tensor.content]
            for tensor in sources[root]
        }
        joining: dict[int, tuple[Row, Tensor]] = {}
        for question in (by_name, by_path, by_bytes):
            proposals: dict[int, list[tuple[Row, Tensor]]] = {}
            for tensor in waiting.values():
                alone = contents.count(tensor.content) == 1
                found = question(tensor, alike[tensor.content], alone)
                if len(found) == 1:
                    proposals.setdefault(id(found[0]), []).append((found[0], tensor))
            for key, pairs in proposals.items():
                if len(pairs) == 1 and key not in joining:
                    joining[key] = pairs[0]
                    del waiting[pairs[0][1].name]
        for row, tensor in joining.values():
            row.append((root, tensor))
        rows += [[(root, tensor)] for tensor in waiting.values()]
    return rows


def wanted(row: Row) -> str:
    keras = {tensor.names["keras"] for _, tensor in row if "keras" in tensor.names}
    return min(keras, key=lambda name: (len(name), name), default=row[0][1].name)


def named(rows: list[Row]) -> list[str]:
    want = [wanted(row) for row in rows]
    full = [f"{min(dict(row))}:{row[0][1].name}" for row in rows]
    names = [b if want.count(a) > 1 else a for a, b in zip(want, full, strict=True)]
    final: list[str] = []
    for name in names:
        others = {*names, *final}
        numbered = (f"{name}#{k}" for k in count(2))
        final.append(next(n for n in numbered if n not in others) if name in final else name)
    return final


def rows(sources: dict[str, list[Tensor]]) -> list[tuple[str, str, str, Names, dict]]:
    merged = merge(sources)
    out = []
    for name, row in zip(named(merged), merged, strict=True):
        tensors = [tensor for _, tensor in row]
        roles = [tensor.role for tensor in tensors if tensor.role != "other"]
        attributes: Names = {}
        for tensor in tensors:
            attributes |= tensor.attributes
        spaces = {(root, s): n for root, tensor in row for s, n in tensor.names.items()}
        out.append((name, tensors[0].dtype, [*roles, "other"][0], attributes, spaces))
    return sorted(out, key=lambda row: row[0].encode())
