"""Months and ranges of months: the unit in which TLC publishes and everything here is partitioned."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

_MONTH = re.compile(r"(\d{4})-(\d{2})(?:-01)?")


@dataclass(frozen=True, order=True)
class Month:
    """A calendar month; `str()` gives `2021-01`."""

    year: int
    month: int

    def __post_init__(self) -> None:
        """Refuse what is not a month.

        Raises:
            ValueError: The month is not within 1 to 12, or the year not within 1900 to 9999.
        """
        if not (1 <= self.month <= 12 and 1900 <= self.year <= 9999):
            raise ValueError(f"{self.year}-{self.month:02} is not a month; write a month as 2021-01")

    @classmethod
    def parse(cls, text: str) -> Month:
        """Read `2021-01`, or Dagster's partition key `2021-01-01`.

        Raises:
            ValueError: The text is neither.
        """
        match = _MONTH.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"{text!r} is not a month; write a month as 2021-01")
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def of(cls, day: date) -> Month:
        """Return the month in which a day lies."""
        return cls(day.year, day.month)

    @property
    def first_day(self) -> date:
        """The month's first day, the value of `source_month`."""
        return date(self.year, self.month, 1)

    def plus(self, months: int) -> Month:
        """Return the month that many months later (earlier if negative)."""
        index = self.year * 12 + self.month - 1 + months
        return Month(index // 12, index % 12 + 1)

    def __str__(self) -> str:
        """Return `2021-01`."""
        return f"{self.year:04}-{self.month:02}"


def months_between(first: Month, last: Month) -> Iterator[Month]:
    """Yield every month from `first` to `last`, both included."""
    while first <= last:
        yield first
        first = first.plus(1)


def format_months(months: Iterable[Month]) -> str:
    """Write months as `parse_months` reads them, a run of neighbors as a range: `2020-12,2021-02..2021-04`."""
    runs: list[list[Month]] = []
    for month in sorted(months):
        if runs and month == runs[-1][-1].plus(1):
            runs[-1].append(month)
        else:
            runs.append([month])
    return ",".join(f"{run[0]}..{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def parse_months(text: str) -> list[Month]:
    """Read one month (`2021-01`), a range (`2021-01..2021-03`), a year (`2021`), or several of them after commas.

    At the ends of a range, a year is its first and its last month.

    Returns:
        The months in ascending order, each once.

    Raises:
        ValueError: A part is not a month, or a range ends before it begins.
    """
    months: set[Month] = set()
    for part in text.split(","):
        first, dots, last = part.strip().partition("..")
        last = last if dots else first
        start, end = (
            Month.parse(f"{text}-{month}" if re.fullmatch(r"\d{4}", text) else text)
            for text, month in ((first, "01"), (last, "12"))
        )
        if end < start:
            raise ValueError(f"the range {part.strip()} ends before it begins")
        months.update(months_between(start, end))
    return sorted(months)
