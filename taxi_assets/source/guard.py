"""The connection guard: where a request may lead, and how another thread ends it.

A source on the internet must not make this machine ask an address behind its firewall: neither by a redirect, however
its address is spelled, nor by a name that resolves to a public address when it is checked and to an internal one when
it is connected to (DNS rebinding). So every redirect is checked, and the peer of every connection before a request is
sent to it. Behind a proxy, which resolves names and connects itself, only redirects can be checked.
"""

from __future__ import annotations

import contextlib
import socket
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import requote_uri, select_proxy

from taxi_assets.errors import PermanentError, TransientError
from taxi_assets.source.addresses import is_internal, is_public, without_secrets

_REMEDY = "check the address in a browser; if it is right, put the one that it redirects to into the settings"


class ConnectionGuard:
    """Guards the connections of one request. An address in the settings that is itself internal may lead anywhere."""

    def __init__(self) -> None:
        self._asked = ""
        self._internal: bool | None = None
        self._closed = False
        self._sockets: list[socket.socket] = []

    def session(self, url: str) -> requests.Session:
        """Return a session that asks `url` under this guard."""
        self._asked, self._internal = url, None
        session = requests.Session()
        for scheme in ("http://", "https://"):
            session.mount(scheme, _GuardedAdapter(self))
        session.hooks["response"].append(lambda response, **_: self._check_redirect(session, response))
        return session

    def close(self) -> None:
        """End all connections, from another thread: reads that wait end at once, a handshake by its timeout."""
        self._closed = True
        for connected in self._sockets:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connected, socket.SHUT_RDWR)

    def before_connect(self, *, direct: bool) -> None:
        """Refuse to connect once the guard is closed."""
        self._check_open()
        if direct:
            self._source_is_internal()

    def after_connect(self, connection: Any, *, direct: bool) -> None:
        """Check the peer of a connection that is not a proxy's.

        Raises:
            PermanentError: A source on the internet led to an internal address.
        """
        self._sockets.append(connection.sock)
        self._check_open()
        if not direct:
            return
        peer = str(connection.sock.getpeername()[0])
        if is_public(peer):
            self._internal = False
        elif not self._source_is_internal():
            raise PermanentError(
                f"the source's name {connection.host} leads to {peer}, which is not on the internet", remedy=_REMEDY
            )

    def _source_is_internal(self) -> bool:
        """Return whether the address in the settings is internal; decided once."""
        if self._internal is None:
            self._internal = is_internal(self._asked)
        return self._internal

    def _check_open(self) -> None:
        if self._closed:
            raise TransientError("the source did not answer in time")

    def _check_redirect(self, session: requests.Session, response: requests.Response) -> None:
        """Refuse a redirect that leads to an internal address or is no web address."""
        location = session.get_redirect_target(response)
        if location is None:
            return
        response.raw.close()  # requests would read the body of a redirect, however long
        try:
            to = requote_uri(urljoin(response.url, location))  # as requests does
            allowed = urlsplit(to).scheme in ("http", "https") and (self._source_is_internal() or not is_internal(to))
        except ValueError:
            raise PermanentError("the source redirects to an invalid address", remedy=_REMEDY) from None
        if not allowed:
            raise PermanentError(
                f"the source redirects to {without_secrets(to)}, which is not on the internet", remedy=_REMEDY
            )


class _GuardedConnection:
    guard: ConnectionGuard
    direct: bool

    def connect(self) -> None:
        self.guard.before_connect(direct=self.direct)
        super().connect()  # type: ignore[misc]  # mixed into urllib3's connections
        self.guard.after_connect(self, direct=self.direct)


class _GuardedAdapter(HTTPAdapter):
    def __init__(self, guard: ConnectionGuard) -> None:
        self._guard = guard
        super().__init__()

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        pool: Any = super().get_connection_with_tls_context(request, verify, proxies, cert)
        if not issubclass(pool.ConnectionCls, _GuardedConnection):
            attributes = {"guard": self._guard, "direct": not select_proxy(str(request.url), proxies)}
            pool.ConnectionCls = type("Guarded", (_GuardedConnection, pool.ConnectionCls), attributes)
        return pool
