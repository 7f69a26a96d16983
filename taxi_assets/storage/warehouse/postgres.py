"""PostgreSQL: a table for each dataset, partitioned by `source_month`; a month is replaced in one transaction.

Readers never wait for a load, and see the old month or the new one:

- A new month is copied into a table of its own, indexed, counted and attached. ATTACH takes a lock on the parent that
  does not block readers, and is the last statement before the commit.
- A month that exists is deleted and copied again inside its partition. DETACH and ATTACH would lock the whole table,
  wait for every open reader and make later readers queue: with one reader idle in its transaction for 3 s, another
  waited 2.7 s. The price is time (10 s instead of 4 s for 1.37 M trips) and space for two copies of the month, which
  the next reload reuses.

A load that dies leaves nothing behind, because it is one transaction.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa

from taxi_assets.contracts import DATASETS
from taxi_assets.contracts.model import SOURCE_MONTH, Column, Dataset, table_of
from taxi_assets.contracts.schemas import literal, quote
from taxi_assets.errors import PermanentError
from taxi_assets.months import Month
from taxi_assets.records import CleanedFile, TableMonth
from taxi_assets.replacement import check_replacement
from taxi_assets.storage.warehouse import copy_codec
from taxi_assets.storage.warehouse.content import digest
from taxi_assets.storage.warehouse.postgres_errors import map_connect_error, map_error, parse_url, server_address
from taxi_assets.storage.warehouse.postgres_tables import (
    LOADS,
    Load,
    Table,
    attach_partition,
    copy_rows,
    count_rows,
    create_partition,
    exists,
    find_load,
    has_partition,
    lock,
    prepare,
    record_load,
)

_CONNECTION = {
    "application_name": "taxi_assets",
    "connect_timeout": "10",
    "client_encoding": "UTF8",
    # notice within a minute, not after two hours, that a server has vanished
    "keepalives_idle": "20",
    "keepalives_interval": "10",
    "keepalives_count": "4",
}


class PostgresStore:
    """Tables in one schema of a Postgres database (version 12 or later).

    Every method raises `PermanentError` if the server refuses (password, privileges, full disk, ...), and
    `TransientError` if the connection breaks or the server is busy or restarting. Neither shows the password.

    Args:
        url: `postgresql://user:password@host:port/database`.
        schema: Schema of the tables; it is created if missing.
        wait_seconds: Seconds to wait for another load of the same month.
    """

    def __init__(self, url: str, schema: str = "nyc_tlc", wait_seconds: float = 300.0) -> None:
        self._url = url
        self.schema, self.wait_seconds = schema, wait_seconds

    def replace_month(
        self,
        dataset: Dataset,
        cleaned: CleanedFile,
        path: Path,
        *,
        drop_zero_passengers: bool = False,
        reload: bool = False,
        accept_row_count: bool = False,
    ) -> TableMonth:
        """Make the table hold, for the file's month, exactly the file's rows; do nothing if it already does.

        `reload` loads the month even if it looks unchanged. `drop_zero_passengers` leaves out trips with zero
        passengers, as the tutorial does; those with an unknown number stay. If it raises, the old month stays; so it
        does if the file would erase most of it, unless `accept_row_count`.
        """
        month, passengers = cleaned.month, dataset.one("passengers") if drop_zero_passengers else None
        table = self._table(dataset)
        partition = table.partition(month)
        with self._session(f"{dataset.name} {month}") as connection:
            extra = prepare(connection, table)
            with connection.transaction():
                lock(connection, f"{self.schema}.{partition.name}", self.wait_seconds)
                same = None if reload else _find_same(connection, table, cleaned, rule=passengers is not None)
                if same:
                    return self._loaded(dataset.name, month, same, cleaned.bytes, changed=False, unknown=extra)
                before = find_load(connection, table, month)
                rows_before = before.rows + before.dropped if before else 0
                check_replacement(cleaned, rows_before, accepted=accept_row_count, location=partition.full)
                there = has_partition(connection, table, month)
                if there:
                    connection.execute(f"DELETE FROM {partition.full}")
                else:
                    create_partition(connection, table, month)
                batches = copy_codec.read(path, partition.columns)
                rows, dropped = copy_rows(connection, partition, batches, passengers, frozen=not there)
                _balance(connection, partition, cleaned, rows, dropped)
                if not there:
                    attach_partition(connection, table, month)
                load = Load(cleaned.sha256, passengers is not None, rows, dropped)
                record_load(connection, table, cleaned, load)
            if there:
                # the next reload reuses the old rows' space; TRUNCATE would take a lock that blocks readers
                connection.execute(f"VACUUM (ANALYZE, TRUNCATE off) {partition.full}")
        return self._loaded(dataset.name, month, load, cleaned.bytes, changed=True, unknown=extra)

    def replace_table(self, name: str, columns: Sequence[Column], path: Path) -> int:
        """Make a small table hold exactly a Parquet file's rows; return their number."""
        table = Table(self.schema, name, columns)
        with self._session(name) as connection:
            prepare(connection, table)
            with connection.transaction():
                lock(connection, f"{self.schema}.{name}", self.wait_seconds)
                connection.execute(f"DELETE FROM {table.full}")
                return copy_rows(connection, table, copy_codec.read(path, columns))[0]

    def count_months(self, table: str, months: Iterable[Month] | None = None) -> dict[Month, int]:
        """Count the rows of these months of a table, by default of all; empty if there is no table."""
        named = Table(self.schema, table, ())
        with self._session(table) as connection:
            if not exists(connection, self.schema, table):
                return {}
            days = ", ".join(f"DATE '{month.first_day}'" for month in months or ())
            only = "" if months is None else f"WHERE {SOURCE_MONTH.name} IN ({days or 'NULL'})"
            sql = f"SELECT {SOURCE_MONTH.name}, count(*) FROM {named.full} {only} GROUP BY 1 ORDER BY 1"
            return {Month.of(day): rows for day, rows in connection.execute(sql)}

    def dropped_months(self, table: str) -> dict[Month, int]:
        """Return how many trips each month's load left out; empty if nothing was loaded."""
        with self._session(table) as connection:
            if not exists(connection, self.schema, LOADS):
                return {}
            sql = f"SELECT source_month, dropped_rows FROM {quote(self.schema)}.{LOADS} WHERE table_name = %s"
            return {Month.of(day): dropped for day, dropped in connection.execute(sql, [table])}

    def find_month(self, dataset: str, month: Month) -> TableMonth | None:
        """Return what the table holds of a month, with its rows counted; None if nothing was loaded."""
        table = Table(self.schema, table_of(dataset), ())
        with self._session(f"{dataset} {month}") as connection:
            load = find_load(connection, table, month)
            if load is None:
                return None
            load = load._replace(rows=count_rows(connection, table, month))
        return self._loaded(dataset, month, load, 0, changed=False)

    def holds(self, cleaned: CleanedFile, *, drop_zero_passengers: bool) -> bool:
        """Whether the table has a cleaned month, loaded by the same rule."""
        table = Table(self.schema, table_of(cleaned.dataset), ())
        rule = drop_zero_passengers and DATASETS[cleaned.dataset].one("passengers") is not None
        with self._session(f"{cleaned.dataset} {cleaned.month}") as connection:
            return _find_same(connection, table, cleaned, rule=rule) is not None

    def read_month(self, dataset: Dataset, month: Month) -> pa.Table:
        """Return a month's rows; the columns have the contract's types and, as in the table, names in lower case."""
        with self._stream(dataset, month, copy_codec.MAX_ROW_BYTES) as batches:
            return batches.read_all()

    @contextlib.contextmanager
    def _stream(self, dataset: Dataset, month: Month, *options: int) -> Iterator[pa.RecordBatchReader]:
        table = self._table(dataset)
        sql = f"SELECT {table.names} FROM {table.full} WHERE {SOURCE_MONTH.name} = DATE '{month.first_day}'"
        with self._session(f"{dataset.name} {month}") as connection, connection.transaction():
            # whatever the server's defaults are, dates are ISO and floats exact
            connection.execute("SET LOCAL datestyle = ISO")
            connection.execute("SET LOCAL extra_float_digits = 1")
            with connection.cursor().copy(f"COPY ({sql}) TO STDOUT (FORMAT csv)") as text:
                yield copy_codec.parse(text, table.columns, *options)

    def verify_month(self, dataset: Dataset, cleaned: CleanedFile, path: Path) -> list[str]:
        """Read every value of a month in the table and in its cleaned file, and compare them regardless of their order.

        Return what does not hold, a sentence each.
        """
        import duckdb

        table = self._table(dataset)
        with self._session(f"{dataset.name} {cleaned.month}") as connection:
            load = find_load(connection, table, cleaned.month)
        if load is None or load.sha256 != cleaned.sha256:
            return ["Postgres was loaded from other bytes than the cleaned file has"]
        passengers = dataset.one("passengers") if load.rule else None
        kept = f"WHERE {quote(passengers.name)} IS DISTINCT FROM 0" if passengers else ""
        file = f"read_parquet({literal(str(path))}, hive_partitioning = false) {kept}"
        with duckdb.connect() as memory, self._stream(dataset, cleaned.month) as batches:
            memory.register("batches", batches)
            expected = digest(memory, [column.name for column in table.columns], file)
            found = digest(memory, [column.name.lower() for column in table.columns], "batches")
        return [] if found == expected else ["Postgres has other values than the cleaned file"]

    def _table(self, dataset: Dataset) -> Table:
        columns, pickup = dataset.table_columns, dataset.one("pickup_time")
        return Table(self.schema, dataset.table, columns, monthly=True, indexed=pickup)

    def _loaded(
        self, dataset: str, month: Month, load: Load, size: int, *, changed: bool, unknown: tuple[str, ...] = ()
    ) -> TableMonth:
        return TableMonth(
            dataset=dataset,
            month=month,
            file=f"{self.schema}.{table_of(dataset)}",
            bytes=size,
            sha256=load.sha256,
            rows=load.rows,
            changed=changed,
            dropped_rows=load.dropped,
            unknown_columns=unknown,
        )

    @contextlib.contextmanager
    def _session(self, what: str) -> Iterator[psycopg.Connection[Any]]:
        """Connect; statements outside `connection.transaction()` commit by themselves."""
        parts = parse_url(self._url)
        location = f"{what}, Postgres at {server_address(parts)}"
        try:
            connection = psycopg.connect(**{**_CONNECTION, **parts}, autocommit=True)  # type: ignore[arg-type]
        except psycopg.Error as error:
            raise map_connect_error(error, location) from error
        with contextlib.closing(connection):
            try:
                yield connection
            except psycopg.Error as error:
                raise map_error(error, location) from error


def _find_same(connection: psycopg.Connection[Any], table: Table, cleaned: CleanedFile, *, rule: bool) -> Load | None:
    """Return the load on record if it was of this file, by this rule, and the table still has as many rows."""
    load = find_load(connection, table, cleaned.month)
    if load is None or (load.sha256, load.rule) != (cleaned.sha256, rule):
        return None
    return load if load.rows == count_rows(connection, table, cleaned.month) else None


def _balance(
    connection: psycopg.Connection[Any], partition: Table, cleaned: CleanedFile, copied: int, dropped: int
) -> None:
    """Compare the table's rows with the ledger before anyone can see them."""
    counted = count_rows(connection, partition)
    if not counted == copied == cleaned.cleaned_rows - dropped:
        raise PermanentError(
            f"the cleaned file should have {cleaned.cleaned_rows} rows: {copied} were sent, {dropped} dropped for "
            f"zero passengers, {counted} arrived",
            location=f"{cleaned.dataset} {cleaned.month}, {partition.schema}.{partition.name}",
            remedy="clean the month again",
        )
