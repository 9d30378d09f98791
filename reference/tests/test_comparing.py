"""`diff`: files, configs, tensors with norms, the manifest; held against numpy."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import answer_bundles as made
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import modelbundle as mb
from modelbundle.comparing import Difference, diff, tensor_values
from modelbundle.comparing.json_changes import MAX_CHANGES, TEXT_LENGTH, Change, changes


def difference(tmp_path: Path, before: made.Arrays, after: made.Arrays) -> Difference:
    paths = [made.pack_arrays(tmp_path / f"{name}.modelbundle", arrays)
             for name, arrays in (("before", before), ("after", after))]  # fmt: skip
    answer = diff(*paths)
    made.check_answer("diff", answer.to_json())
    return answer


def test_the_same_content_in_two_layouts(tmp_path: Path) -> None:
    source = made.model_h5(tmp_path / "net.h5")
    mb.pack(source, tmp_path / "net.modelbundle")
    mb.pack(source, tmp_path / "folder", directory=True)
    answer = mb.diff(tmp_path / "net.modelbundle", tmp_path / "folder")
    made.check_answer("diff", answer.to_json())
    assert answer.same
    assert answer.tensors.unchanged == 4
    assert answer.files == ()


@pytest.mark.parametrize("dtype", ["f4", "f2", "f8", "i4", "u1", "c8", ml_dtypes.bfloat16])
@pytest.mark.parametrize("chunk", [3, 1 << 18])
def test_norms(tmp_path: Path, dtype: Any, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensor_values, "CHUNK_ELEMENTS", chunk)
    values = np.random.default_rng(0)
    before = (values.normal(size=(4, 5)) * 20 + 40).astype(dtype)
    after = before.copy()
    after[1, 2:4] += np.ones((), dtype)
    answer = difference(tmp_path, {"w": before, "v": before}, {"w": after, "v": before})
    (change,) = answer.tensors.changed
    assert (change.name, answer.tensors.unchanged) == ("w", 1)
    wide = np.complex128 if np.dtype(dtype).kind == "c" else np.float64
    one, two = before.astype(wide), after.astype(wide)
    norms = change.norms
    assert norms is not None
    assert norms.difference == pytest.approx(np.linalg.norm(one - two))
    assert norms.reference == pytest.approx(np.linalg.norm(one))
    assert norms.relative == pytest.approx(np.linalg.norm(one - two) / np.linalg.norm(one))
    assert norms.max_abs == pytest.approx(np.abs(one - two).max())
    assert (norms.differing, norms.elements) == (int((one != two).sum()), 20)


def norms_of(tmp_path: Path, before: Any, after: Any) -> tensor_values.Norms:
    found = difference(tmp_path, {"w": np.array(before)}, {"w": np.array(after)})
    norms = found.tensors.changed[0].norms
    assert norms is not None
    return norms


def test_values_that_are_not_finite(tmp_path: Path) -> None:
    same = norms_of(tmp_path, [np.nan, np.inf, 1.0], [np.nan, np.inf, 2.0])
    assert (same.difference, same.differing) == (1.0, 1)
    other = norms_of(tmp_path, [np.nan, 1.0], [0.0, 1.0])
    assert np.isnan(other.difference)
    assert np.isnan(other.max_abs)
    assert other.differing == 1


def test_zeros_of_two_signs_differ_in_bytes_only(tmp_path: Path) -> None:
    norms = norms_of(tmp_path, [0.0, 1.0], [-0.0, 1.0])
    assert (norms.difference, norms.differing) == (0.0, 1)


def test_nothing_is_relative_to_zero(tmp_path: Path) -> None:
    norms = norms_of(tmp_path, [0.0, 0.0], [3.0, 4.0])
    assert (norms.difference, norms.relative) == (5.0, None)


def test_another_dtype(tmp_path: Path) -> None:
    before = np.array([0.1, 0.5], "f8")
    norms = norms_of(tmp_path, before, before.astype("f4"))
    assert 0 < norms.difference < 1e-8
    assert norms.differing == 1


def test_another_shape_has_no_norms(tmp_path: Path) -> None:
    answer = difference(tmp_path, {"w": np.ones((2, 3))}, {"w": np.zeros((3, 2))})
    (change,) = answer.tensors.changed
    assert change.norms is None
    assert change.value_changed
    assert (change.a.shape, change.b.shape) == ((2, 3), (3, 2))


def test_tensors_come_and_go(tmp_path: Path) -> None:
    answer = difference(
        tmp_path, {"a": np.ones(2), "b": np.ones(1)}, {"b": np.ones(1), "c": np.ones(3)}
    )
    assert [tensor.name for tensor in answer.tensors.removed] == ["a"]
    assert [(tensor.name, tensor.shape) for tensor in answer.tensors.added] == [("c", (3,))]
    assert answer.tensors.unchanged == 1
    assert not answer.same


def test_files(tmp_path: Path) -> None:
    answer = difference(tmp_path, {"a": np.ones(2)}, {"a": np.zeros(2)})
    found = {change.path: change.change for change in answer.files}
    assert found == {"net.safetensors": "changed", "tensors.msgpack": "changed"}


def bundle_of(tmp_path: Path, place: str, *layers: dict[str, Any], **options: Any) -> Path:
    folder = tmp_path / place
    folder.mkdir()
    (folder / "net.json").write_text(json.dumps(made.sequential(*layers)))
    mb.pack(folder / "net.json", folder / "net.modelbundle", **options)
    return folder / "net.modelbundle"


def test_configs(tmp_path: Path) -> None:
    first, last = made.dense("first", 3, 2), made.dense("last", 5, 3)
    before = bundle_of(tmp_path, "a", first, last)
    after = bundle_of(tmp_path, "b", first, made.dense("more", 3, 3), made.dense("last", 6, 3))
    answer = diff(before, after)
    made.check_answer("diff", answer.to_json())
    (config,) = answer.configs
    assert (config.a, config.b, config.omitted) == ("net.json", "net.json", 0)
    assert [change.pointer for change in config.changes] == [
        "/config/layers/1",
        "/config/layers/2/config/units",
    ]
    assert config.changes[1] == Change("/config/layers/2/config/units", "5", "6")


def test_manifest(tmp_path: Path) -> None:
    layer = made.dense("first", 3, 2)
    before = bundle_of(tmp_path, "a", layer, name="one", metadata={"a": {"b": [1, 2]}})
    after = bundle_of(
        tmp_path, "b", layer, made.dense("x", 3, 3, "Mine"), metadata={"a": {"b": [1, 3]}}
    )
    found = {
        change.pointer: (change.old, change.new) for change in diff(before, after).manifest.listed
    }
    assert found["/name"] == ('"one"', None)
    assert found["/metadata/a/b/1"] == ("2", "3")
    assert any(pointer.startswith("/requirements/customObjects/Mine") for pointer in found)


def test_a_damaged_tensor_is_found(tmp_path: Path) -> None:
    made.pack_arrays(tmp_path / "a", {"w": np.ones(4)}, directory=True)
    made.pack_arrays(tmp_path / "b", {"w": np.zeros(4)}, directory=True)
    file = tmp_path / "b" / "net.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(mb.BundleError, match="TEN-10"):
        diff(tmp_path / "a", tmp_path / "b")


def test_memory_is_bounded(tmp_path: Path) -> None:
    ones = np.ones(12 << 20, "f4")
    paths = [made.pack_arrays(tmp_path / f"{n}.modelbundle", {"w": ones * n}) for n in (1, 2)]
    del ones
    seen: list[int] = []
    tracemalloc.start()
    answer = diff(*paths, progress=seen.append)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50 << 20
    assert sum(seen) == 2 * (12 << 20) * 4
    assert answer.tensors.changed[0].norms is not None
    assert answer.tensors.changed[0].norms.relative == 1.0


_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(_VALUES)
def test_nothing_changed(value: Any) -> None:
    assert changes(value, value).listed == ()


@given(_VALUES, _VALUES)
def test_changes_are_bounded_and_symmetric(old: Any, new: Any) -> None:
    there, back = changes(old, new), changes(new, old)
    assert len(there.listed) + there.omitted == len(back.listed) + back.omitted
    assert bool(there.listed) == (
        json.dumps(old, sort_keys=True) != json.dumps(new, sort_keys=True)
    )
    for change in there.listed:
        assert max(len(change.old or ""), len(change.new or "")) <= TEXT_LENGTH


def test_the_rest_is_counted() -> None:
    found = changes({}, {str(n): n for n in range(MAX_CHANGES + 5)})
    assert (len(found.listed), found.omitted) == (MAX_CHANGES, 5)


def test_deep_values_need_no_recursion() -> None:
    old, new = {}, {"end": "x" * 10**6}  # type: ignore[var-annotated]
    for _ in range(400):
        old, new = {"in": [old]}, {"in": [new]}
    (change,) = changes(old, new).listed
    assert change.pointer == "/in/0" * 400 + "/end"
    assert change.new is not None
    assert len(change.new) == TEXT_LENGTH


def test_pointers_are_escaped() -> None:
    assert changes({"a/b~c": 1}, {"a/b~c": 2}).listed[0].pointer == "/a~1b~0c"
