"""Two Writers make one bundle: the reference and the JavaScript implementation.

The configs and files are what Keras 3 and tf_keras write of models and layers. Run by
`make javascript`, which sets `MODELBUNDLE_NODE` to the Node to use; skipped without it, and failing
where it is set and Node cannot be started.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "reference" / "tests"))
COMMAND = [
    os.environ.get("MODELBUNDLE_NODE", "node"),
    str(ROOT / "conformance" / "implementations" / "javascript" / "cli.js"),
    "serve",
]

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore"),  # of the libraries that write the files
    pytest.mark.skipif("MODELBUNDLE_NODE" not in os.environ, reason="run by `make javascript`"),
]


class JavaScript:
    """A session of the JavaScript implementation (conformance/PROTOCOL.md)."""

    def __init__(self, scratch: Path) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(COMMAND, stdin=pipe, stdout=pipe, text=True)
        self.asked = 0
        self.ask(cmd="hello", scratch=str(scratch))

    def ask(self, **request: Any) -> dict[str, Any]:
        """The answer to a request."""
        assert self.process.stdin
        assert self.process.stdout
        self.asked += 1
        self.process.stdin.write(json.dumps({"seq": self.asked, **request}) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def close(self) -> None:
        """End the session."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def javascript(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JavaScript]:
    session = JavaScript(tmp_path_factory.mktemp("scratch"))
    yield session
    session.close()


def _library(name: str) -> Any:
    return pytest.importorskip(name)


def _difference(javascript: JavaScript, folder: Path, source: str) -> str | None:
    """What differs between the bundles of a source, None where nothing does."""
    import modelbundle

    ours = folder / "ours.modelbundle"
    modelbundle.pack(folder / source, ours, overwrite=True)
    theirs = folder / "theirs.modelbundle"
    theirs.unlink(missing_ok=True)
    request = {"path": str(folder), "destination": str(theirs), "sources": [source]}
    answer = javascript.ask(cmd="pack", **request)
    if answer["verdict"] != "accept":
        return json.dumps(answer)
    return None if ours.read_bytes() == theirs.read_bytes() else "other bytes"


@pytest.mark.parametrize("name", ["keras", "tf_keras"])
def test_configs(name: str, tmp_path: Path, javascript: JavaScript) -> None:
    import keras_corpus

    different = {}
    written = keras_corpus.written(_library(name))
    for label, text in written.items():
        (tmp_path / "config.json").write_text(text, encoding="utf-8")
        different[label] = _difference(javascript, tmp_path, "config.json")
    assert len(written) > 100
    assert not {label: found for label, found in different.items() if found}


@pytest.mark.parametrize("form", [".keras", ".h5", ".weights.h5", ""])
@pytest.mark.parametrize("optimizer", ["Adam", "Ftrl"])
@pytest.mark.parametrize("name", ["keras", "tf_keras"])
def test_trained_models(
    name: str, optimizer: str, form: str, tmp_path: Path, javascript: JavaScript
) -> None:
    import numpy as np

    library = _library(name)
    layers = library.layers
    library.backend.clear_session()
    bidirectional = layers.Bidirectional(layers.LSTM(2), name="both")
    model = library.Sequential(
        [library.Input((4, 3)), bidirectional, layers.BatchNormalization(name="norm"),
         layers.Dropout(0.5, seed=1), layers.Dense(2, name="head")], name="net",
    )  # fmt: skip
    model.compile(getattr(library.optimizers, optimizer)(), "mse", run_eagerly=True)
    model.train_on_batch(np.ones((2, 4, 3)), np.zeros((2, 2)))
    if form == ".weights.h5":
        model.save_weights(str(tmp_path / f"net{form}"))
    elif form:
        model.save(str(tmp_path / f"net{form}"))
    elif name == "keras":
        model.export(str(tmp_path / "net"), verbose=False)
    else:
        model.save(str(tmp_path / "net"))
    assert _difference(javascript, tmp_path, f"net{form}") is None
