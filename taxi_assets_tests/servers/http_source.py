"""A local HTTP server in TLC's place: serves files with validators, and misbehaves by path as sources do.

What belongs here is what a web server answers; what the project makes of it belongs in the tests.
"""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import socket
import struct
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

CHANGED = 1_700_000_000
Answer = Callable[["Handler"], None]
"""Writes a whole answer, in place of the file's."""


class Handler(BaseHTTPRequestHandler):
    """Answers a request by the order for its path, else with the file."""

    protocol_version = "HTTP/1.1"
    site: HttpSource

    def do_GET(self) -> None:
        """Answer a GET."""
        path = urlsplit(self.path).path
        with self.site.lock:
            self.site.asked[path].append({name.lower(): value for name, value in self.headers.items()})
            orders = self.site.orders[path]
            order = orders.pop(0) if orders else self.site.standing.get(path)
            content = self.site.files.get(path)
        if order:
            order(self)
        elif content is None:
            self.answer(404, b"no such file")
        else:
            self.file(content)

    def file(self, content: bytes, **headers: str) -> None:
        """Answer with a file, or with 304 if the validators match."""
        etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        modified = email.utils.formatdate(CHANGED + len(content), usegmt=True)
        validators = {"ETag": etag, "Last-Modified": modified} | headers
        validators = {name: value for name, value in validators.items() if value}
        asked = self.headers.get("If-None-Match", ""), self.headers.get("If-Modified-Since", "")
        same = asked[0] == validators.get("ETag") if asked[0] else asked[1] == validators.get("Last-Modified")
        if any(asked) and same:
            self.answer(304, b"", **validators)
        else:
            self.answer(200, content, **validators)

    def answer(self, status: int, content: bytes, **headers: str) -> None:
        """Write an answer."""
        self.begin(status, len(content), **headers)
        self.send(content)

    def begin(self, status: int, length: int, **headers: str) -> None:
        """Write the head of an answer."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def send(self, content: bytes) -> None:
        """Write a part of a body; count it."""
        with contextlib.suppress(OSError):
            self.wfile.write(content)
            self.wfile.flush()
        with self.site.lock:
            self.site.sent += len(content)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@dataclass
class HttpSource:
    """The server's files and orders, and a record of its requests.

    Attributes:
        url: Its address.
        files: Contents by path.
        orders: What to answer instead, by path; each order serves one request.
        standing: What to answer instead, by path, to each request without an order.
        asked: Headers of the requests, by path.
        sent: Bytes of bodies sent.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    orders: dict[str, list[Answer]] = field(default_factory=lambda: defaultdict(list))
    standing: dict[str, Answer] = field(default_factory=dict)
    asked: dict[str, list[Mapping[str, str]]] = field(default_factory=lambda: defaultdict(list))
    sent: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def requests(self) -> int:
        """Number of requests so far."""
        return sum(len(asked) for asked in self.asked.values())


def status(code: int, content: bytes = b"", **headers: str) -> Answer:
    """Answer with a status."""
    return lambda handler: handler.answer(code, content, **headers)


def absent(code: str = "AccessDenied") -> Answer:
    """Answer as S3 does for a file that it does not have: `AccessDenied` where the bucket may not be listed."""
    return status(403, f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code></Error>'.encode())


def drip(content: bytes, seconds: float, *, head: bytes = b"") -> Answer:
    """Send an answer byte by byte with a pause after each, from its first header on if `head` is given."""

    def answer(handler: Handler) -> None:
        handler.close_connection = True
        if not head:
            handler.begin(200, len(content))
        with contextlib.suppress(OSError):
            for position in range(len(head + content)):
                handler.wfile.write((head + content)[position : position + 1])
                handler.wfile.flush()
                time.sleep(seconds)

    return answer


def chunked(content: bytes, **headers: str) -> Answer:
    """Send a file without its length, in chunks."""

    def answer(handler: Handler) -> None:
        handler.send_response(200)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for start in range(0, len(content), 5000):
            piece = content[start : start + 5000]
            handler.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        handler.send(b"0\r\n\r\n")

    return answer


def raw(content: bytes) -> Answer:
    """Send bytes that need not be HTTP."""

    def answer(handler: Handler) -> None:
        handler.send(content)
        handler.close_connection = True

    return answer


def unvalidated(content: bytes, **validators: str) -> Answer:
    """Answer with a file that has only these of the validators ETag and Last_Modified."""
    return lambda handler: handler.answer(200, content, **validators)


def stall(seconds: float, content: bytes = b"", after: int = 0, *, before: bool = False) -> Answer:
    """Send some bytes of a file, then pause; or pause, then send them."""

    def answer(handler: Handler) -> None:
        time.sleep(seconds if before else 0)
        handler.begin(200, len(content))
        handler.send(content[:after])
        time.sleep(0 if before else seconds)
        handler.close_connection = True

    return answer


def broken(content: bytes, after: int, *, reset: bool = True) -> Answer:
    """Send some bytes of a file, then break the connection: with a reset, or by ending it early."""

    def answer(handler: Handler) -> None:
        handler.begin(200, len(content))
        handler.send(content[:after])
        if reset:
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.close_connection = True

    return answer


def redirect(to: str) -> Answer:
    """Send the client elsewhere."""
    return lambda handler: handler.answer(302, b"", Location=to)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client may hang up
            super().handle_error(request, client_address)


@contextlib.contextmanager
def http_source(host: str = "127.0.0.1") -> Iterator[HttpSource]:
    """Run a server while the block lasts."""
    site = HttpSource()
    server = _Server((host, 0), type("Handler", (Handler,), {"site": site}))
    site.url = f"http://{host}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
