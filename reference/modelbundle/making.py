"""Making a bundle: packing, and what engines add to it, portable graphs and golden vectors.

digest = pack(model, "net.modelbundle", graph=True, golden={"x": x[:8]})
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelbundle import packing
from modelbundle.storage.scan import Progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class NotLowered(UserWarning):
    """A model that was packed with `graph` has no portable graph."""


class NotComputed(UserWarning):
    """A signature that was packed with `golden` has no golden vectors."""


def pack(
    sources: Any,
    destination: str | Path,
    *,
    include: Iterable[str] | None = None,
    graph: bool = False,
    golden: Mapping[str, NDArray[np.generic]] | bool = False,
    directory: bool = False,
    name: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> str:
    """Pack `sources` into one bundle at `destination` and return its digest.

    As `packing.pack`, which says what a source is and what is raised. With `graph`, a live model
    has a portable graph too, beside the traced one. `golden` gives inputs by name of port, the
    first dimension being the batch, or True to draw them; golden vectors are added for them
    (chapter 18), by processes of their own. What cannot be lowered or computed is warned of.
    Raises `ValueError` where no golden vectors can be computed at all; the bundle then stands
    without them.
    """
    digest = packing.pack(
        sources,
        destination,
        include=include,
        graph=graph,
        directory=directory,
        name=name,
        metadata=metadata,
        overwrite=overwrite,
        progress=progress,
    )
    if graph:
        digest = _with_portable(destination, directory=directory)
    return _with_golden(destination, golden) if golden is not False else digest


def _with_portable(destination: str | Path, *, directory: bool) -> str:
    """The digest of the bundle with portable graphs added, in processes of their own."""
    from modelbundle.engines.graphs import add_portable

    added = add_portable(destination, directory=directory)
    for finding in added.refused:
        warnings.warn(f"no portable graph: {finding}", NotLowered, stacklevel=3)
    return added.digest


def _with_golden(destination: str | Path, golden: Mapping[str, NDArray[np.generic]] | bool) -> str:
    from modelbundle.golden.artifact import add_golden

    inputs = golden if isinstance(golden, Mapping) else None
    added = add_golden(destination, destination, inputs, overwrite=True)
    for note in added.made.notes:
        warnings.warn(f"no golden vectors: {note}", NotComputed, stacklevel=3)
    return added.digest
