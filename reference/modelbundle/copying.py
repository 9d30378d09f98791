"""Copying: a bundle to another place or into another layout, unchanged (rules CPY-01 to CPY-04).

    copy("net.modelbundle", "net", directory=True)

Manifest and stored files go over as they are, whatever kinds, extensions or media types they have.
"""

from __future__ import annotations

from pathlib import Path

from modelbundle.bundle import check_digest
from modelbundle.core import digests
from modelbundle.core import manifest as manifests
from modelbundle.core.findings import checks, settle
from modelbundle.core.manifest import Manifest
from modelbundle.storage.layouts import Storage, open_storage
from modelbundle.storage.scan import Progress, scanner
from modelbundle.storage.writing import Writer, open_writer


def copy(
    bundle: str | Path,
    destination: str | Path,
    *,
    directory: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> str:
    """Copy the bundle at a path or URL to `destination` and return its digest.

    What the bundle asks to be understood is carried all the same. Raises `BundleError` where a
    rule is broken or a stored file has not its digest, `FileExistsError` where `destination`
    exists and `overwrite` is not set; nothing is left there then.
    """
    storage = open_storage(bundle)
    try:
        data = storage.read_manifest()
        manifest = manifests.decode(data, carried=True)
        storage.place(len(data), manifest.stored)
        with open_writer(Path(destination), directory, overwrite) as writer:
            _write(storage, manifest, data, writer, progress)
    finally:
        storage.close()
    return digests.of_bytes(data)


@checks("CPY-01", "CPY-02", "CPY-03", "CPY-04")
def _write(
    storage: Storage, manifest: Manifest, data: bytes, writer: Writer, progress: Progress | None
) -> None:
    """Every byte as it is; each file is held against its digest before the copy is finished."""
    writer.begin(len(data), manifest.stored, manifest.directories)
    with scanner(progress) as scans:
        for entry in manifest.stored:
            with writer.member(entry.path) as sink:
                blob = storage.blob(entry.path)
                scan = scans.scan(blob, sink=sink, crc=writer.needs_crc32)
            settle(check_digest(entry, scan.digest))
            writer.record(entry.path, scan.crc32)
    writer.finish(data)
