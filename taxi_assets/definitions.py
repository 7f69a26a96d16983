"""The one builder of Dagster's definitions, and the lazy entry point for tools that import this module.

Nothing is read or built at import; `defs` is called when a code location loads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from taxi_assets.contracts import DATASETS
from taxi_assets.contracts.model import Dataset
from taxi_assets.settings import Settings, variable

if TYPE_CHECKING:
    from taxi_assets.resources import StagingResource


def build_definitions(
    settings: Settings,
    *,
    datasets: Mapping[str, Dataset] = DATASETS,
    resources: Mapping[str, Any] | None = None,
) -> dg.Definitions:
    """Build the project's definitions.

    Args:
        settings: Which profile, which sources, which folders.
        datasets: Contracts to make assets for.
        resources: Resources and IO managers to use instead of the profile's, by key.
    """
    from taxi_assets.assets.monthly import assets_of
    from taxi_assets.assets.report import report_asset
    from taxi_assets.assets.zones import zones_asset

    # a step works on the months that landed before it; a failed month must not keep the others from going on
    executor = dg.in_process_executor.configured({"step_dependency_config": {"require_upstream_step_success": False}})
    postgres = bool(settings.postgres_url)
    chains = [[*assets_of(dataset, postgres=postgres), report_asset(dataset)] for dataset in datasets.values()]
    partitioned = [asset for chain in chains for asset in chain]
    if settings.one_run:
        partitioned = [asset.with_attributes(backfill_policy=dg.BackfillPolicy.single_run()) for asset in partitioned]
    return dg.Definitions(
        assets=[zones_asset(postgres=postgres), *partitioned],
        **_automation(settings, datasets),
        resources={**_resources(settings), **(resources or {})},
        executor=executor,
    )


def _automation(settings: Settings, datasets: Mapping[str, Dataset]) -> dict[str, Any]:
    """Return jobs, schedules and sensors; they are there in every profile, and run from the start where they should."""
    from taxi_assets.automation import downstream_sensor
    from taxi_assets.jobs import EVERYTHING, GCS_TO_BIGQUERY, jobs_of
    from taxi_assets.schedules import schedules_of
    from taxi_assets.sensors.alerts import alerts_sensor
    from taxi_assets.sensors.lake import lake_sensor
    from taxi_assets.sensors.publication import publication_sensor

    runs = settings.automated
    sensor = dg.DefaultSensorStatus.RUNNING if runs else dg.DefaultSensorStatus.STOPPED
    schedule = dg.DefaultScheduleStatus.RUNNING if runs else dg.DefaultScheduleStatus.STOPPED
    jobs = {job.name: job for dataset in datasets.values() for job in jobs_of(dataset)}
    from_tlc = [jobs[f"{name}_{EVERYTHING}"] for name in datasets]
    from_lake = [jobs[f"{name}_{GCS_TO_BIGQUERY}"] for name in datasets]
    return {
        "jobs": list(jobs.values()),
        "schedules": schedules_of(settings, datasets, schedule),
        "sensors": [
            publication_sensor(settings, datasets, from_tlc, sensor),
            lake_sensor(datasets, from_lake, sensor),
            downstream_sensor(sensor),
            alerts_sensor(settings, datasets, sensor),
        ],
    }


def _resources(settings: Settings) -> dict[str, Any]:
    from taxi_assets.io_managers.reports import ReportIOManager
    from taxi_assets.io_managers.work import CleanedIOManager, RawIOManager
    from taxi_assets.resources import SourceResource

    settings.check_profile()
    work = _work(settings)
    stores = _gcp_stores if settings.profile == "gcp" else _local_stores
    return {
        "source": SourceResource.from_settings(settings, shown=True),
        "work": work,
        "raw_io_manager": RawIOManager(work=work, **_patience(settings)),
        "cleaned_io_manager": CleanedIOManager(work=work, **_patience(settings)),
        "report_io_manager": ReportIOManager(),
        **stores(settings, work),
        **(_postgres(settings, work) if settings.postgres_url else {}),
    }


def _patience(settings: Settings) -> dict[str, Any]:
    return {"attempts": settings.attempts, "first_wait": settings.first_wait}


def _work(settings: Settings) -> StagingResource:
    if settings.work_in_bucket:
        from taxi_assets.resources.gcp import CloudStorageResource, GcsStagingResource

        gcs = CloudStorageResource.from_settings(settings)
        return GcsStagingResource.from_settings(settings, gcs=gcs, url=settings.work_url)
    from taxi_assets.resources import StagingResource

    return StagingResource.from_settings(settings)


def _local_stores(settings: Settings, work: StagingResource) -> dict[str, Any]:
    from taxi_assets.io_managers.local import DuckDBIOManager, FolderLakeIOManager

    schema, patience = settings.warehouse_schema, _patience(settings)
    lake = FolderLakeIOManager(root=str(settings.lake_dir), work=work, **patience)
    warehouse = DuckDBIOManager(path=str(settings.duckdb_path), schema_name=schema, work=work, **patience)
    return {"lake_io_manager": lake, "warehouse_io_manager": warehouse}


def _gcp_stores(settings: Settings, work: StagingResource) -> dict[str, Any]:
    from taxi_assets.io_managers.gcp import BigQueryIOManager, GcsLakeIOManager
    from taxi_assets.resources.gcp import CloudStorageResource, WarehouseResource

    gcs, bigquery = CloudStorageResource.from_settings(settings), WarehouseResource.from_settings(settings)
    schema, wait = settings.warehouse_schema, settings.first_wait
    lake = GcsLakeIOManager(gcs=gcs, bucket=settings.gcs_bucket, prefix=settings.gcs_prefix, work=work, first_wait=wait)
    warehouse = BigQueryIOManager(bigquery=bigquery, schema_name=schema, lake=lake, first_wait=wait)
    return {"gcs": gcs, "bigquery": bigquery, "lake_io_manager": lake, "warehouse_io_manager": warehouse}


def _postgres(settings: Settings, work: StagingResource) -> dict[str, Any]:
    from taxi_assets.io_managers.postgres import PostgresIOManager

    manager = PostgresIOManager(
        url=dg.EnvVar(variable("postgres_url")),
        schema_name=settings.warehouse_schema,
        drop_zero_passengers=settings.postgres_drop_zero_passengers,
        work=work,
        **_patience(settings),
    )
    return {"postgres_io_manager": manager}


@dg.definitions
def defs() -> dg.Definitions:
    """Build the definitions that the environment, and for what it leaves open `.env`, describes."""
    from taxi_assets.instance.environment import load_env_file

    load_env_file()
    return build_definitions(Settings.from_environment())
