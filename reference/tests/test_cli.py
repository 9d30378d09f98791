"""The command line: answers and their schemas, exit statuses, failures without tracebacks."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import answer_bundles as made
import ml_dtypes
import numpy as np
import pytest
from click.testing import CliRunner, Result

import modelbundle as mb
from modelbundle.cli import cli
from modelbundle.cli import progress as progress_module
from modelbundle.cli.printing import listed, shape, size
from modelbundle.core.canonical_json import encode

COMMANDS = ("pack", "inspect", "validate", "unpack", "tensor", "diff")
REFERENCE = Path(__file__).resolve().parents[1]


def run(*arguments: object, status: int = 0) -> Result:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exit_code == status, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    return result


def answer(*arguments: object, status: int = 0, schema: str | None = None) -> Any:
    """The JSON answer of a command, held against its schema."""
    document = json.loads(run(*arguments, "--json", status=status).stdout)
    made.check_answer(schema or str(arguments[0]), document)
    return document


def process(*arguments: object, code: str = "", **options: Any) -> subprocess.CompletedProcess[str]:
    """A run of the command in a process of its own; `code` runs at its end."""
    script = f"import sys, atexit\nfrom modelbundle.cli import main\n{code}\nmain()"
    environment = {**os.environ, "PYTHONPATH": str(REFERENCE)}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(
        command, env=environment, text=True, timeout=60, capture_output=True, check=False, **options
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return made.model_h5(tmp_path / "net.h5", custom=True, trained=True)


@pytest.fixture
def bundle(tmp_path: Path, source: Path) -> Path:
    mb.pack(source, tmp_path / "net.modelbundle")
    return tmp_path / "net.modelbundle"


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    arrays = {
        "matrix": np.arange(80, dtype="f4").reshape(8, 10),
        "brain": np.array([1.5, -2.0], ml_dtypes.bfloat16),
        "tiny": np.array([1.5, -2.0], ml_dtypes.float8_e4m3fn),
        "cube": np.zeros((2, 3, 4), "i8"),
        "scalar": np.array(np.pi),
        "empty": np.zeros((0, 3), "f4"),
        "strange": np.array([np.nan, np.inf, 1.0], "f4"),
        "complex": np.array([1 + 2j], "c8"),
        "truth": np.array([True, False]),
    }
    return made.pack_arrays(tmp_path / "numbers.modelbundle", arrays)


# Help and usage


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command: str) -> None:
    text = run(command, "--help").stdout
    assert text.startswith(f"Usage: cli {command}")
    assert "--json" in text


def test_group_help_lists_every_command() -> None:
    text = run("--help").stdout
    assert all(re.search(rf"^  {command} ", text, re.MULTILINE) for command in COMMANDS)


def test_version() -> None:
    assert run("--version").stdout == f"modelbundle, version {mb.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [(), ("nothing",), ("pack",), ("pack", "one"), ("inspect",), ("inspect", "a", "b"),
     ("unpack", "a", "b", "c"), ("diff", "a"), ("tensor", "a"), ("validate", "--loud", "a"),
     ("pack", "--force", "a.h5", "b.h5")],
)  # fmt: skip
def test_usage(arguments: tuple[str, ...]) -> None:
    assert "Usage" in (text := run(*arguments, status=2).output) or "Error" in text


# One command after another


def test_from_a_file_and_back(tmp_path: Path, source: Path) -> None:
    bundle = tmp_path / "old.modelbundle"
    assert "packed 1 source into" in run("pack", source, bundle).stdout
    assert "no graph: the custom layer `Scale` needs its class" in run("inspect", bundle).stdout
    assert run("validate", bundle).stdout.startswith("valid ")
    assert "first/kernel" in run("tensor", bundle, "first/kernel").stdout
    assert "unpacked 1 file" in run("unpack", bundle, tmp_path / "out").stdout
    assert (tmp_path / "out" / "net.h5").read_bytes() == source.read_bytes()
    run("pack", source, "-o", tmp_path / "again.modelbundle")
    assert run("diff", bundle, tmp_path / "again.modelbundle").stdout.startswith("the same")


def test_pack_json(tmp_path: Path, source: Path) -> None:
    target = tmp_path / "net"
    (tmp_path / "facts.json").write_text('{"licence": "MIT", "größe": [1, 2.5]}')
    options = ("--directory", "--name", "Net", "--metadata", tmp_path / "facts.json")
    document = answer("pack", source, "-o", target, *options)
    assert document["layout"] == "directory"
    assert document["digest"] == mb.open(target).digest
    inspected = answer("inspect", target)
    assert (inspected["name"], inspected["metadata"]["größe"]) == ("Net", [1, 2.5])


def test_pack_replaces_only_when_asked(source: Path, bundle: Path) -> None:
    before = bundle.read_bytes()
    assert "exists already" in run("pack", source, "-o", bundle, status=2).stderr
    assert bundle.read_bytes() == before
    run("pack", source, "-o", bundle, "--force", "--name", "other")
    assert bundle.read_bytes() != before
    run("pack", source, bundle, "--force")
    assert bundle.read_bytes() == before


@pytest.mark.parametrize(
    "text", ["[1]", "{", '{"a": NaN}', '{"a": 1, "a": 2}', '{"a": 9007199254740993}']
)
def test_metadata_that_cannot_be_kept(tmp_path: Path, source: Path, text: str) -> None:
    """All of it is a matter of usage: nothing is said about the source."""
    (tmp_path / "facts.json").write_text(text)
    target = tmp_path / "out.modelbundle"
    run("pack", source, "-o", target, "--metadata", tmp_path / "facts.json", status=2)
    assert not target.exists()


def test_inspect_json(bundle: Path) -> None:
    document = answer("inspect", bundle, "--tensors")
    names = [tensor["name"] for tensor in document["tensors"]]
    assert names == sorted(names)
    assert len(names) == 6
    (custom,) = document["requirements"]["customObjects"]
    assert custom["className"] == "Scale"
    assert "tensors" not in answer("inspect", bundle)


def test_inspect_without_tensors(tmp_path: Path) -> None:
    path = tmp_path / "net.json"
    path.write_text(json.dumps(made.sequential(made.dense("first", 3, 2))))
    run("pack", path, tmp_path / "b.modelbundle")
    assert answer("inspect", tmp_path / "b.modelbundle", "--tensors")["tensors"] == []
    assert "only the architecture" in run("inspect", tmp_path / "b.modelbundle").stdout


def test_inspect_collapses_long_models(tmp_path: Path) -> None:
    arrays = {f"block_{n:03}/kernel": np.full(2, n, "f4") for n in range(252)}
    path = made.pack_arrays(tmp_path / "long.modelbundle", arrays)
    short, long = run("inspect", path).stdout, run("inspect", path, "--tensors").stdout
    assert "… 212 more (use --tensors)" in short
    assert "block_251" not in short
    assert long.count("block_251") == 2
    assert max(map(len, short.splitlines())) < 200


def test_plain_text_has_no_escapes_and_no_trailing_space(bundle: Path, numbers: Path) -> None:
    for arguments in (("inspect", bundle), ("diff", bundle, numbers), ("tensor", numbers, "brain")):
        done = process(*arguments)
        assert "\x1b" not in done.stdout + done.stderr
        assert not [line for line in done.stdout.splitlines() if line != line.rstrip()]


def test_what_a_bundle_says_does_not_steer_the_terminal(tmp_path: Path, source: Path) -> None:
    evil = "a\x1b[2Jb\u202e[red]c"
    mb.pack(source, tmp_path / "evil.modelbundle", name=evil)
    text = run("inspect", tmp_path / "evil.modelbundle").stdout
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[red]c" in text
    raw = run("inspect", tmp_path / "evil.modelbundle", "--json").stdout
    assert raw.isascii()
    assert json.loads(raw)["name"] == evil


# Validate


def test_validate_json(bundle: Path) -> None:
    document = answer("validate", bundle)
    assert (document["ok"], document["checked"], document["findings"]) == (True, "all", [])
    assert answer("validate", bundle, "--structure")["checked"] == "structure"


def test_validate_says_no(bundle: Path) -> None:
    data = bytearray(bundle.read_bytes())
    data[-100] ^= 1
    bundle.write_bytes(data)
    document = answer("validate", bundle, status=1)
    assert not document["ok"]
    assert document["findings"]
    text = run("validate", bundle, status=1).stdout
    assert document["findings"][0]["rule"] in text
    assert "invalid" in text


def test_what_is_no_bundle(source: Path) -> None:
    document = answer("validate", source, status=1)
    assert "digest" not in document
    findings = answer("inspect", source, status=1, schema="error")["findings"]
    assert [finding["rule"] for finding in findings] == ["ARC-01"]


@pytest.mark.parametrize("command", ["validate", "inspect"])
def test_a_version_of_the_future(tmp_path: Path, command: str) -> None:
    folder = made.pack_arrays(tmp_path / "folder", {"w": np.ones(2)}, directory=True)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    (folder / "manifest.json").write_bytes(encode({**manifest, "modelbundle": "2.0"}))
    document = answer(command, folder, status=2, schema=None if command == "validate" else "error")
    assert [finding["rule"] for finding in document["findings"]] == ["VER-01"]


# Unpack


def test_unpack_some_files(tmp_path: Path, bundle: Path) -> None:
    first, second = "net.h5.derived/config.json", "net.h5.derived/training.json"
    document = answer("unpack", bundle, tmp_path / "a", "--only", first, second)
    assert [file["path"] for file in document["files"]] == [first, second]
    run("unpack", bundle, tmp_path / "b", "--only", first, "--only", second)
    run("unpack", bundle, tmp_path / "c", "--only", "net.h5.derived")
    written = [sorted(p.name for p in (tmp_path / place).rglob("*.json")) for place in "abc"]
    assert written[:2] == [["config.json", "training.json"]] * 2
    assert written[2] == ["config.json", "topology.json", "training.json"]


def test_unpack_overwrites_nothing(tmp_path: Path, bundle: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "net.h5").write_bytes(b"mine")
    document = answer("unpack", bundle, tmp_path / "out", status=2, schema="error")
    assert "exists already" in document["error"]
    assert (tmp_path / "out" / "net.h5").read_bytes() == b"mine"
    assert "no file 'other'" in run("unpack", bundle, tmp_path, "--only", "other", status=2).stderr


# Tensor


def test_tensor_json(numbers: Path) -> None:
    document = answer("tensor", numbers, "matrix")
    assert document["corner"] == [[float(10 * row + n) for n in range(6)] for row in range(6)]
    assert document["statistics"] == {"min": 0, "max": 79, "mean": 39.5, "nonFinite": 0}
    assert (document["dtype"], document["shape"]) == ("float32", [8, 10])
    data = mb.open(numbers).file(document["file"]).read(document["offset"], document["length"])
    assert np.frombuffer(data, "f4").tolist() == list(range(80))


@pytest.mark.parametrize(
    ("name", "corner"),
    [("brain", [1.5, -2.0]), ("tiny", [1.5, -2.0]), ("scalar", np.pi), ("empty", []),
     ("strange", ["nan", "inf", 1.0]), ("complex", ["(1+2j)"]), ("truth", [True, False]),
     ("cube", [[0] * 4] * 3)],
)  # fmt: skip
def test_corners(numbers: Path, name: str, corner: Any) -> None:
    document = answer("tensor", numbers, name)
    assert document["corner"] == corner
    assert ("statistics" in document) == (name not in ("empty", "complex"))
    assert name in run("tensor", numbers, name).stdout


@pytest.mark.parametrize(
    "name", ["matrix", "cube", "scalar", "empty", "strange", "complex", "truth"]
)
def test_npy(tmp_path: Path, numbers: Path, name: str) -> None:
    file = tmp_path / "out.npy"
    document = answer("tensor", numbers, name, "-o", file)
    loaded = np.load(file)
    wanted = mb.open(numbers).tensors[name].numpy()
    assert (loaded.dtype, loaded.shape) == (wanted.dtype, wanted.shape)
    assert loaded.tobytes() == wanted.tobytes()
    assert "note" not in document["written"]
    assert "exists already" in run("tensor", numbers, name, "-o", file, status=2).stderr


@pytest.mark.parametrize(("name", "plain"), [("brain", "uint16"), ("tiny", "uint8")])
def test_npy_of_dtypes_that_numpy_lacks(
    tmp_path: Path, numbers: Path, name: str, plain: str
) -> None:
    document = answer("tensor", numbers, name, "-o", tmp_path / "out.npy")
    loaded = np.load(tmp_path / "out.npy")
    assert loaded.dtype == plain
    dtype = re.search(r"\.view\(ml_dtypes\.(\w+)\)", document["written"]["note"])
    assert dtype is not None
    assert loaded.view(getattr(ml_dtypes, dtype[1])).astype("f4").tolist() == [1.5, -2.0]


class Strings:
    """Stands for a tensor of strings."""

    dtype, shape = "string", (2,)

    def __init__(self, *elements: bytes) -> None:
        self._elements = np.array([*elements, None], dtype=object)[:-1]

    def numpy(self) -> Any:
        return self._elements


def test_npy_of_strings() -> None:
    from modelbundle.cli.npy import as_plain

    array, note = as_plain(Strings(b"one", b"three"))  # type: ignore[arg-type]
    assert (array.dtype, array.tolist()) == (np.dtype("S5"), [b"one", b"three"])
    assert note is not None
    with pytest.raises(ValueError, match="end in NUL"):
        as_plain(Strings(b"one\0", b""))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="too many"):
        as_plain(Strings(b"x" * (65 << 20), b"", b""))  # type: ignore[arg-type]


def test_strings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, numbers: Path) -> None:
    from modelbundle.bundle import Tensor

    monkeypatch.setattr(Tensor, "numpy", lambda _: np.array(b"a\x1b\xff", dtype=object))
    assert answer("tensor", numbers, "empty")["corner"] == "a\\x1b\\xff"


def test_unknown_tensors(bundle: Path) -> None:
    document = answer("tensor", bundle, "first/kernl", status=2, schema="error")
    assert "first/kernel" in document["error"]
    assert run("tensor", bundle, "zzz", status=2).stderr.startswith("modelbundle: no tensors are")


def test_names_of_other_systems(bundle: Path) -> None:
    document = answer("tensor", bundle, "model_weights/first/first/kernel:0")
    assert document["name"] == "first/kernel"


# Diff


def test_diff_json(tmp_path: Path, bundle: Path) -> None:
    weights = {"first": made.layer_weights(3, 2, 1), "another": made.layer_weights(4, 3, 9)}
    config = made.sequential(made.dense("first", 3, 2), made.dense("another", 4, 3))
    other = made.write_h5(tmp_path / "net2.h5", config, weights)
    run("pack", other, tmp_path / "other.modelbundle")
    document = answer("diff", bundle, tmp_path / "other.modelbundle", status=1)
    assert {change["name"] for change in document["tensors"]["changed"]} >= {"another/kernel"}
    text = run("diff", bundle, tmp_path / "other.modelbundle", status=1).stdout
    assert text.startswith("different")
    assert "another/kernel" in text
    assert answer("diff", bundle, bundle)["same"]


# Failures


@pytest.mark.parametrize(
    "arguments",
    [("inspect", "{}"), ("validate", "{}"), ("unpack", "{}", "out"), ("tensor", "{}", "w"),
     ("diff", "{}", "{}"), ("pack", "{}", "-o", "{}.modelbundle")],
)  # fmt: skip
def test_missing_files(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    filled = [argument.format(tmp_path / "missing") for argument in arguments]
    document = answer(*filled, status=2, schema="error")
    assert document["error"]
    assert str(tmp_path / "missing") in run(*filled, status=2).stderr


def test_refused_sources(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("no model")
    target = tmp_path / "out.modelbundle"
    document = answer("pack", tmp_path / "text.txt", "-o", target, status=1, schema="error")
    assert [finding["rule"] for finding in document["findings"]] == ["SRC-01"]
    assert run("pack", tmp_path / "text.txt", target, status=1).stderr.startswith("SRC-01")
    assert not target.exists()


@pytest.mark.parametrize(
    ("error", "line"),
    [(RuntimeError("odd\nlines"), r"unexpected RuntimeError: odd\\nlines \(please report this\)"),
     (MemoryError(), "out of memory"), (PermissionError(13, "no", "/x"), "/x: no"),
     (KeyboardInterrupt(), "interrupted"), (RecursionError("deep"), "unexpected RecursionError")],
)  # fmt: skip
def test_what_nobody_expects(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, line: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("modelbundle.inspection.inspect", fail)
    text = run("inspect", bundle, status=2).stderr
    assert re.match(f"modelbundle: {line}", text)
    assert text.count("\n") == 1
    assert answer("inspect", bundle, status=2, schema="error")["findings"] == []


def test_damaged_archives(tmp_path: Path, bundle: Path) -> None:
    data, choose = bundle.read_bytes(), random.Random(5)
    other = tmp_path / "damaged.modelbundle"
    for number in range(60):
        damaged = bytearray(data)
        if number % 3:
            for _ in range(number % 3):
                damaged[choose.randrange(len(data))] ^= 1 << choose.randrange(8)
        else:
            del damaged[choose.randrange(len(data)) :]
        other.write_bytes(damaged)
        arguments = [("inspect", other), ("validate", other), ("diff", bundle, other),
                     ("tensor", other, "first/kernel")][number % 4]  # fmt: skip
        result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
        assert result.exit_code in (0, 1, 2), result.output
        assert isinstance(result.exception, SystemExit | None)
        assert "unexpected" not in result.output
        if arguments[0] == "validate":
            assert result.exit_code != 0


# Processes


FRAMEWORKS = ("tensorflow", "keras", "tf_keras", "jax", "torch")
REPORT = """
def report():
    names = {name.partition(".")[0] for name in sys.modules}
    print(*sorted(names & set(%r)), file=sys.stderr)
atexit.register(report)
"""


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (("pack", "net.h5", "-o", "new.modelbundle"), ("rich",)),
        (("inspect", "net.modelbundle"), ("h5py", "jsonschema", "fsspec")),
        (("inspect", "net.modelbundle", "--json"), ("rich", "h5py", "jsonschema", "fsspec")),
        (("validate", "net.modelbundle"), ("rich",)),
        (("unpack", "net.modelbundle", "out"), ("rich", "h5py", "jsonschema")),
        (("tensor", "net.modelbundle", "first/bias"), ("h5py", "jsonschema")),
        (("diff", "net.modelbundle", "net.modelbundle", "--json"), ("rich", "h5py")),
        (("--help",), ("rich", "numpy", "h5py")),
    ],
)
def test_only_what_is_needed_is_imported(
    bundle: Path, arguments: tuple[str, ...], unwanted: tuple[str, ...]
) -> None:
    done = process(*arguments, code=REPORT % ((*FRAMEWORKS, *unwanted),), cwd=bundle.parent)
    assert (done.returncode, done.stderr) == (0, "\n")
    assert done.stdout


def test_a_reader_that_leaves(numbers: Path) -> None:
    script = "from modelbundle.cli import main; main()"
    command = [sys.executable, "-c", script, "inspect", str(numbers), "--json", "--tensors"]
    environment = {**os.environ, "PYTHONPATH": str(REFERENCE)}
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        command, env=environment, stdout=write, stderr=subprocess.PIPE, timeout=60, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (2, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_an_answer_that_cannot_be_written(bundle: Path, options: tuple[str, ...]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REFERENCE)}
    command = [sys.executable, "-c", "from modelbundle.cli import main; main()"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*command, "inspect", str(bundle), *options],
            env=environment, stdout=full, stderr=subprocess.PIPE, timeout=60, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert b"No space left" in done.stderr


def test_closed_streams(bundle: Path) -> None:
    done = process("validate", bundle, code="sys.stdout = sys.stderr = None")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_leaves_nothing_behind(tmp_path: Path, source: Path, name: str) -> None:
    """The process is told to end while it writes."""
    code = f"""
import os, signal
from modelbundle.storage import writing
def end(*_):
    os.kill(os.getpid(), signal.{name})
writing.ArchiveWriter.begin = end"""
    (tmp_path / "out").mkdir()
    done = process("pack", source, "-o", tmp_path / "out/x", code=code)
    assert done.returncode == 128 + getattr(signal, name)
    assert (done.stderr, list((tmp_path / "out").iterdir())) == ("", [])


# Progress and text


def test_progress_appears_when_it_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(progress_module, "monotonic", lambda: now[0])
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with progress_module.progress("packing", 10) as advance:
        assert advance is not None
        bar = advance.__self__  # type: ignore[attr-defined]
        advance(3)
        assert bar._shown is None
        now[0] = 2.0
        advance(4)
        shown, task = bar._shown
        assert shown.tasks[task].completed == 7
    assert shown.finished or not shown.live.is_started


def test_no_progress_where_nobody_watches() -> None:
    with progress_module.progress("packing", 10) as advance:
        assert advance is None


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (1_234_567, "1.23 MB"), (99_960, "100 kB"),
     (999_600, "1.00 MB"), (5 * 10**12, "5.00 TB"), (10**18, "1000 PB")],
)  # fmt: skip
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


def test_shapes_and_lists() -> None:
    assert shape(None) == "[...]"
    assert shape((2, None, "batch")) == "[2, ?, batch]"
    assert listed("abc") == "a, b, c"
    assert listed(map(str, range(15)), 2) == "0, 1, … 13 more"
