"""A report counts in the warehouse of either profile, and its files are where that profile's lake is."""

from __future__ import annotations

import uuid
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq

from taxi_assets.cli.run import land
from taxi_assets.contracts import DATASETS
from taxi_assets.contracts.zones import ZONE_COLUMNS, ZONES_TABLE
from taxi_assets.definitions import build_definitions
from taxi_assets.instance.runs import ASSET_JOB, run_month
from taxi_assets.months import Month
from taxi_assets.reports.report import make_report
from taxi_assets.settings import Settings
from taxi_assets.storage.lake.gcs import GcsLake
from taxi_assets.storage.warehouse.bigquery import BigQueryWarehouse
from taxi_assets_tests.reports.landed import Place, zones
from taxi_assets_tests.servers.bigquery import BigQueryServer
from taxi_assets_tests.servers.cloud import JANUARY
from taxi_assets_tests.servers.gcs import GcsServer
from taxi_assets_tests.storage.months import PROJECT, access


def test_bigquery_and_duckdb_give_the_same_report_and_the_bucket_serves_it_as_a_page(
    gcs: GcsServer, bigquery: BigQueryServer, tmp_path: Path
) -> None:
    from google.cloud import bigquery as bq

    name = f"reports-{uuid.uuid4().hex[:12]}"
    gcs.client().create_bucket(name, location="EU")
    dataset = bq.Dataset(f"{PROJECT}.{name.replace('-', '_')}")
    dataset.location = "EU"
    bigquery.client(PROJECT).create_dataset(dataset)
    lake = GcsLake(access(storage_emulator=gcs.url), name, "lake")
    warehouse = BigQueryWarehouse(access(bigquery_emulator=bigquery.url), dataset.dataset_id)

    place = Place(tmp_path)
    for month in ("2020-01", "2021-01"):
        place.land("yellow", month, 300)
        cleaned = place.record("yellow", month)
        warehouse.replace_month(DATASETS["yellow"], lake.put(cleaned, place.staging.path(cleaned.file)))
    assert place.metrics("yellow", "2021-01", warehouse) == place.metrics("yellow", "2021-01")
    place.name_zones()
    pq.write_table(zones(), tmp_path / "zones.parquet")
    uri = lake.put_file("data/reference/taxi_zones.parquet", tmp_path / "zones.parquet")
    warehouse.replace_table(ZONES_TABLE, ZONE_COLUMNS, uri)
    assert place.metrics("yellow", "2021-01", warehouse) == place.metrics("yellow", "2021-01")

    earlier = "reports/yellow/2021-01/chart_of_an_earlier_release.dark.png"
    lake.put_file(earlier, tmp_path / "zones.parquet")
    report = make_report(DATASETS["yellow"], Month(2021, 1), warehouse, lake, place.staging)
    assert report.file == f"gs://{name}/lake/reports/yellow/2021-01/report.html"
    blob = gcs.client().bucket(name).get_blob("lake/reports/yellow/2021-01/report.html")
    assert blob.content_type == "text/html"
    assert earlier not in lake.list_files("reports")
    assert report.sha256 == place.report("yellow", "2021-01").sha256


def test_in_the_gcp_profile_the_report_is_a_link_to_the_bucket(made: Settings, gcs: GcsServer) -> None:
    land(made, DATASETS["yellow"], [JANUARY])
    report = dg.AssetKey(["yellow", "monthly_report"])
    with dg.instance_for_test() as instance:
        outcome, _ = run_month(build_definitions(made), instance, ASSET_JOB, "yellow", JANUARY, selection=[report])
        assert not outcome.error
        event = instance.get_latest_materialization_event(report)
    assert event
    assert event.asset_materialization
    name = "lake/reports/yellow/2021-01/report.html"
    metadata = event.asset_materialization.metadata
    assert metadata["report"] == dg.MetadataValue.url(f"https://storage.cloud.google.com/{made.gcs_bucket}/{name}")
    gcs.front.require_credentials = False  # the test reads without
    page = gcs.client().bucket(made.gcs_bucket).blob(name).download_as_text()
    assert "Anomalies, this month" in page  # the month's record is within reach
