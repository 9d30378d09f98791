"""Limits that hold before anything is allocated, in one frozen place (spec: Limits).

All are cumulative over a bundle or a source file, never per item only. Units stand in the names.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What an implementation refuses to go beyond."""

    manifest_bytes: int = 16 << 20
    index_bytes: int = 1 << 30
    compositions_bytes: int = 1 << 28
    files: int = 1 << 20
    path_bytes: int = 1024
    name_bytes: int = 4096
    json_depth: int = 64
    json_values: int = 1 << 20
    """Members and items of a JSON document, all levels together."""
    msgpack_depth: int = 16
    msgpack_values: int = 1 << 16
    """Members and items of a MessagePack document, beyond one for every 8 bytes of it."""
    rank: int = 32
    safe_integer: int = (1 << 53) - 1
    composed_ratio: int = 256
    """Composed bytes of a bundle, at most this many times its stored bytes."""

    # Source artifacts
    config_bytes: int = 64 << 20
    config_depth: int = 500
    config_values: int = 1 << 20
    """Keys, values and escapes."""
    config_calls: int = 1 << 16
    """Calls of layers, tensors among their arguments and tagged values of the topology."""
    config_layers: int = 1 << 14
    config_layer_depth: int = 64
    """Layers and models inside one another."""
    hdf5_objects: int = 1 << 22
    hdf5_attribute_bytes: int = 64 << 20
    hdf5_decoded_ratio: int = 4096
    """Decoded bytes of a compressed HDF5 file, at most this many times the file's size."""
    archive_members: int = 1 << 16
    archive_inflated_ratio: int = 1024
    safetensors_header_bytes: int = 100_000_000
    safetensors_members: int = 200_000
    """Members of an object in its JSON; tensors of a set of shards."""
    safetensors_string_characters: int = 1 << 23
    """As written, quotes included."""
    table_bytes: int = 1 << 30
    """A checkpoint's `.index` file."""
    protobuf_bytes: int = 2 << 30
    golden_bytes: int = 1 << 30


LIMITS = Limits()
