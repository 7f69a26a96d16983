"""Map a file's header to the contract: by its names, never by the month alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from taxi_assets.contracts.model import STRAY_NAMES, Column, Dataset, fold
from taxi_assets.errors import PermanentError
from taxi_assets.months import Month


class UnknownHeaderError(PermanentError):
    """The header lacks a column that every file of the dataset has."""


@dataclass(frozen=True)
class SourceColumn:
    """A column of a file.

    Attributes:
        position: Its position, counted from 0.
        name: Its name as published.
    """

    position: int
    name: str


@dataclass(frozen=True)
class ColumnMapping:
    """Which columns of a file become which columns of the contract.

    Attributes:
        sources: Each column of the contract that the file has, with the file's columns that hold it, the preferred
            first.
        unknown: The file's columns that the contract does not know.
        absent: Names of columns that the contract expects in the month and the file lacks.
    """

    sources: tuple[tuple[Column, tuple[SourceColumn, ...]], ...]
    unknown: tuple[SourceColumn, ...]
    absent: tuple[str, ...]


def map_header(
    dataset: Dataset, month: Month, columns: Sequence[SourceColumn], location: str, source_format: str = "csv"
) -> ColumnMapping:
    """Match a file's columns with a dataset's contract.

    Args:
        dataset: The contract.
        month: The month whose file it is; it decides which columns are expected.
        columns: The file's columns in order.
        location: Dataset, month and file, for the error.
        source_format: Format of the file; it decides too.

    Raises:
        UnknownHeaderError: A column is missing that every file of the dataset has.
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
            f"unrecognized {dataset.name} header: it lacks {', '.join(missing)}; unknown names: {new}",
            location=location,
            remedy=f"check that this is a {dataset.name} file; if TLC renamed a column, add the name to its aliases in "
            f"taxi_assets/contracts/{dataset.name}.py",
        )
    absent = tuple(
        column.name
        for column in dataset.columns
        if column.expected_in(month, source_format) and not have & {column.name, column.replaced_by}
    )
    return ColumnMapping(tuple(sources), unknown, absent)


def check_drift(
    dataset: Dataset, absent: Sequence[str], unknown: Mapping[str, int], accepted: Collection[str], location: str
) -> tuple[str, ...]:
    """Refuse a file that lacks an expected column while it has values in an unknown one: probably a renamed column.

    Args:
        dataset: The contract.
        absent: Columns that the month should have and lacks.
        unknown: Columns that the contract does not know, with the number of their values.
        accepted: Columns, absent or unknown, to which this does not apply; `column`, or `dataset.column`.
        location: Dataset, month and file, for the error.

    Returns:
        The columns that only `accepted` let pass.

    Raises:
        UnknownHeaderError: A column may have been renamed.
    """
    suspects = {name: count for name, count in unknown.items() if count}
    if not (absent and suspects):
        return ()
    pardoned = {fold(name.removeprefix(f"{dataset.name}.")) for name in accepted}
    lost = [name for name in absent if fold(name) not in pardoned]
    new = [f"{name} ({count:,} values)" for name, count in suspects.items() if fold(name) not in pardoned]
    if lost and new:
        names = ",".join(name for name in suspects if fold(name) not in pardoned)
        raise UnknownHeaderError(
            f"a column may have been renamed: expected {', '.join(lost)} and found unknown {', '.join(new)}",
            location=location,
            remedy=f"if it is the same column, add the name to the aliases of the column in taxi_assets/contracts; "
            f"if not, add it to TAXI_ACCEPTED_DRIFT: {names}",
        )
    return tuple(name for name in (*absent, *suspects) if fold(name) in pardoned)
