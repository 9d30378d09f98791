"""Which engines are here, and what of a bundle each can run.

survey("net.modelbundle").engines[0].reason      # None, or why it is not here
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from modelbundle.bundle import open_bundle
from modelbundle.engines import table
from modelbundle.engines.signatures import signatures


@dataclass(frozen=True, slots=True)
class Ability:
    """Whether an engine can run a signature of a component: why not, or None."""

    signature: str
    component: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Surveyed:
    """An engine: why it is not available here, or None; what of the bundle it can run."""

    name: str
    extra: str
    reason: str | None
    abilities: tuple[Ability, ...]


@dataclass(frozen=True, slots=True)
class Survey:
    """The engines, and the digest of the bundle where one was asked about."""

    digest: str | None
    engines: tuple[Surveyed, ...]


def survey(location: str | Path | None = None) -> Survey:
    """Ask each engine; no framework is imported, and nothing is run."""
    engines = [table.load(name) for name in table.ENGINES]
    if location is None:
        found = (Surveyed(e.name, e.extra, e.available(), ()) for e in engines)
        return Survey(None, tuple(found))
    with open_bundle(location) as bundle:
        return Survey(
            bundle.digest,
            tuple(
                Surveyed(
                    engine.name,
                    engine.extra,
                    engine.available(),
                    tuple(
                        Ability(each.name, each.component, engine.can_run(bundle, each))
                        for each in signatures(bundle)
                    ),
                )
                for engine in engines
            ),
        )
