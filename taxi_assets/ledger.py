"""The ledger as a person or a program reads it: for each month, what came in, what became of it, where it lies.

Built from the papers and from what the stores themselves say, not from what a run claimed. No Dagster.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from taxi_assets.contracts.model import Dataset, table_of
from taxi_assets.months import Month
from taxi_assets.settings import Settings
from taxi_assets.stores.profile import lake_of, warehouse_of
from taxi_assets.trips.papers import CleanedFile, RawFile
from taxi_assets.trips.workroom import Workroom, sha256_of


@dataclass(frozen=True)
class LedgerRow:
    """One month; the field names are those of `taxi-assets run --json`.

    Attributes:
        status: `landed`, `unchanged`, `not_published` or `failed`.
        error: Why it failed or is not published, empty otherwise.
        seconds: Time spent on the month in this run.
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


def ledger_of(settings: Settings, dataset: Dataset, months: Iterable[Month] | None = None) -> dict[Month, LedgerRow]:
    """Return what has landed.

    Args:
        settings: Say where to look.
        dataset: The dataset.
        months: Months to look at; by default every month of which anything is there.

    Returns:
        A row for each month of which something is there.
    """
    room, lake, warehouse = Workroom(settings.work_dir), lake_of(settings), warehouse_of(settings)
    loaded = warehouse.count_months(table_of(dataset.name))
    rows: dict[Month, LedgerRow] = {}
    for month in sorted(set(months if months is not None else [*room.months("cleaned", dataset.name), *loaded])):
        cleaned = room.find(CleanedFile, "cleaned", dataset.name, month)
        stored = lake.find(dataset.name, month)
        if not (cleaned or stored or month in loaded):
            continue
        rows[month] = LedgerRow(
            dataset=dataset.name,
            month=str(month),
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
        )
    return rows


def verify(settings: Settings, row: LedgerRow) -> list[str]:
    """Recount one month everywhere and read every byte of its files again.

    Returns:
        What does not hold, a sentence each; nothing if all is well.
    """
    room, month = Workroom(settings.work_dir), Month.parse(row.month)
    wrong = []
    for kind, shelf in ((RawFile, "raw"), (CleanedFile, "cleaned")):
        papers = room.find(kind, shelf, row.dataset, month)
        if papers is None:
            wrong.append(f"the {shelf} file is missing or has another size")
        elif sha256_of(room.path(papers.file)) != papers.sha256:
            wrong.append(f"the {shelf} file has other bytes than its papers say")
    if row.cleaned_rows + row.dropped_rows + row.rejected_rows != row.source_rows:
        wrong.append(
            f"{row.source_rows:,} source rows are not {row.cleaned_rows:,} cleaned + {row.dropped_rows:,} dropped + "
            f"{row.rejected_rows:,} rejected"
        )
    for where, rows in (("object", row.object_rows), ("table", row.table_rows)):
        if rows != row.cleaned_rows:
            wrong.append(f"the {where} has {rows:,} rows, not {row.cleaned_rows:,}")
    return wrong
