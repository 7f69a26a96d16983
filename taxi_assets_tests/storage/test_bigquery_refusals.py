"""What BigQuery refuses, or does not answer: the old month stays, and the error names what to change."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from taxi_assets.errors import PermanentError, TransientError
from taxi_assets.storage.lake.gcs import GcsLake
from taxi_assets.storage.warehouse.bigquery import BigQueryWarehouse
from taxi_assets_tests.servers.bigquery import BigQueryServer
from taxi_assets_tests.servers.gcs import GcsServer
from taxi_assets_tests.servers.proxy import faulty_proxy
from taxi_assets_tests.storage.months import FEBRUARY, JANUARY, YELLOW, Put, cleaned_month, record_of


def _nulls(column: str) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        at = table.schema.get_field_index(column)
        kind = table.schema.field(column).type
        return table.set_column(at, pa.field(column, kind), pa.nulls(len(table), kind))

    return change


def _texts(column: str) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.set_column(
        table.schema.get_field_index(column), column, pa.array(["a"] * len(table), pa.string())
    )


@pytest.mark.parametrize(
    ("change", "column", "reason"),
    [
        (_nulls("tpep_pickup_datetime"), "tpep_pickup_datetime", "Only optional fields can be set to NULL"),
        (_texts("fare_amount"), "fare_amount", "does not match the target"),
    ],
)
def test_a_failed_load_leaves_the_old_month_and_names_file_column_and_reason(
    warehouse: BigQueryWarehouse, put: Put, change: Any, column: str, reason: str
) -> None:
    warehouse.replace_month(YELLOW, put())
    before = warehouse.read_month("yellow", JANUARY)
    bad = put(seed=1, change=change)
    for attempt in (1, 2):  # the failed job keeps its identifier; a later try has the next one
        with pytest.raises(PermanentError) as caught:
            warehouse.replace_month(YELLOW, bad)
        assert f"column {column}" in caught.value.message
        assert reason in caught.value.message
        assert bad.file in caught.value.location
        assert caught.value.location.endswith(f"-{attempt}")
        assert "yellow 2021-01" in caught.value.location
    assert warehouse.read_month("yellow", JANUARY).equals(before)
    good = put(seed=2)
    assert warehouse.replace_month(YELLOW, good).rows == 100


def test_rows_of_another_month_are_refused(warehouse: BigQueryWarehouse, lake: GcsLake, tmp_path: Path) -> None:
    _, path = cleaned_month(tmp_path, FEBRUARY)
    stored = lake.put(record_of(path, "yellow", JANUARY, 100), path)
    with pytest.raises(PermanentError, match="different partitions"):
        warehouse.replace_month(YELLOW, stored)
    assert warehouse.count_months("yellow_trips") == {}


def test_a_table_with_other_rows_than_the_ledger_is_an_error(warehouse: BigQueryWarehouse, put: Put) -> None:
    with pytest.raises(PermanentError, match="the table has 100 rows of 2021-01, the object 101"):
        warehouse.replace_month(YELLOW, dataclasses.replace(put(), rows=101))


def test_a_busy_bigquery_is_asked_again_and_reported_as_busy_in_the_end(
    bigquery: BigQueryServer, warehouse: BigQueryWarehouse, put: Put
) -> None:
    stored = put()
    with faulty_proxy("127.0.0.1", bigquery.front.port) as proxy:
        access = dataclasses.replace(warehouse.access, bigquery_emulator=proxy.url, attempts=3)
        one = BigQueryWarehouse(access, warehouse.schema)
        proxy.answer(503, times=2)
        assert one.replace_month(YELLOW, stored).changed
        proxy.answer(503, times=9)
        with pytest.raises(TransientError, match="does not answer as it should"):
            one.replace_month(YELLOW, stored)


def test_a_missing_dataset_is_named_with_its_setting(warehouse: BigQueryWarehouse, put: Put) -> None:
    nowhere = BigQueryWarehouse(warehouse.access, "nowhere")
    for poll in (nowhere.check_access, lambda: nowhere.replace_month(YELLOW, put()), lambda: nowhere.count_months("x")):
        with pytest.raises(PermanentError) as caught:
            poll()
        assert "the BigQuery dataset does not exist" in caught.value.message
        assert "TAXI_WAREHOUSE_SCHEMA" in caught.value.remedy


def test_a_wrong_location_is_named_with_its_setting(warehouse: BigQueryWarehouse) -> None:
    far = BigQueryWarehouse(dataclasses.replace(warehouse.access, location="us-central1"), warehouse.schema)
    with pytest.raises(PermanentError) as caught:
        far.check_access()
    assert "the BigQuery dataset is in EU, not in us-central1" in caught.value.message
    assert "TAXI_BQ_LOCATION=EU" in caught.value.remedy


def test_a_bucket_in_another_location_than_the_dataset_is_refused(
    gcs: GcsServer, warehouse: BigQueryWarehouse, lake: GcsLake, tmp_path: Path
) -> None:
    gcs.client().create_bucket(f"far-{lake.bucket}", location="us-central1")
    far = GcsLake(lake.access, f"far-{lake.bucket}")
    place = far.describe_bucket()
    assert (place.location, place.is_region) == ("US-CENTRAL1", True)
    poll = [
        lambda: warehouse.check_bucket(far.bucket, place.location, is_region=place.is_region),
        lambda: warehouse.replace_month(YELLOW, far.put(*cleaned_month(tmp_path))),
    ]
    for each in poll:
        with pytest.raises(PermanentError) as caught:
            each()
        assert "the bucket is in US-CENTRAL1, the BigQuery dataset in EU" in caught.value.message
        assert "TAXI_GCS_BUCKET" in caught.value.remedy
    warehouse.check_bucket("b", "EU", is_region=False)
    warehouse.check_bucket("b", "EUROPE-WEST1", is_region=True)
    for outside in ("EUROPE-WEST2", "EUROPE-WEST6"):
        with pytest.raises(PermanentError, match=f"the bucket is in {outside}, the BigQuery dataset in EU"):
            warehouse.check_bucket("b", outside, is_region=True)


@pytest.mark.parametrize(
    ("permission", "role"),
    [
        ("bigquery.jobs.create", "roles/bigquery.jobUser on the project"),
        ("bigquery.tables.updateData", "roles/bigquery.dataEditor on the dataset"),
        ("bigquery.tables.create", "roles/bigquery.dataEditor on the dataset"),
        ("storage.objects.get", "the missing roles"),  # BigQuery says only that the file may not be read
    ],
)
def test_a_denied_permission_is_named_with_the_role_that_has_it(
    bigquery: BigQueryServer, warehouse: BigQueryWarehouse, put: Put, permission: str, role: str
) -> None:
    stored = put()
    bigquery.front.deny(permission)
    with pytest.raises(PermanentError) as caught:
        warehouse.replace_month(YELLOW, stored)
    assert "denied" in caught.value.message
    if not permission.startswith("storage"):
        assert permission in caught.value.message
    assert role in caught.value.remedy
    assert "taxi-assets provision" in caught.value.remedy
    bigquery.front.allow()
    assert warehouse.replace_month(YELLOW, stored).rows == 100
