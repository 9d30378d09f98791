"""The config of a live Keras object as `config.json` of a captured model holds it.

It is what Keras would write, with six differences: how the model was compiled stands in
`training.json`; arguments that Keras leaves out of configs are in them (`completing`); names that
configs of layers leave out stand beside them (`names_beside`); shared objects, but for dtype
policies, are numbered in order of appearance, not by address; tuples in the configs of classes that
are not Keras's own are tagged, for Keras's own take lists; and what JSON has no word for is tagged
(`sources.keras.exact_values`).

    data = config_of(model)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from modelbundle.core.findings import BundleError, Finding, checks, clip, settle
from modelbundle.keras import names_beside
from modelbundle.keras.completing import completed
from modelbundle.keras.variables import layers, shared
from modelbundle.sources.keras import exact_values
from modelbundle.sources.keras.builtins import is_home

_SHARED = "shared_object_id"


def config_of(target: Any, place: str, *, compiled: bool = True) -> bytes:
    """The JSON of a layer's or model's config; without `compiled`, nested models lose theirs.

    Raises BundleError (KMD-07, KMD-08) where a class has no config or JSON cannot hold a value.
    """
    from keras.src.saving.serialization_lib import ObjectSharingScope

    try:
        with ObjectSharingScope(), completed():
            config = _serialized(target)
    except Exception as error:
        raise _refusal(target, place, error) from error
    settle(_check_configs(target, place, made=True))
    names_beside.write(config, target)
    if not compiled:
        config = _without_compiled(config)
    return exact(config, place, tagged=_is_foreign)


def exact(config: Any, place: str, tagged: Callable[[Any], bool] = lambda value: True) -> bytes:
    """The JSON text of what Keras serialised; raises BundleError (KMD-08)."""
    try:
        return exact_values.dump(exact_values.encode(renumbered(config), tagged))
    except exact_values.InexactError as error:
        raise BundleError([_inexact(place, error)]) from None


def _serialized(target: Any) -> dict[str, Any]:
    """As `keras.saving.serialize_keras_object`, but not how it was compiled."""
    from keras.src.saving import serialization_lib as keras_lib

    inner = keras_lib._get_class_or_fn_config(target)
    found: dict[str, Any] = keras_lib.serialize_with_public_class(type(target), inner)
    if (build := target.get_build_config()) is not None:
        found["build_config"] = keras_lib.serialize_dict(build)
    keras_lib.record_object_after_serialization(target, found)
    return found


def _is_foreign(value: dict[str, Any]) -> bool:
    """Whether a class is not Keras's own; what Keras writes of a tensor or slice has no module."""
    module, name = value.get("module"), value.get("class_name")
    is_own = isinstance(module, str) and is_home(module)
    return not is_own and not (isinstance(name, str) and name.startswith("__"))


def _without_compiled(value: Any) -> Any:
    if isinstance(value, dict):
        is_object = "class_name" in value and "config" in value
        return {
            key: _without_compiled(item)
            for key, item in value.items()
            if not (is_object and key == "compile_config")
        }
    if isinstance(value, list | tuple):
        return type(value)(_without_compiled(item) for item in value)
    return value


def renumbered(config: Any) -> Any:
    """`config` with its shared objects numbered from 0 in order of appearance.

    Keras takes the address of an object for its number, and an address can be used again while a
    config is made: objects of one number that are not equal are not one object.
    """
    groups: dict[int, list[dict[str, Any]]] = {}
    for item in _objects(config):
        groups.setdefault(item[_SHARED], []).append(item)
    numbers: dict[int, int] = {}
    for number, items in groups.items():
        if len(items) > 1 and not _is_policy(items[0]) and all(i == items[0] for i in items):
            numbers[number] = len(numbers)
    return _numbered(config, numbers)


def _is_policy(item: Mapping[str, Any]) -> bool:
    """Whether an object is a dtype policy, which layers share or not without any difference."""
    return is_home(str(item.get("module"))) and item["class_name"].endswith("DTypePolicy")


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """The objects that Keras numbered, outermost first."""
    if isinstance(value, dict):
        if isinstance(value.get(_SHARED), int) and "class_name" in value:
            yield value
        for item in value.values():
            yield from _objects(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _objects(item)


def _numbered(value: Any, numbers: dict[int, int]) -> Any:
    if isinstance(value, dict):
        is_shared = isinstance(value.get(_SHARED), int) and "class_name" in value
        return {
            key: numbers[item] if is_shared and key == _SHARED else _numbered(item, numbers)
            for key, item in value.items()
            if not (is_shared and key == _SHARED and item not in numbers)
        }
    if isinstance(value, list | tuple):
        return type(value)(_numbered(item, numbers) for item in value)
    return value


@checks("KMD-08")
def _inexact(place: str, error: exact_values.InexactError) -> Finding:
    where = "/".join(error.keys)
    expected = "values that JSON or a tag can hold"
    hint = "have get_config return numbers, strings, lists, tuples and dictionaries"
    return Finding("KMD-08", f"{place}#/{clip(where)}", expected, clip(error.what), hint)


def _refusal(target: Any, place: str, error: Exception) -> BundleError:
    """All classes whose config cannot be had, and why; what Keras said where none is found."""
    findings = list(_check_configs(target, place))
    if not findings:
        findings = [Finding("KMD-07", place, "a config of every layer", clip(f"{error}"), _WAY_OUT)]
    return BundleError(findings)


_WAY_OUT = (
    "define get_config, or pack with include=('weights',); graph=True adds a graph that runs "
    "without the class"
)


_APART = (
    "make both models from one outer model's tensors, or pack with include=('weights',); "
    "graph=True adds a graph that runs without the config"
)


@checks("KMD-07")
def _check_configs(target: Any, place: str, *, made: bool = False) -> Iterator[Finding]:
    """Findings for layers without a config and, where all have one, what a config cannot say."""
    from keras.src.saving import serialization_lib as keras_lib

    if made:
        for names in shared(target):
            found = f"one layer for {' and '.join(names)}"
            expected = "a config that makes one layer of what several models within it share"
            yield Finding("KMD-07", place, expected, clip(found), _APART)
        return

    seen: set[type] = set()
    for path, layer in layers(target).items():
        if is_home(type(layer).__module__) or type(layer) in seen:
            continue
        try:
            keras_lib._get_class_or_fn_config(layer)
        except Exception as error:  # whatever a get_config of somebody else does
            seen.add(type(layer))
            name = f"{type(layer).__module__}.{type(layer).__qualname__}"
            found = f"none of {name} ({path or 'the model itself'}): {error}"
            yield Finding("KMD-07", place, "a config of every layer", clip(found), _WAY_OUT)
