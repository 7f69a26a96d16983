"""Renders a report as one HTML page that loads nothing else, and an index page for each dataset.

The same metrics give the same bytes. Layout and style live in `templates/`; see https://jinja.palletsprojects.com.
"""

from __future__ import annotations

import functools
import statistics
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from taxi_assets.contracts.model import Dataset
from taxi_assets.months import Month
from taxi_assets.reports.charts import THEMES, Chart, Theme
from taxi_assets.reports.labels import is_local, label_of, origin, source_line, trips
from taxi_assets.reports.metrics import MILE_BINS, Anomaly, Metrics
from taxi_assets.reports.sparkline import change, compared
from taxi_assets.transform.anomalies import (
    MIN_EARLIER_MONTHS,
    MIN_ROWS,
    MONTHS_COMPARED,
    UNUSUAL_FACTOR,
    UNUSUAL_SHARE,
    is_unusual,
)

PAGE, INDEX = "report.html", "index.html"

_CAPTIONS = {
    "trips_per_day": "By pickup date.",
    "trips_per_hour": "Mean over the month's working days and over its weekend days.",
    "payments": "As the taximeter recorded them. TLC's records do not include cash tips.",
    "pickup_zones": "By TLC taxi zone; a zone is about a neighborhood.",
    "anomalies": f"Odd rows are kept, not lost; a row may count more than once. A share is unusual if it is over "
    f"{UNUSUAL_SHARE:.1%} and over {UNUSUAL_FACTOR:g} times the median of the {MONTHS_COMPARED} months before. A "
    f"comparison needs {MIN_ROWS:,} rows and {MIN_EARLIER_MONTHS} of those months.",
}


class KeyFigure(NamedTuple):
    """A figure at the top of the page."""

    label: str
    value: str
    note: str = ""


def render_page(dataset: Dataset, metrics: Metrics, charts: Sequence[Chart], nav: str) -> str:
    """Return a month's report.

    Args:
        dataset: The contract.
        metrics: The month's metrics.
        charts: The charts to show, in this order; the anomalies' chart comes with its table.
        nav: Links to other months, from `render_nav`.
    """
    return _render(
        "report.html.jinja",
        title=f"{dataset.title}, {_name(metrics.month)}",
        dataset=dataset,
        metrics=metrics,
        cleaned=metrics.cleaned,
        nav=Markup(nav),  # noqa: S704 - rendered by a template of ours
        local=is_local(metrics),
        origin=origin(metrics),
        source=source_line(dataset, metrics),
        figures=list(_key_figures(metrics)),
        sections=[_section(chart, metrics) for chart in charts],
        anomalies=[_anomaly_row(each, metrics.rows) for each in metrics.anomalies],
        earlier_months=max((len(each.earlier_shares) for each in metrics.anomalies), default=0),
    )


def render_nav(month: Month, reports: Collection[Month]) -> str:
    """Return links to the previous and the next month, if they have reports, and to the index."""
    before, after = month.plus(-1), month.plus(1)
    return _render(
        "nav.html.jinja",
        previous=before if before in reports else None,
        next=after if after in reports else None,
        index=INDEX,
    )


def render_index(dataset: Dataset, reports: Collection[Month]) -> str:
    """Return the page that links to a dataset's reports, the newest year first."""
    months = sorted(reports, reverse=True)
    years = [(year, sorted(group)) for year, group in groupby(months, lambda month: month.year)]
    return _render("index.html.jinja", title=f"{dataset.title}: monthly reports", dataset=dataset, years=years)


@functools.cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(themes=THEMES, colors=_colors, name=_name, page=PAGE)
    return environment


def _render(template: str, **values: object) -> str:
    return _templates().get_template(template).render(values)


def _colors(theme: Theme) -> str:
    return " ".join(f"--{name}: {value};" for name, value in asdict(theme).items())


def _name(month: Month) -> str:
    return f"{month.first_day:%B %Y}"


def _key_figures(metrics: Metrics) -> Iterator[KeyFigure]:
    share = change(metrics.days, metrics.year_before)
    yield KeyFigure("Trips", f"{metrics.rows:,}", compared(share) if share is not None else "")
    best = max(metrics.days, key=lambda day: metrics.days[day])
    yield KeyFigure("Busiest day", f"{best:%a} {best.day}", trips(metrics.days[best]))
    working = metrics.hours[0]
    hour = max(range(24), key=lambda hour: working[hour])
    yield KeyFigure(
        "Busiest hour, Monday to Friday", f"{hour}:00 to {hour + 1}:00", f"{working[hour]:,.0f} trips a day"
    )
    if metrics.payments:
        name, count = metrics.payments[0]
        yield KeyFigure("Most common payment", name, f"{count / metrics.rows:.1%} of trips")
    if metrics.miles:
        yield KeyFigure("Median distance", f"{metrics.miles.median:.2f} miles")
    if dollars := metrics.dollars:
        low, high = dollars.quantile(0.25), dollars.quantile(0.75)
        yield KeyFigure("Median total", f"${dollars.median:,.2f}", f"half between ${low:,.2f} and ${high:,.2f}")
    if metrics.zones:
        zone = metrics.zones[0]
        yield KeyFigure("Busiest pickup zone", zone.name, f"{zone.trips / metrics.zone_trips:.1%} of pickups")


def _section(chart: Chart, metrics: Metrics) -> dict[str, object]:
    heading = chart.title.partition(": ")[2]
    caption = _CAPTIONS.get(chart.name, "")
    if chart.name == "trips_per_day" and metrics.outside:
        caption += f" Not shown: {trips(metrics.outside)} in the month's file, dated outside the month."
    elif chart.name == "distances" and metrics.miles:
        end = MILE_BINS[1]
        hidden = metrics.miles.trips - sum(metrics.miles.bins(*MILE_BINS))
        caption = f"Not shown: {trips(hidden)} below 0, or of {end:g} miles and more."
    return {
        "chart": chart,
        "heading": heading[0].upper() + heading[1:],
        "caption": caption,
        "svg": Markup(chart.svg()),  # noqa: S704 - Matplotlib escapes the text in it
    }


def _anomaly_row(anomaly: Anomaly, rows: int) -> dict[str, object]:
    earlier = anomaly.earlier_shares
    return {
        "label": label_of(anomaly.name),
        "rows": f"{anomaly.rows:,}",
        "share": _percent(anomaly.share),
        "median": _percent(statistics.median(earlier)) if earlier else "",
        "lowest": _percent(min(earlier)) if earlier else "",
        "highest": _percent(max(earlier)) if earlier else "",
        "unusual": is_unusual(anomaly.share, earlier, rows),
    }


def _percent(share: float) -> str:
    return f"{share:.3%}" if 0 < share < 0.001 else f"{share:.2%}"
