"""The warehouse in BigQuery: what a load replaces, what is not loaded again, and what is read back."""

from __future__ import annotations

import dataclasses
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.cloud import bigquery as bq

from taxi_assets.contracts.model import Column
from taxi_assets.errors import PermanentError, TransientError
from taxi_assets.months import Month
from taxi_assets.records import LakeObject
from taxi_assets.storage.lake.gcs import GcsLake
from taxi_assets.storage.warehouse.bigquery import BigQueryWarehouse
from taxi_assets_tests.servers.bigquery import BigQueryServer
from taxi_assets_tests.servers.proxy import faulty_proxy
from taxi_assets_tests.storage.months import FEBRUARY, JANUARY, PROJECT, YELLOW, Put


def jobs(bigquery: BigQueryServer) -> int:
    """Returns how many jobs were sent, counts of rows among them."""
    return sum(line.startswith("POST ") and line.partition("?")[0].endswith("/jobs") for line in bigquery.front.asked)


# Loading


def test_a_loaded_month_has_every_value_of_the_object_and_reports_the_jobs_cost(
    warehouse: BigQueryWarehouse, lake: GcsLake, put: Put
) -> None:
    stored = put()
    loaded = warehouse.replace_month(YELLOW, stored)
    assert (loaded.rows, loaded.changed, loaded.sha256) == (100, True, stored.sha256)
    assert loaded.file == f"{warehouse.schema}.yellow_trips"
    assert stored.generation in loaded.job
    assert loaded.numbers["job_input_bytes"] == stored.bytes
    assert loaded.numbers["job_slot_seconds"] > 0
    there, sent = warehouse.read_month("yellow", JANUARY), lake.read(stored)
    order = [(name, "ascending") for name in ("tpep_pickup_datetime", "VendorID")]
    assert there.schema.names == sent.schema.names
    assert there.schema.types == sent.schema.types
    assert there.sort_by(order).to_pylist() == sent.sort_by(order).to_pylist()


def test_no_row_passes_through_this_machine(bigquery: BigQueryServer, warehouse: BigQueryWarehouse, put: Put) -> None:
    stored = put(rows=5000)
    with faulty_proxy("127.0.0.1", bigquery.front.port) as proxy:
        access = dataclasses.replace(warehouse.access, bigquery_emulator=proxy.url)
        BigQueryWarehouse(access, warehouse.schema).replace_month(YELLOW, stored)
        assert sum(proxy.passed.values()) < 100_000 < stored.bytes


def test_a_month_that_is_loaded_is_not_loaded_again(
    bigquery: BigQueryServer, warehouse: BigQueryWarehouse, put: Put
) -> None:
    stored = put()
    first = warehouse.replace_month(YELLOW, stored)
    bigquery.front.asked.clear()
    again = BigQueryWarehouse(warehouse.access, warehouse.schema).replace_month(YELLOW, stored)
    assert again == dataclasses.replace(first, changed=False, numbers={})
    assert jobs(bigquery) == 1, "the query for what was loaded, and no load"


def test_a_replaced_object_replaces_its_month_and_no_other(warehouse: BigQueryWarehouse, put: Put) -> None:
    warehouse.replace_month(YELLOW, put())
    warehouse.replace_month(YELLOW, put(FEBRUARY, 50))
    assert warehouse.replace_month(YELLOW, put(rows=70, seed=1)).changed
    assert warehouse.count_months("yellow_trips") == {JANUARY: 70, FEBRUARY: 50}
    assert warehouse.count_months("yellow_trips", [FEBRUARY]) == {FEBRUARY: 50}


def test_a_month_whose_rows_are_gone_is_loaded_anew(client: bq.Client, warehouse: BigQueryWarehouse, put: Put) -> None:
    stored = put()
    warehouse.replace_month(YELLOW, stored)
    client.delete_table(f"{PROJECT}.{warehouse.schema}.yellow_trips$202101")
    assert warehouse.count_months("yellow_trips") == {}
    again = warehouse.replace_month(YELLOW, stored)
    assert (again.changed, again.rows) == (True, 100)
    assert again.job.endswith("-2")


def test_a_request_whose_answer_is_lost_loads_once(
    bigquery: BigQueryServer, warehouse: BigQueryWarehouse, put: Put
) -> None:
    stored = put()
    warehouse.ensure_table(YELLOW)
    with faulty_proxy("127.0.0.1", bigquery.front.port) as proxy:
        access = dataclasses.replace(warehouse.access, bigquery_emulator=proxy.url)
        one = BigQueryWarehouse(access, warehouse.schema)
        assert one.location == "EU"
        bigquery.front.asked.clear()
        proxy.lose_answer(f"POST /bigquery/v2/projects/{PROJECT}/jobs", skip=1)
        loaded = one.replace_month(YELLOW, stored)
        assert proxy.resets == 1
    assert (loaded.rows, loaded.job[-2:]) == (100, "-1")
    assert loaded.changed
    assert jobs(bigquery) == 2 + 3, "the load sent twice, and the queries of what was loaded"


def test_a_small_table_whose_jobs_answer_is_lost_is_loaded_once(
    bigquery: BigQueryServer, warehouse: BigQueryWarehouse, lake: GcsLake, tmp_path: Path
) -> None:
    pq.write_table(pa.table({"LocationID": [1]}), tmp_path / "zones.parquet")
    uri = lake.put_file("zones.parquet", tmp_path / "zones.parquet")
    with faulty_proxy("127.0.0.1", bigquery.front.port) as proxy:
        access = dataclasses.replace(warehouse.access, bigquery_emulator=proxy.url)
        proxy.lose_answer(f"POST /bigquery/v2/projects/{PROJECT}/jobs")
        one = BigQueryWarehouse(access, warehouse.schema)
        assert one.replace_table("zones", [Column("LocationID", "int64", "The zone.")], uri) == 1
        assert proxy.resets == 1


def test_a_link_that_goes_silent_while_a_job_runs_ends_in_the_time_that_the_settings_give(
    bigquery: BigQueryServer, warehouse: BigQueryWarehouse, put: Put
) -> None:
    stored = put()
    with faulty_proxy("127.0.0.1", bigquery.front.port) as proxy:
        access = dataclasses.replace(
            warehouse.access, bigquery_emulator=proxy.url, connect_timeout=2, read_timeout=2, attempts=1
        )
        one = BigQueryWarehouse(access, warehouse.schema)
        one.ensure_table(YELLOW)
        started = one._client.load_table_from_uri

        def start(*args: Any, **more: Any) -> Any:
            job = started(*args, **more)
            proxy.stall()
            return job

        one._client.load_table_from_uri = start
        began = time.monotonic()
        with pytest.raises(TransientError, match="does not answer as it should"):
            one.replace_month(YELLOW, stored)
        assert time.monotonic() - began < 60  # Google's library would wait for 128 s
    assert warehouse.replace_month(YELLOW, stored).rows == 100


def test_several_months_at_once_do_not_conflict_and_two_runs_of_one_month_end_with_one_month(
    warehouse: BigQueryWarehouse, put: Put
) -> None:
    stored = [put(), put(FEBRUARY, 50), put(Month(2021, 3), 60)]
    stored.append(stored[0])
    loaded = []

    def load(one: LakeObject) -> None:
        loaded.append(BigQueryWarehouse(warehouse.access, warehouse.schema).replace_month(YELLOW, one))

    threads = [threading.Thread(target=load, args=(one,)) for one in stored]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warehouse.count_months("yellow_trips") == {JANUARY: 100, FEBRUARY: 50, Month(2021, 3): 60}
    of_january = [record for record in loaded if record.month == JANUARY]
    assert len(of_january) == 2
    assert sorted(record.changed for record in of_january) == [False, True]
    assert len({record.job for record in of_january}) == 1


# Reading


def test_a_query_gets_its_parameters_and_gives_an_arrow_table(warehouse: BigQueryWarehouse, put: Put) -> None:
    warehouse.replace_month(YELLOW, put())
    sql = f"SELECT COUNT(*) AS trips FROM {warehouse.schema}.yellow_trips WHERE source_month = ?"
    assert warehouse.query(sql, [JANUARY.first_day]).to_pylist() == [{"trips": 100}]
    with pytest.raises(PermanentError, match="Google refused the request"):
        warehouse.query("SELEKT 1")


def test_a_month_is_found_with_the_checksum_of_the_object_it_was_loaded_from(
    warehouse: BigQueryWarehouse, put: Put
) -> None:
    assert warehouse.find_month("yellow", JANUARY) is None
    stored = put()
    warehouse.replace_month(YELLOW, stored)
    found = warehouse.find_month("yellow", JANUARY, stored)
    assert found is not None
    assert (found.rows, found.sha256, found.changed) == (100, stored.sha256, False)


def test_a_small_table_is_replaced_as_a_whole(warehouse: BigQueryWarehouse, lake: GcsLake, tmp_path: Path) -> None:
    columns = [Column("LocationID", "int64", "The zone.", nullable=False), Column("Zone", "string", "Its name.")]
    for rows in (3, 2):
        path = tmp_path / "zones.parquet"
        pq.write_table(pa.table({"LocationID": range(rows), "Zone": ["x"] * rows}), path)
        assert warehouse.replace_table("zones", columns, lake.put_file("zones.parquet", path)) == rows
