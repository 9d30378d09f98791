"""What an export wrote, and what of the bundle is not in it.

report = bundle.export("net.h5")
report.native, [loss.what for loss in report.lost]
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from modelbundle.bundle import Bundle
from modelbundle.core.as_json import as_json
from modelbundle.core.findings import escape
from modelbundle.keras.naming import family_of
from modelbundle.sources.keras.exact_values import DICTIONARY, FLOAT, TAGS, TUPLE

_STATE = {"optimizer": "optimizer state", "metric": "metric state", "rng": "random state"}
_HOLDS: dict[str, frozenset[str]] = {
    "keras": frozenset({"config", "training", "assets", "optimizer"}),
    "h5": frozenset({"config", "training", "optimizer"}),
    "weights.h5": frozenset({"optimizer"}),
    "checkpoint": frozenset({"optimizer"}),
    "saved_model": frozenset({"graph", "assets", "rng"}),
    "safetensors": frozenset(),
}
"""What each format holds beside the weights."""

FORMATS = tuple(_HOLDS)

_KINDS = {
    "keras.config": ("config", "config"),
    "training": ("training", "training config"),
    "assets": ("assets", "assets"),
    "tensorflow.saved_model": ("graph", "traced graph"),
}
_TAGGED = {TUPLE: "tuples", FLOAT: "infinity or NaN", DICTIONARY: "keys that are no strings"}


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that the bundle has and the file has not."""

    what: str
    detail: str


@dataclass(frozen=True, slots=True)
class ExportReport:
    """The answer of an export. `native`: the bundle carried the file, and gave it back as it was.

    `files` are the paths that were written, ascending.
    """

    format: str
    files: tuple[str, ...]
    native: bool
    lost: tuple[Loss, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The report as `schemas/answers/export.schema.json` has it."""
        answer: dict[str, Any] = as_json(self)
        return answer

    def __str__(self) -> str:
        how = "given back as it was" if self.native else "written"
        lines = [f"{self.format} {how}: {', '.join(self.files)}"]
        lines += [f"  without {loss.what}: {loss.detail}" for loss in self.lost]
        return "\n".join(map(escape, lines))


def losses(bundle: Bundle, form: str, component: str | None) -> tuple[Loss, ...]:
    """What of one model of a bundle the format `form` does not hold."""
    family = family_of(bundle, component)
    held = _HOLDS[form]
    found = [loss for kind, loss in _carried(bundle, family) if kind not in held]
    return (*found, *(_inexact(bundle, family) if "config" in held else ()))


def _carried(bundle: Bundle, family: Collection[str]) -> Iterator[tuple[str, Loss]]:
    """What there is beside the weights."""
    for component in bundle.manifest.components:
        if component.id in family and component.kind in _KINDS:
            kind, what = _KINDS[component.kind]
            yield kind, Loss(what, component.id)
    counts = _tensors_by_role(bundle, family)
    for role, what in _STATE.items():
        if counts[role]:
            plural = "" if counts[role] == 1 else "s"
            yield role, Loss(what, f"{counts[role]} tensor{plural}")


def _tensors_by_role(bundle: Bundle, family: Collection[str]) -> Counter[str]:
    index = bundle.index
    rows = {
        row
        for space in index.namespaces
        if space.component in family
        for row in space.tensors.tolist()
    }
    return Counter(index.roles[index.role[row]] for row in rows)


def _inexact(bundle: Bundle, family: Collection[str]) -> Iterator[Loss]:
    """Values that a captured config holds and the JSON of Keras does not."""
    for component in bundle.manifest.components:
        captured = component.derived_from in family and component.kind == "keras.config"
        if captured and (tags := sorted(_tags(bundle.read(component.id)))):
            yield Loss("exact values in the config", ", ".join(_TAGGED[tag] for tag in tags))


def _tags(config: bytes) -> set[str]:
    return {tag for tag in TAGS if f'"class_name":"{tag}"'.encode() in config}
