"""Addresses: what may be shown of one, and whether it lies on the internet or behind a firewall."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from urllib.parse import urlsplit


def without_secrets(url: str) -> str:
    """Return an address without user, password, query and fragment, which may hold a token."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def is_internal(host: str) -> bool:
    """Return whether any address of a host is not public. A name that only a proxy can resolve counts as public."""
    with contextlib.suppress(OSError, UnicodeError):
        found = {str(address[0]).partition("%")[0] for *_, address in socket.getaddrinfo(host, None)}
        return not all(ipaddress.ip_address(address).is_global for address in found)
    return False
