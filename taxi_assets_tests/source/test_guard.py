"""The connection guard: no redirect and no name leads from the internet into a private network, however spelled.

The loopback address 127.0.0.2 plays the internet here, and 127.0.0.1 a service behind the firewall.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from taxi_assets.errors import PermanentError, TaxiError
from taxi_assets.months import Month
from taxi_assets.source import addresses, guard
from taxi_assets.source.client import Source
from taxi_assets.storage.staging.local import StagingArea
from taxi_assets.transform.zones import fetch_zones
from taxi_assets_tests.servers.http_source import Answer, HttpSource, chunked, http_source, raw, redirect, status
from taxi_assets_tests.transform.landing import TRIP, csv

JANUARY = Month(2021, 1)
INTERNET = "127.0.0.2"
SECRET = b"t0psecret: hunter2\n"


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpSource]:
    is_public = addresses.is_public
    for module in (addresses, guard):
        monkeypatch.setattr(module, "is_public", lambda address: address == INTERNET or is_public(address))
    with http_source(INTERNET) as running:
        yield running


@pytest.fixture
def inside() -> Iterator[HttpSource]:
    with http_source() as running:
        running.files["/admin"] = SECRET * 1000
        yield running


def names(monkeypatch: pytest.MonkeyPatch, **answers: list[str]) -> None:
    """Resolve these names (with .example) to one address after the other; the last one stays."""
    resolve = socket.getaddrinfo

    def getaddrinfo(host: str, port: Any, *args: Any, **more: Any) -> Any:
        found = answers.get(str(host).removesuffix(".example"))
        if found is None:
            return resolve(host, port, *args, **more)
        return resolve(found.pop(0) if len(found) > 1 else found[0], port, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def fetch(url: str, folder: Path) -> Any:
    return Source(url, "", "csv", connect_timeout=2, read_timeout=2).fetch("yellow", JANUARY, StagingArea(folder))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "%31%32%37.0.0.1",
        "%31%32%37%2e%30%2E0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7F.0.0.1",
        "0177.0.0.01",
        "017700000001",
        "127.0.0.1.",
        "%EF%BC%91%EF%BC%92%EF%BC%97.0.0.1",
        "１２７.0.0.1",  # noqa: RUF001 - full-width digits
        "localhost",
        "someone:password@127.0.0.1",
        f"{INTERNET}@127.0.0.1",
        f"{INTERNET}\\@127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::7f00:1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b:1::1]",
        "[2002:7f00:1::1]",
        "[fec0::1]",
        "[ff02::1]",
    ],
)
def test_a_redirect_from_the_internet_does_not_lead_inside(
    host: str, internet: HttpSource, inside: HttpSource, tmp_path: Path
) -> None:
    port = inside.url.rpartition(":")[2]
    location = f"http://{host}:{port}/admin".encode().decode("latin-1")
    internet.standing["/month.csv"] = redirect(location)
    with pytest.raises(TaxiError) as caught:
        fetch(f"{internet.url}/month.csv", tmp_path)
    assert inside.requests == 0
    assert "password" not in str(caught.value)


def test_neither_does_the_second_of_two_redirects_nor_one_without_a_scheme(
    internet: HttpSource, inside: HttpSource, tmp_path: Path
) -> None:
    internet.standing["/month.csv"] = redirect("/second")
    internet.standing["/second"] = redirect(inside.url.removeprefix("http:") + "/admin")
    with pytest.raises(PermanentError, match="which is not on the internet"):
        fetch(f"{internet.url}/month.csv", tmp_path)
    assert inside.requests == 0


def test_a_name_that_is_checked_at_one_address_and_connected_to_at_another_is_not_asked(
    internet: HttpSource, inside: HttpSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names(monkeypatch, rebound=[INTERNET, "127.0.0.1"])
    port = inside.url.rpartition(":")[2]
    internet.standing["/month.csv"] = redirect(f"http://rebound.example:{port}/admin")
    with pytest.raises(PermanentError, match=r"rebound\.example leads to 127\.0\.0\.1, which is not on the internet"):
        fetch(f"{internet.url}/month.csv", tmp_path)
    assert inside.requests == 0


def test_nor_is_such_a_name_in_the_settings(
    internet: HttpSource, inside: HttpSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names(monkeypatch, mirror=[INTERNET, "127.0.0.1"])
    with pytest.raises(PermanentError, match="which is not on the internet"):
        fetch(f"http://mirror.example:{inside.url.rpartition(':')[2]}/admin", tmp_path)
    assert inside.requests == 0


def test_a_name_that_turns_public_once_it_was_found_internal_gains_nothing(
    internet: HttpSource, inside: HttpSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names(monkeypatch, mirror=["127.0.0.1", INTERNET])
    internet.standing["/month.csv"] = redirect(f"{inside.url}/admin")
    with pytest.raises(PermanentError, match="which is not on the internet"):
        fetch(f"http://mirror.example:{internet.url.rpartition(':')[2]}/month.csv", tmp_path)
    assert inside.requests == 0


def test_a_source_inside_may_be_named_in_the_settings_and_may_redirect_inside(
    inside: HttpSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names(monkeypatch, mirror=["127.0.0.1"])
    inside.files["/elsewhere.csv"] = csv([TRIP])
    inside.standing["/month.csv"] = redirect(f"{inside.url}/elsewhere.csv")
    raw_file, _ = fetch(f"http://mirror.example:{inside.url.rpartition(':')[2]}/month.csv", tmp_path)
    assert raw_file.source_rows == 1


def test_the_body_of_a_redirect_is_not_read(inside: HttpSource, tmp_path: Path) -> None:
    def endless(handler: Any) -> None:
        handler.begin(302, 1 << 40, Location="/elsewhere.csv")
        with contextlib.suppress(OSError):
            while inside.sent < 1 << 28:
                handler.wfile.write(bytes(1 << 20))
                inside.sent += 1 << 20
        handler.close_connection = True

    inside.files["/elsewhere.csv"] = csv([TRIP])
    inside.standing["/month.csv"] = endless
    assert fetch(f"{inside.url}/month.csv", tmp_path)[0].source_rows == 1
    assert inside.sent < 1 << 26


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::5db8:d822", True),
        ("2002:5db8:d822::1", True),
        ("10.0.0.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::", False),
        ("::1", False),
        ("::ffff:10.0.0.1", False),
        ("::10.0.0.1", False),
        ("64:ff9b::10.0.0.1", False),
        ("64:ff9b:1::5db8:d822", False),
        ("2002:a00:1::1", False),
        ("2001:0:a00:1::f5ff:fffe", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("fec0::1", False),
    ],
)
def test_addresses_that_stand_for_another_count_as_that_one(address: str, public: bool) -> None:
    assert addresses.is_public(address) is public


@pytest.mark.parametrize(
    "answer",
    [
        status(200, SECRET),
        status(200, b"<html>" + SECRET),
        status(200, b"\0" + SECRET),
        status(401, SECRET),
        status(403, SECRET),
        status(418, SECRET),
        status(500, SECRET),
        raw(b"HTTP/1.1 500 t0psecret hunter2\r\nContent-Length: 0\r\n\r\n"),
        raw(b"HTTP/1.1 999 t0psecret hunter2\r\nContent-Length: 0\r\n\r\n"),
        raw(b"SSH-2.0-t0psecret hunter2\r\n"),
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nt0psecret hunter2\r\n"),
        raw(b"HTTP/1.1 200 OK\r\nt0psecret hunter2\r\nContent-Length: x\r\n\r\n"),
        chunked(SECRET),
    ],
)
def test_what_a_refused_body_says_does_not_reach_the_error(answer: Answer, inside: HttpSource, tmp_path: Path) -> None:
    inside.standing["/month.csv"] = answer
    for ask in (
        lambda: fetch(f"{inside.url}/month.csv", tmp_path),
        lambda: fetch_zones(Source("", ""), f"{inside.url}/month.csv", StagingArea(tmp_path)),
    ):
        with pytest.raises(TaxiError) as caught:
            ask()
        assert "t0psecret" not in f"{caught.value!r}{caught.value}"
        assert "hunter2" not in f"{caught.value!r}{caught.value}"
