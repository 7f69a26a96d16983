"""The IO manager of months in Postgres; part of the graph only where TAXI_POSTGRES_URL is set, in every profile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from taxi_assets.contracts import DATASETS
from taxi_assets.contracts.model import Dataset
from taxi_assets.errors import PermanentError
from taxi_assets.io_managers import metadata
from taxi_assets.io_managers.monthly import MonthlyIOManager
from taxi_assets.months import Month
from taxi_assets.records import CleanedFile, MonthRecord, TableMonth
from taxi_assets.resources import StagingResource
from taxi_assets.storage.warehouse.postgres import PostgresStore
from taxi_assets.transform import quality as results
from taxi_assets.transform.quality import CheckResult

if TYPE_CHECKING:
    import pyarrow as pa


class PostgresIOManager(MonthlyIOManager):
    """Copies cleaned months into Postgres, each in one transaction."""

    url: str = Field(repr=False, description="Address of the database; the UI shows the variable that holds it.")
    schema_name: str
    drop_zero_passengers: bool = Field(description="Leave out trips with zero passengers; they are counted.")
    work: StagingResource

    def store(self) -> PostgresStore:
        """Return the store."""
        return PostgresStore(self.url, self.schema_name)

    def land(self, dataset: Dataset, record: CleanedFile) -> tuple[MonthRecord, bool, list[CheckResult]]:
        """See `MonthlyIOManager.land`."""
        path = self.work.staging().path(record.file)
        loaded = self.store().replace_month(dataset, record, path, drop_zero_passengers=self.drop_zero_passengers)
        return loaded, loaded.changed, results.of_postgres(loaded, record)

    def find(self, dataset: str, month: Month) -> TableMonth:
        """See `MonthlyIOManager.find`."""
        loaded = self.store().find_month(dataset, month)
        if loaded is None:
            raise PermanentError(
                f"{dataset} {month} is not in Postgres",
                location=f"schema {self.schema_name}",
                remedy=f"materialise {dataset}/postgres_table for {month}",
            )
        return loaded

    def read(self, record: TableMonth) -> pa.Table:
        """See `MonthlyIOManager.read`."""
        return self.store().read_month(DATASETS[record.dataset], record.month)

    def describe(self, record: TableMonth, *, changed: bool) -> dict[str, Any]:
        """See `MonthlyIOManager.describe`."""
        return metadata.of_table(record, changed=changed)
