"""`taxi-assets query`: one question to the warehouse, answered as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from taxi_assets.cli import LANDED
from taxi_assets.cli.common import examples, load_settings, out, print_table
from taxi_assets.contracts import DATASETS
from taxi_assets.settings import SettingError
from taxi_assets.storage.factory import build_warehouse

if TYPE_CHECKING:
    import pyarrow as pa

MAX_ROWS = 50


@click.command(
    "query",
    epilog=examples('query "SELECT source_month, count(*) FROM nyc_tlc.yellow_trips GROUP BY 1 ORDER BY 1"'),
)
@click.argument("sql")
def command(sql: str) -> int:
    """Query the warehouse: SQL is one query."""
    import duckdb

    settings = load_settings()
    try:
        rows = build_warehouse(settings).query(sql)
    except duckdb.Error as error:
        said = " ".join(str(error).partition("\nLINE ")[0].split())
        tables = ", ".join(f"{settings.warehouse_schema}.{dataset.table}" for dataset in DATASETS.values())
        remedy = f"correct the SQL; the tables are {tables}, and docs/data-dictionary.md has their columns"
        raise SettingError(f"the query cannot be answered: {said}", location="the query", remedy=remedy) from error
    print_rows(rows)
    return LANDED


def print_rows(rows: pa.Table) -> None:
    """Print the first rows of a result."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows.column_names:
        table.add_column(name, justify="right")
    for row in rows.slice(0, MAX_ROWS).to_pylist():
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    print_table(table)
    if rows.num_rows > MAX_ROWS:
        out.print(f"... and {rows.num_rows - MAX_ROWS:,} rows more")
