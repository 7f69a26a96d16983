"""The project's tables in PostgreSQL: how they are made, grow by a column, gain a month's partition, and who loaded it.

Each function works within a connection that is given to it. What rows go where, and when, is decided in `postgres`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from taxi_assets.contracts.model import SOURCE_MONTH, Column
from taxi_assets.contracts.schemas import TYPES, literal, postgres_columns, quote
from taxi_assets.errors import PermanentError
from taxi_assets.months import Month
from taxi_assets.records import CleanedFile

if TYPE_CHECKING:
    import psycopg

LOADS = "month_loads"
"""Table of the loads that count: which file each month was loaded from."""
_LOADS_COLUMNS = (
    "table_name text NOT NULL, source_month date NOT NULL, rows bigint NOT NULL, dropped_rows bigint NOT NULL, "
    "zero_passengers_dropped boolean NOT NULL, file_sha256 text NOT NULL, source_sha256 text NOT NULL, "
    "recipe text NOT NULL, loaded_at timestamptz NOT NULL, PRIMARY KEY (table_name, source_month)"
)
_CATALOG_TYPES = {"timestamp": "timestamp without time zone"}
_SHORT_WAIT = "1s"
"""How long to wait for a lock that makes readers wait behind us."""


@dataclass(frozen=True)
class Table:
    """A table as the project wants it.

    Attributes:
        schema: Its schema.
        name: Its name without the schema.
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
        """Its columns' names in SQL, after commas."""
        return ", ".join(quote(column.name.lower()) for column in self.columns)

    def partition(self, month: Month) -> Table:
        """Return the table of one month's rows."""
        name = f"{self.name}_{month.year:04}_{month.month:02}"
        return Table(self.schema, name, self.columns, indexed=self.indexed)


class Load(NamedTuple):
    """What is on record of a month's load; `rule`: trips with zero passengers were left out."""

    sha256: str
    rule: bool
    rows: int
    dropped: int


def exists(connection: psycopg.Connection[Any], schema: str, name: str) -> bool:
    """Whether there is a relation of this name."""
    return bool(_one(connection, "SELECT to_regclass(%s) IS NOT NULL", [f"{quote(schema)}.{quote(name)}"]))


def lock(connection: psycopg.Connection[Any], name: str, wait_seconds: float) -> None:
    """Wait until no other transaction of this project holds the lock `name`; it is held until the transaction ends."""
    connection.execute(f"SET LOCAL lock_timeout = {round(wait_seconds * 1000)}")
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


def prepare(connection: psycopg.Connection[Any], table: Table) -> None:
    """Make schema, tables and missing columns; nothing, and without any right to, where all is there.

    Raises:
        PermanentError: The table differs from the contract by more than missing columns.
    """
    if exists(connection, table.schema, LOADS) and _missing(connection, table) == []:
        return
    with connection.transaction():
        lock(connection, table.schema, wait_seconds=60)
        if not _one(connection, "SELECT to_regnamespace(%s) IS NOT NULL", [quote(table.schema)]):
            connection.execute(f"CREATE SCHEMA {quote(table.schema)}")
        if not exists(connection, table.schema, LOADS):
            connection.execute(f"CREATE TABLE {quote(table.schema)}.{LOADS} ({_LOADS_COLUMNS})")
        missing = _missing(connection, table)
        if missing is None:
            _create(connection, table)
        elif missing:
            connection.execute(f"SET LOCAL lock_timeout = '{_SHORT_WAIT}'")
            added = ", ".join(f"ADD COLUMN {quote(c.name.lower())} {TYPES[c.kind].postgres}" for c in missing)
            connection.execute(f"ALTER TABLE {table.full} {added}")
            _comment(connection, table, missing)


def has_partition(connection: psycopg.Connection[Any], table: Table, month: Month) -> bool:
    """Whether a month has a partition.

    Raises:
        PermanentError: A table has its name and is not a part of the parent.
    """
    partition = table.partition(month)
    sql = (
        "SELECT inhparent = to_regclass(%s) FROM pg_class LEFT JOIN pg_inherits ON inhrelid = pg_class.oid "
        "WHERE pg_class.oid = to_regclass(%s)"
    )
    row = connection.execute(sql, [table.full, partition.full]).fetchone()
    if row and not row[0]:
        raise PermanentError(
            f"{partition.name} is there, but it is not a part of {table.name}",
            location=f"{table.schema} in Postgres",
            remedy="attach, rename or drop it, then run the month again",
        )
    return row is not None


def create_partition(connection: psycopg.Connection[Any], table: Table, month: Month) -> None:
    """Make the empty table of a month, not yet attached; its columns are the parent's, in the parent's order."""
    # with this constraint ATTACH need not look at the rows
    check = f"CHECK ({SOURCE_MONTH.name} = DATE '{month.first_day}')"
    connection.execute(f"CREATE TABLE {table.partition(month).full} (LIKE {table.full} INCLUDING COMMENTS, {check})")


def attach_partition(connection: psycopg.Connection[Any], table: Table, month: Month) -> None:
    """Index a month's table and make it a part of the parent, under a lock that no reader waits for."""
    partition = table.partition(month)
    if table.indexed:
        connection.execute(f"CREATE INDEX ON {partition.full} ({quote(table.indexed.name.lower())})")
    connection.execute(f"ANALYZE {partition.full}")
    bound = f"FOR VALUES IN (DATE '{month.first_day}')"
    connection.execute(f"ALTER TABLE {table.full} ATTACH PARTITION {partition.full} {bound}")


def find_load(connection: psycopg.Connection[Any], table: Table, month: Month) -> Load | None:
    """Return the load on record for a month."""
    sql = (
        "SELECT file_sha256, zero_passengers_dropped, rows, dropped_rows "
        f"FROM {quote(table.schema)}.{LOADS} WHERE table_name = %s AND source_month = %s"
    )
    row = connection.execute(sql, [table.name, month.first_day]).fetchone()
    return Load(*row) if row else None


def record_load(connection: psycopg.Connection[Any], table: Table, cleaned: CleanedFile, load: Load) -> None:
    """Put a month's load on record, in place of an earlier one."""
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


def _missing(connection: psycopg.Connection[Any], table: Table) -> list[Column] | None:
    """Return the columns that the table still lacks; None if there is no table."""
    sql = (
        "SELECT c.relkind::text, a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_class c "
        "LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
        "WHERE c.oid = to_regclass(%s)"
    )
    rows = connection.execute(sql, [table.full]).fetchall()
    if not rows:
        return None
    have = {name: kind for _, name, kind in rows}
    want = {c.name.lower(): _CATALOG_TYPES.get(t := TYPES[c.kind].postgres, t) for c in table.columns}
    wrong = [
        f"{name} is {kind}, not {want.get(name, 'in the contract')}"
        for name, kind in have.items()
        if want.get(name) != kind
    ]
    if (rows[0][0] == "p") != table.monthly:
        wrong.insert(0, f"it is {'not ' if table.monthly else ''}partitioned")
    if wrong:
        raise PermanentError(
            f"the table differs from the contract: {'; '.join(wrong)}",
            location=f"{table.schema}.{table.name} in Postgres",
            remedy="rename or drop the table, then materialise its months again",
        )
    return [column for column in table.columns if column.name.lower() not in have]


def _one(connection: psycopg.Connection[Any], sql: str, parameters: Sequence[Any] = ()) -> Any:
    row: Any = connection.execute(sql, parameters).fetchone()
    return row[0]
