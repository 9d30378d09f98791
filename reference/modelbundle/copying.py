"""Copying: a bundle to another place or into another layout, unchanged (rules CPY-01 to CPY-04).

    copy("net.modelbundle", "net", directory=True)

Manifest and stored files go over as they are, whatever kinds, extensions or media types they have.
"""

from __future__ import annotations

from pathlib import Path

from modelbundle.bundle import Bundle, check_digest, open_bundle
from modelbundle.core.findings import checks, settle
from modelbundle.storage.scan import Progress, scanner
from modelbundle.storage.writing import Writer, open_writer


def copy(
    bundle: Bundle | str | Path,
    destination: str | Path,
    *,
    directory: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> str:
    """Copy `bundle` to `destination`, an archive or a directory, and return its digest.

    Raises `BundleError` where a stored file has not its digest, `FileExistsError` where
    `destination` exists and `overwrite` is not set; nothing is left there then.
    """
    if not isinstance(bundle, Bundle):
        with open_bundle(bundle) as opened:
            return copy(
                opened, destination, directory=directory, overwrite=overwrite, progress=progress
            )
    with open_writer(Path(destination), directory, overwrite) as writer:
        _write(bundle, writer, progress)
    return bundle.digest


@checks("CPY-01", "CPY-02", "CPY-03", "CPY-04")
def _write(bundle: Bundle, writer: Writer, progress: Progress | None) -> None:
    """Every byte as it is; each file is held against its digest before the copy is finished."""
    manifest = bundle.manifest
    writer.begin(len(bundle.manifest_bytes), manifest.stored, manifest.directories)
    with scanner(progress) as scans:
        for entry in manifest.stored:
            with writer.member(entry.path) as sink:
                scan = scans.scan(bundle.file(entry.path), sink=sink, crc=writer.needs_crc32)
            settle(check_digest(entry, scan.digest))
            writer.record(entry.path, scan.crc32)
    writer.finish(bundle.manifest_bytes)
