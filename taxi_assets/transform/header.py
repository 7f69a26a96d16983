"""Which column of a file is which column of the contract: by the header's names, never by the month alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from taxi_assets.contracts.model import STRAY_NAMES, Column, Dataset, fold
from taxi_assets.errors import PermanentError
from taxi_assets.months import Month


class UnknownHeaderError(PermanentError):
    """The header is of no era of the dataset."""


@dataclass(frozen=True)
class SourceColumn:
    """A column as the file has it.

    Attributes:
        position: Counted from 0.
        name: As published.
    """

    position: int
    name: str


@dataclass(frozen=True)
class ColumnMapping:
    """How a file's columns serve a contract.

    Attributes:
        sources: For each column of the contract that the file has, where its value stands, the preferred first.
        width: Number of columns that the header names.
        unknown: Columns that the contract does not know.
        absent: Names of columns that the contract expects in the month and the file does not have.
    """

    sources: tuple[tuple[Column, tuple[SourceColumn, ...]], ...]
    width: int
    unknown: tuple[SourceColumn, ...]
    absent: tuple[str, ...]


def map_header(dataset: Dataset, month: Month, columns: Sequence[SourceColumn], location: str) -> ColumnMapping:
    """Match a file's columns with a dataset's contract.

    Args:
        dataset: The contract.
        month: The month whose file it is; says which columns are expected.
        columns: The file's columns in order.
        where: Dataset, month and file, for the error.

    Raises:
        UnknownHeaderError: A column is missing that every era of the dataset has.
    """
    by_name: dict[str, list[SourceColumn]] = {}
    for column in columns:
        by_name.setdefault(fold(column.name), []).append(column)
    sources = []
    for wanted in dataset.columns:
        found = tuple(source for name in wanted.names for source in by_name.pop(name, ()))
        if found:
            sources.append((wanted, found))
    have = {wanted.name for wanted, _ in sources}
    unknown = tuple(column for name, group in by_name.items() if name not in STRAY_NAMES for column in group)
    missing = [column.name for column in dataset.columns if column.required and column.name not in have]
    if missing:
        new = ", ".join(column.name for column in unknown) or "none"
        raise UnknownHeaderError(
            f"the header is of no era of {dataset.name}: it lacks {', '.join(missing)}; names that are new: {new}",
            location=location,
            remedy=f"check that the file is {dataset.name}'s; if TLC renamed a column, add the name to the aliases in "
            f"taxi_assets/contracts/{dataset.name}.py",
        )
    absent = tuple(c.name for c in dataset.columns if c.expected_in(month) and c.name not in have)
    return ColumnMapping(tuple(sources), len(columns), unknown, absent)
