"""The test servers themselves: the official Google clients get from them what Google documents.

Belongs here: one sentence per documented behavior that the layers add to the emulators, and the proxy's faults.
"""

from __future__ import annotations

import datetime as dt
import io
import os
import threading
import time
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests
from google.api_core import exceptions
from google.auth import exceptions as auth_exceptions
from google.cloud import bigquery as bq
from google.oauth2 import service_account

from taxi_assets_tests.servers.proxy import faulty_proxy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from google.cloud import storage

    from taxi_assets_tests.servers.bigquery import BigQueryServer
    from taxi_assets_tests.servers.credentials import TokenEndpoint
    from taxi_assets_tests.servers.gcs import GcsServer

MIB = 1024 * 1024
PROJECT = "throw-away"
SCHEMA = [
    bq.SchemaField("VendorID", "INT64", "REQUIRED", description="who recorded the trip"),
    bq.SchemaField("fare_amount", "FLOAT64"),
    bq.SchemaField("store_and_fwd_flag", "STRING"),
    bq.SchemaField("pickup", "DATETIME"),
    bq.SchemaField("seen_at", "TIMESTAMP"),
    bq.SchemaField("source_month", "DATE", "REQUIRED"),
]
ROWS: dict[str, tuple[list[Any], pa.DataType]] = {
    "VendorID": ([1, 2, 6], pa.int64()),
    "fare_amount": ([1.5, None, -3.25], pa.float64()),
    "store_and_fwd_flag": (["Y", None, "N"], pa.string()),
    "pickup": (
        [dt.datetime.fromisoformat(when) if when else None for when in ("2021-01-31 23:59:59.250", "", "2009-01-01")],
        pa.timestamp("us"),
    ),
    "seen_at": ([dt.datetime(2021, 2, 1, tzinfo=dt.timezone.utc), None, None], pa.timestamp("us", tz="UTC")),
    "source_month": ([dt.date(2021, 1, 1)] * 3, pa.date32()),
}


@pytest.fixture
def bucket(gcs: GcsServer, request: pytest.FixtureRequest) -> storage.Bucket:
    return gcs.client().create_bucket(f"b-{abs(hash(request.node.nodeid)):x}", location="EU")


@pytest.fixture
def client(bigquery: BigQueryServer) -> bq.Client:
    return bigquery.client(PROJECT)


@pytest.fixture
def table(client: bq.Client, request: pytest.FixtureRequest) -> bq.Table:
    dataset = bq.Dataset(f"{PROJECT}.d_{abs(hash(request.node.nodeid)):x}")
    dataset.location = "EU"
    client.create_dataset(dataset)
    table = bq.Table(f"{dataset.project}.{dataset.dataset_id}.yellow_trips", schema=SCHEMA)
    table.time_partitioning = bq.TimePartitioning(type_="MONTH", field="source_month")
    table.clustering_fields = ["VendorID", "pickup"]
    table.description, table.labels = "Yellow trips", {"source": "tlc"}
    return client.create_table(table)


@pytest.fixture
def put(bucket: storage.Bucket) -> Callable[..., str]:
    """Writes rows as Parquet into the bucket and returns the object's URI."""

    def put(
        name: str = "m.parquet", *, month: str = "2021-01-01", order: list[str] | None = None, **columns: Any
    ) -> str:
        arrays = {key: pa.array(values, kind) for key, (values, kind) in ROWS.items()}
        arrays["source_month"] = pa.array([dt.date.fromisoformat(month)] * 3)
        arrays.update(columns)
        file = io.BytesIO()
        pq.write_table(pa.table({key: arrays[key] for key in order or arrays if arrays[key] is not None}), file)
        bucket.blob(name).upload_from_file(file, rewind=True)
        return f"gs://{bucket.name}/{name}"

    return put


def load(client: bq.Client, table: bq.Table, uri: str, month: str = "202101", **options: Any) -> bq.LoadJob:
    """Loads and waits; ``job_id`` is the id, the other options belong to LoadJobConfig."""
    job_id = options.pop("job_id", None)
    config = bq.LoadJobConfig(
        **{"schema": SCHEMA, "source_format": "PARQUET", "write_disposition": "WRITE_TRUNCATE", **options}
    )
    job = client.load_table_from_uri(uri, f"{table}${month}", job_config=config, job_id=job_id)
    job.result()
    return job


def rows(client: bq.Client, table: bq.Table) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in client.query(f"SELECT * FROM `{table}` ORDER BY source_month, VendorID").result()]


def months(client: bq.Client, table: bq.Table) -> dict[str, int]:
    query = f"SELECT source_month, COUNT(*) FROM `{table}` GROUP BY 1 ORDER BY 1"
    return {f"{month:%Y%m}": count for month, count in client.query(query).result()}


# Cloud Storage


def test_a_chunked_upload_arrives_whole_with_its_metadata(gcs: GcsServer, bucket: storage.Bucket) -> None:
    content = os.urandom(9 * MIB + 17)
    blob = bucket.blob("yellow/month=01/trips.parquet", chunk_size=MIB)
    blob.metadata = {"rows": "3"}
    blob.upload_from_file(io.BytesIO(content), content_type="application/vnd.apache.parquet", checksum="crc32c")
    again = bucket.get_blob(blob.name)
    assert again.download_as_bytes() == content
    assert (again.size, again.metadata, again.content_type) == (len(content), {"rows": "3"}, blob.content_type)
    assert (gcs.folder / bucket.name / blob.name).read_bytes() == content
    assert sum(line.startswith("PUT ") for line in gcs.front.asked) == 10


@pytest.mark.parametrize("size", [1000, 9 * MIB], ids=["in one request", "in chunks"])
def test_an_upload_whose_generation_does_not_match_is_refused_and_changes_nothing(
    bucket: storage.Bucket, size: int
) -> None:
    blob = bucket.blob("trips", chunk_size=MIB)
    blob.upload_from_string(bytes(size), if_generation_match=0)
    first = blob.generation
    with pytest.raises(exceptions.PreconditionFailed):
        blob.upload_from_string(b"x" * size, if_generation_match=0)
    assert bucket.get_blob("trips").generation == first
    blob.upload_from_string(b"y" * size, if_generation_match=first)
    assert bucket.get_blob("trips").generation != first


def test_of_two_uploads_of_a_new_object_at_once_one_wins(bucket: storage.Bucket) -> None:
    outcomes: list[str] = []
    start = threading.Barrier(2)

    def upload() -> None:
        start.wait()
        try:
            bucket.blob("trips", chunk_size=MIB).upload_from_string(os.urandom(9 * MIB), if_generation_match=0)
            outcomes.append("won")
        except exceptions.PreconditionFailed:
            outcomes.append("lost")

    threads = [threading.Thread(target=upload) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["lost", "won"]


def test_a_delete_whose_generation_does_not_match_is_refused(bucket: storage.Bucket) -> None:
    blob = bucket.blob("trips")
    blob.upload_from_string(b"x")
    with pytest.raises(exceptions.PreconditionFailed):
        blob.delete(if_generation_match=1)
    blob.delete(if_generation_match=blob.generation)
    assert bucket.get_blob("trips") is None


@pytest.mark.parametrize("size", [1000, 9 * MIB], ids=["in one request", "in chunks"])
def test_a_wrong_checksum_is_refused_and_nothing_is_stored(bucket: storage.Bucket, size: int) -> None:
    blob = bucket.blob("trips", chunk_size=MIB)
    blob.crc32c = "AAAAAA=="
    with pytest.raises(exceptions.BadRequest, match="doesn't match calculated CRC32C"):
        blob.upload_from_string(bytes(size), checksum=None)
    assert bucket.get_blob("trips") is None


def test_a_bucket_keeps_its_location_labels_and_lifecycle(gcs: GcsServer, bucket: storage.Bucket) -> None:
    bucket.labels = {"team": "taxi"}
    bucket.add_lifecycle_delete_rule(age=30)
    bucket.patch()
    again = gcs.client().get_bucket(bucket.name)
    assert (again.location, again.location_type, again.labels) == ("EU", "multi-region", {"team": "taxi"})
    assert [dict(rule) for rule in again.lifecycle_rules] == [{"action": {"type": "Delete"}, "condition": {"age": 30}}]


def test_a_missing_bucket_answers_not_found(gcs: GcsServer) -> None:
    with pytest.raises(exceptions.NotFound, match="bucket does not exist"):
        gcs.client().get_bucket("nowhere")
    with pytest.raises(exceptions.NotFound, match="bucket does not exist"):
        gcs.client().bucket("nowhere").blob("x").upload_from_string(b"x")


def test_a_denied_permission_on_the_bucket_is_named(gcs: GcsServer, bucket: storage.Bucket) -> None:
    gcs.front.deny("storage.objects.create")
    with pytest.raises(exceptions.Forbidden, match=r"storage\.objects\.create"):
        bucket.blob("trips", chunk_size=MIB).upload_from_string(bytes(9 * MIB))
    wanted = ["storage.objects.create", "storage.objects.get"]
    assert bucket.test_iam_permissions(wanted) == ["storage.objects.get"]


# The link


@pytest.mark.parametrize("direction", ["up", "down"])
def test_an_upload_goes_on_after_a_reset_in_the_middle(gcs: GcsServer, bucket: storage.Bucket, direction: Any) -> None:
    content = os.urandom(9 * MIB)
    with faulty_proxy("127.0.0.1", gcs.front.port) as proxy:
        blob = gcs.client(url=proxy.url).bucket(bucket.name).blob("trips", chunk_size=MIB)
        proxy.reset_after(3 * MIB + 12345 if direction == "up" else 700, direction)
        blob.upload_from_file(io.BytesIO(content), if_generation_match=0, checksum="crc32c")
        assert proxy.resets == 1
        assert proxy.passed["up"] < 11 * MIB, "only the broken chunk is sent again"
    assert bucket.get_blob("trips").download_as_bytes() == content


def test_a_busy_server_is_asked_again(gcs: GcsServer, bucket: storage.Bucket) -> None:
    with faulty_proxy("127.0.0.1", gcs.front.port) as proxy:
        blob = gcs.client(url=proxy.url).bucket(bucket.name).blob("trips", chunk_size=MIB)
        proxy.answer(503, times=1, when="PUT ", retry_after=1)
        blob.upload_from_file(io.BytesIO(bytes(9 * MIB)), if_generation_match=0)
        assert proxy.answered == 1
        proxy.answer(429, times=1, when="/o/")
        assert blob.exists()
        assert proxy.answered == 2


def test_the_proxy_refuses_stalls_and_slows(gcs: GcsServer, bucket: storage.Bucket) -> None:
    with faulty_proxy("127.0.0.1", gcs.front.port) as proxy:
        address = f"{proxy.url}/storage/v1/b/{bucket.name}"
        assert requests.get(address, timeout=5).ok
        proxy.refuse()
        with pytest.raises(requests.ConnectionError):
            requests.get(address, timeout=5)
        proxy.heal()
        assert requests.get(address, timeout=5).ok
        proxy.stall()
        with pytest.raises(requests.ReadTimeout):
            requests.get(address, timeout=0.3)
        proxy.heal()
        proxy.slow(2000)
        began = time.monotonic()
        assert requests.get(address, timeout=5).ok
        assert time.monotonic() - began > 0.3


# Credentials


def signed_in(info: dict[str, str]) -> service_account.Credentials:
    credentials: service_account.Credentials = service_account.Credentials.from_service_account_info(info)
    return credentials


def test_a_service_account_signs_in_to_both_services(
    gcs: GcsServer, bigquery: BigQueryServer, token_endpoint: TokenEndpoint
) -> None:
    from google.cloud import storage

    gcs.front.require_credentials = bigquery.front.require_credentials = True
    credentials = signed_in(token_endpoint.service_account_info())
    lake = storage.Client(project=PROJECT, credentials=credentials, client_options={"api_endpoint": gcs.url})
    warehouse = bq.Client(project=PROJECT, credentials=credentials, client_options={"api_endpoint": bigquery.url})
    list(lake.list_buckets())
    list(warehouse.list_datasets())
    for address in (f"{gcs.url}/storage/v1/b", f"{bigquery.url}/bigquery/v2/projects/{PROJECT}/datasets"):
        assert requests.get(address, timeout=5).status_code == 401
        assert requests.get(address, headers={"Authorization": "Bearer made-up"}, timeout=5).status_code == 401


def test_a_wrong_key_and_an_account_that_is_gone_are_invalid_grants(
    bigquery: BigQueryServer, token_endpoint: TokenEndpoint
) -> None:
    options = {"api_endpoint": bigquery.url}
    wrong = signed_in(token_endpoint.service_account_info(wrong_key=True))
    with pytest.raises(auth_exceptions.RefreshError, match="Invalid JWT Signature"):
        list(bq.Client(project=PROJECT, credentials=wrong, client_options=options).list_datasets())
    token_endpoint.account_gone = True
    right = signed_in(token_endpoint.service_account_info())
    with pytest.raises(auth_exceptions.RefreshError, match="account not found"):
        list(bq.Client(project=PROJECT, credentials=right, client_options=options).list_datasets())


# Tables of BigQuery


def test_a_table_keeps_what_it_was_created_with(client: bq.Client, table: bq.Table) -> None:
    again = client.get_table(table)
    assert [field.field_type for field in again.schema] == [
        "INTEGER", "FLOAT", "STRING", "DATETIME", "TIMESTAMP", "DATE",
    ]  # fmt: skip
    assert [field.mode for field in again.schema] == [field.mode for field in SCHEMA]
    assert again.schema[0].description == "who recorded the trip"
    assert (again.time_partitioning.type_, again.time_partitioning.field) == ("MONTH", "source_month")
    assert (again.clustering_fields, again.description, again.labels) == (
        ["VendorID", "pickup"], "Yellow trips", {"source": "tlc"},
    )  # fmt: skip
    with pytest.raises(exceptions.Conflict):
        client.create_table(table)


def test_a_nullable_column_is_added_and_other_changes_are_refused(
    client: bq.Client, table: bq.Table, put: Callable[..., str]
) -> None:
    load(client, table, put())
    table = client.get_table(table)
    table.schema = [*table.schema, bq.SchemaField("cbd_congestion_fee", "FLOAT64", description="since 2025")]
    table = client.update_table(table, ["schema"])
    assert (table.schema[-1].name, table.schema[-1].description) == ("cbd_congestion_fee", "since 2025")
    assert [row[-1] for row in rows(client, table)] == [None, None, None]
    for change, message in (
        ([*table.schema, bq.SchemaField("x", "STRING", "REQUIRED")], "Cannot add required fields"),
        (table.schema[:-1], "cbd_congestion_fee is missing in new schema"),
        ([*table.schema[:-1], bq.SchemaField("cbd_congestion_fee", "INT64")], "from FLOAT to INTEGER"),
        ([*table.schema[:-1], bq.SchemaField("cbd_congestion_fee", "FLOAT64", "REQUIRED")], "NULLABLE to REQUIRED"),
    ):
        table.schema = change
        with pytest.raises(exceptions.BadRequest, match=message):
            client.update_table(table, ["schema"])
        table = client.get_table(table)


def test_labels_are_merged_and_an_update_of_an_older_table_is_refused(client: bq.Client, table: bq.Table) -> None:
    older = client.get_table(table)
    table.labels = {"source": None, "team": "taxi"}
    assert client.update_table(table, ["labels"]).labels == {"team": "taxi"}
    older.description = "stale"
    with pytest.raises(exceptions.PreconditionFailed):
        client.update_table(older, ["description"])


# Loads into BigQuery


def test_a_loaded_month_has_the_values_of_the_file(client: bq.Client, table: bq.Table, put: Callable[..., str]) -> None:
    job = load(client, table, put())
    assert (job.state, job.output_rows, job.input_files) == ("DONE", 3, 1)
    expected = list(zip(*(values for values, _ in ROWS.values()), strict=True))
    assert rows(client, table) == expected
    assert sorted(tuple(row) for row in client.list_rows(table)) == sorted(expected)
    assert client.get_table(table).num_rows == client.get_table(f"{table}$202101").num_rows == 3


def test_a_second_load_replaces_its_month_and_no_other(
    client: bq.Client, table: bq.Table, put: Callable[..., str]
) -> None:
    load(client, table, put())
    load(client, table, put(month="2021-02-01"), "202102")
    load(client, table, put(VendorID=pa.array([7, 8, 9])))
    assert months(client, table) == {"202101": 3, "202102": 3}
    assert [row[0] for row in rows(client, table)] == [7, 8, 9, 1, 2, 6]
    load(client, table, put(), write_disposition="WRITE_APPEND")
    assert months(client, table) == {"202101": 6, "202102": 3}
    client.delete_table(f"{table}$202101")
    assert months(client, table) == {"202102": 3}


def test_a_repeated_job_id_loads_once_and_finds_the_first_job(
    client: bq.Client, table: bq.Table, put: Callable[..., str]
) -> None:
    uri = put()
    first = load(client, table, uri, job_id="yellow-202101-1", write_disposition="WRITE_APPEND")
    with pytest.raises(exceptions.Conflict, match="Already Exists: Job"):
        load(client, table, uri, job_id="yellow-202101-1", write_disposition="WRITE_APPEND")
    assert client.get_job("yellow-202101-1", location="EU").created == first.created
    assert months(client, table) == {"202101": 3}


def test_a_failed_job_keeps_its_id(client: bq.Client, table: bq.Table, put: Callable[..., str]) -> None:
    for error in (exceptions.NotFound, exceptions.Conflict):
        with pytest.raises(error):
            load(client, table, put() + ".gone", job_id="failed-once")
    assert client.get_job("failed-once", location="EU").error_result["reason"] == "notFound"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"VendorID": pa.array([1, None, 2])}, "Only optional fields can be set to NULL. Field: VendorID"),
        ({"VendorID": None}, "Required column 'VendorID' is missing"),
        ({"fare_amount": pa.array([1, 2, 3])}, "'fare_amount' has type INT64 which does not match .* DOUBLE"),
        ({"pickup": pa.array([None] * 3, pa.timestamp("us", "UTC"))}, "'pickup' has type TIMESTAMP .* DATETIME"),
        ({"unheard_of": pa.array([1, 2, 3])}, "No such field: unheard_of"),
        ({"source_month": pa.array([dt.date(2021, m, 1) for m in (1, 1, 2)])}, "rows belong to different partitions"),
        ({"source_month": pa.array([dt.date(2020, 12, 31)] * 3)}, "rows belong to different partitions"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_failed_load_says_why_and_leaves_the_old_month(
    client: bq.Client, table: bq.Table, put: Callable[..., str], columns: dict[str, Any], message: str
) -> None:
    load(client, table, put())
    before = rows(client, table)
    with pytest.raises(exceptions.BadRequest, match=message):
        load(client, table, put("bad.parquet", **columns))
    assert rows(client, table) == before


def test_a_missing_object_and_a_file_that_is_no_parquet_leave_the_old_month(
    client: bq.Client, table: bq.Table, bucket: storage.Bucket, put: Callable[..., str]
) -> None:
    load(client, table, put())
    with pytest.raises(exceptions.NotFound, match="Not found: URI gs://"):
        load(client, table, f"gs://{bucket.name}/gone.parquet")
    bucket.blob("page.parquet").upload_from_string(b"<Error>AccessDenied</Error>")
    with pytest.raises(exceptions.BadRequest, match="not in Parquet format"):
        load(client, table, f"gs://{bucket.name}/page.parquet")
    assert months(client, table) == {"202101": 3}


def test_columns_are_found_by_name_and_folders_that_look_like_columns_are_not(
    client: bq.Client, table: bq.Table, put: Callable[..., str]
) -> None:
    load(client, table, put())
    before = rows(client, table)
    load(client, table, put("source_month=1999-01-01/VendorID=5/m.parquet", order=list(reversed(ROWS))))
    assert rows(client, table) == before


def test_a_nullable_column_that_the_file_lacks_is_null(
    client: bq.Client, table: bq.Table, put: Callable[..., str]
) -> None:
    load(client, table, put(fare_amount=None))
    assert [row[1] for row in rows(client, table)] == [None, None, None]


def test_a_load_adds_columns_only_when_it_says_so(client: bq.Client, table: bq.Table, put: Callable[..., str]) -> None:
    schema = [*SCHEMA, bq.SchemaField("airport_fee", "FLOAT64")]
    uri = put(airport_fee=pa.array([0.0, 1.75, None]))
    with pytest.raises(exceptions.BadRequest, match=r"Cannot add fields \(field: airport_fee\)"):
        load(client, table, uri, schema=schema)
    load(client, table, uri, schema=schema, schema_update_options=["ALLOW_FIELD_ADDITION"])
    assert [row[-1] for row in rows(client, table)] == [0.0, 1.75, None]


def test_without_a_schema_the_files_optional_columns_do_not_fit_required_ones(
    client: bq.Client, table: bq.Table, put: Callable[..., str]
) -> None:
    with pytest.raises(exceptions.BadRequest, match="has changed mode from REQUIRED to NULLABLE"):
        load(client, table, put(), schema=[])


def test_a_load_creates_its_table_unless_told_not_to(
    client: bq.Client, table: bq.Table, put: Callable[..., str]
) -> None:
    new = bq.Table(f"{table.project}.{table.dataset_id}.green_trips")
    mapping: dict[str, Any] = {"time_partitioning": bq.TimePartitioning(type_="MONTH", field="source_month")}
    with pytest.raises(exceptions.NotFound, match="Not found: Table"):
        load(client, new, put(), create_disposition="CREATE_NEVER", **mapping)
    load(client, new, put(), clustering_fields=["VendorID"], **mapping)
    assert client.get_table(new).clustering_fields == ["VendorID"]
    assert months(client, new) == {"202101": 3}


def test_simultaneous_loads_of_one_month_end_with_one_month_and_of_several_with_all(
    client: bq.Client, table: bq.Table, put: Callable[..., str]
) -> None:
    wanted = [("2021-01-01", "202101")] * 3 + [(f"2021-0{m}-01", f"20210{m}") for m in (2, 3, 4)]
    uris = [put(f"{number}.parquet", month=month) for number, (month, _) in enumerate(wanted)]
    config = bq.LoadJobConfig(schema=SCHEMA, source_format="PARQUET", write_disposition="WRITE_TRUNCATE")
    jobs = [
        client.load_table_from_uri(uri, f"{table}${month}", job_config=config)
        for uri, (_, month) in zip(uris, wanted, strict=True)
    ]
    for job in jobs:
        job.result()
    assert months(client, table) == {"202101": 3, "202102": 3, "202103": 3, "202104": 3}


# Places and permissions


def test_a_job_in_another_location_does_not_find_the_dataset(
    bigquery: BigQueryServer, table: bq.Table, put: Callable[..., str]
) -> None:
    elsewhere = bigquery.client(PROJECT, location="us-central1")
    with pytest.raises(exceptions.NotFound, match="was not found in location us-central1"):
        load(elsewhere, table, put())
    with pytest.raises(exceptions.NotFound, match="was not found in location us-central1"):
        months(elsewhere, table)
    load(bigquery.client(PROJECT, location="EU"), table, put(), job_id="in-europe")
    with pytest.raises(exceptions.NotFound, match="Not found: Job"):
        elsewhere.get_job("in-europe")


def test_a_bucket_in_another_location_is_refused(
    client: bq.Client, gcs: GcsServer, table: bq.Table, put: Callable[..., str]
) -> None:
    put()
    far = gcs.client().create_bucket("far-" + table.dataset_id.replace("_", "-"), location="us-central1")
    far.blob("m.parquet").upload_from_string(b"x")
    with pytest.raises(exceptions.BadRequest, match="different locations: source: US-CENTRAL1, destination: EU"):
        load(client, table, f"gs://{far.name}/m.parquet")


@pytest.mark.parametrize(
    "permission",
    ["bigquery.jobs.create", "bigquery.tables.updateData", "storage.objects.get"],
)
def test_a_denied_permission_fails_the_load(
    bigquery: BigQueryServer, client: bq.Client, table: bq.Table, put: Callable[..., str], permission: str
) -> None:
    uri = put()
    bigquery.front.deny(permission)
    with pytest.raises(exceptions.Forbidden, match="Access Denied"):
        load(client, table, uri)
    bigquery.front.allow()
    assert months(client, table) == {}


def test_a_denied_permission_on_tables_and_datasets_is_named(
    bigquery: BigQueryServer, client: bq.Client, table: bq.Table
) -> None:
    bigquery.front.deny("bigquery.tables.get", "bigquery.datasets.create", "bigquery.tables.getData")
    with pytest.raises(exceptions.Forbidden, match=r"bigquery\.tables\.get denied"):
        client.get_table(table)
    with pytest.raises(exceptions.Forbidden, match=r"bigquery\.tables\.getData denied"):
        list(client.list_rows(table))
    with pytest.raises(exceptions.Forbidden, match=r"bigquery\.datasets\.create denied"):
        client.create_dataset("another")


def test_dagster_gcps_resource_talks_to_the_server_with_a_service_account(
    bigquery: BigQueryServer, token_endpoint: TokenEndpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import base64
    import json

    from dagster_gcp import BigQueryResource

    bigquery.front.require_credentials = True
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery.url)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    key = base64.b64encode(json.dumps(token_endpoint.service_account_info()).encode()).decode()
    with BigQueryResource(project=PROJECT, gcp_credentials=key).get_client() as client:
        assert [tuple(row) for row in client.query("SELECT 1 + 1").result()] == [(2,)]


# Answers that the emulators do not give


def test_a_service_refuses_in_googles_form_as_often_as_it_should(gcs: GcsServer, bucket: storage.Bucket) -> None:
    gcs.front.refuse(403, "retentionPolicyNotMet", "Object 'b/o' is subject to bucket's retention policy", when="/o")
    with pytest.raises(exceptions.Forbidden, match="retention policy") as caught:
        bucket.get_blob("o")
    assert caught.value.errors[0]["reason"] == "retentionPolicyNotMet"
    assert bucket.get_blob("o") is None


@pytest.mark.parametrize("fault", [404, 410])
def test_an_upload_session_that_is_lost_is_not_found_again(gcs: GcsServer, bucket: storage.Bucket, fault: int) -> None:
    session = bucket.blob("o").create_resumable_upload_session(size=3)
    gcs.front.upload_faults = [fault]
    for content_range in ("bytes 0-2/3", "bytes */3"):
        answer = requests.put(session, data=b"abc", headers={"Content-Range": content_range}, timeout=10)
        assert answer.status_code in (fault, 404)


def test_a_chunk_may_be_confirmed_in_part_or_not_at_all(gcs: GcsServer, bucket: storage.Bucket) -> None:
    size = 1 << 20
    session = bucket.blob("o").create_resumable_upload_session(size=2 * size)
    gcs.front.upload_faults = ["partial", "forgotten"]
    for expected in (f"bytes=0-{size // 2 - 1}", None):
        start = 0 if expected else size // 2
        answer = requests.put(
            session,
            data=b"a" * (size - start),
            headers={"Content-Range": f"bytes {start}-{size - 1}/{2 * size}"},
            allow_redirects=False,
            timeout=10,
        )
        assert (answer.status_code, answer.headers.get("Range")) == (308, expected)


def test_a_query_of_a_table_that_requires_a_filter_is_refused_without_one(client: bq.Client, table: bq.Table) -> None:
    table.require_partition_filter = True
    client.update_table(table, ["require_partition_filter"])
    name = f"{table.dataset_id}.{table.table_id}"
    with pytest.raises(exceptions.BadRequest, match="without a filter over column"):
        client.query(f"SELECT COUNT(*) FROM {name}").result()
    client.query(f"SELECT COUNT(*) FROM {name} WHERE {table.time_partitioning.field} = '2021-01-01'").result()


def test_a_table_takes_the_expiration_of_its_dataset(client: bq.Client, table: bq.Table) -> None:
    dataset = client.get_dataset(table.dataset_id)
    dataset.default_table_expiration_ms = 86_400_000
    client.update_dataset(dataset, ["default_table_expiration_ms"])
    new = client.create_table(bq.Table(f"{table.project}.{table.dataset_id}.new", schema=table.schema))
    assert new.expires is not None


def test_jobs_are_forgotten_in_time(bigquery: BigQueryServer, client: bq.Client) -> None:
    job = client.query("SELECT 1")
    job.result()
    bigquery.front.forget_jobs()
    with pytest.raises(exceptions.NotFound):
        client.get_job(job.job_id, location=job.location)


def test_a_query_that_would_scan_more_than_its_limit_is_refused(client: bq.Client, table: bq.Table) -> None:
    sql = f"SELECT * FROM {table.dataset_id}.{table.table_id}"
    dry = client.query(sql, job_config=bq.QueryJobConfig(dry_run=True))
    assert dry.total_bytes_processed >= 10_000_000
    with pytest.raises(exceptions.BadRequest, match="limit for bytes billed"):
        client.query(sql, job_config=bq.QueryJobConfig(maximum_bytes_billed=1000)).result()
