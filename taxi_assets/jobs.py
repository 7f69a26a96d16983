"""The jobs, under the tutorial's names, and how schedules and sensors request a run of one.

See https://docs.dagster.io/guides/build/jobs/asset-jobs.
"""

from __future__ import annotations

import dagster as dg

from taxi_assets.contracts.model import Dataset
from taxi_assets.months import Month
from taxi_assets.names import BIGQUERY_TABLE, CLEANED_PARQUET, GCS_OBJECT, POSTGRES_TABLE, RAW_FILE, asset_key
from taxi_assets.partitions import partition_key

EVERYTHING, WEB_TO_GCS, GCS_TO_BIGQUERY = "everything", "web_to_gcs", "gcs_to_bigquery"


def jobs_of(dataset: Dataset, *, postgres: bool = False) -> list[dg.UnresolvedAssetJobDefinition]:
    """Return a dataset's jobs."""
    to_lake = (RAW_FILE, CLEANED_PARQUET, GCS_OBJECT)
    return [
        dg.define_asset_job(
            f"{dataset.name}_{job}",
            dg.AssetSelection.assets(*(asset_key(dataset.name, name) for name in names)),
            description=f"{dataset.title}: {text}",
        )
        for job, names, text in (
            (WEB_TO_GCS, to_lake, "from TLC's site to the lake."),
            (GCS_TO_BIGQUERY, (BIGQUERY_TABLE,), "from the lake to the warehouse."),
            (
                EVERYTHING,
                (*to_lake, BIGQUERY_TABLE, *([POSTGRES_TABLE] if postgres else [])),
                "from TLC's site to every table.",
            ),
        )
    ]


def request_month(dataset: str, month: Month, job: str = EVERYTHING, *, run_key: str) -> dg.RunRequest:
    """Return the run of a job that lands one month; Dagster starts one run per `run_key` and requester."""
    return dg.RunRequest(
        job_name=f"{dataset}_{job}",
        partition_key=partition_key(month),
        run_key=run_key,
        tags=run_tags(dataset, month),
    )


def run_tags(dataset: str, month: Month) -> dict[str, str]:
    """Return the tags by which the runs of a month are found in the UI."""
    return {"dataset": dataset, "month": str(month)}
