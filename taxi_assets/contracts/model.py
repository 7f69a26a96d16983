"""What contracts are made of: `Column` and `Dataset`.

Each dataset's contract is in the module of its name; `schemas` turns a contract into each store's schema.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from taxi_assets.months import Month

Kind = Literal["int64", "float64", "string", "timestamp", "date"]
"""Type of a column, the same in every store. `timestamp` is New York wall time in microseconds, without a zone."""

Role = Literal[
    "pickup_time",
    "dropoff_time",
    "pickup_zone",
    "dropoff_zone",
    "vendor",
    "passengers",
    "distance",
    "amount",
    "total",
    "payment",
]
"""What a column means to code that serves every dataset (checks, charts, cleaning rules)."""


def fold(name: str) -> str:
    """Return a header name as contracts compare it: lower case, without space, underscores, quotes, byte-order mark.

    So `PULocationID`, `pu_location_id` and ` "PULocationID"` are one name.
    """
    return re.sub(r'[\s_"\ufeff-]', "", name).lower()


STRAY_NAMES = frozenset(
    fold(name) for name in ("", "__index_level_0__", "unnamed: 0", "data_file_year", "data_file_month")
)
"""Folded header names that programs left behind, ignored because they say nothing about a trip: row numbers of pandas
(TLC's yellow Parquet of 2010-02 and 2010-03 has `__index_level_0__`), the file's month in BigQuery's public tables."""


def table_of(dataset: str) -> str:
    """Return the name of a dataset's table, without its schema."""
    return f"{dataset}_trips"


@dataclass(frozen=True)
class Span:
    """Months in which files carry a column.

    Attributes:
        since: The first; None: the dataset's first.
        until: The last; None: they still do.
    """

    since: Month | None = None
    until: Month | None = None

    def __contains__(self, month: Month) -> bool:
        """Whether a month lies in the span."""
        return (self.since is None or self.since <= month) and (self.until is None or month <= self.until)


@dataclass(frozen=True)
class Column:
    """One column of a dataset's table.

    Attributes:
        name: TLC's current published name.
        kind: Type in every store.
        description: One sentence or two after TLC's data dictionary.
        role: What the column means to code that serves every dataset.
        required: No file lacks the column; a file without it is refused.
        nullable: A row without a value is kept. A row without a value in a column that is not nullable is rejected.
        since: First month whose file is expected to carry the column; None: the dataset's first.
        until: Last month whose file is expected to carry it; None: they still do.
        in_parquet: The same for Parquet files, where it differs; None: they never carry it. (TLC re-issued all months
            as Parquet in 2022, with other columns than its CSV files had.)
        replaced_by: A column that editions of the file may carry instead; where it is, this one is not expected.
        missing_words: Whether words such as NA and NULL stand for a missing value.
        aliases: Names it had in earlier files and has in other editions, in the order of preference if several are in
            one file. Case, space and underscores do not matter.
        codes: Earlier text codes and what they are today, keys in lower case. In an `int64` column every other text
            must be a whole number; in a `string` column other texts stay as they are.
        labels: Meaning of today's codes.
    """

    name: str
    kind: Kind
    description: str
    role: Role | None = None
    required: bool = False
    nullable: bool = True
    since: Month | None = None
    until: Month | None = None
    in_parquet: Span | Literal["same"] | None = "same"
    replaced_by: str = ""
    missing_words: bool = True
    aliases: tuple[str, ...] = ()
    codes: Mapping[str, int | str] = field(default_factory=dict, hash=False)
    labels: Mapping[int, str] = field(default_factory=dict, hash=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Folded names under which a file may carry the column, the preferred first."""
        return tuple(dict.fromkeys(fold(name) for name in (*self.aliases, self.name)))

    def span(self, source_format: str) -> Span | None:
        """Return the months whose files in a format are expected to carry the column; None: none of them."""
        return Span(self.since, self.until) if source_format == "csv" or self.in_parquet == "same" else self.in_parquet

    def expected_in(self, month: Month, source_format: str = "csv") -> bool:
        """Whether the file of `month` in a format is expected to carry the column."""
        span = self.span(source_format)
        return span is not None and month in span


SOURCE_MONTH = Column(
    "source_month",
    "date",
    "First day of the month in whose file TLC published the trip. Tables are partitioned by it; the pickup may lie "
    "outside the month.",
    nullable=False,
)

SOURCE_ROW = Column(
    "source_row",
    "int64",
    "Number of the trip's row in its file, from 1 (CSV: lines that are not blank, after the header). TLC publishes no "
    "key; `source_month` and `source_row` together are one. Rejected and dropped rows leave gaps.",
    nullable=False,
)


@dataclass(frozen=True)
class Dataset:
    """One of TLC's trip record datasets and its table.

    Attributes:
        name: As in TLC's file names: `{name}_tripdata_YYYY-MM`.
        title: As a person would call it.
        description: What its rows are.
        first_month: The first month TLC published.
        columns: The columns of the table as TLC names them today, without `source_row` and `source_month`.
        dictionary: TLC's data dictionary from which names and descriptions come.
        dictionary_url: Where it is on the web.
        preferred_format: The format that `TAXI_SOURCE=auto` asks for first, because it is the more complete one.
        late_after_days: Days after a month's end when it should have landed. Publication took 31 to 64 days in 2026,
            and once 93.
    """

    name: str
    title: str
    description: str
    first_month: Month
    columns: tuple[Column, ...]
    dictionary: str
    dictionary_url: str
    preferred_format: Literal["csv", "parquet"] = "csv"
    late_after_days: int = 75

    @property
    def table(self) -> str:
        """Name of the table, without its schema."""
        return table_of(self.name)

    @property
    def table_columns(self) -> tuple[Column, ...]:
        """The columns in Parquet and in every store: the contract's and, last, `source_row` and `source_month`."""
        return (*self.columns, SOURCE_ROW, SOURCE_MONTH)

    def file_stem(self, month: Month) -> str:
        """Return a month's file name without its extension, as TLC and the tutorial spell it."""
        return f"{self.name}_tripdata_{month}"

    def by_role(self, *roles: Role) -> tuple[Column, ...]:
        """Return the columns that have one of the roles, in table order."""
        return tuple(column for column in self.columns if column.role in roles)

    def one(self, role: Role) -> Column | None:
        """Return the first column with the role, or None."""
        return next(iter(self.by_role(role)), None)

    @property
    def fingerprint(self) -> str:
        """12 hexadecimal digits that change when a file would be read differently; a description does not count."""
        parts = [
            (c.name, c.kind, c.role, c.required, c.nullable, c.names, c.missing_words, sorted(c.codes.items()))
            for c in self.table_columns
        ]
        return hashlib.sha256(json.dumps([self.name, parts]).encode()).hexdigest()[:12]
