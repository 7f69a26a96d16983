"""The schedules: a month's own day, and every day what is published but missing.

Each names its months explicitly and asks the source first. A plain schedule on a partitioned job fails at every tick,
and Dagster's schedule for partitioned jobs asks for last month, which TLC has not published.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

import dagster as dg

from taxi_assets.contracts.model import Dataset
from taxi_assets.instance import history
from taxi_assets.jobs import EVERYTHING, request
from taxi_assets.months import Month
from taxi_assets.partitions import ranges
from taxi_assets.sensors.polling import MAX_OPEN_RUNS, months_at, poll
from taxi_assets.settings import Settings

LAG = timedelta(days=60)
"""TLC publishes a month 47-62 days after its end (median 50). On the third of a month, the month before the last but
one ended 61 to 64 days ago."""

_MINUTE, _APART = 30, 5
"""The daily schedules tick at 5:30, 5:35, ..., so that each sees the runs that the one before has asked for."""


def schedules_of(settings: Settings, datasets: Mapping[str, Dataset], status: Any) -> list[dg.ScheduleDefinition]:
    """Return a monthly and a daily schedule for each dataset."""

    def that_is_due(dataset: Dataset, now: datetime) -> list[Month]:
        return [month for month in [due(now)] if month >= dataset.first_month]

    def all_of_them(dataset: Dataset, now: datetime) -> list[Month]:
        return months_at(dataset, now, settings.automation_since)

    monthly, daily = [], []
    for number, (name, dataset) in enumerate(datasets.items()):
        does = f"Loads the month of {dataset.title} that is due by now, {LAG.days} days after its end."
        monthly.append(_schedule(dataset, f"{name}_monthly", does, settings.monthly_cron, that_is_due, status))
        does = (
            f"Every day, loads the months of {dataset.title} that are published but missing, except those that failed "
            "for good: they wait for another file, or for a person."
        )
        cron = f"{_MINUTE + _APART * number} 5 * * *"
        daily.append(_schedule(dataset, f"{name}_missing_months", does, cron, all_of_them, status))
    return [*monthly, *daily]


def due(now: datetime) -> Month:
    """Return the month that TLC has published by now, unless it is late."""
    return Month.of((now - LAG).date()).plus(-1)


def _schedule(
    dataset: Dataset, name: str, does: str, cron: str, months: Callable[[Dataset, datetime], list[Month]], status: Any
) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=name,
        description=does,
        job_name=f"{dataset.name}_{EVERYTHING}",
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=status,
        required_resource_keys={"source"},
    )
    def missing(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        now = context.scheduled_execution_time
        return _missing(context, dataset, months(dataset, now), now.date())

    return missing


def _missing(
    context: dg.ScheduleEvaluationContext, dataset: Dataset, months: list[Month], today: date
) -> list[dg.RunRequest] | dg.SkipReason:
    """Request the months that are published but not in every table."""
    instance, name = context.instance, dataset.name
    assets = [key.path[1] for key in context.repository_def.asset_graph.get_all_asset_keys() if key.path[0] == name]
    have = history.landed(instance, name, [asset for asset in assets if asset.endswith("_table")])
    runs, under_way = history.under_way(instance)
    missing = [month for month in months if month not in have and (name, month) not in under_way]
    for_good = history.failed_for_good(instance, name, assets, missing)
    questions = [(name, month) for month in missing if month not in for_good]
    if not questions:
        reasons = [f"{name} {month} failed for good: {error}" for month, error in for_good.items()]
        return dg.SkipReason("; ".join(reasons) or f"nothing of {name} is missing, or runs of it are under way")
    answers = poll(instance, context.resources.source.create(), questions, today)
    # `unchanged`: the file is here, but did not get to every table
    published = [
        m
        for (_, m), availability in answers.availability.items()
        if availability.worth_fetching or availability.status == "unchanged"
    ]
    # what there is no room for today is asked for tomorrow
    requests = [
        request(name, group, run_key=str(group[0])) for group in ranges(published)[: max(0, MAX_OPEN_RUNS - runs)]
    ]
    return requests or dg.SkipReason(answers.sentence())
