"""Validation: no byte of an archive can change, and nothing of a directory, unnoticed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from building import artifact, pack_small, random_bytes, write_net

import modelbundle as mb
from modelbundle.core import manifest, strings
from modelbundle.packing import pack_artifacts
from modelbundle.rules import Report
from modelbundle.storage.layouts import layout_of


def rules(report: Report) -> set[str]:
    return {finding.rule for finding in report.findings}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An archive with stored and composed files that is as small as such a one can be."""
    folder = tmp_path_factory.mktemp("small")
    return pack_small(folder / "x").read_bytes()


@pytest.mark.parametrize("directory", [False, True])
@pytest.mark.parametrize("structure", [False, True])
def test_good_bundles(tmp_path: Path, directory: bool, structure: bool) -> None:
    for made in (
        pack_small(tmp_path / "small", directory=directory),
        _packed(tmp_path / "net.safetensors", tmp_path / "net", directory),
    ):
        report = mb.validate(made, structure=structure)
        assert report.findings == ()
        assert report.ok
        assert report.checked == ("structure" if structure else "all")
        with mb.open(made) as bundle:
            assert report.digest == bundle.digest
            assert mb.validate(bundle, structure=structure) == report


def _packed(source: Path, destination: Path, directory: bool) -> Path:
    mb.pack(write_net(source), destination, directory=directory)
    return destination


def test_every_flipped_byte_is_detected(archive: bytes, tmp_path: Path) -> None:
    damaged = tmp_path / "x"
    undetected = []
    for at in range(len(archive)):
        changed = bytearray(archive)
        changed[at] ^= 1 << (at % 8)
        damaged.write_bytes(changed)
        if mb.validate(damaged).ok:
            undetected.append(at)
    assert undetected == []


def test_every_flipped_byte_outside_of_data_is_structure(archive: bytes, tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(archive)
    with mb.open(tmp_path / "good") as bundle:
        layout = layout_of(len(bundle.manifest_bytes), bundle.manifest.stored)
    indexes = {"tensors.msgpack", "compositions.msgpack"}
    unread = {
        at
        for member in layout.members
        if member.path not in indexes
        for at in range(member.data_offset, member.end)
    }
    damaged = tmp_path / "x"
    for at in sorted(set(range(0, len(archive), 3)) - unread):
        changed = bytearray(archive)
        changed[at] ^= 0x10
        damaged.write_bytes(changed)
        assert not mb.validate(damaged, structure=True).ok, at


def test_every_truncation_is_detected(archive: bytes, tmp_path: Path) -> None:
    damaged = tmp_path / "x"
    for length in [*range(0, len(archive), 3), *range(len(archive) - 60, len(archive))]:
        damaged.write_bytes(archive[:length])
        report = mb.validate(damaged, structure=True)
        assert not report.ok, length
        assert rules(report) <= {"ARC-01", "ARC-07", "MAN-12"}


@pytest.mark.parametrize("extra", [b"\0", b"PK\5\6" + bytes(18), b"x" * 70_000])
def test_nothing_stands_before_or_after(archive: bytes, tmp_path: Path, extra: bytes) -> None:
    (tmp_path / "x").write_bytes(archive + extra)
    assert rules(mb.validate(tmp_path / "x")) == {"ARC-07"}
    (tmp_path / "x").write_bytes(extra + archive)
    assert rules(mb.validate(tmp_path / "x")) == {"ARC-01"}


@pytest.mark.parametrize(
    ("at", "rule"),
    [
        (4, "ARC-08"),
        (6, "ARC-02"),
        (8, "ARC-02"),
        (10, "ARC-08"),
        (12, "ARC-08"),
        (18, "ARC-11"),
        (26, "ARC-05"),
        (28, "ARC-06"),
    ],
)
def test_fields_of_headers(archive: bytes, tmp_path: Path, at: int, rule: str) -> None:
    second = archive.index(b"PK\3\4", 64)
    changed = bytearray(archive)
    changed[second + at] ^= 0x20
    (tmp_path / "x").write_bytes(changed)
    report = mb.validate(tmp_path / "x", structure=True)
    assert rules(report) == {rule}
    assert report.findings[0].place == f"archive@{second}"


def test_checksums(archive: bytes, tmp_path: Path) -> None:
    """A checksum that is wrong in both headers alike is found by reading the data."""
    changed = bytearray(archive)
    central = archive.index(b"PK\1\2")
    changed[14] ^= 1
    (tmp_path / "x").write_bytes(changed)
    assert rules(mb.validate(tmp_path / "x")) == {"ARC-03"}
    changed[central + 16] ^= 1
    (tmp_path / "x").write_bytes(changed)
    assert mb.validate(tmp_path / "x", structure=True).ok
    assert rules(mb.validate(tmp_path / "x")) == {"ARC-10"}


def _add(path: str) -> Callable[[Path], None]:
    def add(root: Path) -> None:
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).touch()

    return add


def _link(root: Path) -> None:
    (root / "two.bin").rename(root.parent / "elsewhere")
    (root / "two.bin").symlink_to(root.parent / "elsewhere")


def _hard_link(root: Path) -> None:
    os.link(root / "two.bin", root.parent / "other-name")


def _fifo(root: Path) -> None:
    (root / "two.bin").unlink()
    os.mkfifo(root / "two.bin")


def _folder(root: Path) -> None:
    (root / "two.bin").unlink()
    (root / "two.bin").mkdir()


def _longer(root: Path) -> None:
    with (root / "two.bin").open("ab") as file:
        file.write(b"!")


CHANGES: list[tuple[str, Callable[[Path], None]]] = [
    ("DIR-01", lambda root: (root / "two.bin").unlink()),
    ("DIR-01", lambda root: (root / "empty").rmdir()),
    ("DIR-01", lambda root: (root / "tensors.msgpack").unlink()),
    ("DIR-02", _link),
    ("DIR-02", lambda root: (root / "empty/link").symlink_to("nowhere")),
    ("DIR-03", _hard_link),
    ("DIR-03", _fifo),
    ("DIR-03", _folder),
    ("DIR-04", _add("extra")),
    ("DIR-04", _add("empty/file")),
    ("DIR-04", _add("more/file")),
    ("DIR-04", lambda root: (root / "folder").mkdir()),
    ("DIR-05", _longer),
    ("DIR-05", lambda root: os.truncate(root / "two.bin", 5)),
]


@pytest.mark.parametrize(("rule", "change"), CHANGES)
def test_directories(tmp_path: Path, rule: str, change: Callable[[Path], None]) -> None:
    root = pack_small(tmp_path / "x", directory=True)
    change(root)
    for structure in (False, True):
        found = rules(mb.validate(root, structure=structure))
        assert rule in found
        assert found <= {rule, "DIR-04"}


def test_every_flipped_byte_of_a_directory_is_detected(tmp_path: Path) -> None:
    root = pack_small(tmp_path / "x", directory=True)
    for path in sorted(root.iterdir()):
        if path.is_dir() or path.name == "manifest.json":  # another manifest, another digest
            continue
        data = path.read_bytes()
        for at in range(0, len(data), 5):
            changed = bytearray(data)
            changed[at] ^= 1 << (at % 8)
            path.write_bytes(changed)
            assert not mb.validate(root).ok, (path, at)
        path.write_bytes(data)
    assert mb.validate(root).ok


def test_what_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("PK\3\4 but no archive")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    assert rules(mb.validate(tmp_path / "folder")) == {"RDR-01"}
    assert rules(mb.validate(tmp_path / "empty")) == {"ARC-01"}
    assert rules(mb.validate(tmp_path / "text")) == {"ARC-01"}
    assert rules(mb.validate(tmp_path / "pipe")) == {"RDR-01"}
    for missing in ("nothing",):
        with pytest.raises(OSError, match=missing):
            mb.validate(tmp_path / missing)
    assert not mb.validate(tmp_path / "loop").ok


def test_a_link_to_a_bundle_is_followed(tmp_path: Path) -> None:
    for directory in (False, True):
        made = pack_small(tmp_path / f"x{directory}", directory=directory)
        (tmp_path / f"link{directory}").symlink_to(made)
        assert mb.validate(tmp_path / f"link{directory}").ok


def test_a_manifest_that_is_unsupported(tmp_path: Path) -> None:
    root = pack_small(tmp_path / "x", directory=True)
    data = (root / "manifest.json").read_bytes().replace(b'"1.0-draft"', b'"7.0"')
    (root / "manifest.json").write_bytes(data)
    report = mb.validate(root)
    assert (rules(report), report.unsupported, report.ok) == ({"VER-01"}, True, False)


def test_a_newer_minor_version_is_read(tmp_path: Path) -> None:
    root = pack_small(tmp_path / "x", directory=True)
    data = (root / "manifest.json").read_bytes().replace(b'"1.0-draft"', b'"1.7"')
    (root / "manifest.json").write_bytes(data.replace(b'{"bytes":', b'{"Future":{},"bytes":'))
    assert mb.validate(root).ok


def test_elements_of_bool_and_string_tensors(tmp_path: Path) -> None:
    lengths = bytes([2, 3]) + strings.checksum([2, 3]).to_bytes(4, "little")
    for data, dtype, expected in (
        (b"\1\0\1\0", "bool", set()),
        (b"\1\0\2\0", "bool", {"TEN-14"}),
        (lengths + b"abcde", "string", set()),
        (lengths + b"abcdef", "string", {"TEN-13"}),
        (b"\2\4" + lengths[2:] + b"abcdef", "string", {"TEN-13"}),
        (b"\x80" * 11, "string", {"TEN-13"}),
        (b"\1" * 6, "string", {"TEN-13"}),
    ):
        made = artifact({"a.bin": data}, [("t", "a.bin", 0, len(data))], dtype=dtype)
        shape = (4,) if dtype == "bool" else (2,)
        tensor = replace(made.tensors[0], shape=shape)
        pack_artifacts([replace(made, tensors=(tensor,))], tmp_path / "x", overwrite=True)
        assert rules(mb.validate(tmp_path / "x")) == expected
        with mb.open(tmp_path / "x") as bundle:
            if expected:
                with pytest.raises(mb.BundleError):
                    bundle.tensors["t"].numpy()
            else:
                assert bundle.tensors["t"].numpy().shape == shape


def test_an_index_that_says_something_else_than_the_source(tmp_path: Path) -> None:
    mb.pack(write_net(tmp_path / "net.safetensors"), tmp_path / "x", directory=True)
    made = mb.open(tmp_path / "x")
    other = artifact({"net.safetensors": made.read("net.safetensors")}, [], root="net.safetensors")
    kind = replace(other.components[0], kind="safetensors")
    pack_artifacts([replace(other, components=(kind,))], tmp_path / "y")
    assert rules(mb.validate(tmp_path / "y")) == {"COM-06"}
    wrong = replace(other.components[0], kind="hdf5", properties={"layout": "plain"})
    pack_artifacts([replace(other, components=(wrong,))], tmp_path / "z")
    assert "COM-06" in rules(mb.validate(tmp_path / "z"))


def test_a_component_without_its_source(tmp_path: Path) -> None:
    made = artifact({"net.safetensors": random_bytes(100)})
    derived = tuple(replace(file, role="derived") for file in made.files)
    kind = replace(made.components[0], kind="safetensors")
    pack_artifacts([replace(made, files=derived, components=(kind,))], tmp_path / "x")
    assert not mb.validate(tmp_path / "x").ok


def test_progress_counts_every_byte(archive: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(archive)
    counted: list[int] = []
    mb.validate(tmp_path / "x", progress=counted.append)
    assert sum(counted) >= sum(e.size for e in mb.open(tmp_path / "x").manifest.stored)


def test_a_hostile_manifest_that_promises_deep_folders(tmp_path: Path) -> None:
    root = pack_small(tmp_path / "x", directory=True)
    decoded = mb.open(root).manifest
    deep = [
        replace(decoded.files[0], path=f"{'d/' * 500}{number}", role="source", storage="stored")
        for number in range(2_000)
    ]
    shutil.rmtree(root / "empty")
    changed = replace(decoded, files=(*decoded.files, *deep), directories=())
    (root / "manifest.json").write_bytes(manifest.encode(changed))
    report = mb.validate(root, structure=True)
    assert rules(report) == {"DIR-01"}
    assert len(report.findings) == 100


def test_random_damage_ends_in_findings(archive: bytes, tmp_path: Path) -> None:
    generator = np.random.default_rng(7)
    damaged = tmp_path / "x"
    for _ in range(300):
        changed = bytearray(archive)
        for _ in range(generator.integers(1, 6)):
            at = int(generator.integers(len(changed)))
            match generator.integers(3):
                case 0:
                    changed[at] = int(generator.integers(256))
                case 1:
                    del changed[at : at + int(generator.integers(1, 50))]
                case 2:
                    changed[at:at] = generator.bytes(int(generator.integers(1, 50)))
        damaged.write_bytes(changed)
        assert mb.validate(damaged).ok == (bytes(changed) == archive)
