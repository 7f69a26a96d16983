"""The numbers of a month's report: asked of the warehouse in SQL, and of the papers for what only cleaning knows.

The SQL is what DuckDB and BigQuery both understand, and counts; shares, medians and ranks are taken from the counts
here. How numbers look does not belong here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from taxi_assets.contracts.model import SOURCE_MONTH, Dataset, Role
from taxi_assets.contracts.zones import ZONES_TABLE
from taxi_assets.months import Month
from taxi_assets.records import CleanedFile
from taxi_assets.reports.sparkline import year_before

if TYPE_CHECKING:
    import pyarrow as pa

TOP = 12
"""Zones in the report."""

MILE_BINS = 0.5, 20.0
"""Width of a bar in the chart of distances, and where it ends; about 1% of the yellow trips are longer."""

_NO_NAME = frozenset({"", "N/A", "NV", "Unknown"})
"""What TLC's lookup writes where a zone or borough has no name: zone 264 is unknown, 265 outside of the city."""


class Warehouse(Protocol):
    """What a report needs of a warehouse."""

    schema: str

    def query(self, sql: str) -> pa.Table:
        """Return what a query gives."""
        ...

    def has_table(self, name: str) -> bool:
        """Return whether the schema has a table of that name."""
        ...


@dataclass(frozen=True)
class Zone:
    """A pick-up zone and its trips."""

    name: str
    borough: str
    trips: int


@dataclass(frozen=True)
class Spread:
    """How a quantity is spread: trips of each value, by value in ascending order."""

    counts: Mapping[float, int]

    @property
    def trips(self) -> int:
        """Trips of which the value is known."""
        return sum(self.counts.values())

    @property
    def median(self) -> float:
        """The value that half of the trips do not exceed."""
        return self.quantile(0.5)

    def quantile(self, share: float) -> float:
        """Return the lowest value that this share of the trips does not exceed; NaN of nothing."""
        seen, wanted = 0, share * self.trips
        for value, count in self.counts.items():
            seen += count
            if seen >= wanted:
                return value
        return math.nan

    def bins(self, width: float, end: float) -> list[int]:
        """Return trips by value in bins of a width, from 0 to below `end`."""
        found = [0] * round(end / width)
        for value, count in self.counts.items():
            if 0 <= value < end:
                found[math.floor(value / width)] += count
        return found


@dataclass(frozen=True)
class Anomaly:
    """Rows of one oddity: in this month, and the shares that months before had."""

    name: str
    rows: int
    share: float
    before: tuple[float, ...]


@dataclass(frozen=True)
class Metrics:
    """The numbers of a month.

    Attributes:
        rows: Rows of the month in the warehouse.
        days: Trips by day.
        before: For the same days, trips of the same weekday 52 weeks before, where they are in the warehouse.
        hours: Mean trips in each hour of the day, on working days and at weekends.
        payments: Trips by way of payment, most first; empty if the dataset does not say.
        miles: Trips by distance; None if the dataset does not say.
        dollars: Trips by their total; None if the dataset does not say.
        zones: Pick-up zones with the most trips; empty if the file does not say.
        zone_trips: Trips of which the pick-up zone is known.
        oddities: Strange rows, by their papers.
        cleaned: The month's papers, if they are here.
    """

    month: Month
    rows: int
    days: Mapping[date, int]
    before: Mapping[date, int]
    hours: tuple[Sequence[float], Sequence[float]]
    payments: Sequence[tuple[str, int]] = ()
    miles: Spread | None = None
    dollars: Spread | None = None
    zones: Sequence[Zone] = ()
    zone_trips: int = 0
    anomalies: Sequence[Anomaly] = ()
    cleaned: CleanedFile | None = field(default=None)

    @property
    def outside(self) -> int:
        """Rows whose pick-up is dated outside of the month."""
        return self.rows - sum(self.days.values())


def collect_metrics(
    dataset: Dataset, month: Month, warehouse: Warehouse, cleaned: CleanedFile | None, earlier: Sequence[CleanedFile]
) -> Metrics:
    """Gather a month's numbers.

    Args:
        dataset: The contract.
        month: The month; it is in the warehouse.
        warehouse: Where to ask.
        cleaned: The month's papers, if they are here.
        earlier: Papers of the months before, for the oddities.
    """
    answer = warehouse.query(sql_of(dataset, month, warehouse.schema, zones=warehouse.has_table(ZONES_TABLE)))
    parts: dict[str, list[dict[str, Any]]] = {}
    for row in answer.to_pylist():
        parts.setdefault(row["part"], []).append(row)
    days = dict.fromkeys(_days(month), 0)
    hours = [[0] * 24, [0] * 24]
    known: dict[date, int] = {}
    for row in parts.get("time", ()):
        source, day, trips = Month.of(row["source"]), row["day"], row["trips"]
        if source == month and day in days:
            days[day] += trips
            hours[day.weekday() >= 5][int(row["value"])] += trips
        elif source != month and source == Month.of(day):
            known[day] = known.get(day, 0) + trips
    weekends = sum(day.weekday() >= 5 for day in days)
    rows = sum(row["trips"] for row in parts.get("time", ()) if Month.of(row["source"]) == month)
    zones = parts.get("zone", [])
    return Metrics(
        month=month,
        rows=rows,
        days=days,
        before=year_before(days, known),
        hours=([n / (len(days) - weekends) for n in hours[0]], [n / weekends for n in hours[1]]),
        payments=_payments(dataset, parts.get("payment", ()), rows),
        miles=_spread(parts.get("miles", ())),
        dollars=_spread(parts.get("dollars", ())),
        zones=[_zone(row) for row in sorted(zones, key=_most_first)[:TOP]],
        zone_trips=sum(row["trips"] for row in zones),
        anomalies=_anomalies(cleaned, earlier),
        cleaned=cleaned,
    )


def sql_of(dataset: Dataset, month: Month, schema: str, *, zones: bool) -> str:
    """Return the one query of a report, because each has its price: BigQuery takes a second, DuckDB opens its file.

    Its rows are counts of trips: `part` says of what, `value` of which one. Multiplying by `1e0` makes a float in
    either dialect; their names for the type differ.

    Args:
        dataset: The contract.
        month: The month.
        schema: The schema.
        zones: Whether it has the table of zones.
    """
    table, this = f"{schema}.{dataset.table}", f"t.{SOURCE_MONTH.name} = {_literal(month)}"
    compared = ", ".join(_literal(each) for each in (month, month.plus(-12), month.plus(-11)))
    nothing = "CAST(NULL AS DATE) AS source, CAST(NULL AS DATE) AS day", "CAST(NULL AS STRING)"
    selects = []
    if pickup := dataset.one("pickup_time"):
        selects.append(
            f"SELECT 'time' AS part, t.{SOURCE_MONTH.name} AS source, CAST(t.{pickup.name} AS DATE) AS day, "
            f"EXTRACT(HOUR FROM t.{pickup.name}) * 1e0 AS value, {nothing[1]} AS name, {nothing[1]} AS borough, "
            f"COUNT(*) AS trips FROM {table} AS t WHERE t.{SOURCE_MONTH.name} IN ({compared}) GROUP BY 2, 3, 4"
        )
    counted: tuple[tuple[str, Role, str], ...] = (
        ("payment", "payment", "{} * 1e0"),
        ("miles", "distance", "ROUND({}, 2)"),
        ("dollars", "total", "ROUND({}, 2)"),
    )
    for part, role, value in counted:
        if column := dataset.one(role):
            name = f"t.{column.name}"
            selects.append(
                f"SELECT '{part}', {nothing[0]}, {value.format(name)}, {nothing[1]}, {nothing[1]}, COUNT(*) "
                f"FROM {table} AS t WHERE {this} AND {name} IS NOT NULL GROUP BY 4"
            )
    if zone := dataset.one("pickup_zone"):
        names, by = ("z.Zone, z.Borough", "4, 5, 6") if zones else (f"{nothing[1]}, {nothing[1]}", "4")
        join = f" LEFT JOIN {schema}.{ZONES_TABLE} AS z ON z.LocationID = t.{zone.name}" if zones else ""
        selects.append(
            f"SELECT 'zone', {nothing[0]}, t.{zone.name} * 1e0, {names}, COUNT(*) FROM {table} AS t{join} "
            f"WHERE {this} AND t.{zone.name} IS NOT NULL GROUP BY {by}"
        )
    return "\nUNION ALL\n".join(selects)


def _literal(month: Month) -> str:
    return f"DATE '{month.first_day}'"


def _days(month: Month) -> list[date]:
    return [month.first_day + timedelta(n) for n in range((month.plus(1).first_day - month.first_day).days)]


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


def _spread(counts: Sequence[Mapping[str, Any]]) -> Spread | None:
    return (
        Spread({row["value"]: row["trips"] for row in sorted(counts, key=lambda row: row["value"])}) if counts else None
    )


def _most_first(row: Mapping[str, Any]) -> tuple[int, float]:
    return -row["trips"], row["value"]


def _zone(row: Mapping[str, Any]) -> Zone:
    name, borough = row["name"] or "", row["borough"] or ""
    return Zone(
        f"Zone {row['value']:.0f}" if name in _NO_NAME else name, "" if borough in _NO_NAME else borough, row["trips"]
    )


def _anomalies(cleaned: CleanedFile | None, earlier: Sequence[CleanedFile]) -> list[Anomaly]:
    if cleaned is None:
        return []

    def share(record: CleanedFile, name: str) -> float:
        return record.anomalies.get(name, 0) / max(record.cleaned_rows, 1)

    found = [
        Anomaly(name, rows, share(cleaned, name), tuple(share(record, name) for record in earlier))
        for name, rows in cleaned.anomalies.items()
    ]
    return sorted(found, key=lambda each: -each.rows)
