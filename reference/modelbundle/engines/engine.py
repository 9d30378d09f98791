"""What an engine is: something that can run a signature of a bundle.

An engine has a name and three functions. `available` and `can_run` answer in the caller's process
and import no framework; `prepare` is called in a process of its own (`worker`) and gives a
`Session`, whose `run` takes and gives numpy arrays by the names of the signature's ports.

    engine = engines.load("onnx")
    engine.can_run(bundle, signature)      # None, or why not
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from modelbundle.bundle import Bundle
from modelbundle.core.findings import BundleError, Finding, UnsupportedError, checks, refuse
from modelbundle.core.manifest import Component, Signature

Array = NDArray[Any]
Arrays = Mapping[str, Array]

PRECISIONS = ("float32", "tf32")
"""How float32 contractions are computed: exactly so, or with operands rounded to 11 bits."""

_DEVICE = re.compile(r"cpu|gpu:(0|[1-9][0-9]?)")


@dataclass(frozen=True, slots=True)
class Setup:
    """Where and how to run.

    `device` is `cpu` or `gpu:N`; `device_bytes` is how much memory an engine takes there, growing
    as it needs where None.
    """

    device: str = "cpu"
    precision: str = "float32"
    device_bytes: int | None = None

    def __post_init__(self) -> None:
        if not _DEVICE.fullmatch(self.device):
            raise ValueError(f"no device {self.device!r}: give cpu, gpu:0, gpu:1, …")
        if self.precision not in PRECISIONS:
            raise ValueError(f"no precision {self.precision!r}: give {' or '.join(PRECISIONS)}")
        if self.precision == "tf32" and self.device == "cpu":
            raise ValueError("tf32 is a precision of GPUs: give a device gpu:N")
        if self.device_bytes is not None and (self.device == "cpu" or self.device_bytes < 1):
            raise ValueError("a limit on device memory is of GPUs: give a device gpu:N, and bytes")

    @property
    def gpu(self) -> int | None:
        """The number of the GPU; None for the CPU."""
        return None if self.device == "cpu" else int(self.device.removeprefix("gpu:"))


@dataclass(frozen=True, slots=True)
class Description:
    """What ran: the engine, the version of its library, the device as observed, the precision."""

    engine: str
    version: str
    device: str
    precision: str


class Session(Protocol):
    """A signature, ready to run."""

    def run(self, inputs: Arrays) -> Arrays:
        """Outputs by name; strings are arrays of `bytes` objects."""
        ...

    def describe(self) -> Description:
        """What runs, as observed."""
        ...


class Engine(Protocol):
    """What each module of the table offers."""

    @property
    def name(self) -> str:
        """The name that people choose it by."""
        ...

    @property
    def extra(self) -> str:
        """The extra of this package that installs what it needs."""
        ...

    def available(self) -> str | None:
        """Why it cannot run anything here; None where it can."""
        ...

    def can_run(self, bundle: Bundle, signature: Signature) -> str | None:
        """Why it cannot run this signature, as far as the manifest tells; None where it can."""
        ...

    def prepare(self, bundle: Bundle, signature: Signature, setup: Setup) -> Session:
        """Load the signature. Raises `BundleError` (RUN) where it cannot be."""
        ...


def place(signature: Signature) -> str:
    """Where a finding about running a signature is."""
    return f"{signature.component}#{signature.name}"


def component_of(bundle: Bundle, signature: Signature) -> Component:
    """The component that implements a signature (SIG-02)."""
    return next(c for c in bundle.manifest.components if c.id == signature.component)


def missing_modules(extra: str, *modules: str) -> str | None:
    """Why an engine that needs `modules` is not available; None where all of them are here."""
    absent = [module for module in modules if find_spec(module) is None]
    if not absent:
        return None
    names = " and ".join(absent)
    return f"{names} not installed: pip install 'modelbundle[{extra}]'"


@checks("RUN-03")
def no_device(where: str, device: str, found: str) -> UnsupportedError:
    """The error where a device that was asked for is not there, or is not what would run."""
    hint = "choose another device; nothing was run"
    return UnsupportedError([Finding("RUN-03", where, device, found, hint)])


@checks("RUN-08")
def too_new(signature: Signature, expected: str, found: str) -> BundleError:
    """The error for an artifact that is newer than the runtime that would run it."""
    return refuse("RUN-08", place(signature), expected, found, "install a newer runtime")


def outputs_of(signature: Signature, results: Mapping[str, Any]) -> dict[str, Array]:
    """`results` as arrays in the order of the signature's outputs."""
    return {port.name: np.asarray(results[port.name]) for port in signature.outputs}
