"""Names of layers whose own config leaves them out: they stand beside it, and are given back.

A class of somebody else may have a `get_config` without `name`. Keras then writes the name beside
the config of a layer in a Functional model and nowhere else, and gives the layer a new automatic
name when it loads it. Here capture writes the name beside the config wherever a class of Keras's
own holds such a layer, and restoring gives each layer its name as soon as it is made, before it is
used: by what the config says, never by order.

    write(config, model)
    config["config"]["layers"][1]["name"]                  # 'block'
    known |= give(config, known)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelbundle.sources.keras.builtins import is_home
from modelbundle.sources.keras.objects import is_object

_HELD = {"layer": "layer", "cell": "cell", "cells": "cells"}
"""Where wrappers and recurrent layers have the layers that they hold: key of config, attribute."""


def write(config: dict[str, Any], target: Any) -> None:
    """Write beside the configs of layers in `config`, that of `target`, the names they leave out.

    Changes `config`. A class of somebody else is not looked into: it names what it holds itself.
    """
    for item, layer in _children(config, target):
        if "name" not in item["config"]:
            item.setdefault("name", layer.name)
        write(item, layer)


def _children(config: Mapping[str, Any], parent: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    """The layers that a class of Keras's own holds, each with its config."""
    inner = config.get("config")
    if not is_home(type(parent).__module__) or not isinstance(inner, dict):
        return
    pairs: list[tuple[Any, Any]]
    pairs = [(inner.get(key), getattr(parent, name, None)) for key, name in _HELD.items()]
    items = inner.get("layers")
    if isinstance(items, list) and "input_layers" in inner:
        by_name = {layer.name: layer for layer in parent.layers}
        pairs += [(item, by_name.get(item.get("name"))) for item in items]
    elif isinstance(items, list):
        pairs.append((items, getattr(parent, "_layers", None)))
    for value, held in pairs:
        together = [(value, held)]
        if isinstance(value, list) and isinstance(held, list) and len(value) == len(held):
            together = list(zip(value, held, strict=True))
        for item, layer in together:
            if isinstance(item, dict) and isinstance(item.get("config"), dict) and layer:
                yield item, layer


@dataclass(frozen=True, slots=True)
class _Named:
    """What Keras takes for a class, and gives the name to what the class makes."""

    made: Any
    name: str

    def from_config(self, config: dict[str, Any]) -> Any:
        found = self.made.from_config(config)
        found.name = self.name
        return found


def give(config: Any, known: Mapping[str, Any]) -> dict[str, Any]:
    """Custom objects for Keras beside `known`, which give layers the names beside their configs.

    Changes `config`: each such layer is of a class of its own there.
    """
    found: dict[str, Any] = {}
    for item in _unnamed(config):
        registered = item.get("registered_name") or item["class_name"]
        made = known.get(registered, known.get(item["class_name"]))
        if isinstance(made, type):
            key = f"{registered} named {item['name']}"
            found[key] = _Named(made, item["name"])
            item["registered_name" if "module" in item else "class_name"] = key
    return found


def _unnamed(value: Any) -> Iterator[dict[str, Any]]:
    """The serialised objects whose config has no name, and that have one beside it."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from _unnamed(item)
    elif isinstance(value, dict):
        inner = value.get("config")
        is_named = not isinstance(inner, dict) or "name" in inner
        if is_object(value) and isinstance(value.get("name"), str) and not is_named:
            yield value
        for item in value.values():
            yield from _unnamed(item)
