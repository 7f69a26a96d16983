"""Which objects a warehouse does not load, because they would erase most of a month."""

from __future__ import annotations

from taxi_assets.errors import PermanentError
from taxi_assets.records import LakeObject
from taxi_assets.replacement import check_replacement


def check_object(stored: LakeObject, rows_before: int, location: str, *, accepted: bool) -> None:
    """Refuse an object from elsewhere that has no rows, and any that `check_replacement` refuses.

    `rows_before` are those that were loaded last: what others have done to the table since does not count.
    """
    if stored.rows == 0 and not stored.is_ours:
        raise PermanentError("the object has no rows", location=location, remedy="look at the object and its source")
    check_replacement(stored, rows_before, accepted=accepted, location=location)
