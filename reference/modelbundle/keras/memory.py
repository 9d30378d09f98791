"""The memory of variables as blobs: read where it lies, on the CPU without a copy.

TensorFlow and JAX give out a view that keeps its value whatever is assigned later; Torch shares
memory that training writes to. What lies on another device is fetched when it is read, one tensor
at a time, and not kept.

    blob = VariableBlob(model.variables[0])
    blob.size, blob.read(0, 4)
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from modelbundle.core import dtypes
from modelbundle.core.blobs import check_range

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_lock = threading.Lock()
_fetched: list[tuple[object, memoryview]] = []
"""The last tensor that was fetched from a device, and of which blob."""


class VariableBlob:
    """The bytes of a variable's value, little-endian and in C order."""

    def __init__(self, variable: Any) -> None:
        array = variable._value
        self._array = array.read_value() if hasattr(array, "read_value") else array
        self._view = _bytes(_to_numpy(self._array)) if _is_local(self._array) else None
        self.dtype = dtype_of(variable)
        self.shape = tuple(int(size) for size in self._array.shape)
        self.size = dtypes.byte_length(self.dtype, self.shape) or 0

    def view(self, offset: int, length: int) -> memoryview:
        """See `view` in `core.blobs`."""
        check_range(self.size, offset, length)
        return self._memory()[offset : offset + length]

    def resident(self, offset: int, length: int) -> memoryview | None:
        """See `resident` in `core.blobs`."""
        return None if self._view is None else self._view[offset : offset + length]

    def read(self, offset: int, length: int) -> bytes:
        """See `Blob.read`."""
        return bytes(self.view(offset, length))

    def read_into(self, offset: int, target: memoryview) -> None:
        """See `read_into` in `core.blobs`."""
        target[:] = self.view(offset, len(target))

    def _memory(self) -> memoryview:
        if self._view is not None:
            return self._view
        with _lock:
            if not _fetched or _fetched[0][0] is not self:
                _fetched[:] = [(self, _bytes(_to_numpy(self._array)))]
            return _fetched[0][1]


def dtype_of(variable: Any) -> str:
    """The dtype of a variable's value; Keras names it as the standard does."""
    import keras

    return str(keras.backend.standardize_dtype(variable._value.dtype))


def _is_local(array: Any) -> bool:
    """Whether a backend's tensor lies in the memory of the CPU."""
    device = array.device
    kind = device if isinstance(device, str) else getattr(device, "type", None)
    return "CPU" in str(kind or getattr(device, "platform", "")).upper()


def _to_numpy(array: Any) -> NDArray[np.generic]:
    """The elements of a backend's tensor; a view where they lie in memory of the CPU."""
    import numpy as np

    if hasattr(array, "_numpy"):  # TensorFlow: `numpy` would copy
        return np.asarray(array._numpy())
    if hasattr(array, "detach"):
        return _of_torch(array.detach().cpu().contiguous())
    return np.asarray(array)


def _of_torch(tensor: Any) -> NDArray[np.generic]:
    """As bytes where numpy has no such dtype."""
    import numpy as np
    import torch

    found: NDArray[np.generic] = np.asarray(tensor.reshape(-1).view(torch.uint8).numpy())
    return found


def _bytes(array: NDArray[np.generic]) -> memoryview:
    import numpy as np

    flat: Any = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return memoryview(flat)
