"""The names of the assets, in one place; everything that refers to an asset takes its name from here."""

from __future__ import annotations

import dagster as dg

RAW_FILE = "raw_file"
CLEANED_PARQUET = "cleaned_parquet"
GCS_OBJECT = "gcs_object"
BIGQUERY_TABLE = "bigquery_table"
POSTGRES_TABLE = "postgres_table"
MONTHLY_REPORT = "monthly_report"
TAXI_ZONES = "taxi_zones"

CHAIN = (RAW_FILE, CLEANED_PARQUET, GCS_OBJECT, BIGQUERY_TABLE)
"""The assets that every month passes, in order. `postgres_table` joins them where a Postgres is configured."""


def asset_key(dataset: str, name: str) -> dg.AssetKey:
    """Return the key of a dataset's asset, such as `yellow/raw_file`."""
    return dg.AssetKey([dataset, name])


def chain_of(dataset: str, *, postgres: bool) -> list[dg.AssetKey]:
    """Return the keys of the assets that a month of a dataset passes."""
    return [asset_key(dataset, name) for name in (*CHAIN, *([POSTGRES_TABLE] if postgres else []))]
