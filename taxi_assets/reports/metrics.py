"""The metrics of a month's report: counted in the warehouse, and read from the records for what only cleaning knows.

The warehouse counts; shares, medians and ranks are computed here from the counts.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from taxi_assets.contracts.model import Dataset
from taxi_assets.contracts.zones import ZONES_TABLE
from taxi_assets.months import Month
from taxi_assets.records import CleanedFile
from taxi_assets.reports.queries import report_sql
from taxi_assets.reports.sparkline import year_before
from taxi_assets.storage.base import Warehouse
from taxi_assets.transform.anomalies import anomaly_shares

MAX_ZONES = 12

MILE_BINS = 0.5, 20.0
"""Width of a bar in the distance chart, and where the chart ends; about 1% of yellow trips are longer."""

_UNNAMED = frozenset({"", "N/A", "NV", "Unknown"})
"""What TLC's lookup has for a zone or borough without a name: zone 264 is unknown, 265 outside the city."""


@dataclass(frozen=True)
class Zone:
    """A pickup zone and its trips."""

    name: str
    borough: str
    trips: int


@dataclass(frozen=True)
class Distribution:
    """The trips of each value of a quantity, in ascending order of the values."""

    counts: Mapping[float, int]

    @property
    def trips(self) -> int:
        """Trips whose value is known."""
        return sum(self.counts.values())

    @property
    def median(self) -> float:
        """The lowest value that half of the trips do not exceed."""
        return self.quantile(0.5)

    def quantile(self, share: float) -> float:
        """Return the lowest value that this share of the trips does not exceed; NaN without trips."""
        seen, wanted = 0, share * self.trips
        for value, count in self.counts.items():
            seen += count
            if seen >= wanted:
                return value
        return math.nan

    def bins(self, width: float, end: float) -> list[int]:
        """Return the trips in bins of a width, from 0 to below `end`."""
        found = [0] * round(end / width)
        for value, count in self.counts.items():
            if 0 <= value < end:
                found[math.floor(value / width)] += count
        return found


@dataclass(frozen=True)
class Anomaly:
    """Rows with one anomaly in a month, their share of all rows, and the shares in earlier months."""

    name: str
    rows: int
    share: float
    earlier_shares: tuple[float, ...]


@dataclass(frozen=True)
class Metrics:
    """A month's metrics.

    Attributes:
        month: The month.
        rows: Rows of the month in the warehouse.
        days: Trips by day.
        year_before: For the same days, trips on the same weekday 52 weeks earlier, if they are in the warehouse.
        hours: Mean trips in each hour of the day, on working days and on weekends.
        payments: Trips by payment type, most first; empty if the dataset has none.
        miles: Trips by distance; None if the dataset has none.
        dollars: Trips by total amount; None if the dataset has none.
        zones: Pickup zones with the most trips; empty if the file has none.
        zone_trips: Trips whose pickup zone is known.
        anomalies: Odd rows that were kept, most first.
        cleaned: The month's record, None if it is gone.
    """

    month: Month
    rows: int
    days: Mapping[date, int]
    year_before: Mapping[date, int]
    hours: tuple[Sequence[float], Sequence[float]]
    payments: Sequence[tuple[str, int]] = ()
    miles: Distribution | None = None
    dollars: Distribution | None = None
    zones: Sequence[Zone] = ()
    zone_trips: int = 0
    anomalies: Sequence[Anomaly] = ()
    cleaned: CleanedFile | None = None

    @property
    def outside(self) -> int:
        """Rows whose pickup is dated outside the month."""
        return self.rows - sum(self.days.values())


def collect_metrics(
    dataset: Dataset, month: Month, warehouse: Warehouse, cleaned: CleanedFile | None, earlier: Sequence[CleanedFile]
) -> Metrics:
    """Collect a month's metrics.

    Args:
        dataset: The contract.
        month: A month in the warehouse.
        warehouse: Where to count.
        cleaned: The month's record, if there is one.
        earlier: Records of earlier months, to compare anomalies with.
    """
    result = warehouse.query(report_sql(dataset, month, warehouse.schema, zones=warehouse.has_table(ZONES_TABLE)))
    parts: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in result.to_pylist():
        parts[row["part"]].append(row)
    rows = sum(row["trips"] for row in parts["time"] if Month.of(row["source"]) == month)
    days, known, hours = _by_time(month, parts["time"])
    return Metrics(
        month=month,
        rows=rows,
        days=days,
        year_before=year_before(days, known),
        hours=hours,
        payments=_payments(dataset, parts["payment"], rows),
        miles=_distribution(parts["miles"]),
        dollars=_distribution(parts["dollars"]),
        zones=[_zone(row) for row in sorted(parts["zone"], key=_most_first)[:MAX_ZONES]],
        zone_trips=sum(row["trips"] for row in parts["zone"]),
        anomalies=_anomalies(cleaned, earlier) if cleaned else [],
        cleaned=cleaned,
    )


def _by_time(
    month: Month, counts: Sequence[Mapping[str, Any]]
) -> tuple[dict[date, int], Counter[date], tuple[list[float], list[float]]]:
    """Return trips by day, trips by day in other months, and mean trips by hour on working days and weekends."""
    length = (month.plus(1).first_day - month.first_day).days
    days = dict.fromkeys((month.first_day + timedelta(n) for n in range(length)), 0)
    others: Counter[date] = Counter()
    hours = [0] * 24, [0] * 24
    for row in counts:
        source, day, trips = Month.of(row["source"]), row["day"], row["trips"]
        if source == month and day in days:
            days[day] += trips
            hours[day.weekday() >= 5][int(row["value"])] += trips
        elif source != month and source == Month.of(day):
            others[day] += trips
    weekends = sum(day.weekday() >= 5 for day in days)
    return days, others, ([n / (length - weekends) for n in hours[0]], [n / weekends for n in hours[1]])


def _payments(dataset: Dataset, counts: Sequence[Mapping[str, Any]], rows: int) -> list[tuple[str, int]]:
    column = dataset.one("payment")
    if column is None or not counts:
        return []
    ranked = [
        (column.labels.get(int(row["value"]), f"Code {row['value']:.0f}"), row["trips"])
        for row in sorted(counts, key=_most_first)
    ]
    missing = rows - sum(trips for _, trips in ranked)
    return [*ranked, ("Not recorded", missing)] if missing else ranked


def _distribution(counts: Sequence[Mapping[str, Any]]) -> Distribution | None:
    ordered = sorted(counts, key=lambda row: row["value"])
    return Distribution({row["value"]: row["trips"] for row in ordered}) if ordered else None


def _most_first(row: Mapping[str, Any]) -> tuple[int, float]:
    return -row["trips"], row["value"]


def _zone(row: Mapping[str, Any]) -> Zone:
    name, borough = ("" if row[column] in _UNNAMED else row[column] or "" for column in ("name", "borough"))
    return Zone(name or f"Zone {row['value']:.0f}", borough, row["trips"])


def _anomalies(cleaned: CleanedFile, earlier: Sequence[CleanedFile]) -> list[Anomaly]:
    found = [
        Anomaly(name, rows, anomaly_shares(name, [cleaned])[0], anomaly_shares(name, earlier))
        for name, rows in cleaned.anomalies.items()
    ]
    return sorted(found, key=lambda anomaly: -anomaly.rows)
