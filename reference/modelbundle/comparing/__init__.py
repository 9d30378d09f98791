"""What differs between two bundles: files, configs, tensors."""

from modelbundle.comparing.difference import (
    Difference,
    FileChange,
    TensorChange,
    TensorSide,
    diff,
)

__all__ = ["Difference", "FileChange", "TensorChange", "TensorSide", "diff"]
