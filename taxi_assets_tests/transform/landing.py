"""Lands a file's bytes for a test: through source, inspection and cleaning, into a folder of the test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from taxi_assets.contracts import DATASETS, Dataset
from taxi_assets.months import Month
from taxi_assets.records import CleanedFile, RawFile
from taxi_assets.source.client import Source
from taxi_assets.storage.staging.local import StagingArea
from taxi_assets.transform.clean import clean_month
from taxi_assets.transform.rules import CleaningRules

KEEP = CleaningRules(missing_passengers="keep")
YELLOW_2019 = (
    "VendorID,tpep_pickup_datetime,tpep_dropoff_datetime,passenger_count,trip_distance,RatecodeID,store_and_fwd_flag,"
    "PULocationID,DOLocationID,payment_type,fare_amount,extra,mta_tax,tip_amount,tolls_amount,improvement_surcharge,"
    "total_amount,congestion_surcharge"
)
TRIP = "1,2021-01-05 08:00:00,2021-01-05 08:10:00,2,2.1,1,N,161,162,1,9.5,0,0.5,2,0,0.3,12.3,2.5"


@dataclass(frozen=True)
class Landed:
    """A month that was cleaned."""

    raw: RawFile
    cleaned: CleanedFile
    table: pa.Table
    rejects: list[dict[str, Any]]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The cleaned rows."""
        return self.table.to_pylist()

    def column(self, name: str) -> list[Any]:
        """Return a column's cleaned values."""
        return self.table[name].to_pylist()


def land_file(
    path: Path,
    dataset: Dataset | str,
    month: Month,
    folder: Path,
    *,
    rules: CleaningRules | None = KEEP,
    accepted_drift: tuple[str, ...] = (),
) -> Landed:
    """Land the month that lies at `path`, whatever its name."""
    contract = DATASETS[dataset] if isinstance(dataset, str) else dataset
    staging = StagingArea(folder / "work")
    raw, _ = Source(csv_url=path.as_uri(), parquet_url="", prefer="csv").fetch(contract.name, month, staging)
    cleaned, _ = clean_month(contract, raw, staging, rules=rules, accepted_drift=accepted_drift)
    rejects = pq.read_table(staging.path(cleaned.rejects_file)).to_pylist() if cleaned.rejects_file else []
    return Landed(raw, cleaned, pq.read_table(staging.path(cleaned.file), partitioning=None), rejects)


def land(
    content: bytes | pa.Table,
    folder: Path,
    dataset: Dataset | str = "yellow",
    month: Month = Month(2021, 1),  # noqa: B008 - a frozen value
    *,
    rules: CleaningRules | None = KEEP,
    accepted_drift: tuple[str, ...] = (),
) -> Landed:
    """Land a month of these bytes, or a Parquet file of this table."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "published"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        pq.write_table(content, path)
    return land_file(path, dataset, month, folder, rules=rules, accepted_drift=accepted_drift)


def csv(lines: Sequence[str], *, header: str = YELLOW_2019, end: str = "\r\n") -> bytes:
    """Return a CSV file of a header and lines."""
    return "".join(line + end for line in (header, *lines)).encode()


def trip(**changed: object) -> str:
    """Return a trip under yellow's header of 2019, with some fields changed."""
    fields = dict(zip(YELLOW_2019.split(","), TRIP.split(","), strict=True))
    assert changed.keys() <= fields.keys()
    return ",".join(str(value) for value in (fields | changed).values())
