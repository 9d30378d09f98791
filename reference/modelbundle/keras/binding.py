"""Weights into variables by name: from a bundle, or from one live object to another.

Everything is checked before the first variable changes: which tensor belongs to which variable
(`matching`), shapes, dtypes, digests. Anything but a full match is an error that carries the
report, unless `partial` asks for what there is; a binding of nothing is always an error.

    report = bundle.load_into(model)
    report = modelbundle.transfer(model, other, partial=True)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from modelbundle.bundle import Bundle
from modelbundle.core import dtypes
from modelbundle.keras.binding_plan import AUTOMATIC, Match, Plan, make_plan
from modelbundle.keras.binding_report import Ambiguity, BindingError, BindingReport
from modelbundle.keras.matching import WEIGHTS, Named
from modelbundle.keras.naming import (
    family_of,
    has_numbers,
    is_captured,
    roots_of,
    sources_of,
    targets_of,
)
from modelbundle.keras.optimizers import classes_in, classes_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CHUNK = 1 << 20
"""Elements that are looked at in one go."""


def load_into(
    bundle: Bundle,
    target: Any,
    *,
    match: Match = AUTOMATIC,
    partial: bool = False,
    cast: bool = False,
    roles: Collection[str] = WEIGHTS,
    component: str | None = None,
) -> BindingReport:
    """Give the variables of `target` the values of the bundle's tensors of the same names.

    `target` is a built model or layer, or a mapping from names of tensors to variables (or to
    layers, whose variables are called below the name). A mapping says what it wants: the tensors
    that it does not want are reported and no error.

    `match` is how names meet:

    - `"auto"`: by the names of layers and by the attributes that hold them, as far as the two
      agree; see `matching` for what counts as the same name.
    - `"path"` or `"name"`: by attributes alone, by names of layers alone.
    - a naming system (`"hdf5"`, `"tensorflow.checkpoint"`, …): by what that format calls the
      tensor, and would call the variable.
    - a function from the name of a variable to that of its tensor (None leaves it out), or a
      mapping of such names or of what they begin with: `{"backbone": "", "head": "top/dense"}`.

    `roles` are the roles of the variables that are wanted. Tensors of another dtype are mismatched
    unless `cast`. `component` is the source within the bundle that is meant; without it, the one
    that fits best is.

    Raises `BindingError`, with the report, where the match is not full and not `partial`, or
    nothing binds, and `BundleError` where a tensor is damaged; `target` is then as before.
    """
    targets = targets_of(target, roles, numbered=has_numbers(bundle))

    def plan_for(root: str | None) -> Plan:
        sources = _sources(bundle, target, roles, root)
        held = is_captured(bundle, root)
        return make_plan(targets, sources, target, match, paths_hold=held, cast=cast)

    roots = roots_of(bundle) if component is None else [component]
    plan = _best(_possible(plan_for, roots) if len(roots) > 1 else [plan_for(component)])
    _demand(plan, partial, by_mapping=isinstance(target, Mapping))
    return _apply(plan, [_read(plan.sources[of]) for _, of in plan.pairs])


def transfer(
    source: Any,
    target: Any,
    *,
    match: Match = AUTOMATIC,
    partial: bool = False,
    cast: bool = False,
    roles: Collection[str] = WEIGHTS,
) -> BindingReport:
    """Give the variables of `target` the values of those of `source`, by name, in memory.

    Both are models, layers or mappings from names to variables; `source` can also be a bundle.
    Layers without weights do not matter. Otherwise as `load_into`.
    """
    if isinstance(source, Bundle):
        return load_into(source, target, match=match, partial=partial, cast=cast, roles=roles)
    sources: Sequence[Named] = targets_of(source, roles, numbered=False)
    if "optimizer" in roles and not isinstance(source, Mapping):
        sources = _of_same_optimizer(sources, classes_of(source.optimizer), target)
    targets = targets_of(target, roles, numbered=False)
    plan = make_plan(targets, sources, target, match, paths_hold=True, cast=cast)
    _demand(plan, partial, by_mapping=isinstance(target, Mapping))
    return _apply(plan, (_read(plan.sources[of]) for _, of in plan.pairs))


def _sources(
    bundle: Bundle, target: Any, roles: Collection[str], root: str | None
) -> Sequence[Named]:
    """The tensors of one source within a bundle, of all for None."""
    sources = sources_of(bundle, roles, root)
    if "optimizer" not in roles:
        return sources
    return _of_same_optimizer(sources, classes_in(bundle, family_of(bundle, root)), target)


def _possible(plan_for: Callable[[str], Plan], roots: Sequence[str]) -> list[Plan]:
    """The plans that can be made; raises `ValueError` where none can."""
    plans, errors = [], []
    for root in roots:
        try:
            plans.append(plan_for(root))
        except ValueError as error:
            errors.append(error)
    if not plans:
        raise errors[0]
    return plans


def _best(plans: Sequence[Plan]) -> Plan:
    """The plan that is complete or, if none is, binds most.

    Sources that bind as much have to bind the same values: else all that they bind is ambiguous.
    """
    ranks = [(plan.report.complete, len(plan.report.bound)) for plan in plans]
    first, *rivals = [p for p, rank in zip(plans, ranks, strict=True) if rank == max(ranks)]
    ours = _contents(first)
    unlike = {
        name: sorted({ours[name][0], theirs[name][0]})
        for theirs in map(_contents, rivals)
        for name in ours.keys() & theirs.keys()
        if ours[name][1] != theirs[name][1]
    }
    if not unlike:
        return first
    ambiguous = tuple(Ambiguity(name, tuple(tensors)) for name, tensors in sorted(unlike.items()))
    report = replace(first.report, bound=(), missing=(), ambiguous=ambiguous)
    raise BindingError(report, "nothing was bound; several sources fit: name one by component=")


def _contents(plan: Plan) -> dict[str, tuple[str, object]]:
    """By variable, the name and the content of its tensor."""
    return {
        plan.targets[at].name: (plan.sources[of].name, plan.sources[of].content)
        for at, of in plan.pairs
    }


def _apply(plan: Plan, values: Iterable[NDArray[Any]]) -> BindingReport:
    """Give each variable its value; the report says which values are not finite."""
    wrong = set()
    for (at, of), value in zip(plan.pairs, values, strict=True):
        if not _is_finite(value):
            wrong.add(plan.sources[of].name)
        target = plan.targets[at]
        target.value.assign(_cast(value, target.dtype))
    return replace(plan.report, non_finite=tuple(sorted(wrong)))


def _of_same_optimizer(
    sources: Sequence[Named], told: tuple[str, ...] | None, target: Any
) -> Sequence[Named]:
    """The tensors, those of an optimizer of another class than the target's without a name.

    Slots can be called alike and mean something else: SGD and Lion both keep a `momentum`.
    """
    ours = classes_of(getattr(target, "optimizer", None))
    if isinstance(target, Mapping) or told in (None, ours):
        return sources
    return [_nameless(item) if item.role == "optimizer" else item for item in sources]


def _nameless(item: Named) -> Named:
    none = frozenset[str]()
    return replace(item, paths=none, names=none, attributes=none, every=none, systems={})


def _demand(plan: Plan, partial: bool, *, by_mapping: bool) -> None:
    """Raise `BindingError` where the report is not what was asked for."""
    report = plan.report
    wanted = replace(report, unexpected=()) if by_mapping else report
    if report.bound and (partial or wanted.complete):
        return
    if not plan.targets:
        hint = "the target has no variables of these roles: build it, for instance by calling it"
    elif not plan.sources:
        hint = "the source has no tensors of these roles"
    elif report.ambiguous and not report.bound:
        hint = (
            "several tensors fit, or layers that nobody named begin at another number: name the "
            "layers, or pass match='name' to take the numbers as they are"
        )
    elif not report.bound:
        hint = "no name binds: pass match= to say which tensor belongs to which variable"
    else:
        hint = "not a full match: pass partial=True to bind what fits, or match= to rename"
    raise BindingError(report, f"nothing was bound; {hint}")


def _read(source: Named) -> NDArray[Any]:
    if source.read is None:
        raise TypeError(f"{source.name} has no values")
    value: NDArray[Any] = source.read()
    return value


def _cast(value: NDArray[Any], dtype: str) -> NDArray[Any]:
    wanted = dtypes.to_numpy(dtype)
    return value if value.dtype == wanted else value.astype(wanted)


def _is_finite(value: NDArray[Any]) -> bool:
    """Whether a tensor holds neither NaN nor infinity."""
    if value.dtype.kind in "iubS":
        return True
    flat = value.reshape(-1)
    return all(
        bool(np.isfinite(flat[start : start + _CHUNK]).all())
        for start in range(0, len(flat), _CHUNK)
    )
