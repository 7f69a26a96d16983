"""`taxi-assets run`: land months of one dataset in this process, one run after the other."""

from __future__ import annotations

import dataclasses
import json
import time
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from taxi_assets import progress
from taxi_assets.cli import FAILED, LANDED, NOT_PUBLISHED
from taxi_assets.cli.common import (
    dataset_named,
    err,
    examples,
    instance_for_runs,
    load_settings,
    out,
    print_ledger,
    print_places,
)
from taxi_assets.cli.progress import show_progress
from taxi_assets.cli.zones import ensure_zones
from taxi_assets.contracts.model import Dataset
from taxi_assets.errors import TaxiError
from taxi_assets.ledger_row import LedgerRow
from taxi_assets.months import Month, parse_months
from taxi_assets.reconciliation import Ledger
from taxi_assets.records import CleanedFile, RawFile
from taxi_assets.settings import SettingError, Settings

if TYPE_CHECKING:
    import dagster as dg

    from taxi_assets.instance.runs import Outcome


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
@click.option("--reload", is_flag=True, help="Load again what looks unchanged, into the warehouse and Postgres.")
@click.option("--from-lake", is_flag=True, help="Load what the lake has into the warehouse; ask no source.")
@click.option("--accept-row-count", is_flag=True, help="Accept the file's number of rows, unless it has none.")
@click.option("--verbose", is_flag=True, help="Show Dagster's own log too.")
def command(
    name: str, months: str, *, as_json: bool, reload: bool, from_lake: bool, accept_row_count: bool, verbose: bool
) -> int:
    """Land months of a dataset, from the source to the warehouse.

    DATASET is yellow, green, fhv or fhvhv. MONTHS are 2021-01, 2021-01..2021-03, 2021, or several after commas.
    """
    dataset = dataset_named(name)
    settings = load_settings(asks_source=not from_lake)
    wanted = months_named(dataset, months)
    options = {"reload": reload, "from_lake": from_lake, "accept_row_count": accept_row_count, "verbose": verbose}
    rows = land(settings, dataset, wanted, **options)
    statuses = {row.status for row in rows}
    if as_json:
        out.print_json(json.dumps([row.to_dict() for row in rows]))
    else:
        print_ledger(rows)
        if statuses & {"landed", "unchanged"}:
            print_places(settings)
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
        raise SettingError(
            str(error).partition(";")[0], remedy="write months as 2021-01, 2021-01..2021-03 or 2021"
        ) from error
    if wanted[0] < dataset.first_month:
        raise SettingError(
            f"{dataset.name} begins in {dataset.first_month}; {wanted[0]} is before that",
            remedy=f"ask for later months of {dataset.name}",
        )
    return wanted


def land(
    settings: Settings,
    dataset: Dataset,
    months: list[Month],
    *,
    reload: bool = False,
    from_lake: bool = False,
    accept_row_count: bool = False,
    verbose: bool = False,
) -> list[LedgerRow]:
    """Land months of a dataset on the configured Dagster instance.

    Args:
        settings: The settings.
        dataset: The dataset.
        months: Its months.
        reload: Load again what looks unchanged, into the warehouse and Postgres.
        from_lake: Load what the lake has into the warehouse, and ask no source.
        accept_row_count: Accept a file's number of rows, unless it has none.
        verbose: Show Dagster's log in the terminal.

    Returns:
        A row for each month, in order.
    """
    from taxi_assets.definitions import build_definitions
    from taxi_assets.instance import history
    from taxi_assets.instance.runs import Outcome, run_month
    from taxi_assets.jobs import EVERYTHING, GCS_TO_BIGQUERY
    from taxi_assets.names import chain_of
    from taxi_assets.partitions import last_month

    definitions = build_definitions(settings)
    keys = chain_of(dataset.name, postgres=bool(settings.postgres_url))
    replacement = {"accept_row_count": accept_row_count, "reload": reload}
    last = last_month(dataset)
    outcomes: dict[Month, Outcome] = {}
    with instance_for_runs(settings) as instance, show_progress(err, dataset.name, months, len(keys)):
        known = _Landed(settings, dataset, instance, keys, months)
        for month in months:
            start = time.monotonic()
            if month > last:
                due = f"TLC publishes about two months late; the latest month that can be out by now is {last}"
                text = f"{dataset.name} {month} is not published: {due}"
                outcomes[month] = Outcome("not_published", text, made=frozenset())
            elif not (reload or from_lake or accept_row_count) and known.unchanged(month):
                outcomes[month] = Outcome("unchanged", "", time.monotonic() - start)
            else:
                job = f"{dataset.name}_{GCS_TO_BIGQUERY if from_lake else EVERYTHING}"
                outcomes[month], _ = run_month(
                    definitions, instance, job, dataset.name, month, replacement=replacement, quiet=not verbose
                )
            progress.notify(progress.Step(dataset.name, month, status=outcomes[month].status))
        there = [month for month, outcome in outcomes.items() if outcome.status in ("landed", "unchanged")]
        if there and dataset.one("pickup_zone"):
            ensure_zones(settings, instance, from_lake=from_lake)
        outdated = history.outdated_reports(instance, dataset.name, there)
    return _rows(settings, dataset, outcomes, outdated, only_warehouse=from_lake)


def _rows(
    settings: Settings,
    dataset: Dataset,
    outcomes: dict[Month, Outcome],
    outdated: set[Month],
    *,
    only_warehouse: bool = False,
) -> list[LedgerRow]:
    """Return what became of each month, as the runs and the stores say; what the stores contradict has failed.

    Args:
        settings: The settings.
        dataset: The dataset.
        outcomes: What became of each month, as its run has it.
        outdated: The months whose report is older than their rows.
        only_warehouse: Whether the runs loaded the warehouse only; what is missing elsewhere is then a note.
    """
    from taxi_assets.names import BIGQUERY_TABLE, CLEANED_PARQUET, GCS_OBJECT, POSTGRES_TABLE

    unread = ""
    found: dict[Month, LedgerRow] = {}
    for warehouse in (True, False):  # what a warehouse cannot tell, staging area and lake may
        try:
            found = Ledger(settings).rows(dataset, list(outcomes), warehouse=warehouse)
            break
        except (TaxiError, OSError) as unreadable:
            unread = unread or str(unreadable)
    in_postgres = 0 if settings.postgres_url else None
    nothing: dict[str, dict[str, Any]] = {
        GCS_OBJECT: {"object_uri": "", "object_rows": 0},
        BIGQUERY_TABLE: {"table": "", "table_rows": 0},
        POSTGRES_TABLE: {"postgres_rows": in_postgres, "postgres_dropped_rows": in_postgres},
    }
    empty = LedgerRow(dataset.name, "", **nothing[POSTGRES_TABLE])
    rows = []
    for month, outcome in outcomes.items():
        status, error = outcome.status, outcome.error
        there = found.get(month)
        if status == "failed" and there and there.table and BIGQUERY_TABLE not in outcome.made:
            error = _with_remark(error, f"the warehouse has {there.table_rows:,} rows of the month, as before")
        row = there if CLEANED_PARQUET in outcome.made else None  # else it is of an earlier run
        if row:
            earlier = [fields for asset, fields in nothing.items() if asset not in outcome.made]
            row = dataclasses.replace(row, **{name: value for fields in earlier for name, value in fields.items()})
        if only_warehouse and row and row.status == "not_loaded" and row.table:
            row = dataclasses.replace(_with_note(row, row.error.partition("\n")[0].partition(": ")[2]), error="")
        if status in ("landed", "unchanged") and not unread and (row is None or row.error):
            status, error = "failed", row.error if row else f"{dataset.name} {month} is in no store"
        row = row or dataclasses.replace(empty, month=str(month))
        if month in outdated:
            note = f"its report shows the rows from before; taxi-assets report {dataset.name} {month} makes it anew"
            row = _with_note(row, note)
        error = error or (f"the ledger cannot be read: {unread}" if unread else "")
        rows.append(dataclasses.replace(row, status=status, error=error, seconds=outcome.seconds))
    return rows


def _with_note(row: LedgerRow, note: str) -> LedgerRow:
    return dataclasses.replace(row, notes="; ".join(filter(None, [row.notes, note])))


def _with_remark(error: str, remark: str) -> str:
    """Return an error with a remark after what was wrong, before where and what to do."""
    what, line_end, below = error.partition("\n")
    return f"{what}; {remark}{line_end}{below}"


class _Landed:
    """What has landed so far, to tell which months need no run."""

    def __init__(
        self,
        settings: Settings,
        dataset: Dataset,
        instance: dg.DagsterInstance,
        keys: list[dg.AssetKey],
        months: list[Month],
    ) -> None:
        from taxi_assets.instance import history
        from taxi_assets.source.factory import build_source
        from taxi_assets.storage.factory import build_lake, build_postgres, build_staging, build_warehouse

        self._settings, self._dataset = settings, dataset
        self._staging, self._lake, self._warehouse = (
            build_staging(settings),
            build_lake(settings),
            build_warehouse(settings),
        )
        self._postgres = build_postgres(settings) if settings.postgres_url else None
        self._source = build_source(settings)
        self._recorded = set.intersection(*(instance.get_materialized_partitions(key) for key in keys))
        self._failed = history.last_failed(instance, dataset.name, months)  # a run turns them green in the UI

    def unchanged(self, month: Month) -> bool:
        """Whether the month is in every store, as the source has it now; if that cannot be told, a run says why."""
        from taxi_assets.partitions import partition_key
        from taxi_assets.source.availability import probe

        if partition_key(month) not in self._recorded or month in self._failed:
            return False
        try:
            raw = self._staging.intact(self._staging.find(RawFile, "raw", self._dataset.name, month))
            if raw is None or not self._is_stored(raw):
                return False
            today = date.today()  # noqa: DTZ011 - days, by this machine's calendar
            return probe(self._source, self._dataset.name, month, raw, today).status == "unchanged"
        except (TaxiError, OSError):
            return False

    def _is_stored(self, raw: RawFile) -> bool:
        from taxi_assets.transform.clean import transform_version
        from taxi_assets.transform.quality import require_ledger
        from taxi_assets.transform.rules import CleaningRules

        name, month = raw.dataset, raw.month
        cleaned = self._staging.intact(self._staging.find(CleanedFile, "cleaned", name, month))
        rules = CleaningRules(self._settings.missing_passengers, self._settings.drop_zero_passengers)
        version = transform_version(self._dataset, rules)
        if cleaned is None or (cleaned.source_sha256, cleaned.transform_version) != (raw.sha256, version):
            return False
        rejects_at = self._staging.location(cleaned.rejects_file)
        require_ledger(cleaned, self._settings.rejected_share_limit, rejects_at)
        stored = self._lake.find(name, month)
        if stored is None or (stored.sha256, stored.rows) != (cleaned.sha256, cleaned.cleaned_rows):
            return False
        loaded = self._warehouse.find_month(name, month, stored)
        if loaded is None or (loaded.sha256, loaded.rows) != (stored.sha256, stored.rows):
            return False
        return self._postgres is None or self._postgres.holds(
            cleaned, drop_zero_passengers=self._settings.postgres_drop_zero_passengers
        )
