"""The published JSON Schemas, loaded by name.

load("manifest")["$id"]
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

_PACKAGED = Path(__file__).parents[1] / "_schemas"
_CHECKOUT = Path(__file__).parents[3] / "schemas"


def folder() -> Path:
    """Where the schemas are: in the installed package, or in a checkout."""
    return _PACKAGED if _PACKAGED.is_dir() else _CHECKOUT


@cache
def load(name: str) -> dict[str, Any]:
    """The schema `NAME.schema.json`; raises `FileNotFoundError`."""
    schema: dict[str, Any] = json.loads((folder() / f"{name}.schema.json").read_text("utf-8"))
    return schema
