"""Trips by day of pickup, counted while a month is cleaned: for the charts, and to recognize another month's file."""

from __future__ import annotations

from collections import Counter
from datetime import date

import numpy as np
import pyarrow as pa

from taxi_assets.contracts.model import Dataset
from taxi_assets.errors import PermanentError
from taxi_assets.months import Month

_DAY = 86_400_000_000
"""Microseconds."""

_ENOUGH_ROWS, _FEW_ROWS = 10, 3
"""More than half of the pickups outside the month fail it from ten on; of fewer, but three, all must be outside. (The
first eight rows of yellow 2019-01 include five of November and December.)"""


class DayCounter:
    """Counts a month's trips by day of pickup, and those outside the month by month."""

    def __init__(self, dataset: Dataset, month: Month) -> None:
        self._pickup = dataset.one("pickup_time")
        self._month = month
        self._first = (month.first_day - date(1970, 1, 1)).days
        self._days = (month.plus(1).first_day - month.first_day).days
        self._seen = np.zeros(self._days, np.int64)
        self._elsewhere: Counter[str] = Counter()
        self._swapped = 0

    def add(self, rows: pa.RecordBatch) -> None:
        """Count the trips of these rows."""
        if self._pickup is None:
            return
        times = np.from_dlpack(rows[self._pickup.name].drop_null().view(pa.int64()))  # to_numpy imports pandas
        days = times // _DAY - self._first
        inside = (days >= 0) & (days < self._days)
        self._seen += np.bincount(days[inside], minlength=self._days)
        if not inside.all():
            self._add_outside((days[~inside] + self._first).astype("datetime64[D]"))

    def _add_outside(self, days: np.ndarray) -> None:
        months = days.astype("datetime64[M]")
        self._elsewhere.update(dict(zip(*np.unique(months.astype(str), return_counts=True), strict=True)))
        # day and month swapped, they would lie in the month
        same_year = months.astype("datetime64[Y]") == np.datetime64(str(self._month.year), "Y")
        day_of_month = (days - months.astype("datetime64[D]")).astype(np.int64) + 1
        self._swapped += int(np.count_nonzero(same_year & (day_of_month == self._month.month)))

    @property
    def counts(self) -> tuple[int, ...]:
        """Trips of each day, the first of the month first."""
        return tuple(self._seen.tolist())

    def check(self, location: str) -> None:
        """Refuse a file most of whose trips belong to another month.

        Raises:
            PermanentError: More than half of the pickups are outside the month.
        """
        outside = int(self._elsewhere.total())
        total = outside + int(self._seen.sum())
        if total < _FEW_ROWS or outside * 2 <= total or (total < _ENOUGH_ROWS and outside < total):
            return
        (most, count), *_ = self._elsewhere.most_common(1)
        if self._swapped * 2 > outside:
            guess, remedy = "the dates look day-first", "write dates as year-month-day or month/day/year"
        elif count * 2 > outside:
            guess, remedy = f"this looks like {most}'s file", "check the address, and the file's name"
        else:
            guess, remedy = f"{len(self._elsewhere):,} other months occur, most often {most}", "check the file's dates"
        raise PermanentError(
            f"{outside:,} of {total:,} pickups are outside {self._month}: {guess}", location=location, remedy=remedy
        )
