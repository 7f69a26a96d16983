"""The contracts say what TLC publishes, and contradict neither TLC nor themselves."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import pytest

from taxi_assets.contracts import DATASETS, Column, Dataset, Span, fold
from taxi_assets.contracts.schemas import arrow_schema, bigquery_fields, duckdb_columns, postgres_columns
from taxi_assets.contracts.zones import ZONE_COLUMNS
from taxi_assets.months import Month
from taxi_assets.transform.clean import transform_version
from taxi_assets.transform.rules import CleaningRules
from taxi_assets_tests.transform.landing import TRIP, YELLOW_2019, csv, land

METERED = "fare_amount extra mta_tax tip_amount tolls_amount"
PLACES = "pickup_longitude pickup_latitude dropoff_longitude dropoff_latitude"
CURRENT = {
    "yellow": "VendorID tpep_pickup_datetime tpep_dropoff_datetime passenger_count trip_distance RatecodeID "
    f"store_and_fwd_flag PULocationID DOLocationID payment_type {METERED} improvement_surcharge total_amount "
    f"congestion_surcharge Airport_fee cbd_congestion_fee request_source {PLACES}",
    "green": "VendorID lpep_pickup_datetime lpep_dropoff_datetime store_and_fwd_flag RatecodeID PULocationID "
    f"DOLocationID passenger_count trip_distance {METERED} ehail_fee improvement_surcharge total_amount payment_type "
    f"trip_type congestion_surcharge cbd_congestion_fee request_source {PLACES}",
    "fhv": "dispatching_base_num pickup_datetime dropOff_datetime PUlocationID DOlocationID SR_Flag "
    "Affiliated_base_number",
    "fhvhv": "hvfhs_license_num dispatching_base_num originating_base_num request_datetime on_scene_datetime "
    "pickup_datetime dropoff_datetime PULocationID DOLocationID trip_miles trip_time base_passenger_fare tolls bcf "
    "sales_tax congestion_surcharge airport_fee tips driver_pay shared_request_flag shared_match_flag "
    "access_a_ride_flag wav_request_flag wav_match_flag cbd_congestion_fee SR_Flag "
    "Affiliated_base_number",
}
"""TLC's columns in its order of today, and, last, those that only older files have."""

every_dataset = pytest.mark.parametrize("dataset", DATASETS.values(), ids=lambda dataset: dataset.name)


def test_the_datasets_are_tlcs_and_begin_when_tlc_began() -> None:
    assert {name: str(dataset.first_month) for name, dataset in DATASETS.items()} == {
        "yellow": "2009-01",
        "green": "2013-08",
        "fhv": "2015-01",
        "fhvhv": "2019-02",
    }


@every_dataset
def test_columns_are_named_and_ordered_as_tlc_does_today(dataset: Dataset) -> None:
    assert [column.name for column in dataset.columns] == CURRENT[dataset.name].split()
    assert [column.name for column in dataset.table_columns[-2:]] == ["source_row", "source_month"]


@every_dataset
def test_no_name_stands_for_two_columns_and_none_differ_only_in_case(dataset: Dataset) -> None:
    names = Counter(name for column in dataset.table_columns for name in column.names)
    assert [name for name, times in names.items() if times > 1] == []


@every_dataset
def test_every_column_is_described_in_words_that_end(dataset: Dataset) -> None:
    for column in (*dataset.table_columns, *ZONE_COLUMNS):
        assert len(column.description) > 10, column.name
        assert column.description.rstrip(")").endswith((".", "N")), column.name


@every_dataset
def test_a_required_column_is_expected_in_every_month(dataset: Dataset) -> None:
    for column in dataset.columns:
        assert not (column.required and (column.since or column.until)), column.name
        assert column.nullable or column.required, column.name


@every_dataset
def test_codes_are_written_as_they_are_looked_up_and_lead_to_labels(dataset: Dataset) -> None:
    for column in dataset.columns:
        assert all(code == code.strip().lower() for code in column.codes), column.name
        assert not column.labels or column.kind == "int64", column.name
        if column.labels:
            assert set(column.codes.values()) <= set(column.labels), column.name


def test_header_names_are_compared_without_case_space_underscores_quotes_and_byte_order_mark() -> None:
    spellings = (
        "Trip_type ",
        " trip_type",
        '"TRIP_TYPE"',
        "\ufeffTrip_Type",
        '\ufeff"trip_type"',
        "TripType",
        "trip type",
    )
    assert {fold(name) for name in spellings} == {"triptype"}


def test_columns_are_expected_from_their_first_month_to_their_last() -> None:
    column = Column("c", "int64", "", since=Month(2015, 1), until=Month(2016, 6))
    months = [Month(2014, 12), Month(2015, 1), Month(2016, 6), Month(2016, 7)]
    assert [column.expected_in(month) for month in months] == [False, True, True, False]
    assert [column.expected_in(month, "parquet") for month in months] == [False, True, True, False]
    reissued = dataclasses.replace(column, in_parquet=Span(since=Month(2015, 2)))
    assert [reissued.expected_in(month, "parquet") for month in months] == [False, False, True, True]
    assert not dataclasses.replace(column, in_parquet=None).expected_in(Month(2016, 1), "parquet")


FEE = Column("robotaxi_fee", "float64", "Fee for trips without a driver, in US dollars.", since=Month(2026, 1))
BOATS = Dataset(
    name="boats",
    title="Water taxi trips",
    description="A row for each trip of a water taxi.",
    first_month=Month(2027, 1),
    dictionary="none; it is made up",
    dictionary_url="https://example.org",
    columns=(
        Column(
            "boat", "string", "Name of the boat.", required=True, aliases=("vessel",), codes={"hudson ii": "Hudson"}
        ),
        Column("cast_off", "timestamp", "Date and time.", role="pickup_time", required=True, nullable=False),
        Column("pier", "int64", "Pier.", role="vendor", codes={"battery": 1}, labels={1: "Battery", 2: "Midtown"}),
        Column("fare", "float64", "Fare in US dollars.", role="amount"),
    ),
)


def test_a_new_column_takes_an_entry_in_the_contract_and_nothing_else(tmp_path: Path) -> None:
    yellow = dataclasses.replace(DATASETS["yellow"], columns=(*DATASETS["yellow"].columns, FEE))

    landed = land(csv([f"{TRIP},1.25"], header=f"{YELLOW_2019},Robotaxi_Fee"), tmp_path, yellow)

    assert landed.column("robotaxi_fee") == [1.25]
    assert landed.cleaned.unknown_columns == {}
    assert arrow_schema(yellow.table_columns).field("robotaxi_fee").type == "double"
    assert '"robotaxi_fee" DOUBLE' in duckdb_columns(yellow.table_columns)
    assert bigquery_fields(yellow.table_columns)[-3]["type"] == "FLOAT"
    assert '"robotaxi_fee" double precision' in postgres_columns(yellow.table_columns)
    assert transform_version(yellow, CleaningRules()) != transform_version(DATASETS["yellow"], CleaningRules())


def test_a_new_dataset_takes_a_contract_and_nothing_else(tmp_path: Path) -> None:
    content = csv(
        ["Hudson II,2027-01-01 08:00:00,Battery,5", "Ferry,2026-12-31 08:00:00,3,-1", "Raft,,1,0"],
        header="Vessel,cast_off,pier,fare",
    )

    landed = land(content, tmp_path, BOATS, Month(2027, 1))

    assert [[row[name] for name in ("boat", "pier", "source_row", "source_month")] for row in landed.rows] == [
        ["Hudson", 1, 1, Month(2027, 1).first_day],
        ["Ferry", 3, 2, Month(2027, 1).first_day],
    ]
    assert landed.cleaned.file.startswith("cleaned/boats/boats_tripdata_2027-01.")
    assert landed.rejects[0]["reason"] == "it has no value"
    assert landed.cleaned.anomalies == {
        "pickup_before_month": 1,
        "pickup_after_month": 0,
        "negative_amount": 1,
        "unknown_vendor": 1,
    }


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({"description": "Other words."}, False),
        ({"labels": {1: "Other words."}}, False),
        ({"aliases": ("boot",)}, True),
        ({"kind": "int64"}, True),
        ({"nullable": False}, True),
        ({"required": False}, True),
        ({"codes": {"x": "y"}}, True),
        ({"missing_words": False}, True),
    ],
)
def test_the_transform_version_changes_when_a_file_would_be_read_differently_and_only_then(
    change: dict[str, object], differs: bool
) -> None:
    first, *others = BOATS.columns
    changed = dataclasses.replace(BOATS, columns=(dataclasses.replace(first, **change), *others))  # type: ignore[arg-type]
    assert (transform_version(changed, CleaningRules()) != transform_version(BOATS, CleaningRules())) == differs
    assert transform_version(BOATS, CleaningRules("zero")) != transform_version(BOATS, CleaningRules())
