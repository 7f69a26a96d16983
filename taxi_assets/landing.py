"""What becomes of several months in one step: landed, failed, or not published; each for itself.

Here belongs the bookkeeping that keeps one bad month from harming the others. How Dagster is told stands in
`taxi_assets.io_managers.monthly`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from taxi_assets import progress
from taxi_assets.contracts.model import Dataset
from taxi_assets.errors import NotPublishedError, TaxiError, TransientError
from taxi_assets.months import Month
from taxi_assets.records import MonthRecord
from taxi_assets.transform.quality import CheckResult

if TYPE_CHECKING:
    import tenacity

Done = tuple[MonthRecord, bool, list[CheckResult]]
"""A month's papers, whether they are new, and what checks say of it."""

Judge = Callable[[Month, Any], list[CheckResult]]


@dataclass
class Landing:
    """The months of one step.

    Attributes:
        dataset: Their contract.
        made_from: Checksum of what each month is made from, where it is made from another asset.
        papers: Papers of the months that are good so far.
        changed: Months whose papers are new.
        seconds: Time spent on each month.
        verdicts: What checks said of each month.
        failures: Months that failed, and why.
        not_published: Months that the source does not have.
    """

    dataset: Dataset
    made_from: dict[Month, str] = field(default_factory=dict)
    record: dict[Month, MonthRecord] = field(default_factory=dict)
    changed: set[Month] = field(default_factory=set)
    seconds: dict[Month, float] = field(default_factory=dict)
    results: dict[Month, list[CheckResult]] = field(default_factory=dict)
    failures: dict[Month, TaxiError] = field(default_factory=dict)
    not_published: dict[Month, NotPublishedError] = field(default_factory=dict)

    def each(
        self,
        months: Iterable[Month],
        work: Callable[[Month], Done],
        patience: tenacity.Retrying | None = None,
        *,
        judge: Judge | None = None,
        at_once: int = 1,
    ) -> None:
        """Do the work for every month; a month that fails does not keep the others from it.

        Args:
            months: The months.
            work: Gives a month's papers, whether they are new, and what checks say. A blocking verdict that did not
                pass fails the month.
            patience: How a month is tried again after a `TransientError`; by default it is not.
            judge: Says what further checks say of a month. It is called in the order of the months, so that it may
                look at the months before.
            at_once: How many months are worked on side by side, each in a thread.
        """

        def attempt(month: Month) -> tuple[Month, Done | TaxiError, float]:
            start = time.monotonic()
            progress.notify(progress.Step(self.dataset.name, month))
            done: Done | TaxiError
            try:
                done = patience(work, month) if patience else work(month)
            except TaxiError as error:
                done = error
            except OSError as error:
                done = _machine_failed(error, f"{self.dataset.name} {month}")
            progress.notify(progress.Step(self.dataset.name, month, done=True))
            return month, done, time.monotonic() - start

        with ThreadPoolExecutor(at_once) as threads:
            for month, done, seconds in (threads.map if at_once > 1 else map)(attempt, months):
                self._note(month, done, judge)
                self.seconds[month] = self.seconds.get(month, 0.0) + seconds

    def _note(self, month: Month, done: Done | TaxiError, judge: Judge | None) -> None:
        """Note what became of a month."""
        try:
            if isinstance(done, TaxiError):
                raise done
            record, changed, results = done
            results = [*results, *judge(month, record)] if judge else results
            self.results.setdefault(month, []).extend(results)
            for result in results:
                result.raise_if_blocking(f"{self.dataset.name} {month}")
            self.record[month] = record
            if changed:
                self.changed.add(month)
        except NotPublishedError as error:
            self.not_published[month] = error
            self.record.pop(month, None)
        except TaxiError as error:
            self.failures[month] = error
            self.record.pop(month, None)


def _machine_failed(error: OSError, location: str) -> TransientError:
    """Return the failure of a month for which the disk was full, a file not to be written, or the like."""
    return TransientError(
        f"this machine does not let it: {error}",
        location=location,
        remedy="see that the disk has room, and that this user may read and write in TAXI_DATA_DIR",
    )
