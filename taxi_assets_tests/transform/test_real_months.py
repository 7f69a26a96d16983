"""TLC's own files, whole months: rows, schema and sums agree with other readers' of the same bytes."""

from __future__ import annotations

import csv
import gzip
import math
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from taxi_assets.contracts import DATASETS
from taxi_assets.contracts.schemas import arrow_schema
from taxi_assets.months import Month
from taxi_assets_tests.transform.landing import Landed, land_file

FIVE = ("passenger_count", "trip_distance", "fare_amount", "tip_amount", "total_amount")
GREEN = {Month(2020, 3): 223_496, Month(2023, 1): 68_211, Month(2024, 7): 51_837}


@pytest.fixture(scope="module")
def green(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Month, tuple[Path, Landed]]:
    """The three whole green months of TLC's Parquet."""
    paths = {month: real_data / f"mirror/trip-data/green_tripdata_{month}.parquet" for month in GREEN}
    return {m: (path, land_file(path, "green", m, tmp_path_factory.mktemp("green"))) for m, path in paths.items()}


def test_whole_green_months_land_every_row_in_one_schema_although_their_types_differ(
    green: dict[Month, tuple[Path, Landed]],
) -> None:
    published = {str(pq.read_schema(path)) for path, _ in green.values()}
    assert len(published) > 1
    for month, (_, landed) in green.items():
        assert landed.table.num_rows == landed.cleaned.cleaned_rows == landed.raw.source_rows == GREEN[month]
        assert landed.table.schema.equals(arrow_schema(DATASETS["green"].table_columns))


def test_sums_of_five_columns_of_green_months_are_those_of_the_published_file(
    green: dict[Month, tuple[Path, Landed]],
) -> None:
    for path, landed in green.values():
        published = pq.read_table(path, columns=list(FIVE))
        for name in FIVE:
            assert landed.table[name].null_count == published[name].null_count
            assert math.isclose(pc.sum(landed.table[name]).as_py(), pc.sum(published[name]).as_py(), rel_tol=1e-12)


def test_the_null_block_and_strange_rows_of_march_2020_are_kept_and_counted(
    green: dict[Month, tuple[Path, Landed]],
) -> None:
    path, landed = green[Month(2020, 3)]
    published = pq.read_table(path).to_pandas()
    pickup, dropoff = published["lpep_pickup_datetime"], published["lpep_dropoff_datetime"]
    assert landed.cleaned.anomalies == {
        "pickup_before_month": (pickup < "2020-03-01").sum(),
        "pickup_after_month": (pickup >= "2020-04-01").sum(),
        "dropoff_before_pickup": (dropoff < pickup).sum(),
        "negative_amount": ((published["fare_amount"] < 0) | (published["total_amount"] < 0)).sum(),
        "zero_passengers": (published["passenger_count"] == 0).sum(),
        "absurd_distance": (~published["trip_distance"].between(0, 1000)).sum(),
        "unknown_zone": (~published["PULocationID"].between(1, 265) | ~published["DOLocationID"].between(1, 265)).sum(),
        "unknown_vendor": (~published["VendorID"].dropna().isin([1, 2, 3, 6, 7])).sum(),
        "null_block": 47_209,
    }


@pytest.mark.parametrize("year", [2018, 2019])
def test_the_values_of_a_year_of_mirrored_yellow_csv_are_those_of_the_csv_module(
    year: int, real_data: Path, tmp_path: Path
) -> None:
    for number in range(1, 13):
        month = Month(year, number)
        path = real_data / f"mirror/releases/download/yellow/yellow_tripdata_{month}.csv.gz"
        landed = land_file(path, "yellow", month, tmp_path / str(month))
        with gzip.open(path, "rt", newline="") as file:
            published = list(csv.DictReader(file))
        assert landed.table.num_rows == landed.raw.source_rows == len(published) == 10_000
        for name in FIVE:
            assert landed.column(name) == [float(row[name]) if row[name] else None for row in published]


def test_green_of_august_2013_with_its_wider_rows_lands_whole(real_data: Path, tmp_path: Path) -> None:
    path = real_data / "mirror/releases/download/green/green_tripdata_2013-08.csv.gz"
    landed = land_file(path, "green", Month(2013, 8), tmp_path)
    with gzip.open(path, "rt") as file:
        published = [line.split(",") for line in file if line.strip()][1:]

    assert landed.table.num_rows == len(published) == 7_623
    assert sum(landed.column("fare_amount")) == sum(float(row[11]) for row in published)
    assert landed.rejects == []
