"""The report of each month: a page and its images, from numbers that the warehouse counts.

It is not part of what `taxi-assets run` and the datasets' jobs land: drawing takes longer than landing a small month.
Where automation runs, it follows its table by itself; else it is made on demand.

Annotations are evaluated (no `from __future__ import annotations`); see `taxi_assets.assets.monthly`.
"""

import dagster as dg

from taxi_assets.assets.monthly import OWNERS, begin
from taxi_assets.automation import follows_its_upstream
from taxi_assets.contracts.model import Dataset, Role
from taxi_assets.failures import reported_failures
from taxi_assets.io_managers import metadata
from taxi_assets.names import BIGQUERY_TABLE, MONTHLY_REPORT, TAXI_ZONES, asset_key
from taxi_assets.partitions import partitions_of
from taxi_assets.records import TableMonth
from taxi_assets.resources import LakeResource, StagingResource, WarehouseResource


def report_asset(dataset: Dataset, retries: dg.RetryPolicy) -> dg.AssetsDefinition:
    """Return the asset of a dataset's monthly reports."""
    key = asset_key(dataset.name, MONTHLY_REPORT)

    @dg.asset(
        key=key,
        description=f"The month in charts, as one HTML page and as images. {dataset.title}: "
        f"{', '.join(_charts(dataset))}, and what is unusual compared with the months before.",
        group_name=dataset.name,
        kinds={"html", "matplotlib"},
        owners=OWNERS,
        tags={"dataset": dataset.name, "source": "tlc"},
        partitions_def=partitions_of(dataset),
        ins={"record": dg.AssetIn(asset_key(dataset.name, BIGQUERY_TABLE))},
        deps=[TAXI_ZONES],  # the names of the pickup zones
        code_version="1",
        pool="warehouse",
        retry_policy=retries,
        automation_condition=follows_its_upstream(),
    )
    def monthly_report(
        context: dg.AssetExecutionContext,
        staging: StagingResource,
        lake: LakeResource,
        warehouse: WarehouseResource,
        record: TableMonth,
    ) -> dg.MaterializeResult:
        from taxi_assets.reports.report import make_report

        month = begin(context, dataset)
        with reported_failures(key, month):
            report = make_report(dataset, record.month, warehouse.create(), lake.create(), staging.create())
        return dg.MaterializeResult(
            data_version=dg.DataVersion(report.sha256),
            metadata={**metadata.of_report(report), "table_sha256": record.sha256},
        )

    return monthly_report


def _charts(dataset: Dataset) -> list[str]:
    """Return what the charts show, by the columns that the dataset has."""
    by_role: dict[Role, str] = {"payment": "payments", "distance": "distances", "pickup_zone": "pickup zones"}
    return ["trips per day and hour", *(text for role, text in by_role.items() if dataset.one(role))]
