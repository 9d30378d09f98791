"""A model that current Keras cannot load, made one that it can: a bundle with both in it.

The old files are carried as ever, byte for byte. Beside them stand the translated config and, for
its variables, new names of the same bytes; and, where both models could be run, a golden vector
and what the comparison found (`revived` in the metadata of the manifest).

    report = revive("old_model.h5", "new.modelbundle")
    open_bundle("new.modelbundle").to_keras()
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from modelbundle.bundle import Bundle, open_bundle
from modelbundle.core import paths
from modelbundle.core.findings import refuse
from modelbundle.packing.extend import extend
from modelbundle.packing.packer import pack
from modelbundle.reviving.artifact import Added, describe, free_name
from modelbundle.reviving.old_model import OldModel, find_old
from modelbundle.reviving.plan import Plan, make_plan
from modelbundle.reviving.proof import Proof, prove
from modelbundle.reviving.report import ReviveError, ReviveReport
from modelbundle.unpacking import unpack

METADATA = "revived"
"""Member of the manifest's metadata that holds the evidence."""


def revive(
    source: str | Path,
    destination: str | Path,
    *,
    component: str | None = None,
    verify: bool = True,
    overwrite: bool = False,
) -> ReviveReport:
    """Write the bundle or model file `source` with its Keras 1 or 2 model revived.

    `component` names the model where the bundle has several. With `verify`, the old model runs on
    tf_keras, where that is installed, and the new one has to give the same. Raises `ReviveError`,
    with all that could not be translated or the first layer that differs, and writes nothing then;
    `NotRevivableError` where there is no old model; `BundleError` and `FileExistsError` as `pack`
    does.
    """
    if Path(destination).exists() and not overwrite:
        raise FileExistsError(17, "there is a bundle already", str(destination))
    with TemporaryDirectory(prefix="modelbundle") as folder, _opened(source, folder) as bundle:
        old = find_old(bundle, component)
        plan = make_plan(old)
        report = _report(old, plan)
        if plan.problems:
            raise ReviveError(report)
        taken = [entry.path for entry in bundle.manifest.files]
        added = describe(plan, taken)
        proof = _proof(bundle, old, plan, added, Path(folder)) if verify else _UNASKED
        report = replace(report, evidence=proof.evidence)
        if proof.passed is False:
            raise ReviveError(report)
        _write(bundle, added, proof, destination, overwrite)
    return report


_UNASKED = Proof(None, {"verified": False, "reason": "not asked for"})


def _report(old: OldModel, plan: Plan) -> ReviveReport:
    renamed = {c.old_path: c.new_path for c in plan.layers if c.old_path != c.new_path}
    made = tuple(sorted(plan.made))
    return ReviveReport(old.config.id, old.version, plan.problems, renamed, made, plan.lost)


def _proof(bundle: Bundle, old: OldModel, plan: Plan, added: Added, folder: Path) -> Proof:
    """Run the old file and the new model, which is written for it."""
    trial = folder / "new.modelbundle"
    extend(bundle, added.artifacts, trial, bindings=added.bindings)
    unpack(bundle, folder / "old", only=[old.root.id])
    component = f"{added.root}/config.json"
    return prove(trial, component, folder / "old" / old.root.id, old.topology, plan)


def _write(
    bundle: Bundle, added: Added, proof: Proof, destination: str | Path, overwrite: bool
) -> None:
    artifacts = list(added.artifacts)
    if proof.made.vectors:
        taken = [entry.path for entry in bundle.manifest.files]
        artifacts.append(proof.made.artifact(f"{free_name('revived_vectors', taken)}.golden"))
    known: Any = bundle.manifest.metadata.get(METADATA)
    evidence = {**(known if isinstance(known, dict) else {}), added.root: dict(proof.evidence)}
    extend(
        bundle,
        artifacts,
        destination,
        bindings=added.bindings,
        metadata={METADATA: evidence},
        overwrite=overwrite,
    )


@contextmanager
def _opened(source: str | Path, folder: str) -> Iterator[Bundle]:
    """The bundle at `source`, or one that is packed of the file for as long as it is needed."""
    if not Path(source).exists():
        raise refuse("SRC-04", str(source), "a model file or a bundle", "nothing")
    packed: str | Path = source
    if not _is_bundle(Path(source)):
        packed = Path(folder, "packed.modelbundle")
        pack(source, packed)
    with open_bundle(packed) as bundle:
        yield bundle


def _is_bundle(source: Path) -> bool:
    if source.is_dir():
        return (source / paths.MANIFEST).is_file()
    return source.suffix == ".modelbundle"
