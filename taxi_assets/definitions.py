"""The one builder of Dagster's definitions, and the lazy entry point for tools that import this module.

Nothing is read or built at import; `defs` is called when a code location loads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from taxi_assets.contracts import DATASETS
from taxi_assets.contracts.model import Dataset
from taxi_assets.settings import Settings


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
    from taxi_assets.assets.factory import assets_of

    # a step works on the months that landed before it; a failed month must not keep the others from going on
    executor = dg.in_process_executor.configured({"step_dependency_config": {"require_upstream_step_success": False}})
    everything = [asset for dataset in datasets.values() for asset in assets_of(dataset)]
    return dg.Definitions(
        assets=everything,
        jobs=[
            dg.define_asset_job(f"{name}_everything", dg.AssetSelection.groups(name), description=dataset.title)
            for name, dataset in datasets.items()
        ],
        resources={**_resources(settings), **(resources or {})},
        executor=executor,
    )


def _resources(settings: Settings) -> dict[str, Any]:
    from taxi_assets.io_managers.local import DuckDBIOManager, FolderLakeIOManager
    from taxi_assets.io_managers.work import CleanedIOManager, RawIOManager
    from taxi_assets.resources import SourceResource, WorkResource

    work = WorkResource.from_settings(settings)
    lake = FolderLakeIOManager(root=str(settings.lake_dir), work=work)
    return {
        "source": SourceResource.from_settings(settings),
        "work": work,
        "raw_io_manager": RawIOManager(work=work),
        "cleaned_io_manager": CleanedIOManager(work=work),
        "lake_io_manager": lake,
        "warehouse_io_manager": DuckDBIOManager(
            path=str(settings.duckdb_path), schema_name=settings.warehouse_schema, lake=lake, work=work
        ),
    }


@dg.definitions
def defs() -> dg.Definitions:
    """Build the definitions that the environment describes."""
    return build_definitions(Settings.from_environment())
