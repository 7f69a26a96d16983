"""Months of made-up trips in a DuckDB warehouse, without Dagster, and the lines that they were made of."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from taxi_assets.contracts import DATASETS
from taxi_assets.contracts.schemas import arrow_schema
from taxi_assets.contracts.zones import ZONE_COLUMNS, ZONES_TABLE
from taxi_assets.demo.sample import blocks
from taxi_assets.months import Month
from taxi_assets.records import CleanedFile
from taxi_assets.reports.metrics import Metrics, collect_metrics
from taxi_assets.reports.report import ReportFile, make_report
from taxi_assets.storage.lake.folder import FolderLake
from taxi_assets.storage.limits import ResourceLimits
from taxi_assets.storage.staging.local import StagingArea
from taxi_assets.storage.warehouse.duckdb import DuckDBWarehouse
from taxi_assets_tests.transform import landing


@dataclass
class Place:
    """A staging area, a lake and a warehouse below one folder."""

    folder: Path

    @property
    def staging(self) -> StagingArea:
        """Where raw and cleaned months are."""
        return StagingArea(self.folder / "work")

    @property
    def lake(self) -> FolderLake:
        """The folder that stands for the bucket."""
        return FolderLake(self.folder / "lake")

    @property
    def warehouse(self) -> DuckDBWarehouse:
        """The DuckDB file."""
        return DuckDBWarehouse(self.folder / "warehouse.duckdb", "nyc_tlc", ResourceLimits(512, 2))

    def land(self, dataset: str, month: str, rows: int) -> list[dict[str, str]]:
        """Land a month; return its lines by the names in the file's header."""
        content = b"".join(blocks(dataset, Month.parse(month), rows))
        cleaned = landing.land(content, self.folder, dataset, Month.parse(month)).cleaned
        stored = self.lake.put(cleaned, self.staging.path(cleaned.file))
        self.warehouse.replace_month(DATASETS[dataset], stored)
        return list(csv.DictReader(io.StringIO(content.decode())))

    def name_zones(self) -> None:
        """Put a zone lookup into the warehouse: `Zone <7>` and so on, in Queens."""
        path = self.folder / "zones.parquet"
        pq.write_table(zones(), path)
        self.warehouse.replace_table(ZONES_TABLE, ZONE_COLUMNS, path.as_uri())

    def record(self, dataset: str, month: str) -> CleanedFile:
        """Return the record of a month that landed."""
        return self.staging.get(CleanedFile, "cleaned", dataset, Month.parse(month))

    def metrics(self, dataset: str, month: str, warehouse: Any = None) -> Metrics:
        """Return a month's metrics, by default counted in the DuckDB file."""
        cleaned = self.record(dataset, month)
        return collect_metrics(DATASETS[dataset], cleaned.month, warehouse or self.warehouse, cleaned, [])

    def report(self, dataset: str, month: str) -> ReportFile:
        """Make a month's report."""
        return make_report(DATASETS[dataset], Month.parse(month), self.warehouse, self.lake, self.staging)


def zones() -> pa.Table:
    """Return a zone lookup in the contract's types; one name has to be escaped in HTML."""
    rows = [
        {"LocationID": n, "Borough": "Queens", "Zone": f"Zone <{n}>", "service_zone": "Boro Zone"}
        for n in range(1, 266)
    ]
    return pa.Table.from_pylist(rows, arrow_schema(ZONE_COLUMNS))
