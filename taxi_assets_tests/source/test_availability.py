"""The availability probe on a real HTTP server: it ends in time, and knows a file again whatever its validators do."""

from __future__ import annotations

import itertools
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from taxi_assets.months import Month
from taxi_assets.records import RawFile
from taxi_assets.source.availability import Availability, probe
from taxi_assets.source.client import Source
from taxi_assets.storage.staging.local import StagingArea
from taxi_assets_tests.servers.http_source import (
    Answer,
    Handler,
    HttpSource,
    absent,
    chunked,
    drip,
    http_source,
    status,
)
from taxi_assets_tests.transform.landing import TRIP, csv

JANUARY, TODAY = Month(2021, 1), date(2021, 3, 10)
CONTENT = csv([TRIP] * 300)
PATH = "/yellow.csv"


@pytest.fixture
def site() -> Iterator[HttpSource]:
    with http_source() as running:
        yield running


@pytest.fixture
def staging(tmp_path: Path) -> StagingArea:
    return StagingArea(tmp_path / "work")


def source(site: HttpSource, prefer: str = "csv") -> Source:
    return Source(site.url + "/{dataset}.csv", site.url + "/{dataset}.parquet", prefer, 5.0, 5.0)


def known(staging: StagingArea) -> RawFile | None:
    return staging.find(RawFile, "raw", "yellow", JANUARY)


def no_probe_is_left() -> bool:
    deadline = time.monotonic() + 3
    while any(thread.name.startswith("probe ") for thread in threading.enumerate()):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize(
    "answer",
    [
        drip(CONTENT, 0.05),
        drip(CONTENT, 0.05, head=b"HTTP/1.1 200 OK\r\nX-Filler: " + b"x" * 1000),
        drip(b"<?xml ", 0.05, head=b"HTTP/1.1 403 Forbidden\r\nContent-Length: 9999\r\n\r\n" + b" " * 1000),
    ],
    ids=["body", "head", "403 body"],
)
def test_a_source_that_drips_does_not_hold_a_probe_beyond_its_budget(answer: Answer, site: HttpSource) -> None:
    site.standing[PATH] = absent()
    site.standing["/yellow.parquet"] = answer
    start = time.monotonic()
    found = probe(source(site, "auto"), "yellow", JANUARY, None, TODAY, budget_seconds=0.5)
    assert time.monotonic() - start < 1.5
    assert found == Availability("down", reason="the source did not answer within 0.5 s")
    assert no_probe_is_left()


def test_nor_does_one_that_accepts_and_never_ends_its_tls_handshake() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        there = Source(f"https://127.0.0.1:{silent.getsockname()[1]}/", "", "csv", 1.0, 30.0)
        start = time.monotonic()
        assert probe(there, "yellow", JANUARY, None, TODAY, budget_seconds=0.3).status == "down"
        assert time.monotonic() - start < 0.8
        assert no_probe_is_left()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (status(404), "not_published"),
        (absent(), "not_published"),
        (status(403), "down"),
        (status(200, b"<html>blocked</html>"), "down"),
        (status(503), "down"),
        (status(401), "refused"),
        (status(200, b"hello\nworld\n"), "refused"),
        (status(200, CONTENT), "new"),
        (chunked(CONTENT), "new"),
    ],
)
def test_each_answer_has_its_status(answer: Answer, expected: str, site: HttpSource) -> None:
    site.standing[PATH] = answer
    assert probe(source(site), "yellow", JANUARY, None, TODAY).status == expected


def test_an_old_month_that_is_absent_is_refused_and_not_waited_for(site: HttpSource) -> None:
    found = probe(source(site), "yellow", JANUARY, None, date(2026, 11, 27))
    assert (found.status, found.reason) == ("refused", "the source answers 404 Not Found")


def follow(site: HttpSource, staging: StagingArea, ticks: int) -> int:
    """Probe and fetch what is worth it, tick by tick; return the number of downloads."""
    downloads = 0
    for _ in range(ticks):
        if probe(source(site), "yellow", JANUARY, known(staging), TODAY).worth_fetching:
            source(site).fetch("yellow", JANUARY, staging)
            downloads += 1
    return downloads


def always_new(*names: str, content: bytes = CONTENT) -> Callable[[Handler], None]:
    count = itertools.count()

    def answer(handler: Handler) -> None:
        values = {"ETag": '"same"', "Last_Modified": "Mon, 01 Feb 2021 00:00:00 GMT"}
        values |= {name: f'"{next(count)}"' for name in names}
        handler.answer(200, content, **values)

    return answer


def test_the_same_bytes_under_new_validators_are_known_by_them_from_then_on(
    site: HttpSource, staging: StagingArea
) -> None:
    site.standing[PATH] = status(200, CONTENT, ETag='"one"')
    source(site).fetch("yellow", JANUARY, staging)
    site.standing[PATH] = status(200, CONTENT, ETag='"two"')
    assert probe(source(site), "yellow", JANUARY, known(staging), TODAY).status == "changed"
    record, changed = source(site).fetch("yellow", JANUARY, staging)
    assert (record.etag, changed) == ('"two"', False)
    assert known(staging) == record
    assert probe(source(site), "yellow", JANUARY, known(staging), TODAY).status == "unchanged"


@pytest.mark.parametrize(
    ("changing", "downloads"),
    [(("ETag",), 4), (("Last_Modified",), 1), (("ETag", "Last_Modified"), 7)],
    ids=["ETag", "Last-Modified beside a steady ETag", "both"],
)
def test_validators_that_change_with_each_answer_are_ignored_after_a_while_and_that_is_told_once(
    changing: tuple[str, ...],
    downloads: int,
    site: HttpSource,
    staging: StagingArea,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    site.standing[PATH] = always_new(*changing)
    assert follow(site, staging, 12) == downloads
    assert [r.getMessage().rpartition("its ")[2] for r in caplog.records] == [
        f"{name} is ignored" for name in ("ETag", "Last-Modified")[: downloads // 3]
    ]
    site.standing[PATH] = always_new(*changing, content=csv([TRIP] * 301))
    assert probe(source(site), "yellow", JANUARY, known(staging), TODAY).status == "changed"
    source(site).fetch("yellow", JANUARY, staging)
    record = known(staging)
    assert record is not None
    assert (record.source_rows, record.refetches, bool(record.etag)) == (301, 0, True)


def test_a_source_that_sends_no_length_is_known_by_its_validator(site: HttpSource, staging: StagingArea) -> None:
    site.standing[PATH] = chunked(CONTENT, ETag='"one"')
    assert follow(site, staging, 3) == 1
    site.standing[PATH] = chunked(csv([TRIP]), ETag='"two"')
    assert follow(site, staging, 3) == 1
