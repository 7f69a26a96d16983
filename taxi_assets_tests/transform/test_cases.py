"""Small files as people really have them, from file to SQL: made here, and given in the folder beside the real data.

Each stands for a kind; the kinds' details are in `test_columns`, `test_values` and `test_right_file`.
"""

from __future__ import annotations

import csv as csv_files
import json
import re
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from taxi_assets.contracts import DATASETS
from taxi_assets.contracts.schemas import duckdb_columns
from taxi_assets.errors import TaxiError
from taxi_assets.months import Month
from taxi_assets.transform.quality import check_schema, require_ledger
from taxi_assets_tests.transform.landing import TRIP, YELLOW_2019, Landed, csv, land, land_file, trip

LIMIT = 0.2
START = datetime(2012, 5, 1)  # noqa: DTZ001 - New York wall time
UNREACHABLE = {"pq-bool-flag": "[[2]]"}
"""The file has two flags and a NULL; its EXPECTED.csv counts three."""


def yellow(rows: int, start: datetime, **changed: Any) -> pa.Table:
    """Return trips as TLC's Parquet has them since 2011, with some columns in another way."""
    times = pa.array([start + timedelta(hours=n) for n in range(rows)])
    values: dict[str, Any] = {name: [1.0] * rows for name in YELLOW_2019.split(",")}
    values |= {"tpep_pickup_datetime": times, "tpep_dropoff_datetime": times, "store_and_fwd_flag": ["N"] * rows}
    return pa.table(values | {"airport_fee": pa.nulls(rows)} | changed)


def query(landed: Landed, sql: str) -> str:
    """Run a query of the local warehouse's kind over a cleaned month, and return its rows as JSON."""
    dataset, table = DATASETS[landed.cleaned.dataset], landed.table
    with duckdb.connect() as connection:
        connection.register("landed", table)
        connection.execute("CREATE SCHEMA nyc_tlc")
        connection.execute(f"CREATE TABLE nyc_tlc.{dataset.table} ({duckdb_columns(dataset.table_columns)})")
        connection.execute(f"INSERT INTO nyc_tlc.{dataset.table} BY NAME SELECT * FROM landed")
        return json.dumps([list(row) for row in connection.execute(sql).fetchall()])


ZONED_2012 = yellow(3, START)
OWN = {
    "BigQuery's names": (
        csv(
            ["1,2018-03-05T08:00:00,2018-03-05T08:10:00,1,2.0,1,N,1,10,0.3,12.8,11,22,2018,3"],
            header="vendor_id,pickup_datetime,dropoff_datetime,passenger_count,trip_distance,rate_code,"
            "store_and_fwd_flag,payment_type,fare_amount,imp_surcharge,total_amount,pickup_location_id,"
            "dropoff_location_id,data_file_year,data_file_month",
        ),
        ("yellow", Month(2018, 3)),
        'select "PULocationID", "DOLocationID", improvement_surcharge, source_row from nyc_tlc.yellow_trips',
        [[11, 22, 0.3, 1]],
    ),
    "the mirror's fhvhv": (
        csv(
            ["B1,2021-06-01 00:03:00,2021-06-01 00:08:00,10,20,N,B2", "B1,2021-06-01 00:04:00,NULL,10,20,Y,\\N"],
            header="dispatching_base_num,pickup_datetime,dropoff_datetime,PULocationID,DOLocationID,SR_Flag,"
            "Affiliated_base_number",
        ),
        ("fhvhv", Month(2021, 6)),
        (
            'select count(hvfhs_license_num), sum("SR_Flag"), count("Affiliated_base_number"), count(dropoff_datetime) '
            "from nyc_tlc.fhvhv_trips"
        ),
        [[0, 1, 1, 1]],
    ),
    "Parquet of 2012": (
        ZONED_2012,
        ("yellow", Month(2012, 5)),
        'select min("PULocationID"), count(pickup_longitude), max(source_row) from nyc_tlc.yellow_trips',
        [[1, 0, 3]],
    ),
    "request_source": (
        yellow(2, datetime(2026, 6, 1), cbd_congestion_fee=[0.75, None], request_source=["HV0003", None]),  # noqa: DTZ001
        ("yellow", Month(2026, 6)),
        "select request_source from nyc_tlc.yellow_trips order by 1",
        [["HV0003"], [None]],
    ),
    "decimals and booleans": (
        yellow(
            2,
            START,
            total_amount=pa.array([Decimal("62.80"), Decimal("-0.30")], pa.decimal128(10, 2)),
            store_and_fwd_flag=[True, False],
        ),
        ("yellow", Month(2012, 5)),
        "select total_amount, store_and_fwd_flag from nyc_tlc.yellow_trips order by 1",
        [[-0.3, "N"], [62.8, "Y"]],
    ),
    "instants": (
        yellow(1, START, tpep_pickup_datetime=pa.array([START]).cast(pa.timestamp("us", "UTC"))),
        ("yellow", Month(2012, 5)),
        "select tpep_pickup_datetime::varchar from nyc_tlc.yellow_trips",
        [["2012-05-01 00:00:00"]],
    ),
    "missing values in words": (
        csv([trip(passenger_count=word, store_and_fwd_flag=word) for word in ("NA", "NULL", "NaN", "\\N", "None")]),
        ("yellow", Month(2021, 1)),
        "select count(*), count(passenger_count), count(store_and_fwd_flag) from nyc_tlc.yellow_trips",
        [[5, 0, 0]],
    ),
    "times in UTC": (
        csv([trip(tpep_pickup_datetime=text) for text in ("2021-01-05T08:00:00.000Z", "2021-01-05 08:00:00 UTC")]),
        ("yellow", Month(2021, 1)),
        "select distinct tpep_pickup_datetime::varchar from nyc_tlc.yellow_trips",
        [["2021-01-05 08:00:00"]],
    ),
}


@pytest.mark.parametrize(("content", "month", "sql", "rows"), OWN.values(), ids=OWN)
def test_a_file_as_people_have_it_lands_with_its_values_and_warns_of_nothing(
    content: bytes | pa.Table, month: tuple[str, Month], sql: str, rows: list[list[Any]], tmp_path: Path
) -> None:
    landed = land(content, tmp_path, *month)
    assert landed.rejects == []
    assert json.loads(query(landed, sql)) == rows
    schema = check_schema(DATASETS[month[0]], landed.cleaned, tmp_path / "work" / landed.cleaned.file)
    assert "unknown" not in schema.text


def test_a_date_that_nobody_can_read_fails_the_month_with_the_value(tmp_path: Path) -> None:
    landed = land(csv([trip(tpep_pickup_datetime="2021 Jan 05 08:00:00 AM"), TRIP]), tmp_path)
    with pytest.raises(TaxiError, match="2021 Jan 05"):
        require_ledger(landed.cleaned, LIMIT)


def outcome(path: Path, case: dict[str, str], folder: Path) -> tuple[str, int, str]:
    """Return status, rows, and the query's rows or the error."""
    try:
        landed = land_file(path, case["dataset"], Month.parse(case["month"]), folder, rules=None)
        require_ledger(landed.cleaned, LIMIT)
    except TaxiError as error:
        return "failed", 0, str(error)
    return "landed", landed.table.num_rows, query(landed, case["query"])


def test_every_given_case_ends_as_expected(real_data: Path, tmp_path: Path) -> None:
    folder = real_data.parent / "cases"
    if not folder.is_dir():
        pytest.skip(f"there is no folder {folder}")
    with (folder / "EXPECTED.csv").open() as file:
        cases = list(csv_files.DictReader(file))
    for number, case in enumerate(cases):
        (path,) = (folder / case["case"]).glob(f"{case['dataset']}_tripdata_{case['month']}.*")
        status, rows, found = outcome(path, case, tmp_path / str(number))
        assert (status, rows) == (case["status"], int(case["rows"])), (case, found)
        if status == "failed":
            assert re.search(case["message"], found), (case, found)
        elif case["value"]:
            assert found == UNREACHABLE.get(case["case"], case["value"]), case
