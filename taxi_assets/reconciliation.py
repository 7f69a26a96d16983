"""The ledger as a person or a program reads it: for each month, what came in, what became of it, where it lies.

Built from the papers and from what the stores themselves say, not from what a run claimed. No Dagster.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from taxi_assets.contracts.model import Dataset, table_of
from taxi_assets.errors import TaxiError
from taxi_assets.months import Month
from taxi_assets.records import CleanedFile, RawFile
from taxi_assets.settings import Settings
from taxi_assets.storage.factory import build_lake, build_staging, build_warehouse
from taxi_assets.storage.files import sha256_of


@dataclass(frozen=True)
class LedgerRow:
    """One month; the field names are those of `taxi-assets run --json`.

    Attributes:
        status: `landed`, `unchanged`, `not_published` or `failed`.
        error: Why it failed or is not published, empty otherwise.
        seconds: Time spent on the month in this run.
        postgres_rows: Rows in Postgres; None where no Postgres is configured.
        postgres_dropped_rows: Rows that were left out of Postgres for zero passengers.
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
    seconds: float = 0.0
    postgres_rows: int | None = None
    postgres_dropped_rows: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields; those of Postgres only where there is one."""
        return {name: value for name, value in vars(self).items() if value is not None}


def ledger_of(settings: Settings, dataset: Dataset, months: Iterable[Month] | None = None) -> dict[Month, LedgerRow]:
    """Return what has landed.

    Args:
        settings: Say where to look.
        dataset: The dataset.
        months: Months to look at; by default every month of which anything is there.

    Returns:
        A row for each month of which something is there.

    Raises:
        TaxiError: Lake or warehouse cannot be asked.
    """
    staging, lake, warehouse = build_staging(settings), build_lake(settings), build_warehouse(settings)
    loaded = warehouse.count_months(table_of(dataset.name))
    copied, unasked = _in_postgres(settings, dataset, months)
    there = {*staging.months("cleaned", dataset.name), *loaded, *(copied or {})}
    rows: dict[Month, LedgerRow] = {}
    for month in sorted(there if months is None else set(months)):
        cleaned = staging.find(CleanedFile, "cleaned", dataset.name, month)
        stored = lake.find(dataset.name, month)
        if not (cleaned or stored or month in there):
            continue
        lacking = [name for name, there_ in (("lake", stored), ("warehouse", month in loaded)) if not there_]
        error = unasked or (_not_landed(dataset, month, lacking) if lacking else "")
        in_postgres, left_out = (None, None) if copied is None else copied.get(month, (0, 0))
        rows[month] = LedgerRow(
            dataset=dataset.name,
            month=str(month),
            status="failed" if error else "landed",
            error=error,
            source_url=cleaned.source_url if cleaned else "",
            source_format=cleaned.source_format if cleaned else "",
            source_sha256=cleaned.source_sha256 if cleaned else "",
            source_rows=cleaned.source_rows if cleaned else 0,
            cleaned_rows=cleaned.cleaned_rows if cleaned else 0,
            dropped_rows=cleaned.dropped_rows if cleaned else 0,
            rejected_rows=cleaned.rejected_rows if cleaned else 0,
            object_uri=stored.file if stored else "",
            object_rows=stored.rows if stored else 0,
            table=f"{settings.warehouse_schema}.{dataset.table}" if month in loaded else "",
            table_rows=loaded.get(month, 0),
            postgres_rows=in_postgres,
            postgres_dropped_rows=left_out,
        )
    return rows


def _not_landed(dataset: Dataset, month: Month, lacking: list[str]) -> str:
    what = f"{dataset.name} {month} is not in the {' and not in the '.join(lacking)}"
    return str(TaxiError(what, remedy=f"run it and see why: taxi-assets run {dataset.name} {month}"))


def _in_postgres(
    settings: Settings, dataset: Dataset, months: Iterable[Month] | None
) -> tuple[dict[Month, tuple[int, int]] | None, str]:
    """Look into Postgres, if there is one.

    Returns:
        The rows of each month, counted, and how many its load left out; None if there is no Postgres or it cannot be
        asked, and then why: what lies elsewhere is to be seen all the same.
    """
    if not settings.postgres_url:
        return None, ""
    from taxi_assets.storage.warehouse.postgres import PostgresStore

    store = PostgresStore(settings.postgres_url, settings.warehouse_schema)
    try:
        counted, dropped = store.count_months(dataset.table, months), store.dropped_months(dataset.table)
    except TaxiError as error:
        return None, str(error)
    return {month: (rows, dropped.get(month, 0)) for month, rows in counted.items()}, ""


def verify(settings: Settings, row: LedgerRow) -> list[str]:
    """Recount one month everywhere and read every byte of its files again.

    Returns:
        What does not hold, a sentence each; nothing if all is well.
    """
    staging, month = build_staging(settings), Month.parse(row.month)
    wrong = [row.error] if row.error else []
    for kind, stage in ((RawFile, "raw"), (CleanedFile, "cleaned")):
        record = staging.find(kind, stage, row.dataset, month)
        if record is None:
            wrong.append(f"the {stage} file is missing or has another size")
        elif sha256_of(staging.path(record.file)) != record.sha256:
            wrong.append(f"the {stage} file has other bytes than its papers say")
    stored = build_lake(settings).find(row.dataset, month)
    loaded = build_warehouse(settings).find_month(row.dataset, month, stored)
    if record and stored and stored.sha256 != record.sha256:
        wrong.append("the object has other bytes than the cleaned file")
    if stored and loaded and loaded.sha256 != stored.sha256:
        wrong.append("the table was loaded from other bytes than the object has")
    if row.cleaned_rows + row.dropped_rows + row.rejected_rows != row.source_rows:
        wrong.append(
            f"{row.source_rows:,} source rows are not {row.cleaned_rows:,} cleaned + {row.dropped_rows:,} dropped + "
            f"{row.rejected_rows:,} rejected"
        )
    for location, rows in (("object", row.object_rows), ("table", row.table_rows)):
        if rows != row.cleaned_rows:
            wrong.append(f"the {location} has {rows:,} rows, not {row.cleaned_rows:,}")
    if row.postgres_rows is not None and row.postgres_rows + (row.postgres_dropped_rows or 0) != row.cleaned_rows:
        wrong.append(
            f"Postgres has {row.postgres_rows:,} rows and left out {row.postgres_dropped_rows:,}; together they should "
            f"be {row.cleaned_rows:,}"
        )
    return wrong
