"""What GPUs are told: float32 contractions in graphs lowered before, limits on memory."""

from __future__ import annotations

import ctypes
import os
from typing import Any

import numpy as np
import pytest

from modelbundle.engines import Setup, gpu_memory
from modelbundle.engines.contractions import in_float32

MEBIBYTE = 1 << 20


class Driver:
    """The CUDA driver of a GPU with 1000 MiB, or of none."""

    def __init__(self, status: int = 0) -> None:
        self.status = status

    def cuInit(self, flags: int) -> int:  # noqa: N802  # as the driver names it
        return self.status

    def cuDeviceGet(self, device: Any, number: int) -> int:  # noqa: N802
        return 0

    def cuDeviceTotalMem_v2(self, total: Any, device: Any) -> int:  # noqa: N802
        ctypes.cast(total, ctypes.POINTER(ctypes.c_size_t))[0] = 1000 * MEBIBYTE
        return 0


def test_a_limit_is_a_share_for_jax(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(gpu_memory.SHARE, "1")
    gpu_memory.limit_jax(250 * MEBIBYTE, Driver())
    assert os.environ[gpu_memory.SHARE] == "0.250000"
    with pytest.raises(ValueError, match="the GPU has 1000 MiB"):
        gpu_memory.limit_jax(1001 * MEBIBYTE, Driver())
    with pytest.raises(OSError, match="error 100"):
        gpu_memory.limit_jax(MEBIBYTE, Driver(status=100))


def test_a_limit_is_of_gpus() -> None:
    assert Setup("gpu:0", device_bytes=MEBIBYTE).device_bytes == MEBIBYTE
    for device, limit in (("cpu", MEBIBYTE), ("gpu:0", 0)):
        with pytest.raises(ValueError, match="limit on device memory"):
            Setup(device, device_bytes=limit)


@pytest.mark.frameworks
def test_contractions_are_float32() -> None:
    """A product and a convolution, for any batch, that leave their precision open."""
    import jax
    from jax import export

    def net(x: Any, kernel: Any) -> Any:
        return jax.lax.conv(x @ x, kernel, (1, 1), "SAME")

    shape = export.symbolic_shape("b, 1, 4, 4")
    given = [jax.ShapeDtypeStruct(each, np.float32) for each in (shape, (2, 1, 3, 3))]
    made = export.export(jax.jit(net))(*given)
    text = _text(in_float32(made.mlir_module_serialized))
    assert "HIGHEST" not in _text(made.mlir_module_serialized)
    lines = [line for line in text.splitlines() if "dot_general" in line or "convolution(" in line]
    assert len(lines) == 2
    assert [line.count("HIGHEST") for line in lines] == [2, 2]


def _text(artifact: bytes) -> str:
    from jaxlib.mlir import ir
    from jaxlib.mlir.dialects import stablehlo

    dialect: Any = stablehlo
    with ir.Context() as context:
        dialect.register_dialect(context)
        return str(dialect.deserialize_portable_artifact(context, artifact))
