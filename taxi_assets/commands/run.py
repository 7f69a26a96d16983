"""`taxi-assets run`: land months of one dataset in this process, and say what became of each."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from taxi_assets.cli import FAILED, LANDED, NOT_PUBLISHED
from taxi_assets.commands.common import dataset_named, err, load_settings, out, print_ledger, use_dagster_home
from taxi_assets.contracts.model import Dataset
from taxi_assets.ledger import LedgerRow, ledger_of
from taxi_assets.months import Month, parse_months
from taxi_assets.settings import SettingError, Settings
from taxi_assets.trips import progress

if TYPE_CHECKING:
    from taxi_assets.automation.launch import Outcome

STATIONS = ("raw_file", "cleaned_parquet", "gcs_object", "bigquery_table")


def command(name: str, months: str, *, as_json: bool, verbose: bool) -> int:
    """Land months; print the ledger; return the exit status."""
    dataset = dataset_named(name)
    try:
        wanted = parse_months(months)
    except ValueError as error:
        raise SettingError(str(error), fix="write months as 2021-01, 2021-01..2021-03 or 2021") from error
    if wanted[0] < dataset.first_month:
        raise SettingError(
            f"{name} begins in {dataset.first_month}; {wanted[0]} is before that", fix=f"ask for later months of {name}"
        )
    rows = land(load_settings(), dataset, wanted, verbose=verbose)
    if as_json:
        out.print_json(json.dumps([dataclasses.asdict(row) for row in rows]))
    else:
        print_ledger(rows)
    statuses = {row.status for row in rows}
    if "failed" in statuses:
        return FAILED
    return NOT_PUBLISHED if statuses == {"not_published"} else LANDED


def land(settings: Settings, dataset: Dataset, months: list[Month], *, verbose: bool = False) -> list[LedgerRow]:
    """Land months of a dataset on the configured Dagster instance.

    Returns:
        A row for each month, in order.
    """
    use_dagster_home(settings)
    import dagster as dg

    from taxi_assets.automation.launch import outcomes_of, run_months
    from taxi_assets.automation.partitions import last_month
    from taxi_assets.definitions import build_definitions

    definitions = build_definitions(settings)
    keys = [dg.AssetKey([dataset.name, station]) for station in STATIONS]
    last = last_month(dataset)
    outcomes: dict[Month, Outcome] = {}
    with dg.DagsterInstance.get() as instance, _showing(dataset, months):
        for group in _runs([month for month in months if month <= last]):
            run = run_months(definitions, instance, keys, group[0], group[-1], quiet=not verbose)
            outcomes |= outcomes_of(instance, run, group, stations=len(STATIONS))
    found = ledger_of(settings, dataset, months)
    return [_row(dataset, month, found.get(month), outcomes.get(month), last) for month in months]


def _row(dataset: Dataset, month: Month, found: LedgerRow | None, outcome: Outcome | None, last: Month) -> LedgerRow:
    row = found or LedgerRow(dataset.name, str(month))
    if outcome is None:
        text = f"{dataset.name} {month} is not published: TLC's files come two months late, the last now is {last}"
        return LedgerRow(dataset.name, str(month), status="not_published", error=text)
    if outcome.status == "not_published":
        return LedgerRow(dataset.name, str(month), status="not_published", error=outcome.error, seconds=outcome.seconds)
    return dataclasses.replace(row, status=outcome.status, error=outcome.error, seconds=outcome.seconds)


def _runs(months: list[Month]) -> Iterator[list[Month]]:
    """Group months into ranges without gaps, of the size that a backfill uses."""
    from taxi_assets.automation.partitions import MONTHS_PER_RUN

    group: list[Month] = []
    for month in months:
        if group and (month != group[-1].plus(1) or len(group) == MONTHS_PER_RUN):
            yield group
            group = []
        group.append(month)
    if group:
        yield group


@contextlib.contextmanager
def _showing(dataset: Dataset, months: list[Month]) -> Iterator[None]:
    """Show how far the work has come: a bar on a terminal, else a line for each month."""
    total = len(months) * len(STATIONS)
    if not err.is_terminal:
        done: dict[Month, int] = dict.fromkeys(months, 0)

        def line(step: progress.Step) -> None:
            done[step.month] = done.get(step.month, 0) + step.done
            if step.done and done[step.month] == len(STATIONS):
                err.print(f"{dataset.name} {step.month} is through")

        with progress.listening(line):
            yield
        return
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(dataset.name, total=total)

        def draw(step: progress.Step) -> None:
            received = f", {step.bytes / 1e6:,.0f} of {step.size / 1e6:,.0f} MB" if step.bytes else ""
            bar.update(task, advance=step.done, description=f"{dataset.name} {step.month}{received}")

        with progress.listening(draw):
            yield
