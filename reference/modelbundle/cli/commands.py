"""The commands: what they take, which part of the library answers, which view prints it.

Each imports what it needs when it runs, so that starting stays quick.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from modelbundle import __version__
from modelbundle.cli.outcome import NO, NO_ANSWER, YES, answering, text_of, write_json
from modelbundle.cli.progress import progress

if TYPE_CHECKING:
    from modelbundle.bundle import Bundle, Tensor

_Command = Callable[..., Any]

_BUNDLE = click.argument("bundle")
_JSON = click.option("--json", "as_json", is_flag=True, help="Answer with one JSON document.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="modelbundle")
def cli() -> None:
    """Model bundles: what Keras and TensorFlow write, in one file that every language can read.

    BUNDLE is the path of an archive or a directory, or an http(s) URL. Exit status: 0 yes, 1 no
    (invalid, different, refused), 2 no answer (usage, unreadable, unsupported).
    """


@cli.command()
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option("-o", "destination", metavar="DEST", help="Where the bundle goes.")
@click.option("--directory", is_flag=True, help="Write a directory instead of an archive.")
@click.option("--name", help="What people call the model.")
@click.option("--metadata", metavar="FILE", help="A JSON object to keep in the manifest.")
@click.option("--force", is_flag=True, help="Replace a bundle that is at DEST.")
@_JSON
@answering
def pack(
    *,
    sources: tuple[str, ...],
    destination: str | None,
    directory: bool,
    name: str | None,
    metadata: str | None,
    force: bool,
    as_json: bool,
) -> int:
    """Wrap model files in a bundle, byte for byte.

    A SOURCE is a .keras, HDF5 (.h5, .weights.h5), sharded .weights.json, safetensors, ONNX, TFLite
    or Keras config (JSON) file, a SavedModel directory, or a TensorFlow checkpoint: its directory
    or its prefix. Without -o the last of two or more arguments is DEST.
    """
    from modelbundle.bundle import open_bundle
    from modelbundle.cli.summaries import print_packed, source_bytes
    from modelbundle.packing import pack as pack_bundle

    given, target = _destination(sources, destination, force)
    with progress("packing", source_bytes(given)) as advance:
        pack_bundle(
            given,
            target,
            directory=directory,
            name=name,
            metadata=_metadata(metadata),
            overwrite=force,
            progress=advance,
        )
    with open_bundle(target) as bundle:
        print_packed(bundle, given, target, as_json=as_json)
    return YES


def _destination(
    sources: tuple[str, ...], destination: str | None, force: bool
) -> tuple[tuple[str, ...], str]:
    if destination is not None:
        return sources, destination
    if len(sources) < 2:
        raise click.UsageError("Give the destination: pack SOURCE... -o DEST")
    if force and not sources[-1].endswith(".modelbundle"):
        raise click.UsageError(f"Give the destination by -o: would --force replace {sources[-1]}?")
    return sources[:-1], sources[-1]


def _metadata(path: str | None) -> dict[str, Any] | None:
    """The author's metadata. Raises `UsageError` where the file holds no JSON object."""
    if path is None:
        return None
    from modelbundle.core.canonical_json import decode_lenient
    from modelbundle.core.findings import BundleError

    try:
        value = decode_lenient(Path(path).read_bytes(), path)
    except BundleError as error:
        raise click.UsageError(f"--metadata: {error}") from None
    if not isinstance(value, dict):
        raise click.UsageError(f"--metadata: {path} has to hold a JSON object")
    return value


@cli.command()
@_BUNDLE
@click.option("--tensors", is_flag=True, help="List every tensor and every layer.")
@_JSON
@answering
def inspect(*, bundle: str, tensors: bool, as_json: bool) -> int:
    """Tell what a bundle carries, needs and lacks."""
    from modelbundle.bundle import open_bundle
    from modelbundle.inspection import inspect as inspect_bundle
    from modelbundle.inspection import tensor_rows

    with open_bundle(bundle) as opened:
        answer = inspect_bundle(opened)
        if as_json:
            rows = {"tensors": tensor_rows(opened)} if tensors else {}
            write_json(answer.to_json(), **rows)
        else:
            from modelbundle.cli.inspect_view import print_inspection

            print_inspection(answer, opened.tensors.values() if tensors else None)
    return YES


@cli.command()
@_BUNDLE
@click.option("--structure", is_flag=True, help="Do not read the data of files.")
@_JSON
@answering
def validate(*, bundle: str, structure: bool, as_json: bool) -> int:
    """Hold every rule, and every digest, against a bundle."""
    from modelbundle.cli.summaries import report_json, verdict
    from modelbundle.rules import validate as validate_bundle

    with progress("validating", None) as advance:
        report = validate_bundle(bundle, structure=structure, progress=advance)
    if as_json:
        write_json(report_json(report))
    else:
        for finding in report.findings:
            click.echo(text_of(finding))
        click.echo(verdict(report))
    return YES if report.ok else NO_ANSWER if report.unsupported else NO


@cli.command()
@_BUNDLE
@click.argument("directory", metavar="DIR")
@click.argument("more", metavar="", nargs=-1)
@click.option("--only", metavar="PATH ...", multiple=True, help="These files or folders only.")
@_JSON
@answering
def unpack(
    *, bundle: str, directory: str, more: tuple[str, ...], only: tuple[str, ...], as_json: bool
) -> int:
    """Write the original files below DIR, each checked: all or none.

    Nothing is overwritten. --only takes any file of the bundle, or a folder of it.
    """
    if more and not only:
        raise click.UsageError(f"Got unexpected extra argument ({more[0]})")
    from modelbundle.bundle import open_bundle
    from modelbundle.cli.summaries import print_unpacked
    from modelbundle.unpacking import select
    from modelbundle.unpacking import unpack as unpack_bundle

    wanted = (*only, *more)
    with open_bundle(bundle) as opened:
        entries = select(opened, wanted)
        with progress("unpacking", sum(entry.size for entry in entries)) as advance:
            unpack_bundle(opened, directory, only=wanted, progress=advance)
        print_unpacked(opened.digest, entries, directory, as_json=as_json)
    return YES


@cli.command()
@_BUNDLE
@click.argument("name")
@click.option("-o", "file", metavar="FILE.npy", help="Write the tensor for numpy.")
@_JSON
@answering
def tensor(*, bundle: str, name: str, file: str | None, as_json: bool) -> int:
    """Show one tensor, by its name in the bundle or in any naming system.

    A .npy file holds bfloat16, float8 and int4 as unsigned integers of the same width, packed
    elements as bytes, and strings as bytes of one width.
    """
    from modelbundle.bundle import open_bundle
    from modelbundle.cli.npy import write_npy
    from modelbundle.cli.tensor_view import describe, print_tensor

    with open_bundle(bundle) as opened:
        found = _find(opened, name)
        written = None if file is None else write_npy(found, Path(file))
        answer = describe(opened, found, written)
        if as_json:
            write_json(answer.to_json())
        else:
            print_tensor(answer)
    return YES


def _find(bundle: Bundle, name: str) -> Tensor:
    """The tensor; the `KeyError` where there is none names some that are called alike."""
    try:
        return bundle.tensors.find(name)
    except KeyError as error:
        from difflib import get_close_matches
        from itertools import islice

        alike = get_close_matches(name, list(islice(bundle.tensors, 10_000)))
        hint = f"; is it {' or '.join(map(repr, alike))}?" if alike else ""
        raise KeyError(f"{error.args[0]}{hint}") from None


@cli.command()
@click.argument("a")
@click.argument("b")
@_JSON
@answering
def diff(*, a: str, b: str, as_json: bool) -> int:
    """Tell what changed from bundle A to bundle B: files, configs, tensors with norms."""
    from modelbundle.comparing import diff as diff_bundles

    with progress("comparing", None) as advance:
        answer = diff_bundles(a, b, progress=advance)
    if as_json:
        write_json(answer.to_json())
    else:
        from modelbundle.cli.diff_view import print_difference

        print_difference(answer)
    return YES if answer.same else NO


@cli.command()
@_BUNDLE
@click.argument("path")
@click.option("--format", "form", metavar="F", help="keras, h5, checkpoint, saved_model, …")
@click.option("--component", metavar="ID", help="Which model, where there are several.")
@_JSON
@answering
def export(
    *, bundle: str, path: str, form: str | None, component: str | None, as_json: bool
) -> int:
    """Write one model to PATH in a native format, and tell what is not in it.

    The end of PATH tells the format, unless --format does: keras, h5, weights.h5, safetensors,
    checkpoint (PATH is a prefix) or saved_model (PATH is a directory). A file that the bundle
    carries comes back byte for byte; otherwise Keras writes it. Nothing is overwritten.
    """
    from modelbundle.bundle import open_bundle

    with open_bundle(bundle) as opened:
        answer = opened.export(path, form, component=component)
    if as_json:
        write_json(answer.to_json())
    else:
        click.echo(str(answer))
    return YES
