"""The reference, as the conformance runner asks it: a thin adapter over the Python package.

    python adapter.py validate bundle.modelbundle --json      # one answer, one exit status
    python adapter.py serve                                   # JSON lines, until stop

`Adapter` answers operations, `main` speaks both protocols of `conformance/PROTOCOL.md`; a mutant is
a subclass with one method broken.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
import running
import writing

from modelbundle.bundle import Bundle, open_bundle
from modelbundle.copying import copy
from modelbundle.core.findings import UNSUPPORTED, BundleError, Finding
from modelbundle.packing import pack
from modelbundle.rules import validate
from modelbundle.unpacking import unpack

Json = dict[str, Any]
VERDICTS = ("accept", "reject", "unsupported")


class Adapter:
    """Operations on paths; each gives an answer or raises `BundleError`."""

    name = "reference"
    operations = ("validate", "read", "unpack", "copy", "pack", "write", "run")

    def hello(self) -> Json:
        """What this implementation is and does."""
        who = {"name": self.name, "version": "0.1.0", "language": "Python"}
        return {**who, "operations": list(self.operations), "unsupported": running.unsupported()}

    def validate(self, path: Path) -> list[Json]:
        """All findings."""
        return [finding.to_json() for finding in validate(path).findings]

    def open(self, path: Path, digest: str | None = None) -> Bundle:
        """The bundle at `path`."""
        return open_bundle(path, digest=digest)

    def list(self, bundle: Bundle) -> Json:
        """Its tensors and files; index and compositions are read and checked."""
        bundle.compositions  # noqa: B018 (read and checked before anything is given out)
        return {
            "tensors": [
                {"name": tensor.name, "dtype": tensor.dtype, "shape": list(tensor.shape),
                 "role": tensor.role}
                for tensor in bundle.tensors.values()
            ],
            "files": [
                {"path": entry.path, "size": entry.size, "role": entry.role}
                for entry in bundle.manifest.files
            ],
        }  # fmt: skip

    def tensor(self, bundle: Bundle, name: str) -> bytes:
        """The verified bytes of a tensor."""
        tensor = bundle.tensors[name]
        if tensor.dtype in ("string", "bool"):
            tensor.numpy()  # their elements have rules of their own (TEN-13, TEN-14)
        return bytes(tensor.data())

    def file(self, bundle: Bundle, path: str) -> bytes:
        """The verified bytes of a file."""
        return bundle.read(path)

    def unpack(self, path: Path, destination: Path) -> None:
        """Write the sources below `destination`."""
        try:
            unpack(path, destination)
        except (FileExistsError, NotADirectoryError) as error:
            finding = Finding("UNP-01", "manifest.json", "nothing there", str(error))
            raise BundleError([finding]) from error

    def copy(self, path: Path, destination: Path) -> None:
        """Copy to the layout that the destination's name asks for."""
        copy(path, destination, directory=destination.suffix != ".modelbundle")

    def pack(self, path: Path, destination: Path, sources: Sequence[str]) -> Json:
        """Pack sources below `path`, to the layout that the destination's name asks for."""
        as_directory = destination.suffix != ".modelbundle"
        given = [path / source for source in sources]
        return {"digest": pack(given, destination, directory=as_directory)}

    def write(self, path: Path, destination: Path) -> Json:
        """Write what a specification states."""
        return {"digest": writing.write(path, destination)}

    def run(self, path: Path, destination: Path, request: Path) -> Json:
        """Run what a request asks for."""
        return running.run(path, destination, request)

    def exit_status(self, verdict: str) -> int:
        """The exit status of a verdict."""
        return VERDICTS.index(verdict)


def verdict_of(findings: Sequence[Json]) -> str:
    """The verdict of findings (section 1.5)."""
    rules = {found["rule"] for found in findings if found["severity"] == "error"}
    return "accept" if not rules else "unsupported" if rules <= UNSUPPORTED else "reject"


def answered(operation: Callable[[], Json]) -> Json:
    """The answer of `operation`, with verdict and findings."""
    try:
        data = operation()
    except BundleError as error:
        data = {"findings": [finding.to_json() for finding in error.findings]}
    return {"verdict": verdict_of(data.get("findings", [])), **data}


def digest_of(data: bytes) -> str:
    """The digest of `data`."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def read(adapter: Adapter, path: Path, digest: str | None = None) -> Json:
    """Everything of a bundle, each tensor and file by the digest of the bytes given out."""
    with adapter.open(path, digest) as bundle:
        listed = adapter.list(bundle)
        for row in listed["tensors"]:
            row["digest"] = digest_of(adapter.tensor(bundle, row["name"]))
        for entry in listed["files"]:
            entry["digest"] = digest_of(adapter.file(bundle, entry["path"]))
        return {"digest": bundle.digest, **listed}


def whole(adapter: Adapter, request: Json) -> Json:
    """An operation that one request asks for."""
    path = Path(request.get("path", ""))
    destination = Path(request.get("destination", ""))
    match request["cmd"]:
        case "hello":
            return adapter.hello()
        case "validate":
            return {"findings": adapter.validate(path)}
        case "read":
            return read(adapter, path, request.get("digest"))
        case _:
            return _made(adapter, request, path, destination) or {}


def _made(adapter: Adapter, request: Json, path: Path, destination: Path) -> Json | None:
    """An operation that makes something at `destination`."""
    match request["cmd"]:
        case "unpack":
            return adapter.unpack(path, destination)
        case "copy":
            return adapter.copy(path, destination)
        case "pack":
            return adapter.pack(path, destination, request["sources"])
        case "write":
            return adapter.write(path, destination)
        case "run":
            return adapter.run(path, destination, Path(request["sources"][0]))
        case other:
            raise SystemExit(f"unknown operation: {other}")


class Session:
    """A persistent tool: open bundles by number, bytes in a scratch folder."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._bundles: dict[int, Bundle] = {}
        self._scratch = Path()
        self._count = 0

    def answer(self, request: Json) -> Json:
        """The answer to one request."""
        command = request["cmd"]
        if command == "hello":
            self._scratch = Path(request["scratch"])
        if command in ("open", "list", "read", "close"):
            answer: Json = getattr(self, f"_{command}")(request)
            return answer
        return {} if command == "stop" else whole(self._adapter, request)

    def _open(self, request: Json) -> Json:
        bundle = self._adapter.open(Path(request["path"]), request.get("digest"))
        self._count += 1
        self._bundles[self._count] = bundle
        return {"bundle": self._count, "digest": bundle.digest}

    def _list(self, request: Json) -> Json:
        return self._adapter.list(self._bundles[request["bundle"]])

    def _close(self, request: Json) -> Json:
        self._bundles.pop(request["bundle"]).close()
        return {}

    def _read(self, request: Json) -> Json:
        """A tensor or a file, in a file of the scratch folder."""
        bundle = self._bundles[request["bundle"]]
        name = request.get("tensor")
        data = (self._adapter.file(bundle, request["file"]) if name is None
                else self._adapter.tensor(bundle, name))  # fmt: skip
        self._count += 1
        path = self._scratch / f"{self._count}.bin"
        path.write_bytes(data)
        answer = {"file": path.name, "offset": 0, "length": len(data)}
        if name is None:
            return answer
        tensor = bundle.tensors[name]
        return {**answer, "dtype": tensor.dtype, "shape": list(tensor.shape)}


def serve(adapter: Adapter) -> int:
    """Answer lines until `stop` or the end of the input."""
    session = Session(adapter)
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)  # what a library prints does not come between the answers
        for line in sys.stdin.buffer:
            request = json.loads(line)
            answer = answered(partial(session.answer, request))
            print(json.dumps({"seq": request["seq"], **answer}), file=out, flush=True)
            if request["cmd"] == "stop":
                break
    return 0


def main(adapter: Adapter, arguments: Sequence[str]) -> int:
    """Speak the protocol that the arguments ask for; the exit status."""
    if list(arguments) == ["serve"]:
        return serve(adapter)
    words = [word for word in arguments if word != "--json"]
    request: Json = {"cmd": words[0]}
    if "--digest" in words:
        at = words.index("--digest")
        request["digest"] = words[at + 1]
        del words[at : at + 2]
    request |= dict(zip(("path", "destination"), words[1:3], strict=False))
    request |= {"sources": words[3:]} if words[3:] else {}
    answer = answered(lambda: whole(adapter, request))
    print(json.dumps(answer))
    return adapter.exit_status(answer["verdict"])


if __name__ == "__main__":
    raise SystemExit(main(Adapter(), sys.argv[1:]))
