"""The commands `golden` and `load-check`, and how their answers are printed.

modelbundle golden net.modelbundle --inputs x.npz -o checked.modelbundle
modelbundle load-check checked.modelbundle --engine onnx
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from modelbundle.cli.commands import cli
from modelbundle.cli.outcome import NO, NO_ANSWER, YES, answering, write_json

if TYPE_CHECKING:
    from modelbundle.golden.artifact import Added
    from modelbundle.golden.load_check import LoadCheck, Row

_BUNDLE = click.argument("bundle")
_JSON = click.option("--json", "as_json", is_flag=True, help="Answer with one JSON document.")


@cli.command()
@_BUNDLE
@click.option("--inputs", metavar="FILE.npz", help="Inputs by name; drawn where not given.")
@click.option("-o", "destination", metavar="NEW", help="Where the new bundle goes.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
@click.option("--force", is_flag=True, help="Replace a bundle that is at NEW.")
@_JSON
@answering
def golden(
    *,
    bundle: str,
    inputs: str | None,
    destination: str | None,
    seed: int,
    force: bool,
    as_json: bool,
) -> int:
    """Add golden vectors: outputs in float64, and how they answer to rounding.

    Without -o the bundle itself is replaced.
    """
    from modelbundle.golden.artifact import add_golden

    given = None if inputs is None else _read(Path(inputs))
    made = add_golden(
        bundle, destination or bundle, given, seed=seed, overwrite=force or destination is None
    )
    if as_json:
        write_json(_answer(made))
    else:
        _print_made(made)
    return YES


def _read(path: Path) -> dict[str, Any]:
    """The arrays of an .npz file; raises `ValueError` where it holds pickles."""
    import numpy as np

    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def _answer(added: Added) -> dict[str, Any]:
    return {
        "digest": added.digest,
        "vectors": [
            {
                "component": vector.component,
                "signature": vector.signature,
                "name": vector.name,
                "grade": vector.grade,
                "exact": vector.exact,
                "references": [f"{r.engine} ({r.version})" for r in vector.references],
                **({} if vector.agreement is None else {"agreement": vector.agreement}),
            }
            for vector in added.made.vectors
        ],
        "notes": list(added.made.notes),
    }


def _print_made(added: Added) -> None:
    from modelbundle.cli.printing import page, shown, table

    rows = table("signature", "vector", "grade", "references", "bits that agree")
    for vector in added.made.vectors:
        engines = ", ".join(reference.engine for reference in vector.references)
        bits = "" if vector.agreement is None else str(vector.agreement)
        where = f"{vector.component}#{vector.signature}"
        rows.add_row(shown(where), shown(vector.name), vector.grade, shown(engines), bits)
    with page() as out:
        out.print(rows)
        for note in added.made.notes:
            out.print(shown(note))
        out.print(added.digest)


@cli.command("load-check")
@_BUNDLE
@click.option("--engine", "engines", multiple=True, metavar="E", help="This engine only.")
@click.option("--device", "devices", multiple=True, default=["cpu"], metavar="D",
              help="cpu, gpu:0, …")  # fmt: skip
@click.option("--precision", "precisions", multiple=True, default=["float32"], metavar="P",
              help="float32 or tf32.")  # fmt: skip
@_JSON
@answering
def load_check(
    *,
    bundle: str,
    engines: tuple[str, ...],
    devices: tuple[str, ...],
    precisions: tuple[str, ...],
    as_json: bool,
) -> int:
    """Hold every engine here against the golden vectors of a bundle.

    Exit status 1 where one computes something else, 2 where none could run.
    """
    from modelbundle.bundle import open_bundle
    from modelbundle.golden.load_check import load_check as check

    with open_bundle(bundle) as opened:
        report = check(opened, engines=engines, devices=devices, precisions=precisions)
    if as_json:
        write_json(report.to_json())
    else:
        _print_report(report)
    return (YES if report.ok else NO) if report.ran else NO_ANSWER


def _print_report(report: LoadCheck) -> None:
    from modelbundle.cli.printing import page, shown, table

    rows = table(
        "engine", "device", "precision", "vector", "", "max", "RMS", "ULP", "top-1", "repeats", "ms"
    )
    for row in report.rows:
        if row.status != "not run":
            rows.add_row(*map(shown, _cells(row)))
    with page() as out:
        out.print(rows)
        for row in report.rows:
            if row.reason:
                out.print(shown(f"{row.engine} on {row.signature}, {row.vector}: {row.reason}"))


def _cells(row: Row) -> list[str]:
    judged = list((row.judgements or {}).values())
    figures = [
        _worst([each.max_ratio for each in judged]),
        _worst([each.rms_ratio for each in judged]),
        _worst([each.max_ulp for each in judged]),
    ]
    top1 = [each.top1 for each in judged if each.top1 is not None]
    return [
        row.engine,
        row.device,
        row.precision,
        f"{row.signature} {row.vector}",
        row.status,
        *figures,
        f"{min(top1):.0%}" if top1 else "",
        {True: "yes", False: "no", None: ""}[row.repeatable],
        "" if row.seconds is None else f"{1000 * row.seconds:.1f}",
    ]


def _worst(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{max(known):.3g}" if known else ""
