"""Loading: from an archive to the memory of a device, against a plain copy of the same bytes.

    python conformance/gpu/loading.py BUNDLE DEVICE jax

prints one JSON object; it is a process of its own, so that no other measurement holds the device.
Both start with the bytes in the page cache: what differs is reading them as tensors, and the check
of their digests where it is not turned off.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

ROUNDS = 3
PART_BYTES = 64 << 20


def make(path: Path, mebibytes: int) -> None:
    """A bundle with so many bytes of random weights, in tensors of 64 MiB."""
    from modelbundle.packing import pack
    from modelbundle.sources.safetensors_layout import Slot, lay_out

    count = max(1, (mebibytes << 20) // PART_BYTES)
    slots = [Slot(f"w{n:03}", "float32", (PART_BYTES >> 2,), PART_BYTES) for n in range(count)]
    source = path.with_suffix(".safetensors")
    random = np.random.default_rng(0)
    with source.open("wb") as file:
        file.write(lay_out(slots).header)
        for _ in slots:
            file.write(random.random(PART_BYTES >> 2, np.float32).tobytes())
    pack(source, path, overwrite=True)
    source.unlink()


def measure(path: Path, device: str, framework: str) -> dict[str, Any]:
    """Bytes, seconds and GB/s: the least of three rounds each."""
    put = {"jax": _on_jax, "torch": _on_torch}[framework](device)
    found: dict[str, Any] = {"framework": framework}
    host = _host_copy(path)
    found["bytes"] = sum(array.nbytes for array in host)
    put([host[0][:1024]])
    found["plain_copy_seconds"] = _least(lambda: put(host))
    found["load_seconds"] = _least(lambda: _load(path, put, verify=False))
    found["verified_load_seconds"] = _least(lambda: _load(path, put, verify=True))
    for name in ("plain_copy", "load", "verified_load"):
        found[f"{name}_gb_per_second"] = found["bytes"] / found[f"{name}_seconds"] / 1e9
    return found


def _host_copy(path: Path) -> list[Any]:
    """The tensors in memory of this process, mapped no more."""
    from modelbundle.bundle import open_bundle

    with open_bundle(path, verify=False) as bundle:
        return [np.array(tensor.numpy()) for tensor in bundle.tensors.values()]


def _load(path: Path, put: Callable[[Iterable[Any]], None], *, verify: bool) -> None:
    """Open the bundle anew, and put each tensor on the device as it is read."""
    from modelbundle.bundle import open_bundle

    with open_bundle(path, verify=verify) as bundle:
        put(tensor.numpy() for tensor in bundle.tensors.values())


def _least(work: Callable[[], None]) -> float:
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def _on_jax(device: str) -> Callable[[Iterable[Any]], None]:
    import jax

    target = jax.devices("cpu" if device == "cpu" else "gpu")[0]

    def put(arrays: Iterable[Any]) -> None:
        jax.block_until_ready([jax.device_put(array, target, may_alias=False) for array in arrays])

    return put


def _on_torch(device: str) -> Callable[[Iterable[Any]], None]:
    import warnings

    import torch

    target = "cpu" if device == "cpu" else "cuda:0"

    def put(arrays: Iterable[Any]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # arrays over the bundle are read-only, and stay so
            kept = [torch.from_numpy(array).to(target, copy=True) for array in arrays]
        if target != "cpu":
            torch.cuda.synchronize()
        del kept

    return put


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), sys.argv[2], sys.argv[3])))
