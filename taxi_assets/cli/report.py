"""`taxi-assets report`: a page with charts for each month that has landed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from taxi_assets.cli import FAILED, LANDED
from taxi_assets.cli.common import dataset_named, err, examples, instance_for_runs, load_settings, out
from taxi_assets.cli.run import months_named
from taxi_assets.cli.zones import ensure_zones
from taxi_assets.contracts.model import Dataset
from taxi_assets.errors import TaxiError
from taxi_assets.months import Month, format_months
from taxi_assets.settings import Settings
from taxi_assets.storage.factory import build_warehouse

if TYPE_CHECKING:
    import dagster as dg


@click.command("report", epilog=examples("report yellow 2021-01", "report green 2020-03..2020-06"))
@click.argument("name", metavar="DATASET")
@click.argument("months")
def command(name: str, months: str) -> int:
    """Make pages with charts of months that have landed, and print where they are.

    DATASET and MONTHS are as for `taxi-assets run`.
    """
    dataset = dataset_named(name)
    wanted = months_named(dataset, months)
    settings = load_settings(asks_source=True)
    warehouse = build_warehouse(settings)
    landed = warehouse.count_months(dataset.table, wanted).keys()
    failed = False
    if landed:
        with instance_for_runs(settings) as instance:
            if dataset.one("pickup_zone"):
                ensure_zones(settings, instance)
            for month in sorted(landed):
                made, error = make_report(settings, instance, dataset, month)
                failed |= bool(error)
                if error:
                    err.print(f"taxi-assets: {error}")
                else:
                    out.print(made)
    if absent := [month for month in wanted if month not in landed]:
        months, have = format_months(absent), "has" if len(absent) == 1 else "have"
        text = f"{dataset.name} {months} {have} not landed"
        err.print(f"taxi-assets: {TaxiError(text, remedy=f'taxi-assets run {dataset.name} {months}')}")
    return FAILED if failed or absent else LANDED


def make_report(settings: Settings, instance: dg.DagsterInstance, dataset: Dataset, month: Month) -> tuple[str, str]:
    """Make the report of a month; return its address, or why it could not be made."""
    from taxi_assets.definitions import build_definitions
    from taxi_assets.instance.runs import ASSET_JOB, run_month
    from taxi_assets.names import MONTHLY_REPORT, asset_key

    key = asset_key(dataset.name, MONTHLY_REPORT)
    outcome, result = run_month(build_definitions(settings), instance, ASSET_JOB, dataset.name, month, selection=[key])
    if outcome.status == "failed":
        return "", outcome.error
    (event,) = result.get_asset_materialization_events()
    metadata: Any = event.step_materialization_data.materialization.metadata
    return str(metadata["dagster/uri"].value), ""
