"""Cases of source formats: packing the fixtures of `conformance/sources/`, and bundles of them.

The sound fixtures are packed with the reference, which is the writer of these bundles. A broken
fixture is refused when it is packed and, put in the place of the sound one in a bundle whose
sizes and digests follow, when that bundle is validated at level Full.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgpack

from generator import raw
from generator.archives import archive
from generator.cases import ARCHIVE, Case, Suite, Twin, document, header, refusal
from generator.edits import column, drop, put
from generator.raw import Change, Stored
from generator.source_fixtures import BROKEN_FIXTURES, SOUND_FIXTURES

FIXTURES = Path(__file__).resolve().parents[1] / "sources"
sys.path.insert(0, str(FIXTURES.parents[1] / "reference"))
SOURCE = "source"
HOSTILE = (
    "Files of models come from strangers, and their libraries have been attacked through them."
)
SOUND = "Every reader has to give out the same tensors as the library of the format."

ROOTS = {
    "hdf5": "net.h5", "keras-hdf5": "net.h5", "keras-archive": "net.keras", "checkpoint": "ckpt-1",
    "saved-model": "net", "safetensors": "net.safetensors", "keras-config": "net.json",
    "keras-model": "model", "onnx": "net.onnx", "stablehlo": "net.stablehlo", "tflite": "net.tflite", "golden": "vectors.golden",
}  # fmt: skip
OTHER_ROOTS = {
    "keras-hdf5/weights-v3": "net.weights.h5", "keras-hdf5/sharded": "net.weights.json",
    "keras-hdf5/shard": "net.weights.json", "safetensors/shard": "m.safetensors.index.json",
    "unknown/text": "net.txt", "unknown/pickle": "net.bin",
}  # fmt: skip


def add(suite: Suite) -> None:
    """Add the cases to `suite`."""
    for fixture, (title, rules) in SOUND_FIXTURES.items():
        _packed(suite, fixture, title, rules)
    for fixture, title, rules, twin in BROKEN_FIXTURES:
        _refused(suite, fixture, title, rules, twin)
        if _replaceable(fixture, twin):
            _replaced(suite, fixture, title, rules, twin)
    _several(suite)
    _recipes(suite)
    _disagreements(suite)


def root_of(fixture: str) -> str:
    """What is given to a Writer: the name of the source in the fixture's folder."""
    special = (root for prefix, root in OTHER_ROOTS.items() if fixture.startswith(prefix))
    return next(special, None) or ROOTS[fixture.split("/", maxsplit=1)[0]]


def files_of(fixture: str) -> dict[str, bytes]:
    """The files of a fixture by path."""
    folder = FIXTURES / fixture
    found = {p.relative_to(folder).as_posix(): p for p in sorted(folder.rglob("*")) if p.is_file()}
    return {path: file.read_bytes() for path, file in found.items()}


def name_of(fixture: str) -> str:
    """The name of the fixture's cases within their area."""
    return fixture.replace("/", "-")


@dataclass(frozen=True)
class Loaded:
    """A bundle that the reference wrote, and what a Reader answers for it."""

    stored: Stored
    answer: dict[str, Any]

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest's value."""
        value: dict[str, Any] = json.loads(self.stored[raw.MANIFEST])
        return value

    @property
    def index(self) -> dict[str, Any]:
        """The index's value."""
        value: dict[str, Any] = msgpack.unpackb(self.stored[raw.TENSORS])
        return value

    def make(self, stage: str, change: Change | None) -> Stored:
        """The stored files with `change` applied at `stage`; sizes and digests follow."""
        files = {path: data for path, data in self.stored.items() if path != raw.MANIFEST}
        index, manifest = self.index, self.manifest
        if stage == "files" and change is not None:
            files = change(files)
            _renew_digests(index, files)
        if stage == "index" and change is not None:
            index = change(index) or index
        files[raw.TENSORS] = raw.canonical_msgpack(index)
        for entry in manifest["files"]:
            if entry["path"] in files:
                data = files[entry["path"]]
                entry |= {"size": len(data), "digest": raw.digest(data)}
        if stage == "manifest" and change is not None:
            manifest = change(manifest) or manifest
        return {raw.MANIFEST: raw.canonical_json(manifest)} | files


def _renew_digests(index: dict[str, Any], files: Mapping[str, bytes]) -> None:
    columns = [
        memoryview(index[name]).cast(code).tolist()
        for name, code in (("file", "I"), ("offset", "Q"), ("length", "Q"))
    ]
    ranges = zip(*columns, strict=True)
    pieces = [files[index["files"][file]][at : at + size] for file, at, size in ranges]
    index["digest"] = b"".join(hashlib.sha256(piece).digest() for piece in pieces)


@cache
def loaded(*fixtures: str) -> Loaded:
    """The bundle that the reference makes of fixtures."""
    return _packed_by_reference([FIXTURES / fixture / root_of(fixture) for fixture in fixtures])


@cache
def loaded_from(fixture: str, *roots: str) -> Loaded:
    """The bundle that the reference makes of some of the files of a fixture."""
    return _packed_by_reference([FIXTURES / fixture / root for root in roots])


def _packed_by_reference(sources: Sequence[Path]) -> Loaded:
    from modelbundle.bundle import open_bundle
    from modelbundle.packing import pack

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "bundle"
        pack(sources, out, directory=True)
        with open_bundle(out) as bundle:
            names = [raw.MANIFEST, *(entry.path for entry in bundle.manifest.stored)]
            rows = [bundle.index.row(number) for number in range(len(bundle.index))]
            answer = {
                "digest": bundle.digest,
                "files": [{"path": f.path, "size": f.size, "digest": f.digest, "role": f.role}
                          for f in bundle.manifest.files],
                "tensors": [{"name": r.name, "dtype": r.dtype, "shape": list(r.shape),
                             "role": r.role, "digest": r.digest} for r in rows],
            }  # fmt: skip
        return Loaded({name: (out / name).read_bytes() for name in names}, answer)


def _source_files(fixture: str) -> dict[str, bytes]:
    return {f"{SOURCE}/{path}": data for path, data in files_of(fixture).items()}


def _pack_case(
    id: str,
    title: str,
    rules: Sequence[str],
    why: str,
    expected: Mapping[str, Any],
    roots: Sequence[str],
    twin: str | None = None,
    recipe: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    made = Twin(lambda stage, change: {}, "source", recipe, ["pack"], "full")
    data = header(id, title, rules, why, made, expected, twin=twin, operation="pack", role="Writer")
    return data | {"input": SOURCE, "arguments": {"sources": list(roots)}}


def _packed(suite: Suite, fixture: str, title: str, rules: Sequence[str]) -> None:
    bundle, name = loaded(fixture), name_of(fixture)
    expected = document(bundle.answer)
    data = _pack_case(
        f"pack/{name}",
        f"{title} is packed",
        ["WRT-01", *rules],
        SOUND,
        {"verdict": "accept"},
        [root_of(fixture)],
    )
    suite.add(
        Case(
            f"pack/{name}",
            data | {"writer": "modelbundle"},
            _source_files(fixture) | {"expected.json": expected},
        )
    )
    twin = Twin(bundle.make, "archive", (), [fixture.split("/", maxsplit=1)[0]], "full")
    suite.twins[f"sources/{name}"] = twin
    data = header(
        f"sources/{name}", f"{title} in a bundle", rules, SOUND, twin, {"verdict": "accept"}
    )
    files = {ARCHIVE: archive(bundle.stored), "expected.json": expected}
    suite.add(Case(f"sources/{name}", data | {"writer": "modelbundle"}, files))


def _refused(suite: Suite, fixture: str, title: str, rules: Sequence[str], twin: str) -> None:
    id = f"pack/{name_of(fixture)}"
    about = {"unknown/pickle": ["SEC-01"], "hdf5/vlen-strings": ["WRT-04"]}.get(fixture, [])
    data = _pack_case(
        id,
        title,
        [*rules[:1], *about],
        HOSTILE,
        refusal(rules, "", "operation"),
        [root_of(fixture)],
        f"pack/{name_of(twin)}",
    )
    suite.add(Case(id, data, _source_files(fixture)))


def _replaceable(fixture: str, twin: str) -> bool:
    """Whether the broken files can stand in the twin's bundle: same paths, all stored, none shorter."""
    stored, old, new = loaded(twin).stored, files_of(twin), files_of(fixture)
    if not new.keys() == old.keys() <= stored.keys():
        return False
    return all(len(new[path]) >= len(old[path]) for path in new)


def _replaced(suite: Suite, fixture: str, title: str, rules: Sequence[str], twin: str) -> None:
    suite.invalid(
        f"sources/{name_of(fixture)}",
        f"{title}, in a bundle",
        twin=f"sources/{name_of(twin)}",
        stage="files",
        change=lambda files: files | files_of(fixture),
        rules=rules[:1],
        also=rules[1:],
        place="",
        phase="sources",
        why=HOSTILE,
    )


def _several(suite: Suite) -> None:
    """Several sources in one bundle; the order in which they are given is no matter."""
    fixtures = ("keras-archive/keras3", "keras-hdf5/weights-v3")
    files = {path: data for fixture in fixtures for path, data in _source_files(fixture).items()}
    for id, order in (("several", (0, 1)), ("several-reversed", (1, 0))):
        roots = [root_of(fixtures[at]) for at in order]
        data = _pack_case(
            f"pack/{id}",
            f"A model and its weights, given as {' and '.join(roots)}",
            ["WRT-01", "WRT-05", "WRT-06"],
            "Whatever the order, equal bytes are stored once and the digest is one.",
            {"verdict": "accept"},
            roots,
        )
        expected = document(loaded(*fixtures).answer)
        suite.add(
            Case(
                f"pack/{id}", data | {"writer": "modelbundle"}, files | {"expected.json": expected}
            )
        )
    data = _pack_case(
        "pack/same-name",
        "The same source twice",
        ["SRC-05"],
        "Two files cannot have one path.",
        refusal(["SRC-05"], "", "operation"),
        [root_of(fixtures[1])] * 2,
        "pack/keras-hdf5-weights-v3",
    )
    suite.add(Case("pack/same-name", data, _source_files(fixtures[1])))


def _recipes(suite: Suite) -> None:
    """Sources that no repository can hold, or that are named as no bundle can name them."""
    plain, root = "safetensors/plain", "net.safetensors"
    cases: Iterator[tuple[str, str, list[str], list[dict[str, str]], str]] = iter(
        [
            (
                "missing",
                "A source that is not there",
                ["SRC-04"],
                [{"do": "remove", "path": f"{SOURCE}/{root}"}],
                root,
            ),
            (
                "fifo",
                "A pipe",
                ["SRC-03"],
                [
                    {"do": "remove", "path": f"{SOURCE}/{root}"},
                    {"do": "fifo", "path": f"{SOURCE}/{root}"},
                ],
                root,
            ),
            (
                "socket",
                "A socket",
                ["SRC-03"],
                [
                    {"do": "remove", "path": f"{SOURCE}/{root}"},
                    {"do": "socket", "path": f"{SOURCE}/{root}"},
                ],
                root,
            ),
            (
                "name",
                "A file whose name is no bundle path",
                ["SRC-03", "PTH-02"],
                [{"do": "move", "path": f"{SOURCE}/{root}", "to": f"{SOURCE}/a:b.safetensors"}],
                "a:b.safetensors",
            ),
            (
                "index-name",
                "A source named like the tensor index",
                ["SRC-05"],
                [{"do": "move", "path": f"{SOURCE}/{root}", "to": f"{SOURCE}/tensors.msgpack"}],
                "tensors.msgpack",
            ),
        ]
    )
    for id, title, rules, recipe, given in cases:
        data = _pack_case(
            f"pack/source-{id}",
            title,
            rules[:1],
            "A source is files, and nothing else.",
            refusal(rules, "", "operation"),
            [given],
            f"pack/{name_of(plain)}",
            recipe,
        )
        suite.add(Case(f"pack/source-{id}", data, _source_files(plain)))
    link = [{"do": "move", "path": f"{SOURCE}/net/assets/words.txt", "to": "words.txt"},
            {"do": "symlink", "path": f"{SOURCE}/net/assets/words.txt", "target": "../../../words.txt"}]  # fmt: skip
    data = _pack_case(
        "pack/source-symlink",
        "A directory with a symbolic link in it",
        ["SRC-03"],
        "A link can lead to any file of the machine.",
        refusal(["SRC-03"], "", "operation"),
        ["net"],
        "pack/saved-model-module",
        link,
    )
    suite.add(Case("pack/source-symlink", data, _source_files("saved-model/module")))


def _disagreements(suite: Suite) -> None:
    """Bundles whose index, requirements or derived documents are not what the source says."""
    why = "What the index says of a file has to be what the file says."
    table: Sequence[tuple[str, str, str, str, Change, Sequence[str], str]] = (
        ("dtypes", "The dtypes of two tensors exchanged", "safetensors-dtypes", "index", _exchanged_dtypes, ["COM-06"], "sources"),
        ("shape", "A transposed shape", "hdf5-plain", "index", column("shape", [3, 2]), ["COM-06"], "sources"),
        ("name", "Another name of a tensor", "hdf5-plain", "index", put("/namespaces/0/names/0", "kernal"), ["COM-06"], "sources"),
        ("row-missing", "A tensor without a name in the namespace", "hdf5-plain", "index", _without_row, ["COM-06"], "sources"),
        ("layers-missing", "A layer that is not required", "keras-config-keras2", "manifest", drop("/requirements/layers/0"), ["REQ-03"], "sources"),
        ("layers-extra", "A layer that no config has", "keras-config-keras2", "manifest", put("/requirements/layers/-", "ZeroPadding9D"), ["REQ-03"], "sources"),
        ("ops-extra", "An op that no graph has", "onnx-raw", "manifest", put("/requirements/ops", ["MatMul"]), ["REQ-03"], "sources"),
        ("graph-shape", "An argument of another shape than its tensor", "stablehlo-plain", "files", lambda files: files | files_of("stablehlo/shape"), ["SHL-04"], "sources"),
        ("graph-namespace", "An argument under another name", "stablehlo-plain", "index", put("/namespaces/0/names/0", "karnel"), ["SHL-03", "COM-06"], "sources"),
        ("graph-signature", "Another signature than the graph's", "stablehlo-plain", "manifest", put("/signatures/0/name", "g"), ["SHL-05"], "sources"),
        ("graph-version", "Another version than the graph's", "stablehlo-plain", "manifest", put("/components/0/properties/format_version", "0.1.0"), ["SHL-05"], "sources"),
        ("topology", "A topology that is no topology", "keras-config-keras2", "files", lambda files: files | {TOPOLOGY: b"{}"}, ["COM-07"], "documents"),
        ("topology-text", "A topology with a line end", "keras-config-keras2", "files", _spaced, ["JSN-07"], "documents"),
    )  # fmt: skip
    for id, title, twin, stage, change, rules, phase in table:
        suite.invalid(
            f"sources/disagree-{id}",
            title,
            twin=f"sources/{twin}",
            stage=stage,
            change=change,
            rules=rules,
            place="",
            phase=phase,
            why=why,
        )


TOPOLOGY = "net.json.derived/topology.json"


def _without_row(value: dict[str, Any]) -> None:
    space = value["namespaces"][0]
    space |= {"tensors": space["tensors"][4:], "names": space["names"][1:]}


def _exchanged_dtypes(value: dict[str, Any]) -> None:
    """Exchange the dtypes of the rows `i8` and `u8`, which have one width."""
    codes, one, two = (
        bytearray(value["dtype"]),
        value["names"].index("i8"),
        value["names"].index("u8"),
    )
    codes[one], codes[two] = codes[two], codes[one]
    value["dtype"] = bytes(codes)


def _spaced(files: dict[str, bytes]) -> dict[str, bytes]:
    return files | {TOPOLOGY: files[TOPOLOGY] + b"\n"}
