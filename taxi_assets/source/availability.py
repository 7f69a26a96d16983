"""The availability probe: ask a source about a month without fetching it.

Stateless. Who probes when, and what follows, is the business of schedules and sensors.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Literal

from taxi_assets.errors import NotPublishedError, TaxiError, TransientError
from taxi_assets.months import Month
from taxi_assets.records import RawFile
from taxi_assets.source.client import Source
from taxi_assets.source.inspection import FileInspector

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


def probe(source: Source, dataset: str, month: Month, known: RawFile | None, today: date) -> Availability:
    """Probe a month with a conditional GET that reads only the start of the body.

    Not HEAD: release mirrors answer it differently, and it cannot show that the file is an error page.

    Args:
        source: Where to ask.
        dataset: Name of the dataset.
        month: The month.
        known: The raw file that landed, if any.
        today: Decides whether an absent month may still be published.
    """
    absent: list[NotPublishedError] = []
    for url in source.urls(dataset, month):
        try:
            with source.open(url, known) as answer:
                if known and answer.unchanged:
                    return Availability("unchanged", version_of(known.etag or known.last_modified, known.bytes))
                FileInspector.sniff(next(answer.blocks, b""))
                version = version_of(answer.etag or answer.last_modified, answer.size)
        except NotPublishedError as error:  # noqa: PERF203 - two addresses at most
            absent.append(error)
        except TransientError as error:
            return Availability("down", reason=error.message)
        except TaxiError as error:
            return Availability("refused", reason=error.message)
        else:
            if known is None:
                return Availability("new", version)
            same = version == version_of(known.etag or known.last_modified, known.bytes)
            return Availability("unchanged" if same else "changed", version)
    meaning = source.absent(dataset, month, absent, today)
    status: Status = "not_published" if isinstance(meaning, NotPublishedError) else "refused"
    return Availability(status, reason="; ".join(dict.fromkeys(error.message for error in absent)))


def version_of(validator: str, size: int) -> str:
    """Return a short version of a file from its validator and size; a weak ETag equals the strong one."""
    return hashlib.sha256(f"{validator.removeprefix('W/')} {size}".encode()).hexdigest()[:8]
