"""The small chart of a month in the UI: trips per day, with the year before. Plain text, no plotting library.

Dagster shows Markdown of fewer than 1,000 characters in place, and longer Markdown behind a click, so the chart has no
text; it stands below. The UI may be light or dark, so the chart has no background, and its colors stand out from both
(contrast at least 3 : 1). Blue and vermilion are from Okabe and Ito's palette, which people with any color vision can
tell apart; and the year before is a line, not bars.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

from taxi_assets.months import Month

YEAR = timedelta(weeks=52)
"""From a day to its day of the year before: the same weekday, because weekdays differ more than dates do."""

_SLOT, _HIGH = 10, 70
"""SVG units from bar to bar, and of the tallest bar."""
_MIN_SHARE_OF_DAYS = 0.9
"""Days of a month that must be known of the year before; a shift of 52 weeks may leave out two."""


def days_of(month: Month, trips: Sequence[int]) -> dict[date, int]:
    """Return a month's trips by day."""
    return {month.first_day + timedelta(day): count for day, count in enumerate(trips)}


def year_before(days: Iterable[date], earlier: Mapping[date, int]) -> dict[date, int]:
    """Return the trips on the same weekday 52 weeks before each day, where they are known.

    Nothing if too few are: 52 weeks before the last day of a month may be in the next month, which alone says nothing.
    """
    wanted = list(days)
    known = {day: earlier[day - YEAR] for day in wanted if day - YEAR in earlier}
    return known if len(known) >= len(wanted) * _MIN_SHARE_OF_DAYS else {}


def change(days: Mapping[date, int], before: Mapping[date, int]) -> float | None:
    """Return the change in trips against the year before, as a share, over the days known in both; None if none are."""
    was = sum(before.values())
    return sum(days[day] for day in before) / was - 1 if was else None


def compared(share: float) -> str:
    """Describe a change: `12% more than 52 weeks before`, `as many as 52 weeks before`."""
    percent = f"{abs(share):.0%}"
    many = "as many as" if percent == "0%" else f"{percent} {'more' if share > 0 else 'fewer'} than"
    return f"{many} {YEAR.days // 7} weeks before"


def svg(days: Mapping[date, int], before: Mapping[date, int]) -> str:
    """Draw a month: a bar for each day, pale on weekends, and a line for the year before."""
    unit = _HIGH / max(*days.values(), *before.values(), 1)
    x = {day: _SLOT // 2 + _SLOT * index for index, day in enumerate(days)}
    bars = {
        weekend: "".join(
            f"M{x[day]} 0V{count * unit:.0f}" for day, count in days.items() if (day.weekday() >= 5) == weekend
        )
        for weekend in (False, True)
    }
    points = " ".join(f"{x[day]} {count * unit:.0f}" for day, count in before.items())
    line = f"<path d='M{points}' stroke='#d55e00' stroke-width='2'/>" if points else ""
    width, height = _SLOT * len(days), _HIGH + 2
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width * 1.5:.0f}' viewBox='0 0 {width} {height}'>"
        f"<g transform='matrix(1 0 0-1 0 {height})' fill='none' stroke='#2f86c6' stroke-width='8'>"
        f"<path d='{bars[False]}'/><path d='{bars[True]}' opacity='.5'/>"
        f"{line}</g></svg>"
    )


def markdown(month: Month, days: Mapping[date, int], before: Mapping[date, int], rows: int = 0) -> str:
    """Return the chart and its description as Markdown; the image is a data URL.

    Args:
        month: The month.
        days: Trips of each of its days.
        before: For the same days, trips of the year before; days may be missing.
        rows: Rows of the month's file; those that no day of the month has are mentioned.
    """
    data = svg(days, before).replace("#", "%23").replace("<", "%3C").replace(">", "%3E")
    best = max(days, key=lambda day: days[day])
    lines = [
        f"{sum(days.values()):,} trips in {month.first_day:%B %Y}, weekends pale",
        f"Most on {best:%a} {best.day}: {days[best]:,}",
    ]
    share = change(days, before)
    if share is not None:
        lines.append(f"{compared(share).capitalize()} (line)")
    if (outside := rows - sum(days.values())) > 0:
        lines.append(f"Not shown: {outside:,} dated outside the month")
    text = "  \n".join(lines)  # Markdown's line break: in a narrow window, the UI cuts a long line off
    return f"![Trips per day](<data:image/svg+xml,{data}>)\n\n{text}"
