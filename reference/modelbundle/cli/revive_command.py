"""The command `revive`: a model of Keras 1 or 2 made one that Keras 3 runs.

modelbundle revive old_model.h5 -o new.modelbundle
"""

from __future__ import annotations

import click

from modelbundle.cli.commands import cli
from modelbundle.cli.outcome import NO, YES, answering, write_json


@cli.command()
@click.argument("old")
@click.option("-o", "destination", metavar="NEW", required=True, help="Where the bundle goes.")
@click.option("--component", metavar="ID", help="Which model, where there are several.")
@click.option("--unverified", is_flag=True, help="Do not run the old model and the new one.")
@click.option("--force", is_flag=True, help="Replace a bundle that is at NEW.")
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON document.")
@answering
def revive(
    *,
    old: str,
    destination: str,
    component: str | None,
    unverified: bool,
    force: bool,
    as_json: bool,
) -> int:
    """Translate a Keras 1 or 2 model to Keras 3, and prove that it computes the same.

    OLD is a model file of Keras 1 or 2, a SavedModel directory or a bundle of one. The old files
    are in NEW as they are. Where tf_keras is installed, both models run on the same inputs and are
    compared; otherwise the answer is "translated, not verified". What has no word in Keras 3 is
    listed all at once, and nothing is written (exit status 1).
    """
    from modelbundle.reviving.report import ReviveError
    from modelbundle.reviving.revive import revive as revive_model

    try:
        report = revive_model(
            old, destination, component=component, verify=not unverified, overwrite=force
        )
    except ReviveError as error:
        report = error.report
    if as_json:
        write_json(report.to_json())
    else:
        click.echo(str(report))
    return YES if report.ok else NO
