"""The publication sensor: loads a month when the source has it, and again when the source has another file.

The newest months are asked for at every tick, older ones in turn. Its cursor holds the version of each file that a run
was requested for, so a month that failed is not requested again until its file changes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg
from dagster._time import get_current_datetime

from taxi_assets.contracts.model import Dataset
from taxi_assets.instance import history
from taxi_assets.instance.history import Key
from taxi_assets.jobs import request
from taxi_assets.months import Month
from taxi_assets.partitions import ranges
from taxi_assets.sensors.polling import MAX_OPEN_RUNS, months_at, poll
from taxi_assets.settings import Settings

INTERVAL = 3600
"""Seconds between ticks; TLC publishes once a month."""
MAX_QUESTIONS = 80
"""Questions of one tick, out of politeness: every month since 2009 is asked for within ten hours all the same."""
NEWEST = 3
"""Months of each dataset that every tick asks for."""


def publication_sensor(
    settings: Settings, datasets: Mapping[str, Dataset], jobs: Sequence[Any], status: Any
) -> dg.SensorDefinition:
    """Return the sensor."""

    @dg.sensor(
        name="publication",
        description="Asks TLC for every month: loads what is new, and again what was published anew.",
        jobs=jobs,
        minimum_interval_seconds=INTERVAL,
        default_status=status,
        required_resource_keys={"source"},
    )
    def publication(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        return _tick(context, settings, datasets, get_current_datetime())

    return publication


def _tick(
    context: dg.SensorEvaluationContext, settings: Settings, datasets: Mapping[str, Dataset], now: datetime
) -> dg.SensorResult:
    cursor = json.loads(context.cursor or "{}")
    requested: dict[str, str] = cursor.get("requested", {})
    runs, under_way = history.under_way(context.instance)
    if runs >= MAX_OPEN_RUNS:
        return dg.SensorResult(skip_reason=f"{runs} runs have not ended; the source is asked when there are fewer")
    newest, older = _months(datasets, now, settings.automation_since)
    start = next((place for place, (name, month) in enumerate(older) if f"{name} {month}" == cursor.get("turn")), 0)
    questions = [key for key in [*newest, *older[start:]] if key not in under_way]
    source = context.resources.source.create()
    answers = poll(context.instance, source, questions[:MAX_QUESTIONS], now.date())
    wanted = {
        (name, month): availability.version
        for (name, month), availability in answers.availability.items()
        if availability.worth_fetching and requested.get(f"{name} {month}") != availability.version
    }
    requests: list[dg.RunRequest] = []
    for name in datasets:
        for months in ranges(month for dataset, month in wanted if dataset == name):
            if len(requests) + runs < MAX_OPEN_RUNS:
                requests.append(request(name, months))
                requested |= {f"{name} {month}": wanted.pop((name, month)) for month in months}
    # the next tick goes on with the first month that this one did not come to, or had no run to spare for
    undone = {*wanted, *answers.left, *questions[MAX_QUESTIONS:]}.intersection(older)
    turn = next((f"{name} {month}" for name, month in questions if (name, month) in undone), "")
    return dg.SensorResult(
        run_requests=requests or None,
        skip_reason=None if requests else answers.sentence(),
        cursor=json.dumps({"requested": requested, "turn": turn}),
    )


def _months(datasets: Mapping[str, Dataset], now: datetime, since: Month) -> tuple[list[Key], list[Key]]:
    """Return the newest months of each dataset, and the older ones; the newest first."""
    newest: list[Key] = []
    older: list[Key] = []
    for name, dataset in datasets.items():
        months = [(name, month) for month in months_at(dataset, now, since)]
        newest += months[:NEWEST]
        older += months[NEWEST:]
    return newest, sorted(older, key=lambda key: key[1], reverse=True)
