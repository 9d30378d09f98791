"""Broken implementations: the reference with one thing wrong each, and the case that shows it.

    python mutants.py accept-all validate bundle.modelbundle --json

A mutant that no case catches is a gap in the suite; a test runs them all.
"""

from __future__ import annotations

import json
import struct
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "implementations" / "reference"))
import adapter as reference
import numpy as np
import running
from adapter import Adapter

from modelbundle import copying
from modelbundle.bundle import Bundle, open_bundle
from modelbundle.core import dtypes
from modelbundle.core import manifest as manifests
from modelbundle.core.findings import BundleError

Json = dict[str, Any]
Arrays = dict[str, Any]
Computed = tuple[Arrays, Json]
Compute = Callable[[Path, Json, Arrays], Computed]
"""What runs a request: the outputs by name, and what ran."""


@dataclass(frozen=True)
class Mutant:
    """A broken implementation and the item that catches it."""

    make: Callable[[], Adapter]
    role: str
    case: str
    persistent: bool = True
    """Which protocol it is broken in."""
    status: str = "fail"


MUTANTS: dict[str, Mutant] = {}


def caught_by(
    role: str, case: str, *, name: str = "", persistent: bool = True, status: str = "fail"
) -> Callable[[type[Adapter]], type[Adapter]]:
    """Enter a class into the table, under its name in lower case with hyphens."""

    def enter(made: type[Adapter]) -> type[Adapter]:
        letters = "".join(f"-{c.lower()}" if c.isupper() else c for c in made.__name__)
        MUTANTS[name or letters.lstrip("-")] = Mutant(made, role, case, persistent, status)
        return made

    return enter


def deaf(name: str, case: str, *rules: str) -> None:
    """A Validator that does not know some rules."""

    class Deaf(Adapter):
        __doc__ = f"Has never heard of {', '.join(rules)}."

        def validate(self, path: Path) -> list[Json]:
            return [found for found in super().validate(path) if found["rule"] not in rules]

    caught_by("Validator", case, name=name)(Deaf)


deaf("ignores-digests", "integrity/digest-of-file", "IDN-02", "TEN-10", "CMP-06", "ARC-10")
deaf("follows-parent", "paths/parent", "PTH-01")
deaf("last-duplicate-wins", "json/duplicate-member", "JSN-02", "JSN-07")
deaf("ignores-must-understand", "extensions/must-understand", "EXT-02", "COM-03")
deaf("any-json-form", "json/white-space", "JSN-07")
deaf("bytes-after-the-end", "archive/byte-after", "ARC-07")
deaf("case-sensitive-paths", "paths/collision-case", "PTH-05")


@caught_by("Validator", "json/truncated")
class AcceptAll(Adapter):
    """Never looks."""

    def validate(self, path: Path) -> list[Json]:
        return []


@caught_by("Validator", "archive/byte-after")
class RejectAll(Adapter):
    """Gives the right answer to every invalid case, and the same to every other."""

    def validate(self, path: Path) -> list[Json]:
        found = super().validate(path)
        wrong = {"rule": "ARC-07", "place": "archive@0", "expected": "nothing", "found": "a byte"}
        return found or [{**wrong, "severity": "error"}]


@caught_by("Validator", "json/truncated")
class WrongRule(Adapter):
    """Right verdicts, always for the same reason."""

    def validate(self, path: Path) -> list[Json]:
        return [{**found, "rule": "MAN-01"} for found in super().validate(path)]


@caught_by("Validator", "integrity/digest-of-file")
class WrongPlace(Adapter):
    """Right rules, at no place in particular."""

    def validate(self, path: Path) -> list[Json]:
        return [{**found, "place": "bundle"} for found in super().validate(path)]


@caught_by("Validator", "json/truncated")
class OnlyWarns(Adapter):
    """Takes every breach for a warning."""

    def validate(self, path: Path) -> list[Json]:
        return [{**found, "severity": "warning"} for found in super().validate(path)]


@caught_by("Validator", "extensions/must-understand", persistent=False)
class WrongExitCode(Adapter):
    """Findings that say one thing, an exit status that says another."""

    def exit_status(self, verdict: str) -> int:
        return int(verdict != "accept")


@caught_by("Validator", "json/truncated", persistent=False, status="crash")
class OtherExitCode(Adapter):
    """Ends with a status that means nothing."""

    def exit_status(self, verdict: str) -> int:
        return 0 if verdict == "accept" else 3


@caught_by("Validator", "json/truncated")
class CachedAnswers(Adapter):
    """Remembers what it said of a path."""

    def __init__(self) -> None:
        self.seen: dict[Path, list[Json]] = {}

    def validate(self, path: Path) -> list[Json]:
        return self.seen.setdefault(path, super().validate(path))


@caught_by("Reader", "names/unicode", status="crash")
class CrashOnUnicode(Adapter):
    """Names are ASCII where it comes from."""

    def tensor(self, bundle: Bundle, name: str) -> bytes:
        return super().tensor(bundle, name.encode("ascii").decode())


@caught_by("Validator", "directory/fifo", status="timeout")
class WaitsForPipes(Adapter):
    """Opens whatever is there."""

    def validate(self, path: Path) -> list[Json]:
        if path.is_dir() and any(each.is_fifo() for each in path.iterdir()):
            time.sleep(60)
        return super().validate(path)


@caught_by("Validator", "archive/plain")
class LeavesFiles(Adapter):
    """Writes an index beside the bundle, to be faster the next time."""

    def validate(self, path: Path) -> list[Json]:
        path.with_name(".index").write_bytes(b"")
        return super().validate(path)


class Misreads(Adapter):
    """A Reader that gets elements wrong; subclasses say how."""

    def tensor(self, bundle: Bundle, name: str) -> bytes:
        data = super().tensor(bundle, name)
        return self.wrong(data, bundle.tensors[name].dtype) if data else data

    def wrong(self, data: bytes, dtype: str) -> bytes:
        raise NotImplementedError


@caught_by("Reader", "archive/plain")
class OffByOne(Adapter):
    """Begins to read a byte too late."""

    def tensor(self, bundle: Bundle, name: str) -> bytes:
        row = bundle.tensors[name].row
        blob = bundle.file(row.file)
        at = min(row.offset + 1, blob.size - row.length)
        return blob.read(at, row.length)


@caught_by("Reader", "archive/plain")
class BigEndian(Misreads):
    """Gives elements in the order of another machine."""

    def wrong(self, data: bytes, dtype: str) -> bytes:
        width = dtypes.to_numpy(dtype).itemsize if dtype != "string" else 1
        return b"".join(data[at : at + width][::-1] for at in range(0, len(data), width))


@caught_by("Reader", "archive/plain")
class NanEmitter(Misreads):
    """Computes floats that are none."""

    def wrong(self, data: bytes, dtype: str) -> bytes:
        return struct.pack("<f", float("nan")) * (len(data) // 4) if dtype == "float32" else data


@caught_by("Reader", "integrity/digest-of-tensor")
class TrustsTheIndex(Adapter):
    """Reads without verifying."""

    def open(self, path: Path, digest: str | None = None) -> Bundle:
        return open_bundle(path, verify=False, digest=digest)


@caught_by("Reader", "read/other-digest")
class AnyDigest(Adapter):
    """Opens another bundle than the one that was asked for."""

    def open(self, path: Path, digest: str | None = None) -> Bundle:
        return super().open(path)


@caught_by("Reader", "index/name-order")
class LateReader(Adapter):
    """Notices what is wrong with an index only when a tensor is read."""

    def list(self, bundle: Bundle) -> Json:
        try:
            return super().list(bundle)
        except BundleError:
            row = {"name": "kernel", "dtype": "float32", "shape": [2, 3]}
            return {"tensors": [row], "files": []}


@caught_by("Reader", "shapes/scalar")
class NoScalars(Adapter):
    """Takes a scalar for a vector of one."""

    def list(self, bundle: Bundle) -> Json:
        listed = super().list(bundle)
        for row in listed["tensors"]:
            row["shape"] = row["shape"] or [1]
        return listed


@caught_by("Reader", "unpack/flipped")
class LeavesHalf(Adapter):
    """Unpacks what it can, and stops at what is damaged."""

    def unpack(self, path: Path, destination: Path) -> None:
        destination.mkdir()
        with self.open(path) as bundle:
            for entry in bundle.manifest.files:
                if entry.role == "source":
                    target = destination / entry.path
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(self.file(bundle, entry.path))


@caught_by("Copier", "copy/newer-to-directory")
class DropsUnknownFields(Adapter):
    """Copies what it knows of a manifest."""

    def copy(self, path: Path, destination: Path) -> None:
        super().copy(path, destination)
        if destination.is_dir():
            file = destination / "manifest.json"
            file.write_bytes(manifests.encode(manifests.decode(file.read_bytes())))


@caught_by("Copier", "copy/plain-to-archive")
class WrongOrder(Adapter):
    """Writes an archive that other tools read, in an order of its own."""

    def copy(self, path: Path, destination: Path) -> None:
        if path.is_file():
            return super().copy(path, destination)
        with zipfile.ZipFile(destination, "w") as archive:
            for file in sorted(path.rglob("*"), reverse=True):
                archive.write(file, file.relative_to(path))


@caught_by("Copier", "copy/flipped")
class CopiesDamage(Adapter):
    """Copies bytes without looking at them."""

    def copy(self, path: Path, destination: Path) -> None:
        with mock.patch.object(copying, "check_digest", lambda entry, digest: iter(())):
            super().copy(path, destination)


@caught_by("Copier", "copy/must-understand")
class PickyCopier(Adapter):
    """Wants to understand what it only has to carry."""

    def copy(self, path: Path, destination: Path) -> None:
        self.open(path).close()
        super().copy(path, destination)


@caught_by("Writer", "write/plain")
class ForgetsNames(Adapter):
    """Writes tensors without the names that their source has for them."""

    def write(self, path: Path, destination: Path) -> Json:
        spec = json.loads(path.read_bytes())
        own = path.with_name("own.json")
        own.write_text(json.dumps({**spec, "namespaces": []}))
        try:
            return super().write(own, destination)
        finally:
            own.unlink()


class Miscomputes(Adapter):
    """A Runner that gets outputs wrong; subclasses say how."""

    def run(self, path: Path, destination: Path, request: Path) -> Json:
        with mock.patch.object(running, "compute", partial(self.compute, running.compute)):
            return super().run(path, destination, request)

    def compute(self, right: Compute, path: Path, asked: Json, inputs: Arrays) -> Computed:
        raise NotImplementedError


@caught_by("Runner", "run/dense")
class UndeclaredTf32(Miscomputes):
    """Multiplies what it rounded to tf32, and says float32."""

    def compute(self, right: Compute, path: Path, asked: Json, inputs: Arrays) -> Computed:
        rounded = {name: self.tf32(array) for name, array in inputs.items()}
        return right(path, asked, rounded)

    def tf32(self, array: Any) -> Any:
        """To 11 significant bits, to nearest."""
        if array.dtype != np.float32:
            return array
        return ((array.view(np.uint32) + 0x1000) & np.uint32(0xFFFFE000)).view(np.float32)


@caught_by("Runner", "run/dense")
class CachedOutputs(Miscomputes):
    """Remembers what a signature gave for inputs of a shape."""

    def __init__(self) -> None:
        self.seen: dict[Any, Computed] = {}

    def compute(self, right: Compute, path: Path, asked: Json, inputs: Arrays) -> Computed:
        key = (asked["signature"], *(array.shape for array in inputs.values()))
        if key not in self.seen:
            self.seen[key] = right(path, asked, inputs)
        return self.seen[key]


@caught_by("Runner", "run/exact")
class NearlyExact(Miscomputes):
    """Gives outputs whose last bits are another sum's."""

    def compute(self, right: Compute, path: Path, asked: Json, inputs: Arrays) -> Computed:
        outputs, told = right(path, asked, inputs)
        return {**outputs, "y": np.nextafter(outputs["y"], np.float32(np.inf))}, told


@caught_by("Runner", "run/input-dtype")
class CastsInputs(Miscomputes):
    """Makes of inputs what a signature wants."""

    def compute(self, right: Compute, path: Path, asked: Json, inputs: Arrays) -> Computed:
        cast = {name: array.astype(np.float32) for name, array in inputs.items()}
        return right(path, asked, cast)


@caught_by("Runner", "run/dense")
class SilentRunner(Adapter):
    """Does not tell where it ran."""

    def run(self, path: Path, destination: Path, request: Path) -> Json:
        return {**super().run(path, destination, request), "device": None}


def main(arguments: Sequence[str]) -> int:
    """Be the mutant that the first argument names."""
    return reference.main(MUTANTS[arguments[0]].make(), arguments[1:])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
