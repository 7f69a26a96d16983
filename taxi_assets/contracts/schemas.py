"""A contract as each store's schema: Arrow, DuckDB, BigQuery and Postgres. A new kind is one line in `TYPES`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taxi_assets.contracts.model import Column, Kind

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class TypeNames:
    """Names of one kind of column in each store."""

    arrow: str
    duckdb: str
    bigquery: str
    postgres: str


TYPES: dict[Kind, TypeNames] = {
    "int64": TypeNames("int64", "BIGINT", "INTEGER", "bigint"),
    "float64": TypeNames("float64", "DOUBLE", "FLOAT", "double precision"),
    "string": TypeNames("string", "VARCHAR", "STRING", "text"),
    # BigQuery's TIMESTAMP is a moment in UTC; trips carry New York's wall time, which is its DATETIME.
    "timestamp": TypeNames("timestamp[us]", "TIMESTAMP", "DATETIME", "timestamp"),
    "date": TypeNames("date32", "DATE", "DATE", "date"),
}


def quote(name: str) -> str:
    """Return a name as an SQL identifier (DuckDB and Postgres)."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as an SQL string literal (DuckDB and Postgres)."""
    return "'" + text.replace("'", "''") + "'"


def arrow_schema(columns: Iterable[Column]) -> pa.Schema:
    """Return the Arrow schema of a table with these columns."""
    import pyarrow as pa

    return pa.schema([pa.field(c.name, arrow_type(c.kind), nullable=c.nullable) for c in columns])


def arrow_type(kind: Kind) -> pa.DataType:
    """Return the Arrow type of a kind of column."""
    import pyarrow as pa

    return pa.type_for_alias(TYPES[kind].arrow)


def duckdb_columns(columns: Iterable[Column]) -> str:
    """Return the column list of a DuckDB `CREATE TABLE`."""
    return ", ".join(f"{quote(c.name)} {TYPES[c.kind].duckdb}{'' if c.nullable else ' NOT NULL'}" for c in columns)


def postgres_columns(columns: Iterable[Column]) -> str:
    """Return the column list of a Postgres `CREATE TABLE`; names in lower case, so that no query needs quotes."""
    return ", ".join(
        f"{quote(c.name.lower())} {TYPES[c.kind].postgres}{'' if c.nullable else ' NOT NULL'}" for c in columns
    )


def bigquery_fields(columns: Iterable[Column]) -> list[dict[str, str]]:
    """Return BigQuery's schema in the form of its REST interface (`TableFieldSchema`)."""
    return [
        {
            "name": c.name,
            "type": TYPES[c.kind].bigquery,
            "mode": "NULLABLE" if c.nullable else "REQUIRED",
            "description": c.description,
        }
        for c in columns
    ]
