"""The commands that run models: `run`, `engines` and `add-graph`.

Each imports what it needs when it runs; frameworks are imported in the processes of engines only.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from modelbundle.cli.commands import cli
from modelbundle.cli.outcome import NO, YES, answering, text_of, write_json

if TYPE_CHECKING:
    from modelbundle.engines import RunLimits

_Command = Callable[..., Any]

_BUNDLE = click.argument("bundle")
_JSON = click.option("--json", "as_json", is_flag=True, help="Answer with one JSON document.")
_SIGNATURE = click.option("--signature", metavar="NAME", help="Name of the function.")
_SECONDS = click.option(
    "--timeout", type=float, default=600.0, metavar="SECONDS", help="Longest wait for an engine."
)
_MEMORY = click.option("--memory", type=int, metavar="MIB", help="Most memory of an engine.")
_INPUT = "FILE.npz|NAME=FILE.npy"


@cli.command()
@_BUNDLE
@click.option("--input", "inputs", metavar=_INPUT, multiple=True, help="Inputs, by name.")
@_SIGNATURE
@click.option("--engine", metavar="NAME", help="Engine; else the first that can.")
@click.option("--device", default="cpu", show_default=True, help="cpu, gpu:0, gpu:1, …")
@click.option("--precision", default="float32", show_default=True, help="float32 or tf32.")
@click.option("--memory-limit", type=int, metavar="MIB", help="Memory to take on the GPU.")
@_SECONDS
@_MEMORY
@click.option("-o", "output", metavar="FILE.npz", help="Write the outputs for numpy.")
@_JSON
@answering
def run(
    *,
    bundle: str,
    inputs: tuple[str, ...],
    signature: str | None,
    engine: str | None,
    device: str,
    precision: str,
    memory_limit: int | None,
    timeout: float,
    memory: int | None,
    output: str | None,
    as_json: bool,
) -> int:
    """Run a function of a bundle on an engine, in a process of its own.

    Inputs are held to the signature first; nothing is cast. A device that is not there is no
    answer (exit status 2), and never another device in its place.
    """
    from modelbundle.bundle import open_bundle
    from modelbundle.cli.arrays import read_inputs, write_outputs
    from modelbundle.cli.run_view import print_run, run_json
    from modelbundle.engines import run as run_bundle

    setup = _setup(device, precision, memory_limit)
    _check_engine(engine)
    with open_bundle(bundle) as opened:
        result = run_bundle(
            opened,
            read_inputs(inputs),
            signature,
            engine,
            setup=setup,
            limits=_limits(timeout, memory),
        )
    if output is not None:
        write_outputs(result.outputs, Path(output))
    if as_json:
        write_json(run_json(result, output))
    else:
        print_run(result, output)
    return YES


def _setup(device: str, precision: str, memory_limit: int | None) -> Any:
    """Where to run; a usage error where there is no such device or precision."""
    from modelbundle.engines import Setup

    try:
        return Setup(device, precision, None if memory_limit is None else memory_limit << 20)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _check_engine(name: str | None) -> None:
    from modelbundle.engines import ENGINES

    if name is not None and name not in ENGINES:
        raise click.UsageError(f"No engine {name!r}: there are {', '.join(ENGINES)}")


def _limits(seconds: float, mebibytes: int | None) -> RunLimits:
    from modelbundle.engines import RunLimits

    return RunLimits(seconds, None if mebibytes is None else mebibytes << 20)


@cli.command()
@click.argument("bundle", required=False)
@_JSON
@answering
def engines(*, bundle: str | None, as_json: bool) -> int:
    """Tell which engines are here and, of a bundle, what each can run and why not the rest."""
    from modelbundle.cli.run_view import engines_json, print_engines
    from modelbundle.engines.survey import survey

    answer = survey(bundle)
    if as_json:
        write_json(engines_json(answer))
    else:
        print_engines(answer)
    return YES


@cli.command("add-graph")
@_BUNDLE
@click.option("-o", "destination", metavar="DEST", required=True, help="Where the bundle goes.")
@_SIGNATURE
@click.option("--batch", "batches", type=int, multiple=True, help="Batch size; 1 where none.")
@click.option("--like", metavar=_INPUT, multiple=True, help="Arrays of a shape to lower for.")
@click.option("--directory", is_flag=True, help="Write a directory instead of an archive.")
@click.option("--force", is_flag=True, help="Replace a bundle that is at DEST.")
@_SECONDS
@_MEMORY
@_JSON
@answering
def add_graph(
    *,
    bundle: str,
    destination: str,
    signature: str | None,
    batches: tuple[int, ...],
    like: tuple[str, ...],
    directory: bool,
    force: bool,
    timeout: float,
    memory: int | None,
    as_json: bool,
) -> int:
    """Add portable graphs (StableHLO) of the functions of SavedModels and Keras models.

    Weights stay where they are in the bundle: they are arguments of the graph. A graph of a
    SavedModel is for one shape (--batch, --like), that of a Keras model for any batch. What cannot
    be lowered is named. Without --signature, all functions are lowered that can be.
    """
    from modelbundle.cli.arrays import read_inputs
    from modelbundle.engines.graphs import add_graph as add

    added = add(
        bundle,
        destination,
        signature=signature,
        batches=batches or (() if like else (1,)),
        inputs=read_inputs(like) if like else None,
        limits=_limits(timeout, memory),
        directory=directory,
        overwrite=force,
    )
    if as_json:
        write_json(
            {
                "digest": added.digest,
                "destination": destination,
                "graphs": list(added.graphs),
                "findings": [finding.to_json() for finding in added.refused],
            }
        )
    else:
        for finding in added.refused:
            click.echo(text_of(finding), err=True)
        for name in added.graphs:
            click.echo(f"added {name}")
        click.echo(added.digest)
    return NO if signature is not None and added.refused else YES
