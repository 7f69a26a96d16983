"""How many trips began on each day of a month, counted while the month is cleaned; for the charts."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa

from taxi_assets.contracts.model import Dataset
from taxi_assets.months import Month

_DAY = 86_400_000_000
"""Microseconds."""


class DayCounter:
    """Counts a month's trips by the day of their pick-up; trips dated outside of the month are left out."""

    def __init__(self, dataset: Dataset, month: Month) -> None:
        self._pickup = dataset.one("pickup_time")
        self._first = (month.first_day - date(1970, 1, 1)).days
        self._days = (month.plus(1).first_day - month.first_day).days
        self._seen = np.zeros(self._days, np.int64)

    def add(self, rows: pa.RecordBatch) -> None:
        """Count further rows."""
        if self._pickup is None:
            return
        moments = rows[self._pickup.name].drop_null().view(pa.int64()).to_numpy()
        days = moments // _DAY - self._first
        self._seen += np.bincount(days[(days >= 0) & (days < self._days)], minlength=self._days)

    @property
    def counts(self) -> tuple[int, ...]:
        """Trips of each day, the first of the month first."""
        return tuple(self._seen.tolist())
