"""Layers that nobody named: Keras numbers them over the process, so their numbers can be shifted.

`dense_1` to `dense_3` of one process are `dense` to `dense_2` of another. Where the numbers of one
class begin elsewhere on the two sides, equal names mean different layers, and bind nothing.

    pairs = without_shifted(pairs, targets, sources, stems_of(model))
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from modelbundle.keras.matching import Named, Pairs
from modelbundle.keras.variables import automatic_name, layers

_Groups = dict[tuple[str, str], int]
"""By what stands before a name and its stem: the lowest number."""


def stems_of(target: Any) -> frozenset[str]:
    """What Keras calls the layers within `target` that nobody names, without their numbers."""
    within = (layer for layer in layers(target).values() if layer is not target)
    return frozenset(automatic_name(layer) for layer in within)


def without_shifted(
    pairs: Pairs, targets: Sequence[Named], sources: Sequence[Named], stems: Collection[str]
) -> Pairs:
    """`pairs`, with those ambiguous whose automatic names begin at different numbers."""
    ours = _groups((key for item in targets for key in item.names), stems)
    theirs = _groups((key for item in sources for key in item.names | item.paths), stems)
    shifted = {
        at: (of,)
        for at, of in pairs.bound.items()
        if _is_shifted(targets[at], sources[of], ours, theirs, stems)
    }
    bound = {at: of for at, of in pairs.bound.items() if at not in shifted}
    return Pairs(bound, {**pairs.ambiguous, **shifted})


def _groups(keys: Iterable[str], stems: Collection[str]) -> _Groups:
    found: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for key in keys:
        for before, stem, number in _automatic(key, stems):
            found[before, stem].append(number)
    return {group: min(numbers) for group, numbers in found.items()}


def _automatic(key: str, stems: Collection[str]) -> Iterator[tuple[str, str, int]]:
    """The segments of a name that Keras could have made: what is before, stem, number."""
    segments = key.split("/")
    for at, segment in enumerate(segments[:-1]):
        if (parts := re.fullmatch(r"(.+?)(?:_(\d+))?", segment)) and parts[1] in stems:
            yield "/".join(segments[:at]), parts[1], int(parts[2] or 0)


def _is_shifted(
    target: Named, source: Named, ours: _Groups, theirs: _Groups, stems: Collection[str]
) -> bool:
    """Whether a name that the two share, but for its front, has a number that is shifted."""
    for one in target.names:
        for two in source.names | source.paths:
            if f"/{one}".endswith(f"/{two}") or f"/{two}".endswith(f"/{one}"):
                mine, its = (list(_automatic(key, stems)) for key in (one, two))
                for (front, stem, _), (other, same, _) in zip(mine[::-1], its[::-1], strict=False):
                    if stem == same and ours[front, stem] != theirs[other, same]:
                        return True
    return False
