"""An HTTP server with ranges that counts what is asked of it.

with serve(folder) as server:
    open_bundle(f"{server.url}/net.modelbundle")
    server.requests, server.bytes_sent
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread


@dataclass
class Counted:
    """What a server was asked for since it was started or reset."""

    url: str
    requests: int = 0
    bytes_sent: int = 0

    def reset(self) -> None:
        """Count from nothing."""
        self.requests = self.bytes_sent = 0


@contextmanager
def serve(folder: Path) -> Iterator[Counted]:
    """Serve the files of `folder` on a free port of this machine."""
    counted = Counted("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, *, body: bool) -> None:
            path = folder / self.path.lstrip("/")
            size = path.stat().st_size
            start, stop = _range(self.headers.get("Range"), size)
            part = (start, stop) != (0, size)
            self.send_response(206 if part else 200)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(stop - start))
            if part:
                self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
            self.end_headers()
            counted.requests += 1
            if body:
                with path.open("rb") as file:
                    file.seek(start)
                    self.wfile.write(file.read(stop - start))
                counted.bytes_sent += stop - start

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        counted.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield counted
        finally:
            server.shutdown()
            thread.join()


def _range(header: str | None, size: int) -> tuple[int, int]:
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", header or "")
    if not found:
        return 0, size
    return int(found[1]), min(int(found[2]) + 1 if found[2] else size, size)
