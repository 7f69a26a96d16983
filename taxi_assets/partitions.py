"""The months of each dataset as Dagster partitions."""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

from taxi_assets.contracts.model import Dataset
from taxi_assets.months import Month

MONTHS_PER_RUN = 12
"""Months that a backfill groups into one run. A run costs about 7 s before its first month (see FACTS of start-up in
docs/performance.md) and a month of 10,000 rows 0.2 s; a year in a run keeps both the overhead and what a crash
repeats small."""


def partitions_of(dataset: Dataset) -> dg.MonthlyPartitionsDefinition:
    """Return a dataset's months, from its first to the last that TLC has normally published.

    A month's file comes about 50 days after the month's end. `end_offset=-1` leaves out the month that has just ended;
    the one before is published on most days, and when it is not, its materialization says so.
    """
    return dg.MonthlyPartitionsDefinition(start_date=f"{dataset.first_month}-01", end_offset=-1)


def months_of(keys: list[str]) -> list[Month]:
    """Return the months of partition keys."""
    return [Month.parse(key) for key in keys]


def last_month(dataset: Dataset) -> Month:
    """Return a dataset's last month today."""
    key = partitions_of(dataset).get_last_partition_key()
    return Month.parse(key) if key else dataset.first_month


def ranges(months: Iterable[Month]) -> list[list[Month]]:
    """Group months into ranges without gaps, of at most as many as a backfill puts into a run."""
    groups: list[list[Month]] = []
    for month in sorted(months):
        if groups and month == groups[-1][-1].plus(1) and len(groups[-1]) < MONTHS_PER_RUN:
            groups[-1].append(month)
        else:
            groups.append([month])
    return groups
