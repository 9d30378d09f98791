"""TensorFlow Lite models: FlatBuffers that are carried whole.

Bytes 4 to 8 are the identifier; the root table and its vtable lie inside the file.
Layout: https://flatbuffers.dev/internals/ and tensorflow/compiler/mlir/lite/schema/schema.fbs

    read(Tree("net.tflite", {"net.tflite": blob})).components[0].properties["version"]
"""

from __future__ import annotations

import struct

from modelbundle.core.blobs import Blob
from modelbundle.core.findings import checks, refuse
from modelbundle.sources.artifact import Artifact, ArtifactFile, Component, Tree

IDENTIFIER = b"TFL3"
MEDIA_TYPE = "application/octet-stream"
_HEAD_BYTES = 8
_VERSION_FIELD = 4
"""Where a vtable has the offset of the table's first field, `version` (bytes)."""


def recognise(tree: Tree) -> bool:
    """Whether the source is a file with the identifier of TensorFlow Lite."""
    blob = tree.single
    return blob is not None and blob.size >= _HEAD_BYTES and blob.read(4, 4) == IDENTIFIER


def read(tree: Tree) -> Artifact:
    """The source as an artifact; raises BundleError (TFL-01)."""
    blob = tree.files[tree.root]
    properties = {"version": _version(blob, tree.root)}
    component = Component(tree.root, "tflite", (tree.root,), None, properties)
    return Artifact((ArtifactFile(tree.root, blob, MEDIA_TYPE),), (), (component,))


@checks("TFL-01")
def _version(blob: Blob, path: str) -> int:
    """The schema version of the root table, which has to be inside the file."""
    try:
        root, identifier = struct.unpack("<I4s", blob.read(0, _HEAD_BYTES))
        table = root - struct.unpack("<i", blob.read(root, 4))[0]
        length = struct.unpack("<H", blob.read(table, 2))[0]
        if identifier != IDENTIFIER or length < _VERSION_FIELD:
            raise EOFError(f"identifier {identifier!r}, vtable of {length} bytes")
        offsets = blob.read(table, length)
        field = (
            struct.unpack_from("<H", offsets, _VERSION_FIELD)[0] if length > _VERSION_FIELD else 0
        )
        return int(struct.unpack("<I", blob.read(root + field, 4))[0]) if field else 0
    except (EOFError, struct.error) as error:
        expected = "a FlatBuffer with the identifier TFL3 and its root table inside the file"
        raise refuse("TFL-01", f"{path}@0", expected, str(error)) from None
