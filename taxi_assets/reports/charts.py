"""The charts of a month's report, drawn with Matplotlib: as SVG for the page, as PNG for documents.

Matplotlib is imported when a chart is drawn: it takes most of a second, and landing months has no use for it. Nothing
here depends on the day, so that the same numbers give the same bytes.
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
from taxi_assets.reports.metrics import MILE_BINS, Metrics, Spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIZE = (9.0, 3.6)
"""Inches of a chart; one with a row for each thing grows with its rows."""

_DPI = 110


@dataclass(frozen=True)
class Theme:
    """Colours of a chart. Those of data are Okabe and Ito's, which people with any colour vision can tell apart."""

    paper: str
    ink: str
    faint: str
    main: str
    pale: str
    other: str


THEMES = {
    "light": Theme(paper="#ffffff", ink="#1f2328", faint="#d0d7de", main="#0072b2", pale="#8ec4e6", other="#d55e00"),
    "dark": Theme(paper="#16191d", ink="#e6edf3", faint="#3d444d", main="#56b4e9", pale="#2f6285", other="#e69f00"),
}

_PAGE = Theme(paper="none", ink="#010101", faint="#020202", main="#030303", pale="#040404", other="#050505")
"""Stand-ins that become the page's own colours, so that one drawing does for light and dark."""


@dataclass(frozen=True)
class Chart:
    """A chart that can be drawn.

    Attributes:
        name: Of its files.
        title: What it shows, and of what.
        draw: Draws it.
        rows: Things below each other, 0 if it is not a list.
    """

    name: str
    title: str
    draw: Callable[[Axes, Theme], None]
    rows: int = 0

    def svg(self) -> str:
        """Return the chart for a page that has the colours `--ink`, `--faint`, `--main`, `--pale` and `--other`."""
        text = io.StringIO()
        self._save(text, _PAGE, "", format="svg", metadata={"Date": None, "Creator": None})
        drawn = text.getvalue()
        drawn = drawn[drawn.index("<svg") :]
        for name in ("ink", "faint", "main", "pale", "other"):
            drawn = drawn.replace(getattr(_PAGE, name), f"var(--{name})")
        drawn = re.sub(r"<metadata>.*?</metadata>\s*", "", drawn, flags=re.DOTALL)
        return re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', self._opening, drawn, count=1)

    def png(self, path: Path, theme: Theme, source: str) -> None:
        """Write the chart as an image with its title and its source."""
        self._save(path, theme, source, format="png", dpi=_DPI, metadata={"Software": None})

    def _opening(self, found: re.Match[str]) -> str:
        return f'<svg viewBox="{found[1]}" role="img" aria-label="{self.title}" xmlns="http://www.w3.org/2000/svg">'

    def _save(self, target: Any, theme: Theme, source: str, **options: Any) -> None:
        """Draw and save; with the title, unless there is no source to name below it."""
        import matplotlib as mpl
        from matplotlib.figure import Figure

        height = max(1.4, 0.9 + 0.28 * self.rows) if self.rows else _SIZE[1]
        colours = dict.fromkeys(("text.color", "axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor"), theme.ink)
        style: Any = {
            **colours,
            "axes.edgecolor": theme.faint,
            "axes.facecolor": "none",
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.axisbelow": True,
            "figure.facecolor": theme.paper,
            "font.family": ["DejaVu Sans"],
            "font.size": 9,
            "grid.color": theme.faint,
            "legend.frameon": False,
            "svg.fonttype": "none",
            "svg.hashsalt": self.name,
            "xtick.color": theme.faint,
            "ytick.color": theme.faint,
        }
        with mpl.rc_context(style):
            figure = Figure(figsize=(_SIZE[0], height + 0.5 * bool(source)))
            figure.set_layout_engine("constrained", rect=(0, 0.05, 1, 0.95) if source else (0, 0, 1, 1))
            self.draw(figure.subplots(), theme)
            if source:
                figure.suptitle(self.title, x=0.01, ha="left", fontsize=12, fontweight="bold")
                figure.text(0.995, 0.01, source, ha="right", va="bottom", fontsize=7, alpha=0.8)
            figure.savefig(target, **options)


def charts_of(dataset: Dataset, numbers: Metrics) -> Iterator[Chart]:
    """Yield the charts for which there are numbers."""
    of = f"{dataset.title}, {numbers.month.first_day:%B %Y}"
    yield Chart("trips_per_day", f"{of}: trips per day", lambda axes, theme: _days(axes, theme, numbers))
    yield Chart("trips_per_hour", f"{of}: trips per hour of the day", lambda axes, theme: _hours(axes, theme, numbers))
    if payments := numbers.payments:
        yield Chart(
            "payments",
            f"{of}: trips by way of payment",
            lambda axes, theme: _shares(axes, theme, list(payments), numbers.rows, "of all"),
            len(payments),
        )
    if miles := numbers.miles:
        yield Chart("distances", f"{of}: trips by distance", lambda axes, theme: _distances(axes, theme, miles))
    if zones := numbers.zones:
        labels = [(f"{zone.name} ({zone.borough})" if zone.borough else zone.name, zone.trips) for zone in zones]
        yield Chart(
            "pickup_zones",
            f"{of}: pick-up zones with the most trips",
            lambda axes, theme: _shares(axes, theme, labels, numbers.zone_trips, "of those whose zone is known"),
            len(labels),
        )
    if anomalies := [each for each in numbers.anomalies if each.rows or any(each.before)]:
        yield Chart(
            "oddities",
            f"{of}: odd rows, this month and the months before",
            lambda axes, theme: _draw_anomalies(axes, theme, anomalies),
            len(anomalies) + 1,
        )


def write_pngs(dataset: Dataset, numbers: Metrics, charts: list[Chart], folder: Path) -> list[Path]:
    """Write each chart in each theme; return the files, `{chart}.{theme}.png`."""
    files = []
    for chart in charts:
        for name, theme in THEMES.items():
            files.append(folder / f"{chart.name}.{name}.png")
            chart.png(files[-1], theme, source_line(dataset, numbers))
    return files


def _days(axes: Axes, theme: Theme, numbers: Metrics) -> None:
    days = list(numbers.days)
    for weekend, colour, label in ((False, theme.main, "Monday to Friday"), (True, theme.pale, "Weekend")):
        shown = [day.day for day in days if (day.weekday() >= 5) == weekend]
        heights = [numbers.days[day] for day in days if (day.weekday() >= 5) == weekend]
        axes.bar(shown, heights, 0.8, color=colour, label=label)
    if numbers.before:
        places = [day.day for day in numbers.before]
        label = "Same weekday 52 weeks before"
        axes.plot(places, list(numbers.before.values()), "o-", color=theme.other, lw=1.5, ms=4, label=label)
    axes.set_xticks([day.day for day in days], [f"{day.day}\n{day:%a}"[:-1] for day in days], fontsize=8)
    axes.set_xlim(0.4, len(days) + 0.6)
    axes.set_xlabel("Day of pick-up")
    axes.set_ylabel("Trips")
    _plain(axes.yaxis)
    axes.grid(axis="y")
    _legend(axes)


def _hours(axes: Axes, theme: Theme, numbers: Metrics) -> None:
    working, weekends = numbers.hours
    axes.plot(range(24), working, "o-", color=theme.main, lw=2, ms=4, label="Monday to Friday")
    axes.plot(range(24), weekends, "s--", color=theme.other, lw=2, ms=4, label="Weekend")
    axes.set_xticks(range(24), [f"{hour:02}" for hour in range(24)])
    axes.set_xlim(-0.4, 23.4)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("Hour of pick-up, New York time")
    axes.set_ylabel("Trips, mean of the days")
    _plain(axes.yaxis)
    axes.grid(axis="y")
    _legend(axes)


def _distances(axes: Axes, theme: Theme, miles: Spread) -> None:
    width, end = MILE_BINS
    counts = miles.bins(width, end)
    axes.bar([width * (n + 0.5) for n in range(len(counts))], counts, width * 0.9, color=theme.main)
    axes.axvline(miles.median, color=theme.other, lw=2, ls="--", label=f"Median: {miles.median:g} miles")
    axes.set_xlim(0, end)
    axes.set_xticks(range(0, int(end) + 1, 2))
    axes.set_xlabel(f"Distance in miles; a bar is {width:g} mile wide")
    axes.set_ylabel("Trips")
    _plain(axes.yaxis)
    axes.grid(axis="y")
    _legend(axes)


def _shares(axes: Axes, theme: Theme, things: list[tuple[str, int]], trips_in_all: int, of: str) -> None:
    places = range(len(things))
    bars = axes.barh(places, [trips for _, trips in things], 0.7, color=theme.main)
    labels = [f"{trips:,} ({trips / trips_in_all:.1%})" for _, trips in things]
    axes.bar_label(bars, labels, padding=4, fontsize=8.5, color=theme.ink)
    axes.set_yticks(places, [name for name, _ in things])
    axes.invert_yaxis()
    axes.margins(x=0.16)
    axes.set_xlabel(f"Trips (share {of})")
    _plain(axes.xaxis)
    axes.grid(axis="x")


def _draw_anomalies(axes: Axes, theme: Theme, anomalies: list[Any]) -> None:
    for place, each in enumerate(anomalies):
        label = "Months before" if place == 0 and each.before else None
        before = [100 * share for share in each.before]
        axes.plot(before, [place] * len(before), "|", color=theme.main, ms=11, mew=1.5, label=label)
        label = "This month" if place == 0 else None
        axes.plot([100 * each.share], [place], "D", color=theme.other, ms=6, label=label)
    axes.set_xscale("symlog", linthresh=0.01)
    ticks = [0, 0.01, 0.1, 1, 10, 100]
    axes.set_xticks(ticks, [f"{tick:g}%" for tick in ticks])
    axes.set_xticks([], minor=True)
    most = max(max(each.share, *each.before, 0.0) for each in anomalies)
    axes.set_xlim(-0.001, max(0.2, 130 * most))
    axes.set_yticks(range(len(anomalies)), [label_of(each.name) for each in anomalies])
    axes.set_ylim(len(anomalies) - 0.4, -0.6)
    axes.set_xlabel("Share of the month's rows; logarithmic above 0.01%")
    axes.grid(axis="x")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0, fontsize=8.5)


def _legend(axes: Axes) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0, fontsize=8.5)


def _plain(axis: Any) -> None:
    """Write numbers with commas, and without zeros behind the point."""
    axis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value == round(value) else f"{value:g}")
