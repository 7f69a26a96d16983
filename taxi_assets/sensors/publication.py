"""The publication sensor: loads a month when the source has it, and again when the source has another file.

Every tick asks for the newest months, and for older ones in turn; the cursor says where the next tick goes on. A run's
key is the dataset, the month and the file's version, so a month that failed is not requested again until its file
changes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg

from taxi_assets.contracts.model import Dataset
from taxi_assets.instance import history
from taxi_assets.instance.history import MonthKey
from taxi_assets.jobs import request_month
from taxi_assets.months import Month
from taxi_assets.sensors import polling
from taxi_assets.sensors.polling import MAX_OPEN_RUNS, months_at, poll
from taxi_assets.settings import Settings

INTERVAL_SECONDS = 3600
"""TLC publishes once a month."""
MAX_QUESTIONS = 80
"""Questions of one tick, out of politeness: every month since 2009 is asked for within ten hours all the same."""
NEWEST_MONTHS = 3
"""Months of each dataset that every tick asks for."""


def publication_sensor(
    settings: Settings, datasets: Mapping[str, Dataset], jobs: Sequence[Any], status: Any
) -> dg.SensorDefinition:
    """Return the sensor."""

    @dg.sensor(
        name="publication",
        description="Asks TLC for every month; loads what is new, and reloads what TLC published again. Once switched "
        f"on, it fetches everything since {settings.automation_since} (up to 0.7 TB from 2009 on); "
        "TAXI_AUTOMATION_SINCE names the first month to fetch.",
        jobs=jobs,
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=status,
        required_resource_keys={"source"},
    )
    def publication(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        return _tick(context, settings, datasets, polling.utc_now())

    return publication


def _tick(
    context: dg.SensorEvaluationContext, settings: Settings, datasets: Mapping[str, Dataset], now: datetime
) -> dg.SensorResult:
    runs, in_progress = history.open_runs(context.instance)
    if runs >= MAX_OPEN_RUNS:
        return dg.SensorResult(
            skip_reason=f"{runs} runs have not ended; the source is asked when there are fewer", cursor=context.cursor
        )
    cursor = json.loads(context.cursor or "{}")
    newest, older = _months(datasets, now, settings.automation_since)
    newest, older = _rotate(newest, cursor.get("newest")), _rotate(older, cursor.get("older"))
    order = [*older, *newest] if cursor.get("older_first") else [*newest, *older]
    questions = [key for key in order if key not in in_progress]
    result = poll(context.instance, context.resources.source.create(), questions[:MAX_QUESTIONS], now.date())
    keys = {key: result.run_keys[key] for key, answer in result.availability.items() if answer.worth_fetching}
    requested = history.requested(context.instance, keys.values())
    wanted = [key for key, run_key in keys.items() if run_key not in requested]
    room = MAX_OPEN_RUNS - runs
    requests = [request_month(*key, run_key=keys[key]) for key in wanted[:room]]
    # the next tick goes on where the source stopped answering, and with the older months that there was no room for
    undone = {*wanted[room:], *result.left, *questions[MAX_QUESTIONS:]}
    cursor = {
        "newest": _first(key for key in newest if key in result.left),
        "older": _first(key for key in older if key in undone),
        "older_first": bool(result.left) and result.left[0] in older,
    }
    return dg.SensorResult(
        run_requests=requests or None,
        skip_reason=None if requests else result.summary(),
        cursor=json.dumps(cursor),
    )


def _months(datasets: Mapping[str, Dataset], now: datetime, since: Month) -> tuple[list[MonthKey], list[MonthKey]]:
    """Return the newest months of each dataset, and the older ones; the newest first."""
    newest: list[MonthKey] = []
    older: list[MonthKey] = []
    for name, dataset in datasets.items():
        months = [(name, month) for month in months_at(dataset, now, since)]
        newest += months[:NEWEST_MONTHS]
        older += months[NEWEST_MONTHS:]
    return newest, sorted(older, key=lambda key: key[1], reverse=True)


def _rotate(keys: list[MonthKey], start: str | None) -> list[MonthKey]:
    """Return the months beginning with the one named `start`, if it is among them."""
    place = next((place for place, (name, month) in enumerate(keys) if f"{name} {month}" == start), 0)
    return [*keys[place:], *keys[:place]]


def _first(keys: Iterable[MonthKey]) -> str:
    return next((f"{name} {month}" for name, month in keys), "")
