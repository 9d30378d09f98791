"""Paths of files in a bundle: relative, portable, unambiguous on every file system.

>>> list(check_path("net/../x", "manifest.json#/files/0/path"))[0].rule
'PTH-01'
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from modelbundle.core.findings import Finding, checks, clip
from modelbundle.core.limits import LIMITS

MANIFEST = "manifest.json"
TENSORS = "tensors.msgpack"
COMPOSITIONS = "compositions.msgpack"
RESIDUE = "residue.bin"
INDEX_FILES = frozenset({TENSORS, COMPOSITIONS, RESIDUE})

_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f\\:*?"<>|]')
_DEVICE = re.compile(r"(con|prn|aux|nul|(com|lpt)[1-9¹²³])", re.IGNORECASE)


def check_path(path: str, place: str) -> Iterator[Finding]:
    """Findings about one path on its own (PTH-01 to PTH-04); the first one only."""
    checks_in_order = (_check_form, _check_characters, _check_segments, _check_normal)
    for check in checks_in_order:
        if message := check(path):
            rule, expected, hint = message
            yield Finding(rule, place, expected, clip(path), hint)
            return


@checks("PTH-01")
def _check_form(path: str) -> tuple[str, str, str] | None:
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        size = 0
    if 0 < size <= LIMITS.path_bytes and not {"", ".", ".."} & set(path.split("/")):
        return None
    expected = (
        f"a relative path of 1 to {LIMITS.path_bytes} bytes without empty, '.' or '..' segments"
    )
    return "PTH-01", expected, "write the path relative to the bundle's root"


@checks("PTH-02")
def _check_characters(path: str) -> tuple[str, str, str] | None:
    if not _FORBIDDEN.search(path):
        return None
    return "PTH-02", 'no control character and none of \\ : * ? " < > |', "rename the file"


@checks("PTH-03")
def _check_segments(path: str) -> tuple[str, str, str] | None:
    for segment in path.split("/"):
        if _DEVICE.fullmatch(segment.split(".")[0].rstrip(" ")) or segment[-1:] in {".", " "}:
            expected = "no reserved device name and no segment that ends in a dot or a space"
            return "PTH-03", expected, f"rename {clip(segment)!r}"
    return None


@checks("PTH-04")
def _check_normal(path: str) -> tuple[str, str, str] | None:
    if unicodedata.is_normalized("NFC", path):
        return None
    return "PTH-04", "a path in Unicode normalisation form C", "normalise the name to NFC"


def fold(path: str) -> str:
    """What a file system that ignores case and normalisation makes of `path`."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


@checks("PTH-05")
def check_collisions(paths: Iterable[str], place: str) -> Iterator[Finding]:
    """Findings where two paths collide, or one needs another to be a directory."""
    seen: dict[str, str] = {}
    for path in paths:
        other = seen.setdefault(fold(path), path)
        if other is not path:
            yield _collision(path, other, place)
    # With `/` below all other characters, whatever is under a path follows it directly.
    for one, two in pairwise(sorted(seen, key=lambda folded: folded.replace("/", "\0"))):
        if two.startswith(f"{one}/"):
            yield _collision(seen[two], seen[one], place)


def has_below(ascending: Sequence[str], folder: str) -> bool:
    """Whether one of the paths, which ascend, is below `folder`."""
    at = bisect_left(ascending, f"{folder}/")
    return at < len(ascending) and ascending[at].startswith(f"{folder}/")


def _collision(path: str, other: str, place: str) -> Finding:
    expected = "paths that stay apart on every file system"
    return Finding("PTH-05", place, expected, f"{clip(path)!r} and {clip(other)!r}", "rename one")
