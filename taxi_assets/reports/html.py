"""A month's report as one HTML page: it asks for nothing from anywhere, and shows itself light or dark as one prefers.

The same numbers give the same bytes. What the numbers are does not belong here.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import astuple, fields
from html import escape

from taxi_assets.contracts.model import Dataset
from taxi_assets.reports.charts import THEMES, Chart, Theme
from taxi_assets.reports.labels import label_of, source_line
from taxi_assets.reports.metrics import MILE_BINS, Anomaly, Metrics
from taxi_assets.reports.sparkline import change, compared

_STYLE = """
body { margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 60rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.8rem; line-height: 1.2; }
h2 { margin: 2.5rem 0 .25rem; font-size: 1.2rem; }
p { margin: .25rem 0 .75rem; max-width: 46rem; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(10.5rem, 1fr)); gap: .75rem; margin: 1.5rem 0; }
dl div { padding: .6rem .8rem; border: 1px solid var(--faint); border-radius: .5rem; }
dt { font-size: .8rem; }
dd { margin: 0; font-size: 1.2rem; font-weight: 600; }
dd small { display: block; font-size: .8rem; font-weight: 400; }
figure { margin: 0; overflow-x: auto; }
svg { display: block; width: 100%; min-width: 36rem; height: auto; font-family: "DejaVu Sans", Verdana, sans-serif; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .9rem .25rem 0; border-bottom: 1px solid var(--faint); text-align: right; font-weight: 400; }
thead th { font-size: .8rem; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; }
.scroll { overflow-x: auto; }
.unusual { font-weight: 700; }
footer { margin-top: 2.5rem; padding-top: .75rem; border-top: 1px solid var(--faint); font-size: .85rem; }
code { overflow-wrap: anywhere; }
"""

_CAPTIONS = {
    "trips_per_day": "By the day of pick-up.",
    "trips_per_hour": "Mean of the month's working days and of its weekend days.",
    "payments": "As recorded by the taximeter. Tips in cash are not part of TLC's records.",
    "pickup_zones": "By TLC's taxi zones; a zone is about a neighbourhood.",
}


def render_page(dataset: Dataset, numbers: Metrics, charts: Sequence[Chart]) -> str:
    """Return the report.

    Args:
        dataset: The contract.
        numbers: The month's numbers.
        charts: The charts to show, in this order; the one of oddities comes with its table.
    """
    title = f"{dataset.title}, {numbers.month.first_day:%B %Y}"
    shown = "".join(_section(chart, numbers) for chart in charts)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>
:root {{ {_colours(THEMES["light"])} }}
@media (prefers-color-scheme: dark) {{ :root {{ {_colours(THEMES["dark"])} }} }}
{_STYLE.strip()}
</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
<p>{escape(dataset.description)}</p>
</header>
<dl>{"".join(_figure(*each) for each in _key_figures(numbers))}</dl>
{shown}{_ledger(numbers)}{_footer(dataset, numbers)}
</body>
</html>
"""


def _colours(theme: Theme) -> str:
    names = (f"--{field.name}: {value};" for field, value in zip(fields(theme), astuple(theme), strict=True))
    return " ".join(names)


def _key_figures(numbers: Metrics) -> Iterable[tuple[str, str, str]]:
    """Yield name, value and remark of the figures on top."""
    share = change(numbers.days, numbers.before)
    before = compared(share) if share is not None else ""
    yield "Trips", f"{numbers.rows:,}", before
    best = max(numbers.days, key=lambda day: numbers.days[day])
    yield "Busiest day", f"{best:%a} {best.day}", f"{numbers.days[best]:,} trips"
    working = numbers.hours[0]
    hour = max(range(24), key=lambda hour: working[hour])
    yield "Busiest hour, Monday to Friday", f"{hour} to {hour + 1} h", f"{working[hour]:,.0f} trips"
    if numbers.payments:
        name, trips = numbers.payments[0]
        yield "Most usual payment", name, f"{trips / numbers.rows:.1%} of trips"
    if numbers.miles:
        yield "Median distance", f"{numbers.miles.median:.2f} miles", ""
    if numbers.dollars:
        dollars = numbers.dollars
        low, high = dollars.quantile(0.25), dollars.quantile(0.75)
        yield "Median total", f"${dollars.median:,.2f}", f"half between ${low:,.2f} and ${high:,.2f}"
    if numbers.zones:
        zone = numbers.zones[0]
        yield "Busiest pick-up zone", zone.name, f"{zone.trips / numbers.zone_trips:.1%} of pick-ups"


def _figure(name: str, value: str, remark: str) -> str:
    small = f"<small>{escape(remark)}</small>" if remark else ""
    return f"<div><dt>{escape(name)}</dt><dd>{escape(value)}{small}</dd></div>"


def _section(chart: Chart, numbers: Metrics) -> str:
    heading = chart.title.partition(": ")[2]
    after = ""
    caption = _CAPTIONS.get(chart.name, "")
    if chart.name == "trips_per_day" and numbers.outside:
        caption += f" {numbers.outside:,} trips of the month's file are dated outside of the month and not shown."
    elif chart.name == "distances" and numbers.miles:
        end = MILE_BINS[1]
        inside = sum(numbers.miles.bins(*MILE_BINS))
        caption = f"{numbers.miles.trips - inside:,} trips are below 0 or of {end:g} miles and more, and not shown."
    elif chart.name == "oddities":
        caption = (
            "Strange rows that are kept, not lost. A row may be odd in more than one way. <b>Unusual</b> is what lies "
            "outside of the range of the months before by more than half of it, and 0.01% of the rows at least."
        )
        after = _anomalies(numbers.anomalies)
    return (
        f'<section id="{chart.name}">\n<h2>{escape(heading[0].upper() + heading[1:])}</h2>\n<p>{caption}</p>\n'
        f"<figure>{chart.svg()}</figure>\n{after}</section>\n"
    )


def unusual(anomaly: Anomaly) -> bool:
    """Whether an oddity's share lies clearly outside of those of the months before."""
    if not anomaly.before:
        return False
    low, high = min(anomaly.before), max(anomaly.before)
    slack = max((high - low) / 2, 0.0001)
    return not low - slack <= anomaly.share <= high + slack


def _anomalies(anomalies: Sequence[Anomaly]) -> str:
    months = max((len(each.before) for each in anomalies), default=0)
    before = f"{months} month{'s' if months != 1 else ''} before"
    head = ("Oddity", "Rows", "Share", *((f"Median of<br>{before}", "Lowest", "Highest", "") if months else ()))
    rows = []
    for each in anomalies:
        cells = [escape(label_of(each.name)), f"{each.rows:,}", _share(each.share)]
        if months:
            cells += [_share(share) for share in (statistics.median(each.before), min(each.before), max(each.before))]
            cells.append('<span class="unusual">Unusual</span>' if unusual(each) else "")
        rows.append(cells)
    return _table(head, rows)


def _ledger(numbers: Metrics) -> str:
    cleaned = numbers.cleaned
    if cleaned is None:
        return ""
    rows = [
        ("Rows of the file as published", cleaned.source_rows),
        ("Kept", cleaned.cleaned_rows),
        ("Left out by a cleaning rule", cleaned.dropped_rows),
        ("Rejected because they cannot be read", cleaned.rejected_rows),
        ("Rows of the month in the warehouse", numbers.rows),
    ]
    return (
        '<section id="ledger">\n<h2>What became of each row</h2>\n'
        f"{_table(('', 'Rows'), [(name, f'{count:,}') for name, count in rows])}</section>\n"
    )


def _footer(dataset: Dataset, numbers: Metrics) -> str:
    parts = [f"{source_line(dataset, numbers)}. Columns after {dataset.dictionary}."]
    if cleaned := numbers.cleaned:
        parts.append(f"File: <code>{escape(cleaned.source_url)}</code>, SHA-256 <code>{cleaned.source_sha256}</code>.")
    parts.append("A month is the file that TLC published under its name. Times are New York's, amounts US dollars.")
    return "<footer>\n" + "".join(f"<p>{part}</p>\n" for part in parts) + "</footer>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of cells that are HTML."""
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{name}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>\n'
        for name, *cells in rows
    )
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead>\n<tbody>\n{body}</tbody></table></div>\n'


def _share(share: float) -> str:
    return f"{share:.3%}" if 0 < share < 0.001 else f"{share:.2%}"
