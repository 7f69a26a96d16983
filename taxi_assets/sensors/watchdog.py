"""The watchdog sensor: reports what is stuck, failing or late, and resends what did not arrive."""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from taxi_assets.contracts.model import Dataset
from taxi_assets.instance import history
from taxi_assets.months import Month
from taxi_assets.sensors import polling
from taxi_assets.sensors.alerts import (
    ALERTED_TAG,
    INTERVAL_SECONDS,
    MAX_REASON,
    OWED_TAG,
    mark,
    message,
    owed_runs,
    run_link,
)
from taxi_assets.sensors.delivery import channels, cut, send
from taxi_assets.settings import Settings

FAILING_SECONDS, MAX_TICKS = 3600, 200
_AWAY_SECONDS = 4 * INTERVAL_SECONDS
_UNREPORTED = timedelta(minutes=10), timedelta(hours=2)
"""Time since a run failed: by then `failure_alerts` has reported it, and a retry has begun."""

Notices = dict[str, tuple[str, list[str]]]
"""What is wrong now, or was until the last tick: its key, its message, and the channels that have not taken it. There
are at most as many as open runs, sensors and late months, so nothing has to be dropped."""


def watchdog(settings: Settings, datasets: Mapping[str, Dataset], status: Any) -> dg.SensorDefinition:
    """Return the sensor."""

    @dg.sensor(
        name="watchdog",
        description="Reports stuck runs, sensors and schedules that fail for an hour, and months that have not landed "
        "in time; resends alerts that did not arrive.",
        target=None,
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=status,
        required_resource_keys={"source"},
    )
    def watchdog(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now, known = polling.utc_now(), json.loads(context.cursor or "{}")
        found = {
            **_stuck(context.instance, settings, now),
            **_failing(context.instance, known, now),
            **_late(context, datasets, known, now),
        }
        news = [text for key, text in found.items() if key not in known]
        if unreported := _unreported(context, now):
            news.append(message(context.instance, settings, unreported))
            mark(context.instance, unreported, channels(settings))  # `_send` sends what is owed
        for text in news:
            context.log.warning(text)
        owed = {key: value for key, value in known.items() if key in found or value[1]}
        notices: Notices = {**{key: (text, channels(settings)) for key, text in found.items()}, **owed}
        refused = _send(context.instance, settings, notices)
        said = "\n".join([*news, *refused]) or "nothing is stuck, failing or late"
        return dg.SensorResult(skip_reason=said, cursor=json.dumps(notices))

    return watchdog


def _stuck(instance: dg.DagsterInstance, settings: Settings, now: datetime) -> dict[str, str]:
    """Return the runs that do not end, or do not begin while nothing else runs."""
    open_since = dg.RunsFilter(
        statuses=history.OPEN_STATUSES, created_before=now - timedelta(hours=settings.stuck_after_hours)
    )
    # `get_run_records` inspects its table first. SQLAlchemy caches the queries for that (230 kB) for each of the last
    # 128 Postgres dialects, and each tick has a dialect of its own.
    if not instance.get_runs_count(open_since):
        return {}
    records = instance.get_run_records(dg.RunsFilter(statuses=history.OPEN_STATUSES))
    running = any(record.dagster_run.status == dg.DagsterRunStatus.STARTED for record in records)
    found = {}
    for record in records:
        run = record.dagster_run
        queued = run.status == dg.DagsterRunStatus.QUEUED
        hours = (now.timestamp() - (record.start_time or record.create_timestamp.timestamp())) / 3600
        if hours >= settings.stuck_after_hours and not (queued and running):
            state = "waiting" if queued else run.status.value.lower()
            text = f"{history.describe_run(run)} is stuck: its run has been {state} for {hours:.1f} hours"
            found[f"stuck {run.run_id}"] = f"{text}\n{run_link(settings, run)}"
    return found


def _failing(instance: dg.DagsterInstance, known: Collection[str], now: datetime) -> dict[str, str]:
    """Return the sensors and schedules of which every tick has failed for an hour, and those that work again."""
    found = {}
    for state in instance.all_instigator_state():
        name, origin = state.instigator_name, (state.instigator_origin_id, state.selector_id)
        ticks = instance.get_ticks(*origin, limit=2) if state.is_running else []  # one of them may have just begun
        if any(tick.status.value == "FAILURE" for tick in ticks):
            ticks = instance.get_ticks(*origin, limit=MAX_TICKS)
        ended = [tick for tick in ticks if tick.status.value != "STARTED"]
        failed = list(itertools.takewhile(lambda tick: tick.status.value == "FAILURE", ended))
        key = f"failing {name}"
        if failed and (key in known or failed[-1].timestamp <= now.timestamp() - FAILING_SECONDS):
            error = failed[0].error
            reason = cut(error.message.strip(), MAX_REASON) if error else "its ticks say why"
            found[key] = f"{name} has failed for an hour: {reason}"
        elif ended and key in known:
            found[f"recovered {name}"] = f"{name} has recovered"
    return found


def _late(
    context: dg.SensorEvaluationContext, datasets: Mapping[str, Dataset], known: Collection[str], now: datetime
) -> dict[str, str]:
    """Return the months that should have landed by now, and those that landed after all."""
    landed = {name: history.landed(context.instance, name) for name in datasets}
    due = {
        name: Month.of((now - timedelta(days=dataset.late_after_days)).date()).plus(-1)
        for name, dataset in datasets.items()
    }
    told = [
        (name, Month.parse(text))
        for _, name, text in (key.split() for key in known if key.startswith("late "))
        if landed.get(name)
    ]
    in_use = [name for name, months in landed.items() if months and min(months) < due[name]]
    asked = dict.fromkeys([*((name, due[name]) for name in in_use), *told])
    late = [(name, month) for name, month in asked if month not in landed[name]]
    new = [(name, month) for name, month in late if f"late {name} {month}" not in known]
    source = context.resources.source.create()
    answers = polling.poll(context.instance, source, new, now.date()).availability if new else {}
    found = {}
    for name, month in late:
        answer, days = answers.get((name, month)), datasets[name].late_after_days
        said = (answer.reason or "the source has it") if answer else "the source is down"
        text = f"{name} {month} has not landed {days} days after its end; the last is {max(landed[name])}. {said}"
        found[f"late {name} {month}"] = text
    for name, month in told:
        if month in landed[name]:
            found[f"recovered {name} {month}"] = f"{name} {month} has recovered: it has landed"
    return found


def _unreported(context: dg.SensorEvaluationContext, now: datetime) -> list[dg.DagsterRun]:
    """Return failed runs that were not reported, because the sensor of alerts failed, or their retry was dropped."""
    last_tick = context.last_tick_completion_time
    if last_tick and now.timestamp() - last_tick > _AWAY_SECONDS:
        return []  # the daemon was away: `failure_alerts` reports them at this moment
    between = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.FAILURE], updated_after=now - _UNREPORTED[1], updated_before=now - _UNREPORTED[0]
    )
    return [run for run in reversed(context.instance.get_runs(between)) if _is_unreported(context.instance, run)]


def _is_unreported(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    if run.tags.get(ALERTED_TAG) == run.run_id or "dagster/auto_retry_run_id" in run.tags:
        return False
    return history.PARTITION_TAG not in run.tags or not history.was_followed(instance, run)


def _send(instance: dg.DagsterInstance, settings: Settings, notices: Notices) -> list[str]:
    """Send each channel one message with all that it has not taken; return why it did not take it."""
    refused = []
    for channel in channels(settings):
        texts = [text for text, owed in notices.values() if channel in owed]
        runs = owed_runs(instance, channel)
        for status in (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS):
            group = [run for run in reversed(runs) if run.status == status]
            texts += [message(instance, settings, group)] if group else []
        reason = send(settings, channel, "\n".join(texts)) if texts else ""
        if reason:
            refused.append(reason)
            continue
        for _, owed in notices.values():
            if channel in owed:
                owed.remove(channel)
        for run in runs:
            mark(
                instance, [run], [owed for owed in channels(settings) if owed != channel and owed in run.tags[OWED_TAG]]
            )
    return refused
