"""The small chart in the UI: what it draws, what it says, and that it is small."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import pytest

from taxi_assets.months import Month
from taxi_assets.reports import sparkline
from taxi_assets_tests.transform.landing import csv, land, trip

JANUARY = Month(2021, 1)
SHOWN_IN_PLACE = 1000  # Dagster's UI shows longer Markdown behind a click (its source, `isLongMarkdown`; seen in 1.13)


def january(*trips: int) -> dict[date, int]:
    return {date(2021, 1, 1 + n): count for n, count in enumerate(trips)}


def drawn(markdown: str) -> ET.Element:
    image = re.search(r"!\[Trips per day\]\(<data:image/svg\+xml,(.*?)>\)", markdown)
    assert image
    return ET.fromstring(unquote(image[1]))


def test_trips_are_counted_by_the_day_of_their_pickup_and_those_outside_of_the_month_are_left_out(
    tmp_path: Path,
) -> None:
    moments = [
        "2021-01-01 00:00:00",
        "2021-01-01 23:59:59",
        "2021-01-03 12:00:00",
        "2021-01-31 23:59:59",
        "2020-12-31 23:59:59",
        "2021-02-01 00:00:00",
        "2009-01-01 00:00:00",
    ]
    lines = [trip(tpep_pickup_datetime=moment) for moment in moments]
    days = land(csv(lines), tmp_path).cleaned.trips_per_day
    assert len(days) == 31
    assert {day: trips for day, trips in enumerate(days, 1) if trips} == {1: 2, 3: 1, 31: 1}


def test_a_bar_is_as_high_as_its_day_and_weekends_are_apart() -> None:
    markdown = sparkline.markdown(JANUARY, january(50, 100, 0, 25), {})
    bars, weekend = (path.attrib["d"] for path in drawn(markdown).iter("{http://www.w3.org/2000/svg}path"))
    heights = {int(x): int(y) for x, y in re.findall(r"M(\d+) 0V(\d+)", bars + weekend)}
    assert heights == {5: 35, 15: 70, 25: 0, 35: 18}  # 70 is the highest; 17.5 is rounded to even
    assert re.findall(r"M(\d+) ", weekend) == ["15", "25"]  # the second and third were a Saturday and a Sunday


def test_the_year_before_is_that_of_the_same_weekday() -> None:
    # a Friday, a Saturday and a Sunday, as 1 to 3 January 2021
    earlier = {date(2020, 1, 3): 40, date(2020, 1, 4): 80, date(2020, 1, 5): 8}
    days = january(50, 100, 10)
    before = sparkline.year_before(days, earlier)
    assert before == {date(2021, 1, 1): 40, date(2021, 1, 2): 80, date(2021, 1, 3): 8}
    markdown = sparkline.markdown(JANUARY, days, before)
    *_, line = drawn(markdown).iter("{http://www.w3.org/2000/svg}path")
    assert line.attrib["d"] == "M5 28 15 56 25 6"
    assert "160 trips in January 2021" in markdown
    assert "Most on Sat 2: 100  \n" in markdown
    assert "25% more than 52 weeks before (line)" in markdown  # 160 against 128


@pytest.mark.parametrize(
    ("share", "words"), [(0.254, "25% more than"), (-0.93, "93% fewer than"), (0.004, "as many as")]
)
def test_a_change_reads_as_a_person_says_it(share: float, words: str) -> None:
    assert sparkline.compared(share) == f"{words} 52 weeks before"


def test_the_largest_month_is_drawn_where_it_stands() -> None:
    days = {date(2021, 1, 1) + timedelta(n): 999_000 + n for n in range(31)}
    markdown = sparkline.markdown(JANUARY, days, dict.fromkeys(days, 998_000))
    assert len(markdown) < SHOWN_IN_PLACE


def test_trips_dated_outside_the_month_are_mentioned() -> None:
    days = january(50, 100)
    assert sparkline.markdown(JANUARY, days, {}, 150).endswith("Most on Sat 2: 100")
    assert sparkline.markdown(JANUARY, days, {}, 1160).endswith("\nNot shown: 1,010 dated outside the month")


def test_a_month_without_any_trip_can_be_drawn() -> None:
    assert "0 trips in January 2021" in sparkline.markdown(JANUARY, january(*[0] * 31), {})


@pytest.mark.parametrize(("known", "share"), [(31, 0.5), (28, 0.5), (27, None), (1, None), (0, None)])
def test_a_month_is_compared_with_the_year_before_only_if_most_of_its_days_are_known(
    known: int, share: float | None
) -> None:
    days = {date(2018, 12, day): 300 for day in range(1, 32)}
    earlier = {day - timedelta(weeks=52): 200 for day in list(days)[31 - known :]}
    before = sparkline.year_before(days, earlier)
    assert len(before) == (known if share else 0)
    assert sparkline.change(days, before) == share
