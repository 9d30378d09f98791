"""The conformance cases against the reference: verdict, rule, place, and what else must hold."""

import functools
import hashlib
import json
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from modelbundle.bundle import Bundle, open_bundle
from modelbundle.copying import copy
from modelbundle.core.dtypes import element_bits
from modelbundle.core.findings import UNSUPPORTED, BundleError, Finding, UnsupportedError
from modelbundle.packing import pack
from modelbundle.rules import validate
from modelbundle.unpacking import unpack

ROOT = Path(__file__).resolve().parents[2]
CONFORMANCE = ROOT / "conformance"
CASES = CONFORMANCE / "cases"
SCHEMA = ROOT / "schemas" / "case.schema.json"
STRUCTURAL = {"manifest", "index", "compositions"}
"""Phases in which a Reader stops as well (RDR-07): the steps of section 11.1."""
MAX_BYTES, MAX_SECONDS = 200 << 20, 5

sys.path.insert(0, str(CONFORMANCE))
from generator import recipes  # noqa: E402

RUNNER_ONLY = {"write", "run"}
"""Areas of operations that the runner asks of the adapter: conformance/tests/test_operations.py."""
IDS = sorted(
    path.parent.relative_to(CASES).as_posix()
    for path in CASES.glob("*/*/case.json")
    if path.parts[-3] not in RUNNER_ONLY
)


@functools.cache
def load(id: str) -> dict[str, Any]:
    case: dict[str, Any] = json.loads((CASES / id / "case.json").read_text("utf-8"))
    return case


def answer_of(id: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((CASES / id / "expected.json").read_text("utf-8"))
    return value


OPERATION = {id: load(id)["operation"] for id in IDS}
INVALID = [id for id in IDS if load(id)["expected"]["verdict"] != "accept"]
VALID = [id for id in IDS if load(id)["expected"]["verdict"] == "accept"]


def prepared(id: str, tmp_path: Path) -> Path:
    """The folder of the case, or a copy on which its recipe was done."""
    case = load(id)
    if "recipe" not in case and case["operation"] != "unpack":
        return CASES / id
    folder = tmp_path / "case"
    shutil.copytree(CASES / id, folder)
    recipes.run(case.get("recipe", []), folder)
    return folder


def listing(folder: Path, without: Path | None = None) -> dict[str, tuple[int, int]]:
    paths = folder.rglob("*") if folder.is_dir() else ()
    status = {path: path.lstat() for path in paths if without not in (path, *path.parents)}
    return {str(path): (s.st_size, s.st_mtime_ns) for path, s in status.items()}


@contextmanager
def within_limits(case: dict[str, Any], folder: Path) -> Iterator[None]:
    """No file changed, at most so much time (of the processor) and memory."""
    target = folder / case.get("arguments", {}).get("destination", "nowhere")
    before, started = listing(folder, target), time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    seconds = time.process_time() - started
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) * 1024
    assert listing(folder, target) == before, "something was written"
    assert seconds < case.get("limits", {}).get("seconds", MAX_SECONDS), f"took {seconds:.1f} s"
    assert grown < MAX_BYTES, f"took {grown >> 20} MB"


def outcome(case: dict[str, Any], folder: Path, tmp_path: Path) -> tuple[str, tuple[Finding, ...]]:
    """Verdict and findings of the reference."""
    source = folder / case["input"]
    if case["operation"] == "validate":
        report = validate(source)
        return _verdict(report.findings), report.findings
    operation = {"read": _read, "unpack": _unpack, "pack": _pack, "copy": _copy}[case["operation"]]
    try:
        operation(case, source, tmp_path)
    except BundleError as error:
        return _verdict(error.findings), error.findings
    return "accept", ()


def _verdict(findings: tuple[Finding, ...]) -> str:
    rules = {finding.rule for finding in findings if finding.severity == "error"}
    if not rules:
        return "accept"
    return "unsupported" if rules <= UNSUPPORTED else "reject"


def _read(case: dict[str, Any], source: Path, tmp_path: Path) -> None:
    with open_bundle(source, digest=case.get("arguments", {}).get("digest")) as bundle:
        for tensor in bundle.tensors.values():
            with suppress(UnsupportedError):  # a shape beyond numpy's
                tensor.numpy()
        for entry in bundle.manifest.files:
            bundle.read(entry.path)


def _unpack(case: dict[str, Any], source: Path, tmp_path: Path) -> None:
    destination = source.parent / case.get("arguments", {}).get("destination", "out")
    before = listing(destination)
    try:
        unpack(source, destination)
    except FileExistsError as error:
        raise BundleError([Finding("UNP-01", str(error), "nothing there", "something")]) from error
    finally:
        if case["expected"]["verdict"] != "accept":
            assert listing(destination) == before, "something was left behind"


def _pack(case: dict[str, Any], source: Path, tmp_path: Path) -> None:
    given = [source / name for name in case["arguments"]["sources"]]
    destination = tmp_path / "packed.modelbundle"
    try:
        digest = pack(given, destination)
    except BaseException:
        assert not list(tmp_path.glob("*packed*")), "something was left behind"
        raise
    assert digest == answer_of(case["id"])["digest"]
    assert validate(destination).findings == ()


def _copy(case: dict[str, Any], source: Path, tmp_path: Path) -> None:
    destination = tmp_path / "copied"
    as_directory = case["arguments"]["layout"] == "directory"
    try:
        digest = copy(source, destination, directory=as_directory)
    except BaseException:
        assert not list(tmp_path.glob("*copied*")), "something was left behind"
        raise
    files = sorted(path for path in destination.rglob("*") if path.is_file()) or [destination]
    found = {
        path.relative_to(destination).as_posix(): digest_of(path.read_bytes()) for path in files
    }
    found = {"" if path == "." else path: value for path, value in found.items()}
    assert answer_of(case["id"]) == {"digest": digest, "copy": found}


def digest_of(data: bytes | memoryview) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def allows(expected: dict[str, Any], finding: Finding) -> bool:
    return finding.rule in expected["rules"] and finding.place.startswith(expected["place"])


@functools.cache
def accepts(id: str, tmp: Path) -> bool:
    folder = tmp / id.replace("/", "--")
    folder.mkdir()
    case, place = load(id), prepared(id, folder)
    with within_limits(case, place):
        verdict, _ = outcome(case, place, folder)
    shutil.rmtree(folder)
    return verdict == "accept"


@pytest.fixture(scope="session")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bool]:
    folder = tmp_path_factory.mktemp("twins")
    return lambda id: accepts(id, folder)


def test_there_are_cases() -> None:
    assert len(VALID) >= 120
    assert len(INVALID) >= 200


def test_each_case_follows_its_schema() -> None:
    schema = Draft202012Validator(json.loads(SCHEMA.read_text("utf-8")))
    for id in IDS:
        assert not list(schema.iter_errors(load(id))), id
        assert load(id)["id"] == id


@pytest.mark.parametrize("id", INVALID)
def test_invalid(id: str, tmp_path: Path, twins: Callable[[str], bool]) -> None:
    case = load(id)
    folder = prepared(id, tmp_path)
    with within_limits(case, folder):
        verdict, findings = outcome(case, folder, tmp_path)
    shown = "\n".join(map(str, findings)) or "no finding"
    assert verdict == case["expected"]["verdict"], shown
    for expected in case["expected"]["findings"]:
        assert any(allows(expected, finding) for finding in findings), shown
    assert all(text.isprintable() for finding in findings for text in finding.to_json().values())
    assert twins(case["twin"]), f"the twin {case['twin']} is refused"


VALIDATED = [id for id in IDS if OPERATION[id] == "validate"]
STOPS = [id for id in VALIDATED if load(id)["expected"].get("phase") in STRUCTURAL]


@pytest.mark.parametrize("id", STOPS)
def test_a_reader_stops_too(id: str, tmp_path: Path) -> None:
    case = load(id)
    folder = prepared(id, tmp_path)
    with pytest.raises(BundleError), open_bundle(folder / case["input"]) as bundle:
        assert len(bundle.index) >= 0
        assert bundle.compositions is not None


STRUCTURE = [
    id for id in IDS if OPERATION[id] == "validate" and "large" not in load(id)["features"]
]


@pytest.mark.parametrize("id", STRUCTURE)
def test_structure_is_seen_without_data(id: str, tmp_path: Path) -> None:
    """The phase is right: what is not structure needs the data of files, and only that does."""
    case = load(id)
    report = validate(prepared(id, tmp_path) / case["input"], structure=True)
    phase = case["expected"].get("phase")
    assert report.ok == (phase in (None, "bytes", "sources")), report.findings


READ = [id for id in VALID if OPERATION[id] not in ("pack", "copy") and not id.startswith("large/")]


@pytest.mark.parametrize("id", READ)
def test_valid(id: str, tmp_path: Path) -> None:
    case, expected = load(id), answer_of(id)
    folder = prepared(id, tmp_path)
    with within_limits(case, folder):
        verdict, findings = outcome(case, folder, tmp_path)
        assert (verdict, findings) == ("accept", ())
        with open_bundle(folder / case["input"]) as bundle:
            assert read_answer(bundle) == expected
            check_unpacked(bundle, tmp_path / "unpacked", expected)


def read_answer(bundle: Bundle) -> dict[str, Any]:
    tensors = []
    for name, tensor in bundle.tensors.items():
        with suppress(UnsupportedError):  # a shape beyond numpy's
            tensor.numpy()
        tensors.append({"name": name, "dtype": tensor.dtype, "shape": list(tensor.shape),
                        "role": tensor.role, "digest": digest_of(tensor.data())})  # fmt: skip
    files = [{"path": f.path, "size": f.size, "digest": f.digest, "role": f.role}
             for f in bundle.manifest.files]  # fmt: skip
    return {"digest": bundle.digest, "files": files, "tensors": tensors}


def check_unpacked(bundle: Bundle, folder: Path, expected: dict[str, Any]) -> None:
    unpack(bundle, folder)
    found = {
        path.relative_to(folder).as_posix(): digest_of(path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert found == {f["path"]: f["digest"] for f in expected["files"] if f["role"] == "source"}


OTHER = [id for id in VALID if id not in READ]


@pytest.mark.parametrize("id", OTHER)
def test_valid_other(id: str, twins: Callable[[str], bool]) -> None:
    assert twins(id)


def test_derived_tensors_are_aligned() -> None:
    """WRT-07: each tensor of a derived file begins at a multiple of its elements' width."""
    with open_bundle(CASES / "sources" / "hdf5-decoded" / "bundle.modelbundle") as bundle:
        rows = [tensor.row for tensor in bundle.tensors.values()]
    derived = [row for row in rows if row.file.endswith(".derived/tensors.safetensors")]
    assert len(derived) >= 3
    assert all(8 * row.offset % (element_bits(row.dtype) or 8) == 0 for row in derived)
