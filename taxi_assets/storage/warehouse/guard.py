"""What no load may do to a month, whatever the object: erase it, or most of it."""

from __future__ import annotations

from taxi_assets.errors import PermanentError
from taxi_assets.records import LakeObject
from taxi_assets.replacement import check_replacement

_REMEDY = (
    "look at the object and its source. If it is right, launch bigquery_table for the month, with accept_fewer_rows in "
    "the launchpad"
)


def check_object(stored: LakeObject, rows_before: int, location: str) -> None:
    """Refuse an object that would erase most of a month, and one from elsewhere that has no rows.

    An object that this project made has as many rows as the checks of raw and cleaned file have seen.
    """
    made_here = bool(stored.source_sha256)
    if stored.rows == 0 and not made_here:
        raise PermanentError("the object has no rows", location=location, remedy="look at the object and its source")
    check_replacement("the object", stored.rows, rows_before, stored, location, "" if made_here else _REMEDY)
