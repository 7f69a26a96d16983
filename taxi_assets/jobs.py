"""The jobs a learner looks for, under the tutorial's names, and how schedules and sensors request runs of them."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

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


def request(
    dataset: str, months: Sequence[Month], job: str = EVERYTHING, *, run_key: str | None = None
) -> dg.RunRequest:
    """Return the run of a job that lands months.

    Args:
        dataset: Name of the dataset.
        months: A range without gaps.
        job: Which of the dataset's jobs.
        run_key: Tells the runs of one tick of a schedule apart. A sensor gives none: Dagster would never again start
            a run of the same key, and a month's file may come back to the same version.
    """
    name, first, last = f"{dataset}_{job}", f"{months[0]}-01", f"{months[-1]}-01"
    if first == last:
        return dg.RunRequest(job_name=name, partition_key=first, run_key=run_key)
    tags = {ASSET_PARTITION_RANGE_START_TAG: first, ASSET_PARTITION_RANGE_END_TAG: last}
    return dg.RunRequest(job_name=name, tags=tags, run_key=run_key)
