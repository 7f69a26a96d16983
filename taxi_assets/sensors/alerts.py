"""The alerts sensor: tells of runs that failed, recovered or are stuck, and of a month that should have landed.

One sensor looks at everything, and its cursor remembers what was told, so each thing is told once. What could not be
delivered waits in the cursor for the next tick. How a text is sent stands in `delivery`.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from dagster._time import get_current_datetime

from taxi_assets.contracts.model import Dataset
from taxi_assets.instance import history
from taxi_assets.instance.recovery import will_run_again
from taxi_assets.months import Month
from taxi_assets.sensors.delivery import UndeliveredError, channels, deliver
from taxi_assets.sensors.polling import poll
from taxi_assets.settings import Settings

INTERVAL = 30
LATE = timedelta(days=75)
"""TLC publishes 47-62 days after a month's end, once after 93. A dataset's month that has not landed by then is told
of; so is one that TLC does have, because every schedule and sensor should have loaded it two weeks before."""
_MAX_LINES = 5
_MAX_OUTBOX = 100
_SECONDS = 15.0
"""No text is sent after so many seconds of a tick's sending; Dagster ends a tick after 60 s."""


@dataclass
class Memory:
    """What the sensor remembers from tick to tick.

    Attributes:
        until: Runs that ended by then (seconds since 1970) have been looked at.
        told: Those of them that ended at that very moment, or are being told of as stuck.
        failing: Months that were told of as failed, with the asset and the time.
        late: Months that were told of as late.
        outbox: Texts that have not arrived, each with the channels that still owe it.
    """

    until: float = 0.0
    notified: list[str] = field(default_factory=list)
    failing: dict[str, tuple[str, float]] = field(default_factory=dict)
    late: list[str] = field(default_factory=list)
    outbox: list[tuple[str, list[str]]] = field(default_factory=list)


def alerts_sensor(settings: Settings, datasets: Mapping[str, Dataset], status: Any) -> dg.SensorDefinition:
    """Return the sensor."""
    places = " and ".join([*channels(settings), "the log"])

    @dg.sensor(
        name="alerts",
        description="Tells of failed, recovered and stuck runs, failed checks, and a month that has not landed in "
        f"time. Alerts go to {places} (TAXI_ALERT_WEBHOOK, TAXI_ALERT_EMAIL).",
        target=None,
        minimum_interval_seconds=INTERVAL,
        default_status=status,
        required_resource_keys={"source"},
    )
    def alerts(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now = get_current_datetime()
        memory = Memory(**json.loads(context.cursor)) if context.cursor else Memory(until=now.timestamp())
        texts = [
            *_ended(context.instance, settings, memory),
            *_recovered(context.instance, memory),
            *_stuck(context.instance, settings, memory, now),
            *_late(context, datasets, memory, now),
        ]
        for text in texts:
            context.log.warning(text)
        memory.outbox += [(text, channels(settings)) for text in texts]
        lost = _send(settings, memory)
        for reason in lost:
            context.log.error(reason)
        said = f"{len(texts)} alerts" + (f"; {len(memory.outbox)} wait: {'; '.join(lost)}" if lost else "")
        return dg.SensorResult(skip_reason=said, cursor=json.dumps(dataclasses.asdict(memory)))

    return alerts


def _send(settings: Settings, memory: Memory) -> list[str]:
    """Send what is in the outbox; keep what does not arrive; return why, each reason once."""
    waiting: list[tuple[str, list[str]]] = []
    down: dict[str, str] = {}
    until = time.monotonic() + _SECONDS
    for text, owed in memory.outbox:
        still = []
        for channel in owed:
            try:
                if time.monotonic() > until:
                    down.setdefault(channel, f"the {channel} is slow; the rest is sent at the next tick")
                if channel not in down:
                    deliver(settings, channel, text)
            except UndeliveredError as error:
                down[channel] = str(error)
            if channel in down:
                still.append(channel)
        if still:
            waiting.append((text, still))
    memory.outbox = waiting[-_MAX_OUTBOX:]
    forgotten = len(waiting) - len(memory.outbox)
    return [*down.values(), *([f"{forgotten} alerts are too old to be kept"] if forgotten else [])]


def _ended(instance: dg.DagsterInstance, settings: Settings, memory: Memory) -> Iterator[str]:
    after = datetime.fromtimestamp(memory.until - 1, timezone.utc)
    records = instance.get_run_records(
        dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=after),
        order_by="update_timestamp",
        ascending=True,
    )
    for record in records:
        run, ended = record.dagster_run, record.update_timestamp.timestamp()
        notified = f"failed {run.run_id}"
        if notified in memory.notified or will_run_again(run):
            continue
        memory.notified = [*memory.notified[-_MAX_OUTBOX:], notified]
        memory.until = max(memory.until, ended)
        yield _failure(instance, settings, run, ended, memory)


def _failure(instance: dg.DagsterInstance, settings: Settings, run: dg.DagsterRun, ended: float, memory: Memory) -> str:
    records = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.ASSET_OBSERVATION).records
    lines = []
    for record in records:
        said = history.metadata_of(record)
        if said.get("status") == "failed" and record.asset_key and record.partition_key:
            name, asset = record.asset_key.path
            month = record.partition_key[:7]
            lines.append(f"{name} {month} failed in {asset}: {said['error']}")
            memory.failing[f"{name} {month}"] = (asset, record.timestamp)
    if not lines:  # the run ended for another reason than its months
        memory.failing |= {f"{name} {month}": (history.TABLE, ended) for name, month in history.months_of_run(run)}
        lines = [f"{history.describe_run(run)} failed: see its log in the UI"]
    more = [f"... and {len(lines) - _MAX_LINES} more"] if len(lines) > _MAX_LINES else []
    return "\n".join([*lines[:_MAX_LINES], *more, _link(settings, run.run_id)])


def _link(settings: Settings, run_id: str) -> str:
    return f"{settings.ui_url.rstrip('/')}/runs/{run_id}"


def _recovered(instance: dg.DagsterInstance, memory: Memory) -> Iterator[str]:
    for key, (asset, since) in list(memory.failing.items()):
        name, month = key.split()
        record = history.latest(instance, name, asset, [Month.parse(month)]).get(Month.parse(month))
        if record and record.timestamp > since:
            del memory.failing[key]
            yield f"{key} has recovered: {asset} has landed"


def _stuck(instance: dg.DagsterInstance, settings: Settings, memory: Memory, now: datetime) -> Iterator[str]:
    records = instance.get_run_records(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES))
    running = any(record.dagster_run.status == dg.DagsterRunStatus.STARTED for record in records)
    for record in records:
        run = record.dagster_run
        queued = run.status == dg.DagsterRunStatus.QUEUED
        begun = record.start_time or record.create_timestamp.timestamp()
        hours = (now.timestamp() - begun) / 3600
        notified = f"stuck {run.run_id}"
        if hours < settings.stuck_after_hours or notified in memory.notified or (queued and running):
            continue
        memory.notified = [*memory.notified[-_MAX_OUTBOX:], notified]
        state = "waits" if queued else f"is {run.status.value.lower()}"
        yield f"{history.describe_run(run)} is stuck: its run {state} since {hours:.1f} hours\n{_link(settings, run.run_id)}"


def _late(
    context: dg.SensorEvaluationContext, datasets: Mapping[str, Dataset], memory: Memory, now: datetime
) -> Iterator[str]:
    month = Month.of((now - LATE).date()).plus(-1)
    last = {name: max(history.landed(context.instance, name), default=None) for name in datasets}
    # of a dataset that is not in use, nothing has landed
    late = {name: newest for name, newest in last.items() if newest and newest < month}
    for key in memory.late:
        name, notified = key.split()
        if notified == str(month) and name not in late:
            yield f"{key} has recovered: it has landed"
    unnotified = [(name, month) for name in late if f"{name} {month}" not in memory.late]
    memory.late = [f"{name} {month}" for name in late]
    if unnotified:
        availability = poll(context.instance, context.resources.source.create(), unnotified, now.date()).availability
        for name, month in unnotified:
            said = (
                availability[name, month].reason or "the source has it"
                if (name, month) in availability
                else "the source is down"
            )
            yield f"{name} {month} has not landed {LATE.days} days after its end; the last is {late[name]}. {said}"
