"""The tensors of a checkpoint: where they are, and every name that each of them has.

`tensorflow.variable` is the full name that the program gave the variable, `keras` the same where
Keras made it; both are left out where two tensors share one. `name` is what people would look for:
the Keras name, `optimizer/SLOT/VARIABLE` for a bound slot, else the key's path; always unique.
Where a directory holds several checkpoints, every name starts with the checkpoint's own.

    tensors = name_tensors(locate(bundle), variables, "tensorflow.checkpoint")
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from modelbundle.sources.artifact import ArtifactTensor, TensorRole
from modelbundle.sources.tensorflow.checkpoint_variables import VALUE_SUFFIX, Variable
from modelbundle.sources.tensorflow.tensor_bundle import Bundle, Sliced

EXPORT_COPIES = "_all_variables/"
"""Where a Keras 3 export lists, and so saves, every variable a second time."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor is: `path` in the bundle, offset and length in bytes; crc32c if it has one."""

    dtype: str
    shape: tuple[int, ...]
    path: str
    offset: int
    length: int
    crc32c: int | None = None


def locate(bundle: Bundle) -> dict[str, Place]:
    """Every tensor of a bundle that is one range of a shard, by key."""
    places = {
        key: Place(e.dtype, e.shape, bundle.shards[e.shard], e.offset, e.size, e.crc32c)
        for key, e in bundle.entries.items()
    }
    for key, whole in bundle.sliced.items():
        if is_range(whole):
            first, length = whole.slices[0], sum(piece.size for piece in whole.slices)
            path = bundle.shards[first.shard]
            places[key] = Place(whole.dtype, whole.shape, path, first.offset, length)
    return places


def is_range(whole: Sliced) -> bool:
    """Whether the slices lie one after another in a shard, in the order of the tensor's rows."""
    if any(dim != 1 for dim in whole.shape[: whole.axis]):
        return False
    if any(isinstance(part, Sliced) for part in whole.parts):
        return False
    end = whole.slices[0].shard, whole.slices[0].offset
    for piece in whole.slices:
        if (piece.shard, piece.offset) != end:
            return False
        end = piece.shard, piece.offset + piece.size
    return True


def name_tensors(
    places: Mapping[str, Place],
    variables: Mapping[str, Variable],
    namespace: str,
    folder: str = "",
) -> list[ArtifactTensor]:
    """The tensors in order of their keys; each name starts with `folder` where one is given."""
    copies = dict(_copies(places, variables))
    known = {
        key: Variable() if key in copies else variables.get(key, Variable())
        for key in sorted(places)
    }
    counts = Counter(variable.full_name for variable in known.values())
    start = f"{folder}/" if folder else ""
    systems = {key: _systems(key, known[key], counts, namespace) for key in known}
    candidates = [[start + name for name in _candidates(key, known[key], systems)] for key in known]
    attributes = {key: _attributes(key, known[key], copies, start) for key in known}
    return [
        _tensor(name, places[key], known[key].role, _prefixed(start, systems[key]), attributes[key])
        for name, key in zip(_unique(candidates), known, strict=True)
    ]


def _tensor(
    name: str, place: Place, role: TensorRole, names: dict[str, str], attributes: dict[str, str]
) -> ArtifactTensor:
    where = place.path, place.offset, place.length
    return ArtifactTensor(name, place.dtype, place.shape, *where, role, names, attributes)


def _prefixed(start: str, names: Mapping[str, str]) -> dict[str, str]:
    return {system: start + name for system, name in names.items()}


def _systems(
    key: str, variable: Variable, counts: Mapping[str, int], namespace: str
) -> dict[str, str]:
    """The tensor's name by naming system."""
    names = {namespace: key}
    if variable.full_name and counts[variable.full_name] == 1:
        names["tensorflow.variable"] = variable.full_name
        if variable.keras:
            names["keras"] = variable.full_name
    return names


def _attributes(
    key: str, variable: Variable, copies: Mapping[str, str], start: str
) -> dict[str, str]:
    """Facts; other tensors are named as their namespace names them."""
    attributes = {"copy_of": start + copies[key]} if key in copies else {}
    if variable.of:
        attributes |= {"slot": variable.slot, "of": start + variable.of}
    return attributes


def _candidates(
    key: str, variable: Variable, systems: Mapping[str, Mapping[str, str]]
) -> list[str]:
    """Names for people, the best first, the key last; a TensorFlow 1 key is a name already."""
    path = key.removesuffix(VALUE_SUFFIX)
    names = [systems[key].get("keras", path), path, key]
    if variable.of in systems and variable.full_name != key:
        served = systems[variable.of].get("keras", variable.of.removesuffix(VALUE_SUFFIX))
        names.insert(0, f"optimizer/{variable.slot}/{served}")
    return names


def _copies(
    places: Mapping[str, Place], variables: Mapping[str, Variable]
) -> Iterator[tuple[str, str]]:
    """Keys of an export's second copies, each with the key of the first."""
    originals = {
        variable.full_name: key
        for key, variable in variables.items()
        if key in places and not key.startswith(EXPORT_COPIES)
    }
    for key, variable in variables.items():
        original = originals.get(variable.full_name)
        if key in places and key.startswith(EXPORT_COPIES) and original:
            one, other = places[key], places[original]
            if one.crc32c == other.crc32c and (one.dtype, one.shape) == (other.dtype, other.shape):
                yield key, original


def _unique(candidates: Sequence[Sequence[str]]) -> list[str]:
    """One of each item's candidates, all different: those that clash go on to their next ones."""
    chosen = [0] * len(candidates)
    while True:
        names = [options[i] for options, i in zip(candidates, chosen, strict=True)]
        counts = Counter(names)
        clashing = [
            at
            for at, name in enumerate(names)
            if counts[name] > 1 and chosen[at] + 1 < len(candidates[at])
        ]
        if not clashing:
            return names
        for at in clashing:
            chosen[at] += 1
