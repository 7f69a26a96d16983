"""A small HTTP server that answers some requests itself and passes the others to an emulator.

Belongs here: the plumbing shared by the documented layers (`gcs_frontend`, `bigquery_frontend`,
`credentials`): reading requests, forwarding, Google's error bodies, bearer tokens, denied permissions,
and a record of what was asked. What Google's services answer belongs in those modules.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from email.message import Message
    from typing import BinaryIO

    from taxi_assets_tests.servers.credentials import TokenEndpoint

Json = dict[str, Any]
PIECE = 64 * 1024  # bytes moved at a time, so that a body never has to fit in memory
_HOP_BY_HOP = {"connection", "content-length", "keep-alive", "transfer-encoding", "expect"}


class ApiError(Exception):
    """An error in the form both Google APIs use (https://cloud.google.com/bigquery/docs/error-messages)."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message

    def reply(self) -> Reply:
        """Returns the HTTP answer that carries this error."""
        detail = {"domain": "global", "reason": self.reason, "message": self.message}
        return Reply.of({"error": {"code": self.status, "message": self.message, "errors": [detail]}}, self.status)


class CutOffError(ConnectionError):
    """The client's connection ended before the body was complete."""


@dataclass
class Reply:
    """An HTTP answer; ``body`` is bytes, or an iterable of bytes that is streamed."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | Iterable[bytes] = b""

    @classmethod
    def of(cls, value: object, status: int = 200, *headers: tuple[str, str]) -> Reply:
        """Returns ``value`` as a JSON answer."""
        return cls(status, [("Content-Type", "application/json"), *headers], json.dumps(value).encode())

    def json(self) -> Json:
        """Returns the body, read to its end, as a JSON object."""
        body = self.body if isinstance(self.body, bytes) else b"".join(self.body)
        value: Json = json.loads(body or b"{}")
        return value


@dataclass
class Request:
    """One HTTP request; the body is read from the connection when asked for."""

    method: str
    path: str  # still percent-encoded
    raw_query: str
    headers: Message
    source: BinaryIO
    unread: int

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters; of a repeated one, the last."""
        return dict(urllib.parse.parse_qsl(self.raw_query, keep_blank_values=True))

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{self.raw_query}" if self.raw_query else self.path

    def pieces(self) -> Iterator[bytes]:
        """Yields the rest of the body; raises CutOffError when the connection ends before it does."""
        while self.unread:
            try:
                piece = self.source.read1(min(PIECE, self.unread))  # type: ignore[attr-defined]
            except OSError as error:
                raise CutOffError(str(error)) from error
            if not piece:
                raise CutOffError(f"{self.unread} bytes of the body never came")
            self.unread -= len(piece)
            yield piece

    def read(self) -> bytes:
        """Returns the rest of the body."""
        return b"".join(self.pieces())

    def json(self) -> Json:
        """Returns the body as a JSON object; an empty one when there is no body."""
        value: Json = json.loads(self.read() or b"{}")
        return value


class Front:
    """Serves ``answer()`` over HTTP on 127.0.0.1; what it does not handle goes to the emulator behind it.

    Attributes:
        denied: Permission names that the caller lacks; requests that need one are answered 403.
        asked: "METHOD path" of every request, in order of arrival, e.g. to show that nothing was sent again.
        require_credentials: Whether a request without a bearer token is answered 401.
        refusals: Errors to answer with instead, by `refuse`.
    """

    def __init__(self, backend_port: int = 0, tokens: TokenEndpoint | None = None) -> None:
        self.denied: set[str] = set()
        self.asked: list[str] = []
        self.require_credentials = False
        self.refusals: list[tuple[str, ApiError]] = []
        self._backend_port = backend_port
        self._tokens = tokens
        self._server = _Server(self)
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Closes the port; twice is once."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def deny(self, *permissions: str) -> None:
        """Takes permissions, e.g. ``bigquery.jobs.create``, from the caller."""
        self.denied.update(permissions)

    def allow(self, *permissions: str) -> None:
        """Gives permissions back; all of them when none is named."""
        self.denied.difference_update(permissions or set(self.denied))

    def refuse(self, status: int, reason: str, message: str, *, when: str = "", times: int = 1) -> None:
        """Answers the next ``times`` requests whose "METHOD path" contains ``when`` with an error of Google's."""
        self.refusals += [(when, ApiError(status, reason, message))] * times

    def due_refusal(self, request: Request) -> ApiError | None:
        """Takes the error that a request is to be answered with, if any."""
        for number, (when, error) in enumerate(self.refusals):
            if when in f"{request.method} {request.target}":
                del self.refusals[number]
                return error
        return None

    def reset(self) -> None:
        """Forgets what was asked, denied and refused."""
        self.allow()
        self.asked.clear()
        self.refusals.clear()
        self.require_credentials = False

    def answer(self, request: Request) -> Reply:
        """Answers one request; the layers override this."""
        return self.forward(request)

    def forward(self, request: Request) -> Reply:
        """Passes the request to the emulator and streams its answer back."""
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP | {"authorization"}}
        return self.backend(request.method, request.target, request.read(), headers)

    def backend(
        self, method: str, target: str, body: bytes | Iterable[bytes] = b"", headers: dict[str, str] | None = None
    ) -> Reply:
        """Asks the emulator. An iterable body needs its ``Content-Length`` in ``headers``."""
        connection = http.client.HTTPConnection("127.0.0.1", self._backend_port)
        connection.request(method, target, body=body, headers=headers or {})
        response = connection.getresponse()
        kept = [(k, v) for k, v in response.getheaders() if k.lower() not in _HOP_BY_HOP]
        length = response.getheader("Content-Length")
        if length is None or int(length) <= PIECE or method == "HEAD":
            with contextlib.closing(connection):
                return Reply(response.status, kept, response.read())
        return Reply(response.status, [*kept, ("Content-Length", length)], _stream(connection, response))

    def check_caller(self, request: Request) -> None:
        """Refuses unknown bearer tokens, and missing ones when credentials are required.

        Raises:
            ApiError: 401 authError, as in "Authentication overview" of both services.
        """
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        known = self._tokens is None or token in self._tokens.issued
        if (kind and not known) or (not kind and self.require_credentials):
            raise ApiError(401, "authError", "Request had invalid authentication credentials.")


def _stream(connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> Iterator[bytes]:
    with contextlib.closing(connection):
        while piece := response.read(PIECE):
            yield piece


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, front: Front) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.front = front

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing: broken connections are what these servers are for."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet for head and body: no wait between them for the client's delayed acknowledgement

    def _serve(self) -> None:
        path, _, query = self.path.partition("?")
        request = Request(
            self.command,
            path,
            query,
            self.headers,
            self.rfile,  # type: ignore[arg-type]
            int(self.headers.get("Content-Length") or 0),
        )
        front = self.server.front
        front.asked.append(f"{self.command} {self.path}")
        try:
            try:
                front.check_caller(request)
                if refusal := front.due_refusal(request):
                    raise refusal
                reply = front.answer(request)
            except ApiError as error:
                reply = error.reply()
            for _ in request.pieces():  # a connection closed on unread bytes would hide the answer behind a reset
                pass
            self._send(reply)
        except (CutOffError, ConnectionError):
            self.close_connection = True

    def _send(self, reply: Reply) -> None:
        self.send_response_only(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        if isinstance(reply.body, bytes):
            self.send_header("Content-Length", str(len(reply.body)))
            reply.body = [reply.body]
        self.end_headers()
        if self.command != "HEAD":
            for piece in reply.body:
                self.wfile.write(piece)
        self.wfile.flush()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve  # noqa: N815  http.server looks for these names
