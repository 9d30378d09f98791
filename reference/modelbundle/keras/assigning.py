"""Values into variables: each tensor read once, verified beside, never kept twice.

A tensor is read into memory of its own that the variable then keeps, where the backend allows it
(TensorFlow), so that loading takes as much memory as the weights. Threads read and hash ahead, at
most `AHEAD_BYTES` of it, while the main thread assigns; small tensors are read where they are used,
for which a thread would be waited for longer.

    assign([(model.layers[0].kernel, bundle.tensors["dense/kernel"])])
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from modelbundle.bundle import check_bool, check_tensor
from modelbundle.core import digests, dtypes
from modelbundle.core.blobs import read_into
from modelbundle.core.findings import settle
from modelbundle.keras.building import is_empty

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelbundle.bundle import Bundle, Tensor

Pair = tuple[Any, "Tensor"]
"""A `keras.Variable`, and the tensor that becomes its value."""

THREADS = 2
AHEAD_BYTES = 32 << 20
"""How much is read beyond the tensor that is being assigned."""

AHEAD_TENSORS = 64
"""How many tensors lie between the one that is assigned and the last that is read."""

_APART_FROM = 1 << 17
"""Smaller tensors are read and hashed without a thread."""

_ALIGNMENT = 64
_SHARED_FROM = 1 << 14
"""Smaller tensors are copied: it is quicker than to share their memory."""


def assign(bundle: Bundle, pairs: Sequence[Pair]) -> None:
    """Give each variable the value of its tensor, whose shape and dtype are the variable's own.

    Raises `BundleError` (TEN-10, TEN-14) where a tensor is damaged; the variables are then of no
    use.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        for (variable, tensor), array in zip(pairs, _read_ahead(bundle, pairs, pool), strict=True):
            give(variable, array.reshape(tensor.shape))


def _read_ahead(
    bundle: Bundle, pairs: Iterable[Pair], pool: ThreadPoolExecutor
) -> Iterator[NDArray[np.generic]]:
    """The arrays in order, each read by a thread while those before it are used."""
    pending: deque[tuple[int, Callable[[], NDArray[np.generic]]]] = deque()
    ahead = 0
    for _, tensor in pairs:
        size = tensor.row.length
        read = partial(_read, bundle, tensor)
        pending.append((size, read if size < _APART_FROM else pool.submit(read).result))
        ahead += size
        while pending and (ahead > AHEAD_BYTES + size or len(pending) > AHEAD_TENSORS):
            taken, result = pending.popleft()
            ahead -= taken
            yield result()
    while pending:
        yield pending.popleft()[1]()


def _read(bundle: Bundle, tensor: Tensor) -> NDArray[np.generic]:
    """The elements of a tensor, flat, in aligned memory of their own."""
    row = tensor.row
    data = _aligned(row.length)
    read_into(bundle.storage.blob(row.file), row.offset, data.data)
    if bundle.verify:
        settle(check_tensor(row, digests.of_bytes(data.data)))
        if row.dtype == "bool":
            settle(check_bool(row, int(data.max(initial=0))))
    return data.view(dtypes.to_numpy(row.dtype))


def _aligned(length: int) -> NDArray[np.uint8]:
    import numpy as np

    memory = np.empty(length + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + length]


def give(variable: Any, value: NDArray[np.generic]) -> None:
    """Make `value` the value of a variable, which may have one already or none yet.

    The variable keeps the memory of `value` where it can: nobody else may write there.
    """
    if not is_empty(variable):
        variable.assign(value)
        return
    native = _native(value)
    if native is None:
        native = variable._convert_to_tensor(value, variable._dtype)
    variable._initialize(native)
    variable._initializer = None


def _native(value: NDArray[Any]) -> Any:
    """`value` as a tensor of the backend over the same memory, None where it cannot be had."""
    import keras

    if value.nbytes < _SHARED_FROM or value.dtype.kind not in "iuf":
        return None
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.experimental.dlpack.from_dlpack(value.__dlpack__())
    return None
