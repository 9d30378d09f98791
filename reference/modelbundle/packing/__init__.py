"""Packing: what is stored and composed, which tensors are the same, and writing the bundle."""

from modelbundle.packing.given import read_source
from modelbundle.packing.packer import INDEX_TYPE, pack, pack_artifacts

__all__ = ["INDEX_TYPE", "pack", "pack_artifacts", "read_source"]
