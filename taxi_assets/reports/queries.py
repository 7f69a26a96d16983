"""The SQL behind a month's report, in words that DuckDB and BigQuery share."""

from __future__ import annotations

from taxi_assets.contracts.model import SOURCE_MONTH, Dataset, Role
from taxi_assets.contracts.zones import ZONES_TABLE
from taxi_assets.months import Month

_NULL_STRING = "CAST(NULL AS STRING)"
_NULL_DATES = "CAST(NULL AS DATE) AS source, CAST(NULL AS DATE) AS day"

_COUNTED: tuple[tuple[str, Role, str], ...] = (
    ("payment", "payment", "{} * 1e0"),
    ("miles", "distance", "ROUND({}, 2)"),
    ("dollars", "total", "ROUND({}, 2)"),
)
"""Parts that count trips by a column's value: the part, the column's role, the value. `* 1e0` makes a float in either
dialect; their names for the type differ."""


def report_sql(dataset: Dataset, month: Month, schema: str, *, zones: bool) -> str:
    """Return the one query of a report. One, because BigQuery takes a second for each, and DuckDB opens its file.

    Each row of the result counts trips (`trips`); `part` says what is counted: `time` (by `source` month, `day` and
    hour), `payment`, `miles`, `dollars` or `zone`. `value` is the hour, code, amount or zone id.

    Args:
        dataset: The contract.
        month: The month.
        schema: The warehouse's schema.
        zones: Whether the schema has the table of zones.
    """
    selects = [
        _by_time(dataset, month, schema),
        *(_by_value(dataset, month, schema, *counted) for counted in _COUNTED),
        _by_zone(dataset, month, schema, named=zones),
    ]
    return "\nUNION ALL\n".join(filter(None, selects))


def _by_time(dataset: Dataset, month: Month, schema: str) -> str:
    """Count the month's trips by day and hour, and those of the two months in which the year before lies."""
    pickup = dataset.one("pickup_time")
    if pickup is None:
        return ""
    months = ", ".join(_literal(each) for each in (month, month.plus(-12), month.plus(-11)))
    return (
        f"SELECT 'time' AS part, t.{SOURCE_MONTH.name} AS source, CAST(t.{pickup.name} AS DATE) AS day, "
        f"EXTRACT(HOUR FROM t.{pickup.name}) * 1e0 AS value, {_NULL_STRING} AS name, {_NULL_STRING} AS borough, "
        f"COUNT(*) AS trips FROM {schema}.{dataset.table} AS t WHERE t.{SOURCE_MONTH.name} IN ({months}) "
        "GROUP BY 2, 3, 4"
    )


def _by_value(dataset: Dataset, month: Month, schema: str, part: str, role: Role, value: str) -> str:
    column = dataset.one(role)
    if column is None:
        return ""
    name = f"t.{column.name}"
    return (
        f"SELECT '{part}', {_NULL_DATES}, {value.format(name)}, {_NULL_STRING}, {_NULL_STRING}, COUNT(*) "
        f"FROM {schema}.{dataset.table} AS t "
        f"WHERE t.{SOURCE_MONTH.name} = {_literal(month)} AND {name} IS NOT NULL GROUP BY 4"
    )


def _by_zone(dataset: Dataset, month: Month, schema: str, *, named: bool) -> str:
    zone = dataset.one("pickup_zone")
    if zone is None:
        return ""
    names, group = ("z.Zone, z.Borough", "4, 5, 6") if named else (f"{_NULL_STRING}, {_NULL_STRING}", "4")
    join = f" LEFT JOIN {schema}.{ZONES_TABLE} AS z ON z.LocationID = t.{zone.name}" if named else ""
    return (
        f"SELECT 'zone', {_NULL_DATES}, t.{zone.name} * 1e0, {names}, COUNT(*) "
        f"FROM {schema}.{dataset.table} AS t{join} "
        f"WHERE t.{SOURCE_MONTH.name} = {_literal(month)} AND t.{zone.name} IS NOT NULL GROUP BY {group}"
    )


def _literal(month: Month) -> str:
    return f"DATE '{month.first_day}'"
