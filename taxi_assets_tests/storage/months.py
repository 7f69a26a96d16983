"""Cleaned months made directly from a contract, for tests of stores, and how a store of Google's is reached in one."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from taxi_assets.contracts import DATASETS
from taxi_assets.contracts.model import Dataset
from taxi_assets.contracts.schemas import arrow_schema
from taxi_assets.months import Month
from taxi_assets.records import CleanedFile, LakeObject
from taxi_assets.storage.files import sha256_of
from taxi_assets.storage.google.access import GoogleAccess

PROJECT = "throw-away"
YELLOW = DATASETS["yellow"]
JANUARY, FEBRUARY = Month(2021, 1), Month(2021, 2)
Put = Callable[..., LakeObject]
"""Puts a month into the lake; takes the arguments of `cleaned_month` after the folder."""


def access(**more: Any) -> GoogleAccess:
    """Returns an access that does not wait between attempts."""
    return GoogleAccess(PROJECT, location="EU", first_wait=0.0, **more)


def cleaned_month(
    folder: Path,
    month: Month = JANUARY,
    rows: int = 100,
    *,
    dataset: Dataset = YELLOW,
    seed: int = 0,
    change: Any = None,
) -> tuple[CleanedFile, Path]:
    """Writes a month in the contract's types and returns its record and its path.

    Args:
        folder: Where to write.
        month: The month.
        rows: Rows, every fifth value of a nullable column null.
        dataset: The contract.
        seed: Another one gives other values.
        change: Called with the table before it is written; returns the table to write.
    """
    chance = random.Random(f"{dataset.name} {month} {seed}")
    values: dict[str, Any] = {
        "int64": lambda: chance.randrange(-3, 300),
        "float64": lambda: chance.randrange(-500, 9000) / 100,
        "string": lambda: chance.choice("YN"),
        "timestamp": lambda: dt.datetime(2021, 1, 1) + dt.timedelta(microseconds=chance.randrange(10**13)),  # noqa: DTZ001
        "date": lambda: month.first_day,
    }
    columns = [
        [None if column.nullable and (row + number) % 5 == 0 else values[column.kind]() for row in range(rows)]
        for number, column in enumerate(dataset.table_columns)
    ]
    table = pa.table(columns, schema=arrow_schema(dataset.table_columns))
    path = folder / f"{dataset.name}-{month}-{seed}.parquet"
    pq.write_table(change(table) if change else table, path, compression="zstd")
    return record_of(path, dataset.name, month, rows), path


def record_of(path: Path, dataset: str, month: Month, rows: int) -> CleanedFile:
    """Returns the record of a cleaned file."""
    return CleanedFile(
        dataset=dataset,
        month=month,
        file=path.name,
        bytes=path.stat().st_size,
        sha256=sha256_of(path),
        source_url="https://example.org/trips.csv.gz",
        source_format="csv",
        source_sha256="ab" * 32,
        source_rows=rows + 3,
        cleaned_rows=rows,
        dropped_rows=1,
        rejected_rows=2,
        transform_version="version-1",
    )
