"""What a source says of a month before anyone fetches it: new, changed, the same, not there yet, or no answer.

Nothing is kept here; who asks when, and what follows from the answer, stands in `taxi_assets.automation`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Literal

from taxi_assets.errors import NotPublishedError, TaxiError, TransientError
from taxi_assets.months import Month
from taxi_assets.records import RawFile
from taxi_assets.source.client import ForbiddenError, Source
from taxi_assets.source.inspection import FileInspector

Status = Literal["new", "changed", "unchanged", "not_published", "refused", "down"]


@dataclass(frozen=True)
class Availability:
    """What the source says of one month.

    Attributes:
        status: `new` and `changed` are worth fetching. `refused`: what is there is no trip file, or may not be had.
            `down`: the source is busy or does not answer, so it makes no sense to ask it for more now.
        version: Eight hexadecimal digits that differ when the file's ETag (or Last-Modified) or size differs.
        reason: The source's words, where the month cannot be had.
    """

    status: Status
    version: str = ""
    reason: str = ""

    @property
    def worth_fetching(self) -> bool:
        """Whether a run would find something to do, and is not bound to fail."""
        return self.status in ("new", "changed")


def probe(source: Source, dataset: str, month: Month, known: RawFile | None, today: date) -> Availability:
    """Ask a source for a month without fetching it: a conditional request, of whose body only the start is read.

    Not HEAD, which release mirrors answer differently, and which cannot show that the file is an error page.

    Args:
        source: Where to ask; once, without its retries.
        dataset: Name of the dataset.
        month: The month.
        known: The file that landed, if any.
        today: Decides whether a 403 can still mean that the month is not published.
    """
    said: list[TaxiError] = []
    for url in source.urls(dataset, month):
        try:
            with source.open(url, known) as answer:
                if known and answer.unchanged:
                    return Availability("unchanged", version_of(known.etag or known.last_modified, known.bytes))
                FileInspector.sniff(next(answer.blocks, b""))
                version = version_of(answer.etag or answer.last_modified, answer.size)
        except (NotPublishedError, ForbiddenError) as error:  # noqa: PERF203 - two addresses at most
            said.append(error)
        except TransientError as error:
            return Availability("down", reason=error.message)
        except TaxiError as error:
            return Availability("refused", reason=error.message)
        else:
            if known is None:
                return Availability("new", version)
            same = version == version_of(known.etag or known.last_modified, known.bytes)
            return Availability("unchanged" if same else "changed", version)
    meaning = source.absent(dataset, month, said, today)
    status: Status = "not_published" if isinstance(meaning, NotPublishedError) else "refused"
    return Availability(status, reason="; ".join(dict.fromkeys(each.message for each in said)))


def version_of(validator: str, size: int) -> str:
    """Return a short name for a file by its validator and size; a weak ETag counts as the strong one."""
    return hashlib.sha256(f"{validator.removeprefix('W/')} {size}".encode()).hexdigest()[:8]
