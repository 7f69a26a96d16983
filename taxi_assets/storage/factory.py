"""The stores that the settings choose, for those who look at them without Dagster."""

from __future__ import annotations

import os
from typing import Any

from taxi_assets.settings import MIN_MEMORY_MIB, Settings, google_emulators
from taxi_assets.storage.google.access import GoogleAccess
from taxi_assets.storage.lake.folder import FolderLake
from taxi_assets.storage.limits import ResourceLimits, machine_memory
from taxi_assets.storage.staging.local import StagingArea
from taxi_assets.storage.warehouse.duckdb import DuckDBWarehouse


def build_staging(settings: Settings) -> StagingArea:
    """Return where raw and cleaned months lie."""
    if settings.work_in_bucket:
        from taxi_assets.storage.staging.gcs import GcsStagingArea

        settings.check_profile()
        return GcsStagingArea(settings.work_dir, google_access(settings), settings.work_url)
    return StagingArea(settings.work_dir)


def build_lake(settings: Settings) -> Any:
    """Return the profile's lake."""
    if settings.profile == "gcp":
        from taxi_assets.storage.lake.gcs import GcsLake

        settings.check_profile()
        return GcsLake(google_access(settings), settings.gcs_bucket, settings.gcs_prefix)
    return FolderLake(settings.lake_dir)


def build_warehouse(settings: Settings) -> Any:
    """Return the profile's warehouse."""
    if settings.profile == "gcp":
        from taxi_assets.storage.warehouse.bigquery import BigQueryWarehouse

        settings.check_profile()
        return BigQueryWarehouse(google_access(settings), settings.warehouse_schema)
    return DuckDBWarehouse(settings.duckdb_path, settings.warehouse_schema, resource_limits(settings))


def resource_limits(settings: Settings) -> ResourceLimits:
    """Return how much of the machine a process may use; by default a quarter of its memory and all of its cores."""
    memory = settings.memory_limit or max(MIN_MEMORY_MIB, machine_memory() // 4)
    return ResourceLimits(memory, settings.threads or os.cpu_count() or 1)


def google_access(settings: Settings) -> GoogleAccess:
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
