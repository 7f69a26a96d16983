"""Addresses: what may be shown of one, and whether it lies on the internet or behind a firewall."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from pathlib import Path
from urllib.parse import unquote, urlsplit

from urllib3.util import parse_url

_EMBEDS_IPV4 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96"))
"""NAT64's well-known prefix and the old IPv4-compatible addresses: the last 32 bits are the address that is reached."""

_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")


def without_secrets(url: str) -> str:
    """Return an address without user, password, query and fragment, which may hold a token."""
    if is_local(url):
        return url
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def is_local(url: str) -> bool:
    """Return whether a URL names a file of this machine."""
    return urlsplit(url).scheme == "file"


def local_path(url: str) -> Path:
    """Return the path of a file of this machine."""
    return Path(unquote(url.removeprefix("file://")))


def is_public(address: str) -> bool:
    """Return whether an IP address lies on the internet; an IPv6 address that stands for an IPv4 one counts as that."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if embedded := _embedded(ip):
            return all(is_public(str(each)) for each in embedded)
        if ip.is_site_local or ip in _LOCAL_NAT64:
            return False
    return ip.is_global and not ip.is_multicast


def _embedded(ip: ipaddress.IPv6Address) -> tuple[ipaddress.IPv4Address, ...]:
    if one := ip.ipv4_mapped or ip.sixtofour:
        return (one,)
    if any(ip in network for network in _EMBEDS_IPV4):
        return (ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF),)
    return ip.teredo or ()


def is_internal(url: str) -> bool:
    """Return whether any IP address of a URL's host is not public.

    A name that only a proxy can resolve counts as public. The host is read as `requests` reads it and as urllib3 does,
    and resolved as a connection would: `2130706433`, `0x7f.1` and `127.0.0.1.` are all this machine.

    Raises:
        ValueError: The URL is malformed.
    """
    hosts = {urlsplit(url).hostname or "", (parse_url(url).host or "").strip("[]")}
    return any(not is_public(address) for host in hosts for address in _resolve(host.rstrip(".")))


def _resolve(host: str) -> set[str]:
    with contextlib.suppress(OSError, UnicodeError):
        return {str(address[0]) for *_, address in socket.getaddrinfo(host, None)}
    return set()
