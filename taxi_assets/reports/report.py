"""Makes a month's report and puts it into the lake: the page, each chart as an image, and the dataset's index page.

Reports link to the months next to them. A month that gets its report later than its neighbor adds the link there.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from taxi_assets.contracts.model import Dataset
from taxi_assets.months import Month
from taxi_assets.records import CleanedFile, MonthRecord
from taxi_assets.reports.charts import THEMES, Chart, charts_of, write_pngs
from taxi_assets.reports.html import INDEX, PAGE, render_index, render_nav, render_page
from taxi_assets.reports.metrics import Metrics, collect_metrics
from taxi_assets.storage.base import Lake, Staging, Warehouse
from taxi_assets.transform.anomalies import earlier_months

_NAV = re.compile("<nav>.*?</nav>", re.DOTALL)


@dataclass(frozen=True)
class ReportFile(MonthRecord):
    """A month's report; `file` is the URI of its page, `bytes` and `sha256` are the page's as first put.

    Attributes:
        rows: Rows of the month.
        days: Trips on each day of the month.
        before: Trips 52 weeks before each of those days, None where unknown.
        numbers: Figures that the UI plots over the months.
    """

    rows: int
    days: tuple[int, ...]
    before: tuple[int | None, ...]
    numbers: dict[str, float] = field(default_factory=dict, hash=False)


def report_folder(dataset: str, month: Month) -> str:
    """Return the folder of a month's report in the lake."""
    return f"reports/{dataset}/{month}"


def make_report(dataset: Dataset, month: Month, warehouse: Warehouse, lake: Lake, staging: Staging) -> ReportFile:
    """Make the report of a month that is in the warehouse; the same rows and records give the same bytes.

    Args:
        dataset: The contract.
        month: The month.
        warehouse: Where to count.
        lake: Where the report goes.
        staging: Where this month's and earlier months' records are.
    """
    cleaned = staging.find(CleanedFile, "cleaned", dataset.name, month)
    earlier = earlier_months(staging, dataset.name, month)
    metrics = collect_metrics(dataset, month, warehouse, cleaned, earlier)
    charts = list(charts_of(dataset, metrics))
    folder = report_folder(dataset.name, month)
    _put_images(lake, folder, dataset, metrics, charts)
    nav = render_nav(month, _reports(lake, dataset))
    page = render_page(dataset, metrics, charts, nav).encode()
    uri = _put(lake, f"{folder}/{PAGE}", page)
    _link(lake, dataset, month)
    return ReportFile(
        dataset=dataset.name,
        month=month,
        file=uri,
        bytes=len(page),
        sha256=hashlib.sha256(page).hexdigest(),
        rows=metrics.rows,
        days=tuple(metrics.days.values()),
        before=tuple(metrics.year_before.get(day) for day in metrics.days),
        numbers=_plotted(metrics),
    )


def _put_images(lake: Lake, folder: str, dataset: Dataset, metrics: Metrics, charts: list[Chart]) -> None:
    """Put the charts; remove those that only an earlier report of the month has."""
    with tempfile.TemporaryDirectory() as drafts:
        images = {f"{folder}/{path.name}": path for path in write_pngs(dataset, metrics, charts, Path(drafts))}
        for name, path in images.items():
            lake.put_file(name, path)
    for name in lake.list_files(folder):
        if name.endswith(tuple(f".{theme}.png" for theme in THEMES)) and name not in images:
            lake.remove_file(name)


def _reports(lake: Lake, dataset: Dataset) -> set[Month]:
    names = lake.list_files(f"reports/{dataset.name}")
    return {Month.parse(name.split("/")[-2]) for name in names if name.endswith(f"/{PAGE}")}


def _link(lake: Lake, dataset: Dataset, month: Month) -> None:
    """Renew the links of a report and its neighbors, and the index; several reports may be made at once."""
    reports = _reports(lake, dataset)
    for each in {month.plus(-1), month, month.plus(1)} & reports:
        name = f"{report_folder(dataset.name, each)}/{PAGE}"
        page = lake.read_file(name).decode()
        linked = _NAV.sub(render_nav(each, reports), page, count=1)
        if linked != page:
            _put(lake, name, linked.encode())
    _put(lake, f"reports/{dataset.name}/{INDEX}", render_index(dataset, reports).encode())


def _put(lake: Lake, name: str, content: bytes) -> str:
    with tempfile.TemporaryDirectory() as drafts:
        draft = Path(drafts, Path(name).name)
        draft.write_bytes(content)
        return lake.put_file(name, draft)


def _plotted(metrics: Metrics) -> dict[str, float]:
    found = {"trips_per_day_mean": sum(metrics.days.values()) / len(metrics.days)}
    if metrics.miles:
        found["median_miles"] = metrics.miles.median
    if metrics.dollars:
        found["median_total_dollars"] = metrics.dollars.median
    for name, trips in metrics.payments:
        if name in ("Credit card", "Cash"):
            found[f"share_{name.lower().replace(' ', '_')}"] = trips / metrics.rows
    return found
