"""The one builder of Dagster's definitions, and the lazy entry point for tools that import this module.

Nothing is read or built at import; `defs` is called when a code location loads.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from taxi_assets.automation import downstream_sensor
from taxi_assets.contracts import DATASETS
from taxi_assets.contracts.model import Dataset
from taxi_assets.failures import retry_policy
from taxi_assets.jobs import EVERYTHING, GCS_TO_BIGQUERY, jobs_of
from taxi_assets.resources import (
    LakeResource,
    PostgresResource,
    ReplacementResource,
    SourceResource,
    StagingResource,
    WarehouseResource,
)
from taxi_assets.schedules import schedules_of
from taxi_assets.sensors.alerts import failure_alerts, recovery_alerts
from taxi_assets.sensors.lake import lake_sensor
from taxi_assets.sensors.pools import pool_sensor
from taxi_assets.sensors.publication import publication_sensor
from taxi_assets.sensors.retries import retry_sensor
from taxi_assets.sensors.watchdog import watchdog
from taxi_assets.settings import Settings
from taxi_assets.transform.rules import CleaningRules


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
    from taxi_assets.checks import checks_of

    postgres, retries = bool(settings.postgres_url), retry_policy(settings.attempts, settings.first_wait)
    rules = CleaningRules(settings.missing_passengers, settings.drop_zero_passengers)
    stores: dict[str, Any] = {"profile": settings.profile, "postgres": postgres}
    assets, checks = [zones_asset(retries, **stores)], []
    for dataset in datasets.values():
        assets += [*assets_of(dataset, retries, rules, **stores), report_asset(dataset, retries)]
        checks += checks_of(dataset, retries, postgres=postgres)
    return dg.Definitions(
        assets=_linked_to_code(assets),
        asset_checks=checks,
        **_automation(settings, datasets),
        resources={**_resources(settings), **(resources or {})},
        # a process per step costs 1.5 s each and gives nothing: the steps of a month follow one another
        executor=dg.in_process_executor,
    )


def _linked_to_code(assets: Sequence[dg.AssetsDefinition]) -> Sequence[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # beta in 1.13; pinned, and tested
        return dg.with_source_code_references(assets)


def _automation(settings: Settings, datasets: Mapping[str, Dataset]) -> dict[str, Any]:
    """Return jobs, schedules and sensors; they are there in every profile, and run from the start where they should."""
    runs = settings.automated
    sensor = dg.DefaultSensorStatus.RUNNING if runs else dg.DefaultSensorStatus.STOPPED
    schedule = dg.DefaultScheduleStatus.RUNNING if runs else dg.DefaultScheduleStatus.STOPPED
    jobs = {
        job.name: job for dataset in datasets.values() for job in jobs_of(dataset, postgres=bool(settings.postgres_url))
    }
    from_tlc = [jobs[f"{name}_{EVERYTHING}"] for name in datasets]
    from_lake = [jobs[f"{name}_{GCS_TO_BIGQUERY}"] for name in datasets]
    return {
        "jobs": list(jobs.values()),
        "schedules": schedules_of(settings, datasets, schedule),
        "sensors": [
            publication_sensor(settings, datasets, from_tlc, sensor),
            lake_sensor(datasets, from_lake, sensor),
            downstream_sensor(sensor),
            failure_alerts(settings, sensor),
            recovery_alerts(settings, sensor),
            watchdog(settings, datasets, sensor),
            retry_sensor(from_tlc, sensor),
            pool_sensor(),
        ],
    }


def _resources(settings: Settings) -> dict[str, Any]:
    from taxi_assets.io_managers.staging import CleanedIOManager, RawIOManager
    from taxi_assets.io_managers.stores import LakeIOManager, PostgresIOManager, WarehouseIOManager

    settings.check_profile()
    replacement = ReplacementResource.configure_at_launch()
    staging, lake, warehouse = (kind.from_settings(settings) for kind in _stores(settings))
    resources: dict[str, Any] = {
        "source": SourceResource.from_settings(settings),
        "replacement": replacement,
        "staging": staging.fixed(),
        "lake": lake.fixed(),
        "warehouse": warehouse.fixed(),
        "raw_io_manager": RawIOManager(staging=staging),
        "cleaned_io_manager": CleanedIOManager(staging=staging),
        "lake_io_manager": LakeIOManager(lake=lake, staging=staging, replacement=replacement),
        "warehouse_io_manager": WarehouseIOManager(warehouse=warehouse, lake=lake, replacement=replacement),
    }
    if settings.postgres_url:
        postgres = PostgresResource.from_settings(settings)
        resources |= {
            "postgres": postgres.fixed(),
            "postgres_io_manager": PostgresIOManager(postgres=postgres, staging=staging, replacement=replacement),
        }
    return resources


def _stores(settings: Settings) -> tuple[Any, Any, Any]:
    """Return the classes of the profile's staging area, lake and warehouse."""
    if settings.profile == "local":
        return StagingResource, LakeResource, WarehouseResource
    from taxi_assets.resources.gcp import BigQueryWarehouseResource, GcsLakeResource, GcsStagingResource

    return GcsStagingResource, GcsLakeResource, BigQueryWarehouseResource


@dg.definitions
def defs() -> dg.Definitions:
    """Build the definitions that the environment, and for what it leaves open `.env`, describes."""
    from taxi_assets.instance.environment import load_env_file
    from taxi_assets.instance.locks import wait_for_locks

    load_env_file()
    wait_for_locks()
    return build_definitions(Settings.from_environment())
