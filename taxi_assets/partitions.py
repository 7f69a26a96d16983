"""The months of each dataset as Dagster partitions (https://docs.dagster.io/guides/build/partitions-and-backfills)."""

from __future__ import annotations

import dagster as dg

from taxi_assets.contracts.model import Dataset
from taxi_assets.months import Month


def partitions_of(dataset: Dataset) -> dg.MonthlyPartitionsDefinition:
    """Return a dataset's months, from its first to the last that TLC has normally published.

    A file appears one to two months after its month ends. `end_offset=-1` leaves out the month that has just ended; the
    one before it is published on most days, and when it is not, its run says so.
    """
    return dg.MonthlyPartitionsDefinition(start_date=partition_key(dataset.first_month), end_offset=-1)


def partition_key(month: Month) -> str:
    """Return Dagster's key of a month, such as `2021-01-01`."""
    return f"{month}-01"


def last_month(dataset: Dataset) -> Month:
    """Return the last month for which a dataset has a partition today."""
    key = partitions_of(dataset).get_last_partition_key()
    return Month.parse(key) if key else dataset.first_month
