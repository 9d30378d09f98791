"""What a report says of the machine: device, driver, versions, date.

describe("gpu:0")["device"]["name"]
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("modelbundle", "numpy", "jax", "jaxlib", "torch", "keras", "tensorflow")


class NoDeviceError(Exception):
    """The device that was asked for is not here."""


def describe(device: str) -> dict[str, Any]:
    """The machine as the report has it; raises `NoDeviceError`."""
    return {
        "device": {"asked": device, **(cpu() if device == "cpu" else gpu(device))},
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)),
        "versions": {"python": platform.python_version(), **_versions()},
    }


def cpu() -> dict[str, Any]:
    """The model of the CPU, where the system tells."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    match = re.search(r"model name\s*: (.+)", text)
    return {"name": match[1] if match else platform.processor() or platform.machine()}


def gpu(device: str) -> dict[str, Any]:
    """Name, driver and memory of a GPU, by nvidia-smi; raises `NoDeviceError`."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        raise NoDeviceError("no GPU here: there is no nvidia-smi")
    number = device.removeprefix("gpu:")
    fields = "--query-gpu=name,driver_version,memory.total"
    answer = subprocess.run(
        [tool, fields, "--format=csv,noheader", f"--id={number}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if answer.returncode or answer.stdout.count(",") != 2:
        raise NoDeviceError(f"no GPU {number} here: {(answer.stdout + answer.stderr).strip()}")
    name, driver, memory = (part.strip() for part in answer.stdout.strip().split(","))
    return {"name": name, "driver": driver, "memory": memory}


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def slug(name: str) -> str:
    """The name of a device as that of a file."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
