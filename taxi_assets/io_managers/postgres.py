"""The IO manager of months in Postgres; part of the graph only where TAXI_POSTGRES_URL is set, in every profile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from taxi_assets.contracts import DATASETS
from taxi_assets.contracts.model import Dataset
from taxi_assets.io_managers import metadata
from taxi_assets.io_managers.monthly import MonthlyIOManager
from taxi_assets.months import Month
from taxi_assets.resources import WorkResource
from taxi_assets.storage.warehouse.postgres import PostgresStore
from taxi_assets.transform import quality as verdicts
from taxi_assets.errors import PermanentError
from taxi_assets.records import CleanedFile, LoadedMonth, Papers
from taxi_assets.transform.quality import Verdict

if TYPE_CHECKING:
    import pyarrow as pa


class PostgresIOManager(MonthlyIOManager):
    """Copies cleaned months into Postgres, each in one transaction."""

    url: str = Field(repr=False, description="Address of the database; the UI shows the variable that holds it.")
    schema_name: str
    drop_zero_passengers: bool = Field(description="Leave out trips with zero passengers; they are counted.")
    work: WorkResource

    def store(self) -> PostgresStore:
        """Return the store."""
        return PostgresStore(self.url, self.schema_name)

    def land(self, dataset: Dataset, papers: CleanedFile) -> tuple[Papers, bool, list[Verdict]]:
        """See `MonthlyIOManager.land`."""
        path = self.work.workroom().path(papers.file)
        loaded = self.store().replace_month(dataset, papers, path, drop_zero_passengers=self.drop_zero_passengers)
        return loaded, loaded.changed, verdicts.of_postgres(loaded, papers)

    def find(self, dataset: str, month: Month) -> LoadedMonth:
        """See `MonthlyIOManager.find`."""
        loaded = self.store().find_month(dataset, month)
        if loaded is None:
            raise PermanentError(
                f"{dataset} {month} is not in Postgres",
                where=f"schema {self.schema_name}",
                fix=f"materialise {dataset}/postgres_table for {month}",
            )
        return loaded

    def read(self, papers: LoadedMonth) -> pa.Table:
        """See `MonthlyIOManager.read`."""
        return self.store().read_month(DATASETS[papers.dataset], papers.month)

    def describe(self, papers: LoadedMonth, *, changed: bool) -> dict[str, Any]:
        """See `MonthlyIOManager.describe`."""
        return metadata.of_table(papers, changed=changed)
