"""Measure everything and print a table; see the package."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks import keras_models, many_tensors, models, packing, reading, sizes
from benchmarks.measuring import Figure

_PARTS = ("packing", "reading", "many", "sizes", "keras")
_ROW = "{:<44} {:>9} {:<4} {:>7}  {:<6} {}"


def main() -> int:
    """Returns 1 where `--strict` is given and a limit is missed."""
    arguments = _parser().parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=arguments.scratch) as folder:
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}: ratios need a quiet machine")
        print(_ROW.format("what", "measured", "", "limit", "", ""), flush=True)
        figures = list(_show(_measure(Path(folder), arguments.runs, arguments.only or _PARTS)))
    if arguments.json:
        text = json.dumps([figure.to_json() for figure in figures], indent=2)
        arguments.json.write_text(f"{text}\n")
    missed = [figure for figure in figures if not figure.ok]
    print(f"{len(figures) - len(missed)} of {len(figures)} limits kept")
    return 1 if missed and arguments.strict else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="runs that a median is taken of")
    parser.add_argument("--only", nargs="*", choices=_PARTS, help="parts to measure")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--strict", action="store_true", help="exit 1 where a limit is missed")
    parser.add_argument("--scratch", type=Path, metavar="DIR", help="a folder with 4 GB to spare")
    return parser


def _measure(folder: Path, runs: int, parts: Iterable[str]) -> Iterator[Figure]:
    """The parts' figures; models are written only for those that need them."""
    wanted = set(parts)
    big = models.write_big(folder / "big") if wanted & {"packing", "reading"} else None
    if big and "packing" in wanted:
        yield from packing.measure(big, folder, runs)
    if big and "reading" in wanted:
        yield from reading.measure(big, folder, runs)
    if "many" in wanted:
        yield from many_tensors.measure(folder, runs)
    if "sizes" in wanted:
        yield from sizes.measure(models.write_trained(folder / "trained"), folder)
    if "keras" in wanted:
        yield from keras_models.measure(folder, runs)


def _show(figures: Iterable[Figure]) -> Iterator[Figure]:
    for figure in figures:
        verdict = "ok" if figure.ok else "MISSED"
        limit = f"{figure.limit:g}"
        value = f"{figure.value:.2f}"
        row = _ROW.format(figure.what, value, figure.unit, limit, verdict, figure.detail)
        print(row, flush=True)
        yield figure


if __name__ == "__main__":
    sys.exit(main())
