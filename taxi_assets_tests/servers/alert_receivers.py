"""Local servers in the place of those who take alerts: a webhook as Slack's, and a mail server.

Belongs here: taking what is sent, keeping it, and refusing when told to.
"""

from __future__ import annotations

import contextlib
import json
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_string, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Receiver:
    """A receiver's address, what came, and how often it still refuses.

    Attributes:
        url: Its address.
        texts: What came, in order.
        refusals: How many more it refuses.
        subjects: Their subjects, of mail.
    """

    url: str = ""
    texts: list[str] = field(default_factory=list)
    refusals: int = 0
    subjects: list[str] = field(default_factory=list)

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


@contextlib.contextmanager
def mail_server() -> Iterator[Receiver]:
    """Run a mail server while the block lasts: SMTP without encryption or login, as a relay in a private network."""
    receiver = Receiver()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 mail")
            while line := self.rfile.readline().decode().strip():
                verb = line.upper().split()[0]
                if verb == "DATA":
                    self._say("354 go on")
                    self._take()
                elif verb == "QUIT":
                    self._say("221 bye")
                    return
                elif verb == "MAIL" and not receiver.takes():
                    self._say("421 busy")
                    return
                else:
                    self._say("250 mail")

        def _take(self) -> None:
            lines = iter(self.rfile.readline, b".\r\n")
            message = message_from_string("".join(line.decode() for line in lines), policy=policy.default)
            receiver.subjects.append(message["Subject"])
            receiver.texts.append(message.get_content())
            self._say("250 taken")

        def _say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    with _serving(server) as port:
        receiver.url = f"smtp://127.0.0.1:{port}"
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
