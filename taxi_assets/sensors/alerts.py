"""Alerts on runs: one message for all runs that failed since the last tick, and one for a month that lands after that.

A run's tags say whether people were told of it, so nothing is told twice, and a message that could not be delivered is not
lost: the `watchdog` sensor sends it again. https://docs.dagster.io/guides/automate/run-status-sensors
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

import dagster as dg

from taxi_assets.instance import history
from taxi_assets.instance.history import PARTITION_TAG
from taxi_assets.sensors.delivery import channels, cut, send
from taxi_assets.settings import Settings

INTERVAL_SECONDS = 30
NOT_DELIVERED = "not delivered, will be sent again"
MAX_RUNS_NAMED = 5
MAX_REASON = 500
"""Characters of one run's reason."""

ALERTED_TAG, RECOVERED_TAG = "taxi_assets/alerted", "taxi_assets/recovered"
"""Tags of a run that people were told of, and of one whose month has landed since. Their value is the run's own id:
a re-execution copies its parent's tags."""
OWED_TAG = "taxi_assets/alert_owed"
"""Tag of a run that people were told of: the channels that have not taken the message, with commas."""


def failure_alerts(settings: Settings, status: Any) -> dg.SensorDefinition:
    """Return the sensor that tells of failed runs."""

    @dg.run_failure_sensor(
        name="failure_alerts",
        description=f"Tells of runs that failed, and are not retried, all of a tick in one message. {_where(settings)}",
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=status,
        monitor_all_code_locations=True,  # a run of `dg launch` does not say where its code is
    )
    def failure_alerts(context: dg.RunFailureSensorContext) -> dg.SkipReason | None:
        runs = _failed_since(context.instance, context.dagster_run)
        return _tell(context, settings, runs) if runs else None

    return failure_alerts


def recovery_alerts(settings: Settings, status: Any) -> dg.SensorDefinition:
    """Return the sensor that tells of months that land after people were told that they failed."""

    @dg.run_status_sensor(
        dg.DagsterRunStatus.SUCCESS,
        name="recovery_alerts",
        description=f"Tells of a month that lands after an alert said that it failed. {_where(settings)}",
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=status,
        monitor_all_code_locations=True,
    )
    def recovery_alerts(context: dg.RunStatusSensorContext) -> dg.SkipReason | None:
        mended = _mended_by(context.instance, context.dagster_run)
        if not mended:
            return None
        told = _tell(context, settings, [context.dagster_run])
        for run in mended:
            context.instance.add_run_tags(run.run_id, {RECOVERED_TAG: run.run_id})
        return told

    return recovery_alerts


def message(instance: dg.DagsterInstance, settings: Settings, runs: Sequence[dg.DagsterRun]) -> str:
    """Return the text about runs that all failed, or that all mended what had failed."""
    if runs[0].status == dg.DagsterRunStatus.SUCCESS:
        return "\n".join(f"{history.describe_run(run)} has recovered\n{run_link(settings, run)}" for run in runs)
    lines = [f"{len(runs)} runs failed"] if len(runs) > 1 else []
    for run in runs[:MAX_RUNS_NAMED]:
        lines += [*_reasons(instance, run), run_link(settings, run)]
    if len(runs) > MAX_RUNS_NAMED:
        link = f"{settings.ui_url.rstrip('/')}/runs?q%5B0%5D=status%3AFAILURE"
        lines.append(f"... and {len(runs) - MAX_RUNS_NAMED} more: {link}")
    return "\n".join(lines)


def deliver(
    instance: dg.DagsterInstance,
    settings: Settings,
    runs: Sequence[dg.DagsterRun],
    to: Sequence[str],
    later: Sequence[str] = (),
) -> dict[str, str]:
    """Send the message about runs, and tag them.

    Args:
        instance: Where the runs are.
        settings: The channels' addresses.
        runs: The runs.
        to: Channels to send it over now.
        later: Channels to send it over at another tick.

    Returns:
        The channels that did not take it, and why.
    """
    refused = send(settings, message(instance, settings, runs), to)
    owed = ",".join(channel for channel in channels(settings) if channel in refused or channel in later)
    for run in runs:
        instance.add_run_tags(run.run_id, {ALERTED_TAG: run.run_id, OWED_TAG: owed})
    return refused


def owed_alerts(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    """Return the runs whose message not every channel has taken."""
    owed = ["webhook", "e-mail", "webhook,e-mail"]
    runs = instance.get_runs(dg.RunsFilter(tags={OWED_TAG: owed}))
    return [run for run in runs if run.tags.get(ALERTED_TAG) == run.run_id]


def run_link(settings: Settings, run: dg.DagsterRun) -> str:
    """Return the address of a run in Dagster's UI."""
    return f"{settings.ui_url.rstrip('/')}/runs/{run.run_id}"


def _failed_since(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[dg.DagsterRun]:
    """Return a run and those that failed after it, except what was told of or will be retried; the first first."""
    first = instance.get_run_record_by_id(run.run_id)
    since = (first and first.end_time) or 0.0
    failed = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.FAILURE], updated_after=datetime.fromtimestamp(since - 1, timezone.utc)
    )
    records = instance.get_run_records(failed, order_by="update_timestamp", ascending=True)
    if instance.run_retries_enabled and any("dagster/will_retry" not in each.dagster_run.tags for each in records):
        time.sleep(1)  # Dagster decides on a retry just after it has written that the run failed
        records = instance.get_run_records(failed, order_by="update_timestamp", ascending=True)
    return [
        record.dagster_run
        for record in records
        if (record.end_time or 0.0) >= since
        and record.dagster_run.tags.get(ALERTED_TAG) != record.dagster_run.run_id
        and not history.will_retry(record.dagster_run)
    ]


def _mended_by(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[dg.DagsterRun]:
    """Return the runs that people were told of as failed, and whose month a later run has mended."""
    months = set(history.months_of_run(run))
    if not months:
        return []
    runs = instance.get_runs(
        dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], tags={PARTITION_TAG: run.tags[PARTITION_TAG]})
    )
    told = [
        failed
        for failed in runs
        if failed.tags.get(ALERTED_TAG) == failed.run_id
        and failed.tags.get(RECOVERED_TAG) != failed.run_id
        and months.intersection(history.months_of_run(failed))
    ]
    made = history.assets_made(instance, run) if told else set()
    return [failed for failed in told if made.intersection(_assets(instance, failed) or made)]


def _assets(instance: dg.DagsterInstance, run: dg.DagsterRun) -> set[str]:
    """Return the assets that failed in a run; none if its process died."""
    return {failure.asset for failure in history.failures_of(instance, run) if failure.asset}


def _tell(context: dg.RunStatusSensorContext, settings: Settings, runs: Sequence[dg.DagsterRun]) -> dg.SkipReason:
    """Log the message about runs and send it; it is the text of the tick."""
    text = message(context.instance, settings, runs)
    context.log.warning(text)
    refused = deliver(context.instance, settings, runs, channels(settings))
    return dg.SkipReason("\n".join([text, *(f"{NOT_DELIVERED}: {reason}" for reason in refused.values())]))


def _reasons(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[str]:
    return [
        f"{history.describe_run(run)} failed{failure.asset and f' in {failure.asset}'}: {cut(failure.reason, MAX_REASON)}"
        for failure in history.failures_of(instance, run)[:2]
    ]


def _where(settings: Settings) -> str:
    places = " and ".join([*channels(settings), "the log"])
    return f"Alerts go to {places} (TAXI_ALERT_WEBHOOK, TAXI_ALERT_EMAIL)."
