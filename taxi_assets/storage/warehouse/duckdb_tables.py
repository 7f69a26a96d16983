"""The project's tables in DuckDB: creating and widening them, and the record of each month's load.

Every function works on the caller's connection. `duckdb` decides which rows go where, and when.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb

from taxi_assets.contracts.model import Dataset
from taxi_assets.contracts.schemas import TYPES, duckdb_columns, literal, quote
from taxi_assets.errors import PermanentError
from taxi_assets.months import Month
from taxi_assets.records import LakeObject
from taxi_assets.storage.warehouse.columns import differences, unknown

LOADS = "month_loads"
"""Table that records which object each month was loaded from."""
_LOADS_COLUMNS = (
    "table_name VARCHAR NOT NULL, source_month DATE NOT NULL, rows BIGINT NOT NULL, object VARCHAR NOT NULL, "
    "object_sha256 VARCHAR NOT NULL, source_sha256 VARCHAR, recipe VARCHAR, loaded_at TIMESTAMPTZ NOT NULL"
)


def full_name(schema: str, table: str) -> str:
    """Return a table's name in SQL."""
    return f"{quote(schema)}.{quote(table)}"


def exists(connection: duckdb.DuckDBPyConnection, schema: str, *tables: str) -> bool:
    """Return whether there are tables of all these names."""
    sql = "SELECT count(*) FROM information_schema.tables WHERE table_schema = ? AND list_contains(?, table_name)"
    return one(connection, sql, [schema, tables]) == len(tables)


def prepare(connection: duckdb.DuckDBPyConnection, schema: str, dataset: Dataset) -> tuple[str, ...]:
    """Create a dataset's table, or add the columns that it lacks; return its columns that the contract does not have.

    Raises:
        PermanentError: The table differs from the contract by more than missing or additional nullable columns.
    """
    full = full_name(schema, dataset.table)
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}")
    connection.execute(f"CREATE TABLE IF NOT EXISTS {full_name(schema, LOADS)} ({_LOADS_COLUMNS})")
    if not exists(connection, schema, dataset.table):
        connection.execute(f"CREATE TABLE {full} ({duckdb_columns(dataset.table_columns)})")
        for column in dataset.table_columns:
            connection.execute(f"COMMENT ON COLUMN {full}.{quote(column.name)} IS {literal(column.description)}")
        return ()
    described = connection.execute(f"DESCRIBE {full}").fetchall()
    have = {name: kind for name, kind, *_ in described}
    want = {column.name: TYPES[column.kind].duckdb for column in dataset.table_columns}
    if wrong := differences(have, {name for name, _, null, *_ in described if null == "NO"}, want):
        raise PermanentError(
            f"the table differs from the contract: {'; '.join(wrong)}",
            location=f"{schema}.{dataset.table} in DuckDB",
            remedy="rename or drop the table, then load its months again",
        )
    for name in want.keys() - have.keys():
        connection.execute(f"ALTER TABLE {full} ADD COLUMN {quote(name)} {want[name]}")
    return unknown(have, want)


def find_load(connection: duckdb.DuckDBPyConnection, schema: str, table: str, month: Month) -> tuple[str, int] | None:
    """Return the checksum and the rows of the object that a month was loaded from."""
    sql = f"SELECT object_sha256, rows FROM {full_name(schema, LOADS)} WHERE table_name = ? AND source_month = ?"
    return connection.execute(sql, [table, month.first_day]).fetchone()


def record_load(connection: duckdb.DuckDBPyConnection, schema: str, table: str, stored: LakeObject) -> None:
    """Record a month's load in place of the earlier one."""
    loads, key = full_name(schema, LOADS), [table, stored.month.first_day]
    connection.execute(f"DELETE FROM {loads} WHERE table_name = ? AND source_month = ?", key)
    values = [stored.rows, stored.file, stored.sha256, stored.source_sha256, stored.transform_version]
    connection.execute(f"INSERT INTO {loads} VALUES (?, ?, ?, ?, ?, ?, ?, now())", [*key, *values])


def one(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any] = ()) -> int:
    """Return the one number that a query gives."""
    row: Any = connection.execute(sql, list(parameters)).fetchone()
    return int(row[0])
