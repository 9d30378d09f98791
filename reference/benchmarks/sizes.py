"""Sizes: what sharing saves, held against distinct tensors and graph definitions (bytes)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import modelbundle as mb
from benchmarks.measuring import Figure
from benchmarks.models import Trained, size_of

_LIMIT = 1.02


def measure(trained: Trained, scratch: Path) -> Iterator[Figure]:
    """Figures for all formats of `trained` in one bundle, and for its Keras 3 export alone."""
    folder = trained.folder
    everything = [folder / name for name in ("net.keras", "net.h5", "net_savedmodel", "ckpt")]
    graphs = (folder / "net_savedmodel" / "saved_model.pb").stat().st_size
    yield _figure("all formats in one bundle", everything, trained.distinct_bytes + graphs, scratch)
    graphs = (folder / "export" / "saved_model.pb").stat().st_size
    yield _figure("Keras 3 export", [folder / "export"], trained.weight_bytes + graphs, scratch)


def _figure(what: str, sources: Sequence[Path], wanted: int, scratch: Path) -> Figure:
    bundle = scratch / "sizes.modelbundle"
    mb.pack(sources, bundle)
    size = bundle.stat().st_size
    bundle.unlink()
    given = sum(map(_size_of_source, sources))
    detail = f"{size / 1e6:.1f} MB of {given / 1e6:.1f}; distinct {wanted / 1e6:.1f}"
    return Figure(what, size / wanted, "x", _LIMIT, detail)


def _size_of_source(source: Path) -> int:
    if source.exists():
        return size_of(source)
    return sum(map(size_of, source.parent.glob(f"{source.name}.*")))
