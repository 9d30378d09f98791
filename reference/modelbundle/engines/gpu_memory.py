"""A limit on the memory of a GPU, for JAX, which takes it as a share of all there is.

limit_jax(2 << 30)      # before JAX starts
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

SHARE = "XLA_PYTHON_CLIENT_MEM_FRACTION"
"""What JAX reads when it starts; with no preallocation, the most that it grows to."""

_DRIVER = "libcuda.so.1"


def limit_jax(limit_bytes: int, driver: Any = None) -> None:
    """Let JAX take `limit_bytes` of the first GPU that this process sees.

    `driver` is the library of CUDA. Raises `OSError` where it is not there or gives no answer, and
    `ValueError` where the GPU has less.
    """
    total = _total_bytes(driver or ctypes.CDLL(_DRIVER))
    if limit_bytes > total:
        raise ValueError(f"a limit of {limit_bytes >> 20} MiB; the GPU has {total >> 20} MiB")
    os.environ[SHARE] = f"{limit_bytes / total:.6f}"


def _total_bytes(driver: Any) -> int:
    """Memory of the first GPU: cuInit, cuDeviceGet, cuDeviceTotalMem of the CUDA driver API."""
    device, total = ctypes.c_int(), ctypes.c_size_t()
    for status in (
        driver.cuInit(0),
        driver.cuDeviceGet(ctypes.byref(device), 0),
        driver.cuDeviceTotalMem_v2(ctypes.byref(total), device),
    ):
        if status:
            raise OSError(f"the CUDA driver answers with error {status}")
    return total.value
