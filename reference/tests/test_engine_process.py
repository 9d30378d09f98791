"""Engines in processes of their own: crashes, hangs, floods and memory end in findings."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from engine_bundles import one_function

from modelbundle.bundle import Bundle, open_bundle
from modelbundle.core.findings import BundleError
from modelbundle.engines import ENGINES, Result, RunLimits, open_session, run

X = {"x": np.arange(6, dtype=np.float32).reshape(3, 2)}


@pytest.fixture
def bundle(tmp_path: Path) -> Iterator[Bundle]:
    with open_bundle(one_function(tmp_path)) as opened:
        yield opened


def ran(bundle: Bundle, name: str, monkeypatch: pytest.MonkeyPatch, **limits: float) -> Result:
    monkeypatch.setitem(ENGINES, "fake", f"fake_engines:{name}")
    memory = limits.get("memory_bytes")
    allowed = RunLimits(limits.get("seconds", 60.0), None if memory is None else int(memory))
    return run(bundle, X, engine="fake", limits=allowed)


@pytest.mark.parametrize("name", ["ECHO", "FLOOD", "LINGER"])
def test_what_an_engine_prints_disturbs_nothing(
    name: str, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = time.monotonic()
    result = ran(bundle, name, monkeypatch)
    assert result.outputs["y"].tolist() == X["x"].tolist()
    assert result.description.device == "cpu:0"
    assert time.monotonic() - started < 30


FAILURES = {
    "CRASH": "SIGSEGV", "LEAVE": "status 3", "HANG": "none in 2 seconds",
    "RAISE": "ZeroDivisionError", "HOARD": "of memory taken, limit 256 MiB",
    "GARBLE": "answer that cannot be read",
}  # fmt: skip


@pytest.mark.parametrize("name", FAILURES)
def test_failures_are_findings(name: str, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    started = time.monotonic()
    limits = {"seconds": 2.0} if name == "HANG" else {"memory_bytes": float(256 << 20)}
    with pytest.raises(BundleError) as caught:
        ran(bundle, name, monkeypatch, **limits)
    (finding,) = caught.value.findings
    assert finding.rule == "RUN-06"
    assert "the engine fake" in finding.expected
    assert FAILURES[name] in finding.found
    assert finding.place == "net.bin#f"
    assert time.monotonic() - started < 30


def test_the_last_words_of_an_engine_are_told(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BundleError, match="about to fall"):
        ran(bundle, "CRASH", monkeypatch)


@pytest.mark.parametrize("name", ["OTHER", "NOTHING"])
def test_outputs_are_held_to_the_signature(
    name: str, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BundleError) as caught:
        ran(bundle, name, monkeypatch)
    assert [finding.rule for finding in caught.value.findings] == ["RUN-07"]


def test_a_session_runs_more_than_once(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "fake", "fake_engines:ECHO")
    with open_session(bundle, bundle.manifest.signatures[0], "fake") as session:
        for rows in (1, 0, 5):
            x = np.full((rows, 2), rows, np.float32)
            assert session.run({"x": x}).outputs["y"].tolist() == x.tolist()


def test_a_bundle_that_was_replaced_is_not_run(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "net.modelbundle"
    data = bytearray(path.read_bytes())
    at = data.index(b'"float32"')
    data[at : at + 9] = b'"float16"'
    path.unlink()
    path.write_bytes(data)
    with pytest.raises(BundleError, match="RDR-06"):
        ran(bundle, "ECHO", monkeypatch)
