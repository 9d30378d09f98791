"""What Keras 2 keeps in a SavedModel: the configs of the model and its training.

Keras 2.5 and later write `keras_metadata.pb` (SavedMetadata), earlier ones the same JSON into the
SavedObjectGraph. Both hold a JSON text per object; the model's has members `model_config` and
`training_config`, whose text is kept as it stands.
Layout: SavedMetadata.nodes = 1: node_id = 2, node_path = 3, identifier = 4, metadata = 5

    found = model_members(blob, graph, "net/keras_metadata.pb")
    found["model_config"]
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from modelbundle.core.blobs import Blob
from modelbundle.core.findings import checks, refuse
from modelbundle.core.limits import LIMITS
from modelbundle.sources.protobuf_wire import TEXT, UINT, Message, WireError, message
from modelbundle.sources.tensorflow.object_graph import Graph

FILE = "keras_metadata.pb"
MODEL_CONFIG, TRAINING_CONFIG, KERAS_VERSION = "model_config", "training_config", "keras_version"

_NODES = 1
_NODE = {2: ("node", UINT), 4: ("identifier", TEXT), 5: ("metadata", TEXT)}
_MODELS = frozenset({"_tf_keras_model", "_tf_keras_network", "_tf_keras_sequential"})
_JSON = json.JSONDecoder()
_BLANK = re.compile(r"[ \t\n\r]*")


@checks("SVM-04")
def model_members(blob: Blob | None, graph: Graph, path: str) -> dict[str, str]:
    """JSON texts of the members of the first model's metadata, {} where there is no model.

    `blob` is `keras_metadata.pb` where the SavedModel has one, at `path`.
    """
    try:
        found = _in_file(blob) if blob is not None else _in_graph(graph)
        for text in found:
            members = _members(text)
            if members.get(MODEL_CONFIG, "null") != "null":
                return members
    except (ValueError, RecursionError) as error:
        place = f"{path}@{error.offset}" if isinstance(error, WireError) else path
        raise refuse("SVM-04", place, "Keras metadata: JSON texts", str(error)) from None
    return {}


def version(members: Mapping[str, str]) -> str:
    """The Keras version among `members`, "" where there is none."""
    found = json.loads(members.get(KERAS_VERSION, '""'))
    return found if isinstance(found, str) else ""


def _in_file(blob: Blob) -> Iterator[str]:
    if blob.size > LIMITS.config_bytes:
        raise WireError(0, f"{blob.size} bytes, limit {LIMITS.config_bytes}")
    nodes = [message(value).decode(_NODE) for number, value in Message.of(blob) if number == _NODES]
    for node in sorted(nodes, key=lambda node: int(node.get("node", 0))):
        if node.get("identifier") in _MODELS and node.get("metadata"):
            yield node["metadata"]


def _in_graph(graph: Graph) -> Iterator[str]:
    for node in graph:
        if node.facts.get("identifier") in _MODELS and node.facts.get("metadata"):
            yield node.facts["metadata"]


def _members(text: str) -> dict[str, str]:
    """The members of a JSON object, each value as its text; raises `ValueError`."""
    members: dict[str, str] = {}
    at = _step(text, 0, "{")
    while not text.startswith("}", at):
        key, at = _JSON.raw_decode(text, at)
        start = _step(text, at, ":")
        _, end = _JSON.raw_decode(text, start)
        if not isinstance(key, str) or key in members:
            raise ValueError(f"the key {key!r}, no string or there twice")
        members[key] = text[start:end]
        at = _blank(text, end)
        if not text.startswith("}", at):
            at = _step(text, at, ",")
    return members


def _blank(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at


def _step(text: str, at: int, mark: str) -> int:
    """The offset of what follows `mark`, which comes next but for blanks."""
    at = _blank(text, at)
    if not text.startswith(mark, at):
        raise ValueError(f"no `{mark}` at character {at}")
    return _blank(text, at + len(mark))
