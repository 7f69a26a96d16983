"""`taxi-assets run`: land months of one dataset in this process, and say what became of each."""

from __future__ import annotations

import dataclasses
import json
import socket
from typing import TYPE_CHECKING

import click

from taxi_assets.cli.common import dagster_instance, dataset_named, err, examples, load_settings, out, print_ledger
from taxi_assets.cli.main import FAILED, LANDED, NOT_PUBLISHED
from taxi_assets.cli.progress import show_progress
from taxi_assets.contracts.model import Dataset
from taxi_assets.months import Month, parse_months
from taxi_assets.reconciliation import LedgerRow, ledger_of
from taxi_assets.settings import SettingError, Settings, dagster_postgres_url

if TYPE_CHECKING:
    from taxi_assets.instance.launch import Outcome

STEPS = ("raw_file", "cleaned_parquet", "gcs_object", "bigquery_table")
"""The assets that a month passes; where a Postgres is configured, `postgres_table` too."""


@click.command(
    "run",
    epilog=examples(
        "run yellow 2021-01                  one month",
        "run green 2020-03..2020-06 --json   a range, the result as JSON",
        "run fhv 2019,2020-02                a year and a month",
    ),
)
@click.argument("name", metavar="DATASET")
@click.argument("months")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list, an object for each month.")
@click.option("--verbose", is_flag=True, help="Show Dagster's own log too.")
def command(name: str, months: str, *, as_json: bool, verbose: bool) -> int:
    """Land months of a dataset, from the source to the warehouse.

    DATASET is yellow, green, fhv or fhvhv. MONTHS are 2021-01, 2021-01..2021-03, 2021, or several after commas.
    """
    dataset = dataset_named(name)
    rows = land(load_settings(), dataset, months_named(dataset, months), verbose=verbose)
    if as_json:
        out.print_json(json.dumps([row.to_dict() for row in rows]))
    else:
        print_ledger(rows)
    statuses = {row.status for row in rows}
    if "failed" in statuses:
        return FAILED
    return NOT_PUBLISHED if statuses == {"not_published"} else LANDED


def months_named(dataset: Dataset, text: str) -> list[Month]:
    """Return the months that a command was given.

    Raises:
        SettingError: They are not months, or begin before the dataset does.
    """
    try:
        wanted = parse_months(text)
    except ValueError as error:
        raise SettingError(str(error), remedy="write months as 2021-01, 2021-01..2021-03 or 2021") from error
    if wanted[0] < dataset.first_month:
        raise SettingError(
            f"{dataset.name} begins in {dataset.first_month}; {wanted[0]} is before that",
            remedy=f"ask for later months of {dataset.name}",
        )
    return wanted


def land(settings: Settings, dataset: Dataset, months: list[Month], *, verbose: bool = False) -> list[LedgerRow]:
    """Land months of a dataset on the configured Dagster instance.

    Returns:
        A row for each month, in order.
    """
    import dagster as dg

    from taxi_assets.definitions import build_definitions
    from taxi_assets.instance.launch import HOST_TAG, outcomes_of, run_months
    from taxi_assets.instance.recovery import end_dead_runs
    from taxi_assets.partitions import last_month, ranges

    definitions = build_definitions(settings)
    steps = (*STEPS, "postgres_table") if settings.postgres_url else STEPS
    keys = [dg.AssetKey([dataset.name, station]) for station in steps]
    last = last_month(dataset)
    outcomes: dict[Month, Outcome] = {}
    with dagster_instance(settings) as instance, show_progress(err, dataset.name, months, len(steps)):
        # a killed run's slots would be waited for for ever; in Postgres, other machines' runs are recorded too
        ours = {HOST_TAG: socket.gethostname()} if dagster_postgres_url() else None
        end_dead_runs(instance, [dg.DagsterRunStatus.STARTED], ours)
        for group in ranges(month for month in months if month <= last):
            run = run_months(definitions, instance, keys, group[0], group[-1], quiet=not verbose)
            outcomes |= outcomes_of(instance, run, group, steps=len(steps))
    found = ledger_of(settings, dataset, months)
    in_postgres = 0 if settings.postgres_url else None
    empty = LedgerRow(dataset.name, "", postgres_rows=in_postgres, postgres_dropped_rows=in_postgres)
    return [
        _row(dataclasses.replace(empty, month=str(month)), found.get(month), outcomes.get(month), last)
        for month in months
    ]


def _row(empty: LedgerRow, found: LedgerRow | None, outcome: Outcome | None, last: Month) -> LedgerRow:
    if outcome is None:
        month = f"{empty.dataset} {empty.month}"
        text = f"{month} is not published: TLC's files come two months late, the last now is {last}"
        return dataclasses.replace(empty, status="not_published", error=text)
    row = empty if outcome.status == "not_published" else found or empty
    return dataclasses.replace(row, status=outcome.status, error=outcome.error, seconds=outcome.seconds)
