"""`taxi-assets demo`: the whole chain on made-up months, offline, in a folder of its own."""

from __future__ import annotations

import click

from taxi_assets.cli import FAILED, LANDED
from taxi_assets.cli.common import examples, load_environment, out, print_ledger
from taxi_assets.cli.query import print_rows
from taxi_assets.cli.report import make_report
from taxi_assets.cli.run import land
from taxi_assets.cli.zones import land_zones
from taxi_assets.contracts import DATASETS
from taxi_assets.demo.place import demo_folder, enter, source_folder
from taxi_assets.demo.server import serving
from taxi_assets.instance.home import dagster_instance
from taxi_assets.months import Month
from taxi_assets.settings import SettingError
from taxi_assets.storage.factory import build_warehouse

MONTHS = (Month(2014, 12), Month(2021, 1), Month(2021, 2))
"""Months with two versions of the header."""

SHOWN = ("yellow", "green")

_QUERY = """\
SELECT source_month, Zone AS from_zone, count(*) AS trips, round(avg(total_amount), 2) AS dollars
FROM {schema}.yellow_trips JOIN {schema}.taxi_zones ON PULocationID = LocationID
GROUP BY ALL ORDER BY trips DESC LIMIT 5"""


@click.command("demo", epilog=examples("demo"))
def command() -> int:
    """Land made-up months, offline, and look at them.

    The data is made up: it looks like New York's, and says nothing about the city. Everything is in the folder `demo`
    of the data folder; nothing else is read, changed or replaced, whatever the settings say.
    """
    load_environment()
    folder = demo_folder()
    if (folder / "warehouse.duckdb").exists() and not source_folder(folder).is_dir():
        raise SettingError(
            f"{folder} holds months that are not the demo's",
            location="the data folder",
            remedy="choose another TAXI_DATA_DIR for the demo, or move that folder away",
        )
    out.print("1. A source of made-up yellow and green trips, in the formats that TLC publishes", style="bold")
    with serving(source_folder(folder), made_up=True) as address:
        settings = enter(folder, address)
        out.print(
            f"2. Landing three months of each from {address}: raw file, cleaned Parquet, lake, warehouse", style="bold"
        )
        landed = [row for name in SHOWN for row in land(settings, DATASETS[name], list(MONTHS))]
        with dagster_instance(settings) as instance:
            land_zones(settings, instance)
            report, error = make_report(settings, instance, DATASETS["yellow"], MONTHS[-1])
    out.print("\n3. The ledger: no row is lost", style="bold")
    print_ledger(landed)
    if error or any(row.status == "failed" for row in landed):
        out.print(error)
        return FAILED
    sql = _QUERY.format(schema=settings.warehouse_schema)
    out.print("\n4. A first query, of made-up data", style="bold")
    out.print(f"{sql}\n")
    print_rows(build_warehouse(settings).query(sql))
    out.print("\n5. A report, of made-up data", style="bold")
    out.print(f"  {report}")
    out.print("\nWhat next", style="bold")
    out.print(
        "  .venv/bin/taxi-assets dev --demo            these months in Dagster's UI, http://127.0.0.1:3000\n"
        f"  TAXI_DATA_DIR={folder} .venv/bin/taxi-assets query 'SELECT count(*) FROM nyc_tlc.green_trips'\n"
        "  .venv/bin/taxi-assets run yellow 2021-01    the real month, from the internet\n"
        "  .venv/bin/taxi-assets --help                everything else"
    )
    return LANDED
