"""Makes a month's report and puts it into the lake: the page, and each chart as an image."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from taxi_assets.contracts.model import Dataset
from taxi_assets.months import Month
from taxi_assets.records import CleanedFile, MonthRecord
from taxi_assets.reports.charts import charts_of, write_pngs
from taxi_assets.reports.html import render_page
from taxi_assets.reports.metrics import Metrics, Warehouse, collect_metrics
from taxi_assets.storage.base import Staging

PAGE = "report.html"

_MONTHS_BEFORE = 12
"""Months that odd rows are compared with, as the check `oddities` does."""


class FileStore(Protocol):
    """What a report needs of a lake."""

    def put_file(self, name: str, path: Path) -> str:
        """Put a file and return its URI."""
        ...


@dataclass(frozen=True)
class ReportFile(MonthRecord):
    """A month's report; `file` is the URI of its page.

    Attributes:
        rows: Rows of the month.
        days: Trips on each day of the month.
        before: The same for the day 52 weeks before, None where it is not known.
        numbers: Figures that the UI plots over the months.
    """

    rows: int
    days: tuple[int, ...]
    before: tuple[int | None, ...]
    numbers: dict[str, float] = field(default_factory=dict, hash=False)


def folder_of(dataset: str, month: Month) -> str:
    """Return where in the lake a month's report lies."""
    return f"reports/{dataset}/{month}"


def make_report(dataset: Dataset, month: Month, warehouse: Warehouse, lake: FileStore, staging: Staging) -> ReportFile:
    """Make the report of a month that is in the warehouse; the same rows and papers give the same bytes.

    Args:
        dataset: The contract.
        month: The month.
        warehouse: Where to count.
        lake: Where the report goes.
        room: Where the papers of this month and of those before are.
    """

    def record(of: Month) -> CleanedFile | None:
        return staging.find(CleanedFile, "cleaned", dataset.name, of)

    earlier = [found for back in range(1, _MONTHS_BEFORE + 1) if (found := record(month.plus(-back)))]
    numbers = collect_metrics(dataset, month, warehouse, record(month), earlier)
    charts = list(charts_of(dataset, numbers))
    page = render_page(dataset, numbers, charts).encode()
    folder = folder_of(dataset.name, month)
    with tempfile.TemporaryDirectory() as drafts:
        for image in write_pngs(dataset, numbers, charts, Path(drafts)):
            lake.put_file(f"{folder}/{image.name}", image)
        draft = Path(drafts, PAGE)
        draft.write_bytes(page)
        uri = lake.put_file(f"{folder}/{PAGE}", draft)
    return ReportFile(
        dataset=dataset.name,
        month=month,
        file=uri,
        bytes=len(page),
        sha256=hashlib.sha256(page).hexdigest(),
        rows=numbers.rows,
        days=tuple(numbers.days.values()),
        before=tuple(numbers.before.get(day) for day in numbers.days),
        numbers=_plotted(numbers),
    )


def _plotted(numbers: Metrics) -> dict[str, float]:
    found = {"trips_per_day_mean": sum(numbers.days.values()) / len(numbers.days)}
    if numbers.miles:
        found["median_miles"] = numbers.miles.median
    if numbers.dollars:
        found["median_total_dollars"] = numbers.dollars.median
    for name, trips in numbers.payments:
        if name in ("Credit card", "Cash"):
            found[f"share_{name.lower().replace(' ', '_')}"] = trips / numbers.rows
    return found
