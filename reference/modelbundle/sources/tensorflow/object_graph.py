"""Object graphs: what TensorFlow saves about the objects that variables belong to.

A checkpoint has a TrackableObjectGraph: nodes, their children by attribute name, the key and full
name of each saved value, and optimizer slots. A SavedModel has a SavedObjectGraph besides, which
knows functions, assets and whether a variable is trainable. Both become a `Graph` here, every
reference in it checked, and one JSON document (schemas/object_graph.schema.json). Node 0 is the
root. Graphs have shared nodes and cycles; nothing here descends into them without a visited set.
Layout: tensorflow/core/protobuf/trackable_object_graph.proto and saved_object_graph.proto

    graph = read_trackable(Message.of(blob), place="ckpt-1.data-00000-of-00001")
    graph[graph[0].children["model"]].children
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from modelbundle.core import canonical_json
from modelbundle.sources.protobuf_wire import BOOL, SIZE, TEXT, UINT, Message, WireError, message
from modelbundle.sources.tensorflow.tensor_bundle import DTYPES, HANDLES, SHAPE

VERSION = "1.0-draft"
GRAPH_BYTES = 32 << 20
"""The largest serialised object graph that is read (bytes)."""
NODES = 1 << 20
"""The most nodes of a graph: an empty one takes two bytes of a file, and a hundred here."""
_NOTHING: Mapping[str, Any] = {}

_CHILDREN = ("children", {1: ("node", UINT), 2: ("name", TEXT)}, True)
_SLOTS = ("slots", {1: ("variable", UINT), 2: ("slot", TEXT), 3: ("value", UINT)}, True)
_TRACKABLE = {
    1: _CHILDREN,
    2: ("values", {1: ("name", TEXT), 2: ("full_name", TEXT), 3: ("key", TEXT)}, True),
    3: _SLOTS,
}
_VARIABLE = {
    1: ("dtype", UINT),
    2: ("shape", SHAPE),
    3: ("trainable", BOOL),
    6: ("name", TEXT),
}
_KINDS = {
    4: ("object", {1: ("identifier", TEXT), 3: ("metadata", TEXT)}),
    5: ("asset", {1: ("asset", SIZE)}),
    6: ("function", {}),
    7: ("variable", _VARIABLE),
    8: ("concrete_function", {1: ("function", TEXT)}),
    9: ("constant", {}),
    10: ("resource", {}),
    12: ("captured_tensor", {1: ("name", TEXT)}),
}  # fmt: skip
_SAVED = {1: _CHILDREN, 3: _SLOTS, 13: ("registered_name", TEXT), **_KINDS}
_KIND_NAMES = tuple(kind for kind, _ in _KINDS.values())


@dataclass(frozen=True, slots=True)
class Value:
    """A saved value of a node: its attribute, the variable's full name or "", and the key."""

    name: str
    full_name: str
    key: str


@dataclass(frozen=True, slots=True)
class Slot:
    """An optimizer's slot: node `value` is what it keeps for node `variable`."""

    variable: int
    slot: str
    value: int


@dataclass(frozen=True, slots=True)
class Node:
    """One object. `kind` and `facts` are known from a SavedModel only."""

    children: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    values: tuple[Value, ...] = ()
    slots: tuple[Slot, ...] = ()
    kind: str = ""
    facts: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)


Graph = tuple[Node, ...]


def read_trackable(source: Message) -> Graph:
    """The graph of a TrackableObjectGraph message; raises `WireError` where it is malformed."""
    return _graph(source, _trackable_node)


def read_saved(source: Message) -> Graph:
    """The graph of a SavedObjectGraph message; raises `WireError` where it is malformed."""
    return _graph(source, _saved_node)


def _graph(source: Message, read_node: Callable[[Message], Node]) -> Graph:
    if len(source) > GRAPH_BYTES:
        raise WireError(source.start, f"an object graph of {len(source)} bytes")
    listed = (message(value) for number, value in source if number == 1)
    nodes = tuple(read_node(node) for node in islice(listed, NODES + 1))
    if len(nodes) > NODES:
        raise WireError(source.start, f"over {NODES} nodes")
    for node in nodes:
        for target in _references(node):
            if target >= len(nodes):
                raise WireError(source.start, f"a reference to node {target} of {len(nodes)}")
    return nodes


def _references(node: Node) -> Iterator[int]:
    yield from node.children.values()
    for slot in node.slots:
        yield from (slot.variable, slot.value)


def _trackable_node(source: Message) -> Node:
    row = source.decode(_TRACKABLE)
    values = tuple(
        Value(value.get("name", ""), value.get("full_name", ""), value.get("key", ""))
        for value in row.get("values", ())
    )
    return Node(_children(row, source), values, _slots(row))


def _saved_node(source: Message) -> Node:
    row = source.decode(_SAVED)
    kind = next((kind for kind in _KIND_NAMES if kind in row), "")
    facts = row.get(kind, _NOTHING)
    if kind == "variable":
        facts = _variable_facts(facts)
    elif kind == "asset":
        facts = {"asset": facts.get("asset", 0)}
    if "registered_name" in row:
        facts = {**facts, "registered_name": row["registered_name"]}
    return Node(_children(row, source), (), _slots(row), kind, facts)


def _variable_facts(row: Mapping[str, Any]) -> dict[str, Any]:
    facts = {
        "dtype": dtype_name(row.get("dtype", 0)),
        "name": row.get("name", ""),
        "trainable": row.get("trainable", False),
    }
    shape = row.get("shape", {})
    if not shape.get("unknown_rank"):
        facts["shape"] = shape_of(shape)
    return facts


def dtype_name(number: int) -> str:
    """Our name of a DataType; `resource`, `variant` or `unknown` for what is no dtype of ours."""
    number = number - 100 if number > 100 else number
    return DTYPES.get(number) or HANDLES.get(number, "unknown")


def shape_of(row: Mapping[str, Any]) -> list[int | None]:
    """The dimensions of a decoded TensorShapeProto, None where unknown."""
    sizes = (dim.get("size", 0) for dim in row.get("dims", ()))
    return [size if size >= 0 else None for size in sizes]


def _children(row: Mapping[str, Any], source: Message) -> Mapping[str, int]:
    if "children" not in row:
        return _NOTHING
    children = {child.get("name", ""): child.get("node", 0) for child in row["children"]}
    if len(children) != len(row["children"]):
        raise WireError(source.start, "two children of one name")
    return children


def _slots(row: Mapping[str, Any]) -> tuple[Slot, ...]:
    return tuple(
        Slot(slot.get("variable", 0), slot.get("slot", ""), slot.get("value", 0))
        for slot in row.get("slots", ())
    )


def aligned(first: Graph, second: Graph) -> dict[int, int]:
    """Nodes of `first` to the nodes of `second` that the same names lead to from the root.

    Both are walked breadth first, children ascending by name; the first way to a node counts.
    """
    pairs = {0: 0} if first and second else {}
    queue = deque(pairs)
    while queue:
        one = queue.popleft()
        children = second[pairs[one]].children
        for name, node in sorted(first[one].children.items()):
            if name in children and node not in pairs:
                pairs[node] = children[name]
                queue.append(node)
    return pairs


def with_values(graph: Graph, values: Mapping[int, Iterable[Value]]) -> Graph:
    """`graph` with the saved values of its nodes, by node number."""
    return tuple(
        Node(node.children, tuple(values.get(i, ())), node.slots, node.kind, node.facts)
        for i, node in enumerate(graph)
    )


def to_json(graph: Graph) -> bytes:
    """The graph as canonical JSON, after schemas/object_graph.schema.json."""
    nodes = [_node_json(node) for node in graph]
    return canonical_json.encode({"object_graph": VERSION, "nodes": nodes})


def _node_json(node: Node) -> dict[str, Any]:
    members: dict[str, Any] = {
        "kind": node.kind,
        "children": dict(node.children),
        "values": [
            {"name": value.name, "key": value.key}
            | ({"full_name": value.full_name} if value.full_name else {})
            for value in node.values
        ],
        "slots": [
            {"variable": slot.variable, "slot": slot.slot, "value": slot.value}
            for slot in node.slots
        ],
        "facts": {name: fact for name, fact in node.facts.items() if name != "metadata"},
    }
    return {name: member for name, member in members.items() if member}
