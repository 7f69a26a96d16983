"""`taxi-assets report`: a page with charts for each month that has landed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import click

from taxi_assets.cli.common import dagster_instance, dataset_named, err, examples, load_settings, out
from taxi_assets.cli.main import FAILED, LANDED
from taxi_assets.cli.run import months_named
from taxi_assets.contracts.model import Dataset
from taxi_assets.contracts.zones import ZONES_TABLE
from taxi_assets.months import Month
from taxi_assets.settings import Settings
from taxi_assets.storage.factory import build_warehouse

if TYPE_CHECKING:
    import dagster as dg

_SHORT = 5.0
"""Seconds to wait for the names of zones, without which a report is made too."""

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@click.command("report", epilog=examples("report yellow 2021-01", "report green 2020-03..2020-06"))
@click.argument("name", metavar="DATASET")
@click.argument("months")
def command(name: str, months: str) -> int:
    """Make pages with charts of months that have landed, and print where they are.

    DATASET and MONTHS are as for `taxi-assets run`.
    """
    dataset = dataset_named(name)
    wanted = months_named(dataset, months)
    settings = load_settings()
    warehouse = build_warehouse(settings)
    landed = warehouse.count_months(dataset.table).keys() & set(wanted)
    problems = {
        month: f"{name} {month} has not landed\nwhat to do: taxi-assets run {name} {month}"
        for month in wanted
        if month not in landed
    }
    if landed:
        made, failed = _make(settings, dataset, landed, zones=warehouse.has_table(ZONES_TABLE))
        problems |= failed
        for month in sorted(made):
            out.print(made[month])
    for month in sorted(problems):
        err.print(f"taxi-assets: {problems[month]}")
    return FAILED if problems else LANDED


def _make(
    settings: Settings, dataset: Dataset, months: Iterable[Month], *, zones: bool
) -> tuple[Mapping[Month, str], Mapping[Month, str]]:
    """Make the reports of months on the configured Dagster instance.

    Returns:
        Where each report is, and what became of those that failed.
    """
    import dagster as dg

    from taxi_assets.assets.report import REPORT
    from taxi_assets.definitions import build_definitions
    from taxi_assets.instance.launch import outcomes_of, run_months
    from taxi_assets.partitions import ranges

    key = dg.AssetKey([dataset.name, REPORT])
    made: dict[Month, str] = {}
    failed: dict[Month, str] = {}
    with dagster_instance(settings) as instance:
        if not zones:
            _name_zones(settings, instance)
        for group in ranges(months):
            run = run_months(build_definitions(settings), instance, [key], group[0], group[-1])
            for month, outcome in outcomes_of(instance, run, group, steps=1).items():
                if outcome.error:
                    failed[month] = outcome.error
            made |= _places(instance, run)
    return made, failed


def _name_zones(settings: Settings, instance: dg.DagsterInstance) -> None:
    """Try to land the names of zones; say so if they cannot be had."""
    import dagster as dg

    from taxi_assets.definitions import build_definitions

    shorter = settings.model_copy(update={"attempts": 1, "connect_timeout": _SHORT, "read_timeout": _SHORT})
    job = build_definitions(shorter).resolve_job_def("__ASSET_JOB")
    only = job.get_subset(asset_selection={dg.AssetKey(ZONES_TABLE)})
    done = False
    with contextlib.suppress(dg.DagsterError):
        done = only.execute_in_process(run_config=_QUIET, instance=instance, raise_on_error=False).success
    if not done:
        err.print("the names of zones cannot be had; materialise taxi_zones, then make the report again")


def _places(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dict[Month, str]:
    """Return where the reports of a run are: paths, or URIs."""
    import dagster as dg

    found = {}
    for record in instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION).records:
        event: Any = record.asset_materialization
        uri = str(event.metadata["dagster/uri"].value)
        parts = urlsplit(uri)
        found[Month.parse(str(event.partition))] = unquote(parts.path) if parts.scheme == "file" else uri
    return found
