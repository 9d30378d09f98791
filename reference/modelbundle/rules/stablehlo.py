"""Rules about portable graphs that take the bundle to check: what their arguments are bound to.

findings = list(check(bundle, component, artifact))
"""

from __future__ import annotations

from collections.abc import Iterator

from modelbundle.bundle import Bundle
from modelbundle.core import paths
from modelbundle.core.findings import Finding, checks, clip
from modelbundle.core.manifest import Component
from modelbundle.sources import stablehlo
from modelbundle.sources.artifact import Artifact, Tree


def check(bundle: Bundle, component: Component, artifact: Artifact) -> Iterator[Finding]:
    """Findings about the graph `component`, whose files are sound by themselves."""
    files = {path: bundle.file(path) for path in component.files}
    graph = stablehlo.arguments_of(Tree(component.id, files))
    tensors = bundle.tensors.named(component.id, stablehlo.KIND)
    rows = {name: (tensor.dtype, tensor.shape) for name, tensor in tensors.items()}
    yield from stablehlo.binding_findings(graph, rows, clip(component.id))
    yield from _check_stated(bundle, component, artifact)


@checks("SHL-05")
def _check_stated(bundle: Bundle, component: Component, artifact: Artifact) -> Iterator[Finding]:
    """Findings where the manifest says anything else of a graph than its files do."""
    signatures = tuple(s for s in bundle.manifest.signatures if s.component == component.id)
    if signatures != artifact.signatures:
        place = f"{paths.MANIFEST}#/signatures"
        yield Finding("SHL-05", place, clip(artifact.signatures), clip(signatures))
    for name, value in artifact.components[0].properties.items():
        found = component.properties.get(name)
        if found != value:
            place = f"{paths.MANIFEST}#/components"
            yield Finding("SHL-05", place, f"{clip(component.id)}: {name} {value}", clip(found))
