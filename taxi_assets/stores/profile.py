"""The stores that the settings choose, for those who look at them without Dagster."""

from __future__ import annotations

from typing import Any

from taxi_assets.settings import Settings
from taxi_assets.stores.duckdb import DuckDBWarehouse
from taxi_assets.stores.folder import FolderLake


def lake_of(settings: Settings) -> Any:
    """Return the profile's lake."""
    return FolderLake(settings.lake_dir)


def warehouse_of(settings: Settings) -> Any:
    """Return the profile's warehouse."""
    return DuckDBWarehouse(settings.duckdb_path, settings.warehouse_schema, settings.engine)
