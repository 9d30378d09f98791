"""Small bundles with signatures, for the tests of engines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import building

from modelbundle.core.manifest import Port, Signature
from modelbundle.packing import pack_artifacts


def one_function(folder: Path, *inputs: Port, outputs: tuple[Port, ...] = ()) -> Path:
    """A bundle whose function `f` takes `inputs`, else a float32 vector `x`, and gives `y`."""
    x = Port("x", "float32", ("n", 2))
    y = Port("y", "float32", ("n", 2))
    made = building.artifact({"net.bin": building.random_bytes(64)}, [("w", "net.bin", 0, 64)])
    signature = Signature("f", "net.bin", inputs or (x,), outputs or (y,))
    path = folder / "net.modelbundle"
    pack_artifacts([replace(made, signatures=(signature,))], path)
    return path
