"""A fetch from a real HTTP server: no download twice, nothing half-done in staging, every failure in its class."""

from __future__ import annotations

import email.utils
import gzip
import logging
import os
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_assets.errors import NotPublishedError, PermanentError, TaxiError, TransientError
from taxi_assets.months import Month
from taxi_assets.records import RawFile
from taxi_assets.source.client import Source
from taxi_assets.source.streams import NotATripFileError
from taxi_assets.storage.staging.local import StagingArea
from taxi_assets_tests.servers.http_source import (
    Answer,
    HttpSource,
    absent,
    broken,
    http_source,
    redirect,
    stall,
    status,
    unvalidated,
)
from taxi_assets_tests.transform.landing import TRIP, csv

JANUARY = Month(2021, 1)
CSV_PATH, PARQUET_PATH = "/csv/yellow-2021-01.csv.gz", "/trip-data/yellow-2021-01.parquet"
CONTENT = gzip.compress(csv([TRIP] * 5000), compresslevel=0)
HTML = b"<!DOCTYPE html><html><body>maintenance, back soon</body></html>"


@pytest.fixture
def site() -> Iterator[HttpSource]:
    with http_source() as running:
        running.files[CSV_PATH] = CONTENT
        yield running


@pytest.fixture
def staging(tmp_path: Path) -> StagingArea:
    return StagingArea(tmp_path / "work")


def source(site: HttpSource, prefer: str = "auto", *, read_timeout: float = 5.0) -> Source:
    return Source(
        csv_url=site.url + "/csv/{dataset}-{year}-{month:02}.csv.gz",
        parquet_url=site.url + "/trip-data/{dataset}-{year}-{month:02}.parquet",
        prefer=prefer,
        connect_timeout=2.0,
        read_timeout=read_timeout,
    )


def files_of(staging: StagingArea) -> list[str]:
    return sorted(path.name for path in staging.root.rglob("*") if path.is_file() and path.suffix != ".lock")


def put_parquet(site: HttpSource) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"a": range(7)}), sink)
    site.files[PARQUET_PATH] = sink.getvalue().to_pybytes()


def test_a_month_arrives_byte_for_byte_with_its_record(site: HttpSource, staging: StagingArea) -> None:
    seen: list[tuple[int, int]] = []

    raw, new = source(site).fetch("yellow", JANUARY, staging, progress=lambda *n: seen.append(n))

    assert new
    assert staging.path(raw.file).read_bytes() == CONTENT
    assert (raw.source_rows, raw.format, raw.compression, raw.bytes) == (5000, "csv", "gzip", len(CONTENT))
    assert raw.source_url == site.url + CSV_PATH
    assert raw.etag
    assert raw.last_modified.endswith("GMT")
    assert raw == staging.get(RawFile, "raw", "yellow", JANUARY)
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert "identity" in site.asked[CSV_PATH][0]["accept-encoding"]


@pytest.mark.parametrize("validators", [{}, {"ETag": ""}, {"Last_Modified": ""}], ids=["both", "date only", "tag only"])
def test_an_unchanged_month_is_not_downloaded_again(
    validators: dict[str, str], site: HttpSource, staging: StagingArea
) -> None:
    headers = {name.replace("_", "-"): value for name, value in validators.items()}
    site.standing[CSV_PATH] = lambda handler: handler.file(CONTENT, **headers)
    first, _ = source(site).fetch("yellow", JANUARY, staging)
    sent = site.sent

    again, new = source(site).fetch("yellow", JANUARY, staging)

    assert (again, new) == (first, False)
    assert site.sent == sent
    assert len(site.asked[CSV_PATH]) == 2


def test_a_source_without_validators_is_asked_again_and_the_same_bytes_are_no_news(
    site: HttpSource, staging: StagingArea
) -> None:
    site.standing[CSV_PATH] = unvalidated(CONTENT)
    first, _ = source(site).fetch("yellow", JANUARY, staging)
    assert source(site).fetch("yellow", JANUARY, staging) == (first, False)


def test_a_changed_month_replaces_the_old_one(site: HttpSource, staging: StagingArea) -> None:
    old, _ = source(site).fetch("yellow", JANUARY, staging)
    site.files[CSV_PATH] = csv([TRIP] * 3)

    raw, new = source(site).fetch("yellow", JANUARY, staging)

    assert new
    assert raw.source_rows == 3
    assert not staging.path(old.file).exists()
    assert files_of(staging) == sorted([Path(raw.file).name, "yellow_tripdata_2021-01.json"])


def test_a_month_whose_file_was_lost_is_fetched_again(site: HttpSource, staging: StagingArea) -> None:
    raw, _ = source(site).fetch("yellow", JANUARY, staging)
    staging.path(raw.file).unlink()

    again, _ = source(site).fetch("yellow", JANUARY, staging)

    assert again == raw
    assert staging.path(raw.file).read_bytes() == CONTENT


def test_where_the_csv_source_has_no_such_month_parquet_is_taken_and_asked_for_again(
    site: HttpSource, staging: StagingArea
) -> None:
    del site.files[CSV_PATH]
    put_parquet(site)

    raw, _ = source(site).fetch("yellow", JANUARY, staging)

    assert (raw.format, raw.source_rows, raw.source_url) == ("parquet", 7, site.url + PARQUET_PATH)
    assert source(site).fetch("yellow", JANUARY, staging) == (raw, False)
    with pytest.raises(NotPublishedError):
        source(site, "csv").fetch("yellow", JANUARY, staging, today=lambda: date(2021, 3, 1))
    assert source(site, "parquet").fetch("yellow", JANUARY, staging) == (raw, False)


@pytest.mark.parametrize(
    "answer", [status(404), absent(), absent("NoSuchKey")], ids=["404", "AccessDenied", "NoSuchKey"]
)
@pytest.mark.parametrize(
    ("today", "error", "says"),
    [
        (date(2021, 7, 31), NotPublishedError, "yellow 2021-02 is not published"),
        (date(2021, 8, 1), PermanentError, "yellow 2021-02 is absent from the source"),
    ],
)
def test_a_month_that_no_address_has_is_not_published_or_once_it_is_old_an_error(
    answer: Answer, today: date, error: type[TaxiError], says: str, site: HttpSource, staging: StagingArea
) -> None:
    site.standing["/trip-data/yellow-2021-02.parquet"] = answer
    with pytest.raises(error) as caught:
        source(site).fetch("yellow", Month(2021, 2), staging, today=lambda: today)
    assert says in caught.value.message
    assert f"{site.url}/csv/yellow-2021-02.csv.gz and {site.url}/trip-data" in caught.value.location
    assert site.requests == 2
    assert files_of(staging) == []


@pytest.mark.parametrize("dataset", ["yellow", "green", "fhv", "fhvhv"])
def test_auto_asks_for_the_complete_format_first_and_for_the_other_where_that_is_absent(
    dataset: str, site: HttpSource, staging: StagingArea
) -> None:
    csv_path, parquet_path = f"/csv/{dataset}-2021-01.csv.gz", f"/trip-data/{dataset}-2021-01.parquet"
    put_parquet(site)
    both = {csv_path: CONTENT, parquet_path: site.files.pop(PARQUET_PATH)}
    first, second = (parquet_path, csv_path) if dataset == "fhvhv" else (csv_path, parquet_path)

    site.files = dict(both)
    assert source(site).fetch(dataset, JANUARY, staging)[0].source_url == site.url + first
    del site.files[first]
    assert source(site).fetch(dataset, JANUARY, staging)[0].source_url == site.url + second


@pytest.mark.parametrize(
    "page",
    [
        status(403),
        status(403, HTML),
        status(403, b"<?xml version='1.0'?><Error><Code>RequestLimit</Code></Error>"),
        status(200, HTML),
        status(200, b"\xef\xbb\xbf\r\n" + HTML),
    ],
    ids=["403", "403 page", "403 other code", "200 page", "200 page after a mark"],
)
@pytest.mark.parametrize("month", [JANUARY, Month(2026, 10)], ids=["old", "recent"])
def test_a_block_page_is_waited_out_and_never_taken_for_an_unpublished_month(
    page: Answer, month: Month, site: HttpSource, staging: StagingArea
) -> None:
    path = f"/trip-data/fhvhv-{month}.parquet"
    site.standing[path] = page
    with pytest.raises(TransientError) as caught:
        source(site).fetch("fhvhv", month, staging)
    assert [caught.value.wait_before(retry) for retry in (1, 2, 3, 4)] == [30, 90, 270, 270]
    assert list(site.asked) == [path]  # the CSV, which lacks columns, is not taken in its place
    assert files_of(staging) == []


def test_a_month_published_again_tells_the_most_rows_that_it_has_had(site: HttpSource, staging: StagingArea) -> None:
    landed = 0

    def fetch(rows: int, *, accept: bool = False) -> int | None:
        nonlocal landed
        site.files[CSV_PATH] = csv([TRIP] * rows)
        raw, _ = source(site).fetch("yellow", JANUARY, staging, landed_rows=landed, accept_row_count=accept)
        assert source(site).fetch("yellow", JANUARY, staging) == (raw, False)
        landed = rows
        return raw.most_rows

    assert [fetch(rows) for rows in (100, 60, 50, 120, 70)] == [None, 100, 100, 100, 120]
    with pytest.raises(PermanentError, match="59 rows, under half of the 120 that the month has had"):
        fetch(59)
    assert (fetch(59, accept=True), fetch(60)) == (None, 59)
    assert (fetch(50), fetch(50, accept=True)) == (60, None)
    assert [fetch(rows) for rows in (100, 110, 60, 80)] == [50, 50, 50, 60]  # 100 and 110 are too many: no measure


@pytest.mark.parametrize("rows", [0, 3, 2499])
def test_a_new_file_with_under_half_of_the_rows_is_refused_until_a_person_accepts_it(
    rows: int, site: HttpSource, staging: StagingArea
) -> None:
    first, _ = source(site).fetch("yellow", JANUARY, staging)
    site.files[CSV_PATH] = csv([TRIP] * rows)
    for accept in (False, not rows):  # one without rows cannot be accepted
        with pytest.raises(PermanentError) as caught:
            source(site).fetch("yellow", JANUARY, staging, landed_rows=5000, accept_row_count=accept)
        found = f"{rows:,} rows, under half of the 5,000 that the month has had" if rows else "no rows"
        assert caught.value.message == f"the new file has {found}; the month stays as it is"
        assert "yellow 2021-01" in caught.value.location
        assert ("taxi-assets run yellow 2021-01 --accept-row-count" in caught.value.remedy) == bool(rows)
        assert staging.intact(staging.find(RawFile, "raw", "yellow", JANUARY)) == first
    if rows:
        raw, changed = source(site).fetch("yellow", JANUARY, staging, landed_rows=5000, accept_row_count=True)
        assert (raw.source_rows, raw.most_rows, changed) == (rows, None, True)
        assert source(site).fetch("yellow", JANUARY, staging, landed_rows=rows) == (raw, False)


def test_a_file_that_never_landed_gives_way_to_one_with_fewer_rows(site: HttpSource, staging: StagingArea) -> None:
    site.files[CSV_PATH] = b"a,b\n" * 20_000
    source(site).fetch("yellow", JANUARY, staging)
    site.files[CSV_PATH] = CONTENT
    assert source(site).fetch("yellow", JANUARY, staging)[0].source_rows == 5000


@pytest.mark.parametrize(
    "order",
    [
        status(429),
        status(503, HTML),
        status(500),
        status(408),
        broken(CONTENT, 0),
        broken(CONTENT, 300_000),
        broken(CONTENT, 300_000, reset=False),
        stall(0.6, CONTENT, 1000),
        stall(0.6, CONTENT),
        lambda _: time.sleep(0.6),
    ],
    ids=["429", "503", "500", "408", "reset", "reset midway", "short body", "stall midway", "stall", "no answer"],
)
def test_a_busy_source_or_broken_connection_is_asked_once_and_the_next_fetch_gets_the_month(
    order: Answer, site: HttpSource, staging: StagingArea
) -> None:
    site.orders[CSV_PATH] = [order]
    asking = source(site, read_timeout=0.3)

    with pytest.raises(TransientError):
        asking.fetch("yellow", JANUARY, staging)
    assert site.requests == 1
    assert files_of(staging) == []

    raw, _ = asking.fetch("yellow", JANUARY, staging)
    assert staging.path(raw.file).read_bytes() == CONTENT
    assert len(files_of(staging)) == 2


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("in an hour", 3600), ("soon", 0), ("", 0), ("9" * 5000, 0)],
)
def test_retry_after_in_seconds_or_as_a_date_reaches_whoever_retries(
    header: str, seconds: float, site: HttpSource, staging: StagingArea
) -> None:
    if header == "in an hour":
        header = email.utils.formatdate(time.time() + 3600, usegmt=True)
    site.orders[CSV_PATH] = [status(429, Retry_After=header)]
    with pytest.raises(TransientError) as caught:
        source(site).fetch("yellow", JANUARY, staging)
    assert seconds - 60 <= caught.value.retry_after <= seconds


@pytest.mark.parametrize(
    ("order", "error", "says"),
    [
        (status(503), TransientError, "the source answers 503"),
        (broken(CONTENT, 300_000), TransientError, "the connection to the source broke"),
        (stall(0.6, CONTENT, 1000), TransientError, "the source did not answer in time"),
        (status(401), PermanentError, "the source answers 401"),
        (status(200, HTML), TransientError, "an HTML page"),
        (status(200, b"%PDF-1.4 ,"), NotATripFileError, "a PDF document"),
        (status(206, CONTENT[:1000]), PermanentError, "the source answers 206"),
        (status(200, CONTENT[:100_000]), NotATripFileError, "a gzip file that was cut off"),
        (redirect(CSV_PATH), PermanentError, "redirects in a circle"),
    ],
)
def test_a_failed_fetch_says_what_and_where_and_leaves_the_old_month_as_it_was(
    order: Answer, error: type[TaxiError], says: str, site: HttpSource, staging: StagingArea
) -> None:
    old, _ = source(site).fetch("yellow", JANUARY, staging)
    before, requests = files_of(staging), site.requests
    site.standing[CSV_PATH] = order

    with pytest.raises(error, match=says) as caught:
        source(site, read_timeout=0.2).fetch("yellow", JANUARY, staging)

    assert caught.value.location == f"yellow 2021-01, {site.url}{CSV_PATH}"
    assert staging.find(RawFile, "raw", "yellow", JANUARY) == old
    assert files_of(staging) == before
    if "circle" not in says:
        assert site.requests == requests + 1


def test_a_slow_connection_that_delivers_is_not_cut(site: HttpSource, staging: StagingArea) -> None:
    def slowly(handler: object) -> None:
        handler.begin(200, len(CONTENT))  # type: ignore[attr-defined]
        for start in range(0, len(CONTENT), len(CONTENT) // 5):
            time.sleep(0.1)
            handler.send(CONTENT[start : start + len(CONTENT) // 5])  # type: ignore[attr-defined]

    site.orders[CSV_PATH] = [slowly]
    raw, _ = source(site, read_timeout=0.4).fetch("yellow", JANUARY, staging)
    assert raw.bytes == len(CONTENT)


def test_a_redirect_is_followed_and_the_address_asked_for_is_kept(site: HttpSource, staging: StagingArea) -> None:
    site.files["/elsewhere"] = CONTENT
    site.standing[CSV_PATH] = redirect("/elsewhere?signature=abc")
    raw, _ = source(site).fetch("yellow", JANUARY, staging)
    assert raw.source_url == site.url + CSV_PATH


def test_a_file_that_is_written_over_while_it_is_read_is_read_again_at_the_next_run(
    tmp_path: Path, staging: StagingArea
) -> None:
    path = tmp_path / "yellow.csv"
    path.write_bytes(csv([TRIP] * 20_000))
    new = csv([TRIP.replace("2.1", "3.1")] * 20_000)
    fetched = Source(path.as_uri(), "", "csv")
    fetched.fetch("yellow", JANUARY, staging, progress=lambda *_: path.write_bytes(new))
    os.utime(path, ns=(1, 1))
    raw, changed = fetched.fetch("yellow", JANUARY, staging)
    assert changed
    assert staging.path(raw.file).read_bytes() == new
    assert fetched.fetch("yellow", JANUARY, staging) == (raw, False)


def test_a_server_that_is_gone_is_a_broken_connection(staging: StagingArea) -> None:
    with http_source() as gone:
        url = gone.url
    with pytest.raises(TransientError, match="the connection to the source broke"):
        Source(csv_url=url, parquet_url=url).fetch("yellow", JANUARY, staging)


@pytest.mark.parametrize(
    "order", [None, status(404), status(403), status(401), status(503), status(200, HTML), broken(CONTENT, 9)]
)
def test_a_secret_in_an_address_is_nowhere_to_be_read(
    order: Answer | None, site: HttpSource, staging: StagingArea, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    if order:
        site.standing[CSV_PATH] = order
    url = site.url.replace("//", "//someone:passw0rd@") + CSV_PATH + "?token=t0psecret#fr4gment"

    try:
        Source(csv_url=url, parquet_url=url, prefer="csv").fetch("yellow", JANUARY, staging)
    except TaxiError as error:
        caplog.handler.stream.write(f"{error!r} {error}")

    written = "".join(path.read_text("latin-1") for path in staging.root.rglob("*.json")) + caplog.text
    assert not any(secret in written for secret in ("passw0rd", "t0psecret", "fr4gment"))
    assert "authorization" in site.asked[CSV_PATH][0]


def test_an_invalid_address_is_permanent_and_is_not_quoted(staging: StagingArea) -> None:
    url = "http://someone:passw0rd@:99999999/x"
    with pytest.raises(PermanentError) as caught:
        Source(csv_url=url, parquet_url=url, prefer="csv").fetch("yellow", JANUARY, staging)
    assert "passw0rd" not in f"{caught.value!r}{caught.value}"


def test_a_file_url_is_fetched_watched_and_missed_like_any_other(tmp_path: Path, staging: StagingArea) -> None:
    folder = tmp_path / "with space"
    folder.mkdir()
    path = folder / "yellow_2021-01.csv"
    path.write_bytes(csv([TRIP]))
    here = Source(csv_url=folder.as_uri() + "/{dataset}_{year}-{month:02}.csv", parquet_url="", prefer="csv")

    raw, new = here.fetch("yellow", JANUARY, staging)
    assert (raw.source_rows, new) == (1, True)
    assert here.fetch("yellow", JANUARY, staging) == (raw, False)

    path.write_bytes(csv([TRIP] * 2))
    os.utime(path, ns=(1, 1))
    assert here.fetch("yellow", JANUARY, staging)[0].source_rows == 2
    with pytest.raises(NotPublishedError):
        here.fetch("yellow", Month(2021, 2), staging, today=lambda: date(2021, 3, 1))
    path.unlink()
    path.mkdir()
    path.with_name("yellow_2021-03.csv").write_bytes(HTML)
    with pytest.raises(NotATripFileError, match="an HTML page") as caught:
        here.fetch("yellow", Month(2021, 3), staging)
    assert "browser" not in caught.value.remedy
    with pytest.raises(PermanentError, match="is a folder"):
        here.fetch("yellow", JANUARY, staging)


@pytest.mark.parametrize("prefer", ["csv", "auto"])
def test_a_source_folder_that_does_not_exist_is_an_error_and_no_month_that_is_not_published_yet(
    prefer: str, staging: StagingArea, tmp_path: Path
) -> None:
    mirror = (tmp_path / "mirror").as_uri()
    wrong = Source(f"{mirror}/csv/{{dataset}}-{{year}}.csv", f"{mirror}/{{dataset}}-{{year}}.parquet", prefer)
    with pytest.raises(PermanentError) as caught:
        wrong.fetch("yellow", Month(2026, 8), staging, today=lambda: date(2026, 9, 1))
    assert caught.value.message.startswith(f"there is no such folder: {tmp_path}/mirror/csv (TAXI_CSV_URL)")
    (tmp_path / "mirror" / "csv").mkdir(parents=True)
    with pytest.raises(NotPublishedError):
        wrong.fetch("yellow", Month(2026, 8), staging, today=lambda: date(2026, 9, 1))
