"""Pack, validate and unpack models of 512 MiB, as whole processes beside `cp` and `sha256sum`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.measuring import MODELBUNDLE, Figure, Measured, alternate, run
from benchmarks.models import Big

_COPY_AND_HASH = 'cp -r "$1" "$2" && find "$2" -type f -exec sha256sum {} +'
_PEAK_MB = 200


def measure(big: Big, scratch: Path, runs: int) -> Iterator[Figure]:
    """Figures for each format of `big`: time of pack and validate, peaks of all three."""
    for source in big.each():
        bundle = scratch / f"{source.name}.modelbundle"
        pack, copy = alternate(
            [partial(_pack, source, bundle), partial(_copy_and_hash, source, scratch)], runs
        )
        yield _ratio(f"pack {source.name}", pack, copy, "cp, sha256sum")
        yield _peak(f"pack {source.name}", pack)
        yield from _validate(source, bundle, big, runs)
        yield _peak(f"unpack {source.name}", _unpack(bundle, scratch))
        bundle.unlink()


def _validate(source: Path, bundle: Path, big: Big, runs: int) -> Iterator[Figure]:
    """Validation beside `sha256sum` of the archive.

    Of the export, which gives back twice what its bundle stores, the peer hashes what validation
    has to hash: the archive, and the composed file as it was given.
    """
    hashed = [bundle]
    name = "sha256sum"
    if source == big.export:
        hashed.append(max(source.rglob("*"), key=lambda path: path.stat().st_size))
        name = "sha256sum of archive and composed file"
    validate, peer = alternate(
        [partial(run, *MODELBUNDLE, "validate", bundle), partial(run, "sha256sum", *hashed)], runs
    )
    yield _ratio(f"validate {source.name}", validate, peer, name)
    yield _peak(f"validate {source.name}", validate)


def _pack(source: Path, bundle: Path) -> Measured:
    bundle.unlink(missing_ok=True)
    return run(*MODELBUNDLE, "pack", source, "-o", bundle)


def _copy_and_hash(source: Path, scratch: Path) -> Measured:
    copy = scratch / "copy"
    try:
        return run("sh", "-c", _COPY_AND_HASH, "sh", source, copy)
    finally:
        shutil.rmtree(copy) if copy.is_dir() else copy.unlink()


def _unpack(bundle: Path, scratch: Path) -> Measured:
    folder = scratch / "unpacked"
    try:
        return run(*MODELBUNDLE, "unpack", bundle, folder)
    finally:
        shutil.rmtree(folder)


def _ratio(what: str, measured: Measured, peer: Measured, name: str) -> Figure:
    detail = f"{measured.seconds:.2f} s; {name} {peer.seconds:.2f} s"
    return Figure(what, measured.seconds / peer.seconds, "x", 0.6, detail)


def _peak(what: str, measured: Measured) -> Figure:
    return Figure(f"{what}: peak memory", measured.peak_bytes / 1e6, "MB", _PEAK_MB)
