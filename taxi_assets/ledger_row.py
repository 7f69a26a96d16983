"""A line of the ledger: what is known of one month, and what follows from it. No store is asked here."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from taxi_assets.errors import TaxiError


@dataclass(frozen=True)
class LedgerRow:
    """One month; the field names are those of `taxi-assets run --json`.

    Attributes:
        status: `landed`, `unchanged`, `not_published`, `failed`, or `not_loaded`: it has been cleaned or is in the
            lake, but it, or this version of it, is not in every table yet; and nothing says that something is wrong.
        error: Why it did not land, empty if it did.
        seconds: Time spent on the month, None where no run is looked at.
        postgres_rows: Rows in Postgres; None where no Postgres is configured.
        postgres_dropped_rows: Rows left out of Postgres for zero passengers.
        notes: What a person should know of a month that landed, such as an unknown column; None if nothing.
    """

    dataset: str
    month: str
    status: str = "landed"
    error: str = ""
    source_url: str = ""
    source_format: str = ""
    source_sha256: str = ""
    source_rows: int = 0
    cleaned_rows: int = 0
    dropped_rows: int = 0
    rejected_rows: int = 0
    object_uri: str = ""
    object_rows: int = 0
    table: str = ""
    table_rows: int = 0
    seconds: float | None = None
    postgres_rows: int | None = None
    postgres_dropped_rows: int | None = None
    notes: str | None = None

    @property
    def is_staged(self) -> bool:
        """Whether the staging area has the cleaned file, which knows what became of each source row."""
        return bool(self.source_format)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, seconds rounded to milliseconds; without those that are not known here."""
        known = {name: value for name, value in vars(self).items() if value is not None}
        return {name: round(value, 3) if name == "seconds" else value for name, value in known.items()}


def _missing_tables(row: LedgerRow) -> str:
    """Return where a month has no rows, `the warehouse`, `Postgres` or both; empty if it has rows in every table."""
    in_postgres = row.postgres_rows is None or row.postgres_rows or row.postgres_dropped_rows
    tables = {"the warehouse": row.table, "Postgres": in_postgres}
    return " and ".join(table for table, there in tables.items() if not there)


def with_status(row: LedgerRow, error: str, *, is_anew: bool) -> LedgerRow:
    """Return the row of a month with its status: failed if there is an error.

    `is_anew` says whether it was cleaned again, and the lake does not have that version.
    """
    if error:
        return dataclasses.replace(row, status="failed", error=error)
    month, tables = f"{row.dataset} {row.month}", _missing_tables(row)
    if not (tables or is_anew):
        return row
    if is_anew:
        waits = "the cleaned file and the object in the lake are different versions"
    elif row.object_uri:
        waits = f"in the lake, not loaded into {tables} yet"
    else:
        waits = f"cleaned, but neither in the lake nor loaded into {tables} yet"
    from_lake = " --from-lake" if row.object_uri and tables == "the warehouse" and not is_anew else ""
    error = str(TaxiError(f"{month}: {waits}", remedy=f"taxi-assets run {month}{from_lake}"))
    return dataclasses.replace(row, status="not_loaded", error=error)


def unlanded(row: LedgerRow, was_loaded: bool, was_copied: bool) -> str:
    """Return why a month cannot count as landed; empty if it can, or is on its way.

    `was_loaded` and `was_copied` say whether the warehouse and Postgres record that they loaded it.
    """
    if not row.object_uri and (row.table or not row.is_staged):
        return not_landed(row, f" is not in the lake{'' if row.table else ' and not in the warehouse'}")
    for table, was in (("the warehouse", was_loaded), ("Postgres", was_copied)):
        if was and table in _missing_tables(row):
            return not_landed(row, f" was loaded into {table}, and is not there any more")
    if row.table and row.object_rows != row.table_rows:
        return not_landed(row, f": the object has {row.object_rows:,} rows, the table {row.table_rows:,}")
    return ""


def not_landed(row: LedgerRow, why: str) -> str:
    """Return the error of a month that has not landed for this reason."""
    remedy = f"land the rest, or see why it fails: taxi-assets run {row.dataset} {row.month}"
    return str(TaxiError(f"{row.dataset} {row.month}{why}", remedy=remedy))


def imbalances(row: LedgerRow, *, is_ours: bool = True) -> list[str]:
    """Return which counts of a month do not add up.

    `is_ours` says whether the object was made from the cleaned file; if someone else put it, the table is its own.
    """
    wrong: list[str] = []
    if not (row.is_staged or row.object_uri):
        return wrong  # nothing to compare with
    if row.is_staged and row.cleaned_rows + row.dropped_rows + row.rejected_rows != row.source_rows:
        wrong.append(
            f"{row.source_rows:,} source rows are not {row.cleaned_rows:,} cleaned + {row.dropped_rows:,} dropped + "
            f"{row.rejected_rows:,} rejected"
        )
    expected = row.cleaned_rows if is_ours else row.object_rows
    for where, there, rows in (("object", row.object_uri, row.object_rows), ("table", row.table, row.table_rows)):
        if there and rows != expected:
            wrong.append(f"the {where} has {rows:,} rows, not {expected:,}")
    copied = (row.postgres_rows or 0) + (row.postgres_dropped_rows or 0)
    if row.postgres_rows is not None and row.status != "not_loaded" and copied != row.cleaned_rows:
        wrong.append(
            f"Postgres has {row.postgres_rows:,} rows and left out {row.postgres_dropped_rows:,}; together they should "
            f"be {row.cleaned_rows:,}"
        )
    return wrong
