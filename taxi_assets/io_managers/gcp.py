"""The IO managers of the gcp profile: Cloud Storage and BigQuery. Only the gcp profile imports this module.

Both look at their place once when a run starts, before any asset works: a missing bucket is better told at once than
after an hour of downloads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import PrivateAttr

from taxi_assets.contracts.model import Dataset
from taxi_assets.errors import PermanentError
from taxi_assets.io_managers import metadata
from taxi_assets.io_managers.monthly import MonthlyIOManager
from taxi_assets.months import Month
from taxi_assets.records import CleanedFile, LakeObject, MonthRecord, TableMonth
from taxi_assets.resources import StagingResource
from taxi_assets.resources.gcp import CloudStorageResource, WarehouseResource
from taxi_assets.storage.google.errors import permission_error
from taxi_assets.storage.lake.gcs import GcsLake
from taxi_assets.storage.warehouse.bigquery import BigQueryWarehouse
from taxi_assets.transform import quality as results
from taxi_assets.transform.quality import CheckResult

if TYPE_CHECKING:
    import pyarrow as pa


ATTEMPTS = 2
"""How often a month is tried: requests are repeated by themselves, `TAXI_ATTEMPTS` times; the second time is for what
another run did meanwhile, and for load jobs that BigQuery gave up."""

JOBS = 4
"""Load jobs of one run side by side: BigQuery does the work, this machine only waits."""


class GcsLakeIOManager(MonthlyIOManager):
    """Puts cleaned months into a bucket."""

    attempts: int = ATTEMPTS
    gcs: CloudStorageResource
    bucket: str
    prefix: str
    work: StagingResource
    _lake: GcsLake | None = PrivateAttr(default=None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Look at the bucket.

        Raises:
            PermanentError: It is not there, or lacks a permission.
        """
        if absent := self.lake().describe_bucket().missing_permissions:
            raise permission_error(absent, f"bucket {self.bucket} (TAXI_GCS_BUCKET)")

    def lake(self) -> GcsLake:
        """Return the lake, the same one for the whole run: it keeps its connection and its token."""
        if self._lake is None:
            self._lake = GcsLake(self.gcs.access(), self.bucket, self.prefix)
        return self._lake

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
                location=f"gs://{self.bucket}/{self.prefix}",
                remedy=f"materialise {dataset}/gcs_object for {month}",
            )
        return stored

    def read(self, record: LakeObject) -> pa.Table:
        """See `MonthlyIOManager.read`."""
        return self.lake().read(record)

    def describe(self, record: LakeObject, *, changed: bool) -> dict[str, Any]:
        """See `MonthlyIOManager.describe`."""
        return metadata.of_object(record, changed=changed)


class BigQueryIOManager(MonthlyIOManager):
    """Lets BigQuery load months from the bucket, each by one job; no row passes through this machine."""

    attempts: int = ATTEMPTS
    at_once: int = JOBS
    bigquery: WarehouseResource
    schema_name: str
    lake: GcsLakeIOManager
    _warehouse: BigQueryWarehouse | None = PrivateAttr(default=None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Look at the BigQuery dataset, and whether the bucket is where BigQuery can load from.

        Raises:
            PermanentError: It is not so.
        """
        warehouse = self.warehouse()
        warehouse.check_access()
        bucket = self.lake.lake().describe_bucket()
        warehouse.check_bucket(self.lake.bucket, bucket.location, is_region=bucket.is_region)

    def warehouse(self) -> BigQueryWarehouse:
        """Return the warehouse, the same one for the whole run."""
        if self._warehouse is None:
            self._warehouse = BigQueryWarehouse(self.bigquery.access(), self.schema_name)
        return self._warehouse

    def land(self, dataset: Dataset, record: LakeObject) -> tuple[MonthRecord, bool, list[CheckResult]]:
        """See `MonthlyIOManager.land`."""
        loaded = self.warehouse().replace_month(dataset, record)
        return loaded, loaded.changed, results.of_table(loaded, record)

    def find(self, dataset: str, month: Month) -> TableMonth:
        """See `MonthlyIOManager.find`."""
        loaded = self.warehouse().find_month(dataset, month, self.lake.lake().find(dataset, month))
        if loaded is None:
            raise PermanentError(
                f"{dataset} {month} is not in the warehouse",
                location=f"{self.bigquery.project}.{self.schema_name}",
                remedy=f"materialise {dataset}/bigquery_table for {month}",
            )
        return loaded

    def read(self, record: TableMonth) -> pa.Table:
        """See `MonthlyIOManager.read`."""
        return self.warehouse().read_month(record.dataset, record.month)

    def describe(self, record: TableMonth, *, changed: bool) -> dict[str, Any]:
        """See `MonthlyIOManager.describe`."""
        return metadata.of_table(record, changed=changed)
