"""The tables in PostgreSQL: creating and widening them, a month's partition, its rows and the record of its load.

Every function works on the caller's connection. `postgres` decides which rows go where, and when.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import psycopg
import pyarrow as pa

from taxi_assets.contracts.model import SOURCE_MONTH, Column
from taxi_assets.contracts.schemas import TYPES, literal, postgres_columns, quote
from taxi_assets.errors import PermanentError
from taxi_assets.months import Month
from taxi_assets.records import CleanedFile
from taxi_assets.storage.warehouse import copy_codec
from taxi_assets.storage.warehouse.columns import differences, unknown

LOADS = "month_loads"
"""Table that records which file each month was loaded from."""
_LOADS_COLUMNS = (
    "table_name text NOT NULL, source_month date NOT NULL, rows bigint NOT NULL, dropped_rows bigint NOT NULL, "
    "zero_passengers_dropped boolean NOT NULL, file_sha256 text NOT NULL, source_sha256 text NOT NULL, "
    "recipe text NOT NULL, loaded_at timestamptz NOT NULL, PRIMARY KEY (table_name, source_month)"
)
_CATALOG_TYPES = {"timestamp": "timestamp without time zone"}
_SHORT_WAIT = "1s"
"""How long to wait for a lock that makes readers queue behind us."""


@dataclass(frozen=True)
class Table:
    """A table as the contract describes it.

    Attributes:
        columns: Its columns by the contract; in Postgres their names are in lower case, so that no query needs quotes.
        monthly: Whether it is partitioned by `source_month`.
        indexed: The column to index in every partition.
    """

    schema: str
    name: str
    columns: Sequence[Column]
    monthly: bool = False
    indexed: Column | None = None

    @property
    def full(self) -> str:
        """Its name in SQL."""
        return f"{quote(self.schema)}.{quote(self.name)}"

    @property
    def names(self) -> str:
        """Its columns' names in SQL, separated by commas."""
        return ", ".join(quote(column.name.lower()) for column in self.columns)

    def partition(self, month: Month) -> Table:
        """Return the table of one month's rows."""
        name = f"{self.name}_{month.year:04}_{month.month:02}"
        return Table(self.schema, name, self.columns, indexed=self.indexed)


class Load(NamedTuple):
    """The record of a month's load; `rule`: trips with zero passengers were left out."""

    sha256: str
    rule: bool
    rows: int
    dropped: int


def exists(connection: psycopg.Connection[Any], schema: str, name: str) -> bool:
    """Whether there is a relation of this name."""
    return bool(_one(connection, "SELECT to_regclass(%s) IS NOT NULL", [f"{quote(schema)}.{quote(name)}"]))


def lock(connection: psycopg.Connection[Any], name: str, wait_seconds: float) -> None:
    """Take the lock `name` among this project's transactions, and hold it until the transaction ends."""
    connection.execute(f"SET LOCAL lock_timeout = {round(wait_seconds * 1000)}")
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


def prepare(connection: psycopg.Connection[Any], table: Table) -> tuple[str, ...]:
    """Create the schema, the tables and missing columns; needs no privilege to create where nothing is missing.

    Returns:
        The table's columns that the contract does not have.

    Raises:
        PermanentError: The table differs from the contract by more than missing or additional nullable columns.
    """
    have = _columns(connection, table)
    if exists(connection, table.schema, LOADS) and have and not _missing(table, have):
        return _unknown(table, have)
    with connection.transaction():
        lock(connection, table.schema, wait_seconds=60)
        if not _one(connection, "SELECT to_regnamespace(%s) IS NOT NULL", [quote(table.schema)]):
            connection.execute(f"CREATE SCHEMA {quote(table.schema)}")
        if not exists(connection, table.schema, LOADS):
            connection.execute(f"CREATE TABLE {quote(table.schema)}.{LOADS} ({_LOADS_COLUMNS})")
        have = _columns(connection, table)
        if not have:
            _create(connection, table)
        elif missing := _missing(table, have):
            connection.execute(f"SET LOCAL lock_timeout = '{_SHORT_WAIT}'")
            added = ", ".join(f"ADD COLUMN {quote(c.name.lower())} {TYPES[c.kind].postgres}" for c in missing)
            connection.execute(f"ALTER TABLE {table.full} {added}")
            _comment(connection, table, missing)
    return _unknown(table, have)


def has_partition(connection: psycopg.Connection[Any], table: Table, month: Month) -> bool:
    """Whether a month has a partition; refuse a table of its name that is none of the parent."""
    partition = table.partition(month)
    sql = (
        "SELECT inhparent = to_regclass(%s) FROM pg_class LEFT JOIN pg_inherits ON inhrelid = pg_class.oid "
        "WHERE pg_class.oid = to_regclass(%s)"
    )
    row = connection.execute(sql, [table.full, partition.full]).fetchone()
    if row and not row[0]:
        raise PermanentError(
            f"{partition.name} exists, but it is not a partition of {table.name}",
            location=f"{table.schema} in Postgres",
            remedy="attach, rename or drop it, then run the month again",
        )
    return row is not None


def create_partition(connection: psycopg.Connection[Any], table: Table, month: Month) -> None:
    """Create a month's empty table, not yet attached, with the parent's columns in the parent's order."""
    # with this constraint ATTACH need not scan the rows
    check = f"CHECK ({SOURCE_MONTH.name} = DATE '{month.first_day}')"
    connection.execute(f"CREATE TABLE {table.partition(month).full} (LIKE {table.full} INCLUDING COMMENTS, {check})")


def attach_partition(connection: psycopg.Connection[Any], table: Table, month: Month) -> None:
    """Index a month's table and attach it to the parent, under a lock that does not block readers."""
    partition = table.partition(month)
    if table.indexed:
        connection.execute(f"CREATE INDEX ON {partition.full} ({quote(table.indexed.name.lower())})")
    connection.execute(f"ANALYZE {partition.full}")
    bound = f"FOR VALUES IN (DATE '{month.first_day}')"
    connection.execute(f"ALTER TABLE {table.full} ATTACH PARTITION {partition.full} {bound}")


def count_rows(connection: psycopg.Connection[Any], table: Table, month: Month | None = None) -> int:
    """Count the rows of a table, or of one month of it."""
    only = f" WHERE {SOURCE_MONTH.name} = DATE '{month.first_day}'" if month else ""
    return int(_one(connection, f"SELECT count(*) FROM {table.full}{only}"))


def find_load(connection: psycopg.Connection[Any], table: Table, month: Month) -> Load | None:
    """Return the load on record for a month; None if there is none, or no table any more."""
    if not (exists(connection, table.schema, LOADS) and exists(connection, table.schema, table.name)):
        return None
    sql = (
        "SELECT file_sha256, zero_passengers_dropped, rows, dropped_rows "
        f"FROM {quote(table.schema)}.{LOADS} WHERE table_name = %s AND source_month = %s"
    )
    row = connection.execute(sql, [table.name, month.first_day]).fetchone()
    return Load(*row) if row else None


def record_load(connection: psycopg.Connection[Any], table: Table, cleaned: CleanedFile, load: Load) -> None:
    """Record a month's load in place of the earlier one."""
    loads, key = f"{quote(table.schema)}.{LOADS}", [table.name, cleaned.month.first_day]
    connection.execute(f"DELETE FROM {loads} WHERE table_name = %s AND source_month = %s", key)
    connection.execute(
        f"INSERT INTO {loads} (table_name, source_month, file_sha256, zero_passengers_dropped, rows, dropped_rows, "
        "source_sha256, recipe, loaded_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, now())",
        [*key, *load, cleaned.source_sha256, cleaned.transform_version],
    )


def _create(connection: psycopg.Connection[Any], table: Table) -> None:
    by = f" PARTITION BY LIST ({SOURCE_MONTH.name})" if table.monthly else ""
    connection.execute(f"CREATE TABLE {table.full} ({postgres_columns(table.columns)}){by}")
    if table.indexed:
        connection.execute(f"CREATE INDEX ON {table.full} ({quote(table.indexed.name.lower())})")
    _comment(connection, table, table.columns)


def _comment(connection: psycopg.Connection[Any], table: Table, columns: Sequence[Column]) -> None:
    for column in columns:
        name = f"{table.full}.{quote(column.name.lower())}"
        connection.execute(f"COMMENT ON COLUMN {name} IS {literal(column.description)}")


def _columns(connection: psycopg.Connection[Any], table: Table) -> dict[str, str]:
    """Return names and types of a table's columns, empty if there is no table; refuse one that cannot take months."""
    sql = (
        "SELECT c.relkind::text, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull FROM pg_class c "
        "LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
        "WHERE c.oid = to_regclass(%s)"
    )
    rows = connection.execute(sql, [table.full]).fetchall()
    have = {name: kind for _, name, kind, _ in rows}
    want = {c.name.lower(): _CATALOG_TYPES.get(t := TYPES[c.kind].postgres, t) for c in table.columns}
    wrong = differences(have, {name for _, name, _, not_null in rows if not_null}, want)
    if rows and (rows[0][0] == "p") != table.monthly:
        wrong.insert(0, f"it is {'not ' if table.monthly else ''}partitioned")
    if wrong:
        raise PermanentError(
            f"the table differs from the contract: {'; '.join(wrong)}",
            location=f"{table.schema}.{table.name} in Postgres",
            remedy="rename or drop the table, then load its months again",
        )
    return have


def _missing(table: Table, have: Collection[str]) -> list[Column]:
    return [column for column in table.columns if column.name.lower() not in have]


def _unknown(table: Table, have: Collection[str]) -> tuple[str, ...]:
    return unknown(have, {column.name.lower() for column in table.columns})


def _one(connection: psycopg.Connection[Any], sql: str, parameters: Sequence[Any] = ()) -> Any:
    row: Any = connection.execute(sql, parameters).fetchone()
    return row[0]


def copy_rows(
    connection: psycopg.Connection[Any],
    table: Table,
    batches: Iterator[pa.RecordBatch],
    passengers: Column | None = None,
    *,
    frozen: bool = False,
) -> tuple[int, int]:
    """Copy rows into a table, without zero passengers if given their column; return the numbers copied and dropped."""
    dropped = 0
    # FREEZE, for a table created in this transaction, saves the first reader from writing each page once more
    options = f"FORMAT csv, FREEZE {'on' if frozen else 'off'}"
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY {table.full} ({table.names}) FROM STDIN ({options})") as copy:
            for batch in batches:
                kept = batch if passengers is None else copy_codec.without_zero(batch, passengers.name)
                dropped += batch.num_rows - kept.num_rows
                copy.write(copy_codec.encode(kept))
        return cursor.rowcount, dropped
