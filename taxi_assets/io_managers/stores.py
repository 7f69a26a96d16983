"""The IO managers of lake, warehouse and Postgres: each puts a month in one atomic step.

Annotations are evaluated (no `from __future__ import annotations`): Dagster reads them to let a run configure
`replacement`.
"""

from typing import Any

import dagster as dg
import pyarrow as pa

from taxi_assets.contracts import DATASETS
from taxi_assets.contracts.model import Dataset
from taxi_assets.io_managers import metadata
from taxi_assets.io_managers.base import MonthIOManager, checked_before_run
from taxi_assets.months import Month
from taxi_assets.records import CleanedFile, LakeObject, TableMonth
from taxi_assets.resources import (
    LakeResource,
    PostgresResource,
    ReplacementResource,
    StagingResource,
    WarehouseResource,
)


class LakeIOManager(MonthIOManager):
    """Puts cleaned months into the lake."""

    lake: LakeResource
    staging: StagingResource
    replacement: ReplacementResource

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Check the lake before any step runs: report a missing bucket before the download, not after."""
        with checked_before_run(context):
            self.lake.create().check()

    def store(self, dataset: Dataset, record: CleanedFile) -> LakeObject:
        """See `MonthIOManager.store`."""
        path = self.staging.create().path(record.file)
        return self.lake.create().put(record, path, accept_row_count=self.replacement.accept_row_count)

    def find(self, dataset: str, month: Month) -> LakeObject | None:
        """See `MonthIOManager.find`."""
        return self.lake.create().find(dataset, month)

    def rows(self, record: LakeObject) -> pa.Table:
        """See `MonthIOManager.rows`."""
        return self.lake.create().read(record)

    def describe(self, record: LakeObject) -> dict[str, Any]:
        """See `MonthIOManager.describe`."""
        return metadata.of_object(record)


class WarehouseIOManager(MonthIOManager):
    """Loads objects of the lake into the warehouse; in the gcp profile no row passes through this machine."""

    warehouse: WarehouseResource
    lake: LakeResource
    replacement: ReplacementResource

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Check the warehouse before any step runs, and whether it can load from the lake."""
        with checked_before_run(context):
            self.warehouse.create().check(self.lake.create())

    def store(self, dataset: Dataset, record: LakeObject) -> TableMonth:
        """See `MonthIOManager.store`."""
        return self.warehouse.create().replace_month(
            dataset,
            record,
            reload=self.replacement.reload,
            accept_row_count=self.replacement.accept_row_count,
        )

    def find(self, dataset: str, month: Month) -> TableMonth | None:
        """See `MonthIOManager.find`."""
        return self.warehouse.create().find_month(dataset, month, self.lake.create().find(dataset, month))

    def rows(self, record: TableMonth) -> pa.Table:
        """See `MonthIOManager.rows`."""
        return self.warehouse.create().read_month(record.dataset, record.month)

    def describe(self, record: TableMonth) -> dict[str, Any]:
        """See `MonthIOManager.describe`."""
        settings = self.warehouse.settings()
        return metadata.of_table(record, str(settings.duckdb_path) if settings.profile == "local" else "")


class PostgresIOManager(MonthIOManager):
    """Copies cleaned months into Postgres, each in one transaction."""

    postgres: PostgresResource
    staging: StagingResource
    replacement: ReplacementResource

    def store(self, dataset: Dataset, record: CleanedFile) -> TableMonth:
        """See `MonthIOManager.store`."""
        return self.postgres.create().replace_month(
            dataset,
            record,
            self.staging.create().path(record.file),
            drop_zero_passengers=self.postgres.postgres_drop_zero_passengers,
            reload=self.replacement.reload,
            accept_row_count=self.replacement.accept_row_count,
        )

    def find(self, dataset: str, month: Month) -> TableMonth | None:
        """See `MonthIOManager.find`."""
        return self.postgres.create().find_month(dataset, month)

    def rows(self, record: TableMonth) -> pa.Table:
        """See `MonthIOManager.rows`."""
        return self.postgres.create().read_month(DATASETS[record.dataset], record.month)

    def describe(self, record: TableMonth) -> dict[str, Any]:
        """See `MonthIOManager.describe`."""
        return metadata.of_table(record)
