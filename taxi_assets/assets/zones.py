"""The taxi zones: reference data to which every dataset's location ids point.

Annotations are evaluated (no `from __future__ import annotations`): Dagster reads them in functions defined here.
"""

import dagster as dg

from taxi_assets.contracts.zones import ZONE_COLUMNS, ZONES_TABLE
from taxi_assets.errors import TaxiError
from taxi_assets.io_managers.metadata import column_schema
from taxi_assets.transform.zones import contract, fetch_zones

OBJECT = "data/reference/taxi_zones.parquet"


def zones_asset(*, postgres: bool = False) -> dg.AssetsDefinition:
    """Return the asset of the taxi zones.

    Args:
        postgres: Whether there is a Postgres to load them into as well.
    """

    @dg.asset(
        key=ZONES_TABLE,
        description="TLC's lookup of its 265 taxi zones, as an object in the lake and a table in the warehouse.",
        group_name="reference",
        kinds={"csv", "parquet", "table"},
        owners=["team:data-engineering"],
        tags={"source": "tlc"},
        code_version=contract(),
        metadata={"dagster/column_schema": column_schema(ZONE_COLUMNS)},
        pool="warehouse",
        required_resource_keys={
            "source",
            "work",
            "lake_io_manager",
            "warehouse_io_manager",
            *(["postgres_io_manager"] if postgres else []),
        },
    )
    def taxi_zones(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        given = context.resources
        try:
            staging = given.work.staging()
            zones, changed = fetch_zones(given.source.source(), given.source.zones_url, staging)
            uri = given.lake_io_manager.lake().put_file(OBJECT, staging.path(zones.file))
            warehouse = given.warehouse_io_manager.warehouse()
            rows = warehouse.replace_table(ZONES_TABLE, ZONE_COLUMNS, uri)
            if postgres:
                given.postgres_io_manager.store().replace_table(ZONES_TABLE, ZONE_COLUMNS, staging.path(zones.file))
        except TaxiError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        return dg.MaterializeResult(
            data_version=dg.DataVersion(zones.sha256),
            metadata={
                "dagster/row_count": rows,
                "dagster/uri": uri,
                "dagster/table_name": f"{warehouse.schema}.{ZONES_TABLE}",
                "source_url": dg.MetadataValue.url(zones.source_url),
                "sha256": zones.sha256,
                "unknown_columns": ", ".join(zones.unknown_columns),
                "changed": changed,
            },
        )

    return taxi_zones
