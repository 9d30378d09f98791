"""The decoded data model of index and compositions: what their JSON Schemas describe.

Packed integer columns become arrays of integers, the digest column an array of digests.
"""

from __future__ import annotations

from typing import Any

from modelbundle.core.compositions import Compositions
from modelbundle.core.digests import DIGEST_BYTES, of_raw
from modelbundle.core.tensor_index import COLUMNS, TensorIndex


def index_model(index: TensorIndex) -> dict[str, Any]:
    """The data model of a tensor index."""
    starts = range(0, len(index.digest), DIGEST_BYTES)
    return {
        "count": len(index),
        "names": list(index.names),
        "dtypes": list(index.dtypes),
        "files": list(index.files),
        "roles": list(index.roles),
        "digest": [of_raw(index.digest[start : start + DIGEST_BYTES]) for start in starts],
        "namespaces": [
            {
                "component": space.component,
                "system": space.system,
                "tensors": space.tensors.tolist(),
                "names": list(space.names),
            }
            for space in index.namespaces
        ],
        "attributes": [
            {"tensor": row, "values": dict(values)} for row, values in index.attributes.items()
        ],
        **{name: getattr(index, name).tolist() for name in COLUMNS},
    }


def compositions_model(compositions: Compositions) -> dict[str, Any]:
    """The data model of compositions."""
    return {
        "files": list(compositions.files),
        "sources": list(compositions.sources),
        "segments": compositions.segments.tolist(),
        "source": compositions.source.tolist(),
        "offset": compositions.offset.tolist(),
        "length": compositions.length.tolist(),
    }
