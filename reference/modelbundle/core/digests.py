"""Digests: `sha256:` and 64 lower-case hexadecimal digits.

>>> of_bytes(b"")
'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from modelbundle.core.blobs import Blob, walk

ALGORITHM = "sha256"
DIGEST_BYTES = 32
PATTERN = re.compile(r"sha256:[0-9a-f]{64}")
PLACEHOLDER = f"{ALGORITHM}:{'0' * 64}"
"""As long as any digest, so a manifest's length is known before its digests are."""


EMPTY = hashlib.sha256(b"").digest()
"""The 32 bytes of the digest of nothing."""


def of_bytes(data: bytes | memoryview) -> str:
    """The digest of `data`."""
    return f"{ALGORITHM}:{hashlib.sha256(data).hexdigest()}"


def raw_of_blob(blob: Blob) -> bytes:
    """The 32 bytes of the digest of `blob`, which is read in chunks."""
    digest = hashlib.sha256()
    for chunk in walk(blob):
        digest.update(chunk)
    return digest.digest()


def of_raw(raw: bytes | memoryview) -> str:
    """The digest whose 32 bytes are `raw`."""
    return f"{ALGORITHM}:{raw.hex()}"


def split(raw: bytes | bytearray) -> Iterator[bytes]:
    """The digests that stand one after another in `raw`, 32 bytes each."""
    return (bytes(raw[at : at + DIGEST_BYTES]) for at in range(0, len(raw), DIGEST_BYTES))
