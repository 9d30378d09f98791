"""Revive the old models that public packages ship, and print what came of each.

    python reference/tools/revive_report.py [WORD ...]      # only artifacts with a word in the path

`make real` downloads them first. Columns: who wrote the artifact, whether Keras 3 loads it as it
is, whether it was revived, what verified it, and the largest error in sigmas of its tolerance.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from real_artifacts import PACKAGES, models

from modelbundle.bundle import Bundle, open_bundle
from modelbundle.packing import pack
from modelbundle.reviving.old_model import NotRevivableError
from modelbundle.reviving.report import ReviveError, ReviveReport
from modelbundle.reviving.revive import revive

SKIPPED = frozenset({".onnx", ".tflite"})
"""Not of Keras."""
HEAD = ("artifact", "writer", "Keras 3 loads it", "revived", "verified by", "max ratio")


@dataclass(frozen=True)
class Line:
    """One artifact of the table."""

    artifact: str
    writer: str
    loads: str
    revived: str
    by: str = ""
    ratio: str = ""

    def __str__(self) -> str:
        cells = (self.artifact, self.writer, self.loads, self.revived, self.by, self.ratio)
        return f"| {' | '.join(cells)} |"


def lines(words: list[str]) -> Iterator[Line]:
    """A line for each old model that is here and wanted."""
    for package in PACKAGES:
        for path in models(package):
            if path.suffix not in SKIPPED and all(word in str(path) for word in words):
                yield line(f"{package.name} {path.name}", path)


def line(name: str, path: Path) -> Line:
    """Revive one artifact."""
    with tempfile.TemporaryDirectory() as folder:
        old, new = Path(folder, "old.modelbundle"), Path(folder, "new.modelbundle")
        pack(path, old)
        with open_bundle(old) as bundle:
            about = name, _writer(bundle), _loads(path)
            try:
                return _revived(about, revive(old, new))
            except NotRevivableError as error:
                return Line(*about, f"no: {error}")
            except ReviveError as error:
                reason = f"no: {len(error.report.problems)} problems"
                return _by_graph(bundle, Line(*about, reason))


def _revived(about: tuple[str, str, str], report: ReviveReport) -> Line:
    evidence = report.evidence
    by = str(evidence.get("by") or f"not verified: {evidence.get('reason')}")
    ratio = evidence.get("max_ratio")
    return Line(*about, "yes", by, "" if ratio is None else f"{ratio:.2f}")


def _by_graph(bundle: Bundle, found: Line) -> Line:
    """Whether a model whose classes are lost runs by its graph."""
    from modelbundle.golden.artifact import make

    graded = [f"its graph, {vector.grade}" for vector in make(bundle).vectors]
    return Line(found.artifact, found.writer, found.loads, found.revived, "; ".join(graded))


def _writer(bundle: Bundle) -> str:
    versions = [c.properties.get("keras_version") for c in bundle.manifest.components]
    return f"Keras {next(filter(None, versions), '?')}"


def _loads(path: Path) -> str:
    """Whether Keras 3 loads an artifact without help, or what it says instead."""
    import keras

    try:
        keras.saving.load_model(path)
    except Exception as error:  # whatever a loader raises
        return f"no: {type(error).__name__}"
    return "yes"


def main(words: list[str]) -> None:
    """Print the table."""
    print(Line(*HEAD), Line(*("---",) * len(HEAD)), sep="\n")
    some = False
    for found in lines(words):
        print(found, flush=True)
        some = True
    if not some:
        raise SystemExit("no artifacts: `make real` downloads them")


if __name__ == "__main__":
    main(sys.argv[1:])
