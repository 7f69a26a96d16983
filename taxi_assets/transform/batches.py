"""Row batches: consecutive rows of a file, column by column, as published. `values` says what the columns mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import pyarrow as pa


class Reject(NamedTuple):
    """A row that could not be read: its line number (the header is line 1), the reason, and the whole row."""

    line_number: int
    column: str | None
    reason: str
    raw_text: str


@dataclass(frozen=True)
class RowBatch:
    """Consecutive rows of a file.

    Attributes:
        numbers: Each row's number in the file, from 1; damaged lines have numbers too, and leave gaps.
        columns: Their values as published, by the column's position in the file.
        locate: Returns the line number and raw text of a row, counted from 0.
        damaged: Lines in this part of the file that are not rows at all.
    """

    numbers: pa.Array
    columns: list[pa.Array]
    locate: Callable[[int], tuple[int, str]]
    damaged: list[Reject] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.numbers)


def display_text(column: pa.Array, row: int) -> str | None:
    """Return a value as a person would write it, or None if there is none."""
    value = column[row]
    if not value.is_valid:
        return None
    try:
        plain = value.as_py()
        return plain.decode("utf-8", "backslashreplace") if isinstance(plain, bytes) else str(plain)
    except (ValueError, OverflowError):  # a time that Python's datetime cannot hold
        return str(value.cast(pa.string()).as_py())
