"""What is packed, read: paths of foreign artifacts, and live Keras objects.

Live objects are told apart without importing Keras: where it was not imported, there are none.

    list(artifacts(["net.h5", model]))
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from modelbundle.core.findings import BundleError
from modelbundle.sources import recognition
from modelbundle.sources.artifact import Artifact
from modelbundle.storage.tree import read_tree, with_companions

ROOT = "model"


def is_live(source: object) -> bool:
    """Whether `source` is a layer or model of Keras."""
    keras = sys.modules.get("keras")
    layer = getattr(getattr(keras, "layers", None), "Layer", None)
    return layer is not None and isinstance(source, layer)


@contextmanager
def graph_folder(graph: bool) -> Iterator[Path | None]:
    """A folder for traced graphs while a bundle is packed; None where none are wanted."""
    if not graph:
        yield None
        return
    with TemporaryDirectory(prefix="modelbundle") as folder:
        yield Path(folder)


def artifacts(
    given: Any, include: Iterable[str] | None = None, graphs: Path | None = None
) -> Iterator[Artifact]:
    """The artifact of each source: a path or a live object, several of them, or a mapping.

    A mapping gives live objects by root. `include` is for live objects; see `capture`. With a
    folder `graphs`, each live model has its traced graph beside it. Raises `BundleError` where a
    source is refused, `TypeError` for an object that is none, and `ValueError` for a root that
    cannot be given.
    """
    for root, source in _rooted(given):
        if is_live(source):
            yield _captured(source, root or ROOT, include, traced=graphs is not None)
            if graphs is not None:
                yield _traced(source, root or ROOT, graphs)
        elif not isinstance(source, str | Path):
            raise TypeError(_unpackable(source))
        elif include is not None or graphs is not None:
            option = "include" if include is not None else "graph=True"
            raise ValueError(f"{option} is for live models, which {source} is not")
        elif root not in ("", Path(source).name):
            raise ValueError(f"{source} keeps its name in the bundle: it cannot be called {root!r}")
        else:
            yield read_source(Path(source))


def _rooted(given: Any) -> list[tuple[str, Any]]:
    """Each source with the root that it is given; "" for none."""
    if isinstance(given, Mapping):
        return [(str(root), source) for root, source in given.items()]
    if isinstance(given, str | Path) or is_live(given):
        return [("", given)]
    if not isinstance(given, Iterable):
        raise TypeError(_unpackable(given))
    items = list(given)
    if sum(map(is_live, items)) > 1:
        raise ValueError("give several live models as a mapping: {'a': model_a, 'b': model_b}")
    return [("", item) for item in items]


def _unpackable(source: Any) -> str:
    """What to say of an object that is neither a path nor a live layer or model."""
    hint = ""
    if "Optimizer" in {base.__name__ for base in type(source).__mro__}:
        hint = ": compile a model with it and pack the model"
    found = f"a {type(source).__name__}"
    return f"give a path, or a layer or model of Keras, or several of them, not {found}{hint}"


def _captured(source: Any, root: str, include: Iterable[str] | None, *, traced: bool) -> Artifact:
    """The captured model; where a graph stands beside it, a class may have no config."""
    from modelbundle.keras.capture import capture
    from modelbundle.sources.keras import captured, model

    try:
        return model.read(
            capture(source, root, captured.SELECTIONS if include is None else include)
        )
    except BundleError as error:
        if not traced or include is not None or {f.rule for f in error.findings} != {"KMD-07"}:
            raise
        return model.read(capture(source, root, ("weights",)))


def _traced(source: Any, root: str, folder: Path) -> Artifact:
    from modelbundle.keras.graph import traced

    return traced(source, root, folder)


def read_source(source: Path) -> Artifact:
    """The artifact at `source`; raises `BundleError` where it is malformed or of no known kind."""
    tree = read_tree(source)
    if tree.single is not None:
        tree = with_companions(tree, source, tuple(recognition.companions(tree)))
    return recognition.read(tree)
