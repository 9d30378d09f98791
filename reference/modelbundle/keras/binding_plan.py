"""A binding before it happens: which tensor each variable gets, and what does not fit.

plan = make_plan(targets, sources, model, "auto")
print(plan.report)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from modelbundle.core import dtypes
from modelbundle.core.findings import clip
from modelbundle.keras import matching
from modelbundle.keras.binding_report import Ambiguity, BindingReport, Bound, Mismatch
from modelbundle.keras.matching import Named, Pairs
from modelbundle.keras.naming import checkpoint_keys, structural
from modelbundle.keras.shifting import stems_of, without_shifted

Match = str | Callable[[str], str | None] | Mapping[str, str]

AUTOMATIC = "auto"
_OBJECT_PATHS = {
    "hdf5": structural,
    "tensorflow.checkpoint": checkpoint_keys,
    "tensorflow.saved_model": checkpoint_keys,
}
"""Naming systems whose names a live object does not tell without being asked."""


@dataclass(frozen=True)
class Plan:
    """Variables, tensors, and the pairs of them that fit (indices), ascending."""

    targets: Sequence[Named]
    sources: Sequence[Named]
    pairs: Sequence[tuple[int, int]]
    report: BindingReport


def make_plan(
    targets: Sequence[Named],
    sources: Sequence[Named],
    target: Any,
    match: Match,
    *,
    paths_hold: bool,
    cast: bool,
) -> Plan:
    """What `match` makes of the names; raises `ValueError` where there is no such `match`."""
    pairs = _pairs(targets, sources, target, match, paths_hold)
    report = _report(targets, sources, pairs, cast)
    names = {bound.variable for bound in report.bound}
    fitting = [(at, of) for at, of in sorted(pairs.bound.items()) if targets[at].name in names]
    return Plan(targets, sources, fitting, report)


def _pairs(
    targets: Sequence[Named],
    sources: Sequence[Named],
    target: Any,
    match: Match,
    paths_hold: bool,
) -> Pairs:
    """Which tensor each variable gets."""
    if not isinstance(match, str):
        return matching.asked(targets, sources, dict(_renamed(targets, match)))
    if match not in (AUTOMATIC, "path", "name"):
        return _by_system(targets, sources, target, match)
    if isinstance(target, Mapping):
        wanted = {at: (item.name, *sorted(item.names)) for at, item in enumerate(targets)}
        return matching.asked(targets, sources, wanted)
    if match in ("path", "name"):
        by = matching.by_path if match == "path" else matching.by_name
        return by(targets, sources)
    pairs = matching.match(targets, sources, paths_hold=paths_hold)
    is_full = pairs.is_full(len(targets), len(sources))
    return pairs if is_full else without_shifted(pairs, targets, sources, stems_of(target))


def _renamed(
    targets: Sequence[Named], match: Callable[[str], str | None] | Mapping[str, str]
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """The tensor that is asked for, by index of the variable."""
    rename = match if callable(match) else lambda name: _renamed_start(name, match)
    for at, item in enumerate(targets):
        if (name := rename(item.name)) is not None:
            yield at, (name,)


def _renamed_start(name: str, starts: Mapping[str, str]) -> str:
    """`name` with the longest start that `starts` has, of whole segments, replaced."""
    segments = name.split("/")
    for count in range(len(segments), -1, -1):
        if (start := "/".join(segments[:count])) in starts:
            return "/".join(filter(None, (starts[start], *segments[count:])))
    return name


def _by_system(
    targets: Sequence[Named], sources: Sequence[Named], target: Any, system: str
) -> Pairs:
    known = sorted({system for source in sources for system in source.systems})
    if system not in known:
        found = ", ".join(known) or "none"
        raise ValueError(f"no tensor has a name in {clip(system)!r}; naming systems: {found}")
    if isinstance(target, Mapping):
        only = [
            replace(source, every=source.systems.get(system, frozenset())) for source in sources
        ]
        wanted = {at: (item.name,) for at, item in enumerate(targets)}
        return matching.asked(targets, only, wanted)
    if find := _OBJECT_PATHS.get(system):
        paths = find(target)
        targets = [_also(item, system, paths.get(id(item.value), set())) for item in targets]
    return matching.by_system(targets, sources, system)


def _also(item: Named, system: str, names: Collection[str]) -> Named:
    keys = item.names.union(map(matching.normal, names))
    return replace(item, systems={**item.systems, system: keys})


def _report(
    targets: Sequence[Named], sources: Sequence[Named], pairs: Pairs, cast: bool
) -> BindingReport:
    """What would be bound, and all that does not fit."""
    bound, mismatched = [], []
    for at, of in pairs.bound.items():
        if (wrong := _mismatch(targets[at], sources[of], cast)) is not None:
            mismatched.append(wrong)
        else:
            changed = sources[of].dtype if sources[of].dtype != targets[at].dtype else None
            bound.append(Bound(targets[at].name, sources[of].name, changed))
    used = {*pairs.bound.values(), *(of for found in pairs.ambiguous.values() for of in found)}
    left = pairs.bound.keys() | pairs.ambiguous.keys()
    return BindingReport(
        tuple(sorted(bound, key=lambda item: item.variable)),
        tuple(sorted(item.name for at, item in enumerate(targets) if at not in left)),
        tuple(sorted(item.name for at, item in enumerate(sources) if at not in used)),
        tuple(sorted(mismatched, key=lambda item: item.variable)),
        tuple(
            Ambiguity(targets[at].name, tuple(sorted(sources[of].name for of in found)))
            for at, found in sorted(pairs.ambiguous.items(), key=lambda pair: targets[pair[0]].name)
        ),
    )


def _mismatch(target: Named, source: Named, cast: bool) -> Mismatch | None:
    if target.shape != source.shape:
        shapes = str(list(target.shape)), str(list(source.shape))
        return Mismatch(target.name, source.name, "shape", *shapes)
    if target.dtype != source.dtype and not (cast and _can_cast(source.dtype, target.dtype)):
        return Mismatch(target.name, source.name, "dtype", target.dtype, source.dtype)
    return None


def _can_cast(source: str, target: str) -> bool:
    """Whether both are numbers, one an element, and no imaginary part would be lost."""
    try:
        one, two = dtypes.to_numpy(source), dtypes.to_numpy(target)
    except KeyError:
        return False
    packed = source.endswith("_packed") or target.endswith("_packed")
    return not packed and "S" not in (one.kind, two.kind) and not (one.kind == "c" != two.kind)
