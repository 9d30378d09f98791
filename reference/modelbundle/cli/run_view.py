"""What `run` and `engines` answer, for people and as JSON.

print_run(result, "y.npz")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import numpy as np

from modelbundle.cli.printing import page, shape, shown, table
from modelbundle.core.as_json import as_json
from modelbundle.engines.inputs import dtype_of

if TYPE_CHECKING:
    from modelbundle.engines import Result
    from modelbundle.engines.engine import Array
    from modelbundle.engines.survey import Survey, Surveyed


def run_json(result: Result, written: str | None) -> dict[str, Any]:
    """The answer as `schemas/answers/run.schema.json` has it."""
    outputs = [
        {"name": name, "dtype": dtype_of(array), "shape": list(array.shape)}
        for name, array in result.outputs.items()
    ]
    return {
        "signature": result.signature.name,
        "component": result.signature.component,
        **as_json(result.description),
        "seconds": {"prepare": result.prepare_seconds, "run": result.run_seconds},
        "outputs": outputs,
        **({} if written is None else {"written": written}),
    }


def print_run(result: Result, written: str | None) -> None:
    """Print what ran and what came out."""
    what = result.description
    click.echo(f"{shown(result.signature.name)}   {shown(result.signature.component)}")
    click.echo(f"{what.engine} ({shown(what.version)}) on {shown(what.device)}, {what.precision}")
    click.echo(f"prepared in {result.prepare_seconds:.2f} s, run in {result.run_seconds:.3f} s")
    for name, array in result.outputs.items():
        click.echo(f"{shown(name)}: {dtype_of(array)}{shape(array.shape)}   {_range(array)}")
    if written is not None:
        click.echo(f"written to {shown(written)}")


def _range(array: Array) -> str:
    if not array.size or array.dtype.kind not in "fiu":
        return ""
    values = array.astype(np.float64)
    return f"{values.min():.6g} to {values.max():.6g}, mean {values.mean():.6g}"


def engines_json(answer: Survey) -> dict[str, Any]:
    """The answer as `schemas/answers/engines.schema.json` has it."""
    digest = {} if answer.digest is None else {"digest": answer.digest}
    return {**digest, "engines": [_engine_json(each) for each in answer.engines]}


def _engine_json(engine: Surveyed) -> dict[str, Any]:
    signatures = [
        {
            "signature": each.signature,
            "component": each.component,
            "able": each.reason is None,
            **({} if each.reason is None else {"reason": each.reason}),
        }
        for each in engine.abilities
    ]
    reason = {} if engine.reason is None else {"reason": engine.reason}
    return {
        "name": engine.name,
        "extra": engine.extra,
        "available": engine.reason is None,
        **reason,
        "signatures": signatures,
    }


def print_engines(answer: Survey) -> None:
    """Print one line an engine, and one a signature below it."""
    made = table("engine", "", "")
    for engine in answer.engines:
        made.add_row(engine.name, "here" if engine.reason is None else "not here", engine.reason)
        for each in engine.abilities:
            able = "can run" if each.reason is None else "cannot run"
            name = f"  {shown(each.signature)}   {shown(each.component)}"
            made.add_row(name, able, shown(each.reason or ""))
    with page() as out:
        out.print(made)
