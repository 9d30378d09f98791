"""A model that current Keras cannot load, made one that it can: a bundle with both in it.

The old files are carried as ever, byte for byte. Beside them stand the translated config and, for
its variables, new names of the same bytes.

    report = revive("old_model.h5", "new.modelbundle")
    open_bundle("new.modelbundle").to_keras()
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from modelbundle.bundle import Bundle, open_bundle
from modelbundle.core import paths
from modelbundle.packing.extend import extend
from modelbundle.packing.packer import pack
from modelbundle.reviving.artifact import describe
from modelbundle.reviving.old_model import find_old
from modelbundle.reviving.plan import make_plan
from modelbundle.reviving.report import ReviveError, ReviveReport


def revive(
    source: str | Path,
    destination: str | Path,
    *,
    component: str | None = None,
    overwrite: bool = False,
) -> ReviveReport:
    """Write the bundle or model file `source` with its Keras 1 or 2 model revived.

    `component` names the model where the bundle has several. Raises `ReviveError`, with all that
    could not be translated, and writes nothing then; `NotRevivableError` where there is no old
    model; `BundleError` and `FileExistsError` as `pack` does.
    """
    with _opened(source) as bundle:
        old = find_old(bundle, component)
        plan = make_plan(old)
        report = ReviveReport(old.config.id, old.version, plan.problems)
        if plan.problems:
            raise ReviveError(report)
        taken = [entry.path for entry in bundle.manifest.files]
        added = describe(plan, None, taken)
        extend(
            bundle, added.artifacts, destination, bindings=added.bindings, overwrite=overwrite
        )
    return report


@contextmanager
def _opened(source: str | Path) -> Iterator[Bundle]:
    """The bundle at `source`, or one that is packed of the file for as long as it is needed."""
    if _is_bundle(Path(source)):
        with open_bundle(source) as bundle:
            yield bundle
        return
    with TemporaryDirectory(prefix="modelbundle") as folder:
        packed = Path(folder, "old.modelbundle")
        pack(source, packed)
        with open_bundle(packed) as bundle:
            yield bundle


def _is_bundle(source: Path) -> bool:
    if source.is_dir():
        return (source / paths.MANIFEST).is_file()
    return source.suffix == ".modelbundle"
