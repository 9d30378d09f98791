"""The published schemas, applied: what they refuse is refused (MAN-13, COM-07).

The manifest, topologies and object graphs are checked as they stand; index and compositions over
their decoded data model, up to a size beyond which the array checks of `core` stand alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from modelbundle.bundle import Bundle
from modelbundle.core import canonical_json, paths, schemas
from modelbundle.core.data_model import compositions_model, index_model
from modelbundle.core.findings import Finding, checks, clip
from modelbundle.core.limits import LIMITS

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

MAX_ROWS = 1000
"""Files, rows or segments up to which a document is held against its schema."""

_BY_FILE_NAME = {"topology.json": "topology", "object_graph.json": "object_graph"}


def check(bundle: Bundle) -> Iterator[Finding]:
    """Findings of the schemas about the documents of `bundle`."""
    if bundle.manifest.newer:
        return
    if len(bundle.manifest.files) <= MAX_ROWS:
        yield from _check(json.loads(bundle.manifest_bytes), "manifest", paths.MANIFEST)
    if len(bundle.index) <= MAX_ROWS:
        yield from _check(index_model(bundle.index), "tensor_index", paths.TENSORS)
    if bundle.manifest.composed and len(bundle.compositions.length) <= MAX_ROWS:
        model = compositions_model(bundle.compositions)
        yield from _check(model, "compositions", paths.COMPOSITIONS)
    yield from _check_documents(bundle)


@checks("COM-07")
def _check_documents(bundle: Bundle) -> Iterator[Finding]:
    for entry in bundle.manifest.files:
        name = _BY_FILE_NAME.get(entry.path.rpartition("/")[2])
        if entry.role == "derived" and name is not None:
            if entry.size > LIMITS.config_bytes:
                expected = f"at most {LIMITS.config_bytes} bytes"
                yield Finding("COM-07", clip(entry.path), expected, str(entry.size))
                continue
            value = canonical_json.decode(bundle.read(entry.path), entry.path)
            yield from _check(value, name, entry.path, "COM-07")


@checks("MAN-13")
def _check(value: Any, schema: str, place: str, rule: str = "MAN-13") -> Iterator[Finding]:
    for error in _validator(schema).iter_errors(value):
        pointer = "".join(f"/{part}" for part in error.absolute_path)
        yield Finding(
            rule,
            f"{place}#{clip(pointer)}",
            f"what {schema}.schema.json allows",
            clip(error.message),
        )


@cache
def _validator(name: str) -> Draft202012Validator:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schemas.load(name))
