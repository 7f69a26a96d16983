"""Parquet files whose types drift land in one schema; a value that does not fit exactly rejects its row."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_assets.contracts import DATASETS
from taxi_assets.contracts.schemas import arrow_schema
from taxi_assets.errors import PermanentError
from taxi_assets.months import Month
from taxi_assets.transform import arrays
from taxi_assets.transform.header import UnknownHeaderError
from taxi_assets.transform.parquet_batches import ParquetFile
from taxi_assets_tests.transform.landing import Landed, land

AT, TO = datetime(2026, 1, 5, 8), datetime(2026, 1, 5, 8, 10)  # noqa: DTZ001 - New York wall time
JANUARY = Month(2026, 1)


def published(rows: int = 1, **columns: pa.Array) -> pa.Table:
    """Return yellow trips as TLC publishes them today, with some columns in another way."""
    plain = {
        "VendorID": pa.array([1] * rows, pa.int32()),
        "tpep_pickup_datetime": pa.array([AT] * rows, pa.timestamp("us")),
        "tpep_dropoff_datetime": pa.array([TO] * rows, pa.timestamp("us")),
        "passenger_count": pa.array([1] * rows, pa.int64()),
        "trip_distance": pa.array([2.1] * rows),
        "RatecodeID": pa.array([1] * rows, pa.int64()),
        "store_and_fwd_flag": pa.array(["N"] * rows, pa.large_string()),
        "PULocationID": pa.array([161] * rows, pa.int32()),
        "DOLocationID": pa.array([162] * rows, pa.int32()),
        "payment_type": pa.array([1] * rows, pa.int64()),
        "fare_amount": pa.array([9.5] * rows),
        **{
            name: pa.array([0.5] * rows)
            for name in ("extra", "mta_tax", "tip_amount", "tolls_amount", "improvement_surcharge")
        },
        "congestion_surcharge": pa.array([2.5] * rows),
        "total_amount": pa.array([12.3] * rows),
        "Airport_fee": pa.nulls(rows),
        "cbd_congestion_fee": pa.array([0.75] * rows),
    }
    return pa.table(plain | columns)


def land_today(table: pa.Table, folder: Path) -> Landed:
    landed = land(table, folder, month=JANUARY)
    assert landed.table.schema.equals(arrow_schema(DATASETS["yellow"].table_columns))
    return landed


@pytest.mark.parametrize(
    ("column", "array", "values"),
    [
        ("VendorID", pa.array([1, 2], pa.int8()), [1, 2]),
        ("VendorID", pa.array([1, 2], pa.uint64()), [1, 2]),
        ("VendorID", pa.array([1.0, None]), [1, None]),
        ("VendorID", pa.array(["CMT", " vts "]), [1, 2]),
        ("VendorID", pa.array([b"CMT", b" 2 "]), [1, 2]),
        ("store_and_fwd_flag", pa.array([b"y", b""]), ["Y", None]),
        ("store_and_fwd_flag", pa.array([b"N", b"Y"], pa.binary(1)), ["N", "Y"]),
        ("store_and_fwd_flag", pa.array(["N", " "], pa.string_view()), ["N", None]),
        ("store_and_fwd_flag", pa.array([float("nan"), None]), [None, None]),
        ("store_and_fwd_flag", pa.array([1, 0]), ["Y", "N"]),
        ("store_and_fwd_flag", pa.array([True, None]), ["Y", None]),
        ("store_and_fwd_flag", pa.array(["False", "TRUE"]), ["N", "Y"]),
        ("tpep_dropoff_datetime", pa.array([str(AT).encode(), None]), [AT, None]),
        ("passenger_count", pa.array([1.0, float("nan")]), [1, None]),
        ("passenger_count", pa.array([1.0, 0.0], pa.float32()), [1, 0]),
        ("passenger_count", pa.array([Decimal("2.00"), None], pa.decimal128(9, 2)), [2, None]),
        ("passenger_count", pa.array(["3", " "]), [3, None]),
        ("passenger_count", pa.array(["3.0", ""], pa.large_string()), [3, None]),
        ("passenger_count", pa.nulls(2), [None, None]),
        ("passenger_count", pa.array(["1", "2"]).dictionary_encode(), [1, 2]),
        ("trip_distance", pa.array([2, 3], pa.int64()), [2.0, 3.0]),
        ("trip_distance", pa.array([0.5, float("nan")], pa.float32()), [0.5, None]),
        ("trip_distance", pa.array([Decimal("0.10"), Decimal("8.90")]), [0.1, 8.9]),
        ("trip_distance", pa.array(["8.9000000000000004", " .5"]), [8.9, 0.5]),
        ("store_and_fwd_flag", pa.array([" N", ""], pa.large_string()), ["N", None]),
        ("store_and_fwd_flag", pa.array([0, 1]), ["N", "Y"]),
        ("store_and_fwd_flag", pa.array([0.0, 1.0]), ["N", "Y"]),
        ("Airport_fee", pa.array([1.75, None]), [1.75, None]),
        ("tpep_dropoff_datetime", pa.array([AT, TO], pa.timestamp("ns")), [AT, TO]),
        ("tpep_dropoff_datetime", pa.array([AT, TO], pa.timestamp("ms")), [AT, TO]),
        ("tpep_dropoff_datetime", pa.array([AT, TO], pa.timestamp("s")), [AT, TO]),
        ("tpep_dropoff_datetime", pa.array([AT, TO], pa.timestamp("us", "UTC")), [AT, TO]),
        ("tpep_dropoff_datetime", pa.array([date(2026, 1, 5), None]), [datetime(2026, 1, 5), None]),  # noqa: DTZ001
        ("tpep_dropoff_datetime", pa.array(["2026-01-05 08:00:00", "2026-01-05T08:10:00"]), [AT, TO]),
        ("tpep_dropoff_datetime", pa.array(["01/05/2026 08:00:00 AM", "1/5/2026 8:10"]), [AT, TO]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_values_of_a_drifted_type_are_the_contracts(
    column: str, array: pa.Array, values: list[Any], tmp_path: Path
) -> None:
    landed = land_today(published(2, **{column: array}), tmp_path)
    assert landed.column(column) == values
    assert landed.rejects == []


@pytest.mark.parametrize(
    ("column", "array", "reason"),
    [
        ("passenger_count", pa.array([1.0, 2.5]), "'2.5' is not a whole number"),
        ("passenger_count", pa.array([1, 2**63], pa.uint64()), "'9223372036854775808' is not a whole number"),
        ("passenger_count", pa.array([1.0, float("inf")]), "'inf' is not a whole number"),
        ("passenger_count", pa.array([1.0, 1e300]), "'1e+300' is not a whole number"),
        ("passenger_count", pa.array([Decimal("1.0"), Decimal("2.5")]), "'2.5' is not a whole number"),
        ("passenger_count", pa.array(["1", "2.5"]), "'2.5' is not a whole number"),
        ("passenger_count", pa.array(["1", "0x10"]), "'0x10' is not a whole number"),
        ("passenger_count", pa.array([True, None]), "'True' is not a whole number"),
        ("trip_distance", pa.array([1, 2**53 + 1]), "'9007199254740993' is not a number"),
        ("trip_distance", pa.array([1.0, float("-inf")]), "'-inf' is not a number"),
        ("trip_distance", pa.array(["1", "inf"]), "'inf' is not a number"),
        (
            "tpep_dropoff_datetime",
            pa.array([0, 1], pa.timestamp("ns")),
            "'1970-01-01 00:00:00.000000001' is not a date",
        ),
        ("tpep_dropoff_datetime", pa.array([0, 2**62], pa.timestamp("us")), "is not a date and time"),
        ("tpep_dropoff_datetime", pa.array([0, -(2**62)], pa.timestamp("ms")), "is not a date and time"),
        ("tpep_dropoff_datetime", pa.array(["2026-01-05", "2026-02-30 08:00:00"]), "'2026-02-30 08:00:00' is not"),
        ("tpep_dropoff_datetime", pa.array([None, 20260105]), "'20260105' is not a date and time"),
        ("tpep_pickup_datetime", pa.array([AT, None]), "it has no value"),
        ("store_and_fwd_flag", pa.array(["N", "a\0b"]), "is not text"),
        ("store_and_fwd_flag", pa.array([b"N", b"\xff"]), "'\\xff' is not text"),
        ("store_and_fwd_flag", pa.array([b"N", b"\xff"]).view(pa.string()), "'\\xff' is not text"),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_a_value_that_does_not_fit_exactly_rejects_its_row_and_no_other(
    column: str, array: pa.Array, reason: str, tmp_path: Path
) -> None:
    bad = 0 if array[0].is_valid and isinstance(array[0].as_py(), bool) else 1

    landed = land_today(published(2, **{column: array}), tmp_path)

    (reject,) = landed.rejects
    assert (reject["line_number"], reject["column"]) == (bad + 1, column)
    assert reason in reject["reason"]
    assert json.loads(reject["raw_text"])["total_amount"] == "12.3"
    assert landed.table.num_rows == 1


def test_a_made_up_change_of_2026_lands_and_its_new_columns_are_named(tmp_path: Path) -> None:
    table = published(
        3,
        robotaxi=pa.array([True, None, False]),
        Route=pa.array([[1, 2], None, None], pa.list_(pa.int64())),
        Plate=pa.array(["T1", "", " "], pa.string_view()),
        __index_level_0__=pa.array([0, 1, 2]),
        PULocationID=pa.array([161.0, 1.0, 2.0]),
    )
    shuffled = table.select(sorted(table.column_names, reverse=True))

    landed = land_today(shuffled.rename_columns([name.upper() for name in shuffled.column_names]), tmp_path)

    assert landed.column("PULocationID") == [161, 1, 2]
    assert landed.column("source_month") == [date(2026, 1, 1)] * 3
    assert landed.cleaned.unknown_columns == {"ROBOTAXI": 2, "ROUTE": 1, "PLATE": 1}
    assert landed.cleaned.absent_columns == ()


def test_parquet_without_a_required_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownHeaderError, match="it lacks payment_type; unknown names: paid_by"):
        land(published().rename_columns({"payment_type": "paid_by"}), tmp_path, month=JANUARY)


def test_many_row_groups_with_one_bad_row_in_each_reject_just_these(tmp_path: Path) -> None:
    counts = [1.0, 2.5, *[3.0] * 998] * 40

    landed = land_today(published(40_000, passenger_count=pa.array(counts)), tmp_path)

    assert [reject["line_number"] for reject in landed.rejects] == [1000 * n + 2 for n in range(40)]
    assert landed.column("passenger_count") == [int(count) for count in counts if count != 2.5]


@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY", "PLAIN"])
def test_texts_in_any_encoding_of_parquet_land(encoding: str, tmp_path: Path) -> None:
    texts = pa.array(["N", "Y", None, "N"])
    sink = pa.BufferOutputStream()
    trips = published(4, store_and_fwd_flag=texts)
    pq.write_table(trips, sink, use_dictionary=False, column_encoding={"store_and_fwd_flag": encoding})

    assert land(sink.getvalue().to_pybytes(), tmp_path, month=JANUARY).column("store_and_fwd_flag") == texts.to_pylist()


def test_only_texts_with_few_distinct_values_are_read_as_dictionaries(tmp_path: Path) -> None:
    few, all_differ = pa.array(["N", "Y"] * 5000), pa.array([f"plate {number}" for number in range(10_000)])
    path = tmp_path / "texts.parquet"
    pq.write_table(pa.table({"few": few, "all_differ": all_differ}), path)

    (batch,) = ParquetFile(path).row_batches({})

    assert [pa.types.is_dictionary(column.type) for column in batch.columns] == [True, False]


def test_a_parquet_file_whose_data_are_damaged_fails_as_damaged(tmp_path: Path) -> None:
    path = tmp_path / "published"
    pq.write_table(published(5000, trip_distance=pa.array([n / 7 for n in range(5000)])), path, compression="zstd")
    content = bytearray(path.read_bytes())
    content[4:2000] = bytes(1996)

    with pytest.raises(PermanentError, match="the raw file cannot be read"):
        land(bytes(content), tmp_path, month=JANUARY)


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32(), pa.string(), pa.decimal128(9, 2)], ids=str)
def test_columns_without_any_value_are_not_read_value_by_value(
    kind: pa.DataType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = ["passenger_count", "RatecodeID", "congestion_surcharge"]
    monkeypatch.setattr(arrays, "parse_value", lambda column, value: pytest.fail(f"{column.name}: {value}"))

    landed = land_today(
        published(1000, store_and_fwd_flag=pa.nulls(1000), **{n: pa.nulls(1000, kind) for n in empty}), tmp_path
    )

    assert all(landed.column(name) == [None] * 1000 for name in empty)
