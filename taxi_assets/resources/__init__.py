"""What assets, IO managers and sensors work with, in place of Prefect's blocks: source, staging area, lake, warehouses.

Each resource has the settings that it needs as fields, so that the UI shows them, and `create` builds the domain's
object. See https://docs.dagster.io/guides/build/external-resources/defining-resources.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from taxi_assets.settings import Settings, shown, variable
from taxi_assets.source.client import Source
from taxi_assets.source.factory import build_source
from taxi_assets.storage.base import Lake, Staging, Warehouse
from taxi_assets.storage.factory import build_lake, build_postgres, build_staging, build_warehouse

if TYPE_CHECKING:
    from taxi_assets.storage.warehouse.postgres import PostgresStore


class SettingsResource(dg.ConfigurableResource):
    """A resource whose fields are settings of the same names."""

    @classmethod
    def from_settings(cls, settings: Settings) -> Any:
        """Return the resource that the settings describe.

        A secret stays in its variable: it is read when the resource is used, and the UI shows the variable's name.
        """
        return cls(**{name: _field(settings, name) for name in cls.model_fields if hasattr(settings, name)})

    def settings(self) -> Settings:
        """Return the settings that are fields; the others have their defaults."""
        names = Settings.model_fields.keys() & type(self).model_fields.keys()
        return Settings(**{name: value for name in names if (value := getattr(self, name)) is not None})


class SourceResource(SettingsResource):
    """TLC's site and the CSV mirror, or other addresses of the same files."""

    csv_url: str = Field(description="Address of a month's CSV.")
    parquet_url: str = Field(description="Address of a month's Parquet.")
    zones_url: str = Field(description="Address of the taxi zone lookup.")
    source: str = Field(description="`csv`, `parquet` or `auto`.")
    connect_timeout: float
    read_timeout: float

    def create(self) -> Source:
        """Return the source."""
        return build_source(self.settings())


class StagingResource(SettingsResource):
    """Where raw and cleaned files are between the steps."""

    profile: str
    data_dir: str
    work_url: str
    rejected_share_limit: float = Field(description="Share of rejected rows above which a month does not go on.")
    accepted_drift: str = Field(description="Columns that may be missing, or be unknown and have values.")

    def drift(self) -> tuple[str, ...]:
        """Return the names of columns whose drift somebody has accepted."""
        return self.settings().accepted_drift

    def create(self) -> Staging:
        """Return the staging area."""
        return build_staging(self.settings())


class LakeResource(SettingsResource):
    """The folder that stands for the bucket, or Cloud Storage."""

    profile: str
    data_dir: str

    def create(self) -> Lake:
        """Return the lake."""
        return build_lake(self.settings())


class WarehouseResource(SettingsResource):
    """The DuckDB file, or BigQuery."""

    profile: str
    data_dir: str
    warehouse_schema: str
    memory_limit: int = Field(description="MiB of one process; 0: a quarter of the machine's memory.")
    threads: int = Field(description="Processor cores of one process; 0: all.")

    def create(self) -> Warehouse:
        """Return the warehouse."""
        return build_warehouse(self.settings())


class PostgresResource(SettingsResource):
    """The Postgres that gets every month too."""

    postgres_url: str = Field(repr=False, description="Address of the database; the UI shows its variable.")
    warehouse_schema: str
    postgres_drop_zero_passengers: bool = Field(description="Leave out trips with zero passengers; they are counted.")

    def create(self) -> PostgresStore:
        """Return the store."""
        return build_postgres(self.settings())


def _field(settings: Settings, name: str) -> Any:
    value = getattr(settings, name)
    if isinstance(value, str) and value and shown(name, value) != value:
        return dg.EnvVar(variable(name))
    if isinstance(value, tuple):
        return ", ".join(value)
    return value if isinstance(value, (bool, int, float, str)) else str(value)
