"""Cleaned yellow months made for the tests of stores, and a process that loads one of them into Postgres.

Run as a program with a URL, a file and its record, it loads the month and exits with 0.
"""

from __future__ import annotations

import hashlib
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from taxi_assets.contracts import DATASETS, Dataset
from taxi_assets.contracts.schemas import arrow_schema
from taxi_assets.months import Month
from taxi_assets.records import CleanedFile, RawFile
from taxi_assets.storage.warehouse.postgres import PostgresStore

JANUARY = Month(2021, 1)


def raw_record(content: bytes, suffix: str) -> RawFile:
    """Return the record of a raw month that has these bytes."""
    sha256 = hashlib.sha256(content).hexdigest()
    return RawFile(
        dataset="yellow",
        month=JANUARY,
        file=f"raw/yellow/yellow_tripdata_2021-01.{sha256[:8]}.{suffix}",
        bytes=len(content),
        sha256=sha256,
        format="parquet" if suffix == "parquet" else "csv",
        compression="none",
        source_rows=1,
        source_url="file:///x",
    )


def make_month(
    path: Path, rows: int = 1000, month: Month = JANUARY, dataset: Dataset = DATASETS["yellow"], **values: Any
) -> CleanedFile:
    """Write a cleaned month and return its record.

    Args:
        path: The file to write.
        rows: Number of rows.
        month: The month.
        dataset: The contract; yellow or a variant of it.
        values: Columns: a list, or a value that every row has. The others are NULL where they may be.
    """
    start = datetime(month.year, month.month, 1)  # noqa: DTZ001 - New York wall time has no zone
    columns: dict[str, Any] = {
        "VendorID": 1,
        "passenger_count": 1,
        "tpep_pickup_datetime": [start + timedelta(seconds=n) for n in range(rows)],
        "source_row": list(range(1, rows + 1)),
        "source_month": month.first_day,
    } | values
    schema = arrow_schema(dataset.table_columns)
    table = pa.table(
        {
            field.name: pa.array(v, field.type)
            if isinstance(v := columns.get(field.name), list)
            else pa.repeat(pa.scalar(v, field.type), rows)
            for field in schema
        },
        schema=schema,
    )
    return write_month(path, table, month, dataset.name)


def write_month(path: Path, table: pa.Table, month: Month = JANUARY, dataset: str = "yellow") -> CleanedFile:
    """Write a table as a cleaned month and return its record."""
    pq.write_table(table.replace_schema_metadata({"source_sha256": "ab" * 32}), path)  # as a cleaned file has it
    content = path.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    return CleanedFile(
        dataset=dataset,
        month=month,
        file=path.name,
        bytes=len(content),
        sha256=sha256,
        source_url="file:made",
        source_format="csv",
        source_sha256=sha256,
        source_rows=table.num_rows,
        cleaned_rows=table.num_rows,
        dropped_rows=0,
        rejected_rows=0,
        transform_version="made",
    )


if __name__ == "__main__":
    url, file, record = sys.argv[1:]
    PostgresStore(url).replace_month(DATASETS["yellow"], CleanedFile.from_json(record), Path(file))
