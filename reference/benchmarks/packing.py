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
        validate, hashed = alternate(
            [partial(run, *MODELBUNDLE, "validate", bundle), partial(run, "sha256sum", bundle)],
            runs,
        )
        yield _ratio(f"validate {source.name}", validate, hashed, "sha256sum")
        yield _peak(f"validate {source.name}", validate)
        yield _peak(f"unpack {source.name}", _unpack(bundle, scratch))
        bundle.unlink()


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
