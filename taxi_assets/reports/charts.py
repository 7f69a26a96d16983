"""Draws the charts of a month's report with Matplotlib: SVG for the page, PNG for documents.

Matplotlib is imported when a chart is drawn: the import takes most of a second, and landing a month does not need it.
Nothing here depends on the date, so the same metrics give the same bytes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxi_assets.contracts.model import Dataset
from taxi_assets.reports.labels import label_of, source_line
from taxi_assets.reports.metrics import MILE_BINS, Anomaly, Distribution, Metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIZE = (9.0, 3.6)
"""Inches; a horizontal bar chart grows with its bars."""

_DPI = 110


@dataclass(frozen=True)
class Theme:
    """Colors of a chart. Those of the data are Okabe and Ito's, which people with any color vision can tell apart."""

    background: str
    text: str
    grid: str
    main: str
    pale: str
    accent: str


THEMES = {
    "light": Theme(
        background="#ffffff", text="#1f2328", grid="#d0d7de", main="#0072b2", pale="#8ec4e6", accent="#d55e00"
    ),
    "dark": Theme(
        background="#16191d", text="#e6edf3", grid="#3d444d", main="#56b4e9", pale="#2f6285", accent="#e69f00"
    ),
}

_PAGE = Theme(background="none", text="#010101", grid="#020202", main="#030303", pale="#040404", accent="#050505")
"""Placeholders for the page's own colors, so that one drawing serves light and dark."""


@dataclass(frozen=True)
class Chart:
    """A chart that can be drawn.

    Attributes:
        name: Stem of its file names.
        title: Dataset, month and subject.
        draw: Draws it on axes.
        bars: Number of horizontal bars; 0 for other kinds of chart.
    """

    name: str
    title: str
    draw: Callable[[Axes, Theme], None]
    bars: int = 0

    def svg(self) -> str:
        """Return the chart for a page that defines the theme's colors as CSS variables."""
        text = io.StringIO()
        self._save(text, _PAGE, "", format="svg", metadata={"Date": None, "Creator": None})
        drawn = text.getvalue()
        drawn = drawn[drawn.index("<svg") :]
        for name in ("text", "grid", "main", "pale", "accent"):
            drawn = drawn.replace(getattr(_PAGE, name), f"var(--{name})")
        drawn = re.sub(r"<metadata>.*?</metadata>\s*", "", drawn, flags=re.DOTALL)
        return re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', self._svg_tag, drawn, count=1)

    def png(self, path: Path, theme: Theme, source: str) -> None:
        """Write the chart as an image, with its title and its source."""
        self._save(path, theme, source, format="png", dpi=_DPI, metadata={"Software": None})

    def _svg_tag(self, found: re.Match[str]) -> str:
        return f'<svg viewBox="{found[1]}" role="img" aria-label="{self.title}" xmlns="http://www.w3.org/2000/svg">'

    def _save(self, target: Any, theme: Theme, source: str, **options: Any) -> None:
        """Draw and save; an image with a source also gets the title."""
        import matplotlib as mpl
        from matplotlib.figure import Figure

        height = max(1.4, 0.9 + 0.28 * self.bars) if self.bars else _SIZE[1]
        colors = dict.fromkeys(("text.color", "axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor"), theme.text)
        style: Any = {
            **colors,
            "axes.edgecolor": theme.grid,
            "axes.facecolor": "none",
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.axisbelow": True,
            "figure.facecolor": theme.background,
            "font.family": ["DejaVu Sans"],
            "font.size": 9,
            "grid.color": theme.grid,
            "legend.frameon": False,
            "svg.fonttype": "none",
            "svg.hashsalt": self.name,
            "xtick.color": theme.grid,
            "ytick.color": theme.grid,
        }
        with mpl.rc_context(style):
            figure = Figure(figsize=(_SIZE[0], height + 0.5 * bool(source)))
            figure.set_layout_engine("constrained", rect=(0, 0.05, 1, 0.95) if source else (0, 0, 1, 1))
            self.draw(figure.subplots(), theme)
            if source:
                figure.suptitle(self.title, x=0.01, ha="left", fontsize=12, fontweight="bold")
                figure.text(0.995, 0.01, source, ha="right", va="bottom", fontsize=7, alpha=0.8)
            figure.savefig(target, **options)


def charts_of(dataset: Dataset, metrics: Metrics) -> Iterator[Chart]:
    """Yield the charts that the month has metrics for."""
    subject = f"{dataset.title}, {metrics.month.first_day:%B %Y}"
    yield Chart("trips_per_day", f"{subject}: trips per day", lambda axes, theme: _days(axes, theme, metrics))
    yield Chart(
        "trips_per_hour", f"{subject}: trips per hour of the day", lambda axes, theme: _hours(axes, theme, metrics)
    )
    if payments := metrics.payments:
        yield Chart(
            "payments",
            f"{subject}: trips by payment type",
            lambda axes, theme: _shares(axes, theme, list(payments), metrics.rows, "of all"),
            len(payments),
        )
    if miles := metrics.miles:
        yield Chart("distances", f"{subject}: trips by distance", lambda axes, theme: _distances(axes, theme, miles))
    if zones := metrics.zones:
        labels = [(f"{zone.name} ({zone.borough})" if zone.borough else zone.name, zone.trips) for zone in zones]
        yield Chart(
            "pickup_zones",
            f"{subject}: pickup zones with the most trips",
            lambda axes, theme: _shares(axes, theme, labels, metrics.zone_trips, "of those whose zone is known"),
            len(labels),
        )
    if anomalies := [each for each in metrics.anomalies if each.rows or any(each.earlier_shares)]:
        yield Chart(
            "anomalies",
            f"{subject}: anomalies, this month and earlier months",
            lambda axes, theme: _draw_anomalies(axes, theme, anomalies),
            len(anomalies) + 1,
        )


def write_pngs(dataset: Dataset, metrics: Metrics, charts: list[Chart], folder: Path) -> list[Path]:
    """Write each chart in each theme; return the files, `{chart}.{theme}.png`."""
    files = []
    for chart in charts:
        for name, theme in THEMES.items():
            files.append(folder / f"{chart.name}.{name}.png")
            chart.png(files[-1], theme, source_line(dataset, metrics))
    return files


def _days(axes: Axes, theme: Theme, metrics: Metrics) -> None:
    days = list(metrics.days)
    for weekend, color, label in ((False, theme.main, "Monday to Friday"), (True, theme.pale, "Weekend")):
        shown = [day.day for day in days if (day.weekday() >= 5) == weekend]
        heights = [metrics.days[day] for day in days if (day.weekday() >= 5) == weekend]
        axes.bar(shown, heights, 0.8, color=color, label=label)
    if metrics.year_before:
        places = [day.day for day in metrics.year_before]
        label = "Same weekday 52 weeks before"
        axes.plot(places, list(metrics.year_before.values()), "o-", color=theme.accent, lw=1.5, ms=4, label=label)
    axes.set_xticks([day.day for day in days], [f"{day.day}\n{day:%a}"[:-1] for day in days], fontsize=8)
    axes.set_xlim(0.4, len(days) + 0.6)
    _label(axes, "Day of pickup", "Trips")


def _hours(axes: Axes, theme: Theme, metrics: Metrics) -> None:
    working, weekends = metrics.hours
    axes.plot(range(24), working, "o-", color=theme.main, lw=2, ms=4, label="Monday to Friday")
    axes.plot(range(24), weekends, "s--", color=theme.accent, lw=2, ms=4, label="Weekend")
    axes.set_xticks(range(24), [f"{hour:02}" for hour in range(24)])
    axes.set_xlim(-0.4, 23.4)
    axes.set_ylim(bottom=0)
    _label(axes, "Hour of pickup, New York time", "Trips, mean of the days")


def _distances(axes: Axes, theme: Theme, miles: Distribution) -> None:
    width, end = MILE_BINS
    counts = miles.bins(width, end)
    axes.bar([width * (n + 0.5) for n in range(len(counts))], counts, width * 0.9, color=theme.main)
    axes.axvline(miles.median, color=theme.accent, lw=2, ls="--", label=f"Median: {miles.median:g} miles")
    axes.set_xlim(0, end)
    axes.set_xticks(range(0, int(end) + 1, 2))
    _label(axes, f"Distance in miles; a bar is {width:g} mile wide", "Trips")


def _shares(axes: Axes, theme: Theme, things: list[tuple[str, int]], trips_in_all: int, of: str) -> None:
    places = range(len(things))
    bars = axes.barh(places, [trips for _, trips in things], 0.7, color=theme.main)
    labels = [f"{trips:,} ({trips / trips_in_all:.1%})" for _, trips in things]
    axes.bar_label(bars, labels, padding=4, fontsize=8.5, color=theme.text)
    axes.set_yticks(places, [name for name, _ in things])
    axes.invert_yaxis()
    axes.margins(x=0.16)
    axes.set_xlabel(f"Trips (share {of})")
    _plain_numbers(axes.xaxis)
    axes.grid(axis="x")


def _draw_anomalies(axes: Axes, theme: Theme, anomalies: list[Anomaly]) -> None:
    for place, each in enumerate(anomalies):
        label = "Earlier months" if place == 0 and each.earlier_shares else None
        before = [100 * share for share in each.earlier_shares]
        axes.plot(before, [place] * len(before), "|", color=theme.main, ms=11, mew=1.5, label=label)
        label = "This month" if place == 0 else None
        axes.plot([100 * each.share], [place], "D", color=theme.accent, ms=6, label=label)
    axes.set_xscale("symlog", linthresh=0.01)
    ticks = [0, 0.01, 0.1, 1, 10, 100]
    axes.set_xticks(ticks, [f"{tick:g}%" for tick in ticks])
    axes.set_xticks([], minor=True)
    most = max(max(each.share, *each.earlier_shares, 0.0) for each in anomalies)
    axes.set_xlim(-0.001, max(0.2, 130 * most))
    axes.set_yticks(range(len(anomalies)), [label_of(each.name) for each in anomalies])
    axes.set_ylim(len(anomalies) - 0.4, -0.6)
    axes.set_xlabel("Share of the month's rows; logarithmic above 0.01%")
    axes.grid(axis="x")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0, fontsize=8.5)


def _label(axes: Axes, x: str, y: str) -> None:
    """Label the axes of a chart of trips over `x`, with a grid and a legend."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    _plain_numbers(axes.yaxis)
    axes.grid(axis="y")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0, fontsize=8.5)


def _plain_numbers(axis: Any) -> None:
    """Write numbers with thousands separators, and without trailing zeros."""
    axis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value == round(value) else f"{value:g}")
