"""The IO managers of the local profile: a folder for the bucket, a DuckDB file for the warehouse."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxi_assets.contracts.model import Dataset
from taxi_assets.io_managers import metadata
from taxi_assets.io_managers.monthly import MonthlyIOManager
from taxi_assets.months import Month
from taxi_assets.resources import WorkResource
from taxi_assets.storage.warehouse.duckdb import DuckDBWarehouse
from taxi_assets.storage.lake.folder import FolderLake
from taxi_assets.transform import quality as verdicts
from taxi_assets.errors import PermanentError
from taxi_assets.records import CleanedFile, LoadedMonth, Papers, StoredObject
from taxi_assets.transform.quality import Verdict

if TYPE_CHECKING:
    import pyarrow as pa


class FolderLakeIOManager(MonthlyIOManager):
    """Puts cleaned months into the folder that stands for the bucket."""

    root: str
    work: WorkResource

    def lake(self) -> FolderLake:
        """Return the lake."""
        return FolderLake(Path(self.root))

    def land(self, dataset: Dataset, papers: CleanedFile) -> tuple[Papers, bool, list[Verdict]]:
        """See `MonthlyIOManager.land`."""
        stored = self.lake().put(papers, self.work.workroom().path(papers.file))
        return stored, stored.changed, verdicts.of_object(stored, papers)

    def find(self, dataset: str, month: Month) -> StoredObject:
        """See `MonthlyIOManager.find`."""
        stored = self.lake().find(dataset, month)
        if stored is None:
            raise PermanentError(
                f"{dataset} {month} is not in the lake",
                where=self.root,
                fix=f"materialise {dataset}/gcs_object for {month}",
            )
        return stored

    def read(self, papers: StoredObject) -> pa.Table:
        """See `MonthlyIOManager.read`."""
        return self.lake().read(papers)

    def describe(self, papers: StoredObject, *, changed: bool) -> dict[str, Any]:
        """See `MonthlyIOManager.describe`."""
        return metadata.of_object(papers, changed=changed)


class DuckDBIOManager(MonthlyIOManager):
    """Loads objects of the folder into the DuckDB file, a month in one transaction."""

    path: str
    schema_name: str
    work: WorkResource

    def warehouse(self) -> DuckDBWarehouse:
        """Return the warehouse."""
        return DuckDBWarehouse(Path(self.path), self.schema_name, self.work.engine())

    def land(self, dataset: Dataset, papers: StoredObject) -> tuple[Papers, bool, list[Verdict]]:
        """See `MonthlyIOManager.land`."""
        loaded = self.warehouse().replace_month(dataset, papers)
        return loaded, loaded.changed, verdicts.of_table(loaded, papers)

    def find(self, dataset: str, month: Month) -> LoadedMonth:
        """See `MonthlyIOManager.find`."""
        loaded = self.warehouse().find_month(dataset, month)
        if loaded is None:
            raise PermanentError(
                f"{dataset} {month} is not in the warehouse",
                where=self.path,
                fix=f"materialise {dataset}/bigquery_table for {month}",
            )
        return loaded

    def read(self, papers: LoadedMonth) -> pa.Table:
        """See `MonthlyIOManager.read`."""
        return self.warehouse().read_month(papers.dataset, papers.month)

    def describe(self, papers: LoadedMonth, *, changed: bool) -> dict[str, Any]:
        """See `MonthlyIOManager.describe`."""
        return metadata.of_table(papers, changed=changed)
