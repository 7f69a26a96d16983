"""Builds staging area, lake and warehouses from the settings; nothing else does."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from taxi_assets.settings import MIN_MEMORY_MIB, Settings, google_emulators
from taxi_assets.storage.base import Lake, Staging, Warehouse
from taxi_assets.storage.limits import ResourceLimits, machine_memory

if TYPE_CHECKING:
    from taxi_assets.storage.google.access import GoogleAccess
    from taxi_assets.storage.lake.gcs import GcsLake
    from taxi_assets.storage.staging.gcs import GcsStagingArea
    from taxi_assets.storage.warehouse.bigquery import BigQueryWarehouse
    from taxi_assets.storage.warehouse.postgres import PostgresStore


def build_staging(settings: Settings) -> Staging:
    """Return the staging area of raw and cleaned files: a folder, or a bucket (TAXI_WORK_URL)."""
    if settings.work_in_bucket:
        return build_gcs_staging(settings)
    from taxi_assets.storage.staging.local import StagingArea

    return StagingArea(settings.work_dir)


def build_gcs_staging(settings: Settings) -> GcsStagingArea:
    """Return the staging area in the bucket of TAXI_WORK_URL."""
    from taxi_assets.storage.staging.gcs import GcsStagingArea

    settings.check_profile()
    return GcsStagingArea(settings.work_dir, google_access(settings), settings.work_url)


def build_lake(settings: Settings) -> Lake:
    """Return the profile's lake."""
    if settings.profile == "gcp":
        return build_gcs_lake(settings)
    from taxi_assets.storage.lake.folder import FolderLake

    return FolderLake(settings.lake_dir)


def build_warehouse(settings: Settings) -> Warehouse:
    """Return the profile's warehouse."""
    if settings.profile == "gcp":
        return build_bigquery(settings)
    from taxi_assets.storage.warehouse.duckdb import DuckDBWarehouse

    return DuckDBWarehouse(settings.duckdb_path, settings.warehouse_schema, resource_limits(settings))


def build_gcs_lake(settings: Settings) -> GcsLake:
    """Return the lake of the gcp profile."""
    from taxi_assets.storage.lake.gcs import GcsLake

    settings.check_profile()
    return GcsLake(google_access(settings), settings.gcs_bucket, settings.gcs_prefix)


def build_bigquery(settings: Settings) -> BigQueryWarehouse:
    """Return the warehouse of the gcp profile."""
    from taxi_assets.storage.warehouse.bigquery import BigQueryWarehouse

    settings.check_profile()
    return BigQueryWarehouse(google_access(settings), settings.warehouse_schema)


def build_postgres(settings: Settings) -> PostgresStore:
    """Return the Postgres that gets every month too; only where TAXI_POSTGRES_URL is set."""
    from taxi_assets.storage.warehouse.postgres import PostgresStore

    return PostgresStore(settings.postgres_url, settings.warehouse_schema)


def resource_limits(settings: Settings) -> ResourceLimits:
    """Return how much of the machine a process may use; by default a quarter of its memory and all of its cores."""
    memory = settings.memory_limit or max(MIN_MEMORY_MIB, machine_memory() // 4)
    return ResourceLimits(memory, settings.threads or os.cpu_count() or 1)


def google_access(settings: Settings) -> GoogleAccess:
    """Return how Google's services are reached."""
    from taxi_assets.storage.google.access import GoogleAccess

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
