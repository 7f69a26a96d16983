"""The report of each month: a page and its images, counted in the warehouse.

It is not part of what `taxi-assets run` and the datasets' jobs land: a picture takes longer than a small month. It
follows its table by itself where automation runs; else it is made on demand.

Annotations are evaluated (no `from __future__ import annotations`): Dagster reads them in functions defined here.
"""

import warnings
from collections.abc import Iterator
from typing import Any

import dagster as dg

from taxi_assets.assets.steps import land_months
from taxi_assets.automation import follows_its_upstream
from taxi_assets.contracts.model import Dataset
from taxi_assets.months import Month
from taxi_assets.partitions import MONTHS_PER_RUN, partitions_of
from taxi_assets.resources import StagingResource

REPORT = "monthly_report"


def report_asset(dataset: Dataset) -> dg.AssetsDefinition:
    """Return the asset of a dataset's monthly reports."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # backfill policies; pinned, and tested here
        return _report_asset(dataset)


def _report_asset(dataset: Dataset) -> dg.AssetsDefinition:
    @dg.asset(
        key=[dataset.name, REPORT],
        description=f"The month in pictures, as one HTML page and as images. {dataset.title}: trips per day and hour, "
        "payments, distances, pick-up zones, and what is odd against the months before.",
        group_name=dataset.name,
        kinds={"html", "matplotlib"},
        owners=["team:data-engineering"],
        tags={"dataset": dataset.name, "source": "tlc"},
        partitions_def=partitions_of(dataset),
        backfill_policy=dg.BackfillPolicy.multi_run(MONTHS_PER_RUN),
        ins={"upstream": dg.AssetIn(dg.AssetKey([dataset.name, "bigquery_table"]))},
        io_manager_key="report_io_manager",
        code_version="1",
        pool="warehouse",
        automation_condition=follows_its_upstream(),
    )
    def monthly_report(
        context: dg.AssetExecutionContext,
        work: StagingResource,
        lake_io_manager: dg.ResourceParam[Any],
        warehouse_io_manager: dg.ResourceParam[Any],
        upstream: dict,
    ) -> Iterator[Any]:
        from taxi_assets.reports.report import make_report

        warehouse, lake, staging = warehouse_io_manager.warehouse(), lake_io_manager.lake(), work.staging()

        def make(month: Month) -> Any:
            return make_report(dataset, month, warehouse, lake, staging), True, []

        yield from land_months(context, dataset, upstream, make)

    return monthly_report
