"""The calls of a Functional model: who feeds whom, from the forms that Keras has written.

Keras 1 and 2 write a call as nested lists of `[layer, node, tensor]` or `[layer, node, tensor,
arguments]`, constants as `["_CONSTANT_VALUE", -1, value]`, and tensors among the arguments as
`[layer, node, tensor]`; calls of TensorFlow functions drop the outer list. Keras 3 writes
`{"args": …, "kwargs": …}` with `__keras_tensor__` objects. Both become nodes:

    {"layer": "add", "node": 0, "inputs": [{"layer": "a", "node": 0, "tensor": 0}],
     "args": [{"$tensor": 0}], "kwargs": {}}

`node` counts the calls of its layer from 0. Keras counts the calls of a nested model from 1 where
the model holds a call of its own (in Keras 3, among inputs and outputs only); `offsets` undoes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelbundle.core.findings import BundleError, checks, clip, refuse
from modelbundle.core.limits import LIMITS
from modelbundle.sources.keras.config_json import malformed
from modelbundle.sources.keras.values import KEEP, Document, Values, escaped

Node = dict[str, Any]

_CONSTANT = "_CONSTANT_VALUE"
_KEEPS_STRUCTURE = frozenset({"TFOpLambda", "ClassMethod", "InstanceMethod", "InstanceProperty"})
"""Classes whose call takes a list of one tensor as a list."""


@dataclass(frozen=True, slots=True)
class CalledLayer:
    """What references to a layer need: how often it is called, and what it is."""

    calls: int
    form: str | None
    is_input: bool


@dataclass(slots=True)
class Scope:
    """The layers of one model by name, with the offsets of their call numbers."""

    layers: Mapping[str, CalledLayer]
    call_offsets: Mapping[str, int]
    output_offsets: Mapping[str, int]


def is_reference(value: Any) -> bool:
    """Whether `value` has the form `[layer, node, tensor]`, with or without arguments."""
    return (
        isinstance(value, list)
        and len(value) in (3, 4)
        and isinstance(value[0], str)
        and all(type(number) is int for number in value[1:3])
    )


def offsets(
    layers: Mapping[str, CalledLayer], calls: Mapping[str, list[Any]], ends: list[Any]
) -> Scope:
    """The scope of a model, given every layer's raw calls and the model's inputs and outputs.

    Every call feeds something, so a nested model whose lowest number is 1 is counted from 1.
    """
    nested = {name for name, layer in layers.items() if layer.form in ("functional", "sequential")}
    if not nested:
        return Scope(layers, {}, {})
    if any(isinstance(call, dict) and "args" in call for made in calls.values() for call in made):
        return Scope(layers, {}, {n: 1 for n in nested if layers[n].form == "functional"})
    lowest: dict[str, int] = {}
    for name, number in _references([*calls.values(), ends]):
        if name in nested:
            lowest[name] = min(number, lowest.get(name, number))
    found = {name: 1 for name, number in lowest.items() if number > 0}
    return Scope(layers, found, found)


def _references(value: Any) -> Iterator[tuple[str, int]]:
    """Layer and number of every reference within lists and dictionaries, without recursion."""
    stack = [value]
    while stack:
        item = stack.pop()
        if is_reference(item):
            yield item[0], item[1]
            stack.extend(item[3:])
        elif isinstance(item, dict):
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


@checks("KCF-03")
def resolve(reference: Any, scope: Scope, numbering: Mapping[str, int], place: str) -> Node:
    """A reference as layer, node and tensor; refuses (KCF-03) one to what does not exist."""
    if not is_reference(reference):
        raise malformed(place, "a reference [layer, node, tensor]", reference)
    name, number, tensor = reference[:3]
    if (layer := scope.layers.get(name)) is None:
        raise _dangling(place, "a layer of this model", name)
    number = 0 if layer.is_input else max(number - numbering.get(name, 0), min(number, 0))
    if not 0 <= number < layer.calls:
        raise _dangling(place, f"one of {layer.calls} calls of {clip(name)}", reference[1])
    if not 0 <= tensor <= (0 if layer.is_input else LIMITS.safe_integer):
        raise _dangling(place, f"a tensor that {clip(name)} gives", tensor)
    return {"layer": name, "node": number, "tensor": tensor}


def _dangling(place: str, expected: str, found: object) -> BundleError:
    hint = "The config was cut or edited; take it from the model again"
    return refuse("KCF-03", place, expected, found, hint)


class _Tensors(Values):
    """Encodes the arguments of one call and collects the tensors among them."""

    def __init__(
        self, document: Document, scope: Scope, numbering: Mapping[str, int], place: str
    ) -> None:
        super().__init__(document)
        self.inputs: list[Node] = []
        self._scope = scope
        self._numbering = numbering
        self._place = place

    def tensor(self, reference: Any) -> dict[str, int]:
        self.document.count()
        self.inputs.append(resolve(reference, self._scope, self._numbering, self._place))
        return {"$tensor": len(self.inputs) - 1}

    def special(self, value: dict[str, Any] | list[Any], slot: str) -> Any:
        if isinstance(value, dict):
            if value.get("class_name") != "__keras_tensor__":
                return KEEP
            config = value.get("config")
            return self.tensor(config.get("keras_history") if isinstance(config, dict) else None)
        known = len(value) == 3 and is_reference(value) and value[0] in self._scope.layers
        return self.tensor(value) if known else KEEP

    def structure(self, value: Any, constants: bool = True) -> Any:
        """A structure of references, and of `constants` where a call may take them."""
        if constants and isinstance(value, list) and value and value[0] == _CONSTANT:
            return self.encode(value[2]) if len(value) > 2 else None
        if isinstance(value, dict):
            return {escaped(key): self.structure(value[key], constants) for key in sorted(value)}
        if isinstance(value, list) and not (value and isinstance(value[0], str)):
            return [self.structure(item, constants) for item in value]
        return self.tensor(value)


@dataclass(frozen=True, slots=True)
class Call:
    """Which call of which layer a node stands for, and where the config has it."""

    layer: str
    class_name: str
    number: int
    place: str


def node(where: Call, call: Any, scope: Scope, document: Document) -> Node:
    """One call of a layer as a node; raises BundleError (KCF-01 to KCF-03)."""
    document.count()
    values = _Tensors(document, scope, scope.call_offsets, where.place)
    if isinstance(call, dict) and "args" in call:
        args, kwargs = call["args"], call.get("kwargs")
        if not isinstance(args, list) or not isinstance(kwargs, dict):
            raise malformed(where.place, "a call with args and kwargs", sorted(call))
        args, kwargs = values.encode(args), values.encode(kwargs)
    else:
        args = [values.structure(_unwrap(call, where.class_name))]
        kwargs = values.encode(_arguments(call))
    return {
        "layer": where.layer,
        "node": where.number,
        "inputs": values.inputs,
        "args": args,
        "kwargs": kwargs,
    }


def _unwrap(call: Any, class_name: str) -> Any:
    single = isinstance(call, list) and len(call) == 1 and class_name not in _KEEPS_STRUCTURE
    return call[0] if single else call


def _arguments(call: Any) -> dict[str, Any]:
    """The keyword arguments of a call in lists, which every reference repeats."""
    stack = [call]
    while stack:
        item = stack.pop()
        if isinstance(item, list) and item and isinstance(item[0], str):
            if len(item) == 4 and isinstance(item[3], dict) and item[3]:
                return item[3]
        elif isinstance(item, dict | list):
            stack.extend(item.values() if isinstance(item, dict) else item)
    return {}


def ends(
    value: Any, scope: Scope, unwrap: bool, document: Document, place: str
) -> tuple[list[Node], Any]:
    """A model's inputs or outputs: the tensors, and their structure in terms of `$tensor`.

    `unwrap` takes a list of one tensor for that tensor, as Keras 1 and 2 mean it.
    """
    values = _Tensors(document, scope, scope.output_offsets, place)
    structure = values.structure(_unwrap(value, "") if unwrap else value, constants=False)
    return values.inputs, structure


def in_order(nodes: list[Node], place: str) -> list[Node]:
    """The nodes as given, each preceded by those that feed it; refuses (KCF-03) a cycle.

    What feeds a node and does not stand yet comes before it, depth first, by its `inputs`.
    """
    by_key = {(item["layer"], item["node"]): item for item in nodes}
    placed: dict[tuple[str, int], Node] = {}
    opened: dict[tuple[str, int], Iterator[Node]] = {}  # from the node in question inwards
    for key in by_key:
        if key not in placed:
            opened[key] = iter(by_key[key]["inputs"])
        while opened:
            last = next(reversed(opened))
            source = next(opened[last], None)
            if source is None:
                placed[last] = by_key[last]
                del opened[last]
                continue
            feeds = (source["layer"], source["node"])
            if feeds in opened:
                raise _dangling(place, "calls that do not feed themselves", feeds[0])
            if feeds not in placed:
                opened[feeds] = iter(by_key[feeds]["inputs"])
    return list(placed.values())
