"""A model of usual size with its portable graph, made where it is measured: no TensorFlow needed.

    KERAS_BACKEND=jax python conformance/gpu/large_model.py resnet50.modelbundle

ResNet50 of `keras.applications`, random weights: 25.6 million parameters, images 224 by 224 pixels.
"""

from __future__ import annotations

import sys
from pathlib import Path


def make(path: Path) -> None:
    """Write the bundle to `path`."""
    import keras

    from modelbundle.engines.graphs import add_graph
    from modelbundle.packing import pack

    keras.utils.set_random_seed(1)
    plain = path.with_suffix(".plain")
    pack(keras.applications.ResNet50(weights=None), plain, overwrite=True)
    add_graph(plain, path, overwrite=True)
    plain.unlink()


if __name__ == "__main__":
    make(Path(sys.argv[1]))
