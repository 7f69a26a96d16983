"""The taxi zones: reference data to which every dataset's location ids point.

Annotations are evaluated (no `from __future__ import annotations`); see `taxi_assets.assets.monthly`.
"""

import dagster as dg

from taxi_assets.assets.monthly import OWNERS
from taxi_assets.automation import is_kept_fresh
from taxi_assets.contracts.zones import ZONE_COLUMNS, ZONES_TABLE
from taxi_assets.failures import reported_failures
from taxi_assets.io_managers.metadata import column_schema, place
from taxi_assets.names import TAXI_ZONES
from taxi_assets.transform.zones import contract, fetch_zones

OBJECT = "data/reference/taxi_zones.parquet"


def zones_asset(retries: dg.RetryPolicy, *, profile: str = "local", postgres: bool = False) -> dg.AssetsDefinition:
    """Return the asset of the taxi zones.

    Args:
        retries: How the step is tried again after a transient failure.
        profile: Which stores they go to.
        postgres: Whether there is a Postgres to load them into as well.
    """
    key = dg.AssetKey(TAXI_ZONES)

    @dg.asset(
        key=key,
        description="TLC's lookup of its 265 taxi zones, as an object in the lake and a table in the warehouse.",
        group_name="reference",
        kinds={"csv", "parquet", "bigquery" if profile == "gcp" else "duckdb"},
        owners=OWNERS,
        tags={"source": "tlc"},
        code_version=contract(),
        metadata={"dagster/column_schema": column_schema(ZONE_COLUMNS)},
        pool="warehouse",
        retry_policy=retries,
        automation_condition=is_kept_fresh(),
        required_resource_keys={"source", "staging", "lake", "warehouse", *(["postgres"] if postgres else [])},
    )
    def taxi_zones(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        resources = context.resources
        staging, warehouse = resources.staging.create(), resources.warehouse.create()
        with reported_failures(key, None, retries=retries, retry_number=context.retry_number):
            zones, changed = fetch_zones(resources.source.create(), resources.source.zones_url, staging)
            path = staging.path(zones.file)
            uri = resources.lake.create().put_file(OBJECT, path)
            rows = warehouse.replace_table(ZONES_TABLE, ZONE_COLUMNS, uri)
            if postgres:
                resources.postgres.create().replace_table(ZONES_TABLE, ZONE_COLUMNS, path)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(zones.sha256),
            metadata={
                "dagster/row_count": rows,
                "dagster/uri": uri,
                **place(uri),
                "dagster/table_name": f"{warehouse.schema}.{ZONES_TABLE}",
                "source_url": dg.MetadataValue.url(zones.source_url),
                "sha256": zones.sha256,
                "unknown_columns": ", ".join(zones.unknown_columns),
                "changed": changed,
            },
        )

    return taxi_zones
