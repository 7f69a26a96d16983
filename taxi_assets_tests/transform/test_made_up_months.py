"""The demo's source serves every month of every dataset, in the columns of TLC's files of that time."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest

from taxi_assets.demo.sample import DAMAGED, blocks
from taxi_assets.demo.server import make
from taxi_assets.months import Month
from taxi_assets_tests.transform.landing import Landed, land, land_file
from taxi_assets_tests.transform.schema_versions import BLANK_LINE_2, SCHEMA_VERSIONS, SchemaVersion, read_by_hand

PERIODS = (
    ("yellow", "2009-01", "2009-12", "2009-01"),
    ("yellow", "2010-01", "2013-12", "2012-04"),
    ("yellow", "2014-01", "2014-12", "2014-01"),
    ("yellow", "2015-01", "2015-06", "2015-01"),
    ("yellow", "2015-07", "2016-06", "2016-06"),
    ("yellow", "2016-07", "2016-12", "2016-07"),
    ("yellow", "2017-01", "2018-12", "2017-03"),
    ("yellow", "2019-01", "2021-07", "2019-01"),
    ("green", "2013-08", "2014-12", "2013-08"),
    ("green", "2015-01", "2015-06", "2015-01"),
    ("green", "2015-07", "2015-12", "2015-07"),
    ("green", "2016-01", "2016-06", "2015-07", BLANK_LINE_2),
    ("green", "2016-07", "2016-12", "2016-07"),
    ("green", "2017-01", "2018-12", "2017-01"),
    ("green", "2019-01", "2021-07", "2019-01"),
    ("fhv", "2015-01", "2016-12", "2015-01"),
    ("fhv", "2017-01", "2017-06", "2017-01"),
    ("fhv", "2017-07", "2017-12", "2017-07"),
    ("fhv", "2018-01", "2018-12", "2018-01"),
    ("fhv", "2019-01", "2021-07", "2019-01"),
    ("fhvhv", "2019-02", "2021-07", "2019-02"),
)
"""Dataset, first and last month of TLC's CSV files with one header, the month whose schema version tells it, and how
lines end where that is not as in that version."""

VERSIONS = {(version.dataset, str(version.month)): version for version in SCHEMA_VERSIONS}


def version_of(dataset: str, told: str, ends: str = "") -> SchemaVersion:
    version = VERSIONS[dataset, told]
    return dataclasses.replace(version, ends=ends or version.ends)


MONTHS = [
    (name, month, version_of(name, told, *ends))
    for name, first, last, told, *ends in PERIODS
    for month in (first, last)
]
ROWS = 1_000

of_each_period = pytest.mark.parametrize(
    ("dataset", "month", "version"), MONTHS, ids=[f"{name} {month}" for name, month, _ in MONTHS]
)


@of_each_period
def test_the_first_and_last_month_of_each_header_have_it_and_rows_as_wide_as_tlcs(
    dataset: str, month: str, version: SchemaVersion
) -> None:
    content = b"".join(blocks(dataset, Month.parse(month), 1))
    assert content.startswith(dataclasses.replace(version, rows=()).content)
    header, row = lines(content)
    assert header == version.header
    assert row.count(",") == version.rows[0].count(",")
    assert row.startswith('"') == version.rows[0].startswith('"')


@of_each_period
def test_the_first_and_last_month_of_each_header_land_all_rows_but_the_damaged_with_sensible_values(
    dataset: str, month: str, version: SchemaVersion, tmp_path: Path
) -> None:
    content = b"".join(blocks(dataset, Month.parse(month), ROWS, damaged=3))
    landed = land(content, tmp_path, dataset, Month.parse(month))
    assert_only_the_damaged_are_rejected(landed, ROWS)
    filled = {name for name in landed.table.column_names if landed.table[name].null_count < ROWS}
    assert filled == {*version.columns.split(), "source_row", "source_month"} - {"ehail_fee"}
    by_hand = read_by_hand(content.partition(DAMAGED[0])[0], version)
    for row, expected in zip(landed.rows, by_hand, strict=True):
        assert {name: row[name] for name in expected} == expected
        assert_sensible(row)


@pytest.mark.parametrize(
    ("dataset", "month", "rows"),
    [
        ("yellow", "2009-01", 20_000),
        ("green", "2013-08", 5_000),
        ("fhv", "2015-01", 5_000),
        ("fhvhv", "2019-02", 5_000),
    ],
)
def test_each_dataset_begins_at_the_demos_source_with_its_first_month(
    dataset: str, month: str, rows: int, tmp_path: Path
) -> None:
    for name in (month, str(Month.parse(month).plus(-1))):
        make(tmp_path, f"{dataset}/{dataset}_tripdata_{name}.csv.gz")
    (path,) = (tmp_path / dataset).iterdir()
    landed = land_file(path, dataset, Month.parse(month), tmp_path)
    assert_only_the_damaged_are_rejected(landed, rows)


@pytest.mark.parametrize("month", ["2021-08", "2024-12", "2025-01", "2026-05", "2026-06", "2026-09"])
@pytest.mark.parametrize("dataset", ["yellow", "green", "fhv", "fhvhv"])
def test_later_months_have_every_column_that_is_expected_of_them(dataset: str, month: str, tmp_path: Path) -> None:
    landed = land(b"".join(blocks(dataset, Month.parse(month), ROWS, 3)), tmp_path, dataset, Month.parse(month))
    assert_only_the_damaged_are_rejected(landed, ROWS)


def test_every_head_of_tlcs_files_begins_like_the_made_up_month(real_data: Path) -> None:
    paths = sorted(real_data.glob("heads-1024bytes/*.csv"))
    assert len(paths) == 201
    for path in paths:
        dataset, _, month = path.stem.split("_")
        published, made = path.read_bytes(), b"".join(blocks(dataset, Month.parse(month), 1))
        assert made.splitlines(keepends=True)[0] == published.splitlines(keepends=True)[0], path
        assert lines(made)[1].count(",") == lines(published)[1].count(","), path


def lines(content: bytes) -> list[str]:
    """Return the lines that are not blank."""
    return [line for line in content.decode().splitlines() if line]


def assert_only_the_damaged_are_rejected(landed: Landed, rows: int) -> None:
    record = landed.cleaned
    assert (record.source_rows, record.cleaned_rows, record.rejected_rows) == (rows + 3, rows, 3)
    assert landed.column("source_row") == list(range(1, rows + 1))
    assert not record.unknown_columns
    assert not record.absent_columns


def assert_sensible(row: dict[str, Any]) -> None:
    """Assert that a trip is possible: parts add up to the total, New York's coordinates."""
    for name, value in row.items():
        if value is not None and "itude" in name:
            assert -74.1 < value < -73.7 if "longitude" in name else 40.5 < value < 41
    if row.get("passenger_count") is not None and row["fare_amount"] > 0:
        parts = ("fare_amount", "extra", "mta_tax", "tip_amount", "tolls_amount", "improvement_surcharge")
        parts = (*parts, "congestion_surcharge")
        assert math.isclose(sum(row[name] or 0 for name in parts), row["total_amount"], abs_tol=0.001)
        assert row["payment_type"] in (1, 2, 3, 4)
        assert (row["tip_amount"] > 0) <= (row["payment_type"] == 1)
