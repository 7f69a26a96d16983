"""Another month's file, a file in another form, and a month that cannot be read are refused, and the error says why."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from taxi_assets.demo.sample import write_month
from taxi_assets.errors import PermanentError
from taxi_assets.months import Month
from taxi_assets.source.client import NotATripFileError
from taxi_assets_tests.transform.landing import TRIP, csv, land, land_file, trip


def day_first(rows: int, days: int) -> list[str]:
    """Return trips of January as a British spreadsheet saves them."""
    return [
        trip(tpep_pickup_datetime=f"{n % days + 1:02}/01/2021 08:00", tpep_dropoff_datetime="01/01/2021 08:10")
        for n in range(rows)
    ]


@pytest.mark.parametrize(("dataset", "month"), [("yellow", Month(2025, 11)), ("fhvhv", Month(2020, 1))])
def test_another_months_file_is_refused_and_the_month_it_belongs_to_is_named(
    dataset: str, month: Month, tmp_path: Path
) -> None:
    path = write_month(tmp_path / "published.csv", dataset, month, 2_000)
    with pytest.raises(PermanentError, match=rf"2,000 of 2,000 pickups are outside .*: this looks like {month}'s file"):
        land_file(path, dataset, month.plus(1), tmp_path)


@pytest.mark.parametrize(("rows", "days"), [(3, 12), (40, 12), (4_000, 12), (4_000, 31)])
def test_dates_with_the_day_first_are_refused_and_not_swapped(rows: int, days: int, tmp_path: Path) -> None:
    lines = day_first(rows, days)[1:] if rows == 3 else day_first(rows, days)
    with pytest.raises(PermanentError, match="outside 2021-01: the dates look day-first"):
        land(csv([*lines, day_first(12, 12)[5]] if rows == 3 else lines), tmp_path)


def test_a_file_of_many_other_months_says_so(tmp_path: Path) -> None:
    lines = [trip(tpep_pickup_datetime=f"20{n:02}-07-15 08:00:00") for n in range(10, 20)] * 2
    with pytest.raises(PermanentError, match="20 of 20 pickups are outside 2021-01: 10 other months occur"):
        land(csv(lines), tmp_path)


@pytest.mark.parametrize(
    ("inside", "outside", "lands"), [(10, 10, True), (10, 11, False), (3, 5, True), (0, 3, False), (0, 2, True)]
)
def test_half_of_the_pickups_may_be_outside_the_month_and_a_few_rows_prove_nothing(
    inside: int, outside: int, lands: bool, tmp_path: Path
) -> None:
    content = csv([TRIP] * inside + [trip(tpep_pickup_datetime="2020-12-31 23:59:59")] * outside)
    if lands:
        landed = land(content, tmp_path)
        assert landed.cleaned.anomalies["pickup_before_month"] == outside
        assert sum(landed.cleaned.trips_per_day) == inside
    else:
        with pytest.raises(PermanentError, match="this looks like 2020-12's file"):
            land(content, tmp_path)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (csv([TRIP] * 3).replace(b",", b";"), "semicolons"),
        (csv([TRIP] * 3).replace(b",", b";").replace(b".", b","), "semicolons"),
        (csv([TRIP] * 3).replace(b",", b"\t"), "tabs"),
        (csv([TRIP] * 3).replace(b",", b"|"), "pipes"),
        (csv([TRIP] * 3).decode().encode("utf-16"), "UTF-16"),
        (csv([TRIP] * 3).decode().encode("utf-16-le"), "UTF-16"),
        (csv([TRIP] * 3).decode().encode("utf-16-be"), "UTF-16"),
        (gzip.compress(csv([TRIP] * 3)), "gzip file inside a gzip"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_file_in_another_form_is_refused_by_its_name(content: bytes, name: str, packed: bool, tmp_path: Path) -> None:
    if packed or "gzip" in name:
        content = gzip.compress(content)
    with pytest.raises(NotATripFileError, match=name):
        land(content, tmp_path)


def test_the_most_frequent_reasons_are_told_with_an_example_and_its_line(tmp_path: Path) -> None:
    lines = [
        *[TRIP] * 9,
        *[trip(tpep_pickup_datetime=f"2021 Jan {day:02}") for day in range(5, 9)],
        *[trip(trip_distance="far")] * 3,
        "cut,off",
        "cut",
        trip(passenger_count=1.5),
    ]
    landed = land(csv(lines), tmp_path)
    assert landed.cleaned.reject_reasons == (
        "tpep_pickup_datetime: not a date and time (4 rows, first '2021 Jan 05' in line 11)",
        "trip_distance: not a number (3 rows, first 'far' in line 15)",
        "whole line: it has too few fields, the header names 18 (2 rows, first 'cut,off' in line 18)",
    )
    assert land(csv([TRIP]), tmp_path / "other").cleaned.reject_reasons == ()
