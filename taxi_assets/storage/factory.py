"""The stores that the settings choose, for those who look at them without Dagster."""

from __future__ import annotations

from typing import Any

from taxi_assets.settings import Settings, google_emulators
from taxi_assets.storage.warehouse.duckdb import DuckDBWarehouse
from taxi_assets.storage.lake.folder import FolderLake
from taxi_assets.storage.google.access import GoogleAccess
from taxi_assets.storage.staging.local import Workroom


def workroom_of(settings: Settings) -> Workroom:
    """Return where raw and cleaned months lie."""
    if settings.work_in_bucket:
        from taxi_assets.storage.staging.gcs import GcsWorkroom

        settings.check_profile()
        return GcsWorkroom(settings.work_dir, access_of(settings), settings.work_url)
    return Workroom(settings.work_dir)


def lake_of(settings: Settings) -> Any:
    """Return the profile's lake."""
    if settings.profile == "gcp":
        from taxi_assets.storage.lake.gcs import GcsLake

        settings.check_profile()
        return GcsLake(access_of(settings), settings.gcs_bucket, settings.gcs_prefix)
    return FolderLake(settings.lake_dir)


def warehouse_of(settings: Settings) -> Any:
    """Return the profile's warehouse."""
    if settings.profile == "gcp":
        from taxi_assets.storage.warehouse.bigquery import BigQueryWarehouse

        settings.check_profile()
        return BigQueryWarehouse(access_of(settings), settings.warehouse_schema)
    return DuckDBWarehouse(settings.duckdb_path, settings.warehouse_schema, settings.engine)


def access_of(settings: Settings) -> GoogleAccess:
    """Return how Google is reached."""
    return GoogleAccess(
        project=settings.gcp_project,
        credentials=settings.gcp_credentials,
        location=settings.bq_location,
        connect_timeout=settings.connect_timeout,
        read_timeout=settings.read_timeout,
        attempts=settings.attempts,
        first_wait=settings.first_wait,
        **google_emulators(),
    )
