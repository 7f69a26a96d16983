"""Each store's schema is the contract's, in that store's types."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest

from taxi_assets.contracts import DATASETS, SOURCE_MONTH, SOURCE_ROW, Column, Dataset
from taxi_assets.contracts.schemas import (
    arrow_schema,
    bigquery_fields,
    duckdb_columns,
    literal,
    postgres_columns,
    quote,
)
from taxi_assets.months import Month

COLUMNS = (
    Column("Id", "int64", "A number.", required=True, nullable=False),
    Column("Miles", "float64", "A distance."),
    Column("Flag", "string", "A text."),
    Column("At", "timestamp", "A time."),
)
THINGS = Dataset("things", "Things", "Things.", Month(2020, 1), COLUMNS, "made up", "https://example.org")


def test_arrow() -> None:
    assert arrow_schema(THINGS.table_columns).equals(
        pa.schema(
            [
                pa.field("Id", pa.int64(), nullable=False),
                ("Miles", pa.float64()),
                ("Flag", pa.string()),
                ("At", pa.timestamp("us")),
                pa.field("source_row", pa.int64(), nullable=False),
                pa.field("source_month", pa.date32(), nullable=False),
            ]
        )
    )


def test_duckdb() -> None:
    assert duckdb_columns(THINGS.table_columns) == (
        '"Id" BIGINT NOT NULL, "Miles" DOUBLE, "Flag" VARCHAR, "At" TIMESTAMP, '
        '"source_row" BIGINT NOT NULL, "source_month" DATE NOT NULL'
    )


def test_bigquery_keeps_wall_time_in_datetime_and_the_descriptions() -> None:
    assert bigquery_fields(THINGS.table_columns) == [
        {"name": "Id", "type": "INTEGER", "mode": "REQUIRED", "description": "A number."},
        {"name": "Miles", "type": "FLOAT", "mode": "NULLABLE", "description": "A distance."},
        {"name": "Flag", "type": "STRING", "mode": "NULLABLE", "description": "A text."},
        {"name": "At", "type": "DATETIME", "mode": "NULLABLE", "description": "A time."},
        {"name": "source_row", "type": "INTEGER", "mode": "REQUIRED", "description": SOURCE_ROW.description},
        {"name": "source_month", "type": "DATE", "mode": "REQUIRED", "description": SOURCE_MONTH.description},
    ]


def test_postgres_folds_names_to_lower_case() -> None:
    assert postgres_columns(THINGS.table_columns) == (
        '"id" bigint NOT NULL, "miles" double precision, "flag" text, "at" timestamp, '
        '"source_row" bigint NOT NULL, "source_month" date NOT NULL'
    )


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=lambda dataset: dataset.name)
def test_duckdb_makes_each_table_and_gives_its_rows_back_in_the_arrow_schema(dataset: Dataset) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE {quote(dataset.table)} ({duckdb_columns(dataset.table_columns)})")
        given = connection.sql(f"SELECT * FROM {quote(dataset.table)}").to_arrow_table().schema
    wanted = arrow_schema(dataset.table_columns)
    assert (given.names, given.types) == (wanted.names, wanted.types)


def test_names_and_texts_are_quoted_so_that_nothing_in_them_is_sql() -> None:
    name, text = 'a"b', "it's; DROP TABLE x --"
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE t AS SELECT {literal(text)} AS {quote(name)}")
        assert connection.execute("SELECT * FROM t").description[0][0] == name
        assert connection.execute("SELECT * FROM t").fetchone() == (text,)
