"""The IO managers of the local profile: a folder for the bucket, a DuckDB file for the warehouse."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxi_assets.contracts.model import Dataset
from taxi_assets.errors import PermanentError
from taxi_assets.io_managers import metadata
from taxi_assets.io_managers.monthly import MonthlyIOManager
from taxi_assets.months import Month
from taxi_assets.records import CleanedFile, LakeObject, MonthRecord, TableMonth
from taxi_assets.resources import StagingResource
from taxi_assets.storage.lake.folder import FolderLake
from taxi_assets.storage.warehouse.duckdb import DuckDBWarehouse
from taxi_assets.transform import quality as results
from taxi_assets.transform.quality import CheckResult

if TYPE_CHECKING:
    import pyarrow as pa


class FolderLakeIOManager(MonthlyIOManager):
    """Puts cleaned months into the folder that stands for the bucket."""

    root: str
    work: StagingResource

    def lake(self) -> FolderLake:
        """Return the lake."""
        return FolderLake(Path(self.root))

    def land(self, dataset: Dataset, record: CleanedFile) -> tuple[MonthRecord, bool, list[CheckResult]]:
        """See `MonthlyIOManager.land`."""
        stored = self.lake().put(record, self.work.staging().path(record.file))
        return stored, stored.changed, results.of_object(stored, record)

    def find(self, dataset: str, month: Month) -> LakeObject:
        """See `MonthlyIOManager.find`."""
        stored = self.lake().find(dataset, month)
        if stored is None:
            raise PermanentError(
                f"{dataset} {month} is not in the lake",
                location=self.root,
                remedy=f"materialise {dataset}/gcs_object for {month}",
            )
        return stored

    def read(self, record: LakeObject) -> pa.Table:
        """See `MonthlyIOManager.read`."""
        return self.lake().read(record)

    def describe(self, record: LakeObject, *, changed: bool) -> dict[str, Any]:
        """See `MonthlyIOManager.describe`."""
        return metadata.of_object(record, changed=changed)


class DuckDBIOManager(MonthlyIOManager):
    """Loads objects of the folder into the DuckDB file, a month in one transaction."""

    path: str
    schema_name: str
    work: StagingResource

    def warehouse(self) -> DuckDBWarehouse:
        """Return the warehouse."""
        return DuckDBWarehouse(Path(self.path), self.schema_name, self.work.limits())

    def land(self, dataset: Dataset, record: LakeObject) -> tuple[MonthRecord, bool, list[CheckResult]]:
        """See `MonthlyIOManager.land`."""
        loaded = self.warehouse().replace_month(dataset, record)
        return loaded, loaded.changed, results.of_table(loaded, record)

    def find(self, dataset: str, month: Month) -> TableMonth:
        """See `MonthlyIOManager.find`."""
        loaded = self.warehouse().find_month(dataset, month)
        if loaded is None:
            raise PermanentError(
                f"{dataset} {month} is not in the warehouse",
                location=self.path,
                remedy=f"materialise {dataset}/bigquery_table for {month}",
            )
        return loaded

    def read(self, record: TableMonth) -> pa.Table:
        """See `MonthlyIOManager.read`."""
        return self.warehouse().read_month(record.dataset, record.month)

    def describe(self, record: TableMonth, *, changed: bool) -> dict[str, Any]:
        """See `MonthlyIOManager.describe`."""
        return metadata.of_table(record, changed=changed)
