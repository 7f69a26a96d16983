"""What assets, IO managers and sensors work with, in place of Prefect's blocks: source, staging area, lake, warehouses.

Each resource has the settings that it needs as fields, so that the UI shows them, and `create` builds the domain's
object. See https://docs.dagster.io/guides/build/external-resources/defining-resources.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from taxi_assets.settings import Settings, description, shown, variable
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

    def fixed(self) -> dg.ResourceDefinition:
        """Return the resource as the settings have it, which no run can change: the launchpad shows none of its fields.

        IO managers hold the store too, and would not see a run's change.
        """
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        lines = [
            f"- `{variable(name)}`: {_text(name, fields[name])}" for name in Settings.model_fields if name in fields
        ]

        def create(_: dg.InitResourceContext) -> Any:
            return type(self)(**{n: v.get_value() if isinstance(v, dg.EnvVar) else v for n, v in fields.items()})

        create.__name__ = type(self).__name__  # the UI shows it as the resource's type
        return dg.ResourceDefinition(create, description="\n".join([type(self).__doc__ or "", "", *lines]))

    def settings(self) -> Settings:
        """Return the settings that are fields; the others have their defaults."""
        names = Settings.model_fields.keys() & type(self).model_fields.keys()
        return Settings(**{name: value for name in names if (value := getattr(self, name)) is not None})


class SourceResource(SettingsResource):
    """TLC's site and the CSV mirror, or other addresses of the same files."""

    csv_url: str = Field(description=description("csv_url"))
    parquet_url: str = Field(description=description("parquet_url"))
    zones_url: str = Field(description=description("zones_url"))
    source: str = Field(description=description("source"))
    connect_timeout: float = Field(description=description("connect_timeout"))
    read_timeout: float = Field(description=description("read_timeout"))

    def create(self) -> Source:
        """Return the source."""
        return build_source(self.settings())


class StagingResource(SettingsResource):
    """Where raw and cleaned files are between the steps."""

    profile: str
    data_dir: str
    work_url: str
    rejected_share_limit: float
    accepted_drift: str

    def drift(self) -> tuple[str, ...]:
        """Return the names of columns whose drift somebody has accepted."""
        return self.settings().accepted_drift

    def create(self) -> Staging:
        """Return the staging area."""
        return build_staging(self.settings())


class ReplacementResource(dg.ConfigurableResource):
    """What a run may do to a month that has landed before."""

    accept_row_count: bool = Field(
        False,
        description="Accept the new number of rows, if any; under half of those before is refused otherwise.",
    )
    reload: bool = Field(False, description="Load a month again even if the tables have it.")


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
    memory_limit: int
    threads: int

    def create(self) -> Warehouse:
        """Return the warehouse."""
        return build_warehouse(self.settings())


class PostgresResource(SettingsResource):
    """The Postgres that gets every month too."""

    postgres_url: str = Field(repr=False)
    warehouse_schema: str
    postgres_drop_zero_passengers: bool

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


def _text(name: str, value: Any) -> str:
    """Return a field's value as a person reads it; a secret's is not here."""
    if name == "memory_limit":
        return f"{value} MiB" if value else "a quarter of the machine's"
    if name == "threads":
        return str(value or "all that the machine has")
    return "set, and not shown" if isinstance(value, dg.EnvVar) else str(value) or "empty"
