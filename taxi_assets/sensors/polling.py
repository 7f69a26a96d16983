"""How schedules and the publication sensor ask the source: within a budget, and never for what is in progress.

What a source's answer means is in `taxi_assets.source.availability`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timezone

import dagster as dg

from taxi_assets.contracts.model import Dataset
from taxi_assets.instance import history
from taxi_assets.instance.history import MonthKey
from taxi_assets.months import Month
from taxi_assets.partitions import partitions_of
from taxi_assets.records import RawFile
from taxi_assets.source.availability import PROBE_BUDGET_SECONDS, Availability, probe
from taxi_assets.source.client import Source

MAX_OPEN_RUNS = 100
"""Runs that may be waiting or in progress before nothing more is requested. A hundred small months take the daemon less
than the hour between two ticks of the publication sensor."""

POLL_BUDGET_SECONDS, PROBE_TIMEOUT_SECONDS = 20.0, 5.0
"""Dagster ends a tick after 60 s: no question is put later than 20 s into it, and none takes longer than
`PROBE_BUDGET_SECONDS`, however slowly the answer drips in. A source that sends nothing for 5 s is down."""


@dataclass
class PollResult:
    """What the source said in one round of questions.

    Attributes:
        availability: Its answers, in the order of the questions.
        run_keys: For each answer, the key of the run that would fetch this version of the month.
        left: Months that it was not asked for, in order.
        reason: Why it was not asked for all.
    """

    availability: dict[MonthKey, Availability] = field(default_factory=dict)
    run_keys: dict[MonthKey, str] = field(default_factory=dict)
    left: list[MonthKey] = field(default_factory=list)
    reason: str = ""

    def summary(self) -> str:
        """Say what came of it, for the tick."""
        counts = Counter(answer.status for answer in self.availability.values())
        words = {"refused": "absent or refused", "not_published": "not published"}
        parts = [f"{count} {words.get(status, status)}" for status, count in counts.most_common()]
        reasons = [
            f"{name} {month}: {answer.reason}" for (name, month), answer in self.availability.items() if answer.reason
        ]
        more = f", and {len(reasons) - 4} more" if len(reasons) > 4 else ""
        text = f"asked the source for {len(self.availability)} months: {', '.join(parts) or 'none'}"
        details = f" ({'; '.join(reasons[:4])}{more})" if reasons else ""
        return f"{text}{details}{f'; {self.reason}' if self.reason else ''}"


def poll(instance: dg.DagsterInstance, source: Source, questions: Iterable[MonthKey], today: date) -> PollResult:
    """Ask the source for months until the budget is spent or the source stops answering.

    Args:
        instance: Knows what landed.
        source: The source.
        questions: Datasets and months, the most important first.
        today: The day, which may be another than the clock's in a test.
    """
    quick = replace(
        source,
        connect_timeout=min(source.connect_timeout, PROBE_TIMEOUT_SECONDS),
        read_timeout=min(source.read_timeout, PROBE_TIMEOUT_SECONDS),
    )
    asked = list(questions)
    known = _landed(instance, asked)
    until = time.monotonic() + POLL_BUDGET_SECONDS
    result = PollResult()
    for position, key in enumerate(asked):
        if time.monotonic() > until:
            result.reason = f"{len(asked) - position} more are asked for at the next tick"
        elif [answer.status for answer in result.availability.values()][-2:] == ["down", "down"]:  # one may be its own
            result.reason = f"the source does not answer, so it was not asked for {len(asked) - position} more"
        if result.reason:
            result.left = asked[position:]
            break
        file, event = known.get(key, (None, None))
        answer = probe(quick, *key, file, today, budget_seconds=PROBE_BUDGET_SECONDS)
        result.availability[key], result.run_keys[key] = answer, _run_key(key, answer.version, event)
    return result


def months_at(dataset: Dataset, now: datetime, since: Month) -> list[Month]:
    """Return a dataset's months at a moment, the newest first."""
    months = [Month.parse(key) for key in partitions_of(dataset).get_partition_keys(current_time=now)]
    return [month for month in reversed(months) if month >= since]


def utc_now() -> datetime:
    """Return the time; tests put another in its place."""
    return datetime.now(timezone.utc)


def _landed(instance: dg.DagsterInstance, keys: Iterable[MonthKey]) -> dict[MonthKey, tuple[RawFile, int]]:
    by_dataset: dict[str, list[Month]] = {}
    for name, month in keys:
        by_dataset.setdefault(name, []).append(month)
    return {
        (name, month): found
        for name, months in by_dataset.items()
        for month, found in history.raw_files(instance, name, months).items()
    }


def _run_key(key: MonthKey, version: str, landed: int | None) -> str:
    """Return the key of the run that fetches a version of a month.

    It differs once another file has landed, because a source may go back to a version that it had before.
    """
    name, month = key
    return f"{name}/{month}/{version}" + (f"/after-{landed}" if landed else "")
