"""Local servers that take alerts: a webhook like Slack's, and a mail server, with encryption or without.

They keep what is sent, and refuse when told to.
"""

from __future__ import annotations

import contextlib
import json
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_string, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Receiver:
    """A receiver's address, what came, and how often it still refuses.

    Attributes:
        url: Its address.
        texts: What came, in order.
        refusals: How many more it refuses.
        subjects: Their subjects, of mail.
        logins: What clients sent to log in.
    """

    url: str = ""
    texts: list[str] = field(default_factory=list)
    refusals: int = 0
    subjects: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)

    def takes(self) -> bool:
        """Whether it takes the next."""
        self.refusals -= 1
        return self.refusals < 0


@contextlib.contextmanager
def webhook(path: str = "/services/T0/SECRET-TOKEN") -> Iterator[Receiver]:
    """Run a webhook while the block lasts; it refuses what is not Slack's JSON."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            text = json.loads(body)["text"]
            good = self.path == path and self.headers["Content-Type"] == "application/json" and receiver.takes()
            if good:
                receiver.texts.append(text)
            self.send_response(200 if good else 503)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with _serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        receiver.url = f"http://127.0.0.1:{port}{path}"
        yield receiver


def make_certificate(folder: Path) -> Path:
    """Write a self-signed certificate of 127.0.0.1 and its key into a file."""
    path = folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "-", "-days", "2"]
    names = ["-subj", "/CN=mail", "-addext", "subjectAltName=IP:127.0.0.1"]
    path.write_bytes(subprocess.run([*command, *names], capture_output=True, check=True).stdout)
    return path


@contextlib.contextmanager
def mail_server(scheme: str = "smtp", certificate: Path | None = None) -> Iterator[Receiver]:
    """Run a mail server while the block lasts.

    Args:
        scheme: `smtps` encrypts from the start; `smtp` offers STARTTLS if there is a certificate.
        certificate: Certificate and key. Without one, it is a relay in a private network.
    """
    receiver = Receiver()
    with _serving(_MailServer(receiver, scheme, certificate)) as port:
        receiver.url = f"{scheme}://127.0.0.1:{port}"
        yield receiver


@contextlib.contextmanager
def _serving(server: socketserver.TCPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]  # type: ignore[misc]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _MailServer(socketserver.ThreadingTCPServer):
    """SMTP, as far as `smtplib` speaks it."""

    daemon_threads = True

    def __init__(self, receiver: Receiver, scheme: str, certificate: Path | None) -> None:
        super().__init__(("127.0.0.1", 0), _MailHandler)
        self.receiver, self.scheme = receiver, scheme
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if certificate:
            self.context.load_cert_chain(certificate)
        features = ["250-mail", *(["250-STARTTLS"] if certificate else []), "250 AUTH PLAIN"]
        self.replies = {
            "EHLO": "\r\n".join(features),
            "STARTTLS": "220 go on",
            "AUTH": "235 welcome",
            "DATA": "354 go on",
        }

    def handle_error(self, *_: object) -> None:
        """Say nothing of a client that left because it does not trust the certificate."""


class _MailHandler(socketserver.StreamRequestHandler):
    server: _MailServer

    def handle(self) -> None:
        if self.server.scheme == "smtps":
            self._encrypt()
        self._say("220 mail")
        while line := self.rfile.readline().decode().strip():
            verb = line.upper().split()[0]
            if verb == "QUIT" or (verb == "MAIL" and not self.server.receiver.takes()):
                self._say("221 bye" if verb == "QUIT" else "421 busy")
                return
            self._say(self.server.replies.get(verb, "250 mail"))
            if verb == "STARTTLS":
                self._encrypt()
            elif verb == "AUTH":
                self.server.receiver.logins.append(line)
            elif verb == "DATA":
                self._take()

    def _encrypt(self) -> None:
        self.connection = self.server.context.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)

    def _take(self) -> None:
        lines = iter(self.rfile.readline, b".\r\n")
        message = message_from_string("".join(line.decode() for line in lines), policy=policy.default)
        self.server.receiver.subjects.append(message["Subject"])
        self.server.receiver.texts.append(message.get_content())
        self._say("250 taken")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())
