"""The availability probe: ask a source about a month without fetching it.

Stateless. Who probes when, and what follows, is the business of schedules and sensors.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, wait
from dataclasses import dataclass
from datetime import date
from typing import Literal

from taxi_assets.errors import NotPublishedError, TaxiError, TransientError
from taxi_assets.months import Month
from taxi_assets.records import RawFile
from taxi_assets.source.client import Source
from taxi_assets.source.guard import ConnectionGuard
from taxi_assets.source.http import Answer
from taxi_assets.source.inspection import FileInspector
from taxi_assets.source.validators import version_of

PROBE_BUDGET_SECONDS = 15.0
"""Seconds for one probe. A tick of Dagster's ends after 60 s, and its last probe may begin 20 s into it."""

Status = Literal["new", "changed", "unchanged", "not_published", "refused", "down"]


@dataclass(frozen=True)
class Availability:
    """What a source says about a month.

    Attributes:
        status: `new` and `changed` are worth fetching. `refused`: the file is no trip file, or the source denies it.
            `down`: the source is busy or does not answer, so asking it for more makes no sense now.
        version: Eight hexadecimal digits that differ when the file's ETag (or Last-Modified) or size differs.
        reason: Why the month cannot be fetched.
    """

    status: Status
    version: str = ""
    reason: str = ""

    @property
    def worth_fetching(self) -> bool:
        """Whether a run would find something to do and has a chance to succeed."""
        return self.status in ("new", "changed")


def probe(
    source: Source,
    dataset: str,
    month: Month,
    known: RawFile | None,
    today: date,
    *,
    budget_seconds: float = PROBE_BUDGET_SECONDS,
) -> Availability:
    """Probe a month with a conditional GET that reads only the start of the body.

    Not HEAD: release mirrors answer it differently, and it cannot show that the file is an error page.

    Args:
        source: Where to ask.
        dataset: Name of the dataset.
        month: The month.
        known: The raw file that landed, if any.
        today: Decides whether an absent month may still be published.
        budget_seconds: Seconds for the whole probe, over all addresses. A source that sends a byte now and then never
            meets a read timeout, so the probe runs in a thread whose connections are closed when the time is over.
    """
    guard, future = ConnectionGuard(), Future[Availability]()

    def work() -> None:
        try:
            future.set_result(_probe(source, dataset, month, known, today, guard))
        except BaseException as error:  # noqa: BLE001 - raised where the future is read
            future.set_exception(error)

    threading.Thread(target=work, name=f"probe {dataset} {month}", daemon=True).start()
    try:
        ended, _ = wait([future], budget_seconds)
    finally:
        guard.close()
    if not ended:
        return Availability("down", reason=f"the source did not answer within {budget_seconds:g} s")
    return future.result()


def _probe(
    source: Source, dataset: str, month: Month, known: RawFile | None, today: date, guard: ConnectionGuard
) -> Availability:
    absent: list[NotPublishedError] = []
    for url in source.urls(dataset, month):
        try:
            with source.open(url, known, guard) as answer:
                if known and answer.unchanged:
                    return Availability("unchanged", version_of(known.etag or known.last_modified, known.bytes))
                FileInspector.sniff(next(answer.blocks, b""))
        except NotPublishedError as error:  # noqa: PERF203 - two addresses at most
            absent.append(error)
        except TransientError as error:
            return Availability("down", reason=error.message)
        except TaxiError as error:
            return Availability("refused", reason=error.message)
        else:
            return _compare(answer, known)
    meaning = source.absent(dataset, month, absent, today)
    status: Status = "not_published" if isinstance(meaning, NotPublishedError) else "refused"
    return Availability(status, reason="; ".join(dict.fromkeys(error.message for error in absent)))


def _compare(answer: Answer, known: RawFile | None) -> Availability:
    """Compare what an answer and the known file have in common: a validator that the record lacks says nothing."""
    if known is None:
        return Availability("new", version_of(answer.etag or answer.last_modified, answer.size))
    validator = answer.etag if known.etag else answer.last_modified if known.last_modified else ""
    version = version_of(validator, answer.size or known.bytes)
    same = version == version_of(known.etag or known.last_modified, known.bytes)
    return Availability("unchanged" if same else "changed", version)
