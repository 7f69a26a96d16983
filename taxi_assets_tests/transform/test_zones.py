"""The zone lookup: every edition that has all zones is read alike, and one that has not is refused."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from taxi_assets.errors import PermanentError, TransientError
from taxi_assets.source.client import Source
from taxi_assets.storage.staging.local import StagingArea
from taxi_assets.transform.zones import NotAZoneLookupError, fetch_zones, parse_zones
from taxi_assets_tests.servers.http_source import HttpSource, http_source, status

HEADER = "LocationID,Borough,Zone,service_zone"
ROWS = [
    *(f"{n},Queens,Zone {n},Boro Zone" for n in range(1, 263)),
    '263,Manhattan,"Yorkville, West",Yellow Zone',
    "264,Unknown,N/A,N/A",
    "265,N/A,NA,N/A",
]
CONTENT = "".join(line + "\r\n" for line in (HEADER, *ROWS)).encode()


def edition(change: Callable[[list[str]], list[str]], end: str = "\r\n", header: str = HEADER) -> bytes:
    return "".join(line + end for line in (header, *change(list(ROWS)))).encode()


def as_is(rows: list[str]) -> list[str]:
    return rows


def quoted_whole(line: str) -> str:
    return '"' + line.replace('"', '""') + '"'


@pytest.mark.parametrize(
    "content",
    [
        CONTENT,
        edition(as_is, "\n"),
        edition(as_is, "\r"),
        CONTENT.rstrip(),
        b"\xef\xbb\xbf" + CONTENT,
        edition(lambda rows: rows[::-1]),
        edition(lambda rows: ["", *rows, ""]),
        edition(as_is, header=HEADER.lower()),
        edition(as_is, header='"LocationID"," Borough","Zone","service_zone"'),
        edition(lambda rows: [quoted_whole(row) for row in rows], header=quoted_whole(HEADER)),
    ],
)
def test_line_ends_quotes_order_and_case_make_no_difference(content: bytes) -> None:
    zones, unknown = parse_zones(content)
    assert zones["LocationID"].to_pylist() == list(range(1, 266))
    assert zones.slice(262).to_pylist() == [
        {"LocationID": 263, "Borough": "Manhattan", "Zone": "Yorkville, West", "service_zone": "Yellow Zone"},
        {"LocationID": 264, "Borough": "Unknown", "Zone": "N/A", "service_zone": "N/A"},
        {"LocationID": 265, "Borough": "N/A", "Zone": "NA", "service_zone": "N/A"},
    ]
    assert unknown == ()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it is empty (0 bytes)"),
        (b"<!DOCTYPE html><html>not here, sorry</html>", "its first line lacks LocationID, Borough, Zone"),
        (
            edition(as_is, header="OBJECTID,Shape_Leng,the_geom,x"),
            "its first line lacks LocationID, Borough, Zone",
        ),
        (edition(lambda rows: [*rows, rows[7]]), "zones that are there twice: 8"),
        (edition(lambda rows: rows[:99] + rows[100:]), "zones that are missing: 100"),
        (edition(lambda rows: rows[:200]), "zones that are missing: 201, 202, 203, 204, 205 and 60 more"),
        (edition(lambda rows: [*rows, "0,A,B,C"]), "numbers of no zone: 0"),
        (edition(lambda rows: [*rows[:-1], "99999999999999,A,B,C"]), "numbers of no zone: 99999999999999"),
        (CONTENT[:-7], "row 265 has 3 fields, the header names 4"),
        (CONTENT[:-20], "zones that are missing: 265"),
        (CONTENT[: CONTENT.index(b", West") + 3], "it is not CSV in UTF-8"),
        (edition(lambda rows: ["x,Queens,Zone,Boro", *rows]), "LocationID 'x' is not a whole number"),
        (edition(lambda rows: [",Queens,Zone,Boro", *rows]), "LocationID '' is not a whole number"),
        (CONTENT.replace(b"Yorkville", b"\xff"), "it is not CSV in UTF-8"),
        (CONTENT.replace(b"Yorkville", b"\0"), "damaged"),
    ],
)
def test_a_lookup_that_is_not_whole_is_refused_and_says_what_is_wrong(content: bytes, says: str) -> None:
    with pytest.raises(NotAZoneLookupError) as caught:
        parse_zones(content)
    assert says in caught.value.message


def test_zones_that_tlc_adds_and_columns_that_nobody_knows_are_taken_and_named() -> None:
    content = edition(
        lambda rows: [f"{row},1.5" for row in (*rows, "266,Queens,New Zone,Boro Zone")], header=f"{HEADER},area"
    )
    zones, unknown = parse_zones(content)
    assert (zones.num_rows, unknown) == (266, ("area",))


def test_todays_lookup_and_its_four_damaged_editions_have_the_same_zones(real_data: Path) -> None:
    today = real_data / "mirror/misc/taxi_zone_lookup.csv"
    with today.open(newline="") as file:
        published = [{**row, "LocationID": int(row["LocationID"])} for row in csv.DictReader(file)]
    assert parse_zones(today.read_bytes())[0].to_pylist() == published

    editions = sorted((real_data / "zones").iterdir())
    assert len(editions) == 4
    for path in editions:
        zones, unknown = parse_zones(path.read_bytes())
        assert (zones.num_rows, unknown) == (265, ())
        same = [zone["Borough"] == other["Borough"] for zone, other in zip(zones.to_pylist(), published, strict=True)]
        assert sum(same) >= 263, path  # 264 and 265 were renamed
        has_service_zone = b"service_zone" in path.read_bytes()
        assert zones["service_zone"].null_count == (0 if has_service_zone else 265)


@pytest.fixture
def site() -> Iterator[HttpSource]:
    with http_source() as running:
        running.files["/misc/zones.csv"] = CONTENT
        yield running


def test_zones_are_fetched_once_and_again_when_they_change(site: HttpSource, tmp_path: Path) -> None:
    source, staging, url = Source("", ""), StagingArea(tmp_path), site.url + "/misc/zones.csv"

    zones, new = fetch_zones(source, url, staging)
    assert (zones.rows, new, zones.source_url) == (265, True, url)
    assert pq.read_table(staging.path(zones.file)).num_rows == 265
    sent = site.sent
    assert fetch_zones(source, url, staging) == (zones, False)
    assert site.sent == sent

    site.files["/misc/zones.csv"] = CONTENT.replace(b"Yorkville, West", b"Yorkville")
    changed, new = fetch_zones(source, url, staging)
    assert new
    assert changed.sha256 != zones.sha256
    assert sorted(p.suffix for p in (tmp_path / "reference/taxi_zones").iterdir()) == [".json", ".lock", ".parquet"]


def test_a_failed_fetch_leaves_the_zones_as_they_were(site: HttpSource, tmp_path: Path) -> None:
    source, staging = Source("", ""), StagingArea(tmp_path)
    url = site.url.replace("//", "//user:passw0rd@") + "/misc/zones.csv?token=t0p"
    zones, _ = fetch_zones(source, url, staging)
    failures = {
        PermanentError: status(404),
        TransientError: status(503),
        NotAZoneLookupError: status(200, CONTENT[:5000]),
    }
    for kind, answer in failures.items():
        site.standing["/misc/zones.csv"] = answer
        with pytest.raises(kind) as caught:
            fetch_zones(source, url, staging)
        assert caught.value.location == f"taxi zones, {site.url}/misc/zones.csv"
        assert "passw0rd" not in str(caught.value)
    site.standing.clear()
    assert fetch_zones(source, url, staging) == (zones, False)


def test_an_endless_lookup_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "zones.csv"
    path.write_bytes(CONTENT * 200)
    with pytest.raises(NotAZoneLookupError, match="longer than 1 MiB"):
        fetch_zones(Source("", ""), path.as_uri(), StagingArea(tmp_path / "work"))
