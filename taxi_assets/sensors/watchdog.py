"""The watchdog sensor: tells of what does not happen as it should, and sends alerts again that could not be delivered.

Its cursor holds what is wrong now, so each thing is told once, and the messages that not every channel has taken.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from taxi_assets.contracts.model import Dataset
from taxi_assets.instance import history
from taxi_assets.months import Month
from taxi_assets.sensors import polling
from taxi_assets.sensors.alerts import (
    INTERVAL_SECONDS,
    MAX_REASON,
    NOT_DELIVERED,
    OWED_TAG,
    deliver,
    owed_alerts,
    run_link,
)
from taxi_assets.sensors.delivery import channels, cut, send
from taxi_assets.sensors.polling import poll
from taxi_assets.settings import Settings

LATE = timedelta(days=75)
"""TLC publishes 31-64 days after a month's end, once after 93. A month that has not landed by then is told of; so is one
that TLC does have, because every schedule and sensor should have loaded it two weeks before."""
MAX_OUTBOX = 100
"""Messages kept for a channel that does not answer. Messages about runs are kept by their runs, without a limit."""
FAILING_SECONDS, MAX_TICKS = 3600, 200
SEND_BUDGET_SECONDS = 15.0
"""No message is sent later than this in a tick; Dagster ends a tick after 60 s."""


@dataclass
class Memory:
    """What the sensor remembers from tick to tick.

    Attributes:
        wrong: What is wrong: `stuck RUN`, `failing SENSOR`, `late DATASET MONTH`.
        outbox: Messages, each with the channels that have not taken it.
        dropped: Messages that the outbox had no room for, until people are told of that.
    """

    wrong: list[str] = field(default_factory=list)
    outbox: list[tuple[str, list[str]]] = field(default_factory=list)
    dropped: int = 0


def watchdog(settings: Settings, datasets: Mapping[str, Dataset], status: Any) -> dg.SensorDefinition:
    """Return the sensor."""

    @dg.sensor(
        name="watchdog",
        description="Tells of stuck runs, of sensors and schedules that fail for an hour, and of months that have "
        "not landed in time; sends alerts again that could not be delivered.",
        target=None,
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=status,
        required_resource_keys={"source"},
    )
    def watchdog(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now = polling.utc_now()
        memory = Memory(**json.loads(context.cursor or "{}"))
        found = [
            *_stuck(context.instance, settings, memory, now),
            *_failing(context.instance, memory, now),
            *_late(context, datasets, memory, now),
        ]
        memory.wrong = [key for key, _ in found if key]
        texts = [text for _, text in found if text]
        for text in texts:
            context.log.warning(text)
        memory.outbox += [(text, channels(settings)) for text in texts]
        undelivered = _send(context, settings, memory)
        for reason in undelivered:
            context.log.error(reason)
        said = "\n".join([*texts, *undelivered]) or "nothing is stuck, failing or late"
        return dg.SensorResult(skip_reason=said, cursor=json.dumps(dataclasses.asdict(memory)))

    return watchdog


def _stuck(
    instance: dg.DagsterInstance, settings: Settings, memory: Memory, now: datetime
) -> Iterator[tuple[str, str]]:
    """Yield what is wrong, each with the message if it is new."""
    records = instance.get_run_records(dg.RunsFilter(statuses=history.OPEN_STATUSES))
    running = any(record.dagster_run.status == dg.DagsterRunStatus.STARTED for record in records)
    for record in records:
        run = record.dagster_run
        queued = run.status == dg.DagsterRunStatus.QUEUED
        since = record.start_time or record.create_timestamp.timestamp()
        hours = (now.timestamp() - since) / 3600
        if hours < settings.stuck_after_hours or (queued and running):
            continue
        key = f"stuck {run.run_id}"
        state = "has been waiting" if queued else f"has been {run.status.value.lower()}"
        text = f"{history.describe_run(run)} is stuck: its run {state} for {hours:.1f} hours\n{run_link(settings, run)}"
        yield key, "" if key in memory.wrong else text


def _failing(instance: dg.DagsterInstance, memory: Memory, now: datetime) -> Iterator[tuple[str, str]]:
    """Yield the sensors and schedules each of whose ticks has failed for an hour."""
    for state in instance.all_instigator_state():
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=2) if state.is_running else []
        if not any(tick.status.value == "FAILURE" for tick in ticks):  # beside it, one that has just begun
            continue
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=MAX_TICKS)
        ended = [tick for tick in ticks if tick.status.value != "STARTED"]
        failed = list(itertools.takewhile(lambda tick: tick.status.value == "FAILURE", ended))
        key = f"failing {state.instigator_name}"
        if failed and failed[-1].timestamp <= now.timestamp() - FAILING_SECONDS:
            error = failed[0].error
            reason = cut(error.message.strip(), MAX_REASON) if error else "see its ticks"
            text = f"{state.instigator_name} has failed for an hour: {reason}"
            yield key, "" if key in memory.wrong else text
        elif not failed and key in memory.wrong:
            yield "", f"{state.instigator_name} has recovered"


def _late(
    context: dg.SensorEvaluationContext, datasets: Mapping[str, Dataset], memory: Memory, now: datetime
) -> Iterator[tuple[str, str]]:
    """Yield the month of each dataset that should have landed by now, and what was late before and has landed."""
    last = {name: max(history.landed(context.instance, name), default=None) for name in datasets}
    due = Month.of((now - LATE).date()).plus(-1)
    # of a dataset that is not in use, nothing has landed
    late = {name: newest for name, newest in last.items() if newest and newest < due}
    new = [(name, due) for name in late if f"late {name} {due}" not in memory.wrong]
    answers = poll(context.instance, context.resources.source.create(), new, now.date()).availability if new else {}
    for name, newest in late.items():
        text = f"{name} {due} has not landed {LATE.days} days after its end; the last is {newest}. "
        answer = answers.get((name, due))
        text += (answer.reason or "the source has it") if answer else "the source is down"
        yield f"late {name} {due}", text if (name, due) in new else ""
    for key in memory.wrong:
        kind, _, about = key.partition(" ")
        if kind == "late":
            name, month = about.split()
            newest = last.get(name)
            if newest and newest >= Month.parse(month):
                yield "", f"{about} has recovered: it has landed"


def _send(context: dg.SensorEvaluationContext, settings: Settings, memory: Memory) -> list[str]:
    """Send what is owed; keep in the outbox what does not arrive; return why, for each channel once."""
    if memory.dropped and len(memory.outbox) < MAX_OUTBOX:
        text = f"{memory.dropped} alerts were dropped: more than {MAX_OUTBOX} waited to be delivered"
        memory.outbox.append((text, channels(settings)))
        memory.dropped = 0
    until = time.monotonic() + SEND_BUDGET_SECONDS
    refused: dict[str, str] = {}

    def split(owed: list[str]) -> tuple[list[str], list[str]]:
        """Return the channels to send to now, and those that wait."""
        known = [channel for channel in owed if channel in channels(settings)]
        now = [channel for channel in known if channel not in refused] if time.monotonic() < until else []
        return now, [channel for channel in known if channel not in now]

    waiting = []
    for text, owed in memory.outbox:
        now, later = split(owed)
        refused |= (new := send(settings, text, now))
        waiting += [(text, still)] if (still := [*new, *later]) else []
    memory.dropped += max(0, len(waiting) - MAX_OUTBOX)
    memory.outbox = waiting[-MAX_OUTBOX:]
    runs = sorted(owed_alerts(context.instance), key=_group)
    for (_, tag), group in itertools.groupby(runs, key=_group):
        now, later = split(tag.split(","))
        refused |= deliver(context.instance, settings, list(group), now, later) if now or not later else {}
    return [f"{NOT_DELIVERED}: {reason}" for reason in refused.values()]


def _group(run: dg.DagsterRun) -> tuple[str, str]:
    return run.status.value, run.tags[OWED_TAG]
