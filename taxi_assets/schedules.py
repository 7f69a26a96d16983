"""The schedules: every day, and on the day when a month is due, request what is published but missing.

Each tick names its months and asks the source first. A plain schedule on a partitioned job fails at every tick, and
Dagster's schedule for partitioned jobs asks for last month, which TLC has not published.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import dagster as dg

from taxi_assets.contracts.model import Dataset
from taxi_assets.errors import TaxiError
from taxi_assets.instance import history
from taxi_assets.jobs import EVERYTHING, request_month
from taxi_assets.months import Month
from taxi_assets.names import BIGQUERY_TABLE, POSTGRES_TABLE
from taxi_assets.sensors.polling import MAX_OPEN_RUNS, months_at, poll
from taxi_assets.settings import Settings
from taxi_assets.storage.base import Warehouse

_MINUTE, _MINUTES_APART = 30, 5
"""The schedules tick at 5:30, 5:35, ..., so that each sees the runs that the one before has requested."""
_WAREHOUSE_SECONDS = 15
"""Dagster ends a tick after 60 s, of which the source may take 35."""


def schedules_of(settings: Settings, datasets: Mapping[str, Dataset], status: Any) -> list[dg.ScheduleDefinition]:
    """Return a schedule for each dataset."""
    return [
        _schedule(settings, dataset, f"{_MINUTE + _MINUTES_APART * number} 5 * * *", status)
        for number, dataset in enumerate(datasets.values())
    ]


def _schedule(settings: Settings, dataset: Dataset, daily_cron: str, status: Any) -> dg.ScheduleDefinition:
    tables = [BIGQUERY_TABLE, *([POSTGRES_TABLE] if settings.postgres_url else [])]

    @dg.schedule(
        name=f"{dataset.name}_missing_months",
        description=f"Every day, and when TAXI_MONTHLY_CRON says so, loads the months of {dataset.title} that are "
        "published but missing, except those that failed for good: they wait for another file, or for a person.",
        job_name=f"{dataset.name}_{EVERYTHING}",
        cron_schedule=[settings.monthly_cron, daily_cron],
        execution_timezone="UTC",
        default_status=status,
        required_resource_keys={"source", "warehouse"},
    )
    def missing_months(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        now = context.scheduled_execution_time
        return _tick(context, settings, dataset, tables, now)

    return missing_months


def _in_warehouse(warehouse: Warehouse, table: str) -> set[Month] | None:
    """Return the months that were loaded into a table; None if the warehouse does not say so soon.

    Then the history alone decides; if the warehouse is out of order, the runs say why.
    """
    thread = ThreadPoolExecutor(1)
    try:
        return set(thread.submit(warehouse.loaded_checksums, table).result(_WAREHOUSE_SECONDS))
    except (TaxiError, futures.TimeoutError):
        return None
    finally:
        thread.shutdown(wait=False)


def _tick(
    context: dg.ScheduleEvaluationContext, settings: Settings, dataset: Dataset, tables: list[str], now: datetime
) -> list[dg.RunRequest] | dg.SkipReason:
    """Request the months that are published but not in every table.

    Dagster's history tells what has landed, and the warehouse what it has: the settings may name another one since.
    """
    instance, name = context.instance, dataset.name
    landed = history.landed(instance, name, tables)
    loaded = _in_warehouse(context.resources.warehouse.create(), dataset.table)
    landed = landed if loaded is None else landed & loaded
    runs, in_progress = history.open_runs(instance)
    missing = [
        month
        for month in months_at(dataset, now, settings.automation_since)
        if month not in landed and (name, month) not in in_progress
    ]
    failed = history.permanent_failures(instance, name, missing)
    questions = [(name, month) for month in missing if month not in failed]
    given_up = [f"{name} {month} failed for good: {reason}" for month, reason in failed.items()]
    if not questions:
        return dg.SkipReason("\n".join(given_up) or f"nothing of {name} is missing, or runs of it are in progress")
    result = poll(instance, context.resources.source.create(), questions, now.date())
    # `unchanged`: the file is here, but did not get to every table
    published = [
        key for key, answer in result.availability.items() if answer.worth_fetching or answer.status == "unchanged"
    ]
    # what there is no room for today is requested tomorrow
    room = max(0, MAX_OPEN_RUNS - runs)
    requests = [request_month(*key, run_key=result.run_keys[key]) for key in published[:room]]
    return requests or dg.SkipReason("\n".join([result.summary(), *given_up]))
