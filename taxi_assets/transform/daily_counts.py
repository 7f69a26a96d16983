"""Trips by day of pick-up, counted while a month is cleaned; the charts use them."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa

from taxi_assets.contracts.model import Dataset
from taxi_assets.months import Month

_DAY = 86_400_000_000
"""Microseconds."""


class DayCounter:
    """Counts a month's trips by day of pick-up; trips dated outside the month are not counted."""

    def __init__(self, dataset: Dataset, month: Month) -> None:
        self._pickup = dataset.one("pickup_time")
        self._first = (month.first_day - date(1970, 1, 1)).days
        self._days = (month.plus(1).first_day - month.first_day).days
        self._seen = np.zeros(self._days, np.int64)

    def add(self, rows: pa.RecordBatch) -> None:
        """Count the trips of these rows."""
        if self._pickup is None:
            return
        times = rows[self._pickup.name].drop_null().view(pa.int64()).to_numpy()
        days = times // _DAY - self._first
        self._seen += np.bincount(days[(days >= 0) & (days < self._days)], minlength=self._days)

    @property
    def counts(self) -> tuple[int, ...]:
        """Trips of each day, the first of the month first."""
        return tuple(self._seen.tolist())
