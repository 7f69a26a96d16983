"""A DuckDB file: the warehouse of the local profile, with the same schema and tables as in BigQuery.

One process writes at a time, and no other may read meanwhile; that is how DuckDB is. Whoever finds the file in use
waits, for a bounded time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import duckdb
import tenacity

from taxi_assets.contracts.model import SOURCE_MONTH, Column, Dataset, table_of
from taxi_assets.contracts.schemas import TYPES, duckdb_columns, literal, quote
from taxi_assets.errors import PermanentError, TransientError
from taxi_assets.months import Month
from taxi_assets.records import LakeObject, TableMonth
from taxi_assets.storage.files import locked
from taxi_assets.storage.limits import LOAD_MEMORY_MIB, ResourceLimits

if TYPE_CHECKING:
    import pyarrow as pa

LOADS = "month_loads"
"""Table of the loads that count: which object each month was loaded from."""


class DuckDBWarehouse:
    """Tables in a DuckDB file; a month is replaced in one transaction.

    Args:
        path: The file; it is made when something is first loaded.
        schema: Schema of the tables.
        engine: How much of the machine a load may use.
        patience: Seconds to wait for a process that uses the file.
    """

    def __init__(self, path: Path, schema: str, limits: ResourceLimits, wait_seconds: float = 60.0) -> None:
        self.path, self.schema, self.limits, self.wait_seconds = path, schema, limits, wait_seconds

    def check(self, lake: Any) -> None:
        """See `Warehouse.check`: the file is made by the first load."""

    def replace_month(self, dataset: Dataset, stored: LakeObject) -> TableMonth:
        """Make the table hold, for the object's month, exactly the object's rows; nothing if it already does.

        Args:
            dataset: The contract.
            stored: The object's papers; its URI is a file's.

        Raises:
            PermanentError: The object or the table does not fit the contract; the old month stays.
            TransientError: Another process used the file for too long.
        """
        month, location = stored.month, f"{dataset.name} {stored.month}, {stored.file}"
        with self._connect() as connection:
            connection.execute(f"SET memory_limit = '{LOAD_MEMORY_MIB}MiB'")
            # a table has no order; kept in the file's, its rows would go through one thread unless memory were ample
            connection.execute("SET preserve_insertion_order = false")
            connection.execute("BEGIN")
            try:
                self._prepare(connection, dataset)
                changed = not self._is_loaded(connection, dataset, stored)
                if changed:
                    self._load(connection, dataset, stored)
                rows = _one(connection, self._count_sql(dataset.table), [month.first_day])
                if rows != stored.rows:
                    raise PermanentError(
                        f"the object has {stored.rows} rows, but {rows} of them are of {month}",
                        location=location,
                        remedy=f"materialise {dataset.name}/gcs_object for {month} again",
                    )
                connection.execute("COMMIT")
            except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
                raise _refused(error, location) from error
            except duckdb.Error as error:
                raise PermanentError(
                    f"the object does not fit the table: {str(error).splitlines()[0]}",
                    location=location,
                    remedy=f"materialise {dataset.name}/cleaned_parquet for {month} again, and what follows it",
                ) from error
        return TableMonth(
            dataset=dataset.name,
            month=month,
            file=f"{self.schema}.{dataset.table}",
            bytes=stored.bytes,
            sha256=stored.sha256,
            rows=rows,
            changed=changed,
        )

    def replace_table(self, name: str, columns: Sequence[Column], uri: str) -> int:
        """Make a small table hold exactly a Parquet file's rows; return their number."""
        full = f"{quote(self.schema)}.{quote(name)}"
        with self._connect() as connection:
            connection.execute("BEGIN")
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(self.schema)}")
            connection.execute(f"CREATE OR REPLACE TABLE {full} ({duckdb_columns(columns)})")
            connection.execute(f"INSERT INTO {full} BY NAME SELECT * FROM read_parquet({literal(_path(uri))})")
            connection.execute("COMMIT")
            return _one(connection, f"SELECT count(*) FROM {full}")

    def has_table(self, name: str) -> bool:
        """Return whether the schema has a table of that name."""
        with self._read() as connection:
            return connection is not None and self._exists(connection, name)

    def count_months(self, table: str, months: Collection[Month] | None = None) -> dict[Month, int]:
        """Return how many rows each month of a table has, by counting them; empty if there is no table."""
        with self._read() as connection:
            if connection is None or not self._exists(connection, table):
                return {}
            days = ", ".join(f"DATE '{month.first_day}'" for month in months or ())
            only = "" if months is None else f"WHERE source_month IN ({days or 'NULL'})"
            sql = f"SELECT source_month, count(*) FROM {self._full(table)} {only} GROUP BY ALL ORDER BY ALL"
            return {Month.of(day): rows for day, rows in connection.execute(sql).fetchall()}

    def find_month(self, dataset: str, month: Month, stored: LakeObject | None = None) -> TableMonth | None:
        """Return what the warehouse holds of a month; None if nothing was loaded."""
        table = table_of(dataset)
        with self._read() as connection:
            if connection is None or not self._exists(connection, table):
                return None
            sql = f"SELECT object_sha256 FROM {quote(self.schema)}.{LOADS} WHERE table_name = ? AND source_month = ?"
            known = connection.execute(sql, [table, month.first_day]).fetchone()
            if known is None:
                return None
            rows = _one(connection, self._count_sql(table), [month.first_day])
        return TableMonth(
            dataset=dataset,
            month=month,
            file=f"{self.schema}.{table}",
            bytes=0,
            sha256=known[0],
            rows=rows,
            changed=False,
        )

    def read_month(self, dataset: str, month: Month) -> pa.Table:
        """Return a month's rows."""
        return self.query(f"SELECT * FROM {self._full(table_of(dataset))} WHERE source_month = ?", [month.first_day])

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Return what a query gives.

        Raises:
            PermanentError: There is no warehouse yet.
        """
        with self._read() as connection:
            if connection is None:
                raise PermanentError(
                    "the warehouse is empty",
                    location=str(self.path),
                    remedy="land a month first: taxi-assets run yellow 2021-01",
                )
            return connection.sql(sql, params=list(parameters)).to_arrow_table()

    def _full(self, table: str) -> str:
        return f"{quote(self.schema)}.{quote(table)}"

    def _count_sql(self, table: str) -> str:
        return f"SELECT count(*) FROM {self._full(table)} WHERE source_month = ?"

    def _prepare(self, connection: duckdb.DuckDBPyConnection, dataset: Dataset) -> None:
        """Make the table as the contract has it; it gains columns that are new, and nothing else is changed."""
        loads = f"{quote(self.schema)}.{LOADS}"
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(self.schema)}")
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {loads} (table_name VARCHAR NOT NULL, source_month DATE NOT NULL, "
            "rows BIGINT NOT NULL, object VARCHAR NOT NULL, object_sha256 VARCHAR NOT NULL, source_sha256 VARCHAR, "
            "recipe VARCHAR, loaded_at TIMESTAMPTZ NOT NULL)"
        )
        if not self._exists(connection, dataset.table):
            connection.execute(f"CREATE TABLE {self._full(dataset.table)} ({duckdb_columns(dataset.table_columns)})")
            for column in dataset.table_columns:
                target = f"{self._full(dataset.table)}.{quote(column.name)}"
                connection.execute(f"COMMENT ON COLUMN {target} IS {literal(column.description)}")
            return
        described = connection.execute(f"DESCRIBE {self._full(dataset.table)}").fetchall()
        have = {row[0]: row[1] for row in described}
        want = {column.name: TYPES[column.kind].duckdb for column in dataset.table_columns}
        wrong = [
            f"{name} is {kind}, not {want.get(name, 'of the contract')}"
            for name, kind in have.items()
            if want.get(name) != kind
        ]
        if wrong:
            raise PermanentError(
                f"the table differs from the contract: {'; '.join(wrong)}",
                location=f"{self.schema}.{dataset.table} in {self.path}",
                remedy="rename or drop the table, then materialise its months again",
            )
        for name in want.keys() - have.keys():
            connection.execute(f"ALTER TABLE {self._full(dataset.table)} ADD COLUMN {quote(name)} {want[name]}")

    def _is_loaded(self, connection: duckdb.DuckDBPyConnection, dataset: Dataset, stored: LakeObject) -> bool:
        sql = f"SELECT object_sha256, rows FROM {quote(self.schema)}.{LOADS} WHERE table_name = ? AND source_month = ?"
        known = connection.execute(sql, [dataset.table, stored.month.first_day]).fetchone()
        return known == (stored.sha256, stored.rows) and stored.rows == _one(
            connection, self._count_sql(dataset.table), [stored.month.first_day]
        )

    def _load(self, connection: duckdb.DuckDBPyConnection, dataset: Dataset, stored: LakeObject) -> None:
        day = stored.month.first_day
        connection.execute(f"DELETE FROM {self._full(dataset.table)} WHERE source_month = ?", [day])
        source = literal(_path(stored.file))
        connection.execute(
            f"INSERT INTO {self._full(dataset.table)} BY NAME SELECT * FROM read_parquet({source}, "
            f"hive_partitioning = false) WHERE {SOURCE_MONTH.name} = DATE '{day}'"
        )
        loads = f"{quote(self.schema)}.{LOADS}"
        connection.execute(f"DELETE FROM {loads} WHERE table_name = ? AND source_month = ?", [dataset.table, day])
        connection.execute(
            f"INSERT INTO {loads} VALUES (?, ?, ?, ?, ?, ?, ?, now())",
            [
                dataset.table,
                day,
                stored.rows,
                stored.file,
                stored.sha256,
                stored.source_sha256,
                stored.transform_version,
            ],
        )

    def _exists(self, connection: duckdb.DuckDBPyConnection, name: str) -> bool:
        sql = "SELECT count(*) FROM information_schema.tables WHERE table_schema = ? AND table_name = ?"
        return _one(connection, sql, [self.schema, name]) > 0

    @contextlib.contextmanager
    def _connect(self, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        if not self.path.exists():
            self._make()
        spill = self.path.with_suffix(".tmp")
        waiting = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_in_use),
            wait=tenacity.wait_random(0.05, 0.3),
            stop=tenacity.stop_after_delay(self.wait_seconds),
            reraise=True,
        )
        with contextlib.ExitStack() as stack:
            try:
                for attempt in waiting:
                    with attempt:
                        connection = stack.enter_context(
                            self.limits.connect(spill, str(self.path), read_only=read_only)
                        )
            except duckdb.IOException as error:
                if not _is_in_use(error):
                    raise _refused(error, str(self.path)) from error
                raise TransientError(
                    f"the warehouse is in use by another process: {str(error).splitlines()[0]}",
                    location=str(self.path),
                    remedy="close the program that has the file open, or wait for it",
                ) from error
            yield connection

    def _make(self) -> None:
        """Make the file whole or not at all: one that DuckDB could not finish, as on a full disk, it never opens again.

        Raises:
            TransientError: It cannot be made.
        """
        draft = self.path.with_suffix(".new")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with locked(self.path.with_suffix(".lock")):
            if self.path.exists():
                return
            draft.unlink(missing_ok=True)
            try:
                duckdb.connect(str(draft)).close()
            except duckdb.IOException as error:
                raise _refused(error, str(self.path)) from error
            draft.replace(self.path)

    @contextlib.contextmanager
    def _read(self) -> Iterator[duckdb.DuckDBPyConnection | None]:
        if not self.path.exists():
            yield None
            return
        with self._connect(read_only=True) as connection:
            yield connection


def _is_in_use(error: BaseException) -> bool:
    return isinstance(error, duckdb.IOException) and "Could not set lock" in str(error)


def _refused(error: duckdb.Error, location: str) -> TransientError:
    return TransientError(
        f"the warehouse cannot be used: {str(error).splitlines()[0]}",
        location=location,
        remedy="see that the disk has room, that this user may read and write there, and that the process has memory "
        "(TAXI_MEMORY_LIMIT); then try again",
    )


def _one(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any] = ()) -> int:
    row: Any = connection.execute(sql, list(parameters)).fetchone()
    return int(row[0])


def _path(uri: str) -> str:
    """Return the path of a `file://` URI."""
    return unquote(urlsplit(uri).path)
