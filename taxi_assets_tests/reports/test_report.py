"""The monthly report: its metrics are those of the file, and its page stands alone."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from PIL import Image

from taxi_assets.contracts import DATASETS
from taxi_assets.months import Month
from taxi_assets.reports.charts import charts_of
from taxi_assets.reports.html import render_page
from taxi_assets.reports.labels import label_of, origin
from taxi_assets.reports.metrics import Anomaly, Distribution
from taxi_assets.reports.report import ReportFile
from taxi_assets.transform.anomalies import conditions, is_unusual
from taxi_assets_tests.reports.landed import Place

ROWS = 700
PAYMENTS = {"1": "Credit card", "2": "Cash", "3": "No charge", "4": "Dispute", "": "Not recorded"}
Lines = list[dict[str, str]]


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, Lines]:
    """Yellow of January 2021 with the year before; green, fhv and fhvhv of the same month."""
    place = Place(tmp_path_factory.mktemp("landed"))
    for month in ("2020-01", "2020-12"):
        place.land("yellow", month, ROWS // 2)
    lines = place.land("yellow", "2021-01", ROWS)
    for dataset in ("green", "fhv", "fhvhv"):
        place.land(dataset, "2021-01", 300)
    place.name_zones()
    return place, lines


@pytest.fixture(scope="module")
def place(landed: tuple[Place, Lines]) -> Place:
    return landed[0]


@pytest.fixture(scope="module")
def report(place: Place) -> ReportFile:
    """Yellow's report of January 2021."""
    return place.report("yellow", "2021-01")


def path_of(report: ReportFile) -> Path:
    return Path(unquote(urlsplit(report.file).path))


def page_of(report: ReportFile) -> str:
    return path_of(report).read_text("utf-8")


def headings(page: str) -> list[str]:
    return re.findall("<h2>(.*?)</h2>", page)


def test_the_metrics_are_those_of_the_files_lines(landed: tuple[Place, Lines]) -> None:
    place, lines = landed
    metrics = place.metrics("yellow", "2021-01")
    pickups = [datetime.fromisoformat(line["tpep_pickup_datetime"]) for line in lines]
    inside = [pickup for pickup in pickups if (pickup.year, pickup.month) == (2021, 1)]
    assert metrics.rows == ROWS
    assert 0 < metrics.outside == ROWS - len(inside)
    assert {day: trips for day, trips in metrics.days.items() if trips} == Counter(p.date() for p in inside)
    by_hour = Counter((pickup.weekday() >= 5, pickup.hour) for pickup in inside)
    # January 2021 has 21 working days, and 10 at weekends
    assert metrics.hours[0] == pytest.approx([by_hour[False, hour] / 21 for hour in range(24)])
    assert metrics.hours[1] == pytest.approx([by_hour[True, hour] / 10 for hour in range(24)])
    assert dict(metrics.payments) == Counter(PAYMENTS[line["payment_type"]] for line in lines)
    miles = [float(line["trip_distance"]) for line in lines]
    assert metrics.miles
    assert metrics.miles.counts == Counter(miles)
    assert metrics.miles.median == statistics.median_low(miles)
    assert metrics.dollars
    assert metrics.dollars.counts == Counter(float(line["total_amount"]) for line in lines)
    zones = Counter(f"Zone <{line['PULocationID']}>" for line in lines)
    assert metrics.zone_trips == ROWS
    assert [zone.trips for zone in metrics.zones] == sorted(zones.values(), reverse=True)[:12]
    assert all(zone.borough == "Queens" and zones[zone.name] == zone.trips for zone in metrics.zones)


def test_the_year_before_is_counted_by_weekday_from_the_warehouse(place: Place) -> None:
    metrics = place.metrics("yellow", "2021-01")
    year_before = place.record("yellow", "2020-01").trips_per_day
    # 1 January 2021 was a Friday, as 3 January 2020; the last two days fall into February 2020, which is not landed
    assert list(metrics.year_before.values()) == list(year_before[2:])
    assert [day.day for day in metrics.year_before] == list(range(1, 30))
    assert place.metrics("green", "2021-01").year_before == {}


class _Asked(HTMLParser):
    """Gathers what a browser would ask for or run."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links |= {str(value) for name, value in attrs if name in ("src", "href", "xlink:href", "srcset", "data")}


def test_the_page_asks_for_nothing_and_runs_nothing(report: ReportFile) -> None:
    page = page_of(report)
    asked = _Asked()
    asked.feed(page)
    assert {link for link in asked.links if link[0] != "#"} == {"../index.html"}
    assert """http-equiv="Content-Security-Policy" content="default-src 'none';""" in page
    assert not asked.tags & {"script", "link", "iframe", "img", "object", "embed", "base", "form"}
    assert "@import" not in page
    assert {found[0] for found in re.findall(r"url\((.)", page)} <= {"#"}


def test_the_page_says_what_it_shows_and_where_it_comes_from(place: Place, report: ReportFile) -> None:
    page = page_of(report)
    assert "<h1>Yellow taxi trips, January 2021</h1>" in page
    assert headings(page) == [
        "Trips per day",
        "Trips per hour of the day",
        "Trips by payment type",
        "Trips by distance",
        "Pickup zones with the most trips",
        "Anomalies, this month and earlier months",
        "What became of each row",
    ]
    cleaned = place.record("yellow", "2021-01")
    assert cleaned.source_sha256 in page
    assert cleaned.source_url in page
    assert "prefers-color-scheme: dark" in page
    assert "<Zone" not in page
    assert "Zone &lt;" in page


def test_a_report_links_to_its_neighbors_whichever_was_made_first_and_to_the_index(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for month in ("2020-12", "2021-01", "2021-02", "2021-04"):
        place.land("green", month, 20)
    for month in ("2021-02", "2020-12", "2021-04", "2021-01"):
        place.report("green", month)
    folder = tmp_path / "lake/reports/green"
    links = {
        path.parent.name: re.findall(r'rel="(\w+)" href="\.\./([\d-]+)/report.html"', path.read_text("utf-8"))
        for path in folder.glob("*/report.html")
    }
    assert links == {
        "2020-12": [("next", "2021-01")],
        "2021-01": [("prev", "2020-12"), ("next", "2021-02")],
        "2021-02": [("prev", "2021-01")],
        "2021-04": [],
    }
    index = (folder / "index.html").read_text("utf-8")
    assert re.findall(r'href="([^"]*)"', index) == [
        f"{month}/report.html" for month in ("2021-01", "2021-02", "2021-04", "2020-12")
    ]
    assert re.findall("<h2>(.*?)</h2>", index) == ["2021", "2020"]
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    place.report("green", "2021-01")
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before


@pytest.mark.parametrize(
    ("dataset", "absent"),
    [("fhv", ("payment", "distance")), ("fhvhv", ("payment", "distance")), ("green", ())],
)
def test_a_dataset_without_a_column_has_a_report_without_its_chart(
    place: Place, dataset: str, absent: tuple[str, ...]
) -> None:
    shown = " ".join(chart.title for chart in charts_of(DATASETS[dataset], place.metrics(dataset, "2021-01")))
    assert [word for word in ("payment", "distance") if word not in shown] == list(absent)
    assert "pickup zones" in shown


def test_zones_without_a_lookup_have_metrics(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.land("fhv", "2021-01", 50)
    metrics = place.metrics("fhv", "2021-01")
    assert all(re.fullmatch(r"Zone \d+", zone.name) and not zone.borough for zone in metrics.zones)


def test_a_month_of_one_trip_has_a_report(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.land("yellow", "2014-12", 1)
    page = page_of(place.report("yellow", "2014-12"))
    assert "Pickup zones" not in page  # files of 2014 have coordinates
    assert "Trips by distance" in page


def test_each_chart_is_an_image_for_a_light_and_for_a_dark_background(place: Place, report: ReportFile) -> None:
    folder = path_of(report).parent
    assert folder.relative_to(place.folder) == Path("lake/reports/yellow/2021-01")
    charts = ("trips_per_day", "trips_per_hour", "payments", "distances", "pickup_zones", "anomalies")
    assert {path.name for path in folder.glob("*.png")} == {f"{c}.{t}.png" for c in charts for t in ("light", "dark")}
    for path in folder.glob("*.png"):
        with Image.open(path) as image:
            assert image.width >= 900
            red, green, blue = image.convert("RGB").getpixel((1, 1))  # type: ignore[misc]
            assert (min(red, green, blue) > 250) if ".light." in path.name else (max(red, green, blue) < 40)


def test_an_image_that_only_an_earlier_report_of_the_month_has_is_removed(place: Place) -> None:
    folder = path_of(place.report("green", "2021-01")).parent
    charts = {path.name for path in folder.iterdir()}
    earlier, other = folder / "chart_of_an_earlier_release.dark.png", folder / "somebody_elses.png"
    for path in (earlier, other):
        path.write_bytes(b"an image")
    place.report("green", "2021-01")
    assert {path.name for path in folder.iterdir()} == {*charts, other.name}


def test_the_same_month_gives_the_same_bytes(place: Place, report: ReportFile) -> None:
    folder = path_of(report).parent
    files = {path: path.read_bytes() for path in folder.iterdir()}
    assert place.report("yellow", "2021-01") == report
    assert {path: path.read_bytes() for path in folder.iterdir()} == files


def test_an_anomaly_is_unusual_when_it_has_risen_well_above_what_the_months_before_had() -> None:
    earlier = (0.018, 0.022, 0.020, 0.019, 0.021, 0.020)
    assert not is_unusual(0.02, earlier, 50_000)
    assert not is_unusual(0.06, earlier, 50_000)
    assert is_unusual(0.061, earlier, 50_000)
    assert not is_unusual(0.0019, (0.0001,) * 6, 50_000)  # too rare to matter
    assert is_unusual(0.0021, (0.0,) * 6, 50_000)


def test_a_month_that_improved_or_has_little_to_compare_with_is_not_unusual() -> None:
    earlier = (0.02,) * 6
    assert not is_unusual(0.0, earlier, 1_000_000)
    assert not is_unusual(0.5, earlier[:5], 1_000_000)
    assert not is_unusual(0.5, earlier, 49_999)


@pytest.mark.parametrize(("share", "marks"), [(0.3, 1), (0.02, 0)])
def test_the_report_marks_what_is_unusual(place: Place, share: float, marks: int) -> None:
    anomalies = [Anomaly("zero_passengers", 20_000, share, (0.02,) * 6)]
    metrics = replace(place.metrics("yellow", "2021-01"), rows=60_000, anomalies=anomalies)
    *_, chart = charts_of(DATASETS["yellow"], metrics)
    assert render_page(DATASETS["yellow"], metrics, [chart], "").count(">Unusual<") == marks


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:8123/yellow_tripdata_2021-01.csv.gz", True),
        ("http://localhost:8123/yellow.csv", True),
        ("http://[::1]/yellow.csv", True),
        ("file:///srv/yellow.csv", True),
        ("https://d37ci6vzurychx.cloudfront.net/trip-data/yellow_tripdata_2021-01.parquet", False),
        ("https://mirror.example.org/yellow.csv", False),
    ],
)
def test_data_of_this_machine_is_not_said_to_be_tlcs(place: Place, url: str, local: bool) -> None:
    metrics = place.metrics("yellow", "2021-01")
    assert metrics.cleaned
    metrics = replace(metrics, cleaned=replace(metrics.cleaned, source_url=url))
    page = render_page(DATASETS["yellow"], metrics, [], "")
    assert ("From a local file" in page) == url.startswith("file:")
    assert ("Made-up or local data" in page) == (local and not url.startswith("file:"))
    assert ("Source: NYC TLC" in page) == (not local)
    assert origin(replace(metrics, cleaned=None)) == "Source: NYC TLC Trip Record Data"


def test_every_anomaly_has_a_label() -> None:
    names = {name for dataset in DATASETS.values() for name in conditions(dataset, Month(2021, 1))}
    assert {name for name in names if label_of(name) == name.replace("_", " ").capitalize()} == set()


def test_a_distribution_counts_from_zero_to_below_the_end() -> None:
    miles = Distribution({-1.0: 5, 0.0: 1, 0.49: 2, 0.5: 3, 1.0: 4, 2.0: 7})
    assert miles.bins(0.5, 2.0) == [3, 3, 4, 0]
    assert miles.quantile(0.5) == 0.5  # 11 of 22 trips
    assert miles.quantile(0.51) == 1.0
