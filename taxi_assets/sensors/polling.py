"""How schedules and the publication sensor ask the source: in bounded work, and never for what is under way.

What a source's answer means stands in `taxi_assets.source.availability`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING

import dagster as dg

from taxi_assets.contracts.model import Dataset
from taxi_assets.instance import history
from taxi_assets.instance.history import Key
from taxi_assets.months import Month
from taxi_assets.partitions import partitions_of
from taxi_assets.source.availability import Availability, probe

if TYPE_CHECKING:
    from datetime import datetime

    from taxi_assets.source.client import Source

MAX_OPEN_RUNS = 12
"""Runs that may be waiting or under way before nothing more is asked for: four datasets' history from 2009 on is some
55 runs, which come in as many portions as the machine takes."""

POLL_BUDGET_SECONDS, PROBE_TIMEOUT_SECONDS = 20.0, 5.0
"""A tick of Dagster's ends after 60 s. No question is put later than 20 s into it, and the last one may take three
silences (to connect, to answer, to send) of 5 s at each of two addresses."""


@dataclass
class PollResult:
    """What the source said in one round of questions.

    Attributes:
        news: Its answers, in the order of the questions.
        left: Months that were not asked for, in order.
        why: Why not all were.
    """

    availability: dict[Key, Availability] = field(default_factory=dict)
    left: list[Key] = field(default_factory=list)
    reason: str = ""

    def sentence(self) -> str:
        """Say what came of it, for the tick."""
        counts = Counter(availability.status for availability in self.availability.values())
        parts = [f"{count} {status.replace('_', ' ')}" for status, count in counts.most_common()]
        reasons = [
            f"{name} {month}: {availability.reason}"
            for (name, month), availability in self.availability.items()
            if availability.reason
        ]
        more = f", and {len(reasons) - 4} more" if len(reasons) > 4 else ""
        text = f"asked the source for {len(self.availability)} months: {', '.join(parts) or 'none'}"
        details = f" ({'; '.join(reasons[:4])}{more})" if reasons else ""
        return f"{text}{details}{f'; {self.reason}' if self.reason else ''}"


def poll(instance: dg.DagsterInstance, source: Source, questions: Iterable[Key], today: date) -> PollResult:
    """Ask the source for months, until the time is over or it stops answering.

    Args:
        instance: Knows what landed.
        source: The source.
        questions: Datasets and months, in the order of importance.
        today: The day, which may be another than the clock's in a test.
    """
    quick = replace(
        source,
        connect_timeout=min(source.connect_timeout, PROBE_TIMEOUT_SECONDS),
        read_timeout=min(source.read_timeout, PROBE_TIMEOUT_SECONDS),
    )
    asked = list(questions)
    by_dataset: dict[str, list[Month]] = {}
    for name, month in asked:
        by_dataset.setdefault(name, []).append(month)
    known = {name: history.raw_files(instance, name, months) for name, months in by_dataset.items()}
    until = time.monotonic() + POLL_BUDGET_SECONDS
    done = PollResult()
    for position, (name, month) in enumerate(asked):
        if time.monotonic() > until:
            done.reason = f"{len(asked) - position} more are for another time"
        elif any(availability.status == "down" for availability in done.availability.values()):
            done.reason = f"the source does not answer, so it was not asked for {len(asked) - position} more"
        if done.reason:
            done.left = asked[position:]
            break
        done.availability[name, month] = probe(quick, name, month, known[name].get(month), today)
    return done


def months_at(dataset: Dataset, now: datetime, since: Month) -> list[Month]:
    """Return a dataset's months at a moment, the newest first."""
    months = [Month.parse(key) for key in partitions_of(dataset).get_partition_keys(current_time=now)]
    return [month for month in reversed(months) if month >= since]
