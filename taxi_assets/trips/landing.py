"""What becomes of several months in one step: landed, failed, or not published; each for itself.

Here belongs the bookkeeping that keeps one bad month from harming the others. How Dagster is told stands in
`taxi_assets.io_managers.monthly`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from taxi_assets.contracts.model import Dataset
from taxi_assets.months import Month
from taxi_assets.trips import progress
from taxi_assets.trips.failures import NotPublishedError, TaxiError
from taxi_assets.trips.papers import Papers
from taxi_assets.trips.verdicts import Verdict


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
    papers: dict[Month, Papers] = field(default_factory=dict)
    changed: set[Month] = field(default_factory=set)
    seconds: dict[Month, float] = field(default_factory=dict)
    verdicts: dict[Month, list[Verdict]] = field(default_factory=dict)
    failures: dict[Month, TaxiError] = field(default_factory=dict)
    not_published: dict[Month, NotPublishedError] = field(default_factory=dict)

    def each(self, months: Iterable[Month], work: Callable[[Month], tuple[Papers, bool, list[Verdict]]]) -> None:
        """Do the work for every month; a month that fails does not keep the others from it.

        Args:
            months: The months.
            work: Gives a month's papers, whether they are new, and what checks say. A blocking verdict that did not
                pass fails the month.
        """
        for month in months:
            start = time.monotonic()
            progress.tell(progress.Step(self.dataset.name, month))
            try:
                papers, changed, verdicts = work(month)
                self.verdicts.setdefault(month, []).extend(verdicts)
                for verdict in verdicts:
                    verdict.raise_if_blocking(f"{self.dataset.name} {month}")
                self.papers[month] = papers
                if changed:
                    self.changed.add(month)
            except NotPublishedError as error:
                self.not_published[month] = error
                self.papers.pop(month, None)
            except TaxiError as error:
                self.failures[month] = error
                self.papers.pop(month, None)
            self.seconds[month] = self.seconds.get(month, 0.0) + time.monotonic() - start
            progress.tell(progress.Step(self.dataset.name, month, done=True))
