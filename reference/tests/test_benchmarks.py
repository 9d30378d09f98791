"""The parts of the benchmarks that tests can hold: bundles of many tensors, counting, verdicts."""

from __future__ import annotations

from pathlib import Path

import modelbundle as mb
from benchmarks import many_tensors
from benchmarks.measuring import Figure
from benchmarks.serving import serve

COUNT = 1000


def test_bundle_of_many_tensors_is_valid_and_reads_right(tmp_path: Path) -> None:
    bundle = tmp_path / "many.modelbundle"
    assert many_tensors.write(bundle, COUNT) < 64 << 10
    assert mb.validate(bundle).ok
    with mb.open(bundle) as opened:
        assert [int(tensor.numpy()) for tensor in opened.tensors.values()] == list(range(COUNT))


def test_requests_and_bytes_are_counted(tmp_path: Path) -> None:
    many_tensors.write(tmp_path / "many.modelbundle", COUNT)
    with serve(tmp_path) as server, mb.open(f"{server.url}/many.modelbundle") as bundle:
        assert int(bundle.tensors["model/block_000007/kernel"].numpy()) == 15
        assert 2 <= server.requests <= 4
        assert 0 < server.bytes_sent <= (tmp_path / "many.modelbundle").stat().st_size + (64 << 10)


def test_figure_tells_whether_its_limit_is_kept() -> None:
    assert Figure("pack", 0.6, "x", 0.6).ok
    assert Figure("pack", 0.61, "x", 0.6).to_json()["ok"] is False
