"""`taxi-assets query`: one query to the warehouse, answered as a table, as CSV or as JSON."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import click
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from taxi_assets.cli import LANDED
from taxi_assets.cli.common import err, examples, hint_at_demo, load_settings, out
from taxi_assets.errors import QueryError
from taxi_assets.settings import SettingError
from taxi_assets.storage.factory import build_bigquery, build_warehouse

if TYPE_CHECKING:
    import pyarrow as pa

MAX_ROWS = 50
"""Rows of a table; CSV and JSON have all."""
MAX_GB = 100.0
"""Gigabytes that a BigQuery query may scan by default: about 0.60 dollars at the list price."""
_UNLIMITED = 1_000_000
"""Columns of a table that goes to a file or a pipe, where nothing may be cut."""


class _Query(click.Command):
    """Takes a query that begins with a comment for what it is; no option has white space in it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        comments = [each.startswith("--") and len(each.split()) > 1 for each in args]
        return super().parse_args(ctx, [f" {each}" if it else each for each, it in zip(args, comments, strict=True)])


@click.command(
    "query",
    cls=_Query,
    epilog=examples(
        'query "SELECT source_month, count(*) FROM nyc_tlc.yellow_trips GROUP BY 1 ORDER BY 1"',
        'query "SELECT * FROM nyc_tlc.yellow_trips WHERE tip_amount > 100" --csv',
    ),
)
@click.argument("sql")
@click.option("--csv", "output", flag_value="csv", help="Print all rows as CSV.")
@click.option("--json", "output", flag_value="json", help="Print all rows as JSON.")
@click.option("--max-gb", type=float, default=MAX_GB, show_default=True, help="Gigabytes that BigQuery may scan.")
def command(sql: str, *, output: Literal["csv", "json"] | None, max_gb: float) -> int:
    """Query the warehouse: SQL is a single read-only SELECT, which reads nothing but the warehouse.

    In the local profile, it may also be SHOW TABLES, or DESCRIBE or SUMMARIZE and a table's name.
    """
    if not sql.strip(" \t\r\n;"):
        raise SettingError("the query is empty", remedy='give one SELECT in quotes, as "SELECT 1"')
    settings, limit = load_settings(), None if output else MAX_ROWS + 1
    hint_at_demo(settings, "query ...")
    try:
        if settings.profile == "gcp":
            err.print(f"BigQuery scans {build_bigquery(settings).dry_run_bytes(sql) / 1e9:,.3f} GB", style="dim")
        rows = build_warehouse(settings).query(sql, max_bytes=round(max_gb * 1e9), limit=limit)
    except QueryError as error:
        raise SettingError(error.message, location=error.location, remedy=error.remedy) from error
    if output == "csv":
        csv.writer(sys.stdout, lineterminator="\n").writerows([rows.column_names, *_cells(rows)])
    elif output == "json":
        names = _distinct(rows.column_names)
        values = [dict(zip(names, map(_plain, row), strict=True)) for row in _values(rows)]
        sys.stdout.write(json.dumps(values, default=str, ensure_ascii=False) + "\n")
    else:
        print_rows(rows)
    return LANDED


def print_rows(rows: pa.Table) -> None:
    """Print the first rows of a result, one below the other if a row is wider than the terminal."""
    shown, wide = rows.slice(0, MAX_ROWS), Console(file=out.file, highlight=False, width=_UNLIMITED)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in shown.column_names:
        table.add_column(Text(name), justify="right", no_wrap=True)
    for cells in _cells(shown):
        table.add_row(*map(Text, cells))
    if not out.is_terminal:
        wide.print(table)
    elif Measurement.get(wide, wide.options, table).maximum <= out.width:
        out.print(table)
    else:
        _print_records(shown)
    if not rows.num_rows:
        err.print("no rows")
    if rows.num_rows > MAX_ROWS:
        err.print(f"... and more; these are the first {MAX_ROWS} rows, --csv and --json print all")


def _print_records(rows: pa.Table) -> None:
    width = max(map(len, rows.column_names))
    for number, cells in enumerate(_cells(rows), 1):
        out.print(f"row {number}", style="bold")
        for name, cell in zip(rows.column_names, cells, strict=True):
            out.print(Text(f"{name:<{width}}  {cell}"))


def _values(rows: pa.Table) -> Iterator[Sequence[Any]]:
    """Yield rows as tuples; unlike `to_pylist`, columns of the same name stay apart."""
    for batch in rows.to_batches():
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _cells(rows: pa.Table) -> Iterator[list[str]]:
    for row in _values(rows):
        yield ["" if value is None else str(value) for value in row]


def _distinct(names: Iterable[str]) -> list[str]:
    seen: dict[str, int] = {}
    for name in names:
        count = sum(known == name or known.startswith(f"{name}:") for known in seen)
        seen[f"{name}:{count}" if count else name] = count
    return list(seen)


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it: sums as numbers, NaN and infinity as null."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
