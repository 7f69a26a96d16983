"""What may replace a month that has landed: nothing that would erase most of it, unless a person accepts that."""

from __future__ import annotations

from taxi_assets.errors import PermanentError
from taxi_assets.records import MonthRecord

MIN_SHARE = 0.5
"""Rows of a new version of a month, as a share of those before, below which it counts as damaged. TLC's own new
editions of a month differ by less than 1%."""


def check_replacement(
    what: str, rows: int, rows_before: int, record: MonthRecord, location: str = "", remedy: str = ""
) -> None:
    """Refuse a version of a month with under half of the rows that the month has.

    Args:
        what: What has the new rows, such as `the new file`.
        rows: Its rows.
        rows_before: Rows of the month where it would be replaced; 0 if it is not there, or a person accepts any number.
        record: The record of what has the new rows.
        location: Where the month would be replaced.
        remedy: What to do; by default, to look at the source's file.

    Raises:
        PermanentError: It has too few rows; nothing has changed.
    """
    if rows >= rows_before * MIN_SHARE:
        return
    raise PermanentError(
        f"{what} has {rows:,} rows, under half of the {rows_before:,} that the month has; the month stays as it is",
        location=location,
        remedy=remedy
        or "look at the file at the source. If it is right: "
        f"taxi-assets run {record.dataset} {record.month} --accept-fewer-rows, or accept_fewer_rows in the launchpad",
    )
