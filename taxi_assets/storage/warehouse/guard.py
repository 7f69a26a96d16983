"""What no load may do to a month, whatever the object: erase it, or most of it."""

from __future__ import annotations

from taxi_assets.errors import PermanentError
from taxi_assets.records import MIN_SHARE_OF_BEFORE, LakeObject


def check_replacement(stored: LakeObject, rows_before: int, location: str) -> None:
    """Refuse an object that would erase a month, or most of it.

    That is one without rows or, if it is from elsewhere, with far fewer than the table. Of an object that this project
    made, the checks of raw and cleaned file have seen how many rows it should have; without rows it may land where
    there was nothing.
    """
    made_here = bool(stored.source_sha256)
    if stored.rows == 0 and (rows_before or not made_here):
        what = "the object has no rows"
    elif not made_here and stored.rows < rows_before * MIN_SHARE_OF_BEFORE:
        what = f"the object has {stored.rows:,} rows, far fewer than the {rows_before:,} of {stored.month} in the table"
    else:
        return
    raise PermanentError(
        f"{what}; the month in the table stays",
        location=location,
        remedy="look at the object and its source. To replace the month all the same, delete its rows from the table, "
        f"WHERE source_month = '{stored.month.first_day}', and load it again",
    )
