"""From a month as published to a month in the contract's names and types; every row is cleaned, dropped or rejected.

The file is read once, sheet by sheet (`sheets`), each column by what it means (`reading`), and written while the next
sheet is read (`shelving`). Rows that cannot be read go whole, with their line number and a reason, to a Parquet file
beside the cleaned one.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from taxi_assets.contracts.model import SOURCE_MONTH, Column, Dataset
from taxi_assets.contracts.schemas import arrow_schema, arrow_type
from taxi_assets.errors import PermanentError
from taxi_assets.records import CleanedFile, RawFile
from taxi_assets.storage.files import sha256_of
from taxi_assets.storage.staging.local import StagingArea
from taxi_assets.transform import parquet_writer as shelving
from taxi_assets.transform import values as reading
from taxi_assets.transform.anomalies import AnomalyCounter
from taxi_assets.transform.batches import CsvFile, ParquetFile, Reject, RowBatch, shown
from taxi_assets.transform.daily_counts import DayCounter
from taxi_assets.transform.header import ColumnMapping, SourceColumn, map_header
from taxi_assets.transform.rules import CleaningRules

_NOBODY = reading.constants([0], pa.int64())[0]


def transform_version(dataset: Dataset, rules: CleaningRules) -> str:
    """Return 12 hexadecimal digits that change when contract, meaning of values, layout of the file or rules do."""
    parts = [dataset.fingerprint, reading.PARSER_VERSION, shelving.FILE_LAYOUT, repr(rules)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def clean_month(
    dataset: Dataset, raw: RawFile, staging: Staging, *, rules: CleaningRules | None = None
) -> tuple[CleanedFile, bool]:
    """Clean a raw month and put it on the cleaned shelf, unless the same source was cleaned in the same way.

    Returns:
        The month's papers, and whether they are new.

    Raises:
        PermanentError: The header is of no era of the dataset, the file is damaged, or the ledger does not add up.
    """
    rules = rules or CleaningRules()
    made_with = transform_version(dataset, rules)
    known = staging.find(CleanedFile, "cleaned", dataset.name, raw.month)
    if known and (known.source_sha256, known.transform_version) == (raw.sha256, made_with) and staging.intact(known):
        return known, False
    location = f"{dataset.name} {raw.month}, {raw.source_url}"
    stem = f"cleaned/{dataset.name}/{dataset.file_stem(raw.month)}"
    metadata = {
        "dataset": dataset.name,
        "month": str(raw.month),
        "source_sha256": raw.sha256,
        "recipe": made_with,
    }
    with (
        staging.temporary(f"{dataset.name}-{raw.month}.parquet") as good,
        staging.temporary(f"{dataset.name}-{raw.month}.rejects.parquet") as bad,
    ):
        try:
            cleaner = _Cleaner(dataset, raw, staging.path(raw.file), rules, location)
            cleaner.sort(good, bad, metadata)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            if isinstance(error, OSError) and error.errno:  # the machine's fault; what is wrong with a file has none
                raise
            raise PermanentError(
                f"the raw file cannot be read: {str(error).splitlines()[0]}",
                location=location,
                remedy=f"materialise {dataset.name}/raw_file for {raw.month} again; if it stays, TLC's file is damaged",
            ) from error
        if cleaner.cleaned + cleaner.dropped + cleaner.rejected != raw.source_rows:
            raise PermanentError(
                f"the ledger does not add up: {raw.source_rows} source rows, but {cleaner.cleaned} cleaned, "
                f"{cleaner.dropped} dropped and {cleaner.rejected} rejected",
                location=location,
                remedy="this is a fault of taxi_assets; report it with the file",
            )
        sha256 = sha256_of(good)
        name, rejects = f"{stem}.{sha256[:8]}.parquet", f"{stem}.{sha256[:8]}.rejects.parquet"
        record = CleanedFile(
            dataset=dataset.name,
            month=raw.month,
            file=name,
            bytes=good.stat().st_size,
            sha256=sha256,
            source_url=raw.source_url,
            source_format=raw.format,
            source_sha256=raw.sha256,
            source_rows=raw.source_rows,
            cleaned_rows=cleaner.cleaned,
            dropped_rows=cleaner.dropped,
            rejected_rows=cleaner.rejected,
            transform_version=made_with,
            filled_passengers=cleaner.filled,
            rejects_file=rejects if cleaner.rejected else "",
            unknown_columns={column.name: cleaner.unknown[column.position] for column in cleaner.mapping.unknown},
            absent_columns=cleaner.mapping.absent,
            anomalies=dict(cleaner.anomalies.counts),
            trips_per_day=cleaner.days.counts,
        )
        pa.default_memory_pool().release_unused()  # 100 MiB, which DuckDB will want at the next station
        staging.commit("cleaned", record, {name: good} | ({rejects: bad} if cleaner.rejected else {}))
    return record, True


class _Cleaner:
    """Sorts the rows of one file.

    Attributes:
        layout: How the file's columns serve the contract.
        cleaned: Rows written so far.
        dropped: Rows left out by a rule.
        rejected: Rows that cannot be read.
        filled: Passenger counts filled with 0, among the cleaned.
        unknown: Values in the columns that the contract does not know, by position.
        oddities: Strange rows among the cleaned.
        days: The cleaned rows by the day of their pick-up.
    """

    def __init__(self, dataset: Dataset, raw: RawFile, path: Path, rules: CleaningRules, location: str) -> None:
        self._file = ParquetFile(path) if raw.format == "parquet" else CsvFile(path, raw.compression)
        if self._file.names is None:
            raise PermanentError("the header cannot be read", location=location, remedy="look at the file's first line")
        header = [SourceColumn(position, name) for position, name in enumerate(self._file.names)]
        self.mapping = map_header(dataset, raw.month, header, location)
        self.cleaned = self.dropped = self.rejected = self.filled = 0
        self.unknown: Counter[int] = Counter()
        self.anomalies = AnomalyCounter(dataset, raw.month)
        self.days = DayCounter(dataset, raw.month)
        self._rules = rules
        days = (raw.month.first_day - date(1970, 1, 1)).days
        self._source_month = reading.constants([days], pa.date32())[0]
        self._schema = arrow_schema(dataset.table_columns)
        passengers = dataset.one("passengers")
        self._passengers = passengers.name if passengers else ""

    def sort(self, good: Path, bad: Path, metadata: dict[str, str]) -> None:
        """Write the rows that can be read to `good`, and, if there are others, those to `bad`."""
        with (
            shelving.ParquetWriter(good, self._schema, metadata) as stage,
            shelving.RejectsWriter(bad) as rejects,
        ):
            for batch in self._file.row_batches(_types(self.mapping)):
                values, faults = parse_batch(self.mapping, batch)
                refused = [*batch.damaged, *faults.values()]
                rejects.add(sorted(refused))
                rows = self._keep(self._batch(values, batch.rows), set(faults))
                stage.add(rows)
                self.anomalies.add(rows)
                self.days.add(rows)
                self.rejected += len(refused)
                self.cleaned += rows.num_rows
                for column in self.mapping.unknown:
                    self.unknown[column.position] += (
                        pc.sum(reading.is_present(batch.columns[column.position])).as_py() or 0
                    )

    def _batch(self, values: dict[str, pa.Array], rows: int) -> pa.RecordBatch:
        """Return the rows as the table has them."""
        values[SOURCE_MONTH.name] = pa.repeat(self._source_month, rows)
        columns = [
            values[name] if name in values else pa.nulls(rows, kind)
            for name, kind in zip(self._schema.names, self._schema.types, strict=True)
        ]
        return pa.RecordBatch.from_arrays(columns, schema=self._schema)

    def _keep(self, rows: pa.RecordBatch, faulty: set[int]) -> pa.RecordBatch:
        """Return the rows without faulty ones and those that a rule leaves out."""
        if faulty:
            rows = rows.filter(pa.array([row not in faulty for row in range(rows.num_rows)]))
        if not self._passengers:
            return rows
        counts = rows[self._passengers]
        if self._rules.missing_passengers == "zero" and counts.null_count:
            counts = pc.fill_null(counts, _NOBODY)
        if self._rules.drop_zero_passengers:
            wanted = pc.or_kleene(counts.is_null(), pc.not_equal(counts, _NOBODY))
            before = rows.num_rows
            rows, counts = rows.filter(wanted), counts.filter(wanted)
            self.dropped += before - rows.num_rows
        self.filled += rows[self._passengers].null_count - counts.null_count
        position = rows.schema.get_field_index(self._passengers)
        return rows.set_column(position, rows.schema.field(position), counts)


def _types(mapping: ColumnMapping) -> dict[int, pa.DataType]:
    """Return, by position, the types that a CSV file's columns can probably be parsed as."""
    return {
        source.position: arrow_type(column.kind)
        for column, sources in mapping.sources
        for source in sources
        if column.kind != "string" and not column.codes
    }


def parse_batch(mapping: ColumnMapping, batch: RowBatch) -> tuple[dict[str, pa.Array], dict[int, Reject]]:
    """Read a sheet's rows as the contract's columns.

    Returns:
        The values by the column's name, and by its number each row that cannot be read, with the first thing that is
        wrong with it.
    """
    values: dict[str, pa.Array] = {}
    faults: dict[int, Reject] = {}

    def reject_rows(rows: pa.Array, column: Column, reason: Callable[[int], str]) -> None:
        for row in pc.indices_nonzero(rows).to_pylist():
            if row not in faults:
                number, text = batch.locate(row)
                faults[row] = Reject(number, column.name, reason(row), text)

    for column, sources in mapping.sources:
        held = _read_source(column, batch.columns[sources[0].position], reject_rows)
        for source in sources[1:]:
            other = _read_source(column, batch.columns[source.position], reject_rows)
            two = f"{sources[0].name} and {source.name} give two different values"
            reject_rows(pc.not_equal(held, other), column, lambda _, two=two: two)  # type: ignore[misc]
            held = pc.coalesce(held, other)
        if not column.nullable and held.null_count:
            reject_rows(held.is_null(), column, lambda _: "it has no value")
        values[column.name] = held
    return values, faults


def _read_source(column: Column, raw: pa.Array, reject_rows: Callable[..., None]) -> pa.Array:
    values, wrong = reading.parse_column(column, raw)
    if wrong is not None:
        reject_rows(wrong, column, lambda row: reading.rejection_reason(column, shown(raw, row) or ""))
    return values
