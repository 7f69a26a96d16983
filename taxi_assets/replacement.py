"""What may replace a month that has landed: nothing that would erase most of it, unless a person accepts that."""

from __future__ import annotations

from taxi_assets.errors import PermanentError
from taxi_assets.records import CleanedFile, LakeObject, RawFile

MIN_SHARE = 0.5
"""Rows of a new version of a month, as a share of those before, below which it counts as damaged. TLC's own new
editions of a month differ by less than 1%."""

USUAL_SHARES = 0.9, 1.5
"""Rows of a new version, as shares of those before, outside which it is doubted."""


def is_usual(rows: int, rows_before: int | None) -> bool:
    """Whether a version of a month has about as many rows as the month had before; so is any if it had none."""
    fewest, most = USUAL_SHARES
    return not rows_before or rows_before * fewest <= rows <= rows_before * most


def check_replacement(
    new: RawFile | CleanedFile | LakeObject, rows_before: int, *, accepted: bool, location: str = ""
) -> None:
    """Refuse a version of a month with none, or under half, of the rows that the month has had.

    Args:
        new: The new version.
        rows_before: Rows that the month has had where it would be replaced; 0 if it was never there.
        accepted: Whether a person accepts fewer rows.
        location: Where the month would be replaced.

    Raises:
        PermanentError: It has too few rows; nothing has changed.
    """
    looked_at, options = "the file at the source", "--accept-row-count"
    if isinstance(new, RawFile):
        what, rows = "the new file", new.source_rows
    elif isinstance(new, CleanedFile):
        what, rows = "the cleaned file", new.cleaned_rows
    else:
        what, rows = "the object", new.rows
        looked_at, options = "the object and where it comes from", f"--from-lake {options}"
    if rows >= rows_before * MIN_SHARE or (rows and accepted):
        return
    found = f"{rows:,} rows, under half of the {rows_before:,} that the month has had"
    raise PermanentError(
        f"{what} has {found if rows else 'no rows'}; the month stays as it is",
        location=location,
        remedy=f"look at {looked_at}. If it is right: taxi-assets run {new.dataset} {new.month} {options}, or "
        "accept_row_count in the launchpad"
        if rows
        else "ask TLC, or wait until the file is published again",
    )
