"""What a bundle lacks, in sentences that people want to read.

missing(Holdings(manifest, has_weights=True, ...))
# ("no graph: the custom layer `Scale` needs its class", "no optimizer state")
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from modelbundle.core.findings import clip
from modelbundle.core.manifest import Component, Manifest

GRAPH_KINDS = frozenset({"tensorflow.saved_model", "onnx", "tflite", "stablehlo"})
"""Components that say how to compute, and can be run without the classes of the model."""

_INFERENCE_KINDS = frozenset({"onnx", "tflite", "stablehlo"})
_NAMED = 6
"""Names in one sentence."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """What there is. `held` tells for each source how many weights it holds, and how many it
    alone holds; `custom_kinds` which custom classes are layers and which are models;
    `without_vocabulary` names lookup layers whose config has none."""

    manifest: Manifest
    weights: int
    optimizer_tensors: int
    held: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    custom_kinds: Mapping[str, str] = field(default_factory=dict)
    without_vocabulary: Sequence[str] = ()

    def of_kind(self, *kinds: str) -> list[Component]:
        """The components of some kinds, ascending by id."""
        return [component for component in self.manifest.components if component.kind in kinds]


def missing(holdings: Holdings) -> tuple[str, ...]:
    """What is missing, the gravest first."""
    parts = (_architecture, _weights, _shares, _vocabularies, _classes, _training, _signatures)
    return tuple(sentence for part in parts for sentence in part(holdings))


def _architecture(holdings: Holdings) -> Iterator[str]:
    configs, graphs = holdings.of_kind("keras.config"), holdings.of_kind(*GRAPH_KINDS)
    if not configs and not graphs:
        yield "no architecture: only weights" if holdings.weights else "no architecture"
    elif not configs:
        yield f"no Keras config: {_names(graphs)} can be run, but layers cannot be rebuilt"
    elif not graphs and not holdings.manifest.requirements.custom_objects:
        yield "no graph: Keras builds the model from its config"


def _weights(holdings: Holdings) -> Iterator[str]:
    configs, opaque = holdings.of_kind("keras.config"), holdings.of_kind("tflite")
    if opaque:
        yield f"no list of the tensors inside {_names(opaque)}: its file is carried whole"
    if holdings.weights or opaque:
        return
    yield "no weights: only the architecture" if configs else "no weights"
    if any(config.properties.get("parameters_need_build") is True for config in configs):
        yield "no parameter shapes: they follow once the model is built on an input"


def _shares(holdings: Holdings) -> Iterator[str]:
    """Where several sources stand side by side: what not all of them hold."""
    bearing = {source: held for source, held in holdings.held.items() if held[0]}
    if len(holdings.held) > 1 and len(bearing) == 1:
        yield f"weights only in {_quoted(list(bearing))}"
    elif len(bearing) > 1:
        for source, (_, alone) in bearing.items():
            if alone:
                yield f"{alone} of {holdings.weights} weights only in {_quoted([source])}"


def _vocabularies(holdings: Holdings) -> Iterator[str]:
    """HDF5 keeps no assets; a `.keras` file does, and a graph has its tables."""
    if (names := holdings.without_vocabulary) and not holdings.of_kind("assets", *GRAPH_KINDS):
        comes = "it comes" if len(names) == 1 else "they come"
        yield f"no vocabulary of {_quoted(names)}: {comes} back empty"


def _classes(holdings: Holdings) -> Iterator[str]:
    graphs = holdings.of_kind(*GRAPH_KINDS)
    by_kind: dict[str, list[str]] = {}
    for custom in holdings.manifest.requirements.custom_objects:
        kind = holdings.custom_kinds.get(custom.class_name) or _kind_of(custom.class_name)
        by_kind.setdefault(kind, []).append(custom.class_name)
    for kind in sorted(by_kind, key=["model", "layer", "class", "function"].index):
        names = sorted(set(by_kind[kind]))
        many = len(names) > 1
        things = {"class": "classes"}.get(kind, f"{kind}s") if many else kind
        what, whose = f"custom {things} {_quoted(names)}", "their" if many else "its"
        code = "code" if kind == "function" else "class"
        if graphs:
            yield f"no code for the {what}: {_names(graphs)} can be run, Keras cannot build it"
        elif many and code == "class":
            yield f"no graph: the {what} need their classes"
        else:
            yield f"no graph: the {what} {'need' if many else 'needs'} {whose} {code}"


def _kind_of(name: str) -> str:
    return "class" if name[:1].isupper() else "function"


def _training(holdings: Holdings) -> Iterator[str]:
    kinds = {c.kind for c in holdings.manifest.components if c.derived_from is None}
    if kinds <= _INFERENCE_KINDS:
        return
    if not holdings.optimizer_tensors:
        yield "no optimizer state"
    if not holdings.of_kind("training"):
        yield "no training configuration"


def _signatures(holdings: Holdings) -> Iterator[str]:
    signed = {signature.component for signature in holdings.manifest.signatures}
    silent = [c for c in holdings.of_kind("tensorflow.saved_model", "onnx") if c.id not in signed]
    if silent:
        verb = "names" if len(silent) == 1 else "name"
        yield f"no signatures: {_names(silent)} {verb} no function to call"


def _names(components: Sequence[Component]) -> str:
    return _quoted([component.id for component in components])


def _quoted(names: Sequence[str]) -> str:
    shown = [f"`{clip(name)}`" for name in names[:_NAMED]]
    if len(names) > _NAMED:
        return f"{', '.join(shown)} and {len(names) - _NAMED} more"
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))
