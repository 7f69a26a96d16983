"""Anomalies: rows that look wrong but are TLC's. They are kept, counted and shown.

Each anomaly is a name and a condition on the cleaned columns, built from the columns' roles.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from taxi_assets.contracts.model import Column, Dataset
from taxi_assets.contracts.zones import ZONES
from taxi_assets.months import Month
from taxi_assets.records import CleanedFile
from taxi_assets.storage.base import Staging
from taxi_assets.transform.arrays import MICROSECONDS, constants

ABSURD_MILES = 1000
"""No taxi trip has this many miles; TLC's files hold trips of 100,000 and more."""

MONTHS_COMPARED = 12
UNUSUAL_FACTOR = 3.0
UNUSUAL_SHARE = 0.002
MIN_EARLIER_MONTHS = 6
MIN_ROWS = 50_000
"""A share is unusual above 0.2% and above three times the earlier months' median; see `is_unusual`. In TLC's files the
shares of one dataset vary by less than a factor of two from month to month."""

Condition = Callable[[pa.RecordBatch], pa.Array]
"""Returns a mask of the anomalous rows; null counts as no."""


def conditions(dataset: Dataset, month: Month) -> dict[str, Condition]:
    """Return each anomaly's condition by its name."""
    found: dict[str, Condition] = {}
    no_passengers, first_zone, last_zone = constants([0, 1, ZONES], pa.int64())
    zero, absurd = constants([0, ABSURD_MILES], pa.float64())
    pickup, dropoff = dataset.one("pickup_time"), dataset.one("dropoff_time")
    if pickup:
        first, after = constants([_midnight(m) for m in (month, month.plus(1))], MICROSECONDS)
        found["pickup_before_month"] = lambda rows: pc.less(rows[pickup.name], first)
        found["pickup_after_month"] = lambda rows: pc.greater_equal(rows[pickup.name], after)
    if pickup and dropoff:
        found["dropoff_before_pickup"] = lambda rows: pc.less(rows[dropoff.name], rows[pickup.name])
    amounts = [column for column in (dataset.one("total"), dataset.one("amount")) if column]
    if amounts:
        found["negative_amount"] = _any(amounts, lambda values: pc.less(values, zero))
    if passengers := dataset.one("passengers"):
        found["zero_passengers"] = lambda rows: pc.equal(rows[passengers.name], no_passengers)
    if distance := dataset.one("distance"):
        found["absurd_distance"] = _any([distance], lambda miles: _outside(miles, zero, absurd))
    if zones := dataset.by_role("pickup_zone", "dropoff_zone"):
        found["unknown_zone"] = _any(zones, lambda values: _outside(values, first_zone, last_zone))
    vendor = dataset.one("vendor")
    if vendor and vendor.labels:
        known = constants(sorted(vendor.labels), pa.int64())
        found["unknown_vendor"] = lambda rows: pc.and_(
            rows[vendor.name].is_valid(), pc.invert(pc.is_in(rows[vendor.name], known))
        )
    if {"RatecodeID", "store_and_fwd_flag"} <= {column.name for column in dataset.columns}:
        # The records of some vendors come without these fields, whole blocks of them at a file's end (TLC's Parquet
        # since 2019-06). Payment type is 0 or NULL there, passengers are NULL before they are filled.
        found["null_block"] = lambda rows: pc.and_(rows["RatecodeID"].is_null(), rows["store_and_fwd_flag"].is_null())
    return found


class AnomalyCounter:
    """Counts a month's anomalies over its cleaned rows."""

    def __init__(self, dataset: Dataset, month: Month) -> None:
        self._conditions = conditions(dataset, month)
        self.counts = Counter(dict.fromkeys(self._conditions, 0))

    def add(self, rows: pa.RecordBatch) -> None:
        """Count the anomalies of these rows."""
        for name, condition in self._conditions.items():
            self.counts[name] += pc.sum(condition(rows)).as_py() or 0


def anomaly_shares(name: str, records: Iterable[CleanedFile]) -> tuple[float, ...]:
    """Return an anomaly's share of the rows, 0 to 1, in each month that counted it."""
    return tuple(each.anomalies[name] / max(each.cleaned_rows, 1) for each in records if name in each.anomalies)


def earlier_months(staging: Staging, dataset: str, month: Month) -> list[CleanedFile]:
    """Return the records of the months that a month is compared with: those of the year before that are there."""
    months = [month.plus(-back) for back in range(1, MONTHS_COMPARED + 1)]
    return [found for each in months if (found := staging.find(CleanedFile, "cleaned", dataset, each))]


def is_unusual(share: float, earlier_shares: Sequence[float], rows: int) -> bool:
    """Whether an anomaly's share has risen well above its earlier level. Checks and reports both ask this.

    A month with less than `MIN_EARLIER_MONTHS` to compare, or with less than `MIN_ROWS` rows, is never unusual: its
    shares are chance. Nor is one that improved.

    Args:
        share: The anomaly's share of the month's rows, 0 to 1.
        earlier_shares: Its shares in the months before, in any order.
        rows: Rows of the month.
    """
    if len(earlier_shares) < MIN_EARLIER_MONTHS or rows < MIN_ROWS:
        return False
    return share > max(UNUSUAL_SHARE, UNUSUAL_FACTOR * statistics.median(earlier_shares))


def _any(columns: Sequence[Column], odd: Callable[[pa.Array], pa.Array]) -> Condition:
    return lambda rows: reduce(pc.or_kleene, (odd(rows[column.name]) for column in columns))


def _outside(values: pa.Array, low: pa.Scalar, high: pa.Scalar) -> pa.Array:
    return pc.or_(pc.less(values, low), pc.greater(values, high))


def _midnight(month: Month) -> int:
    """Return the microseconds from 1970-01-01 to a month's first midnight."""
    return (month.first_day - date(1970, 1, 1)).days * 86_400_000_000
