"""What decides that a month is loaded, and what no load may do to it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from google.cloud import bigquery as bq

from taxi_assets.errors import PermanentError
from taxi_assets.months import Month
from taxi_assets.records import LakeObject
from taxi_assets.storage.lake.gcs import GcsLake
from taxi_assets.storage.warehouse.bigquery import BigQueryWarehouse
from taxi_assets_tests.servers.bigquery import BigQueryServer
from taxi_assets_tests.servers.gcs import GcsServer
from taxi_assets_tests.servers.proxy import faulty_proxy
from taxi_assets_tests.storage.months import FEBRUARY, JANUARY, PROJECT, YELLOW, Put, cleaned_month


@pytest.fixture
def put_from_elsewhere(gcs: GcsServer, lake: GcsLake, tmp_path: Path) -> Put:
    """Puts a month into the lake as another program would, and finds it there."""

    def put(*args: object, found_as: Month = JANUARY, **more: object) -> LakeObject:
        _, path = cleaned_month(tmp_path, *args, **more)  # type: ignore[arg-type]
        blob = gcs.client().bucket(lake.bucket).blob(f"lake/data/yellow/yellow_tripdata_{found_as}.parquet")
        blob.upload_from_filename(path)
        found = lake.find("yellow", found_as)
        assert found is not None
        return found

    return put


def load_jobs(bigquery: BigQueryServer, schema: str) -> list[str]:
    return [job_id for job_id in bigquery.front.loads() if job_id.startswith(schema)]


# Unchanged


def test_a_month_that_is_loaded_stays_untouched_when_bigquery_has_forgotten_the_job(
    bigquery: BigQueryServer, warehouse: BigQueryWarehouse, put: Put
) -> None:
    stored = put()
    first = warehouse.replace_month(YELLOW, stored)
    bigquery.front.forget_jobs()
    again = BigQueryWarehouse(warehouse.access, warehouse.schema).replace_month(YELLOW, stored)
    assert (again.changed, again.job) == (False, first.job)
    assert load_jobs(bigquery, warehouse.schema) == []


def test_the_same_bytes_uploaded_again_are_not_loaded_again(
    bigquery: BigQueryServer, warehouse: BigQueryWarehouse, lake: GcsLake, gcs: GcsServer, put: Put
) -> None:
    stored = put()
    warehouse.replace_month(YELLOW, stored)
    gcs.client().bucket(lake.bucket).delete_blob("lake/data/yellow/yellow_tripdata_2021-01.parquet")
    again = put()
    assert again.generation != stored.generation
    assert not warehouse.replace_month(YELLOW, again).changed
    assert len(load_jobs(bigquery, warehouse.schema)) == 1


def test_other_bytes_with_as_many_rows_are_loaded_even_if_every_job_is_forgotten(
    bigquery: BigQueryServer, warehouse: BigQueryWarehouse, put: Put
) -> None:
    warehouse.replace_month(YELLOW, put())
    bigquery.front.forget_jobs()
    second = put(seed=1)
    assert warehouse.replace_month(YELLOW, second).changed
    found = warehouse.find_month("yellow", JANUARY, second)
    assert found is not None
    assert found.sha256 == second.sha256


def test_a_month_that_an_earlier_release_loaded_is_recognized_by_its_job(
    client: bq.Client, bigquery: BigQueryServer, warehouse: BigQueryWarehouse, put: Put
) -> None:
    stored = put()
    warehouse.replace_month(YELLOW, stored)
    client.delete_table(f"{PROJECT}.{warehouse.schema}.month_loads")
    found = warehouse.find_month("yellow", JANUARY, stored)
    assert found is not None
    assert found.sha256 == stored.sha256
    assert not warehouse.replace_month(YELLOW, stored).changed
    bigquery.front.forget_jobs()
    assert not warehouse.replace_month(YELLOW, stored).changed, "now it is recorded"


def test_a_month_knows_the_object_it_was_loaded_from_not_the_one_that_lies_there(
    warehouse: BigQueryWarehouse, put: Put
) -> None:
    first = put()
    warehouse.replace_month(YELLOW, first)
    found = warehouse.find_month("yellow", JANUARY, put(seed=1))
    assert found is not None
    assert found.sha256 == first.sha256


def test_a_load_whose_answer_is_lost_has_landed_and_is_not_called_unchanged(
    bigquery: BigQueryServer, warehouse: BigQueryWarehouse, put: Put
) -> None:
    stored = put()
    warehouse.ensure_table(YELLOW)
    with faulty_proxy("127.0.0.1", bigquery.front.port) as proxy:
        one = BigQueryWarehouse(dataclasses.replace(warehouse.access, bigquery_emulator=proxy.url), warehouse.schema)
        proxy.lose_answer(f"POST /bigquery/v2/projects/{PROJECT}/jobs", skip=1)
        assert one.replace_month(YELLOW, stored).changed
        assert proxy.resets == 1


def test_what_a_table_was_loaded_from_is_compared_with_what_lies_in_the_lake(
    client: bq.Client, warehouse: BigQueryWarehouse, put: Put
) -> None:
    stored = put()
    assert warehouse.verify_month(YELLOW, stored) == ["the table has no rows of the month"]
    warehouse.replace_month(YELLOW, stored)
    assert warehouse.verify_month(YELLOW, stored) == []
    assert warehouse.loaded_checksums("yellow_trips") == {JANUARY: stored.sha256}
    assert warehouse.verify_month(YELLOW, put(seed=1)) == ["the table was loaded from other bytes than the object has"]
    client.query(f"DELETE FROM {warehouse.schema}.yellow_trips WHERE VendorID < 100").result()
    rows = warehouse.count_months("yellow_trips")[JANUARY]
    assert f"the table has {rows} rows of the month, the object 100" in warehouse.verify_month(YELLOW, stored)


def test_a_month_is_loaded_again_on_request(client: bq.Client, warehouse: BigQueryWarehouse, put: Put) -> None:
    stored = put()
    warehouse.replace_month(YELLOW, stored)
    client.query(f"UPDATE {warehouse.schema}.yellow_trips SET VendorID = 9 WHERE TRUE").result()
    assert not warehouse.replace_month(YELLOW, stored).changed
    assert warehouse.replace_month(YELLOW, stored, reload=True).changed
    assert set(warehouse.read_month("yellow", JANUARY)["VendorID"].to_pylist()) != {9}


# What no load may do


def test_an_object_without_rows_erases_no_month(
    warehouse: BigQueryWarehouse, put: Put, put_from_elsewhere: Put
) -> None:
    warehouse.replace_month(YELLOW, put())
    for empty in (put_from_elsewhere(rows=0), put_from_elsewhere(FEBRUARY, 0, found_as=FEBRUARY), put(rows=0)):
        with pytest.raises(PermanentError, match="the object has no rows") as caught:
            warehouse.replace_month(YELLOW, empty)
        assert empty.file in caught.value.location
    assert warehouse.count_months("yellow_trips") == {JANUARY: 100}


def test_a_source_without_rows_may_land_where_there_was_nothing(warehouse: BigQueryWarehouse, put: Put) -> None:
    assert warehouse.replace_month(YELLOW, put(rows=0)).rows == 0


def test_an_object_from_elsewhere_with_far_fewer_rows_than_before_replaces_a_month_if_a_person_accepts_it(
    warehouse: BigQueryWarehouse, put: Put, put_from_elsewhere: Put
) -> None:
    warehouse.replace_month(YELLOW, put(rows=100))
    stored = put_from_elsewhere(rows=49)
    with pytest.raises(PermanentError, match="49 rows, under half of the 100 that the month has had") as caught:
        warehouse.replace_month(YELLOW, stored)
    assert "run yellow 2021-01 --from-lake --accept-row-count" in caught.value.remedy
    assert warehouse.count_months("yellow_trips") == {JANUARY: 100}
    assert warehouse.replace_month(YELLOW, stored, accept_row_count=True).rows == 49


def test_an_object_whose_rows_are_of_another_month_is_refused_before_a_load(
    bigquery: BigQueryServer, warehouse: BigQueryWarehouse, put: Put, put_from_elsewhere: Put
) -> None:
    warehouse.replace_month(YELLOW, put())
    with pytest.raises(PermanentError, match="rows of 2021-02"):
        put_from_elsewhere(FEBRUARY)
    assert len(load_jobs(bigquery, warehouse.schema)) == 1
    assert warehouse.count_months("yellow_trips") == {JANUARY: 100}


# Metadata instead of scans


def test_nothing_of_ours_scans_a_table_that_requires_a_partition_filter(
    client: bq.Client, warehouse: BigQueryWarehouse, put: Put
) -> None:
    stored = put()
    warehouse.replace_month(YELLOW, stored)
    table = client.get_table(f"{PROJECT}.{warehouse.schema}.yellow_trips")
    table.require_partition_filter = True
    client.update_table(table, ["require_partition_filter"])
    with pytest.raises(PermanentError, match="without a filter"):
        warehouse.query(f"SELECT COUNT(*) FROM {warehouse.schema}.yellow_trips")
    assert not warehouse.replace_month(YELLOW, stored).changed
    assert warehouse.replace_month(YELLOW, put(seed=1)).changed
    assert warehouse.count_months("yellow_trips") == {JANUARY: 100}
    assert warehouse.find_month("yellow", JANUARY) is not None
    assert warehouse.read_month("yellow", JANUARY).num_rows == 100


def test_counts_come_from_metadata(bigquery: BigQueryServer, warehouse: BigQueryWarehouse, put: Put) -> None:
    warehouse.replace_month(YELLOW, put())
    warehouse.replace_month(YELLOW, put(FEBRUARY, 50))
    bigquery.front.sent_jobs.clear()
    assert warehouse.count_months("yellow_trips") == {JANUARY: 100, FEBRUARY: 50}
    assert warehouse.count_months("yellow_trips", [FEBRUARY]) == {FEBRUARY: 50}
    assert warehouse.count_months("green_trips") == {}
    assert warehouse.find_month("yellow", JANUARY) is not None
    queries = [job["configuration"]["query"]["query"] for job in bigquery.front.sent_jobs]
    assert queries
    assert not [sql for sql in queries if "yellow_trips" in sql]


def test_every_job_carries_the_projects_labels(
    bigquery: BigQueryServer, warehouse: BigQueryWarehouse, put: Put
) -> None:
    warehouse.replace_month(YELLOW, put())
    warehouse.query("SELECT 1")
    warehouse.check_access()
    jobs = [job["configuration"] for job in bigquery.front.sent_jobs]
    assert {next(kind for kind in ("load", "query") if kind in job) for job in jobs} == {"load", "query"}
    for job in jobs:
        assert job["labels"].items() >= {"made_by": "taxi_assets", "source": "tlc"}.items()
    (load,) = [job for job in jobs if "load" in job]
    assert load["labels"].items() >= {"dataset": "yellow", "month": "2021-01"}.items()
