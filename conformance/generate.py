"""Generates the conformance cases, `conformance/cases/`, the same bytes on every machine.

python conformance/generate.py                 write all cases
python conformance/generate.py --only index    write one area
python conformance/generate.py --check         exit 1 where a file is missing, extra or different
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from generator.suite import suite  # noqa: E402

CASES = HERE / "cases"


def expected(area: str | None) -> dict[str, bytes]:
    """Every file of the cases (of one area) by its path below `cases/`."""
    cases = [case for case in suite().cases.values() if area in (None, case.id.split("/")[0])]
    return {path: data for case in cases for path, data in case.contents()}


def present(area: str | None) -> dict[str, bytes]:
    """Every file that is there."""
    root = CASES / area if area else CASES
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {path.relative_to(CASES).as_posix(): path.read_bytes() for path in files}


def differences(wanted: dict[str, bytes], found: dict[str, bytes]) -> list[str]:
    """A line for each file that is missing, extra or different."""
    lines = []
    for path in sorted(wanted.keys() | found.keys()):
        if wanted.get(path) != found.get(path):
            kinds = {path in wanted and path in found: "different", path not in found: "missing"}
            lines.append(f"{kinds.get(True, 'extra')}: {path}")
    return lines


def write(wanted: dict[str, bytes], found: dict[str, bytes]) -> None:
    """Make what is there what is wanted."""
    for path in found.keys() - wanted.keys():
        (CASES / path).unlink()
    for path, data in wanted.items():
        if found.get(path) != data:
            (CASES / path).parent.mkdir(parents=True, exist_ok=True)
            (CASES / path).write_bytes(data)
    for folder in sorted((p for p in CASES.rglob("*") if p.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


def main() -> int:
    """Write or check; the exit status."""
    parser = argparse.ArgumentParser(description="Generate the conformance cases.")
    parser.add_argument("--check", action="store_true", help="only compare; exit 1 on a difference")
    parser.add_argument("--only", metavar="AREA", help="one area, such as index")
    options = parser.parse_args()
    wanted, found = expected(options.only), present(options.only)
    lines = differences(wanted, found)
    if options.check:
        print("\n".join([*lines[:50], f"{len(lines)} files of {len(wanted)} are out of date"]))
        return 1 if lines else 0
    write(wanted, found)
    size = sum(map(len, wanted.values()))
    print(f"{len(wanted)} files, {size:,} bytes; {len(lines)} written or removed")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
