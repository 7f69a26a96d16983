"""The ledger of rows: for each month, what was published, what became of it, and where it is.

Built from the records and from what the stores themselves report, not from what a run claimed. No Dagster.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taxi_assets.contracts import DATASETS
from taxi_assets.contracts.model import Dataset
from taxi_assets.errors import TaxiError
from taxi_assets.months import Month
from taxi_assets.records import CleanedFile, LakeObject, RawFile
from taxi_assets.settings import Settings
from taxi_assets.storage.factory import build_lake, build_postgres, build_staging, build_warehouse
from taxi_assets.storage.files import crc32c_of, sha256_of
from taxi_assets.transform.quality import drift_notes, require_ledger

if TYPE_CHECKING:
    from taxi_assets.storage.warehouse.postgres import PostgresStore

_STAGES: dict[str, type[RawFile | CleanedFile]] = {"raw": RawFile, "cleaned": CleanedFile}
_MISSING = "the raw and cleaned files are missing; land the month again with `taxi-assets run`"
_ELSEWHERE = (
    "the raw and cleaned files are not on this machine, so only object and tables can be compared; look on the machine "
    "that landed the month, give both the same TAXI_WORK_URL, or land it again with `taxi-assets run`"
)


@dataclass(frozen=True)
class LedgerRow:
    """One month; the field names are those of `taxi-assets run --json`.

    Attributes:
        status: `landed`, `unchanged`, `not_published`, `failed`, or `not_loaded`: it is cleaned, but not in every table
            yet, and neither its stores nor a check say that something is wrong with it.
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


class Ledger:
    """The ledger of the stores that the settings choose.

    Args:
        settings: Where to look.
    """

    def __init__(self, settings: Settings) -> None:
        self._schema, self._rejected_share_limit = settings.warehouse_schema, settings.rejected_share_limit
        self._is_shared = settings.profile == "gcp" and not settings.work_url  # other machines may have landed a month
        self._staging, self._lake = build_staging(settings), build_lake(settings)
        self._warehouse = build_warehouse(settings)
        self._postgres: PostgresStore | None = build_postgres(settings) if settings.postgres_url else None

    def rows(
        self, dataset: Dataset, months: Collection[Month] | None = None, *, warehouse: bool = True
    ) -> dict[Month, LedgerRow]:
        """Return what has landed.

        Args:
            dataset: The dataset.
            months: Months to look at; by default every month of which anything is there.
            warehouse: Whether to ask the warehouse.

        Returns:
            A row for each month of which something is there.

        Raises:
            TaxiError: The lake cannot be listed, or the warehouse cannot be asked.
        """
        loaded = self._warehouse.count_months(dataset.table, months) if warehouse else {}
        loaded_from = self._warehouse.loaded_checksums(dataset.table) if warehouse else {}
        copied, unreachable = self._in_postgres(dataset, months)
        there = {*loaded, *(month for month, (rows, _) in (copied or {}).items() if rows)}
        if months is None:
            there |= {*self._staging.months("cleaned", dataset.name), *self._lake.versions(dataset.name)}
        rows: dict[Month, LedgerRow] = {}
        for month in sorted(there if months is None else set(months)):
            cleaned = self._staging.find(CleanedFile, "cleaned", dataset.name, month)
            stored, error = self._in_lake(dataset, month)
            if not (cleaned or stored or error or month in there):
                continue
            row = LedgerRow(dataset.name, str(month))
            if cleaned:
                row = dataclasses.replace(
                    row,
                    source_url=cleaned.source_url,
                    source_format=cleaned.source_format,
                    source_sha256=cleaned.source_sha256,
                    source_rows=cleaned.source_rows,
                    cleaned_rows=cleaned.cleaned_rows,
                    dropped_rows=cleaned.dropped_rows,
                    rejected_rows=cleaned.rejected_rows,
                    notes="; ".join(drift_notes(cleaned)) or None,
                )
            elif stored:  # it was the cleaned file
                row = dataclasses.replace(
                    row,
                    source_sha256=stored.source_sha256,
                    cleaned_rows=stored.rows,
                    notes=_ELSEWHERE if self._is_shared else _MISSING,
                )
            if stored:
                row = dataclasses.replace(row, object_uri=stored.file, object_rows=stored.rows)
            if month in loaded:
                row = dataclasses.replace(row, table=f"{self._schema}.{dataset.table}", table_rows=loaded[month])
            if copied is not None:
                in_postgres, left_out = copied.get(month, (0, 0))
                row = dataclasses.replace(row, postgres_rows=in_postgres, postgres_dropped_rows=left_out)
            if stored and loaded_from.get(month, stored.sha256) != stored.sha256:
                error = _not_landed(row, ": the table was loaded from other bytes than the object has")
            error = error or ("" if stored else self._stopped_by_check(cleaned))
            error = error or _unlanded(row, month in loaded_from, month in (copied or {})) or unreachable
            rows[month] = _with_status(row, error)
        return rows

    def verify(self, row: LedgerRow) -> list[str]:
        """Read a month again everywhere and compare: every byte of its files, every value of its tables.

        Proved, if nothing is returned:

        - the raw file, the cleaned file and the object have the checksums recorded when they were made;
        - every source row is cleaned, dropped by a rule or rejected, and all stores have as many rows as were cleaned;
        - the DuckDB table has the object's values, and the Postgres table those of the cleaned file.

        Of Google's stores it proves the checksums and counts that they themselves report. It does not ask the source
        again, and cannot see a month that was wrong when it was published. Of a month that another machine
        landed in a shared lake, it compares object and tables.

        Returns:
            What does not hold, a sentence each.
        """
        dataset, month = DATASETS[row.dataset], Month.parse(row.month)
        wrong = []
        staged = not self._is_shared or any(month in self._staging.months(stage, dataset.name) for stage in _STAGES)
        for stage, kind in _STAGES.items():
            record = self._staging.find(kind, stage, row.dataset, month)
            if record is None:
                wrong += [f"the {stage} file is missing or has another size"] if staged else []
            elif sha256_of(self._staging.path(record.file)) != record.sha256:
                wrong.append(f"the {stage} file has other bytes than its record says")
        stored, _ = self._in_lake(dataset, month)
        if record and stored and stored.sha256 != record.sha256:
            wrong.append("the object has other bytes than the cleaned file")
        elif record and stored and stored.crc32c and stored.crc32c != crc32c_of(self._staging.path(record.file)):
            wrong.append("the bucket's own checksum of the object (CRC32C) is not the cleaned file's")
        try:
            if stored and row.table:
                wrong += self._warehouse.verify_month(dataset, stored)
            copied = row.postgres_rows is not None and row.status != "not_loaded"
            if isinstance(record, CleanedFile) and self._postgres and copied:
                wrong += self._postgres.verify_month(dataset, record, self._staging.path(record.file))
        except TaxiError as error:
            wrong.append(str(error))
        return wrong + _imbalances(row)

    def verified(self, row: LedgerRow) -> LedgerRow:
        """Return the row as `verify` finds it: failed, with what to do, if something does not hold."""
        wrong = self.verify(row)
        if not wrong:
            return row
        before = row.error if row.status == "failed" else ""
        # causes in one line, and below it where and what to do, as the errors have it that are among them
        causes, *others = zip(*(each.partition("\n")[::2] for each in filter(None, [before, *wrong])), strict=True)
        below = next(filter(None, others[0]), f"what to do: taxi-assets run {row.dataset} {row.month} --reload")
        return dataclasses.replace(row, status="failed", error=f"{'; '.join(causes)}\n{below}")

    def _in_lake(self, dataset: Dataset, month: Month) -> tuple[LakeObject | None, str]:
        """Return a month's object, or why it cannot be read: a damaged object concerns its own month only."""
        try:
            return self._lake.find(dataset.name, month), ""
        except TaxiError as error:
            return None, str(error)

    def _stopped_by_check(self, cleaned: CleanedFile | None) -> str:
        """Return why the ledger check keeps a month out of the lake; empty if it does not."""
        try:
            if cleaned:
                require_ledger(cleaned, self._rejected_share_limit, self._staging.location(cleaned.rejects_file))
        except TaxiError as error:
            return str(error)
        return ""

    def _in_postgres(
        self, dataset: Dataset, months: Collection[Month] | None
    ) -> tuple[dict[Month, tuple[int, int]] | None, str]:
        """Count the rows in Postgres.

        Returns:
            The rows of each month that was loaded, and how many its load left out; None if there is no Postgres, or if
            it cannot be asked, and then why: the ledger shows what is elsewhere all the same.
        """
        if not self._postgres:
            return None, ""
        try:
            counted = self._postgres.count_months(dataset.table, months)
            dropped = self._postgres.dropped_months(dataset.table)
        except TaxiError as error:
            return None, str(error)
        return {month: (counted.get(month, 0), dropped.get(month, 0)) for month in {*counted, *dropped}}, ""


def _missing_tables(row: LedgerRow) -> str:
    """Return where a month has no rows, `the warehouse`, `Postgres` or both; empty if it has rows in every table."""
    in_postgres = row.postgres_rows is None or row.postgres_rows or row.postgres_dropped_rows
    tables = {"the warehouse": row.table, "Postgres": in_postgres}
    return " and ".join(table for table, there in tables.items() if not there)


def _with_status(row: LedgerRow, error: str) -> LedgerRow:
    """Return the row of a month with its status: failed if there is an error."""
    if error:
        return dataclasses.replace(row, status="failed", error=error)
    if tables := _missing_tables(row):
        month = f"{row.dataset} {row.month}"
        so_far = "in the lake, not" if row.object_uri else "cleaned, but neither in the lake nor"
        error = str(TaxiError(f"{month}: {so_far} loaded into {tables} yet", remedy=f"taxi-assets run {month}"))
        return dataclasses.replace(row, status="not_loaded", error=error)
    return row


def _unlanded(row: LedgerRow, was_loaded: bool, was_copied: bool) -> str:
    """Return why a month cannot count as landed; empty if it can, or is on its way.

    `was_loaded` and `was_copied` say whether the warehouse and Postgres record that they loaded it.
    """
    if not row.object_uri and (row.table or not row.is_staged):
        return _not_landed(row, f" is not in the lake{'' if row.table else ' and not in the warehouse'}")
    for table, was in (("the warehouse", was_loaded), ("Postgres", was_copied)):
        if was and table in _missing_tables(row):
            return _not_landed(row, f" was loaded into {table}, and is not there any more")
    if row.table and row.object_rows != row.table_rows:
        return _not_landed(row, f": the object has {row.object_rows:,} rows, the table {row.table_rows:,}")
    return ""


def _not_landed(row: LedgerRow, why: str) -> str:
    remedy = f"land the rest, or see why it fails: taxi-assets run {row.dataset} {row.month}"
    return str(TaxiError(f"{row.dataset} {row.month}{why}", remedy=remedy))


def _imbalances(row: LedgerRow) -> list[str]:
    """Return which counts of a month do not add up."""
    wrong: list[str] = []
    if not (row.is_staged or row.object_uri):
        return wrong  # nothing to compare with
    if row.is_staged and row.cleaned_rows + row.dropped_rows + row.rejected_rows != row.source_rows:
        wrong.append(
            f"{row.source_rows:,} source rows are not {row.cleaned_rows:,} cleaned + {row.dropped_rows:,} dropped + "
            f"{row.rejected_rows:,} rejected"
        )
    for where, there, rows in (("object", row.object_uri, row.object_rows), ("table", row.table, row.table_rows)):
        if there and rows != row.cleaned_rows:
            wrong.append(f"the {where} has {rows:,} rows, not {row.cleaned_rows:,}")
    copied = (row.postgres_rows or 0) + (row.postgres_dropped_rows or 0)
    if row.postgres_rows is not None and row.status != "not_loaded" and copied != row.cleaned_rows:
        wrong.append(
            f"Postgres has {row.postgres_rows:,} rows and left out {row.postgres_dropped_rows:,}; together they should "
            f"be {row.cleaned_rows:,}"
        )
    return wrong
