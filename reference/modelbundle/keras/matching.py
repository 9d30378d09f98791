"""Which tensor belongs to which variable, by name and never by order.

Each side has names of two kinds. By `path`, a layer within a model of one's own class is called as
the attribute that holds it; by `name`, as the layer itself is called. A name is first brought
to one form: `:0` and `/.ATTRIBUTES/VARIABLE_VALUE` at its end, underscores around a segment and
the difference between `a.b` and `a/b` do not count. Names bind when they are equal; then, for
weights, when one is the end of the other (`dense/kernel`, `net/dense/kernel`; two segments at
least) and no other name is. A name that two tensors or two variables have binds neither.

    pairs = match(targets, sources)
    pairs.bound[0]                      # index of the tensor for the first variable
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelbundle.sources.artifact import TensorRole
from modelbundle.sources.tensorflow.checkpoint_variables import VALUE_SUFFIX

WEIGHTS: tuple[TensorRole, ...] = ("trainable", "non-trainable")
"""The roles that are bound where none are asked for."""

_OUTPUT_INDEX = re.compile(r":\d+$")
_Keys = frozenset[str]


@dataclass(frozen=True)
class Named:
    """A tensor or a variable under all its names, each in the form of `normal`."""

    name: str
    role: str
    dtype: str
    shape: tuple[int, ...]
    paths: _Keys
    names: _Keys
    attributes: _Keys = frozenset()
    """Of a tensor: those of `paths` that are made of attributes for certain."""
    every: _Keys = frozenset()
    """Of a tensor: its names of all kinds, as they stand and in the form of `normal`."""
    systems: Mapping[str, _Keys] = field(default_factory=dict)
    """Names by naming system, as `normal` has them."""
    content: object = None
    """What tells whether two tensors of a bundle hold the same bytes."""
    value: Any = None
    """Of a variable: itself."""
    read: Callable[[], Any] | None = None
    """Gives the value as an array."""


@dataclass(frozen=True)
class Pairs:
    """Index of the tensor by index of the variable; and indices of tensors that came too many."""

    bound: dict[int, int]
    ambiguous: dict[int, tuple[int, ...]] = field(default_factory=dict)

    def is_full(self, targets: int, sources: int) -> bool:
        """Whether every variable and every tensor is bound."""
        return len(self.bound) == targets and len(set(self.bound.values())) == sources


def normal(name: str) -> str:
    """The form in which names are compared."""
    name = _OUTPUT_INDEX.sub("", name.removesuffix(VALUE_SUFFIX))
    if "/" not in name:
        name = name.replace(".", "/")
    return "/".join(segment.strip("_") or segment for segment in name.split("/"))


def match(targets: Sequence[Named], sources: Sequence[Named], *, paths_hold: bool = False) -> Pairs:
    """By path and by name together, as far as they agree.

    Where they do not, the kind by which everything binds is right; where both or neither do, what
    they disagree on is ambiguous, unless `paths_hold`: the tensors were named by path as well.
    """
    one, two = by_path(targets, sources), by_name(targets, sources)
    disputed = _disputed(one.bound, two.bound)
    if not disputed:
        return _union(one, two)
    for pairs, other in ((one, two), (two, one)):
        full, rival = (p.is_full(len(targets), len(sources)) for p in (pairs, other))
        if full and (not rival or paths_hold):
            return pairs
    return one if paths_hold else _without(_union(one, two), disputed)


def by_path(targets: Sequence[Named], sources: Sequence[Named]) -> Pairs:
    """By path alone; only names that are made of attributes for certain bind by their ends."""
    return _with_ends(targets, sources, _paths, _paths, lambda item: item.attributes)


def by_name(targets: Sequence[Named], sources: Sequence[Named]) -> Pairs:
    """By the names of layers alone."""
    return _with_ends(targets, sources, _names, _names, _names)


def by_system(targets: Sequence[Named], sources: Sequence[Named], system: str) -> Pairs:
    """By what one naming system calls tensors and variables."""
    view = _of_system(system)
    return _with_ends(targets, sources, view, view, view)


def asked(
    targets: Sequence[Named], sources: Sequence[Named], wanted: Mapping[int, Sequence[str]]
) -> Pairs:
    """By the tensor that is `wanted` for a variable: the first of its names that is there.

    Several variables can have one tensor.
    """
    table: defaultdict[str, set[int]] = defaultdict(set)
    for at, source in enumerate(sources):
        for key in source.every:
            table[key].add(at)
    bound, ambiguous = {}, {}
    for target, names in wanted.items():
        spellings = [*names, *map(normal, names)]
        found = next((table[name] for name in spellings if name in table), set())
        if len(found) == 1:
            bound[target] = next(iter(found))
        elif found:
            ambiguous[target] = tuple(sorted(found))
    return Pairs(bound, ambiguous)


def _paths(item: Named) -> _Keys:
    return item.paths


def _names(item: Named) -> _Keys:
    return item.names


def _of_system(system: str) -> Callable[[Named], _Keys]:
    return lambda item: item.systems.get(system, frozenset())


_View = Callable[[Named], _Keys]
_Table = Mapping[int, _Keys]


def _with_ends(
    targets: Sequence[Named],
    sources: Sequence[Named],
    of_target: _View,
    of_source: _View,
    of_ends: _View,
) -> Pairs:
    """Equal names; then names of weights, `of_ends`, of which one ends with the other."""
    pairs = _exact(_table(targets, of_target), _table(sources, of_source))
    used = set(pairs.bound.values())
    left, spare = _weights(targets, of_target), _weights(sources, of_ends)
    return _union(
        pairs,
        _by_end(
            {at: keys for at, keys in left.items() if at not in pairs.bound},
            {at: keys for at, keys in spare.items() if at not in used},
        ),
    )


def _table(items: Sequence[Named], view: _View) -> _Table:
    return {at: view(item) for at, item in enumerate(items)}


def _weights(items: Sequence[Named], view: _View) -> _Table:
    return {at: view(item) for at, item in enumerate(items) if item.role in (*WEIGHTS, "other")}


def _exact(ours: _Table, theirs: _Table) -> Pairs:
    return _mutual(_meet(ours, _index(theirs)))


def _by_end(ours: _Table, theirs: _Table) -> Pairs:
    """Leftovers of which the name of one ends with the whole name of the other."""
    long = {at: _ends(keys) for at, keys in theirs.items()}
    found = _meet(ours, _index(long))
    longer = {at: _ends(keys) for at, keys in ours.items()}
    for target, sources in _meet(longer, _index(theirs)).items():
        found.setdefault(target, set()).update(sources)
    return _mutual(found)


def _ends(keys: Iterable[str]) -> _Keys:
    """What remains of names, down to two segments, when segments in front are taken away."""
    return frozenset(end for key in keys for end in _ends_of(key))


def _ends_of(key: str) -> Iterator[str]:
    segments = key.split("/")
    return ("/".join(segments[start:]) for start in range(1, len(segments) - 1))


def _index(table: _Table) -> dict[str, set[int]]:
    found: defaultdict[str, set[int]] = defaultdict(set)
    for at, keys in table.items():
        for key in keys:
            found[key].add(at)
    return found


def _meet(ours: _Table, theirs: Mapping[str, set[int]]) -> dict[int, set[int]]:
    """By target, the sources that have one of its keys."""
    return {
        at: found
        for at, keys in ours.items()
        if (found := {source for key in keys for source in theirs.get(key, ())})
    }


def _mutual(found: Mapping[int, set[int]]) -> Pairs:
    """Those that found just one another; who found several, or was found by several, is left."""
    finders: defaultdict[int, set[int]] = defaultdict(set)
    for target, sources in found.items():
        for source in sources:
            finders[source].add(target)
    bound, ambiguous = {}, {}
    for target, sources in found.items():
        if len(sources) == 1 and len(finders[(source := next(iter(sources)))]) == 1:
            bound[target] = source
        else:
            ambiguous[target] = tuple(sorted(sources))
    return Pairs(bound, ambiguous)


def _disputed(one: Mapping[int, int], two: Mapping[int, int]) -> set[int]:
    """Targets to which the two give different sources, or whose source the other gives away."""
    back_one = {source: target for target, source in one.items()}
    back_two = {source: target for target, source in two.items()}
    both = {target for target in one.keys() & two.keys() if one[target] != two[target]}
    for source in back_one.keys() & back_two.keys():
        if back_one[source] != back_two[source]:
            both |= {back_one[source], back_two[source]}
    return both


def _union(one: Pairs, two: Pairs) -> Pairs:
    bound = one.bound | two.bound
    used = set(bound.values())
    ambiguous = {
        target: left
        for target, sources in (one.ambiguous | two.ambiguous).items()
        if target not in bound and (left := tuple(s for s in sources if s not in used))
    }
    return Pairs(bound, ambiguous)


def _without(pairs: Pairs, disputed: set[int]) -> Pairs:
    ambiguous = {target: (pairs.bound[target],) for target in disputed}
    bound = {target: source for target, source in pairs.bound.items() if target not in disputed}
    return Pairs(bound, pairs.ambiguous | ambiguous)
