"""All cases, family by family."""

from __future__ import annotations

from generator import (
    broken_bytes,
    broken_compositions,
    broken_declarations,
    broken_directories,
    broken_indexes,
    broken_layouts,
    broken_manifests,
    broken_text,
    golden_vectors,
    large,
    operations,
    running,
    sources,
    valid_bundles,
    valid_tensors,
    writing,
)
from generator.cases import Suite

FAMILIES = (
    valid_tensors,
    valid_bundles,
    broken_layouts,
    broken_text,
    broken_manifests,
    broken_bytes,
    broken_compositions,
    broken_declarations,
    broken_directories,
    broken_indexes,
    large,
    operations,
    sources,
    golden_vectors,
    writing,
    running,
)


def suite() -> Suite:
    """Every case; the valid ones come first, since the others are made from them."""
    made = Suite()
    for family in FAMILIES:
        family.add(made)
    return made
