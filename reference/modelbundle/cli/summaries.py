"""The short answers: what was packed, what was unpacked, whether a bundle is valid.

click.echo(verdict(report))
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from modelbundle.cli.outcome import write_json
from modelbundle.cli.printing import many, shown, size
from modelbundle.storage.layouts import DirectoryStorage

if TYPE_CHECKING:
    from modelbundle.bundle import Bundle
    from modelbundle.core.manifest import FileEntry
    from modelbundle.rules import Report


def source_bytes(sources: Sequence[str]) -> int:
    """About how many bytes there are to pack: of files, directories, and what a prefix names."""
    return sum(_bytes_at(Path(source)) for source in sources)


def _bytes_at(source: Path) -> int:
    found: Iterable[Path]
    if source.is_dir():
        found = source.rglob("*")
    elif source.is_file():
        found = (source,)
    else:
        found = (path for path in source.parent.glob("*") if path.name.startswith(source.name))
    return sum(path.lstat().st_size for path in found if path.is_file())


def print_packed(
    bundle: Bundle, sources: Sequence[str], destination: str, *, as_json: bool
) -> None:
    """Say what was packed, from the manifest of the new bundle."""
    manifest = bundle.manifest
    stored = len(bundle.manifest_bytes) + sum(entry.size for entry in manifest.stored)
    originals = sum(entry.size for entry in manifest.files if entry.role == "source")
    if as_json:
        layout = "directory" if isinstance(bundle.storage, DirectoryStorage) else "archive"
        totals = {"count": manifest.tensor_count, "bytes": manifest.tensor_bytes}
        write_json(
            {
                "digest": bundle.digest,
                "destination": destination,
                "layout": layout,
                "sources": list(sources),
                "sizes": {"stored": stored, "sources": originals},
                "tensors": totals,
            }
        )
        return
    click.echo(f"packed {many(len(sources), 'source')} into {shown(destination)}")
    click.echo(bundle.digest)
    tensors = many(manifest.tensor_count, "tensor")
    click.echo(f"{tensors}; {size(stored)} stored, {size(originals)} come back")


def print_unpacked(
    digest: str, entries: Sequence[FileEntry], directory: str, *, as_json: bool
) -> None:
    """Say what was unpacked."""
    if as_json:
        files = [{"path": e.path, "size": e.size, "digest": e.digest} for e in entries]
        write_json({"digest": digest, "destination": directory, "files": files})
        return
    for entry in entries:
        click.echo(f"{shown(entry.path)}   {size(entry.size)}")
    total = size(sum(entry.size for entry in entries))
    click.echo(f"unpacked {many(len(entries), 'file')}, {total}, into {shown(directory)}")


def report_json(report: Report) -> dict[str, Any]:
    """A report as `schemas/answers/validate.schema.json` has it."""
    digest = {} if report.digest is None else {"digest": report.digest}
    return {
        **digest,
        "ok": report.ok,
        "unsupported": report.unsupported,
        "checked": report.checked,
        "findings": [finding.to_json() for finding in report.findings],
    }


def verdict(report: Report) -> str:
    """One line for people."""
    if report.ok:
        checked = "every digest checked" if report.checked == "all" else "structure only"
        return f"{click.style('valid', fg='green', bold=True)}   {report.digest}, {checked}"
    word = "unsupported" if report.unsupported else "invalid"
    return f"{click.style(word, fg='red', bold=True)}   {many(len(report.findings), 'finding')}"
