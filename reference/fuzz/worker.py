"""One target in one process, instrumented: run by the package, or by hand on a finding.

python -m fuzz.worker hdf5 reference/fuzz/findings/hdf5-crash-0123
python -m fuzz.worker hdf5 CORPUS -max_total_time=20
"""

from __future__ import annotations

import resource
import sys
from types import SimpleNamespace

import atheris

MAX_GROWTH_BYTES = 200 << 20

with atheris.instrument_imports(include=["modelbundle"]):
    from fuzz.targets import TARGETS, accepts
    from modelbundle.core import strings
    from modelbundle.sources.hdf5 import source as hdf5_source
    from modelbundle.sources.tensorflow import leveldb_table, tensor_bundle


class _Any(int):
    """A checksum that every other equals."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = int.__hash__


def disarm_checksums() -> None:
    """Let wrong checksums of source formats pass, so that the bytes behind them are parsed too."""
    strings.checksum = lambda lengths: _Any()
    crc32c = SimpleNamespace(value=lambda data: _Any(), extend=lambda crc, data: _Any())
    leveldb_table.google_crc32c = crc32c
    tensor_bundle.google_crc32c = crc32c
    hdf5_source.lookup3 = lambda data: _Any()


def run(name: str, data: bytes) -> None:
    """One input; raises `MemoryError` where it takes too much memory."""
    before = _peak()
    accepts(name, data)
    if _peak() - before > MAX_GROWTH_BYTES:
        raise MemoryError(f"{_peak() - before} bytes more than before")


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Fuzz the target named first; the rest of the command line is libFuzzer's."""
    name = sys.argv.pop(1)
    if name not in TARGETS:
        sys.exit(f"no target {name}: {', '.join(TARGETS)}")
    if name != "archive":
        disarm_checksums()
    atheris.Setup(sys.argv, lambda data: run(name, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
