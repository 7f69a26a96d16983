"""The monthly report: its numbers are those of the file, and its page stands alone."""

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
from taxi_assets.reports.html import unusual
from taxi_assets.reports.labels import label_of
from taxi_assets.reports.metrics import Anomaly, Spread
from taxi_assets.reports.report import ReportFile
from taxi_assets.transform.anomalies import conditions
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


def render_page(report: ReportFile) -> str:
    return path_of(report).read_text("utf-8")


def headings(page: str) -> list[str]:
    return re.findall("<h2>(.*?)</h2>", page)


def test_the_numbers_are_those_of_the_files_lines(landed: tuple[Place, Lines]) -> None:
    place, lines = landed
    numbers = place.numbers("yellow", "2021-01")
    pickups = [datetime.fromisoformat(line["tpep_pickup_datetime"]) for line in lines]
    inside = [pickup for pickup in pickups if (pickup.year, pickup.month) == (2021, 1)]
    assert numbers.rows == ROWS
    assert 0 < numbers.outside == ROWS - len(inside)
    assert {day: trips for day, trips in numbers.days.items() if trips} == Counter(p.date() for p in inside)
    by_hour = Counter((pickup.weekday() >= 5, pickup.hour) for pickup in inside)
    # January 2021 has 21 working days, and 10 at weekends
    assert numbers.hours[0] == pytest.approx([by_hour[False, hour] / 21 for hour in range(24)])
    assert numbers.hours[1] == pytest.approx([by_hour[True, hour] / 10 for hour in range(24)])
    assert dict(numbers.payments) == Counter(PAYMENTS[line["payment_type"]] for line in lines)
    miles = [float(line["trip_distance"]) for line in lines]
    assert numbers.miles
    assert numbers.miles.counts == Counter(miles)
    assert numbers.miles.median == statistics.median_low(miles)
    assert numbers.dollars
    assert numbers.dollars.counts == Counter(float(line["total_amount"]) for line in lines)
    zones = Counter(f"Zone <{line['PULocationID']}>" for line in lines)
    assert numbers.zone_trips == ROWS
    assert [zone.trips for zone in numbers.zones] == sorted(zones.values(), reverse=True)[:12]
    assert all(zone.borough == "Queens" and zones[zone.name] == zone.trips for zone in numbers.zones)


def test_the_year_before_is_counted_by_weekday_from_the_warehouse(place: Place) -> None:
    numbers = place.numbers("yellow", "2021-01")
    year_before = place.record("yellow", "2020-01").trips_per_day
    # 1 January 2021 was a Friday, as 3 January 2020; the last two days fall into February 2020, which is not landed
    assert list(numbers.before.values()) == list(year_before[2:])
    assert [day.day for day in numbers.before] == list(range(1, 30))
    assert place.numbers("green", "2021-01").before == {}


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
    page = render_page(report)
    asked = _Asked()
    asked.feed(page)
    assert {link[0] for link in asked.links} <= {"#"}
    assert not asked.tags & {"script", "link", "iframe", "img", "object", "embed", "base", "form"}
    assert "@import" not in page
    assert {found[0] for found in re.findall(r"url\((.)", page)} <= {"#"}


def test_the_page_says_what_it_shows_and_where_it_comes_from(place: Place, report: ReportFile) -> None:
    page = render_page(report)
    assert "<h1>Yellow taxi trips, January 2021</h1>" in page
    assert headings(page) == [
        "Trips per day",
        "Trips per hour of the day",
        "Trips by way of payment",
        "Trips by distance",
        "Pick-up zones with the most trips",
        "Odd rows, this month and the months before",
        "What became of each row",
    ]
    cleaned = place.record("yellow", "2021-01")
    assert cleaned.source_sha256 in page
    assert cleaned.source_url in page
    assert "prefers-color-scheme: dark" in page
    assert "<Zone" not in page
    assert "Zone &lt;" in page


@pytest.mark.parametrize(
    ("dataset", "absent"),
    [("fhv", ("payment", "distance")), ("fhvhv", ("payment", "distance")), ("green", ())],
)
def test_a_dataset_without_a_column_has_a_report_without_its_chart(
    place: Place, dataset: str, absent: tuple[str, ...]
) -> None:
    shown = " ".join(chart.title for chart in charts_of(DATASETS[dataset], place.numbers(dataset, "2021-01")))
    assert [word for word in ("payment", "distance") if word not in shown] == list(absent)
    assert "pick-up zones" in shown


def test_zones_without_a_lookup_have_numbers(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.land("fhv", "2021-01", 50)
    numbers = place.numbers("fhv", "2021-01")
    assert all(re.fullmatch(r"Zone \d+", zone.name) and not zone.borough for zone in numbers.zones)


def test_a_month_of_one_trip_has_a_report(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.land("yellow", "2014-12", 1)
    page = render_page(place.report("yellow", "2014-12"))
    assert "Pick-up zones" not in page  # files of 2014 have coordinates
    assert "Trips by distance" in page


def test_each_chart_is_an_image_for_light_and_for_dark_paper(place: Place, report: ReportFile) -> None:
    folder = path_of(report).parent
    assert folder.relative_to(place.folder) == Path("lake/reports/yellow/2021-01")
    charts = ("trips_per_day", "trips_per_hour", "payments", "distances", "pickup_zones", "oddities")
    assert {path.name for path in folder.glob("*.png")} == {f"{c}.{t}.png" for c in charts for t in ("light", "dark")}
    for path in folder.glob("*.png"):
        with Image.open(path) as image:
            assert image.width >= 900
            red, green, blue = image.convert("RGB").getpixel((1, 1))  # type: ignore[misc]
            assert (min(red, green, blue) > 250) if ".light." in path.name else (max(red, green, blue) < 40)


def test_the_same_month_gives_the_same_bytes(place: Place, report: ReportFile) -> None:
    folder = path_of(report).parent
    files = {path: path.read_bytes() for path in folder.iterdir()}
    assert place.report("yellow", "2021-01") == report
    assert {path: path.read_bytes() for path in folder.iterdir()} == files


def test_an_oddity_is_unusual_outside_of_what_the_months_before_had() -> None:
    usual = Anomaly("zero_passengers", 20, 0.02, (0.018, 0.022, 0.020))
    assert not unusual(usual)
    assert not unusual(replace(usual, share=0.0235))
    assert unusual(replace(usual, share=0.03))
    assert unusual(replace(usual, share=0.005))
    assert not unusual(replace(usual, share=0.5, before=()))


def test_every_oddity_has_words() -> None:
    names = {name for dataset in DATASETS.values() for name in conditions(dataset, Month(2021, 1))}
    assert {name for name in names if label_of(name) == name.replace("_", " ").capitalize()} == set()


def test_a_spread_counts_from_zero_to_below_the_end() -> None:
    spread = Spread({-1.0: 5, 0.0: 1, 0.49: 2, 0.5: 3, 1.0: 4, 2.0: 7})
    assert spread.bins(0.5, 2.0) == [3, 3, 4, 0]
    assert spread.quantile(0.5) == 0.5  # 11 of 22 trips
    assert spread.quantile(0.51) == 1.0
