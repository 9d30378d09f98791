"""Unpacking: everything or nothing, and never outside the destination (UNP)."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pytest
from building import artifact, pack_small, random_bytes, rules_of
from test_packing import Failing, everything_in, tree_of

import modelbundle as mb
from modelbundle.packing import pack_artifacts

WEIGHTS = random_bytes(256)
SOURCES = {"one.bin": b"head" + WEIGHTS + b"tail", "two.bin": WEIGHTS + b"!"}


@pytest.fixture(params=["archive", "directory"])
def bundle(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    (tmp_path / "given").mkdir()
    return pack_small(tmp_path / "given/bundle", directory=request.param == "directory")


def test_sources_come_back(bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "a/b"
    paths = mb.unpack(bundle, out)
    assert paths == [out / "one.bin", out / "two.bin"]
    assert tree_of(out) == SOURCES
    assert everything_in(out) == {"one.bin", "two.bin", "empty"}


def test_into_a_directory_that_has_other_files(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_bytes(b"mine")
    mb.unpack(bundle, tmp_path / "out")
    assert tree_of(tmp_path / "out") == {**SOURCES, "mine": b"mine"}


def test_only_some_files(bundle: Path, tmp_path: Path) -> None:
    mb.unpack(bundle, tmp_path / "out", only=["two.bin", "tensors.msgpack"])
    assert everything_in(tmp_path / "out") == {"two.bin", "tensors.msgpack"}
    with pytest.raises(KeyError):
        mb.unpack(bundle, tmp_path / "out2", only=["three.bin"])
    assert not (tmp_path / "out2").exists()


def test_a_folder_comes_back_with_its_empty_folders(tmp_path: Path) -> None:
    made = artifact({"net/a/b.bin": b"x", "net2/c.bin": b"y"}, root="net")
    pack_artifacts([replace(made, directories=("net/assets", "other"))], tmp_path / "bundle")
    mb.unpack(tmp_path / "bundle", tmp_path / "out", only=["net/"])
    assert everything_in(tmp_path / "out") == {"net", "net/a", "net/a/b.bin", "net/assets"}
    assert mb.unpack(tmp_path / "bundle", tmp_path / "out", only=["other"]) == []
    assert (tmp_path / "out/other").is_dir()


@pytest.mark.parametrize("path", ["one.bin", "two.bin", "empty"])
@pytest.mark.parametrize("kind", ["file", "folder", "link", "dangling"])
def test_nothing_is_overwritten(bundle: Path, tmp_path: Path, path: str, kind: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    match kind:
        case "file":
            (out / path).write_bytes(b"mine")
        case "folder":
            (out / path).mkdir()
        case "link":
            (out / path).symlink_to(tmp_path)
        case "dangling":
            (out / path).symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError):
        mb.unpack(bundle, out)
    assert everything_in(out) == {path}
    assert not (tmp_path / "nowhere").exists()


def test_destination_that_is_a_file(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"")
    with pytest.raises(OSError, match="out"):
        mb.unpack(bundle, tmp_path / "out")
    with pytest.raises(OSError, match="out"):
        mb.unpack(bundle, tmp_path / "out/deeper")


def test_links_in_the_way_of_a_directory(tmp_path: Path) -> None:
    made = artifact({"net/a/b.bin": b"x"}, root="net")
    pack_artifacts([made], tmp_path / "bundle")
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/net").symlink_to(outside)
    with pytest.raises(FileExistsError):
        mb.unpack(tmp_path / "bundle", tmp_path / "out")
    assert everything_in(outside) == set()


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
@pytest.mark.parametrize("name", ["rename", "mkdir", "open"])
def test_failures_leave_nothing(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, error: BaseException
) -> None:
    out = tmp_path / "deep/out"
    failures = 0
    while True:
        failing = Failing(failures, error, getattr(Path, name))
        with monkeypatch.context() as patched:
            patched.setattr(Path, name, failing.as_method())
            try:
                mb.unpack(bundle, out)
            except (OSError, KeyboardInterrupt):
                failures += 1
            else:
                break
        assert everything_in(tmp_path) == {"given", *_given(tmp_path)}
    assert failures >= 2
    assert tree_of(out) == SOURCES


def _given(folder: Path) -> set[str]:
    return {f"given/{path}" for path in everything_in(folder / "given")}


@pytest.mark.parametrize("file", ["two.bin", "residue.bin", "compositions.msgpack"])
def test_tampered_bundles_write_nothing(tmp_path: Path, file: str) -> None:
    bundle = pack_small(tmp_path / "bundle", directory=True)
    data = bytearray((bundle / file).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / file).write_bytes(data)
    rules = rules_of(lambda: mb.unpack(bundle, tmp_path / "new/out"))
    assert set(rules) <= {"IDN-02", "CMP-06"}
    assert rules
    assert not (tmp_path / "new").exists()


def test_progress_counts_bytes(bundle: Path, tmp_path: Path) -> None:
    counted: list[int] = []
    mb.unpack(bundle, tmp_path / "out", progress=counted.append)
    assert sum(counted) == sum(map(len, SOURCES.values()))
