"""The ledger of rows: for each month, what was published, what became of it, and where it is.

Built from the records and from what the stores themselves report, not from what a run claimed. No Dagster.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import TYPE_CHECKING

from taxi_assets.contracts import DATASETS
from taxi_assets.contracts.model import Dataset
from taxi_assets.errors import TaxiError
from taxi_assets.ledger_row import LedgerRow, imbalances, not_landed, unlanded, with_status
from taxi_assets.months import Month
from taxi_assets.records import CleanedFile, LakeObject, RawFile
from taxi_assets.settings import Settings
from taxi_assets.storage.factory import build_lake, build_postgres, build_staging, build_warehouse
from taxi_assets.storage.files import crc32c_of, sha256_of
from taxi_assets.transform.quality import notes_of, require_ledger

if TYPE_CHECKING:
    from taxi_assets.storage.warehouse.postgres import PostgresStore

_STAGES: dict[str, type[RawFile | CleanedFile]] = {"raw": RawFile, "cleaned": CleanedFile}
_MISSING = "the cleaned file is missing, and perhaps the raw one; land the month again with `taxi-assets run`"
_OF_OTHERS = "someone else put the object in the lake"
_ELSEWHERE = (
    "the raw and cleaned files are not on this machine, so only object and tables can be compared; look on the machine "
    "that landed the month, give both the same TAXI_WORK_URL, or land it again with `taxi-assets run`"
)


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
            row = self._of_records(LedgerRow(dataset.name, str(month)), cleaned, stored)
            if month in loaded:
                row = dataclasses.replace(row, table=f"{self._schema}.{dataset.table}", table_rows=loaded[month])
            if copied is not None:
                in_postgres, left_out = copied.get(month, (0, 0))
                row = dataclasses.replace(row, postgres_rows=in_postgres, postgres_dropped_rows=left_out)
            if stored and loaded_from.get(month, stored.sha256) != stored.sha256:
                error = not_landed(row, ": the table was loaded from other bytes than the object has")
            is_anew = bool(cleaned and stored and _differ(cleaned, stored))
            if is_anew or not (stored or row.table):
                error = error or self._stopped_by_check(cleaned)
            error = error or unlanded(row, month in loaded_from, month in (copied or {})) or unreachable
            rows[month] = with_status(row, error, is_anew=is_anew)
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
        ours = stored if stored and stored.is_ours else None
        if record and ours and ours.sha256 != record.sha256:
            wrong.append("the object has other bytes than the cleaned file")
        elif record and ours and ours.crc32c and ours.crc32c != crc32c_of(self._staging.path(record.file)):
            wrong.append("the bucket's own checksum of the object (CRC32C) is not the cleaned file's")
        try:
            if stored and row.table:
                wrong += self._warehouse.verify_month(dataset, stored)
            copied = row.postgres_rows is not None and row.status != "not_loaded"
            if isinstance(record, CleanedFile) and self._postgres and copied:
                wrong += self._postgres.verify_month(dataset, record, self._staging.path(record.file))
        except TaxiError as error:
            wrong.append(str(error))
        return wrong + imbalances(row, is_ours=stored is None or stored.is_ours)

    def verified(self, row: LedgerRow) -> LedgerRow:
        """Return the row as `verify` finds it: failed, with what to do, if something does not hold."""
        wrong = self.verify(row)
        if not wrong:
            return row
        # causes in one line, and below it where and what to do, as the errors have it that are among them
        causes, *others = zip(*(each.partition("\n")[::2] for each in filter(None, [row.error, *wrong])), strict=True)
        below = next(filter(None, others[0]), f"what to do: taxi-assets run {row.dataset} {row.month} --reload")
        return dataclasses.replace(row, status="failed", error=f"{'; '.join(dict.fromkeys(causes))}\n{below}")

    def _of_records(self, row: LedgerRow, cleaned: CleanedFile | None, stored: LakeObject | None) -> LedgerRow:
        """Return the row with what the records of a month say."""
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
                notes="; ".join([*notes_of(cleaned), *([_OF_OTHERS] if stored and not stored.is_ours else [])]) or None,
            )
        elif stored:  # it was the cleaned file
            row = dataclasses.replace(
                row,
                source_sha256=stored.source_sha256,
                cleaned_rows=stored.rows,
                notes=_ELSEWHERE if self._is_shared else _MISSING,
            )
        return dataclasses.replace(row, object_uri=stored.file, object_rows=stored.rows) if stored else row

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


def _differ(cleaned: CleanedFile, stored: LakeObject) -> bool:
    """Whether an object that this project made is not the cleaned file; objects of others are as they are."""
    return stored.is_ours and stored.sha256 != cleaned.sha256
