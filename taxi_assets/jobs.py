"""The jobs a learner looks for, under the tutorial's names, and how schedules and sensors request runs of them."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from taxi_assets.contracts.model import Dataset
from taxi_assets.months import Month

EVERYTHING, WEB_TO_GCS, GCS_TO_BIGQUERY = "everything", "web_to_gcs", "gcs_to_bigquery"


def jobs_of(dataset: Dataset) -> list[dg.UnresolvedAssetJobDefinition]:
    """Return a dataset's jobs."""
    name = dataset.name
    to_lake = dg.AssetSelection.assets([name, "raw_file"], [name, "cleaned_parquet"], [name, "gcs_object"])
    to_table = dg.AssetSelection.assets([name, "bigquery_table"])
    to_every_table = dg.AssetSelection.kind("table").upstream() & dg.AssetSelection.groups(name)
    return [
        dg.define_asset_job(f"{name}_{what}", selection, description=f"{dataset.title}: {text}")
        for what, selection, text in (
            (WEB_TO_GCS, to_lake, "from TLC's site to the lake."),
            (GCS_TO_BIGQUERY, to_table, "from the lake to the warehouse."),
            (EVERYTHING, to_every_table, "from TLC's site to every table."),
        )
    ]


def request_month(
    dataset: str,
    month: Month,
    job: str = EVERYTHING,
    *,
    run_key: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> dg.RunRequest:
    """Return the request of a run that lands one month.

    Args:
        dataset: Name of the dataset.
        month: The month.
        job: Which of the dataset's jobs.
        run_key: Dagster starts no second run with the same key for a sensor.
        tags: Further tags of the run.
    """
    return dg.RunRequest(
        job_name=f"{dataset}_{job}",
        partition_key=f"{month}-01",
        run_key=run_key,
        tags={"dataset": dataset, "month": str(month), **(tags or {})},
    )
