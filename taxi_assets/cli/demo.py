"""`taxi-assets demo`: the whole chain on made-up months, offline."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from taxi_assets.cli import FAILED, LANDED
from taxi_assets.cli.common import examples, load_settings, out, print_ledger
from taxi_assets.cli.query import print_rows
from taxi_assets.cli.run import land
from taxi_assets.contracts import DATASETS
from taxi_assets.demo.sample import write_month
from taxi_assets.demo.server import serving
from taxi_assets.months import Month
from taxi_assets.settings import Settings
from taxi_assets.storage.factory import build_warehouse

MONTHS = (Month(2014, 12), Month(2021, 1), Month(2021, 2))
"""Months of two header eras."""

ROWS = {"yellow": 20_000, "green": 5_000}
DAMAGED = 3


@click.command("demo", epilog=examples("demo"))
def command() -> int:
    """Land made-up months, offline, and look at them."""
    settings = Settings(data_dir=load_settings().data_dir / "demo")
    out.print("[bold]1. Making three months of made-up yellow and green trips, as TLC publishes them[/]")
    with tempfile.TemporaryDirectory() as folder:
        for name, rows in ROWS.items():
            for month in MONTHS:
                write_month(Path(folder, name, f"{name}_tripdata_{month}.csv.gz"), name, month, rows, damaged=DAMAGED)
        with serving(Path(folder)) as address:
            url = f"{address}/{{dataset}}/{{dataset}}_tripdata_{{year}}-{{month:02}}.csv.gz"
            settings = Settings(data_dir=settings.data_dir, csv_url=url, source="csv")
            out.print(f"[bold]2. Landing them from {address}: raw file, cleaned Parquet, lake, warehouse[/]")
            landed = [row for name in ROWS for row in land(settings, DATASETS[name], list(MONTHS))]
    out.print("\n[bold]3. The ledger: no row is lost[/]")
    print_ledger(landed)
    if any(row.status == "failed" for row in landed):
        return FAILED
    sql = (
        "SELECT source_month, count(*) AS trips, round(avg(trip_distance), 2) AS miles, round(avg(total_amount), 2) "
        f"AS dollars FROM {settings.warehouse_schema}.yellow_trips GROUP BY ALL ORDER BY ALL"
    )
    out.print(f"\n[bold]4. A first query[/]\n{sql}\n")
    print_rows(build_warehouse(settings).query(sql))
    out.print(
        "\n[bold]What next[/]\n"
        f"  TAXI_DATA_DIR={settings.data_dir} make dev     these months in Dagster's UI, http://127.0.0.1:3000\n"
        f"  TAXI_DATA_DIR={settings.data_dir} .venv/bin/taxi-assets report yellow 2021-01     a page with charts\n"
        "  .venv/bin/taxi-assets run yellow 2021-01    the real month, from the internet\n"
        "  .venv/bin/taxi-assets --help                everything else"
    )
    return LANDED
