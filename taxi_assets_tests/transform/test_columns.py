"""Which columns a month's file should have, the names they come under, and what happens when one is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from taxi_assets.contracts import DATASETS
from taxi_assets.months import Month
from taxi_assets.transform.header import SourceColumn, UnknownHeaderError, map_header
from taxi_assets_tests.transform.landing import TRIP, YELLOW_2019, csv, land, trip

ZONED = (
    "VendorID,tpep_pickup_datetime,tpep_dropoff_datetime,passenger_count,trip_distance,RatecodeID,store_and_fwd_flag,"
    "PULocationID,DOLocationID,payment_type,fare_amount,extra,mta_tax,tip_amount,tolls_amount,improvement_surcharge,"
    "total_amount,congestion_surcharge,airport_fee"
)
PLACED = (
    "vendor_id,pickup_datetime,dropoff_datetime,passenger_count,trip_distance,pickup_longitude,pickup_latitude,"
    "rate_code,store_and_fwd_flag,dropoff_longitude,dropoff_latitude,payment_type,fare_amount,surcharge,mta_tax,"
    "tip_amount,tolls_amount,total_amount"
)
GREEN = (
    "VendorID,lpep_pickup_datetime,lpep_dropoff_datetime,store_and_fwd_flag,RatecodeID,PULocationID,DOLocationID,"
    "passenger_count,trip_distance,fare_amount,extra,mta_tax,tip_amount,tolls_amount,ehail_fee,improvement_surcharge,"
    "total_amount,payment_type,trip_type,congestion_surcharge"
)
FHVHV = (
    "hvfhs_license_num,dispatching_base_num,originating_base_num,request_datetime,on_scene_datetime,pickup_datetime,"
    "dropoff_datetime,PULocationID,DOLocationID,trip_miles,trip_time,base_passenger_fare,tolls,bcf,sales_tax,"
    "congestion_surcharge,airport_fee,tips,driver_pay,shared_request_flag,shared_match_flag,access_a_ride_flag,"
    "wav_request_flag,wav_match_flag"
)
FHVHV_CSV = "hvfhs_license_num,dispatching_base_num,pickup_datetime,dropoff_datetime,PULocationID,DOLocationID,SR_Flag"
MIRROR = (
    "dispatching_base_num,pickup_datetime,dropoff_datetime,PULocationID,DOLocationID,SR_Flag,Affiliated_base_number"
)


def absent(dataset: str, month: Month, header: str, source_format: str) -> tuple[tuple[str, ...], list[str]]:
    columns = [SourceColumn(position, name) for position, name in enumerate(header.split(","))]
    mapping = map_header(DATASETS[dataset], month, columns, "", source_format)
    return mapping.absent, [column.name for column in mapping.unknown]


@pytest.mark.parametrize(
    ("dataset", "first", "last", "header", "source_format"),
    [
        ("yellow", Month(2009, 1), Month(2010, 12), PLACED, "parquet"),
        ("yellow", Month(2011, 1), Month(2024, 12), ZONED, "parquet"),
        ("yellow", Month(2025, 1), Month(2026, 5), f"{ZONED},cbd_congestion_fee", "parquet"),
        ("yellow", Month(2026, 6), Month(2026, 12), f"{ZONED},cbd_congestion_fee,request_source", "parquet"),
        ("green", Month(2013, 8), Month(2024, 12), GREEN, "parquet"),
        ("green", Month(2025, 1), Month(2026, 5), f"{GREEN},cbd_congestion_fee", "parquet"),
        ("green", Month(2026, 6), Month(2026, 12), f"{GREEN},cbd_congestion_fee,request_source", "parquet"),
        ("fhvhv", Month(2019, 2), Month(2024, 12), FHVHV, "parquet"),
        ("fhvhv", Month(2025, 1), Month(2026, 12), f"{FHVHV},cbd_congestion_fee", "parquet"),
        ("fhv", Month(2015, 1), Month(2026, 12), MIRROR, "parquet"),
        ("yellow", Month(2010, 1), Month(2014, 12), PLACED, "csv"),
        ("yellow", Month(2019, 1), Month(2021, 7), YELLOW_2019, "csv"),
        ("green", Month(2019, 1), Month(2021, 7), GREEN, "csv"),
        ("fhv", Month(2020, 1), Month(2021, 7), MIRROR, "csv"),
        ("fhvhv", Month(2019, 2), Month(2021, 7), FHVHV_CSV, "csv"),
        ("fhvhv", Month(2019, 2), Month(2021, 7), MIRROR, "csv"),
        # saved in the other format by somebody
        ("yellow", Month(2012, 1), Month(2012, 12), ZONED, "csv"),
        ("yellow", Month(2012, 1), Month(2012, 12), PLACED, "parquet"),
        ("green", Month(2014, 1), Month(2014, 12), GREEN, "csv"),
        ("fhvhv", Month(2020, 1), Month(2021, 7), FHVHV, "csv"),
        ("fhvhv", Month(2020, 1), Month(2021, 7), FHVHV_CSV, "parquet"),
    ],
)
def test_a_healthy_month_of_any_format_lacks_nothing(
    dataset: str, first: Month, last: Month, header: str, source_format: str
) -> None:
    while first <= last:
        assert absent(dataset, first, header, source_format) == ((), []), first
        first = first.plus(1)


@pytest.mark.parametrize(
    ("dataset", "month", "header", "source_format", "lost"),
    [
        ("yellow", Month(2012, 5), ZONED, "parquet", "PULocationID"),
        ("yellow", Month(2010, 5), PLACED, "parquet", "pickup_longitude"),
        ("yellow", Month(2012, 5), PLACED, "csv", "pickup_longitude"),
        ("yellow", Month(2023, 1), ZONED, "parquet", "airport_fee"),
        ("yellow", Month(2026, 6), f"{ZONED},cbd_congestion_fee,request_source", "parquet", "request_source"),
        ("green", Month(2014, 1), GREEN, "parquet", "DOLocationID"),
        ("fhvhv", Month(2019, 5), FHVHV, "parquet", "driver_pay"),
        ("fhvhv", Month(2019, 5), FHVHV_CSV, "csv", "hvfhs_license_num"),
    ],
)
def test_a_column_that_the_month_should_have_in_that_format_is_missed(
    dataset: str, month: Month, header: str, source_format: str, lost: str
) -> None:
    missing, unknown = absent(dataset, month, header.replace(lost, "x"), source_format)
    assert ([name.lower() for name in missing], unknown) == ([lost.lower()], ["x"])


@pytest.mark.parametrize(
    ("dataset", "header", "columns"),
    [
        (
            "yellow",  # BigQuery's public table
            (
                "vendor_id,pickup_datetime,dropoff_datetime,passenger_count,trip_distance,rate_code,store_and_fwd_flag,"
                "payment_type,fare_amount,extra,mta_tax,tip_amount,tolls_amount,imp_surcharge,airport_fee,total_amount,"
                "pickup_location_id,dropoff_location_id,data_file_year,data_file_month"
            ),
            {"RatecodeID", "PULocationID", "DOLocationID", "improvement_surcharge", "tpep_pickup_datetime"},
        ),
        (
            "green",
            (
                "vendor_id,pickup_datetime,dropoff_datetime,passenger_count,trip_distance,rate_code,payment_type,"
                "fare_amount,total_amount,imp_surcharge,pickup_location_id,dropoff_location_id"
            ),
            {"RatecodeID", "PULocationID", "DOLocationID", "improvement_surcharge", "lpep_dropoff_datetime"},
        ),
        ("fhv", "location_id,pickup_datetime,dispatching_base_num", {"PUlocationID"}),
        (
            "yellow",  # snake_case
            (
                "vendor_id,tpep_pickup_date_time,tpep_dropoff_date_time,passenger_count,trip_distance,ratecode_id,"
                "store_and_fwd_flag,pu_location_id,do_location_id,payment_type,fare_amount,total_amount,airport_fee"
            ),
            {"VendorID", "RatecodeID", "PULocationID", "DOLocationID", "Airport_fee", "tpep_dropoff_datetime"},
        ),
        (
            "fhv",
            (
                "dispatching_base_num,pickup_date_time,drop_off_datetime,p_ulocation_id,do_location_id,sr_flag,"
                "affiliated_base_number"
            ),
            {"dropOff_datetime", "PUlocationID", "DOlocationID", "SR_Flag", "Affiliated_base_number"},
        ),
    ],
)
def test_names_of_editions_that_people_have_are_known(dataset: str, header: str, columns: set[str]) -> None:
    mapping = map_header(
        DATASETS[dataset], Month(2018, 3), [SourceColumn(n, name) for n, name in enumerate(header.split(","))], ""
    )
    assert mapping.unknown == ()
    assert columns <= {column.name for column, _ in mapping.sources}


def test_the_mirrors_fhvhv_lands_with_its_flag_as_a_number(tmp_path: Path) -> None:
    lines = [
        "B09901,2021-06-01 00:03:00,2021-06-01 00:08:00,10,20,N,B09901",
        "B09902,2021-06-01 00:46:00,2021-06-01 00:58:00,70,80,Y,",
    ]

    landed = land(csv(lines, header=MIRROR), tmp_path, "fhvhv", Month(2021, 6))

    assert landed.column("SR_Flag") == [0, 1]
    assert landed.column("Affiliated_base_number") == ["B09901", None]
    assert landed.column("hvfhs_license_num") == [None, None]
    assert (landed.cleaned.absent_columns, landed.cleaned.unknown_columns) == ((), {})


RENAMED = YELLOW_2019.replace("congestion_surcharge", "cong_fee")


def test_a_renamed_column_fails_the_month_and_names_both(tmp_path: Path) -> None:
    with pytest.raises(UnknownHeaderError) as caught:
        land(csv([TRIP] * 3, header=RENAMED), tmp_path)
    assert "expected congestion_surcharge and found unknown cong_fee (3 values)" in caught.value.message
    assert "TAXI_ACCEPTED_DRIFT: cong_fee" in caught.value.remedy


@pytest.mark.parametrize("accepted", ["cong_fee", "yellow.Cong_Fee", "congestion_surcharge"])
def test_a_renamed_column_that_somebody_accepted_lands_and_is_shown(accepted: str, tmp_path: Path) -> None:
    landed = land(csv([TRIP] * 3, header=RENAMED), tmp_path, accepted_drift=("other", accepted))
    assert landed.column("congestion_surcharge") == [None] * 3
    assert landed.cleaned.accepted_drift == (
        ("congestion_surcharge",) if accepted == "congestion_surcharge" else ("cong_fee",)
    )


def test_another_datasets_acceptance_does_not_count(tmp_path: Path) -> None:
    with pytest.raises(UnknownHeaderError):
        land(csv([TRIP], header=RENAMED), tmp_path, accepted_drift=("green.cong_fee",))


@pytest.mark.parametrize("empty", ["", " ", "NULL"])
def test_an_unknown_column_without_values_is_not_a_renamed_one(empty: str, tmp_path: Path) -> None:
    landed = land(csv([trip(congestion_surcharge=empty)] * 2, header=RENAMED), tmp_path)
    assert landed.cleaned.unknown_columns == {"cong_fee": 0}
    assert landed.cleaned.absent_columns == ("congestion_surcharge",)


def test_where_a_request_came_from_is_a_column_since_june_2026(tmp_path: Path) -> None:
    values: dict[str, Any] = {name: [v] * 3 for name, v in zip(YELLOW_2019.split(","), TRIP.split(","), strict=True)}
    table = pa.table(values | {"Airport_fee": [0.0] * 3, "request_source": ["HV0003", None, "EH0901"]})

    landed = land(table, tmp_path)

    assert landed.column("request_source") == ["HV0003", None, "EH0901"]


def test_source_row_counts_data_lines_of_a_csv_file_and_rejected_and_dropped_rows_leave_gaps(tmp_path: Path) -> None:
    landed = land(csv(["", TRIP, "", "bad", TRIP, trip(trip_distance="far"), TRIP]), tmp_path)
    assert landed.column("source_row") == [1, 3, 5]
    assert [reject["line_number"] for reject in landed.rejects] == [5, 7]


def test_source_row_counts_rows_of_a_parquet_file_over_all_row_groups(tmp_path: Path) -> None:
    values: dict[str, Any] = {
        name: [v] * 40_000 for name, v in zip(YELLOW_2019.split(","), TRIP.split(","), strict=True)
    }
    values["trip_distance"] = ["far" if n % 10_000 == 0 else "1.5" for n in range(40_000)]

    landed = land(pa.table(values), tmp_path)

    assert landed.column("source_row") == [n + 1 for n in range(40_000) if n % 10_000]
