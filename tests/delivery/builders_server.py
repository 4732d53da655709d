"""A static web server on localhost that can misbehave. Tests only."""

from __future__ import annotations

import functools
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from edgeguard.delivery.fetch import HttpFetcher


@dataclass
class Behaviour:
    """How a server answers. `cut`: bytes of a target after which it closes the connection, once for each."""

    cut: list[int] = field(default_factory=list)
    ranges: bool = True
    asked: list[tuple[str, str]] = field(default_factory=list)
    answer: Callable[[BaseHTTPRequestHandler], bool] = lambda _: False
    """Does something else instead, and says so."""


@dataclass(frozen=True)
class Server:
    """A static web server on localhost."""

    address: str
    behaviour: Behaviour

    @classmethod
    @contextmanager
    def of(cls, folder: Path, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
        behaviour = Behaviour()
        handler = functools.partial(_Handler, folder, behaviour)
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
            httpd.daemon_threads = True
            if tls is not None:
                httpd.socket = tls.wrap_socket(httpd.socket, server_side=True)
            thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                yield cls(f"http{'s' if tls else ''}://127.0.0.1:{httpd.server_address[1]}", behaviour)
            finally:
                httpd.shutdown()
                thread.join()

    def fetcher(self, state: Path, *, patience: float = 5.0, slowest: float = 1.0) -> HttpFetcher:
        return HttpFetcher(self.address, state / "parts", patience=patience, slowest=slowest)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, folder: Path, behaviour: Behaviour, *args: Any) -> None:
        self._folder = folder
        self._behaviour = behaviour
        super().__init__(*args)

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        behaviour = self._behaviour
        wanted = self.headers.get("Range", "")
        behaviour.asked.append((self.path, wanted))
        if behaviour.answer(self):
            self.close_connection = True
            return
        path = self._folder / unquote(self.path).lstrip("/")
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and behaviour.ranges else 0
        if start >= len(data) and start:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        if self.path.startswith("/targets/") and behaviour.cut:
            self.wfile.write(data[start : start + behaviour.cut.pop(0)])
            self.wfile.flush()
            self.close_connection = True
            return
        self.wfile.write(data[start:])
