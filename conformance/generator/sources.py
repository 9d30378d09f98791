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
from generator.cases import ARCHIVE, Case, Suite, Twin, document, header, refusal
from generator.edits import column, drop, put
from generator.raw import Change, Stored

FIXTURES = Path(__file__).resolve().parents[1] / "sources"
sys.path.insert(0, str(FIXTURES.parents[1] / "reference"))
SOURCE = "source"
HOSTILE = "Files of models come from strangers, and their libraries have been attacked through them."
SOUND = "Every reader has to give out the same tensors as the library of the format."

ROOTS = {
    "hdf5": "net.h5", "keras-hdf5": "net.h5", "keras-archive": "net.keras", "checkpoint": "ckpt-1",
    "saved-model": "net", "safetensors": "net.safetensors", "keras-config": "net.json",
    "onnx": "net.onnx", "tflite": "net.tflite",
}  # fmt: skip
OTHER_ROOTS = {
    "keras-hdf5/weights-v3": "net.weights.h5", "keras-hdf5/sharded": "net.weights.json",
    "keras-hdf5/shard": "net.weights.json", "safetensors/shard": "m.safetensors.index.json",
    "unknown/text": "net.txt", "unknown/pickle": "net.bin",
}  # fmt: skip

_SOUND: Mapping[str, tuple[str, Sequence[str]]] = {
    "hdf5/plain": ("An HDF5 file", ["COM-06"]),
    "hdf5/latest": ("An HDF5 file of the newest format", ["HDF-08"]),
    "hdf5/types": ("An HDF5 file with every type that has a dtype", ["HDF-06"]),
    "hdf5/decoded": ("Chunked, compressed and big-endian datasets", ["HDF-05", "HDF-09", "WRT-07"]),
    "hdf5/attributes": ("An HDF5 file with attributes", ["HDF-07"]),
    "hdf5/alias": ("A dataset with two paths", ["HDF-10"]),
    "keras-hdf5/model": ("A Keras 2 model in HDF5", ["KHF-01", "KHF-02"]),
    "keras-hdf5/weights-v3": ("Weights as Keras 3 saves them", ["KHF-01"]),
    "keras-hdf5/sharded": ("Weights in shards", ["KHF-03"]),
    "keras-archive/keras3": ("A .keras file of Keras 3", ["KAR-01", "KAR-06", "WRT-05"]),
    "keras-archive/keras2": ("A .keras file of tf_keras", ["KAR-01", "KAR-06"]),
    "keras-archive/deflated": ("A .keras file whose members are deflated", ["KAR-04", "KAR-05"]),
    "checkpoint/object": ("A TensorFlow checkpoint with object graph and strings", ["TFC-01", "TFC-07"]),
    "checkpoint/plain": ("A checkpoint of one tensor", ["TFC-01", "TFC-03"]),
    "checkpoint/graph": ("A checkpoint of an object graph alone", ["TFC-07"]),
    "saved-model/module": ("A SavedModel with an asset and a signature", ["SVM-01", "SVM-02"]),
    "safetensors/plain": ("A safetensors file", ["STF-01", "STF-02"]),
    "safetensors/metadata": ("A safetensors file with metadata", ["STF-01"]),
    "safetensors/dtypes": ("A safetensors file of many dtypes", ["STF-03"]),
    "safetensors/empty": ("A safetensors file without tensors", ["STF-01"]),
    "safetensors/sharded": ("A set of safetensors files", ["STF-04"]),
    "keras-config/keras3": ("A Keras 3 config with a shared layer", ["KCF-01", "KCF-03"]),
    "keras-config/keras2": ("A Keras 2 config", ["KCF-01"]),
    "keras-config/nan": ("A config with NaN and Infinity", ["KCF-01"]),
    "onnx/raw": ("An ONNX model", ["ONX-01", "ONX-03"]),
    "onnx/external": ("An ONNX model with external data", ["ONX-02"]),
    "tflite/plain": ("A TensorFlow Lite model", ["TFL-01"]),
}  # fmt: skip

_BROKEN: Sequence[tuple[str, str, Sequence[str], str]] = (
    ("hdf5/external-storage", "A dataset that is in another file", ["HDF-01"], "hdf5/plain"),
    ("hdf5/external-link", "A link to another file", ["HDF-02"], "hdf5/plain"),
    ("hdf5/soft-link", "A soft link", ["HDF-03"], "hdf5/plain"),
    ("hdf5/dangling-link", "A soft link that leads nowhere", ["HDF-03"], "hdf5/plain"),
    ("hdf5/virtual", "A virtual dataset", ["HDF-04"], "hdf5/plain"),
    ("hdf5/lzf", "A filter that h5py brings along", ["HDF-05"], "hdf5/plain"),
    ("hdf5/scale-offset", "A filter that loses bits", ["HDF-05"], "hdf5/plain"),
    ("hdf5/vlen-strings", "Strings of variable length", ["HDF-06"], "hdf5/plain"),
    ("hdf5/vlen-arrays", "Arrays of variable length", ["HDF-06"], "hdf5/plain"),
    ("hdf5/references", "References to objects", ["HDF-06"], "hdf5/plain"),
    ("hdf5/compound", "A compound type", ["HDF-06"], "hdf5/plain"),
    ("hdf5/attribute-type", "layer_names that are numbers", ["HDF-07"], "hdf5/plain"),
    ("hdf5/superblock-version", "A superblock of an unknown version", ["HDF-08"], "hdf5/plain"),
    ("hdf5/tree-signature", "A B-tree without its signature", ["HDF-08"], "hdf5/plain"),
    ("hdf5/heap-signature", "A heap without its signature", ["HDF-08"], "hdf5/plain"),
    ("hdf5/node-signature", "A symbol table node without its signature", ["HDF-08"], "hdf5/plain"),
    ("hdf5/truncated", "The last bytes are missing", ["HDF-08"], "hdf5/plain"),
    ("hdf5/truncated-early", "All but the first bytes are missing", ["HDF-08"], "hdf5/plain"),
    ("hdf5/shape-bomb", "A shape of 12 TiB over 24 bytes", ["HDF-09"], "hdf5/plain"),
    ("hdf5/shape-overflow", "A shape whose product overflows", ["HDF-09"], "hdf5/plain"),
    ("hdf5/shape-smaller", "A shape of fewer elements than are stored", ["HDF-09"], "hdf5/plain"),
    ("hdf5/unwritten-bomb", "4 TiB of chunks that were never written", ["HDF-09"], "hdf5/plain"),
    ("hdf5/group-cycle", "A group that holds itself", ["HDF-10"], "hdf5/plain"),
    ("hdf5/root-cycle", "A group that holds the root", ["HDF-10"], "hdf5/plain"),
    ("keras-hdf5/layer-missing", "layer_names names a layer that is not there", ["KHF-01"], "keras-hdf5/model"),
    ("keras-hdf5/weight-missing", "weight_names names a weight that is not there", ["KHF-01"], "keras-hdf5/model"),
    ("keras-hdf5/config-no-json", "A config as Python prints it", ["KHF-02"], "keras-hdf5/model"),
    ("keras-hdf5/config-truncated", "A config without its last character", ["KHF-02"], "keras-hdf5/model"),
    ("keras-hdf5/shard-missing", "A shard is missing", ["KHF-03"], "keras-hdf5/sharded"),
    ("keras-hdf5/shard-escapes", "A shard in another directory", ["KHF-03"], "keras-hdf5/sharded"),
    ("keras-hdf5/shard-lacks-tensor", "The map names weights that no shard has", ["KHF-03"], "keras-hdf5/sharded"),
    ("keras-archive/bytes-before", "Bytes before the first member", ["KAR-01", "SRC-01"], "keras-archive/keras3"),
    ("keras-archive/bytes-after", "A byte after the end record", ["KAR-01"], "keras-archive/keras3"),
    ("keras-archive/local-name", "A local header with another name", ["KAR-01"], "keras-archive/keras3"),
    ("keras-archive/second-disk", "An archive of two disks", ["KAR-01"], "keras-archive/keras3"),
    ("keras-archive/member-count", "Another number of members", ["KAR-01"], "keras-archive/keras3"),
    ("keras-archive/traversal", "A member ../evil.txt", ["KAR-02"], "keras-archive/keras3"),
    ("keras-archive/absolute", "A member with an absolute path", ["KAR-02"], "keras-archive/keras3"),
    ("keras-archive/backslash", "A member with a backslash", ["KAR-02"], "keras-archive/keras3"),
    ("keras-archive/device", "A member named like a device", ["KAR-02"], "keras-archive/keras3"),
    ("keras-archive/duplicate", "A second config.json", ["KAR-03"], "keras-archive/keras3"),
    ("keras-archive/bzip2", "Members compressed with bzip2", ["KAR-04"], "keras-archive/keras3"),
    ("keras-archive/lzma", "Members compressed with LZMA", ["KAR-04"], "keras-archive/keras3"),
    ("keras-archive/encrypted", "Encrypted members", ["KAR-04"], "keras-archive/keras3"),
    ("keras-archive/wrong-crc", "A member with another CRC", ["KAR-05"], "keras-archive/keras3"),
    ("keras-archive/size-lie", "A member that inflates beyond its size", ["KAR-05"], "keras-archive/keras3"),
    ("keras-archive/no-config", "No config.json", ["KAR-06", "SRC-01"], "keras-archive/keras3"),
    ("keras-archive/no-weights", "No weights", ["KAR-06"], "keras-archive/keras3"),
    ("checkpoint/magic", "Another magic number", ["TFC-01"], "checkpoint/plain"),
    ("checkpoint/block-crc", "A block that has not its CRC", ["TFC-01"], "checkpoint/plain"),
    ("checkpoint/truncated-index", "The end of the table is missing", ["TFC-01"], "checkpoint/plain"),
    ("checkpoint/key-order", "Keys in another order", ["TFC-01"], "checkpoint/plain"),
    ("checkpoint/snappy", "A compressed block", ["TFC-01"], "checkpoint/plain"),
    ("checkpoint/shard-missing", "The shard is missing", ["TFC-02"], "checkpoint/plain"),
    ("checkpoint/two-shards-one-there", "One of two shards is missing", ["TFC-02"], "checkpoint/plain"),
    ("checkpoint/wrong-crc", "An entry with another CRC", ["TFC-03"], "checkpoint/plain"),
    ("checkpoint/data-flipped", "A bit of a tensor is flipped", ["TFC-03"], "checkpoint/plain"),
    ("checkpoint/past-end", "A tensor that ends after its shard", ["TFC-04"], "checkpoint/plain"),
    ("checkpoint/negative-offset", "A negative offset", ["TFC-04"], "checkpoint/plain"),
    ("checkpoint/size-wrong", "A size that is not shape × width", ["TFC-04"], "checkpoint/plain"),
    ("checkpoint/shape-bomb", "A shape whose product overflows", ["TFC-04"], "checkpoint/plain"),
    ("checkpoint/variant", "A variant", ["TFC-05"], "checkpoint/plain"),
    ("checkpoint/resource", "A resource", ["TFC-05"], "checkpoint/plain"),
    ("checkpoint/dtype-unknown", "An unknown dtype", ["TFC-05"], "checkpoint/plain"),
    ("checkpoint/big-endian", "A big-endian checkpoint", ["TFC-06"], "checkpoint/plain"),
    ("checkpoint/version", "A checkpoint of a later version", ["TFC-06"], "checkpoint/plain"),
    ("checkpoint/graph-child", "An object graph with a child that is not there", ["TFC-07"], "checkpoint/graph"),
    ("checkpoint/graph-wire", "An object graph that is no message", ["TFC-07"], "checkpoint/graph"),
    ("checkpoint/graph-not-utf-8", "An object graph with a name that is no UTF-8", ["TFC-07"], "checkpoint/graph"),
    ("checkpoint/slice-missing", "A slice of a variable is missing", ["TFC-08"], "checkpoint/plain"),
    ("saved-model/truncated", "saved_model.pb without its last bytes", ["SVM-01"], "saved-model/module"),
    ("saved-model/wire-type", "saved_model.pb with an unknown wire type", ["SVM-01"], "saved-model/module"),
    ("saved-model/asset-missing", "An asset is missing", ["SVM-02"], "saved-model/module"),
    ("saved-model/asset-escapes", "An asset outside the SavedModel", ["SVM-02"], "saved-model/module"),
    ("saved-model/asset-absolute", "An asset with an absolute path", ["SVM-02"], "saved-model/module"),
    ("saved-model/variables-missing", "The table of variables is missing", ["SVM-03", "TFC-01"], "saved-model/module"),
    ("saved-model/keras-metadata", "Keras metadata that are no message", ["SVM-04"], "saved-model/module"),
    ("safetensors/header-length", "A header of 1 TiB", ["STF-01", "SRC-01"], "safetensors/plain"),
    ("safetensors/header-truncated", "A file that ends within its header", ["STF-01", "SRC-01"], "safetensors/plain"),
    ("safetensors/header-no-json", "A header without its last character", ["STF-01"], "safetensors/plain"),
    ("safetensors/header-duplicate", "A tensor twice", ["STF-01"], "safetensors/plain"),
    ("safetensors/header-trailing", "Text after the header", ["STF-01"], "safetensors/plain"),
    ("safetensors/header-member", "A member that the format does not have", ["STF-01"], "safetensors/plain"),
    ("safetensors/range-outside", "A range beyond the data", ["STF-02"], "safetensors/plain"),
    ("safetensors/range-overlap", "Ranges that overlap", ["STF-02"], "safetensors/plain"),
    ("safetensors/range-hole", "Bytes that no tensor has", ["STF-02"], "safetensors/plain"),
    ("safetensors/range-backwards", "A range that ends before it begins", ["STF-02"], "safetensors/plain"),
    ("safetensors/range-length", "A range that is not shape × width", ["STF-02"], "safetensors/plain"),
    ("safetensors/shape-overflow", "A shape whose product overflows", ["STF-02"], "safetensors/plain"),
    ("safetensors/dtype-unknown", "An unknown dtype", ["STF-03"], "safetensors/plain"),
    ("safetensors/shard-missing", "A shard is missing", ["STF-04"], "safetensors/sharded"),
    ("safetensors/shard-escapes", "A shard in another directory", ["STF-04"], "safetensors/sharded"),
    ("safetensors/shard-swapped", "The map names the other shard", ["STF-04"], "safetensors/sharded"),
    ("keras-config/duplicate", "A member twice", ["KCF-01"], "keras-config/keras2"),
    ("keras-config/layers-no-array", "Layers that are a number", ["KCF-01"], "keras-config/keras2"),
    ("keras-config/deep", "Arrays 600 deep", ["KCF-02"], "keras-config/keras2"),
    ("keras-config/node-layer", "A node of a layer that is not there", ["KCF-03"], "keras-config/keras3"),
    ("keras-config/node-tensor", "A node of a tensor that is not there", ["KCF-03"], "keras-config/keras3"),
    ("onnx/truncated", "The last bytes are missing", ["ONX-01"], "onnx/raw"),
    ("onnx/dtype", "An unknown dtype", ["ONX-01"], "onnx/raw"),
    ("onnx/external-missing", "External data are missing", ["ONX-02"], "onnx/external"),
    ("onnx/external-escapes", "External data outside", ["ONX-02"], "onnx/external"),
    ("onnx/external-absolute", "External data with an absolute path", ["ONX-02"], "onnx/external"),
    ("onnx/external-outside", "External data beyond their file", ["ONX-03"], "onnx/external"),
    ("onnx/length", "A length that is not shape × width", ["ONX-03"], "onnx/raw"),
    ("onnx/shape-bomb", "A shape whose product overflows", ["ONX-03"], "onnx/raw"),
    ("tflite/root-outside", "A root outside the file", ["TFL-01"], "tflite/plain"),
    ("tflite/identifier", "Another identifier", ["TFL-01", "SRC-01"], "tflite/plain"),
    ("unknown/text", "A text", ["SRC-01"], "safetensors/plain"),
    ("unknown/pickle", "A pickle, which is never opened", ["SRC-01"], "safetensors/plain"),
)  # fmt: skip


def add(suite: Suite) -> None:
    """Add the cases to `suite`."""
    for fixture, (title, rules) in _SOUND.items():
        _packed(suite, fixture, title, rules)
    for fixture, title, rules, twin in _BROKEN:
        _refused(suite, fixture, title, rules, twin)
        if _replaceable(fixture, twin):
            _replaced(suite, fixture, title, rules, twin)
    _several(suite)
    _recipes(suite)
    _disagreements(suite)


def root_of(fixture: str) -> str:
    """What is given to a Writer: the name of the source in the fixture's folder."""
    special = (root for prefix, root in OTHER_ROOTS.items() if fixture.startswith(prefix))
    return next(special, None) or ROOTS[fixture.split("/")[0]]


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
    columns = [memoryview(index[name]).cast(code).tolist() for name, code in (("file", "I"), ("offset", "Q"), ("length", "Q"))]
    ranges = zip(*columns, strict=True)
    pieces = [files[index["files"][file]][at : at + size] for file, at, size in ranges]
    index["digest"] = b"".join(hashlib.sha256(piece).digest() for piece in pieces)


@cache
def loaded(*fixtures: str) -> Loaded:
    """The bundle that the reference makes of fixtures."""
    from modelbundle.bundle import open_bundle
    from modelbundle.packing import pack

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "bundle"
        pack([FIXTURES / fixture / root_of(fixture) for fixture in fixtures], out, directory=True)
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


def _pack_case(id: str, title: str, rules: Sequence[str], why: str, expected: Mapping[str, Any],
               roots: Sequence[str], twin: str | None = None, recipe: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:  # fmt: skip
    made = Twin(lambda stage, change: {}, "source", recipe, ["pack"], "full")
    data = header(id, title, rules, why, made, expected, twin=twin, operation="pack", role="Writer")
    return data | {"input": SOURCE, "arguments": {"sources": list(roots)}}


def _packed(suite: Suite, fixture: str, title: str, rules: Sequence[str]) -> None:
    bundle, name = loaded(fixture), name_of(fixture)
    expected = document(bundle.answer)
    data = _pack_case(f"pack/{name}", f"{title} is packed", ["WRT-01", *rules], SOUND,
                      {"verdict": "accept"}, [root_of(fixture)])  # fmt: skip
    suite.add(Case(f"pack/{name}", data | {"writer": "modelbundle"}, _source_files(fixture) | {"expected.json": expected}))
    twin = Twin(bundle.make, "archive", (), [fixture.split("/")[0]], "full")
    suite.twins[f"sources/{name}"] = twin
    data = header(f"sources/{name}", f"{title} in a bundle", rules, SOUND, twin, {"verdict": "accept"})
    files = {ARCHIVE: raw.archive(bundle.stored), "expected.json": expected}
    suite.add(Case(f"sources/{name}", data | {"writer": "modelbundle"}, files))


def _refused(suite: Suite, fixture: str, title: str, rules: Sequence[str], twin: str) -> None:
    id = f"pack/{name_of(fixture)}"
    about = {"unknown/pickle": ["SEC-01"], "hdf5/vlen-strings": ["WRT-04"]}.get(fixture, [])
    data = _pack_case(id, title, [*rules[:1], *about], HOSTILE, refusal(rules, "", "operation"),
                      [root_of(fixture)], f"pack/{name_of(twin)}")  # fmt: skip
    suite.add(Case(id, data, _source_files(fixture)))


def _replaceable(fixture: str, twin: str) -> bool:
    """Whether the broken files can stand in the twin's bundle: same paths, all stored, none shorter."""
    stored, old, new = loaded(twin).stored, files_of(twin), files_of(fixture)
    if not new.keys() == old.keys() <= stored.keys():
        return False
    return all(len(new[path]) >= len(old[path]) for path in new)


def _replaced(suite: Suite, fixture: str, title: str, rules: Sequence[str], twin: str) -> None:
    suite.invalid(f"sources/{name_of(fixture)}", f"{title}, in a bundle", twin=f"sources/{name_of(twin)}",
                  stage="files", change=lambda files: files | files_of(fixture), rules=rules[:1],
                  also=rules[1:], place="", phase="sources", why=HOSTILE)  # fmt: skip


def _several(suite: Suite) -> None:
    """Several sources in one bundle; the order in which they are given is no matter."""
    fixtures = ("keras-archive/keras3", "keras-hdf5/weights-v3")
    files = {path: data for fixture in fixtures for path, data in _source_files(fixture).items()}
    for id, order in (("several", (0, 1)), ("several-reversed", (1, 0))):
        roots = [root_of(fixtures[at]) for at in order]
        data = _pack_case(f"pack/{id}", f"A model and its weights, given as {' and '.join(roots)}",
                          ["WRT-01", "WRT-05", "WRT-06"],
                          "Whatever the order, equal bytes are stored once and the digest is one.",
                          {"verdict": "accept"}, roots)  # fmt: skip
        expected = document(loaded(*fixtures).answer)
        suite.add(Case(f"pack/{id}", data | {"writer": "modelbundle"}, files | {"expected.json": expected}))
    data = _pack_case("pack/same-name", "The same source twice", ["SRC-05"],
                      "Two files cannot have one path.", refusal(["SRC-05"], "", "operation"),
                      [root_of(fixtures[1])] * 2, "pack/keras-hdf5-weights-v3")  # fmt: skip
    suite.add(Case("pack/same-name", data, _source_files(fixtures[1])))


def _recipes(suite: Suite) -> None:
    """Sources that no repository can hold, or that are named as no bundle can name them."""
    plain, root = "safetensors/plain", "net.safetensors"
    cases: Iterator[tuple[str, str, list[str], list[dict[str, str]], str]] = iter([
        ("missing", "A source that is not there", ["SRC-04"], [{"do": "remove", "path": f"{SOURCE}/{root}"}], root),
        ("fifo", "A pipe", ["SRC-03"], [{"do": "remove", "path": f"{SOURCE}/{root}"},
                                        {"do": "fifo", "path": f"{SOURCE}/{root}"}], root),
        ("socket", "A socket", ["SRC-03"], [{"do": "remove", "path": f"{SOURCE}/{root}"},
                                            {"do": "socket", "path": f"{SOURCE}/{root}"}], root),
        ("name", "A file whose name is no bundle path", ["SRC-03", "PTH-02"],
         [{"do": "move", "path": f"{SOURCE}/{root}", "to": f"{SOURCE}/a:b.safetensors"}], "a:b.safetensors"),
        ("index-name", "A source named like the tensor index", ["SRC-05"],
         [{"do": "move", "path": f"{SOURCE}/{root}", "to": f"{SOURCE}/tensors.msgpack"}], "tensors.msgpack"),
    ])  # fmt: skip
    for id, title, rules, recipe, given in cases:
        data = _pack_case(f"pack/source-{id}", title, rules[:1], "A source is files, and nothing else.",
                          refusal(rules, "", "operation"), [given], f"pack/{name_of(plain)}", recipe)  # fmt: skip
        suite.add(Case(f"pack/source-{id}", data, _source_files(plain)))
    link = [{"do": "move", "path": f"{SOURCE}/net/assets/words.txt", "to": "words.txt"},
            {"do": "symlink", "path": f"{SOURCE}/net/assets/words.txt", "target": "../../../words.txt"}]  # fmt: skip
    data = _pack_case("pack/source-symlink", "A directory with a symbolic link in it", ["SRC-03"],
                      "A link can lead to any file of the machine.", refusal(["SRC-03"], "", "operation"),
                      ["net"], "pack/saved-model-module", link)  # fmt: skip
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
        ("topology", "A topology that is no topology", "keras-config-keras2", "files", lambda files: files | {TOPOLOGY: b"{}"}, ["COM-07"], "documents"),
        ("topology-text", "A topology with a line end", "keras-config-keras2", "files", _spaced, ["JSN-07"], "documents"),
    )  # fmt: skip
    for id, title, twin, stage, change, rules, phase in table:
        suite.invalid(f"sources/disagree-{id}", title, twin=f"sources/{twin}", stage=stage, change=change,
                      rules=rules, place="", phase=phase, why=why)  # fmt: skip


TOPOLOGY = "net.json.derived/topology.json"


def _without_row(value: dict[str, Any]) -> None:
    space = value["namespaces"][0]
    space |= {"tensors": space["tensors"][4:], "names": space["names"][1:]}


def _exchanged_dtypes(value: dict[str, Any]) -> None:
    """Exchange the dtypes of the rows `i8` and `u8`, which have one width."""
    codes, one, two = bytearray(value["dtype"]), value["names"].index("i8"), value["names"].index("u8")
    codes[one], codes[two] = codes[two], codes[one]
    value["dtype"] = bytes(codes)


def _spaced(files: dict[str, bytes]) -> dict[str, bytes]:
    return files | {TOPOLOGY: files[TOPOLOGY] + b"\n"}
