"""Bundles behind a URL: few requests, and servers that do not do what they should."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import numpy as np
import pytest
from building import artifact, rules_of, write_net

import modelbundle as mb
from modelbundle.packing import pack_artifacts
from modelbundle.storage.remote import HEAD_BYTES, RemoteBlob


class Server(ThreadingHTTPServer):
    """Serves one file by ranges, or, as told, worse."""

    daemon_threads = True
    data = b""
    manner = "good"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[str] = []
        self.sent = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/net.modelbundle"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.server.requests.append("HEAD")
        self.send_response(404 if self.server.manner == "missing" else 200)
        if self.server.manner != "no length":
            self.send_header("Content-Length", str(len(self.server.data)))
        self.end_headers()

    def do_GET(self) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        self.server.requests.append(self.headers.get("Range", "all"))
        if self.server.manner == "missing":
            self.send_error(404)
            return
        if self.server.manner == "no length":
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(self.server.data)
            self.close_connection = True
            return
        body, status = self.server.data, 200
        if wanted and self.server.manner != "no ranges":
            body, status = body[int(wanted[1]) : int(wanted[2]) + 1], 206
        self.send_response(status)
        if status == 206 and wanted:
            size = len(self.server.data)
            self.send_header("Content-Range", f"bytes {wanted[1]}-{wanted[2]}/{size}")
        short = {"short body": 10, "short answer": 10}.get(self.server.manner, 0)
        stated = len(body) - (10 if self.server.manner == "short answer" else 0)
        self.send_header("Content-Length", str(stated))
        self.end_headers()
        try:
            self.wfile.write(body[: len(body) - short])
        except OSError:
            return
        self.server.sent += len(body)
        self.close_connection = bool(short)


@contextmanager
def serving(data: bytes, manner: str = "good") -> Iterator[Server]:
    server = Server()
    server.data, server.manner = data, manner
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("remote")
    mb.pack(write_net(folder / "net.safetensors", rows=5000), folder / "x")
    return (folder / "x").read_bytes()


def test_few_requests(packed: bytes) -> None:
    with serving(packed) as server, mb.open(server.url) as bundle:
        assert bundle.tensors["dense/kernel"].numpy().shape == (5000, 16)
        assert len(server.requests) <= 4
        row = bundle.tensors["dense/kernel"].row
        assert server.sent <= HEAD_BYTES + row.length
        assert mb.validate(bundle).ok


def test_a_large_index_takes_one_more(tmp_path: Path) -> None:
    count = 3000
    data = np.arange(count, dtype=np.uint32).tobytes() + bytes(500_000)
    rows = [(f"layer/{at:05}", "a.bin", 4 * at, 4) for at in range(count)]
    pack_artifacts([artifact({"a.bin": data}, rows)], tmp_path / "x")
    with serving((tmp_path / "x").read_bytes()) as server, mb.open(server.url) as bundle:
        assert bundle.tensors["layer/02999"].data() == data[4 * 2999 : 4 * 3000]
        assert len(server.requests) <= 4
        index = bundle.manifest.by_path["tensors.msgpack"].size
        assert index > HEAD_BYTES
        assert server.sent <= index + len(bundle.manifest_bytes) + 4 + (64 << 10)


def test_unpacking(packed: bytes, tmp_path: Path) -> None:
    with serving(packed) as server:
        mb.unpack(server.url, tmp_path / "out")
    assert (tmp_path / "out/net.safetensors").stat().st_size > 320_000


@pytest.mark.parametrize("manner", ["no length", "missing", "short body", "short answer"])
def test_servers_that_fail(packed: bytes, manner: str) -> None:
    with serving(packed, manner) as server, pytest.raises(OSError, match="http://127"):
        mb.open(server.url)


def test_why_there_is_no_answer(packed: bytes) -> None:
    with serving(packed, "missing") as server:
        with pytest.raises(FileNotFoundError, match=r"http://127.*: 404"):
            mb.open(server.url)
        url = server.url
    with pytest.raises(OSError, match=r"http://127.*: Cannot connect") as caught:
        mb.open(url)
    assert not isinstance(caught.value, FileNotFoundError)


def test_a_server_without_ranges(packed: bytes) -> None:
    """The head can be read from it; what follows is refused, not downloaded whole."""
    with serving(packed, "no ranges") as server, mb.open(server.url) as bundle:
        kernel = bundle.tensors["dense/kernel"]
        with pytest.raises(OSError, match="range"):
            kernel.numpy()


def test_no_server() -> None:
    with serving(b"") as server:
        url = server.url
    with pytest.raises(OSError, match="http://127"):
        mb.open(url)


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("ARC-01", lambda data: b"<html>" + data),
        ("ARC-01", lambda data: b""),
        ("ARC-07", lambda data: data[:-1]),
        ("ARC-07", lambda data: data[:200]),
    ],
)
def test_what_is_no_bundle(packed: bytes, rule: str, change: Callable[[bytes], bytes]) -> None:
    with serving(change(packed)) as server:
        assert rules_of(lambda: mb.open(server.url)) == [rule]


@pytest.mark.parametrize("protocol", ["memory", "file"])
def test_other_file_systems(packed: bytes, protocol: str, tmp_path: Path) -> None:
    url = f"{protocol}://{tmp_path}/x"
    with fsspec.open(url, "wb") as file:
        file.write(packed)
    with mb.open(url) as bundle:
        assert bundle.tensors["step"].numpy() == 7
        assert mb.validate(bundle).ok
    with pytest.raises(OSError, match="nothing"):
        mb.open(f"{protocol}://{tmp_path}/nothing")


def test_threads_share_one_blob(packed: bytes) -> None:
    with serving(packed) as server:
        blob = RemoteBlob(server.url)
        wrong: list[int] = []

        def read(start: int) -> None:
            for at in range(start, len(packed) - 1000, 40_000):
                if blob.read(at, 1000) != packed[at : at + 1000]:
                    wrong.append(at)

        threads = [threading.Thread(target=read, args=(start,)) for start in (0, 7000, 11_000)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        blob.close()
    assert wrong == []


@pytest.mark.parametrize("protocol", ["memory", "file"])
def test_a_directory_at_a_url(protocol: str, tmp_path: Path) -> None:
    """A URL that ends with a slash is that of a directory layout."""
    folder = tmp_path / "a bundle#1"
    mb.pack(write_net(tmp_path / "net.safetensors"), folder, directory=True)
    url = f"{protocol}://{tmp_path}/there/"
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with fsspec.open(f"{url}{path.relative_to(folder)}", "wb", auto_mkdir=True) as file:
            file.write(path.read_bytes())
    with mb.open(url) as bundle, mb.open(folder) as here:
        assert bundle.digest == here.digest
        assert bundle.tensors["step"].numpy() == 7
        assert mb.validate(bundle).ok
    with fsspec.open(f"{url}residue.bin", "ab") as file:
        file.write(b"x")
    with mb.open(url) as bundle:
        assert "DIR-05" in rules_of(bundle.tensors["step"].numpy)


def test_a_remote_archive_is_read_once(tmp_path: Path) -> None:
    """Validation asks for each byte of the data once, whatever it finds out about it."""
    data = np.arange(1_000_000, dtype=np.uint32).tobytes()
    pack_artifacts([artifact({"a.bin": data}, [("a", "a.bin", 0, len(data))])], tmp_path / "x")
    packed = (tmp_path / "x").read_bytes()
    with serving(packed) as server:
        mb.validate(server.url)
        assert len(data) < server.sent < len(packed) + 2 * HEAD_BYTES
