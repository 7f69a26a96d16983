"""Alerts about runs: one message for all that failed since the last tick, and one for all months that recovered.

A run's tags record whether it was reported, so no run is reported twice. What is not delivered, or not reported because
the sensor itself failed, the `watchdog` sensor sends. See https://docs.dagster.io/guides/automate/run-status-sensors.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

import dagster as dg

from taxi_assets.instance import history
from taxi_assets.sensors.delivery import channels, cut, send
from taxi_assets.settings import Settings

INTERVAL_SECONDS = 30
MAX_RUNS_NAMED, MAX_REASON = 5, 500
"""Runs of one message with their reasons, and characters of a reason."""

ALERTED_TAG, RECOVERED_TAG = "taxi_assets/alerted", "taxi_assets/recovered"
"""Tags of a failed run that was reported, and of one whose recovery was. Their value is the run's own id, because a
re-execution copies its parent's tags."""
OWED_TAG = "taxi_assets/alert_owed"
"""Tag of a reported run: the channels that did not take the message."""


def failure_alerts(settings: Settings, status: Any) -> dg.SensorDefinition:
    """Return the sensor that reports failed runs."""

    @dg.run_failure_sensor(
        name="failure_alerts",
        description=f"Reports runs that failed and are not retried. {_destinations(settings)}",
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=status,
        monitor_all_code_locations=True,  # a run of `dg launch` does not say where its code is
    )
    def failure_alerts(context: dg.RunFailureSensorContext) -> dg.SkipReason | None:
        runs = _failed_since(context.instance, context.dagster_run)
        return _report(context, settings, runs) if runs else None

    return failure_alerts


def recovery_alerts(settings: Settings, status: Any) -> dg.SensorDefinition:
    """Return the sensor that reports months that land after an alert said that they failed."""

    @dg.run_status_sensor(
        dg.DagsterRunStatus.SUCCESS,
        name="recovery_alerts",
        description=f"Reports a month that lands after an alert said that it failed. {_destinations(settings)}",
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=status,
        monitor_all_code_locations=True,
    )
    def recovery_alerts(context: dg.RunStatusSensorContext) -> dg.SkipReason | None:
        instance, run = context.instance, context.dagster_run
        if not _recovered_by(instance, run):
            return None
        runs, seen = [], set[str]()
        for each in _ended_since(instance, run, run.status):
            if recovered := {failed.run_id for failed in _recovered_by(instance, each)} - seen:
                runs.append(each)
                seen |= recovered
        reported = _report(context, settings, runs)
        for failed_id in seen:
            instance.add_run_tags(failed_id, {RECOVERED_TAG: failed_id})
        return reported

    return recovery_alerts


def message(instance: dg.DagsterInstance, settings: Settings, runs: Sequence[dg.DagsterRun]) -> str:
    """Return the text about runs that all failed, or whose months all recovered."""
    recovered = runs[0].status == dg.DagsterRunStatus.SUCCESS
    lines = [f"{len(runs)} {'months have recovered' if recovered else 'runs failed'}"] if len(runs) > 1 else []
    for run in runs[:MAX_RUNS_NAMED]:
        subject = history.describe_run(run)
        if recovered:
            lines.append(f"{subject} has recovered")
        for failure in [] if recovered else history.failures_of(instance, run)[:2]:
            failed = f"failed in {failure.asset}" if failure.asset else "failed"
            lines.append(f"{subject} {failed}: {cut(failure.reason, MAX_REASON)}")
        lines.append(run_link(settings, run))
    if len(runs) > MAX_RUNS_NAMED:
        link = f"{settings.ui_url.rstrip('/')}/runs?q%5B0%5D=status%3A{runs[0].status.value}"
        lines.append(f"... and {len(runs) - MAX_RUNS_NAMED} more: {link}")
    return "\n".join(lines)


def owed_runs(instance: dg.DagsterInstance, channel: str) -> list[dg.DagsterRun]:
    """Return the runs whose message a channel has not taken."""
    runs = instance.get_runs(dg.RunsFilter(tags={OWED_TAG: [channel, "webhook, e-mail"]}))
    return [run for run in runs if run.tags.get(ALERTED_TAG) == run.run_id]


def mark(instance: dg.DagsterInstance, runs: Sequence[dg.DagsterRun], owed: Sequence[str]) -> None:
    """Tag runs as reported, with the channels that did not take the message."""
    for run in runs:
        instance.add_run_tags(run.run_id, {ALERTED_TAG: run.run_id, OWED_TAG: ", ".join(owed)})


def run_link(settings: Settings, run: dg.DagsterRun) -> str:
    """Return the address of a run in Dagster's UI."""
    return f"{settings.ui_url.rstrip('/')}/runs/{run.run_id}"


def _report(context: dg.RunStatusSensorContext, settings: Settings, runs: Sequence[dg.DagsterRun]) -> dg.SkipReason:
    """Log and send the message about runs; it is the text of the tick."""
    text = message(context.instance, settings, runs)
    context.log.warning(text)
    refused = {channel: reason for channel in channels(settings) if (reason := send(settings, channel, text))}
    mark(context.instance, runs, list(refused))
    return dg.SkipReason("\n".join([text, *refused.values()]))


def _failed_since(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[dg.DagsterRun]:
    """Return a run and those that failed after it, oldest first, except those reported or about to be retried."""
    runs = _ended_since(instance, run, dg.DagsterRunStatus.FAILURE)
    if instance.run_retries_enabled and any("dagster/will_retry" not in each.tags for each in runs):
        time.sleep(1)  # Dagster decides on a retry just after it has recorded the failure
        runs = _ended_since(instance, run, dg.DagsterRunStatus.FAILURE)
    return [each for each in runs if each.tags.get(ALERTED_TAG) != each.run_id and not history.will_retry(each)]


def _ended_since(instance: dg.DagsterInstance, run: dg.DagsterRun, status: dg.DagsterRunStatus) -> list[dg.DagsterRun]:
    """Return a run and those that ended with the same status after it, oldest first."""
    first = instance.get_run_record_by_id(run.run_id)
    since = (first and first.end_time) or 0.0
    ended = dg.RunsFilter(statuses=[status], updated_after=datetime.fromtimestamp(since - 1, timezone.utc))
    records = instance.get_run_records(ended, order_by="update_timestamp", ascending=True)
    return [record.dagster_run for record in records if (record.end_time or 0.0) >= since]


def _recovered_by(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[dg.DagsterRun]:
    """Return the reported runs before this one whose month recovers with it: it materialized what failed in them."""
    months = set(history.months_of_run(run))
    if not months:
        return []
    tags = {history.PARTITION_TAG: run.tags[history.PARTITION_TAG]}
    before = itertools.dropwhile(lambda other: other.run_id != run.run_id, instance.get_runs(dg.RunsFilter(tags=tags)))
    reported = [
        other
        for other in before  # the newest first
        if other.status == dg.DagsterRunStatus.FAILURE
        and other.tags.get(ALERTED_TAG) == other.run_id
        and other.tags.get(RECOVERED_TAG) != other.run_id
        and months.intersection(history.months_of_run(other))
    ]
    made = history.assets_made(instance, run) if reported else set()
    return [other for other in reported if made.intersection(_failed_assets(instance, other) or made)]


def _failed_assets(instance: dg.DagsterInstance, run: dg.DagsterRun) -> set[str]:
    """Return the assets that failed in a run; none if its process died."""
    return {failure.asset for failure in history.failures_of(instance, run) if failure.asset}


def _destinations(settings: Settings) -> str:
    if sent_to := channels(settings):
        return f"Writes to its ticks' log, and sends to {' and '.join(sent_to)}."
    return "Writes to its ticks' log; TAXI_ALERT_WEBHOOK and TAXI_ALERT_EMAIL have it sent."
