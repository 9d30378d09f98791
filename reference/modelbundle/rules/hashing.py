"""Hashing that starts as soon as the manifest is known, beside all else that has to be loaded.

begun = begin(storage, manifest, scans)
"""

from __future__ import annotations

from heapq import nlargest

from modelbundle.core.manifest import Manifest
from modelbundle.storage.layouts import ArchiveStorage, Storage
from modelbundle.storage.scan import CHUNK_BYTES, Scan, Scanner

_FILES = 4
"""As many as have a thread."""


def begin(storage: Storage, manifest: Manifest, scans: Scanner) -> dict[str, Scan]:
    """Scans of the largest stored files by path; their tensors are not known yet.

    None where files are read only once.
    """
    if scans.once:
        return {}
    crc = isinstance(storage, ArchiveStorage)
    large = [entry for entry in manifest.stored if entry.size > CHUNK_BYTES]
    chosen = nlargest(_FILES, large, key=lambda entry: entry.size)
    return {entry.path: scans.scan(storage.blob(entry.path), crc=crc) for entry in chosen}
