"""A bucket, and a BigQuery dataset beside it, for each test."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from google.cloud import bigquery as bq

from taxi_assets.storage.lake.gcs import GcsLake
from taxi_assets.storage.warehouse.bigquery import BigQueryWarehouse
from taxi_assets_tests.servers.bigquery import BigQueryServer
from taxi_assets_tests.servers.gcs import GcsServer
from taxi_assets_tests.storage.months import PROJECT, Put, access, cleaned_month


@pytest.fixture
def lake(gcs: GcsServer) -> GcsLake:
    name = f"b-{uuid.uuid4().hex[:12]}"
    gcs.client().create_bucket(name, location="EU")
    gcs.front.asked.clear()
    return GcsLake(access(storage_emulator=gcs.url), name, "lake")


@pytest.fixture
def warehouse(bigquery: BigQueryServer) -> BigQueryWarehouse:
    dataset = bq.Dataset(f"{PROJECT}.d_{uuid.uuid4().hex[:12]}")
    dataset.location = "EU"
    bigquery.client(PROJECT).create_dataset(dataset)
    bigquery.front.asked.clear()
    return BigQueryWarehouse(access(bigquery_emulator=bigquery.url), dataset.dataset_id)


@pytest.fixture
def put(lake: GcsLake, tmp_path: Path) -> Put:
    """Puts a month into the lake."""
    return lambda *args, **more: lake.put(*cleaned_month(tmp_path, *args, **more), accept_row_count=True)


@pytest.fixture
def client(bigquery: BigQueryServer) -> bq.Client:
    return bigquery.client(PROJECT)
