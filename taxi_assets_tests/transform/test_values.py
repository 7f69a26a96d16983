"""What values mean that TLC or others write in another way: missing ones, decimals, booleans, times in UTC."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from taxi_assets.contracts import DATASETS, Column
from taxi_assets.contracts.zones import ZONE_COLUMNS
from taxi_assets.months import Month
from taxi_assets.transform.values import MISSING_WORDS, parse_value
from taxi_assets_tests.transform.landing import TRIP, YELLOW_2019, csv, land, trip

WORDS = ["NA", "N/A", "n/a", "NULL", "null", "Null", "NaN", "nan", "NAN", "None", "none", "\\N", " NULL "]
AT = datetime(2021, 1, 5, 8)  # noqa: DTZ001 - New York wall time


def table(**columns: pa.Array) -> pa.Table:
    """Return yellow trips as texts, with some columns in another way."""
    rows = max(len(column) for column in columns.values())
    texts: dict[str, Any] = {n: [v] * rows for n, v in zip(YELLOW_2019.split(","), TRIP.split(","), strict=True)}
    return pa.table(texts | columns)


@pytest.mark.parametrize("word", WORDS)
def test_a_word_for_a_missing_value_is_missing_in_numbers_times_and_texts(word: str, tmp_path: Path) -> None:
    names = ["VendorID", "passenger_count", "trip_distance", "store_and_fwd_flag", "tpep_dropoff_datetime", "extra"]
    row = trip(**dict.fromkeys(names, word))

    landed = land(csv([TRIP, row, TRIP]), tmp_path / "csv")
    assert landed.rejects == []
    for name in names:
        assert [value is None for value in landed.column(name)] == [False, True, False], name

    texts = [line.split(",") for line in (TRIP, row, TRIP)]
    parquet = pa.table(dict(zip(YELLOW_2019.split(","), zip(*texts, strict=True), strict=True)))
    assert land(parquet, tmp_path / "parquet").rows == landed.rows


def test_a_pickup_that_is_missing_in_words_rejects_its_row(tmp_path: Path) -> None:
    landed = land(csv([TRIP, trip(tpep_pickup_datetime="NULL")]), tmp_path)
    assert [reject["reason"] for reject in landed.rejects] == ["it has no value"]


@pytest.mark.parametrize("name", ["N/A", "Unknown", "NA", "None"])
def test_in_zone_names_the_words_are_names(name: str) -> None:
    assert [parse_value(column, name) for column in ZONE_COLUMNS[1:]] == [name] * 3


def test_every_word_is_missing_for_every_other_column_unless_it_is_a_code() -> None:
    for dataset in DATASETS.values():
        for column in dataset.columns:
            for word in MISSING_WORDS - column.codes.keys():
                assert parse_value(column, word.upper()) is None, (column.name, word)


CENTS = [Decimal(n).scaleb(-2) for n in range(20_001)]


@pytest.mark.parametrize(
    "kind",
    [pa.decimal128(10, 2), pa.decimal128(38, 9), pa.decimal256(50, 4), pa.decimal64(12, 2), pa.decimal32(9, 2)],
    ids=str,
)
def test_decimals_of_every_cent_land_as_the_nearest_double(kind: pa.DataType, tmp_path: Path) -> None:
    amounts = [*CENTS, *(-cents for cents in CENTS[1:]), None]
    landed = land(table(total_amount=pa.array(amounts, kind)), tmp_path)
    assert landed.column("total_amount") == [None if a is None else float(str(a)) for a in amounts]


@pytest.mark.parametrize(
    "flags",
    [[True, False, None], ["true", "False", "NULL"], ["Y", "n", ""], ["Yes", "no", None], [1, 0, None]],
    ids=str,
)
def test_flags_of_any_kind_are_y_and_n(flags: list[Any], tmp_path: Path) -> None:
    landed = land(table(store_and_fwd_flag=pa.array(flags)), tmp_path / "yellow")
    assert landed.column("store_and_fwd_flag") == ["Y", "N", None]

    names = [column.name for column in DATASETS["fhvhv"].columns if column.name.endswith("_flag")]
    trips = pa.table(
        {
            "hvfhs_license_num": ["HV0003"] * 3,
            "dispatching_base_num": ["B1"] * 3,
            "pickup_datetime": [AT] * 3,
            "dropoff_datetime": [AT] * 3,
            "PULocationID": [1] * 3,
            "DOLocationID": [1] * 3,
            **{name: pa.array(flags) for name in names},
            "SR_Flag": pa.array(flags),
        }
    )
    landed = land(trips, tmp_path / "fhvhv", "fhvhv")
    assert len(names) == 5
    assert all(landed.column(name) == ["Y", "N", None] for name in names)
    assert landed.column("SR_Flag") == [1, 0, None]


UTC = [
    "2021-01-05T08:00:00Z",
    "2021-01-05T08:00:00.000Z",
    "2021-01-05 08:00:00 UTC",
    "2021-01-05 08:00:00UTC",
    "2021-01-05 08:00:00+00:00",
    "2021-01-05 08:00:00+00",
    "2021-01-05T08:00:00.000000+0000",
    "2021-01-05T08:00Z",
    "2021-01-05T08:00:00.000000000Z",
    "01/05/2021 08:00:00 AM UTC",
]


@pytest.mark.parametrize("text", UTC)
def test_a_time_marked_as_utc_is_wall_time_and_the_record_says_so(text: str, tmp_path: Path) -> None:
    landed = land(csv([TRIP, trip(tpep_pickup_datetime=text)]), tmp_path)
    assert landed.column("tpep_pickup_datetime") == [AT, AT]
    assert landed.cleaned.read_as == ("tpep_pickup_datetime: marked UTC, read as wall time",)


@pytest.mark.parametrize(
    "text", ["2021-01-05 08:00:00.123456000", "2021-01-05T08:00:00.1234560", "2021-01-05 08:00:00.123456"]
)
def test_nine_digits_of_fraction_are_read_where_microseconds_hold_them(text: str, tmp_path: Path) -> None:
    landed = land(csv([trip(tpep_dropoff_datetime=text)]), tmp_path)
    assert landed.column("tpep_dropoff_datetime") == [AT.replace(microsecond=123456)]
    assert landed.cleaned.read_as == ()


@pytest.mark.parametrize(
    "text",
    [
        "2021-01-05 08:00:00-05:00",
        "2021-01-05T08:00:00+01",
        "2021-01-05 08:00:00 EST",
        "2021-01-05T08:00:00.000000001Z",
        "2021 Jan 05 08:00:00 AM",
        "05.01.2021 08:00",
    ],
)
def test_another_offset_and_another_format_are_refused_with_the_value(text: str, tmp_path: Path) -> None:
    landed = land(csv([TRIP, trip(tpep_dropoff_datetime=text)]), tmp_path)
    assert [reject["reason"] for reject in landed.rejects] == [f"'{text}' is not a date and time"]


def test_a_whole_file_in_utc_is_read_by_columns(tmp_path: Path) -> None:
    lines = [
        trip(tpep_pickup_datetime=f"2021-01-05T{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}.000000000Z")
        for n in range(40_000)
    ]
    landed = land(csv(lines), tmp_path)
    assert landed.cleaned.cleaned_rows == len(set(landed.column("tpep_pickup_datetime"))) == 40_000


@pytest.mark.parametrize(
    ("zone", "hour", "note"),
    [
        ("UTC", 8, "marked UTC, read as wall time"),
        ("+00:00", 8, "marked +00:00, read as wall time"),
        ("Etc/UTC", 8, "marked Etc/UTC, read as wall time"),
        ("America/New_York", 3, "marked America/New_York, read as wall time"),
    ],
)
def test_instants_of_a_parquet_file_land_and_the_record_says_how(
    zone: str, hour: int, note: str, tmp_path: Path
) -> None:
    times = pa.array([AT, None], pa.timestamp("us")).cast(pa.timestamp("us", zone))
    landed = land(table(tpep_dropoff_datetime=times), tmp_path)
    assert landed.column("tpep_dropoff_datetime") == [AT.replace(hour=hour), None]
    assert landed.cleaned.read_as == (f"tpep_dropoff_datetime: {note}",)


def test_instants_of_another_zone_are_refused_with_the_value(tmp_path: Path) -> None:
    times = pa.array([AT, None], pa.timestamp("us")).cast(pa.timestamp("us", "+01:00"))
    landed = land(table(tpep_dropoff_datetime=times), tmp_path)
    assert [reject["reason"] for reject in landed.rejects] == ["'2021-01-05 09:00:00+01:00' is not a date and time"]


@pytest.mark.parametrize(
    ("column", "text", "code"),
    [("RatecodeID", "JFK", 2), ("RatecodeID", "Standard rate", 1), ("payment_type", "cash", 2)],
)
def test_our_own_labels_are_read_as_their_codes(column: str, text: str, code: int, tmp_path: Path) -> None:
    assert land(csv([trip(**{column: text}), TRIP]), tmp_path).column(column) == [code, 1]


def test_every_label_of_a_payment_a_rate_and_a_trip_type_is_its_code() -> None:
    columns: list[Column] = [c for d in DATASETS.values() for c in d.columns if c.labels and c.name != "VendorID"]
    for column in columns:
        assert {parse_value(column, label): label for label in column.labels.values()} == column.labels, column.name


def test_nothing_is_filled_or_dropped_by_default(tmp_path: Path) -> None:
    landed = land(csv([trip(passenger_count=n) for n in ("", 0, 1)]), tmp_path, month=Month(2021, 1), rules=None)
    assert landed.column("passenger_count") == [None, 0, 1]
    assert (landed.cleaned.dropped_rows, landed.cleaned.filled_passengers) == (0, 0)
