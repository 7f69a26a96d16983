"""A TCP proxy whose link can be refused, reset, stalled, slowed, or answered by a busy server.

Belongs here: faults of the link, for any protocol over TCP; the canned answers are for HTTP.
What a server answers for its own reasons belongs in that server.
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

Direction = Literal["up", "down"]  # up: client to server
_TICK_S = 0.05  # how soon a fault, or the end, reaches a waiting thread
_PIECE = 16 * 1024


@dataclass
class _Reset:
    after: int
    direction: Direction
    times: int
    seen: int = 0


@dataclass
class _Answer:
    reply: bytes
    times: int
    when: bytes


class FaultyProxy:
    """Passes bytes between clients and ``target``; each fault works at once, on open connections too.

    Attributes:
        connections: Connections accepted so far.
        answered: Canned answers given so far.
        resets: Connections reset so far.
        passed: Bytes passed so far, by direction.
    """

    def __init__(self, target_host: str, target_port: int) -> None:
        self.target = (target_host, target_port)
        self.connections = self.answered = self.resets = 0
        self.passed: dict[Direction, int] = {"up": 0, "down": 0}
        self.host = "127.0.0.1"
        self.port = 0
        self._lock = threading.Lock()
        self._stopped = False
        self._listener: socket.socket | None = None
        self._refusing = self._stalled = False
        self._reset: _Reset | None = None
        self._rate: float | None = None
        self._answer: _Answer | None = None
        self._lost, self._lost_skip = b"", 0
        self._damage_at: int | None = None
        self._damage_direction: Direction = "up"
        self.heal()

    @property
    def url(self) -> str:
        """The proxy's address for HTTP clients."""
        return f"http://{self.host}:{self.port}"

    # Faults

    def refuse(self) -> None:
        """Closes the port and every connection: further ones are refused."""
        self._refusing = True
        if self._listener is not None:
            listener, self._listener = self._listener, None
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # close() alone waits for the thread that is accepting
            listener.close()

    def reset_after(self, size: int, direction: Direction = "up", times: int = 1) -> None:
        """Resets the connection that carries byte number ``size`` from now, then ``times - 1`` more like it."""
        self._reset = _Reset(size, direction, times)

    def lose_answer(self, when: str, *, skip: int = 0) -> None:
        """Resets, once, the connection on which an answer comes to a request whose head contains ``when``.

        Args:
            when: E.g. "POST /jobs".
            skip: How many such requests get their answer before.
        """
        self._lost, self._lost_skip = when.encode(), skip

    def damage(self, after: int, direction: Direction = "up") -> None:
        """Changes, once, a byte that passes in a direction, ``after`` bytes from now."""
        self._damage_at, self._damage_direction = self.passed[direction] + after, direction

    def stall(self) -> None:
        """Keeps connections open and passes nothing until `heal`."""
        self._stalled = True

    def slow(self, bytes_per_second: float) -> None:
        """Limits each direction of each connection."""
        self._rate = bytes_per_second

    def answer(self, status: int, times: int = 1, *, when: str = "", retry_after: int | None = None) -> None:
        """Answers the next ``times`` HTTP requests itself, and closes their connections.

        Args:
            status: E.g. 429 or 503.
            times: How many requests.
            when: Only requests whose head contains this, e.g. "PUT ".
            retry_after: Seconds, sent as ``Retry-After``.
        """
        body = b"the proxy answered this"
        retry = b"" if retry_after is None else b"Retry-After: %d\r\n" % retry_after
        head = b"HTTP/1.1 %d Fault\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n" % (status, len(body))
        self._answer = _Answer(head + retry + b"Connection: close\r\n\r\n" + body, times, when.encode())

    def heal(self) -> None:
        """Ends every fault; listens again, on the same port, after `refuse`."""
        self._refusing = self._stalled = False
        self._reset = self._rate = self._answer = self._damage_at = None
        self._lost = b""
        if self._listener is None and not self._stopped:
            self._listener = socket.create_server((self.host, self.port))
            # little is under way unseen: a slow link holds its client back, as a long one does
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * _PIECE)
            self.port = self._listener.getsockname()[1]
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop(self) -> None:
        """Closes everything; twice is once."""
        self._stopped = True
        self.refuse()

    # Threads

    def _accept(self, listener: socket.socket) -> None:
        listener.settimeout(_TICK_S)
        while self._listener is listener:
            with contextlib.suppress(TimeoutError, OSError):
                client, _ = listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self.target, timeout=10)
        except OSError:
            client.close()
            return
        link = _Link(self, client, server)
        threading.Thread(target=link.pump, args=("down",), daemon=True).start()
        link.pump("up")

    def _due(self, direction: Direction, size: int) -> int | None:
        """Returns how many of ``size`` bytes may pass before the connection is to be reset; None: no reset."""
        with self._lock:
            reset = self._reset
            if reset is None or reset.direction != direction or not reset.times:
                return None
            reset.seen += size
            if reset.seen < reset.after:
                return None
            allowed = size - (reset.seen - reset.after)
            reset.times -= 1
            reset.seen = 0
            self.resets += 1
            return allowed

    def _take_answer(self, head: bytes) -> bytes | None:
        with self._lock:
            if self._answer is None or not self._answer.times or self._answer.when not in head:
                return None
            self._answer.times -= 1
            self.answered += 1
            return self._answer.reply


class _Link:
    """One client's connection and the one made to the target for it."""

    def __init__(self, proxy: FaultyProxy, client: socket.socket, server: socket.socket) -> None:
        self.proxy, self.client, self.server = proxy, client, server
        self.between_requests = True  # nothing came from the client since the server last spoke
        self.closed = False
        self.loses_the_answer = False
        for end in (client, server):
            end.settimeout(_TICK_S)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def pump(self, direction: Direction) -> None:
        source, sink = (self.client, self.server) if direction == "up" else (self.server, self.client)
        with contextlib.suppress(OSError):
            while not self._over():
                if self.proxy._stalled:
                    time.sleep(_TICK_S)
                    continue
                try:
                    data = source.recv(_PIECE)
                except TimeoutError:
                    continue
                if not data:
                    break
                while self.proxy._stalled and not self._over():
                    time.sleep(_TICK_S)
                if direction == "up" and self.between_requests and self._answered(data):
                    break
                if self._loses(data, direction):
                    self._close(reset=True)
                    return
                self.between_requests = direction == "down"
                if not self._pass(data, direction, sink):
                    return
        self._close()

    def _pass(self, data: bytes, direction: Direction, sink: socket.socket) -> bool:
        """Passes the bytes on; returns False when that reset the connection."""
        due = self.proxy._due(direction, len(data))
        left = data[:due]
        while left and not self._over():
            rate = self.proxy._rate
            size = max(1, int(rate * _TICK_S)) if rate else len(left)  # a slow link trickles: no long silences
            if rate:
                time.sleep(min(size, len(left)) / rate)
            _send(sink, self._damaged(left[:size], direction), self._over)
            self.proxy.passed[direction] += len(left[:size])
            left = left[size:]
        if due is not None:
            self._close(reset=True)
        return due is None

    def _loses(self, data: bytes, direction: Direction) -> bool:
        """Whether this is the answer that is to be lost."""
        if direction == "down":
            self.proxy.resets += self.loses_the_answer
            return self.loses_the_answer
        with self.proxy._lock:
            if self.between_requests and self.proxy._lost and self.proxy._lost in data:
                self.proxy._lost_skip -= 1
                if self.proxy._lost_skip < 0:
                    self.proxy._lost, self.loses_the_answer = b"", True
        return False

    def _damaged(self, data: bytes, direction: Direction) -> bytes:
        """Returns the bytes, one of them changed if it is its turn."""
        at = self.proxy._damage_at
        if at is None or direction != self.proxy._damage_direction:
            return data
        place = at - self.proxy.passed[direction]
        if not 0 <= place < len(data):
            return data
        self.proxy._damage_at = None
        return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]

    def _answered(self, data: bytes) -> bool:
        """Answers the request that starts with ``data``, if a canned answer waits for it."""
        reply = self.proxy._take_answer(data)
        if reply is None:
            return False
        # The whole request is taken first: an answer sent earlier could be lost in a reset.
        head, _, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"(?im)^content-length:\s*(\d+)", head)
        missing = (int(length[1]) if length else 0) - len(body)
        while missing > 0 and not self._over():
            with contextlib.suppress(TimeoutError):
                piece = self.client.recv(_PIECE)
                missing = missing - len(piece) if piece else 0
        self.client.sendall(reply)
        return True

    def _over(self) -> bool:
        return self.closed or self.proxy._refusing

    def _close(self, *, reset: bool = False) -> None:
        self.closed = True
        if reset:  # no lingering: the kernel sends RST instead of FIN
            self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for end in (self.client, self.server):
            if not reset:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            end.close()


def _send(sink: socket.socket, data: bytes, over: object) -> None:
    """Sends everything, however long the receiver takes, unless the link ends first."""
    view = memoryview(data)
    while view and not over():  # type: ignore[operator]
        with contextlib.suppress(TimeoutError):
            view = view[sink.send(view) :]


@contextlib.contextmanager
def faulty_proxy(target_host: str, target_port: int) -> Iterator[FaultyProxy]:
    """Runs a proxy in front of ``target_host:target_port`` while the block lasts."""
    proxy = FaultyProxy(target_host, target_port)
    try:
        yield proxy
    finally:
        proxy.stop()
