"""Records as a person sees them in the UI: numbers that plot, links, tables, a preview."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from taxi_assets.contracts.model import Column, Dataset
from taxi_assets.contracts.schemas import TYPES
from taxi_assets.names import RAW_FILE
from taxi_assets.records import CleanedFile, LakeObject, RawFile, TableMonth
from taxi_assets.reports import sparkline
from taxi_assets.reports.labels import label_of
from taxi_assets.storage.base import Staging
from taxi_assets.storage.google.console import job_url, object_url, partition_url

if TYPE_CHECKING:
    from taxi_assets.reports.report import ReportFile

INLINE_CHARACTERS = 1000
"""Dagster 1.13 shows Markdown of fewer characters in place, and longer Markdown behind a click."""

PREVIEW_ROWS = 5


def of_raw(raw: RawFile, location: str, *, changed: bool) -> dict[str, Any]:
    """Return the metadata of a raw month, whose file lies there."""
    return {
        "dagster/partition_row_count": raw.source_rows,
        "source_url": dg.MetadataValue.url(raw.source_url),
        "path": dg.MetadataValue.path(location),
        "bytes": raw.bytes,
        "sha256": raw.sha256,
        "format": f"{raw.format}, {raw.compression}",
        "etag": raw.etag,
        "last_modified": raw.last_modified,
        "changed": changed,
        **({} if raw.most_rows is None else {"rows_before": raw.most_rows}),
    }


def of_cleaned(cleaned: CleanedFile, staging: Staging, *, changed: bool) -> dict[str, Any]:
    """Return the metadata of a cleaned month: the chart, the ledger, the effects of rules, anomalies, a preview.

    Args:
        cleaned: The month.
        staging: Where its files are.
        changed: Whether it is new.
    """
    has_passengers = "zero_passengers" in cleaned.anomalies
    counts = {
        "source rows": cleaned.source_rows,
        "cleaned rows": cleaned.cleaned_rows,
        "dropped by a rule": cleaned.dropped_rows,
        "rejected": cleaned.rejected_rows,
        **({"passenger counts filled with 0": cleaned.filled_passengers} if has_passengers else {}),
    }
    anomalies = {label_of(name): count for name, count in cleaned.anomalies.items()}
    return {
        "dagster/partition_row_count": cleaned.cleaned_rows,
        **_chart(cleaned, staging),
        "ledger": dg.MetadataValue.md(_two_columns(("rows", "count"), counts)),
        "anomalies": dg.MetadataValue.md(_two_columns(("anomaly", "rows"), anomalies)),
        "preview": dg.MetadataValue.md(preview(pq.ParquetFile(staging.path(cleaned.file)).iter_batches(PREVIEW_ROWS))),
        "path": dg.MetadataValue.path(staging.location(cleaned.file)),
        "bytes": cleaned.bytes,
        "sha256": cleaned.sha256,
        "transform_version": cleaned.transform_version,
        "source_rows": cleaned.source_rows,
        "dropped_rows": cleaned.dropped_rows,
        "rejected_rows": cleaned.rejected_rows,
        "rejected_share": cleaned.rejected_share,
        **({"filled_passengers": cleaned.filled_passengers} if has_passengers else {}),
        **{f"anomaly/{name}": count for name, count in cleaned.anomalies.items()},
        **({"rejects": dg.MetadataValue.path(staging.location(cleaned.rejects_file))} if cleaned.rejects_file else {}),
        "changed": changed,
    }


def of_object(stored: LakeObject) -> dict[str, Any]:
    """Return the metadata of an object in the lake."""
    return {
        "dagster/uri": dg.MetadataValue.url(stored.file),
        **place(stored.file),
        "dagster/partition_row_count": stored.rows,
        "bytes": stored.bytes,
        "sha256": stored.sha256,
        "generation": stored.generation,
        "changed": stored.changed,
    }


def place(uri: str) -> dict[str, Any]:
    """Return where a person finds a file of the lake: its page in Google's console, or its path."""
    if uri.startswith("gs://"):
        return {"console": dg.MetadataValue.url(object_url(uri))}
    return {"path": _opened(uri)}


def of_table(loaded: TableMonth, path: str = "") -> dict[str, Any]:
    """Return the metadata of a month in a table; `path` is the file that holds the table, if one does."""
    return {
        "dagster/table_name": loaded.file,
        "query": dg.MetadataValue.md(_query(loaded)),
        **({"path": dg.MetadataValue.path(path)} if path else {}),
        "dagster/partition_row_count": loaded.rows,
        "dropped_rows": loaded.dropped_rows,
        "bytes": loaded.bytes,
        "sha256": loaded.sha256,
        "changed": loaded.changed,
        **({"unknown_columns": list(loaded.unknown_columns)} if loaded.unknown_columns else {}),
        **(_console(loaded) if loaded.job else {}),
        **loaded.numbers,
    }


def _query(loaded: TableMonth) -> str:
    """Return SQL that shows the month, the same for DuckDB, BigQuery and Postgres."""
    sql = f"SELECT *\nFROM {loaded.file}\nWHERE source_month = '{loaded.month}-01'\nLIMIT 10"
    return f"```sql\n{sql}\n```"


def _console(loaded: TableMonth) -> dict[str, Any]:
    """Return the load job and the pages of Google's console on it and on the month of the table."""
    project = loaded.job.partition(":")[0]
    return {
        "job": loaded.job,
        "job_console": dg.MetadataValue.url(job_url(loaded.job)),
        "console": dg.MetadataValue.url(partition_url(project, loaded.file, loaded.month)),
    }


def of_report(report: ReportFile) -> dict[str, Any]:
    """Return the metadata of a month's report: where to open it, its first chart, figures that plot over the months."""
    days = sparkline.days_of(report.month, report.days)
    before = {day: trips for day, trips in zip(days, report.before, strict=True) if trips is not None}
    return {
        "report": _opened(report.file),
        "dagster/uri": dg.MetadataValue.url(report.file),
        "dagster/partition_row_count": report.rows,
        "trips_per_day": dg.MetadataValue.md(sparkline.markdown(report.month, days, before, report.rows)),
        **report.numbers,
        "bytes": report.bytes,
        "sha256": report.sha256,
    }


def column_schema(columns: Sequence[Column]) -> dg.TableSchema:
    """Return columns as the UI shows them, with their descriptions."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                c.name,
                TYPES[c.kind].duckdb,
                description=c.description,
                constraints=dg.TableColumnConstraints(nullable=c.nullable),
            )
            for c in columns
        ]
    )


def column_lineage(
    dataset: Dataset, upstream: dg.AssetKey, columns: Sequence[Column] | None = None
) -> dg.TableColumnLineage:
    """Return which columns of an upstream asset become which columns, the same for every month; only Dagster+ draws it.

    Args:
        dataset: The contract.
        upstream: Key of the asset that the columns come from; in `raw_file` they have any of the names that files have.
        columns: The columns, where they do not have the contract's names.
    """
    from_file = upstream.path[-1] == RAW_FILE
    contract = dataset.columns if from_file else dataset.table_columns  # a file has no `source_row`, `source_month`
    return dg.TableColumnLineage(
        {
            column.name: [
                dg.TableColumnDep(upstream, name)
                for name in ((source.name, *source.aliases) if from_file else (source.name,))
            ]
            for source, column in zip(contract, columns or contract, strict=True)
        }
    )


def dictionary(dataset: Dataset) -> dg.MetadataValue:
    """Return the link to the data dictionary."""
    return dg.MetadataValue.url(dataset.dictionary_url)


def _chart(cleaned: CleanedFile, staging: Staging) -> dict[str, Any]:
    days = sparkline.days_of(cleaned.month, cleaned.trips_per_day)
    if not days:  # a record from before trips were counted by day
        return {}
    # 52 weeks back is in the same month of the year before, but for its last day or two
    earlier = [staging.find(CleanedFile, "cleaned", cleaned.dataset, cleaned.month.plus(-back)) for back in (12, 11)]
    known = {
        day: trips
        for record in earlier
        if record
        for day, trips in sparkline.days_of(record.month, record.trips_per_day).items()
    }
    before = sparkline.year_before(days, known)
    return {"trips_per_day": dg.MetadataValue.md(sparkline.markdown(cleaned.month, days, before, cleaned.cleaned_rows))}


def _opened(uri: str) -> dg.MetadataValue:
    """Return a file's place as a browser opens it: a path, to be pasted, because no page may link to `file://`."""
    if uri.startswith("gs://"):
        return dg.MetadataValue.url(f"https://storage.cloud.google.com/{uri.removeprefix('gs://')}")
    return dg.MetadataValue.path(unquote(urlsplit(uri).path))


def preview(batches: Any) -> str:
    """Return the first rows as a Markdown table, a column a line; as many as Dagster shows without a click."""
    batch: pa.RecordBatch | None = next(iter(batches), None)
    if batch is None:
        return "no rows"
    rows, text = batch.to_pylist(), ""
    for count in range(len(rows), 0, -1):
        head = f"| column | {' | '.join(f'row {n + 1}' for n in range(count))} |"
        lines = [f"| {name} | {' | '.join(str(_shown(row[name])) for row in rows[:count])} |" for name in rows[0]]
        text = "\n".join([head, "|---" * (count + 1) + "|", *lines])
        if len(text) < INLINE_CHARACTERS:
            break
    return text


def _shown(value: Any) -> Any:
    return "" if value is None else str(value).replace("|", "\\|").replace("\n", " ")


def _two_columns(head: tuple[str, str], counts: dict[str, int]) -> str:
    return "\n".join([f"| {head[0]} | {head[1]} |", "|---|--:|", *(f"| {k} | {v:,} |" for k, v in counts.items())])
