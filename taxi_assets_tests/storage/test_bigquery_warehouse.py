"""The warehouse in BigQuery: what a table looks like, what a load replaces, what is not loaded again or refused."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.cloud import bigquery as bq

from taxi_assets.contracts import DATASETS
from taxi_assets.contracts.model import Column
from taxi_assets.errors import PermanentError, TransientError
from taxi_assets.months import Month
from taxi_assets.records import LakeObject
from taxi_assets.storage.lake.gcs import GcsLake
from taxi_assets.storage.warehouse.bigquery import BigQueryWarehouse
from taxi_assets.storage.warehouse.bigquery_tables import new_table
from taxi_assets_tests.servers.bigquery import BigQueryServer
from taxi_assets_tests.servers.gcs import GcsServer
from taxi_assets_tests.servers.proxy import faulty_proxy
from taxi_assets_tests.storage.months import JANUARY, PROJECT, YELLOW, cleaned_month, record_of

FEBRUARY = Month(2021, 2)
Put = Callable[..., LakeObject]


@pytest.fixture
def put(lake: GcsLake, tmp_path: Path) -> Put:
    """Puts a month into the lake."""
    return lambda *args, **more: lake.put(*cleaned_month(tmp_path, *args, **more))


@pytest.fixture
def client(bigquery: BigQueryServer) -> bq.Client:
    return bigquery.client(PROJECT)


def jobs(bigquery: BigQueryServer) -> int:
    """Returns how many jobs were sent, counts of rows among them."""
    return sum(line.startswith("POST ") and line.partition("?")[0].endswith("/jobs") for line in bigquery.front.asked)


def table_of(client: bq.Client, warehouse: BigQueryWarehouse) -> bq.Table:
    return client.get_table(f"{PROJECT}.{warehouse.schema}.yellow_trips")


# The table


@pytest.mark.parametrize("name", list(DATASETS))
def test_a_table_is_made_as_the_contract_says(client: bq.Client, warehouse: BigQueryWarehouse, name: str) -> None:
    dataset = DATASETS[name]
    warehouse.ensure_table(dataset)
    table = client.get_table(f"{PROJECT}.{warehouse.schema}.{name}_trips")
    kinds = {"int64": "INTEGER", "float64": "FLOAT", "string": "STRING", "timestamp": "DATETIME", "date": "DATE"}
    assert [(f.name, f.field_type, f.is_nullable, f.description) for f in table.schema] == [
        (c.name, kinds[c.kind], c.nullable, c.description) for c in dataset.table_columns
    ]
    assert (table.time_partitioning.type_, table.time_partitioning.field) == ("MONTH", "source_month")
    assert table.clustering_fields == [column.name for column in map(dataset.one, ("pickup_zone", "pickup_time"))]
    assert table.labels == {"source": "tlc", "dataset": name, "made_by": "taxi_assets"}
    assert dataset.description in table.description


def test_a_table_gains_the_contracts_new_nullable_columns_and_keeps_its_rows_and_its_owners_labels(
    client: bq.Client, warehouse: BigQueryWarehouse, put: Put
) -> None:
    older = dataclasses.replace(YELLOW, columns=YELLOW.columns[:-5])
    warehouse.replace_month(older, put(dataset=older))
    table = table_of(client, warehouse)
    table.labels, table.clustering_fields = {"cost_center": "42"}, ["VendorID"]
    client.update_table(table, ["labels", "clustering_fields"])
    warehouse.replace_month(YELLOW, put(FEBRUARY))
    table = table_of(client, warehouse)
    assert [field.name for field in table.schema] == [
        *(column.name for column in older.table_columns),
        *(column.name for column in YELLOW.columns[-5:]),
    ]
    assert table.schema[-1].description == YELLOW.columns[-1].description
    assert table.labels["cost_center"] == "42"
    assert warehouse.count_months("yellow_trips") == {JANUARY: 100, FEBRUARY: 100}
    assert set(warehouse.read_month("yellow", JANUARY)[YELLOW.columns[-1].name].to_pylist()) == {None}


def test_any_other_difference_from_the_contract_is_refused_with_the_difference(
    client: bq.Client, warehouse: BigQueryWarehouse, put: Put
) -> None:
    stored = put()
    table = bq.Table(
        f"{PROJECT}.{warehouse.schema}.yellow_trips",
        schema=[
            bq.SchemaField("VendorID", "STRING"),
            bq.SchemaField("tpep_pickup_datetime", "DATETIME"),
            bq.SchemaField("surprise", "STRING", mode="REQUIRED"),
            bq.SchemaField("trip_distance", "FLOAT", mode="REQUIRED"),
        ],
    )
    client.create_table(table)
    with pytest.raises(PermanentError) as caught:
        warehouse.replace_month(YELLOW, stored)
    for difference in (
        "type of VendorID is STRING, not INTEGER",
        "mode of trip_distance is REQUIRED, not NULLABLE",
        "REQUIRED column surprise is not in the contract",
        "REQUIRED column source_month is missing",
        "not partitioned by MONTH on source_month",
    ):
        assert difference in caught.value.message
    assert len(table_of(client, warehouse).schema) == 4


def test_an_owners_own_nullable_columns_and_relaxed_ones_stop_no_load(
    client: bq.Client, warehouse: BigQueryWarehouse, put: Put
) -> None:
    table = new_table(warehouse._reference("yellow_trips"), YELLOW)
    relaxed = [bq.SchemaField.from_api_repr(field.to_api_repr() | {"mode": "NULLABLE"}) for field in table.schema]
    table.schema = [*relaxed, bq.SchemaField("reviewer", "STRING", description="Who looked at the trip.")]
    client.create_table(table)
    assert warehouse.replace_month(YELLOW, put()).unknown_columns == ("reviewer",)
    assert warehouse.check_table(YELLOW)
    (reviewer,) = [field for field in table_of(client, warehouse).schema if field.name == "reviewer"]
    assert reviewer.description == "Who looked at the trip."
    assert set(warehouse.read_month("yellow", JANUARY)["reviewer"].to_pylist()) == {None}


def test_a_table_of_an_earlier_release_gains_a_required_column_as_one_that_may_be_empty(
    client: bq.Client, warehouse: BigQueryWarehouse, put: Put
) -> None:
    table = new_table(warehouse._reference("yellow_trips"), YELLOW)
    table.schema = [field for field in table.schema if field.name != "source_row"]
    client.create_table(table)
    assert warehouse.replace_month(YELLOW, put()).rows == 100
    (added,) = [field for field in table_of(client, warehouse).schema if field.name == "source_row"]
    assert added.mode == "NULLABLE"
    assert warehouse.check_table(YELLOW)


def test_a_required_column_that_no_file_has_is_refused_with_the_statement_that_drops_it(
    client: bq.Client, warehouse: BigQueryWarehouse, put: Put
) -> None:
    table = new_table(warehouse._reference("yellow_trips"), YELLOW)
    table.schema = [*table.schema, bq.SchemaField("reviewer", "STRING", mode="REQUIRED")]
    client.create_table(table)
    with pytest.raises(PermanentError) as caught:
        warehouse.replace_month(YELLOW, put())
    assert "REQUIRED column reviewer is not in the contract" in caught.value.message
    assert "yellow_trips` DROP COLUMN reviewer" in caught.value.remedy


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


# What fails


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


def test_a_table_that_drops_old_months_takes_none_that_it_would_drop(
    client: bq.Client, warehouse: BigQueryWarehouse, put: Put
) -> None:
    """As in BigQuery's sandbox, where partitions live for 60 days."""
    stored, table = put(), new_table(warehouse._reference("yellow_trips"), YELLOW)
    assert table.time_partitioning is not None
    table.time_partitioning.expiration_ms = 60 * 86_400_000
    client.create_table(table)
    with pytest.raises(PermanentError) as caught:
        warehouse.replace_month(YELLOW, stored)
    assert "drops months that are older than 60 days, and 2021-01 is" in caught.value.message
    assert "partition_expiration_days = NULL" in caught.value.remedy
    assert "sandbox" in caught.value.remedy


def test_a_table_that_bigquery_will_delete_takes_no_month(
    client: bq.Client, warehouse: BigQueryWarehouse, put: Put
) -> None:
    dataset = client.get_dataset(f"{PROJECT}.{warehouse.schema}")
    dataset.default_table_expiration_ms = 30 * 86_400_000
    client.update_dataset(dataset, ["default_table_expiration_ms"])
    for attempt in (lambda: warehouse.replace_month(YELLOW, put()), lambda: warehouse.check_table(YELLOW)):
        with pytest.raises(PermanentError, match="BigQuery deletes the table, with every month in it, on 20") as caught:
            attempt()
        assert "expiration_timestamp = NULL" in caught.value.remedy
        assert "default_table_expiration_days" in caught.value.remedy
        assert "sandbox" in caught.value.remedy


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


# Reading


def test_a_query_gets_its_parameters_and_gives_an_arrow_table(warehouse: BigQueryWarehouse, put: Put) -> None:
    warehouse.replace_month(YELLOW, put())
    sql = f"SELECT COUNT(*) AS trips FROM {warehouse.schema}.yellow_trips WHERE source_month = ?"
    assert warehouse.query(sql, [JANUARY.first_day]).to_pylist() == [{"trips": 100}]
    with pytest.raises(PermanentError, match="Google refused the request"):
        warehouse.query("SELEKT 1")


def test_it_knows_its_tables(warehouse: BigQueryWarehouse) -> None:
    assert not warehouse.has_table("yellow_trips")
    warehouse.ensure_table(YELLOW)
    assert warehouse.has_table("yellow_trips")


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
