"""Packing: determinism, atomicity, and sources that are not what they should be."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from building import artifact, pack_small, random_bytes, rules_of, write_net

import modelbundle as mb
from modelbundle.core.blobs import BytesBlob
from modelbundle.packing import pack_artifacts, read_source
from modelbundle.storage import files, writing
from modelbundle.storage.files import FileBlob

CHECKPOINT = Path(__file__).parents[2] / "conformance/sources/checkpoint/plain"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(mb.__file__).parents[1])}


def tree_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def everything_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_both_layouts_have_one_digest(tmp_path: Path) -> None:
    net = write_net(tmp_path / "net.safetensors")
    one = mb.pack(net, tmp_path / "net.modelbundle")
    two = mb.pack(net, tmp_path / "net", directory=True)
    assert one == two == mb.open(tmp_path / "net").digest
    manifest = (tmp_path / "net/manifest.json").read_bytes()
    assert mb.open(tmp_path / "net.modelbundle").manifest_bytes == manifest


PACK = """
import os, sys, modelbundle
os.umask(int(sys.argv[1], 8))
print(modelbundle.pack(sys.argv[3:], sys.argv[2], name="n", metadata={"b": [1], "a": 0.5}))
"""


def test_processes_give_identical_bytes(tmp_path: Path) -> None:
    sources = [str(write_net(tmp_path / f"{name}.safetensors", at)) for at, name in enumerate("ab")]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    runs = [("1", "022", tmp_path, sources), ("77", "077", elsewhere, sources[::-1])]
    outputs = []
    for seed, umask, cwd, given in runs:
        destination = cwd / f"{seed}.modelbundle"
        command = [sys.executable, "-c", PACK, umask, str(destination), *given]
        environment = {**ENVIRONMENT, "PYTHONHASHSEED": seed, "TZ": f"UTC+{seed[0]}", "LC_ALL": "C"}
        done = subprocess.run(command, cwd=cwd, env=environment, check=True, capture_output=True)
        outputs.append((done.stdout, destination.read_bytes()))
        for source in sources:
            os.utime(source, (1, 1))
    assert outputs[0] == outputs[1]


def test_several_sources_share_their_bytes(tmp_path: Path) -> None:
    one = write_net(tmp_path / "one.safetensors", rows=4096)
    two = tmp_path / "two.safetensors"
    two.write_bytes(one.read_bytes())
    mb.pack([one, two], tmp_path / "both.modelbundle")
    with mb.open(tmp_path / "both.modelbundle") as bundle:
        assert [e.path for e in bundle.manifest.composed] == ["one.safetensors", "two.safetensors"]
        assert bundle.read("two.safetensors") == one.read_bytes()
        assert bundle.tensors["dense/bias"].names == {"safetensors": "dense/bias"}
    assert mb.validate(tmp_path / "both.modelbundle").ok
    assert (tmp_path / "both.modelbundle").stat().st_size < 1.02 * one.stat().st_size


def test_one_name_for_two_sources(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    sources = [write_net(tmp_path / "a.safetensors"), write_net(tmp_path / "sub/a.safetensors")]
    assert rules_of(lambda: mb.pack(sources, tmp_path / "x")) == ["SRC-05"]
    assert rules_of(lambda: pack_artifacts([artifact({"residue.bin": b""})], tmp_path / "x")) == [
        "SRC-05"
    ]
    mixed = [artifact({"A.bin": b"1"}), artifact({"a.bin": b"2"})]
    assert rules_of(lambda: pack_artifacts(mixed, tmp_path / "x")) == ["PTH-05"]
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("directory", [False, True])
def test_overwriting(tmp_path: Path, directory: bool) -> None:
    net = write_net(tmp_path / "net.safetensors")
    destination = tmp_path / "x"
    digest = mb.pack(net, destination, directory=directory)
    before = everything_in(tmp_path)
    with pytest.raises(FileExistsError):
        mb.pack(net, destination, directory=directory)
    assert mb.pack(net, destination, directory=directory, overwrite=True) == digest
    assert everything_in(tmp_path) == before
    mb.pack(net, destination, directory=not directory, overwrite=True)
    assert destination.is_dir() != directory


def test_what_is_no_bundle_is_not_overwritten(tmp_path: Path) -> None:
    net = write_net(tmp_path / "net.safetensors")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("text")
    with pytest.raises(FileExistsError):
        mb.pack(net, tmp_path / "mine", directory=True, overwrite=True)
    assert tree_of(tmp_path / "mine") == {"thesis.txt": b"text"}
    (tmp_path / "mine/manifest.json").write_text('{"name": "a web page"}')
    kept = tree_of(tmp_path)
    for directory in (False, True):
        for name in ("mine", "mine/thesis.txt", "net.safetensors"):
            with pytest.raises(FileExistsError, match="is no bundle"):
                mb.pack(net, tmp_path / name, directory=directory, overwrite=True)
    assert tree_of(tmp_path) == kept
    with pytest.raises(FileNotFoundError):
        mb.pack(net, tmp_path / "no/where")


class Failing:
    """Lets `after` calls through and fails at the next one, with any exception."""

    def __init__(self, after: int, error: BaseException, action: Callable[..., Any]) -> None:
        self.left = after
        self.error = error
        self.action = action

    def __call__(self, *args: Any, **named: Any) -> Any:
        if not self.left:
            raise self.error
        self.left -= 1
        return self.action(*args, **named)

    def as_method(self) -> Callable[..., Any]:
        """A function, which a class binds to its instances."""

        def method(*args: Any, **named: Any) -> Any:
            return self(*args, **named)

        return method


ERRORS = [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()]


@pytest.mark.parametrize("error", ERRORS, ids=["full", "interrupt"])
@pytest.mark.parametrize("directory", [False, True])
def test_failure_at_every_write_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, directory: bool, error: BaseException
) -> None:
    pack_small(tmp_path / "old", directory=directory)
    old = tree_of(tmp_path) if directory else (tmp_path / "old").read_bytes()
    failures = 0
    while True:
        failing = Failing(failures, error, BytesBlob.read)
        with monkeypatch.context() as patched:
            patched.setattr(BytesBlob, "read", failing.as_method())
            try:
                _small(tmp_path / "old", directory, overwrite=True)
            except (OSError, KeyboardInterrupt):
                assert everything_in(tmp_path) == everything_before(tmp_path, directory)
                assert (tree_of(tmp_path) if directory else (tmp_path / "old").read_bytes()) == old
                failures += 1
            else:
                break
    assert failures > 5


def everything_before(folder: Path, directory: bool) -> set[str]:
    inside = everything_in(folder / "old") if directory else set()
    return {"old", *(f"old/{path}" for path in inside)}


def _small(destination: Path, directory: bool, *, overwrite: bool = False) -> None:
    weights = random_bytes(600)
    one = artifact({"one.bin": b"head" + weights}, [("w", "one.bin", 4, 600)])
    two = artifact({"two.bin": weights}, [("w", "two.bin", 0, 600)])
    pack_artifacts([one, two], destination, directory=directory, overwrite=overwrite)


@pytest.mark.parametrize("error", ERRORS, ids=["full", "interrupt"])
@pytest.mark.parametrize(
    "step",
    [
        (False, writing.ArchiveWriter, "begin"),
        (False, writing.ArchiveWriter, "record"),
        (False, writing.ArchiveWriter, "finish"),
        (False, Path, "replace"),
        (True, writing.DirectoryWriter, "begin"),
        (True, writing.DirectoryWriter, "finish"),
        (True, Path, "mkdir"),
        (True, Path, "write_bytes"),
        (True, Path, "rename"),
        (True, Path, "chmod"),
    ],
    ids=lambda step: step[2],
)
def test_failure_of_every_step_leaves_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: tuple[bool, Any, str],
    error: BaseException,
) -> None:
    directory, target, name = step
    work = tmp_path / "work"
    work.mkdir()
    failing = Failing(0, error, getattr(target, name))
    monkeypatch.setattr(target, name, failing.as_method())
    with pytest.raises(type(error)):
        _small(work / "x", directory)
    monkeypatch.undo()
    assert everything_in(work) == set()


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """A limit on file sizes: the writes themselves fail, in another process."""
    net = write_net(tmp_path / "net.safetensors", rows=4096)
    (tmp_path / "out").mkdir()
    code = (
        "import resource, signal, sys, modelbundle\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "modelbundle.pack(sys.argv[1], sys.argv[2])\n"
    )
    command = [sys.executable, "-c", code, str(net), str(tmp_path / "out/x")]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert "File too large" in done.stderr
    assert str(tmp_path / "out/x") in done.stderr
    assert everything_in(tmp_path / "out") == set()


def test_sources_that_are_no_files(tmp_path: Path) -> None:
    net = write_net(tmp_path / "net.safetensors")
    (tmp_path / "link.safetensors").symlink_to(net)
    os.mkfifo(tmp_path / "pipe")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").symlink_to(net)
    deep = tmp_path / "deep"
    deep.mkdir()
    (deep / "sub").symlink_to(folder)
    piped = tmp_path / "piped"
    piped.mkdir()
    os.mkfifo(piped / "p")
    for name in ("link.safetensors", "pipe", "folder", "deep", "piped"):
        assert rules_of(lambda name=name: mb.pack(tmp_path / name, tmp_path / "x")) == ["SRC-03"]
    assert rules_of(lambda: mb.pack(tmp_path / "none", tmp_path / "x")) == ["SRC-04"]
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("hello")
    for name in ("empty", "text"):
        assert rules_of(lambda name=name: mb.pack(tmp_path / name, tmp_path / "x")) == ["SRC-01"]
    with pytest.raises(ValueError, match="nothing to pack"):
        mb.pack([], tmp_path / "x")


@pytest.mark.parametrize("name", [b"a\xff.safetensors", b"a\n", b"con", b"e\xcc\x81"])
def test_names_that_a_bundle_cannot_hold(tmp_path: Path, name: bytes) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / os.fsdecode(name)).write_bytes(b"x")
    with pytest.raises(mb.BundleError) as caught:
        mb.pack(folder, tmp_path / "x")
    assert caught.value.findings[0].rule.startswith("PTH")
    assert str(caught.value).isprintable()
    str(caught.value).encode()


def test_directories_that_cannot_be_read_are_not_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    (folder / "secret").mkdir(parents=True)
    (folder / "a").write_bytes(b"x")
    scandir = os.scandir

    def refuse(path: str) -> Iterator[Any]:
        if str(path).endswith("secret"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError):
        mb.pack(folder, tmp_path / "x")


def test_tensor_names_that_an_index_cannot_hold(tmp_path: Path) -> None:
    bad = artifact({"a.bin": b"1234"}, [("a\nb", "a.bin", 0, 4)])
    assert rules_of(lambda: pack_artifacts([bad], tmp_path / "x")) == ["TEN-03", "TEN-11"]
    overlapping = artifact({"a.bin": b"1234"}, [("a", "a.bin", 0, 3), ("b", "a.bin", 2, 2)])
    assert rules_of(lambda: pack_artifacts([overlapping], tmp_path / "x")) == ["TEN-09"]
    assert everything_in(tmp_path) == set()


@pytest.mark.parametrize("change", ["shrink", "grow", "rewrite", "replace", "remove"])
def test_a_source_that_changes_while_it_is_read(tmp_path: Path, change: str) -> None:
    net = write_net(tmp_path / "net.safetensors", rows=50_000)
    made = read_source(net)
    done = False

    def progress(count: int) -> None:
        nonlocal done
        if done:
            return
        done = True
        match change:
            case "shrink":
                os.truncate(net, 5000)
            case "grow":
                net.write_bytes(net.read_bytes() + b"x")
            case "rewrite":
                os.utime(net, ns=(1, 1))
            case "replace":
                net.rename(tmp_path / "old")
                write_net(net, seed=5, rows=50_000)
            case "remove":
                net.unlink()

    out = tmp_path / "out"
    out.mkdir()
    try:
        pack_artifacts([made], out / "x", progress=progress)
    except mb.BundleError as error:
        assert [finding.rule for finding in error.findings] == ["SRC-02"]
    except FileNotFoundError:
        assert change == "remove"
    else:
        pytest.fail("the change was not noticed")
    assert everything_in(out) == set()


@pytest.mark.parametrize("name", ["with space", "ünï😀" * 20, "." * 5 + "x", "-o"])
def test_any_name_will_do_for_a_bundle(tmp_path: Path, name: str) -> None:
    net = write_net(tmp_path / "net.safetensors")
    for directory in (False, True):
        destination = tmp_path / name
        mb.pack(net, destination, directory=directory, overwrite=True)
        assert mb.validate(destination).ok


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_many_files_stay_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_KEPT_OPEN", files._kept_open + 3)
    many = {f"{i:03}": random_bytes(300, i) for i in range(50)}
    for name, data in many.items():
        (tmp_path / name).write_bytes(data)
    before = open_files()
    blobs = [FileBlob(tmp_path / name) for name in many]
    assert [blob.read(0, 300) for blob in blobs] == list(many.values())
    assert open_files() <= before + 3
    for blob in blobs:
        blob.close()
    assert open_files() == before


def test_metadata_that_json_cannot_hold(tmp_path: Path) -> None:
    net = write_net(tmp_path / "net.safetensors")
    out = tmp_path / "out"
    out.mkdir()
    for value in (float("nan"), 2**60, {1, 2}):
        with pytest.raises((ValueError, TypeError)):
            mb.pack(net, out / "x", metadata={"a": value})
    assert rules_of(lambda: mb.pack(net, out / "x", metadata={"a": 1e20})) == ["JSN-05"]
    assert rules_of(lambda: mb.pack(net, out / "x", metadata={"a": "x" * (17 << 20)})) == ["MAN-12"]
    assert everything_in(out) == set()


MEMORY = """
import sys, modelbundle as mb
from pathlib import Path
source, out = map(Path, sys.argv[1:])
mb.pack(source, out / "x")
assert mb.validate(out / "x").ok
mb.unpack(out / "x", out / "u")
lines = Path("/proc/self/status").read_text().splitlines()
print(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux for the peak")
def test_memory_stays_small(tmp_path: Path) -> None:
    source = write_net(tmp_path / "net.safetensors", rows=2_000_000)  # 256 MB, half of it twice
    (tmp_path / "out").mkdir()
    command = [sys.executable, "-c", MEMORY, str(source), str(tmp_path / "out")]
    done = subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, text=True)
    assert int(done.stdout) < 200_000  # KiB


@pytest.mark.parametrize(
    ("names", "likely"),
    [
        (["a-00001-of-00002.safetensors", "a.safetensors.index.json"], "a.safetensors.index.json"),
        (["b.safetensors", "a.safetensors", "readme.md"], "a.safetensors in it, or others of 2"),
        (["sub/net.onnx", "weights.bin"], "sub/net.onnx"),
    ],
)
def test_a_directory_that_is_no_source(tmp_path: Path, names: list[str], likely: str) -> None:
    """The finding names the file that is meant, most likely."""
    for name in names:
        (tmp_path / "model" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "model" / name).write_bytes(b"?")
    with pytest.raises(mb.BundleError) as caught:
        mb.pack(tmp_path / "model", tmp_path / "x")
    (finding,) = caught.value.findings
    assert finding.rule == "SRC-01"
    assert likely in str(finding.hint)


def test_a_prefix_takes_the_graph_along(tmp_path: Path) -> None:
    """TensorFlow 1 saves its graph as PREFIX.meta: it belongs to the checkpoint."""
    folder = shutil.copytree(CHECKPOINT, tmp_path / "saved")
    (folder / "ckpt-1.meta").write_bytes(b"graph")
    (folder / "ckpt-10.meta").write_bytes(b"of another")
    mb.pack(folder / "ckpt-1", tmp_path / "x")
    assert mb.validate(tmp_path / "x").ok
    mb.unpack(tmp_path / "x", tmp_path / "out")
    assert everything_in(tmp_path / "out") == everything_in(folder) - {"ckpt-10.meta"}
    assert (tmp_path / "out/ckpt-1.meta").read_bytes() == b"graph"
