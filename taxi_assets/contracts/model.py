"""What contracts are made of: `Column` and `Dataset`.

Each dataset's contract is in the module of its name; `schemas` turns a contract into each store's schema.
"""

from __future__ import annotations

import hashlib
import json
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

STRAY_NAMES = frozenset({"", "__index_level_0__", "unnamed: 0"})
"""Header names that a program left behind, in folded form: TLC's yellow Parquet of 2010-02 and 2010-03 carries pandas'
`__index_level_0__`. They hold row numbers, nothing about a trip, and are ignored."""


def fold(name: str) -> str:
    """Return a header name as contracts compare it: without surrounding space or byte-order mark, in lower case."""
    return name.strip().lstrip("\ufeff").strip().strip('"').strip().lower()


def table_of(dataset: str) -> str:
    """Return the name of a dataset's table, without its schema."""
    return f"{dataset}_trips"


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
        since: First month in which the column is expected; None: the dataset's first.
        until: Last month in which the column is expected; None: it still is.
        aliases: Names it had in earlier files, in the order of preference if several are in one file.
            Case and surrounding space do not matter.
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
    aliases: tuple[str, ...] = ()
    codes: Mapping[str, int | str] = field(default_factory=dict, hash=False)
    labels: Mapping[int, str] = field(default_factory=dict, hash=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Folded names under which a file may carry the column, the preferred first."""
        return tuple(dict.fromkeys(fold(name) for name in (*self.aliases, self.name)))

    def expected_in(self, month: Month) -> bool:
        """Whether a file of `month` is expected to carry the column."""
        return (self.since is None or self.since <= month) and (self.until is None or month <= self.until)


SOURCE_MONTH = Column(
    "source_month",
    "date",
    "First day of the month whose file the trip was published in. Tables are partitioned by it; the pickup may lie "
    "outside the month.",
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
        columns: The columns of the table as TLC names them today, without `source_month`.
        dictionary: TLC's data dictionary from which names and descriptions come.
    """

    name: str
    title: str
    description: str
    first_month: Month
    columns: tuple[Column, ...]
    dictionary: str

    @property
    def table(self) -> str:
        """Name of the table, without its schema."""
        return table_of(self.name)

    @property
    def table_columns(self) -> tuple[Column, ...]:
        """The columns as they stand in Parquet and in every store: the contract's and, last, `source_month`."""
        return (*self.columns, SOURCE_MONTH)

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
            (c.name, c.kind, c.role, c.required, c.nullable, c.names, sorted(c.codes.items())) for c in self.columns
        ]
        return hashlib.sha256(json.dumps([self.name, parts]).encode()).hexdigest()[:12]
