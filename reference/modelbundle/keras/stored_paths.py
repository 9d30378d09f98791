"""Where Keras keeps each variable and asset of a model in `.keras` and `.weights.h5` files.

The path of an object is made of attributes and class names (`layers/dense_1`), its variables are
numbered below it (`layers/dense_1/vars/0`). The walk is that of `keras.src.saving.saving_lib`
(`_save_state`, `_save_container_state`), without reading a value.

    variables(model)["layers/dense/vars/0"]    # <Variable path=dense/kernel …>
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any


def objects(target: Any) -> dict[str, Any]:
    """Every object that Keras saves for `target`, by its path; the target's own is empty."""
    return dict(_walk(target, "", set()))


def variables(target: Any, found: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The variable that Keras saves under each path `OBJECT/vars/NUMBER`.

    `found` are the objects of `target`, where they are known.

    A variable that two objects save has two paths. What a class saves in a way of its own, by
    values, has none.
    """
    return {
        "/".join(filter(None, (path, "vars", number))): variable
        for path, item in (objects(target) if found is None else found).items()
        for number, variable in _saved(item)
    }


def _saved(item: Any) -> Iterator[tuple[str, Any]]:
    from keras import Variable
    from keras.metrics import Metric
    from keras.optimizers import Optimizer

    if isinstance(item, Optimizer | Metric):
        yield from ((str(number), found) for number, found in enumerate(item.variables))
        return
    store: dict[str, Any] = {}
    if hasattr(item, "save_own_variables"):
        item.save_own_variables(store)
    by_name = {id(v): v for v in getattr(item, "variables", ())}
    for number, value in store.items():
        if isinstance(value, Variable) and id(value) in by_name:
            yield number, value


def _walk(item: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    from keras.src.saving.keras_saveable import KerasSaveable
    from keras.src.saving.saving_lib import _walk_saveable

    if id(item) in seen:
        return
    seen.add(id(item))
    yield path, item
    for name, child in _walk_saveable(item):
        below = f"{path}/{name}" if path else name
        if isinstance(child, KerasSaveable):
            yield from _walk(child, below, seen)
        elif isinstance(child, list | dict | tuple):
            yield from _walk_container(child, below, seen, set())


def _walk_container(
    container: Any, path: str, seen: set[int], entered: set[int]
) -> Iterator[tuple[str, Any]]:
    from keras.src.saving.keras_saveable import KerasSaveable
    from keras.src.utils.naming import to_snake_case

    if id(container) in entered:
        return
    entered.add(id(container))
    used: Counter[str] = Counter()
    for child in container.values() if isinstance(container, dict) else container:
        if isinstance(child, KerasSaveable):
            name = _numbered(to_snake_case(type(child).__name__), used)
            yield from _walk(child, f"{path}/{name}", seen)
        elif isinstance(child, list | dict | tuple):
            name = _numbered("container", used)
            yield from _walk_container(child, f"{path}/{name}", seen, entered)


def _numbered(name: str, used: Counter[str]) -> str:
    used[name] += 1
    return name if used[name] == 1 else f"{name}_{used[name] - 1}"
