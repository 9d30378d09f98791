"""The algorithms of the text are those of the reference: composition and rows (chapter 12).

`mini_composer` and `mini_rows` were written from the text alone; random sources have to give the
same files, segments and rows in both.
"""

from __future__ import annotations

import random
from typing import Any

import mini_composer
import mini_rows
import pytest

from modelbundle.core.blobs import BytesBlob
from modelbundle.packing import merge
from modelbundle.packing.compose import compose
from modelbundle.sources.artifact import Artifact, ArtifactFile, ArtifactTensor, Component, Part


def composition_case(seed: int) -> tuple[dict[str, bytes], dict[str, Any], dict[str, Any]]:
    """Files of few distinct tensors and some bytes between them, and one file made of others."""
    rng = random.Random(seed)
    sizes = [0, 1, 40, 64, 255, 256, 257, 300, 512]
    tensors = [rng.randbytes(rng.choice(sizes)) for _ in range(6)]
    files: dict[str, bytes] = {}
    ranges: dict[str, list[tuple[int, int]]] = {}
    for path in rng.sample(["a", "b/c", "Z", "é", "\uff5e", "\U0001f600"], rng.randint(1, 5)):
        data, spans = rng.randbytes(rng.choice([0, 7, 300])), []
        for tensor in rng.choices(tensors, k=rng.randint(0, 6)):
            if tensor:
                spans.append((len(data), len(tensor)))
            data += tensor + rng.randbytes(rng.choice([0, 0, 5]))
        copies = rng.random() < 0.3 and files
        files[path] = rng.choice(list(files.values())) if copies else data
        ranges[path] = [] if copies else spans
    members = rng.sample(list(files), rng.randint(1, len(files)))
    archive, parts = b"", []
    for path in members:
        archive += b"PK"
        parts.append((len(archive), path))
        archive += files[path] + rng.randbytes(rng.choice([0, 9]))
    return {**files, "m.keras": archive}, ranges, {"m.keras": parts}


@pytest.mark.parametrize("seed", range(100))
def test_compositions_of_the_text_are_those_of_the_reference(seed: int) -> None:
    files, ranges, parts = composition_case(seed)
    stored, composed = mini_composer.compose(files, ranges, parts)
    members = {path: tuple(Part(*part) for part in found) for path, found in parts.items()}
    given = [
        ArtifactFile(path, BytesBlob(data), "a/b", parts=members.get(path, ()))
        for path, data in files.items()
    ]
    plan = compose(given, ranges)
    assert {path: blob.read(0, blob.size) for path, blob in plan.stored.items()} == stored
    assert {path: list(segments) for path, segments in plan.composed.items()} == composed
    for path, segments in composed.items():
        assert b"".join(stored[s][at : at + length] for s, at, length in segments) == files[path]


def rows_case(seed: int) -> dict[str, list[mini_rows.Tensor]]:
    """Sources whose tensors share bytes, names, both or neither."""
    rng = random.Random(seed)
    datas = [bytes(4), bytes(300), rng.randbytes(64), rng.randbytes(60), rng.randbytes(300)]
    sources = {}
    known = ["d/k", "n/d/k", "m/d/k", "d/b", "m/n/d/b", "d", "w"]
    for root in rng.sample(["a.h5", "b.keras", "Ckpt-1", "é"], rng.randint(1, 3)):
        tensors: dict[str, mini_rows.Tensor] = {}
        paths = rng.sample(known, len(known))
        for name in rng.sample(["w", "v", "d/k", "d/b", "x#2", "a.h5:w"], rng.randint(0, 5)):
            tensors[name] = mini_rows.Tensor(
                name,
                rng.choice(datas),
                rng.choice(["float32", "float32", "uint8"]),
                rng.choice(["other", "trainable", "optimizer"]),
                {"onnx": name} | ({"keras": paths.pop()} if rng.random() < 0.6 else {}),
                {"of": root} if rng.random() < 0.2 else {},
            )
        sources[root] = list(tensors.values())
    return sources


def artifact(root: str, tensors: list[mini_rows.Tensor]) -> Artifact:
    """The tensors as a source of the reference, one after another in a file."""
    data, found = b"", []
    for tensor in tensors:
        shape = (len(tensor.data) // {"float32": 4, "uint8": 1}[tensor.dtype],)
        at, length = len(data), len(tensor.data)
        told = tensor.role, tensor.names, tensor.attributes
        found.append(ArtifactTensor(tensor.name, tensor.dtype, shape, root, at, length, *told))
        data += tensor.data
    file = ArtifactFile(root, BytesBlob(data), "a/b")
    return Artifact((file,), tuple(found), (Component(root, "test", (root,)),))


@pytest.mark.parametrize("seed", range(100))
def test_rows_of_the_text_are_those_of_the_reference(seed: int) -> None:
    sources = rows_case(seed)
    given = [artifact(root, sources[root]) for root in sorted(sources)]
    spans = {a.files[0].path: [(t.offset, t.length) for t in a.tensors] for a in given}
    plan = compose([a.files[0] for a in given], spans)
    found = merge.merge(given, plan)
    index = merge.build(found)
    expected = mini_rows.rows(sources)
    assert list(index.names) == [name for name, *_ in expected]
    for number, (_, dtype, role, attributes, spaces) in enumerate(expected):
        row = index.row(number)
        assert (row.dtype, row.role) == (dtype, role)
        assert index.attributes.get(number, {}) == attributes
        assert spaces == {
            (space.component, space.system): space.names[space.tensors.tolist().index(number)]
            for space in index.namespaces
            if number in space.tensors
        }
