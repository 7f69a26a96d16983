"""The warehouse of the local profile: a DuckDB file with the same schema and tables as in BigQuery."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import duckdb
import pyarrow as pa

from taxi_assets.contracts.model import SOURCE_MONTH, Column, Dataset, table_of
from taxi_assets.contracts.schemas import duckdb_columns, literal, quote
from taxi_assets.errors import PermanentError, QueryError
from taxi_assets.months import Month
from taxi_assets.records import LakeObject, TableMonth
from taxi_assets.storage.limits import LOAD_MEMORY_MIB, ResourceLimits
from taxi_assets.storage.warehouse.content import digest
from taxi_assets.storage.warehouse.duckdb_file import connect, map_error
from taxi_assets.storage.warehouse.duckdb_tables import (
    LOADS,
    exists,
    find_load,
    full_name,
    one,
    prepare,
    record_load,
)
from taxi_assets.storage.warehouse.guard import check_object

_QUERIES = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
"""DuckDB parses DESCRIBE, SHOW, SUMMARIZE and VALUES as SELECT."""


_SCHEMA = "SELECT 1 FROM information_schema.schemata WHERE schema_name = ?"


class DuckDBWarehouse:
    """Tables in a DuckDB file; a month is replaced in one transaction.

    Every method raises `PermanentError` if the file is damaged, and `TransientError` if another process uses it for
    more than `wait_seconds` or the operating system refuses. The first load creates the file.
    """

    def __init__(self, path: Path, schema: str, limits: ResourceLimits, wait_seconds: float = 60.0) -> None:
        self.path, self.schema, self.limits, self.wait_seconds = path, schema, limits, wait_seconds

    def check(self, lake: Any) -> None:
        """See `Warehouse.check`: the first load creates the file."""

    def replace_month(
        self, dataset: Dataset, stored: LakeObject, *, reload: bool = False, accept_row_count: bool = False
    ) -> TableMonth:
        """See `Warehouse.replace_month`; the object's URI is a file's."""
        month, location = stored.month, f"{dataset.name} {stored.month}, {stored.file}"
        with connect(self.path, self.limits, self.wait_seconds) as connection:
            connection.execute(f"SET memory_limit = '{LOAD_MEMORY_MIB}MiB'")
            # a table has no order; keeping the file's would load its rows in one thread unless memory were ample
            connection.execute("SET preserve_insertion_order = false")
            connection.execute("BEGIN")
            try:
                extra = prepare(connection, self.schema, dataset)
                changed = reload or not self._is_loaded(connection, dataset.table, stored)
                if changed:
                    load = find_load(connection, self.schema, dataset.table, month)
                    before = load[1] if load else self._count(connection, dataset.table, month)
                    check_object(stored, before, location, accepted=accept_row_count)
                    self._load(connection, dataset.table, stored)
                rows = self._count(connection, dataset.table, month)
                if rows != stored.rows:
                    raise PermanentError(
                        f"the object has {stored.rows} rows, but {rows} of them are of {month}",
                        location=location,
                        remedy="put the month into the lake again",
                    )
                connection.execute("COMMIT")
            except duckdb.Error as error:
                raise map_error(error, self.path, location) or PermanentError(
                    f"the object does not fit the table: {str(error).splitlines()[0]}",
                    location=location,
                    remedy="clean the month again, and put it into the lake and the table again",
                ) from error
        return TableMonth(
            dataset=dataset.name,
            month=month,
            file=f"{self.schema}.{dataset.table}",
            bytes=stored.bytes,
            sha256=stored.sha256,
            rows=rows,
            changed=changed,
            unknown_columns=extra,
        )

    def replace_table(self, name: str, columns: Sequence[Column], uri: str) -> int:
        """See `Warehouse.replace_table`."""
        full = self._full(name)
        with connect(self.path, self.limits, self.wait_seconds) as connection:
            try:
                connection.execute("BEGIN")
                connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(self.schema)}")
                connection.execute(f"CREATE OR REPLACE TABLE {full} ({duckdb_columns(columns)})")
                connection.execute(f"INSERT INTO {full} BY NAME SELECT * FROM read_parquet({literal(_path(uri))})")
                connection.execute("COMMIT")
            except duckdb.Error as error:
                raise map_error(error, self.path, uri) or PermanentError(
                    f"the file cannot be loaded into {self.schema}.{name}: {str(error).splitlines()[0]}", location=uri
                ) from error
            return one(connection, f"SELECT count(*) FROM {full}")

    def has_table(self, name: str) -> bool:
        """See `Warehouse.has_table`."""
        with self._read(name) as connection:
            return connection is not None

    def count_months(self, table: str, months: Collection[Month] | None = None) -> dict[Month, int]:
        """See `Warehouse.count_months`."""
        with self._read(table) as connection:
            if connection is None:
                return {}
            days = [] if months is None else [[month.first_day for month in months]]
            only = "" if months is None else "WHERE source_month IN (SELECT unnest(?::DATE[]))"
            sql = f"SELECT source_month, count(*) FROM {self._full(table)} {only} GROUP BY ALL ORDER BY ALL"
            return {Month.of(day): rows for day, rows in connection.execute(sql, days).fetchall()}

    def find_month(self, dataset: str, month: Month, stored: LakeObject | None = None) -> TableMonth | None:
        """See `Warehouse.find_month`."""
        table = table_of(dataset)
        with self._read(table, LOADS) as connection:
            known = connection and find_load(connection, self.schema, table, month)
            if connection is None or not known:
                return None
            rows = self._count(connection, table, month)
        return TableMonth(
            dataset=dataset,
            month=month,
            file=f"{self.schema}.{table}",
            bytes=0,
            sha256=known[0],
            rows=rows,
            changed=False,
        )

    def loaded_checksums(self, table: str) -> dict[Month, str]:
        """See `Warehouse.loaded_checksums`."""
        with self._read(LOADS) as connection:
            if connection is None:
                return {}
            sql = f"SELECT source_month, object_sha256 FROM {self._full(LOADS)} WHERE table_name = ?"
            return {Month.of(day): sha256 for day, sha256 in connection.execute(sql, [table]).fetchall()}

    def verify_month(self, dataset: Dataset, stored: LakeObject) -> list[str]:
        """See `Warehouse.verify_month`; reads every value, and compares them regardless of their order."""
        source = _rows(stored)
        with self._read(dataset.table, LOADS) as connection:
            known = connection and find_load(connection, self.schema, dataset.table, stored.month)
            if connection is None or not known:
                return ["the table has no record of loading the month"]
            if known[0] != stored.sha256:
                return ["the table was loaded from other bytes than the object has"]
            names = [row[0] for row in connection.execute(f"DESCRIBE FROM {source}").fetchall()]
            month = f"{self._full(dataset.table)} WHERE {SOURCE_MONTH.name} = DATE '{stored.month.first_day}'"
            table, file = (digest(connection, names, rows) for rows in (month, source))
        return [] if table == file else ["the table has other values than the object"]

    def read_month(self, dataset: str, month: Month) -> pa.Table:
        """Return a month's rows."""
        return self.query(f"SELECT * FROM {self._full(table_of(dataset))} WHERE source_month = ?", [month.first_day])

    def query(
        self,
        sql: str,
        parameters: Sequence[Any] = (),
        *,
        max_bytes: int | None = None,
        limit: int | None = None,
    ) -> pa.Table:
        """See `Warehouse.query`; takes one SELECT, or what DuckDB treats as one (DESCRIBE, EXPLAIN, SHOW, ...)."""
        if not self.path.exists():
            raise PermanentError(
                "there is no warehouse yet",
                location=str(self.path),
                remedy="taxi-assets ledger says what has landed; taxi-assets run yellow 2021-01 lands a month",
            )
        with connect(self.path, self.limits, self.wait_seconds, read_only=True, sealed=True) as connection:
            if connection.execute(_SCHEMA, [self.schema]).fetchall():
                connection.execute(f"USE {quote(self.schema)}")  # so that SHOW TABLES is not empty
            try:
                statements = connection.extract_statements(sql)
                if [statement.type in _QUERIES for statement in statements] != [True]:
                    raise self._unanswered(connection, "give one SELECT; the warehouse is read-only here")
                relation = connection.sql(sql, params=list(parameters))
                if limit is None:
                    return relation.to_arrow_table()
                reader = relation.to_arrow_reader(max(1, limit))
                return pa.Table.from_batches([batch for batch, _ in zip(reader, [0], strict=False)], reader.schema)
            except duckdb.Error as error:
                if meaning := map_error(error, self.path):
                    raise meaning from error
                text = " ".join(str(error).partition("\nLINE ")[0].split())
                raise self._unanswered(connection, text) from error

    def _unanswered(self, connection: duckdb.DuckDBPyConnection, text: str) -> QueryError:
        sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = ? ORDER BY 1"
        names = [name for (name,) in connection.execute(sql, [self.schema]).fetchall() if name != LOADS]
        tables = ", ".join(f"{self.schema}.{name}" for name in names) or "not there yet; land a month first"
        return QueryError(
            f"the query cannot be answered: {text}",
            location="the query",
            remedy=f"correct the SQL; the tables are {tables}; docs/data-dictionary.md describes their columns",
        )

    def _full(self, table: str) -> str:
        return full_name(self.schema, table)

    def _count(self, connection: duckdb.DuckDBPyConnection, table: str, month: Month) -> int:
        return one(connection, f"SELECT count(*) FROM {self._full(table)} WHERE source_month = ?", [month.first_day])

    def _is_loaded(self, connection: duckdb.DuckDBPyConnection, table: str, stored: LakeObject) -> bool:
        known = find_load(connection, self.schema, table, stored.month)
        return known == (stored.sha256, stored.rows) and stored.rows == self._count(connection, table, stored.month)

    def _load(self, connection: duckdb.DuckDBPyConnection, table: str, stored: LakeObject) -> None:
        full, day = self._full(table), stored.month.first_day
        connection.execute(f"DELETE FROM {full} WHERE source_month = ?", [day])
        connection.execute(
            f"INSERT INTO {full} BY NAME SELECT * FROM {_rows(stored)} WHERE {SOURCE_MONTH.name} = DATE '{day}'"
        )
        record_load(connection, self.schema, table, stored)

    @contextlib.contextmanager
    def _read(self, *tables: str) -> Iterator[duckdb.DuckDBPyConnection | None]:
        """Open the file for reading; None if it, or one of the tables, does not exist."""
        if not self.path.exists():
            yield None
            return
        with connect(self.path, self.limits, self.wait_seconds, read_only=True) as connection:
            yield connection if exists(connection, self.schema, *tables) else None


def _rows(stored: LakeObject) -> str:
    return f"read_parquet({literal(_path(stored.file))}, hive_partitioning = false)"


def _path(uri: str) -> str:
    """Return the path of a `file://` URI."""
    return unquote(urlsplit(uri).path)
